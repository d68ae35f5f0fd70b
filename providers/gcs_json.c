#include "providers/gcs_json.h"
#include "providers/content_type.h"
#include "providers/gcs_private.h"
#include "providers/listing.h"
#include "providers/object.h"
#include "providers/s3_xml.h"
#include "src/clock.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

/* Names may have a NUL, and are hidden then: without the flag the whole page would be lost. */
static json_t *
parse(const struct buf *body, struct err *err)
{
	json_t *json = json_loadb(buf_str(body), body->len, JSON_ALLOW_NUL, NULL);

	if (!json_is_object(json)) {
		err_set(err, -EPROTO, "the answer is no JSON object");
		json_decref(json);
		return NULL;
	}
	return json;
}

static const char *
text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* 64-bit numbers come as strings. */
static uint64_t
number_of(const json_t *object, const char *name)
{
	const char *text = text_of(object, name);

	return text == NULL ? UINT64_MAX : object_size(text);
}

static int
take_token(char out[GCS_TOKEN_MAX], const json_t *object, const char *name, struct err *err)
{
	const char *token = text_of(object, name);

	*out = '\0';
	if (token == NULL)
		return 0;
	if (strlen(token) >= GCS_TOKEN_MAX)
		return err_set(err, -EPROTO, "the answer's %s is too long", name);
	snprintf(out, GCS_TOKEN_MAX, "%s", token);
	return 0;
}

static void
take_digest(struct digests *out, enum hash_type type, const char *text)
{
	unsigned char sum[HASH_MAX_SIZE];

	if (text != NULL && base64_decode(sum, sizeof sum, text) == (int)hash_size(type))
		digests_set(out, type, sum);
}

/* rclone's is a time as RFC 3339 has it, gsutil's a number of seconds. */
bool
gcs_take_mtime(struct entry *entry, const char *mtime, const char *reserved)
{
	uint64_t seconds = reserved == NULL ? UINT64_MAX : object_size(reserved);

	if (mtime != NULL && clock_parse_ns(&entry->mtime_ns, mtime) == 0)
		return true;
	if (seconds >= (uint64_t)(INT64_MAX / OBJECT_NSEC))
		return false;
	entry->mtime_ns = (int64_t)seconds * OBJECT_NSEC;
	return true;
}

static int
take_object(struct entry *entry, const json_t *object, struct err *err)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *created = text_of(object, "timeCreated");
	const char *version = text_of(object, "generation");
	const char *mode = text_of(metadata, "mode"), *name;
	json_t *value;

	entry->kind = ENTRY_FILE;
	entry->size = number_of(object, "size");
	if (entry->size == UINT64_MAX || version == NULL || *version == '\0')
		return err_set(
		    err, -EPROTO, "the answer has an object without a size or generation");
	xstrset(&entry->version, version);
	xstrset(&entry->content_type, text_of(object, "contentType"));
	take_digest(&entry->digests, HASH_MD5, text_of(object, "md5Hash"));
	take_digest(&entry->digests, HASH_CRC32C, text_of(object, "crc32c"));
	json_object_foreach (json_object_get(object, "metadata"), name, value) {
		if (json_is_string(value))
			object_take_metadatum(entry, name, json_string_value(value));
	}
	entry->mode =
	    object_mode(mode != NULL ? mode : text_of(metadata, "goog-reserved-posix-mode"));
	if (!gcs_take_mtime(
		entry, text_of(metadata, "mtime"), text_of(metadata, "goog-reserved-file-mtime")) &&
	    (created == NULL || clock_parse_ns(&entry->mtime_ns, created) != 0))
		entry->mtime_ns = ENTRY_NO_TIME;
	return 0;
}

/* False: no path can have such a name. */
static bool
take_name(struct entry *entry, const json_t *name)
{
	const char *text = json_string_value(name);

	if (text == NULL || strlen(text) != json_string_length(name))
		return false;
	xstrset(&entry->path, text);
	return true;
}

/* Where a page's entries go. */
struct listing {
	struct gcs_page *page;
	struct entry_list *into;
	const struct listing_dir *dir;
};

static void
list_add(struct listing *l, struct entry *entry, const json_t *name)
{
	l->page->found++;
	if (take_name(entry, name))
		listing_take(l->into, entry, &l->page->marker, l->dir, NULL);
	else if (l->into != NULL)
		l->into->hidden++;
}

static int
list_take(struct listing *l, const json_t *page, struct err *err)
{
	const json_t *item;
	int code = 0;
	size_t i;

	json_array_foreach (json_object_get(page, "items"), i, item) {
		struct entry entry;

		entry_init(&entry);
		code = take_object(&entry, item, err);
		if (code == 0)
			list_add(l, &entry, json_object_get(item, "name"));
		entry_fini(&entry);
		if (code != 0)
			return code;
	}
	json_array_foreach (json_object_get(page, "prefixes"), i, item) {
		struct entry entry;

		entry_init(&entry);
		entry.kind = ENTRY_DIRECTORY;
		list_add(l, &entry, item);
		entry_fini(&entry);
	}
	return 0;
}

