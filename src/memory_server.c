#include "src/memory_server.h"
#include "src/clock.h"
#include "src/memory.h"
#include "src/memory_private.h"
#include "src/path.h"
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MEMORY_TOTAL ((uint64_t)1 << 40) /* what GET ?usage claims to have */

struct fault {
	char *method; /* NULL: any */
	unsigned count;
	struct memory_fault what;
	TAILQ_ENTRY(fault) next;
};

struct count {
	char *method;
	uint64_t requests;
	TAILQ_ENTRY(count) next;
};

static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, memory_server) servers = LIST_HEAD_INITIALIZER(servers);

struct memory_blob *
memory_blob_new(const void *data, size_t len)
{
	struct memory_blob *blob;

	assert(len <= MEMORY_OBJECT_MAX);
	blob = xmalloc(sizeof *blob + len);
	atomic_init(&blob->refs, 1);
	if (len > 0)
		memcpy(blob->data, data, len);
	return blob;
}

struct memory_blob *
memory_blob_ref(struct memory_blob *blob)
{
	atomic_fetch_add(&blob->refs, 1);
	return blob;
}

void
memory_blob_unref(struct memory_blob *blob)
{
	if (blob != NULL && atomic_fetch_sub(&blob->refs, 1) == 1)
		free(blob);
}

const unsigned char *
memory_blob_data(const struct memory_blob *blob)
{
	return blob->data;
}

void
memory_answer_init(struct memory_answer *answer)
{
	*answer = (struct memory_answer){.status = 0};
	TAILQ_INIT(&answer->headers);
}

void
memory_answer_fini(struct memory_answer *answer)
{
	http_headers_free(&answer->headers);
	memory_blob_unref(answer->body);
	answer->body = NULL;
}

static void
object_free(struct memory_object *object)
{
	entry_fini(&object->entry);
	memory_blob_unref(object->blob);
	free(object->upload);
	free(object);
}

/* Found, or made: the caller holds the lock. */
static struct memory_server *
server_get(const char *name)
{
	struct memory_server *server;

	LIST_FOREACH (server, &servers, next) {
		if (strcmp(server->name, name) == 0)
			return server;
	}
	server = xcalloc(1, sizeof *server);
	server->name = xstrdup(name);
	TAILQ_INIT(&server->faults);
	TAILQ_INIT(&server->counts);
	TAILQ_INIT(&server->uploads);
	LIST_INSERT_HEAD(&servers, server, next);
	return server;
}

