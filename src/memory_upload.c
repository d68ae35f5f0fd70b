/* Uploads in parts of the in-process servers: what memory.h says of "?upload". */
#include "src/memory_private.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct part {
	uint64_t length;
	struct memory_blob *blob; /* NULL: not there */
	struct digests digests;
	char *tag;
};

struct memory_upload {
	TAILQ_ENTRY(memory_upload) next;
	char *id;
	struct entry entry; /* path and attributes of what will be made */
	struct part *parts; /* by number - 1 */
	size_t len;
};

static void
part_clear(struct part *part)
{
	memory_blob_unref(part->blob);
	free(part->tag);
	*part = (struct part){.blob = NULL};
}

static void
upload_free(struct memory_server *server, struct memory_upload *upload)
{
	TAILQ_REMOVE(&server->uploads, upload, next);
	for (size_t i = 0; i < upload->len; i++)
		part_clear(&upload->parts[i]);
	free(upload->parts);
	free(upload->id);
	entry_fini(&upload->entry);
	free(upload);
}

void
memory_uploads_free(struct memory_server *server)
{
	while (!TAILQ_EMPTY(&server->uploads))
		upload_free(server, TAILQ_FIRST(&server->uploads));
}

static struct memory_upload *
upload_find(struct memory_server *server, const char *path, const char *id)
{
	struct memory_upload *upload;

	TAILQ_FOREACH (upload, &server->uploads, next) {
		if (strcmp(upload->id, id) == 0 && strcmp(upload->entry.path, path) == 0)
			return upload;
	}
	return NULL;
}

static void
upload_begin(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	struct memory_upload *upload = xcalloc(1, sizeof *upload);

	entry_init(&upload->entry);
	upload->entry.path = xstrdup(ask->path);
	upload->entry.content_type = xstrdup_null(http_header_get(ask->headers, "Content-Type"));
	memory_ask_attributes(ask, &upload->entry);
	upload->id = xasprintf("upload-%" PRIx64, ++server->generation);
	TAILQ_INSERT_TAIL(&server->uploads, upload, next);
	memory_answer_json(answer, 201, json_pack("{s:s}", "upload", upload->id));
}

static json_t *
part_to_json(const struct part *part, size_t number)
{
	return json_pack("{s:I, s:I, s:s, s:o}", "number", (json_int_t)number, "length",
	    (json_int_t)part->length, "tag", part->tag, "hashes", digests_to_json(&part->digests));
}

/* The number of the part that the request is about, from 1; 0: nonsense. */
static size_t
ask_part(const struct memory_ask *ask)
{
	CLEANUP(cleanup_free) char *text = memory_query_get(ask->query, "part");
	unsigned long number = text == NULL ? 0 : strtoul(text, NULL, 10);

	return number <= MEMORY_PARTS_MAX ? number : 0;
}

/* Takes the reference to the blob. */
static void
upload_put(struct memory_server *server, struct memory_upload *upload, size_t number,
    struct part content, struct memory_answer *answer)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct part *part;
	json_t *json;

	if (upload->len < number) {
		upload->parts = xrealloc(upload->parts, number, sizeof *upload->parts);
		memset(
		    &upload->parts[upload->len], 0, (number - upload->len) * sizeof *upload->parts);
		upload->len = number;
	}
	part = &upload->parts[number - 1];
	part_clear(part);
	*part = content;
	part->tag = xasprintf("part-%" PRIx64, ++server->generation);
	json = part_to_json(part, number);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	assert(text != NULL);
	http_headers_add(&answer->headers, "X-Memory-Part", text);
	answer->status = 201;
}