int
gcs_json_list(struct gcs_page *out, struct entry_list *into, const struct listing_dir *dir,
    const struct buf *body, struct err *err)
{
	struct entry_list found = {.items = NULL};
	struct listing l = {out, into == NULL ? NULL : &found, dir};
	json_t *page = parse(body, err);
	int code = page == NULL ? -EPROTO : 0;

	*out = (struct gcs_page){.found = 0};
	if (code == 0)
		code = take_token(out->next, page, "nextPageToken", err);
	if (code == 0)
		code = list_take(&l, page, err);
	if (code == 0 && into != NULL)
		entry_list_move(into, &found);
	entry_list_fini(&found);
	json_decref(page);
	return code;
}

int
gcs_json_buckets(
    struct gcs_page *out, struct entry_list *into, const struct buf *body, struct err *err)
{
	json_t *page = parse(body, err);
	int code = page == NULL ? -EPROTO : 0;
	const json_t *item;
	size_t i;

	*out = (struct gcs_page){.found = 0};
	if (code == 0)
		code = take_token(out->next, page, "nextPageToken", err);
	json_array_foreach (json_object_get(page, "items"), i, item) {
		const char *name = text_of(item, "name"), *created = text_of(item, "timeCreated");
		struct entry *entry;

		if (code != 0 || into == NULL || name == NULL || strchr(name, '/') != NULL ||
		    !path_is_canonical(name))
			continue;
		entry = entry_list_add(into);
		entry->kind = ENTRY_DIRECTORY;
		entry->path = xstrdup(name);
		if (created == NULL || clock_parse_ns(&entry->mtime_ns, created) != 0)
			entry->mtime_ns = ENTRY_NO_TIME;
	}
	json_decref(page);
	return code;
}

int
gcs_json_object(struct entry *entry, const struct buf *body, struct err *err)
{
	json_t *object = parse(body, err);
	int code = object == NULL ? -EPROTO : take_object(entry, object, err);

	json_decref(object);
	return code;
}

int
gcs_json_is_compressed(bool *out, const struct buf *body, struct err *err)
{
	json_t *object = parse(body, err);
	const char *encoding = text_of(object, "contentEncoding");

	*out = encoding != NULL && strcasestr(encoding, "gzip") != NULL;
	json_decref(object);
	return object == NULL ? -EPROTO : 0;
}

int
gcs_json_rewrite(
    struct gcs_rewrite *out, struct entry *entry, const struct buf *body, struct err *err)
{
	json_t *answer = parse(body, err);
	int code = answer == NULL ? -EPROTO : 0;

	*out = (struct gcs_rewrite){.done = json_is_true(json_object_get(answer, "done"))};
	if (code == 0)
		code = take_token(out->token, answer, "rewriteToken", err);
	if (code == 0 && out->done)
		code = take_object(entry, json_object_get(answer, "resource"), err);
	else if (code == 0 && out->token[0] == '\0')
		code = err_set(err, -EPROTO, "the copy is said to go on, and not how");
	out->bytes = number_of(answer, "totalBytesRewritten");
	if (code == 0 && out->bytes == UINT64_MAX)
		out->bytes = 0;
	json_decref(answer);
	return code;
}

json_t *
gcs_json_attributes(const struct cloud_op *op)
{
	const struct cloud_put *put = &op->put;
	json_t *object = json_object(), *metadata = json_object(), *value;
	size_t most = GCS_METADATA_MAX;
	char when[36], mode[5];
	const char *name;

	if (put->mtime_ns != ENTRY_NO_TIME)
		json_object_set_new(metadata, "mtime",
		    json_string(clock_format_ns(when, sizeof when, put->mtime_ns)));
	snprintf(mode, sizeof mode, "%04o", put->mode & 07777);
	if (put->mode != 0)
		json_object_set_new(metadata, "mode", json_string(mode));
	json_object_foreach (put->metadata, name, value) {
		size_t len = strlen(name) + json_string_length(value);

		if (json_is_string(value) && len <= most && !object_is_own_metadatum(name)) {
			json_object_set(metadata, name, value);
			most -= len;
		}
	}
	json_object_set_new(object, "metadata", metadata);
	if (op->kind == CLOUD_SETATTR)
		return object;
	json_object_set_new(object, "contentType",
	    json_string(put->content_type != NULL && object_is_header_value(put->content_type)
		    ? put->content_type
		    : content_type_guess(op->path)));
	if (gcs_account(op)->storage_class != NULL)
		json_object_set_new(
		    object, "storageClass", json_string(gcs_account(op)->storage_class));
	return object;
}

static void
read_json_error(struct gcs_error *out, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
	const char *reason = text_of(first, "reason"), *message = text_of(error, "message");

	snprintf(out->reason, sizeof out->reason, "%s", reason == NULL ? "" : reason);
	snprintf(out->message, sizeof out->message, "%s", message == NULL ? "" : message);
}

void
gcs_read_error(struct gcs_error *out, const struct buf *body)
{
	json_t *answer = json_loadb(buf_str(body), body->len, 0, NULL);
	struct s3_error xml;

	*out = (struct gcs_error){.reason = ""};
	if (json_is_object(answer)) {
		read_json_error(out, answer);
	} else {
		s3_xml_error(&xml, body->data, body->len);
		memcpy(out->reason, xml.code, sizeof out->reason);
		memcpy(out->message, xml.message, sizeof out->message);
	}
	json_decref(answer);
}