/* Where path is, or would be. */
static size_t
server_position(const struct memory_server *server, const char *path)
{
	size_t low = 0, high = server->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(server->objects[middle]->entry.path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct memory_object *
memory_server_find(const struct memory_server *server, const char *path)
{
	size_t i = server_position(server, path);

	if (i < server->len && strcmp(server->objects[i]->entry.path, path) == 0)
		return server->objects[i];
	return NULL;
}

static void
server_log_one(struct memory_server *server, const char *path, bool is_tree)
{
	struct memory_change *change = &server->log[server->logged++ % MEMORY_LOG_MAX];

	xstrset(&change->path, path);
	change->is_tree = is_tree;
}

void
memory_server_log(struct memory_server *server, const char *path, bool is_tree)
{
	CLEANUP(cleanup_free) char *parent = path_parent(path);

	server_log_one(server, parent, false);
	if (is_tree)
		server_log_one(server, path, true);
}

static struct memory_object *
server_add(struct memory_server *server, const char *path, enum entry_kind kind)
{
	size_t i = server_position(server, path);
	struct memory_object *object = xcalloc(1, sizeof *object);

	entry_init(&object->entry);
	object->entry.path = xstrdup(path);
	object->entry.kind = kind;
	object->entry.mtime_ns = clock_ns();
	memory_server_log(server, path, false);
	if (server->len == server->cap) {
		server->cap = server->cap == 0 ? 64 : server->cap * 2;
		server->objects = xrealloc(server->objects, server->cap, sizeof *server->objects);
	}
	memmove(&server->objects[i + 1], &server->objects[i],
	    (server->len - i) * sizeof *server->objects);
	server->objects[i] = object;
	server->len++;
	return object;
}

static void
server_remove(struct memory_server *server, struct memory_object *object)
{
	size_t i = server_position(server, object->entry.path);

	assert(server->objects[i] == object);
	memory_server_log(server, object->entry.path, object->entry.kind == ENTRY_DIRECTORY);
	server->len--;
	memmove(&server->objects[i], &server->objects[i + 1],
	    (server->len - i) * sizeof *server->objects);
	object_free(object);
}

static bool
server_is_directory(const struct memory_server *server, const char *path)
{
	const struct memory_object *object = memory_server_find(server, path);

	return *path == '\0' || (object != NULL && object->entry.kind == ENTRY_DIRECTORY);
}

static bool
server_is_empty(const struct memory_server *server, const char *dir)
{
	CLEANUP(cleanup_free) char *first = xasprintf("%s/", dir);
	size_t i = server_position(server, first);

	return i == server->len ||
	    strncmp(server->objects[i]->entry.path, first, strlen(first)) != 0;
}

/* mkdir -p.  0, or the status of the failure. */
static int
server_make_directories(struct memory_server *server, const char *path)
{
	struct memory_object *object;
	int status;

	if (*path == '\0')
		return 0;
	object = memory_server_find(server, path);
	if (object != NULL)
		return object->entry.kind == ENTRY_DIRECTORY ? 0 : 424;
	CLEANUP(cleanup_free) char *parent = path_parent(path);
	status = server_make_directories(server, parent);
	if (status == 0)
		server_add(server, path, ENTRY_DIRECTORY);
	return status;
}

void
memory_answer_json(struct memory_answer *answer, int status, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);

	assert(text != NULL);
	answer->status = status;
	answer->length = strlen(text);
	answer->body = memory_blob_new(text, answer->length);
	http_headers_add(&answer->headers, "Content-Type", "application/json");
	free(text);
	json_decref(json);
}

void
memory_answer_error(struct memory_answer *answer, int status, const char *message)
{
	memory_answer_json(answer, status, json_pack("{s:s}", "message", message));
}

void
memory_answer_entry(struct memory_answer *answer, int status, const struct entry *entry)
{
	json_t *json = entry_to_json(entry);
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);

	assert(text != NULL);
	answer->status = status;
	http_headers_add(&answer->headers, "X-Memory-Entry", text);
	free(text);
	json_decref(json);
}

/* The decoded value of a query parameter (caller frees), or NULL. */
char *
memory_query_get(const char *query, const char *name)
{
	size_t len = strlen(name);

	while (*query != '\0') {
		size_t part = strcspn(query, "&");

		if (part >= len && strncmp(query, name, len) == 0 &&
		    (part == len || query[len] == '=')) {
			char *value =
			    part == len ? xstrdup("") : xstrndup(query + len + 1, part - len - 1);

			uri_decode(value);
			return value;
		}
		query += part;
		query += *query == '&';
	}
	return NULL;
}

bool
memory_query_has(const char *query, const char *name)
{
	CLEANUP(cleanup_free) char *value = memory_query_get(query, name);

	return value != NULL;
}

bool
memory_ask_matches(const struct memory_ask *ask, const struct entry *entry)
{
	const char *want = http_header_get(ask->headers, "If-Match");
	CLEANUP(cleanup_free) char *have = NULL;

	if (want == NULL)
		return true;
	have = xasprintf("\"%s\"", entry->version == NULL ? "" : entry->version);
	return strcmp(want, have) == 0;
}

void
memory_ask_attributes(const struct memory_ask *ask, struct entry *entry)
{
	const char *mtime = http_header_get(ask->headers, "X-Memory-Mtime");
	const char *mode = http_header_get(ask->headers, "X-Memory-Mode");
	const char *metadata = http_header_get(ask->headers, "X-Memory-Metadata");

	if (mtime != NULL)
		entry->mtime_ns = strtoll(mtime, NULL, 10);
	if (mode != NULL)
		entry->mode = (unsigned)strtoul(mode, NULL, 8) & 07777;
	if (metadata != NULL) {
		json_decref(entry->metadata);
		entry->metadata = json_loads(metadata, 0, NULL);
	}
}

