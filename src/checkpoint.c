#include "src/checkpoint.h"
#include <stdlib.h>
#include <string.h>

#define UPLOAD_ID_MAX                                                                              \
	8192 /* of every text; S3's ids have a few hundred bytes, sealed ones a third more */

struct checkpoint *
checkpoint_new(void)
{
	return xcalloc(1, sizeof(struct checkpoint));
}

void
checkpoint_free(struct checkpoint *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->before_len; i++)
		free(c->before[i]);
	free(c->before);
	free(c->path);
	free(c->place);
	free(c->source);
	free(c->resume);
	free(c->upload);
	upload_parts_fini(&c->parts);
	free(c);
}

struct checkpoint *
checkpoint_copy(const struct checkpoint *from)
{
	struct checkpoint *c = checkpoint_new();
	size_t i;

	c->path = xstrdup_null(from->path);
	c->place = xstrdup_null(from->place);
	c->source = xstrdup_null(from->source);
	c->size = from->size;
	c->part_size = from->part_size;
	c->resume = xstrdup_null(from->resume);
	c->upload = xstrdup_null(from->upload);
	c->before_len = from->before_len;
	c->before = xcalloc(MAX(from->before_len, (size_t)1), sizeof *c->before);
	for (i = 0; i < c->before_len; i++)
		c->before[i] = xstrdup(from->before[i]);
	for (i = 0; i < from->parts.len; i++)
		*upload_parts_add(&c->parts) = from->parts.items[i];
	return c;
}

bool
checkpoint_is_before(const struct checkpoint *c, const char *upload)
{
	size_t i;

	for (i = 0; i < c->before_len; i++) {
		if (strcmp(c->before[i], upload) == 0)
			return true;
	}
	return false;
}

json_t *
checkpoint_head_to_json(const struct checkpoint *c)
{
	json_t *json, *before = json_array();
	size_t i;

	for (i = 0; i < c->before_len; i++)
		json_array_append_new(before, json_string(c->before[i]));
	json = json_pack("{s:s, s:s, s:I, s:I, s:o}", "path", c->path, "source", c->source, "size",
	    (json_int_t)c->size, "partSize", (json_int_t)c->part_size, "before", before);
	if (c->place != NULL)
		json_object_set_new(json, "place", json_string(c->place));
	if (c->resume != NULL)
		json_object_set_new(json, "resume", json_string(c->resume));
	if (c->upload != NULL)
		json_object_set_new(json, "upload", json_string(c->upload));
	return json;
}

json_t *
upload_part_to_json(const struct upload_part *p)
{
	json_t *json = json_pack("[I, I, s]", (json_int_t)p->number, (json_int_t)p->length, p->tag);
	json_t *compared;
	enum hash_type type;

	if (p->has_crc32c)
		json_array_append_new(json, json_integer(p->crc32c));
	if (p->compared == 0)
		return json;
	if (!p->has_crc32c)
		json_array_append_new(json, json_null());
	compared = json_array();
	for (type = 0; type < HASH_TYPES; type++) {
		if (p->compared & HASH_BIT(type))
			json_array_append_new(compared, json_string(hash_name(type)));
	}
	json_array_append_new(json, compared);
	return json;
}

static const char *
checkpoint_text(const json_t *json)
{
	const char *text = json_string_value(json);

	return text != NULL && *text != '\0' && strlen(text) <= UPLOAD_ID_MAX ? text : NULL;
}

static int
checkpoint_damaged(struct err *err)
{
	return err_set(err, -EBADMSG, "the checkpoint cannot be read; the transfer begins again");
}

int
checkpoint_head_from_json(struct checkpoint **out, const json_t *json, struct err *err)
{
	const char *path = checkpoint_text(json_object_get(json, "path"));
	const char *source = checkpoint_text(json_object_get(json, "source"));
	const json_t *place = json_object_get(json, "place");
	const json_t *resume = json_object_get(json, "resume");
	const json_t *upload = json_object_get(json, "upload");
	const json_t *before = json_object_get(json, "before");
	json_int_t size = json_integer_value(json_object_get(json, "size"));
	json_int_t part_size = json_integer_value(json_object_get(json, "partSize"));
	struct checkpoint *c;
	const json_t *item;
	size_t i;

	if (path == NULL || source == NULL || size <= 0 || part_size <= 0 ||
	    !json_is_array(before) || json_array_size(before) > CLOUD_UPLOADS_MAX ||
	    (place != NULL && !json_is_string(place)) ||
	    (resume != NULL && checkpoint_text(resume) == NULL) ||
	    (upload != NULL && checkpoint_text(upload) == NULL))
		return checkpoint_damaged(err);
	json_array_foreach (before, i, item) {
		if (checkpoint_text(item) == NULL)
			return checkpoint_damaged(err);
	}
	c = checkpoint_new();
	c->path = xstrdup(path);
	c->place = xstrdup_null(json_string_value(place));
	c->source = xstrdup(source);
	c->size = (uint64_t)size;
	c->part_size = (uint64_t)part_size;
	c->resume = xstrdup_null(checkpoint_text(resume));
	c->upload = xstrdup_null(checkpoint_text(upload));
	c->before = xcalloc(MAX(json_array_size(before), (size_t)1), sizeof *c->before);
	json_array_foreach (before, i, item)
		c->before[c->before_len++] = xstrdup(json_string_value(item));
	*out = c;
	return 0;
}

int
upload_part_from_json(struct upload_part *out, const json_t *json, struct err *err)
{
	json_int_t number = json_integer_value(json_array_get(json, 0));
	json_int_t length = json_integer_value(json_array_get(json, 1));
	const char *tag = json_string_value(json_array_get(json, 2));
	const json_t *crc = json_array_get(json, 3), *compared = json_array_get(json, 4), *name;
	size_t i;
	int type;

	if (number <= 0 || number > INT32_MAX || length < 0 || tag == NULL ||
	    strlen(tag) >= sizeof out->tag)
		return checkpoint_damaged(err);
	*out = (struct upload_part){.number = (unsigned)number, .length = (uint64_t)length};
	memcpy(out->tag, tag, strlen(tag) + 1);
	if (crc != NULL && !json_is_null(crc)) {
		if (!json_is_integer(crc) || json_integer_value(crc) < 0 ||
		    json_integer_value(crc) > UINT32_MAX)
			return checkpoint_damaged(err);
		out->crc32c = (uint32_t)json_integer_value(crc);
		out->has_crc32c = true;
	}
	json_array_foreach (compared, i, name) {
		type = json_is_string(name) ? hash_by_name(json_string_value(name)) : -EINVAL;
		if (type >= 0)
			out->compared |= HASH_BIT(type);
	}
	return 0;
}