/* COPY: the request's path is the source. */
static void
upload_copy(struct memory_server *server, struct memory_upload *upload,
    const struct memory_ask *ask, struct memory_answer *answer)
{
	const struct memory_object *from = memory_server_find(server, ask->path);
	const char *range = http_header_get(ask->headers, "Range");
	struct part part = {.blob = NULL};
	struct hash *hash;
	uint64_t offset = 0;

	if (from == NULL) {
		memory_answer_error(answer, 404, "no such object");
		return;
	}
	if (from->entry.kind == ENTRY_DIRECTORY) {
		memory_answer_error(answer, 405, "is a directory");
		return;
	}
	if (!memory_ask_matches(ask, &from->entry)) {
		memory_answer_error(answer, 412, "it has another version");
		return;
	}
	part.length = from->entry.size;
	if (range != NULL && !memory_range_parse(&offset, &part.length, range, from->entry.size)) {
		memory_answer_error(answer, 416, "no such range");
		return;
	}
	part.blob = memory_blob_new(from->blob->data + offset, part.length);
	hash = hash_new(HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C));
	hash_update(hash, part.blob->data, part.length);
	hash_final(hash, &part.digests);
	hash_free(hash);
	upload_put(server, upload, ask_part(ask), part, answer);
}

static void
upload_status(
    const struct memory_upload *upload, const struct memory_ask *ask, struct memory_answer *answer)
{
	CLEANUP(cleanup_free) char *after = memory_query_get(ask->query, "after");
	json_t *parts = json_array();
	size_t i;

	for (i = after == NULL ? 0 : strtoul(after, NULL, 10); i < upload->len; i++) {
		if (upload->parts[i].blob == NULL)
			continue;
		if (json_array_size(parts) == MEMORY_PAGE_MAX)
			break;
		json_array_append_new(parts, part_to_json(&upload->parts[i], i + 1));
	}
	memory_answer_json(
	    answer, 200, json_pack("{s:o, s:b}", "parts", parts, "more", (int)(i < upload->len)));
}

/* The part that an item of the list means; NULL: *why says what is wrong with it. */
static const struct part *
list_part(const struct memory_upload *upload, const json_t *list, size_t i, const char **why)
{
	const json_t *item = json_array_get(list, i);
	json_int_t number = json_integer_value(json_object_get(item, "number"));
	const char *tag = json_string_value(json_object_get(item, "tag"));
	const struct part *part;

	*why = "a part is not there, or not the one that is named";
	if (number < 1 || (size_t)number > upload->len || tag == NULL)
		return NULL;
	part = &upload->parts[number - 1];
	if (part->blob == NULL || strcmp(part->tag, tag) != 0)
		return NULL;
	*why = "the parts are not in order";
	if (i > 0 &&
	    number <= json_integer_value(json_object_get(json_array_get(list, i - 1), "number")))
		return NULL;
	*why = "a part that is not the last is too small";
	if (part->length < MEMORY_PART_MIN && i + 1 < json_array_size(list))
		return NULL;
	return part;
}

/* All of the parts as one; NULL: the answer says why not. */
static struct memory_blob *
upload_join(const struct memory_upload *upload, const json_t *list, uint64_t *size,
    struct digests *digests, struct memory_answer *answer)
{
	struct memory_blob *whole;
	struct hash *hash;
	const char *why;

	*size = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const struct part *part = list_part(upload, list, i, &why);

		if (part == NULL) {
			memory_answer_error(answer, 400, why);
			return NULL;
		}
		*size += part->length;
	}
	if (json_array_size(list) == 0 || *size > MEMORY_OBJECT_MAX) {
		memory_answer_error(answer, *size == 0 ? 400 : 413, "no parts, or too many");
		return NULL;
	}
	whole = xmalloc(sizeof *whole + *size);
	atomic_init(&whole->refs, 1);
	hash = hash_new(HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C));
	*size = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const struct part *part = list_part(upload, list, i, &why);

		memcpy(whole->data + *size, part->blob->data, part->length);
		*size += part->length;
	}
	hash_update(hash, whole->data, *size);
	hash_final(hash, digests);
	hash_free(hash);
	return whole;
}