static void
server_list(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	CLEANUP(cleanup_free) char *after = memory_query_get(ask->query, "after");
	CLEANUP(cleanup_free) char *limit = memory_query_get(ask->query, "limit");
	CLEANUP(cleanup_free) char *prefix = NULL;
	size_t max = limit == NULL ? MEMORY_PAGE_MAX : strtoul(limit, NULL, 10);
	json_t *entries;
	size_t i;

	if (!server_is_directory(server, ask->path)) {
		if (memory_server_find(server, ask->path) != NULL)
			memory_answer_error(answer, 424, "not a directory");
		else
			memory_answer_error(answer, 404, "no such directory");
		return;
	}
	prefix = *ask->path == '\0' ? xstrdup("") : xasprintf("%s/", ask->path);
	CLEANUP(cleanup_free) char *from = xasprintf("%s%s", prefix, after == NULL ? "" : after);
	entries = json_array();
	max = MAX(1, MIN(max, MEMORY_PAGE_MAX));
	for (i = server_position(server, from); i < server->len; i++) {
		const struct entry *entry = &server->objects[i]->entry;

		if (strncmp(entry->path, prefix, strlen(prefix)) != 0)
			break;
		if (strcmp(entry->path, from) == 0 ||
		    strchr(entry->path + strlen(prefix), '/') != NULL)
			continue;
		if (json_array_size(entries) == max)
			break;
		json_array_append_new(entries, entry_to_json(entry));
	}
	bool more =
	    i < server->len && strncmp(server->objects[i]->entry.path, prefix, strlen(prefix)) == 0;
	memory_answer_json(answer, 200, json_pack("{s:o, s:b}", "entries", entries, "more", more));
}

static void
server_usage(struct memory_server *server, struct memory_answer *answer)
{
	uint64_t used = 0;

	for (size_t i = 0; i < server->len; i++)
		used += server->objects[i]->entry.size;
	memory_answer_json(answer, 200,
	    json_pack("{s:I, s:I, s:I}", "total", (json_int_t)MEMORY_TOTAL, "used",
		(json_int_t)used, "available", (json_int_t)(MEMORY_TOTAL - used)));
}

/* "bytes=a-b" or "bytes=a-": false if it asks for nothing that is there. */
bool
memory_range_parse(uint64_t *offset, uint64_t *length, const char *range, uint64_t size)
{
	uint64_t first, last = UINT64_MAX;
	char *end;

	if (strncmp(range, "bytes=", 6) != 0)
		return false;
	first = strtoull(range + 6, &end, 10);
	if (*end != '-')
		return false;
	if (end[1] != '\0')
		last = strtoull(end + 1, NULL, 10);
	if (first >= size || last < first)
		return false;
	*offset = first;
	*length = MIN(last, size - 1) - first + 1;
	return true;
}

static void
server_export(struct memory_server *server, const struct memory_ask *ask,
    struct memory_object *object, struct memory_answer *answer)
{
	if (http_header_get(ask->headers, "Range") != NULL) {
		memory_answer_error(answer, 400, "an export has no ranges");
		return;
	}
	memory_answer_entry(answer, 200, &object->entry);
	answer->length = object->export_size;
	answer->body = memory_blob_new(object->blob->data, answer->length);
	answer->body->data[0] = answer->body->data[answer->length - 1] = ++object->exports;
	free(object->entry.version);
	object->entry.version = xasprintf("%" PRIx64, ++server->generation);
}

static void
server_get_content(
    const struct memory_ask *ask, const struct memory_object *object, struct memory_answer *answer)
{
	const char *range = http_header_get(ask->headers, "Range");
	uint64_t offset = 0, length = object->entry.size;
	CLEANUP(cleanup_free) char *text = NULL;

	if (range != NULL && !memory_range_parse(&offset, &length, range, object->entry.size)) {
		text = xasprintf("bytes */%" PRIu64, object->entry.size);
		http_headers_add(&answer->headers, "Content-Range", text);
		memory_answer_error(answer, 416, "no such range");
		return;
	}
	memory_answer_entry(answer, range == NULL ? 200 : 206, &object->entry);
	if (range != NULL) {
		text = xasprintf("bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
		    offset + length - 1, object->entry.size);
		http_headers_add(&answer->headers, "Content-Range", text);
	}
	answer->body = memory_blob_ref(object->blob);
	answer->offset = offset;
	answer->length = length;
}

