#include "src/entry.h"
#include "src/field.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_TEXT_MAX (256 * 1024) /* a version: at most all of an answer's headers */

void
entry_init(struct entry *e)
{
	memset(e, 0, sizeof *e);
	e->mtime_ns = ENTRY_NO_TIME;
}

void
entry_fini(struct entry *e)
{
	free(e->path);
	free(e->version);
	free(e->content_type);
	json_decref(e->metadata);
	entry_init(e);
}

void
entry_copy(struct entry *to, const struct entry *from)
{
	struct entry copy = *from;

	copy.path = xstrdup_null(from->path);
	copy.version = xstrdup_null(from->version);
	copy.content_type = xstrdup_null(from->content_type);
	copy.metadata = json_deep_copy(from->metadata); /* the other may be another thread's */
	entry_fini(to);
	*to = copy;
}

int
entry_name_compare(const char *a, bool a_is_dir, const char *b, bool b_is_dir)
{
	unsigned char x, y;
	size_t i = 0;

	while (a[i] != '\0' && a[i] == b[i])
		i++;
	x = a[i] == '\0' && a_is_dir ? '/' : (unsigned char)a[i];
	y = b[i] == '\0' && b_is_dir ? '/' : (unsigned char)b[i];
	return x < y ? -1 : x > y;
}

bool
entry_is_behind(const struct entry *e, const char *after)
{
	size_t len = strlen(after);
	bool is_dir = len > 0 && after[len - 1] == '/';
	CLEANUP(cleanup_free) char *name = xstrndup(after, len - is_dir);

	return entry_name_compare(path_name(e->path), e->kind == ENTRY_DIRECTORY, name, is_dir) > 0;
}

void
entry_list_fini(struct entry_list *list)
{
	size_t i;

	for (i = 0; i < list->len; i++)
		entry_fini(&list->items[i]);
	free(list->items);
	memset(list, 0, sizeof *list);
}

void
entry_list_move(struct entry_list *into, struct entry_list *from)
{
	size_t i;

	for (i = 0; i < from->len; i++) {
		*entry_list_add(into) = from->items[i];
		entry_init(&from->items[i]);
	}
	into->hidden += from->hidden;
	entry_list_fini(from);
}

struct entry *
entry_list_add(struct entry_list *list)
{
	struct entry *e;

	if (list->len == list->cap) {
		list->cap = MAX(list->cap * 2, (size_t)16);
		list->items = xrealloc(list->items, list->cap, sizeof *list->items);
	}
	e = &list->items[list->len++];
	entry_init(e);
	return e;
}

json_t *
entry_to_json(const struct entry *e)
{
	json_t *json = json_object();

	assert(json != NULL);
	field_set_str(json, "path", e->path != NULL ? e->path : "");
	field_set_str(json, "kind", e->kind == ENTRY_DIRECTORY ? "directory" : "file");
	if (e->unsized)
		field_set_bool(json, "unsized", true);
	else if (e->kind == ENTRY_FILE)
		field_set_int(json, "size", (int64_t)MIN(e->size, (uint64_t)INT64_MAX));
	if (e->mtime_ns != ENTRY_NO_TIME)
		field_set_int(json, "mtimeNs", e->mtime_ns);
	if ((e->mode & 07777) != 0)
		field_set_int(json, "mode", e->mode & 07777);
	field_set_str(json, "version", e->version);
	field_set_str(json, "contentType", e->content_type);
	if (e->digests.have != 0)
		field_set(json, "hashes", digests_to_json(&e->digests));
	field_set(json, "metadata", json_deep_copy(e->metadata));
	return json;
}

static int
entry_read(struct entry *e, const json_t *json, struct err *err)
{
	CLEANUP(cleanup_free) char *path = NULL, *kind = NULL;
	const json_t *hashes = json_object_get(json, "hashes");
	int64_t mode = 0;
	int code;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "an entry must be an object");
	if ((code = field_str(&path, json, "path", PATH_BYTES_MAX + 2, err)) != 0 ||
	    (code = field_str(&kind, json, "kind", 16, err)) != 0 ||
	    (code = field_u64(&e->size, json, "size", INT64_MAX, err)) != 0 ||
	    (code = field_bool(&e->unsized, json, "unsized", err)) != 0 ||
	    (code = field_int(&e->mtime_ns, json, "mtimeNs", INT64_MIN + 1, INT64_MAX, err)) != 0 ||
	    (code = field_int(&mode, json, "mode", 0, 07777, err)) != 0 ||
	    (code = field_str(&e->version, json, "version", ENTRY_TEXT_MAX, err)) != 0 ||
	    (code = field_str(&e->content_type, json, "contentType", ENTRY_TEXT_MAX, err)) != 0)
		return code;
	if (path == NULL)
		return err_set(err, -EINVAL, "an entry without 'path'");
	code = path_canonical(&e->path, path, err);
	if (code != 0)
		return code;
	if (kind == NULL || (strcmp(kind, "file") != 0 && strcmp(kind, "directory") != 0))
		return err_set(err, -EINVAL, "'kind' of '%s' must be 'file' or 'directory'", path);
	e->kind = strcmp(kind, "directory") == 0 ? ENTRY_DIRECTORY : ENTRY_FILE;
	e->mode = (unsigned)mode;
	digests_from_json(&e->digests, hashes);
	if (json_is_object(json_object_get(json, "metadata")))
		e->metadata = json_deep_copy(json_object_get(json, "metadata"));
	return 0;
}

int
entry_from_json(struct entry *out, const json_t *json, struct err *err)
{
	CLEANUP(entry_fini) struct entry e;
	int code;

	entry_init(&e);
	code = entry_read(&e, json, err);
	if (code != 0)
		return code;
	*out = e;
	entry_init(&e);
	return 0;
}

json_t *
digests_to_json(const struct digests *d)
{
	json_t *json = json_object();
	int t;

	assert(json != NULL);
	for (t = 0; t < HASH_TYPES; t++) {
		CLEANUP(buf_free) struct buf hex = BUF_INIT(2 * HASH_MAX_SIZE);

		if (!(d->have & HASH_BIT(t)))
			continue;
		buf_put_hex(&hex, d->sum[t], hash_size(t));
		field_set_str(json, hash_name(t), buf_str(&hex));
	}
	return json;
}

void
digests_from_json(struct digests *out, const json_t *json)
{
	unsigned char sum[HASH_MAX_SIZE];
	int t;

	memset(out, 0, sizeof *out);
	for (t = 0; t < HASH_TYPES; t++) {
		const char *hex = json_string_value(json_object_get(json, hash_name(t)));

		if (hex != NULL && hex_decode(sum, sizeof sum, hex) == (int)hash_size(t))
			digests_set(out, t, sum);
	}
}