static void
upload_commit(struct memory_server *server, struct memory_upload *upload,
    const struct memory_ask *ask, const struct memory_blob *body, size_t len,
    struct memory_answer *answer)
{
	json_t *json = json_loadb((const char *)body->data, len, 0, NULL);
	struct memory_blob *whole;
	struct memory_object *object;
	struct digests digests;
	uint64_t size;

	whole = upload_join(upload, json_object_get(json, "parts"), &size, &digests, answer);
	json_decref(json);
	if (whole == NULL)
		return;
	if (memory_server_prepare(server, ask, ask->path, answer) == 0) {
		object = memory_server_put_blob(server, ask->path, whole, size, &digests);
		if (upload->entry.mtime_ns != ENTRY_NO_TIME)
			object->entry.mtime_ns = upload->entry.mtime_ns;
		object->entry.mode = upload->entry.mode;
		object->entry.metadata = json_deep_copy(upload->entry.metadata);
		object->upload = xstrdup(upload->id);
		object->entry.content_type = xstrdup_null(upload->entry.content_type);
		memory_answer_entry(answer, 201, &object->entry);
		upload_free(server, upload);
	}
	memory_blob_unref(whole);
}

static void
uploads_list(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	const struct memory_upload *upload;
	json_t *ids = json_array();

	TAILQ_FOREACH (upload, &server->uploads, next) {
		if (strcmp(upload->entry.path, ask->path) == 0 &&
		    json_array_size(ids) < MEMORY_PAGE_MAX)
			json_array_append_new(ids, json_string(upload->id));
	}
	memory_answer_json(answer, 200, json_pack("{s:o}", "uploads", ids));
}

/* Is the object the one that this upload made? */
static bool
upload_was(const struct memory_server *server, const char *path, const char *id)
{
	const struct memory_object *object = memory_server_find(server, path);

	return object != NULL && object->upload != NULL && strcmp(object->upload, id) == 0;
}

void
memory_upload_answer(struct memory_server *server, const struct memory_ask *ask,
    const struct memory_blob *body, size_t len, const struct digests *digests,
    struct memory_answer *answer)
{
	CLEANUP(cleanup_free) char *id = memory_query_get(ask->query, "upload");
	const char *destination = http_header_get(ask->headers, "Destination");
	CLEANUP(cleanup_free)
	char *path = xstrdup(destination == NULL ? ask->path : destination);
	bool is_put = strcmp(ask->method, "PUT") == 0, is_copy = strcmp(ask->method, "COPY") == 0;
	struct memory_upload *upload;

	if (id == NULL) {
		uploads_list(server, ask, answer);
		return;
	}
	if (*id == '\0') {
		upload_begin(server, ask, answer);
		return;
	}
	if (destination != NULL)
		uri_decode(path);
	upload = upload_find(server, path, id);
	if (upload == NULL && strcmp(ask->method, "POST") == 0 && upload_was(server, path, id))
		memory_answer_entry(answer, 201, &memory_server_find(server, path)->entry);
	else if (upload == NULL)
		memory_answer_error(answer, 404, "no such upload");
	else if ((is_put || is_copy) && ask_part(ask) == 0)
		memory_answer_error(answer, 400, "no such number of a part");
	else if (server->in_order && (is_put || is_copy) && ask_part(ask) != upload->len + 1)
		memory_answer_error(answer, 409, "it is not the part that is next");
	else if (is_put)
		upload_put(server, upload, ask_part(ask),
		    (struct part){.length = len,
			.blob = memory_blob_ref((struct memory_blob *)body),
			.digests = *digests},
		    answer);
	else if (is_copy)
		upload_copy(server, upload, ask, answer);
	else if (strcmp(ask->method, "POST") == 0)
		upload_commit(server, upload, ask, body, len, answer);
	else if (strcmp(ask->method, "GET") == 0)
		upload_status(upload, ask, answer);
	else {
		upload_free(server, upload);
		answer->status = 204;
	}
}