static void
server_read(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	struct memory_object *object = memory_server_find(server, ask->path);
	bool head = strcmp(ask->method, "HEAD") == 0;
	struct entry root;

	if (object == NULL && head && *ask->path == '\0') {
		entry_init(&root);
		root.path = xstrdup("");
		root.kind = ENTRY_DIRECTORY;
		memory_answer_entry(answer, 200, &root);
		entry_fini(&root);
	} else if (object == NULL) {
		memory_answer_error(answer, 404, "no such object");
	} else if (!memory_ask_matches(ask, &object->entry)) {
		memory_answer_error(answer, 412, "it has another version");
	} else if (head) {
		memory_answer_entry(answer, 200, &object->entry);
	} else if (object->entry.kind == ENTRY_DIRECTORY) {
		memory_answer_error(answer, 405, "is a directory");
	} else if (object->entry.unsized) {
		server_export(server, ask, object, answer);
	} else {
		server_get_content(ask, object, answer);
	}
}

/* Makes room for a file at path.  0, or the status of the failure. */
int
memory_server_prepare(struct memory_server *server, const struct memory_ask *ask, const char *path,
    struct memory_answer *answer)
{
	const struct memory_object *object = memory_server_find(server, path);
	CLEANUP(cleanup_free) char *parent = NULL;

	if (*path == '\0' || server_is_directory(server, path)) {
		memory_answer_error(answer, 405, "is a directory");
		return answer->status;
	}
	if (object != NULL && http_header_get(ask->headers, "If-None-Match") != NULL) {
		memory_answer_error(answer, 409, "it exists");
		return answer->status;
	}
	parent = path_parent(path);
	if (server_make_directories(server, parent) != 0) {
		memory_answer_error(answer, 424, "a parent is not a directory");
		return answer->status;
	}
	return 0;
}

/* Replaces what is at path by a file with this content; its attributes are the caller's to set. */
struct memory_object *
memory_server_put_blob(struct memory_server *server, const char *path, struct memory_blob *blob,
    uint64_t size, const struct digests *digests)
{
	struct memory_object *object = memory_server_find(server, path);

	if (object != NULL)
		server_remove(server, object);
	object = server_add(server, path, ENTRY_FILE);
	object->blob = memory_blob_ref(blob);
	object->entry.size = size;
	object->entry.digests = *digests;
	object->entry.version = xasprintf("%" PRIx64, ++server->generation);
	return object;
}

static void
server_put(struct memory_server *server, const struct memory_ask *ask,
    const struct memory_blob *upload, size_t len, const struct digests *digests,
    struct memory_answer *answer)
{
	const char *type = http_header_get(ask->headers, "Content-Type");
	struct memory_object *object;

	if (memory_server_prepare(server, ask, ask->path, answer) != 0)
		return;
	object =
	    memory_server_put_blob(server, ask->path, (struct memory_blob *)upload, len, digests);
	object->entry.content_type = xstrdup_null(type);
	memory_ask_attributes(ask, &object->entry);
	memory_answer_entry(answer, 201, &object->entry);
}

static void
server_copy(struct memory_server *server, const struct memory_ask *ask,
    const struct memory_object *from, const char *to, struct memory_answer *answer)
{
	struct entry source;
	struct memory_object *object;
	struct memory_blob *blob;

	if (from->entry.kind == ENTRY_DIRECTORY) {
		memory_answer_error(answer, 405, "is a directory");
		return;
	}
	if (from->entry.unsized) {
		memory_answer_error(answer, 403, "it is only exported");
		return;
	}
	if (memory_server_prepare(server, ask, to, answer) != 0)
		return;
	/* The source goes away under our hands when it is copied onto itself. */
	entry_init(&source);
	entry_copy(&source, &from->entry);
	blob = memory_blob_ref(from->blob);
	object = memory_server_put_blob(server, to, blob, source.size, &source.digests);
	object->entry.mtime_ns = source.mtime_ns;
	object->entry.mode = source.mode;
	object->entry.content_type = xstrdup_null(source.content_type);
	object->entry.metadata = json_deep_copy(source.metadata);
	memory_ask_attributes(ask, &object->entry);
	memory_answer_entry(answer, 201, &object->entry);
	memory_blob_unref(blob);
	entry_fini(&source);
}

static int
object_compare(const void *a, const void *b)
{
	const struct memory_object *const *first = a, *const *second = b;

	return strcmp((*first)->entry.path, (*second)->entry.path);
}

static void
server_move(struct memory_server *server, const struct memory_ask *ask, struct memory_object *from,
    const char *to, struct memory_answer *answer)
{
	CLEANUP(cleanup_free) char *old = xstrdup(from->entry.path);
	CLEANUP(cleanup_free) char *parent = NULL;
	struct memory_object *there = memory_server_find(server, to);
	bool tree = from->entry.kind == ENTRY_DIRECTORY;

	if (strcmp(old, to) == 0) {
		memory_answer_entry(answer, 201, &from->entry);
		return;
	}
	if (tree && path_is_inside(to, old)) {
		memory_answer_error(answer, 400, "a directory cannot be moved into itself");
		return;
	}
	if (!tree && memory_server_prepare(server, ask, to, answer) != 0)
		return;
	if (tree && there != NULL) {
		if (http_header_get(ask->headers, "If-None-Match") != NULL)
			memory_answer_error(answer, 409, "it exists");
		else if (there->entry.kind == ENTRY_FILE)
			memory_answer_error(answer, 424, "the destination is not a directory");
		else if (!server_is_empty(server, to))
			memory_answer_error(answer, 422, "the destination is not empty");
		if (answer->status != 0)
			return;
	}
	parent = path_parent(to);
	if (server_make_directories(server, parent) != 0) {
		memory_answer_error(answer, 424, "a parent is not a directory");
		return;
	}
	if (there != NULL)
		server_remove(server, there);
	for (size_t i = 0; i < server->len; i++) {
		struct entry *entry = &server->objects[i]->entry;

		if (path_is_inside(entry->path, old)) {
			char *path = xasprintf("%s%s", to, entry->path + strlen(old));

			free(entry->path);
			entry->path = path;
		}
	}
	qsort(server->objects, server->len, sizeof *server->objects, object_compare);
	memory_server_log(server, old, tree);
	memory_server_log(server, to, tree);
	memory_answer_entry(answer, 201, &from->entry);
}

static void
server_copy_or_move(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	const char *header = http_header_get(ask->headers, "Destination");
	CLEANUP(cleanup_free) char *to = xstrdup(header == NULL ? "" : header);
	struct memory_object *from = memory_server_find(server, ask->path);

	uri_decode(to);
	if (*to == '\0' || !path_is_canonical(to))
		memory_answer_error(answer, 400, "no destination");
	else if (from == NULL)
		memory_answer_error(answer, 404, "no such object");
	else if (!memory_ask_matches(ask, &from->entry))
		memory_answer_error(answer, 412, "it has another version");
	else if (strcmp(ask->method, "COPY") == 0)
		server_copy(server, ask, from, to, answer);
	else
		server_move(server, ask, from, to, answer);
}

static void
server_delete(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	bool directory = memory_query_has(ask->query, "directory");
	struct memory_object *object = memory_server_find(server, ask->path);

	if (object == NULL)
		memory_answer_error(answer, 404, "no such object");
	else if (directory && object->entry.kind != ENTRY_DIRECTORY)
		memory_answer_error(answer, 424, "not a directory");
	else if (!directory && object->entry.kind == ENTRY_DIRECTORY)
		memory_answer_error(answer, 405, "is a directory");
	else if (!memory_ask_matches(ask, &object->entry))
		memory_answer_error(answer, 412, "it has another version");
	else if (directory && !server_is_empty(server, ask->path))
		memory_answer_error(answer, 422, "directory not empty");
	else
		server_remove(server, object);
	if (answer->status == 0)
		answer->status = 204;
}

static void
server_mkcol(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	const struct memory_object *object = memory_server_find(server, ask->path);

	if (object != NULL && object->entry.kind == ENTRY_FILE)
		memory_answer_error(answer, 409, "a file is there");
	else if (server_make_directories(server, ask->path) != 0)
		memory_answer_error(answer, 424, "a parent is not a directory");
	else
		answer->status = 201;
}

static void
server_patch(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	struct memory_object *object = memory_server_find(server, ask->path);

	if (object == NULL) {
		memory_answer_error(answer, 404, "no such object");
		return;
	}
	memory_ask_attributes(ask, &object->entry);
	memory_server_log(server, ask->path, false);
	memory_answer_entry(answer, 200, &object->entry);
}

static void
server_changes(
    struct memory_server *server, const struct memory_ask *ask, struct memory_answer *answer)
{
	CLEANUP(cleanup_free) char *after = memory_query_get(ask->query, "after");
	uint64_t from = after == NULL ? server->logged : strtoull(after, NULL, 10);
	json_t *body = json_pack("{s:o}", "cursor", json_sprintf("%" PRIu64, server->logged));
	json_t *changed = json_array();

	if (from > server->logged || server->logged - from > MEMORY_LOG_MAX) {
		json_decref(changed);
		memory_answer_json(answer, 200, body);
		return;
	}
	for (; from < server->logged; from++) {
		const struct memory_change *change = &server->log[from % MEMORY_LOG_MAX];

		json_array_append_new(changed,
		    json_pack("{s:s, s:b}", "path", change->path, "tree", change->is_tree));
	}
	json_object_set_new(body, "changed", changed);
	memory_answer_json(answer, 200, body);
}

void
memory_server_answer(struct memory_answer *answer, const struct memory_ask *ask,
    const struct memory_blob *upload, size_t upload_len)
{
	struct digests digests = {.have = 0};
	json_t *text = json_string(ask->path);
	struct memory_server *server;

	if (text == NULL || !path_is_canonical(ask->path)) {
		json_decref(text);
		memory_answer_error(answer, 400, "not a path in UTF-8");
		return;
	}
	json_decref(text);
	if (upload != NULL) {
		struct hash *hash = hash_new(HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C));

		hash_update(hash, upload->data, upload_len);
		hash_final(hash, &digests);
		hash_free(hash);
	}
	pthread_mutex_lock(&memory_lock);
	server = server_get(ask->server);
	if (memory_query_has(ask->query, "upload") || memory_query_has(ask->query, "uploads"))
		memory_upload_answer(server, ask, upload, upload_len, &digests, answer);
	else if (strcmp(ask->method, "GET") == 0 && memory_query_has(ask->query, "list"))
		server_list(server, ask, answer);
	else if (strcmp(ask->method, "GET") == 0 && memory_query_has(ask->query, "usage"))
		server_usage(server, answer);
	else if (strcmp(ask->method, "GET") == 0 && memory_query_has(ask->query, "changes"))
		server_changes(server, ask, answer);
	else if (strcmp(ask->method, "GET") == 0 || strcmp(ask->method, "HEAD") == 0)
		server_read(server, ask, answer);
	else if (strcmp(ask->method, "PUT") == 0 && upload != NULL)
		server_put(server, ask, upload, upload_len, &digests, answer);
	else if (strcmp(ask->method, "DELETE") == 0)
		server_delete(server, ask, answer);
	else if (strcmp(ask->method, "COPY") == 0 || strcmp(ask->method, "MOVE") == 0)
		server_copy_or_move(server, ask, answer);
	else if (strcmp(ask->method, "MKCOL") == 0)
		server_mkcol(server, ask, answer);
	else if (strcmp(ask->method, "PATCH") == 0)
		server_patch(server, ask, answer);
	else
		memory_answer_error(answer, 400, "no such method");
	pthread_mutex_unlock(&memory_lock);
}

static void
server_free(struct memory_server *server)
{
	struct fault *fault;
	struct count *count;

	for (size_t i = 0; i < server->len; i++)
		object_free(server->objects[i]);
	while ((fault = TAILQ_FIRST(&server->faults)) != NULL) {
		TAILQ_REMOVE(&server->faults, fault, next);
		free(fault->method);
		free(fault);
	}
	while ((count = TAILQ_FIRST(&server->counts)) != NULL) {
		TAILQ_REMOVE(&server->counts, count, next);
		free(count->method);
		free(count);
	}
	memory_uploads_free(server);
	for (size_t i = 0; i < MEMORY_LOG_MAX; i++)
		free(server->log[i].path);
	free(server->objects);
	free(server->name);
	free(server);
}

void
memory_forget(const char *name)
{
	struct memory_server *server;

	pthread_mutex_lock(&memory_lock);
	server = server_get(name);
	LIST_REMOVE(server, next);
	pthread_mutex_unlock(&memory_lock);
	server_free(server);
}

void
memory_forget_uploads(const char *name)
{
	pthread_mutex_lock(&memory_lock);
	memory_uploads_free(server_get(name));
	pthread_mutex_unlock(&memory_lock);
}

void
memory_keep_order(const char *name)
{
	pthread_mutex_lock(&memory_lock);
	server_get(name)->in_order = true;
	pthread_mutex_unlock(&memory_lock);
}

void
memory_unsize(const char *name, const char *path)
{
	struct memory_object *object;

	pthread_mutex_lock(&memory_lock);
	object = memory_server_find(server_get(name), path);
	assert(object != NULL && object->entry.size > 0);
	object->export_size = object->entry.size;
	object->entry.unsized = true;
	object->entry.size = 0;
	object->entry.digests.have = 0;
	pthread_mutex_unlock(&memory_lock);
}

void
memory_fault(const char *name, const char *method, unsigned count, int status, uint64_t after,
    uint64_t retry_after_s)
{
	struct fault *fault = xcalloc(1, sizeof *fault);

	fault->method = xstrdup_null(method);
	fault->count = count;
	fault->what = (struct memory_fault){status, after, retry_after_s};
	pthread_mutex_lock(&memory_lock);
	TAILQ_INSERT_TAIL(&server_get(name)->faults, fault, next);
	pthread_mutex_unlock(&memory_lock);
}

bool
memory_server_take_fault(struct memory_fault *out, const char *name, const char *method)
{
	struct memory_server *server;
	struct fault *fault;

	pthread_mutex_lock(&memory_lock);
	server = server_get(name);
	TAILQ_FOREACH (fault, &server->faults, next) {
		if (fault->method == NULL || strcmp(fault->method, method) == 0)
			break;
	}
	if (fault != NULL) {
		*out = fault->what;
		if (--fault->count == 0) {
			TAILQ_REMOVE(&server->faults, fault, next);
			free(fault->method);
			free(fault);
		}
	}
	pthread_mutex_unlock(&memory_lock);
	return fault != NULL;
}

void
memory_server_count(const char *name, const char *method)
{
	struct memory_server *server;
	struct count *count;

	pthread_mutex_lock(&memory_lock);
	server = server_get(name);
	TAILQ_FOREACH (count, &server->counts, next) {
		if (strcmp(count->method, method) == 0)
			break;
	}
	if (count == NULL) {
		count = xcalloc(1, sizeof *count);
		count->method = xstrdup(method);
		TAILQ_INSERT_TAIL(&server->counts, count, next);
	}
	count->requests++;
	pthread_mutex_unlock(&memory_lock);
}

uint64_t
memory_requests(const char *name, const char *method)
{
	const struct count *count;
	uint64_t requests = 0;

	pthread_mutex_lock(&memory_lock);
	TAILQ_FOREACH (count, &server_get(name)->counts, next) {
		if (method == NULL || strcmp(count->method, method) == 0)
			requests += count->requests;
	}
	pthread_mutex_unlock(&memory_lock);
	return requests;
}
