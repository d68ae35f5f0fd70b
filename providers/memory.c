/*
 * The memory driver: objects inside the process, for tests, and the template for a new driver.
 *
 * What a driver is, in the order of this file: the values an account needs (fields); open(), which
 * checks them; request(), which writes the next request of an op; check(), the one place where the
 * server's statuses become errnos; head(), which looks at an answer before its body moves;
 * response(), which says what the answer meant; and the table at the end.  Nothing here waits,
 * allocates beyond the op, or knows of loops.  The server's protocol is described in src/memory.h.
 */
#include "providers/providers.h"
#include "src/path.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_PARTS_MAX 10000

struct memory_account {
	char server[65];
};

static const struct cloud_field memory_fields[] = {
    {
	.name = "server",
	.title = "Server",
	.help = "Name of the in-process server; made at first use",
	.required = true,
    },
    {.name = NULL},
};

static int
memory_open(struct account *account, const json_t *credentials, struct err *err)
{
	struct memory_account *memory = account->data;
	const char *server = json_string_value(json_object_get(credentials, "server"));

	/* The rules of account names are just right for the host part of a URL. */
	if (server == NULL || !account_name_is_valid(server))
		return err_set(err, -EINVAL, "server: '%s' cannot be a server's name",
		    server == NULL ? "" : server);
	snprintf(memory->server, sizeof memory->server, "%s", server);
	return 0;
}

static void
memory_put_range(struct cloud_op *op, struct http_request *req)
{
	uint64_t from = op->offset + op->streamed; /* the runner goes on after a failure */

	if (op->length == UINT64_MAX)
		http_request_header(req, "Range", "bytes=%" PRIu64 "-", from);
	else
		http_request_header(
		    req, "Range", "bytes=%" PRIu64 "-%" PRIu64, from, op->offset + op->length - 1);
}

static void
memory_put_attributes(struct cloud_op *op, struct http_request *req)
{
	if (op->put.mtime_ns != ENTRY_NO_TIME)
		http_request_header(req, "X-Memory-Mtime", "%" PRId64, op->put.mtime_ns);
	if (op->put.mode != 0)
		http_request_header(req, "X-Memory-Mode", "%o", op->put.mode);
	if (op->put.metadata != NULL) {
		char *text = json_dumps(op->put.metadata, JSON_COMPACT | JSON_ENSURE_ASCII);

		http_request_header(req, "X-Memory-Metadata", "%s", text);
		free(text);
	}
	if (op->put.content_type != NULL)
		http_request_header(req, "Content-Type", "%s", op->put.content_type);
	if (op->put.no_replace)
		http_request_header(req, "If-None-Match", "*");
}

static void
memory_put_destination(const char *path, struct http_request *req)
{
	CLEANUP(buf_free) struct buf encoded = BUF_INIT(HTTP_URL_MAX);

	buf_put_uri(&encoded, path, "/");
	http_request_header(req, "Destination", "%s", buf_str(&encoded));
}

/* "?upload": a new one, that of the op, or a part of it. */
static void
memory_put_upload(struct cloud_op *op, struct http_request *req)
{
	bool part = op->kind == CLOUD_UPLOAD_PART || op->kind == CLOUD_COPY_PART;

	buf_puts(&req->url, "?upload");
	if (op->kind == CLOUD_UPLOAD_BEGIN)
		return;
	buf_putc(&req->url, '=');
	buf_put_uri(&req->url, op->upload, NULL);
	if (part)
		buf_printf(&req->url, "&part=%u", op->part.number);
	/* A page begins where the parts that came end. */
	if (op->kind == CLOUD_UPLOAD_STATUS && op->parts.len > 0)
		buf_printf(&req->url, "&after=%u", op->parts.items[op->parts.len - 1].number);
}

static bool
memory_put_parts(const struct cloud_op *op, struct http_request *req)
{
	json_t *parts = json_array();
	json_t *body = json_pack("{s:o}", "parts", parts);
	char *text;

	for (size_t i = 0; i < op->parts.len; i++)
		json_array_append_new(parts,
		    json_pack("{s:I, s:s}", "number", (json_int_t)op->parts.items[i].number, "tag",
			op->parts.items[i].tag));
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (text != NULL)
		buf_puts(&req->bytes, text);
	free(text);
	return text != NULL;
}

static enum cloud_step
memory_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	const struct memory_account *memory = op->account->data;
	struct http_request *req = &request->http;
	/* Copies read path2 and write path; everything else begins at path. */
	bool copies = op->kind == CLOUD_COPY || op->kind == CLOUD_COPY_PART;
	const char *path = copies ? op->path2 : op->path;
	const char *version = op->version;

	buf_printf(&req->url, "memory://%s/", memory->server);
	buf_put_uri(&req->url, path, "/");
	switch (op->kind) {
	case CLOUD_LIST:
		req->method = "GET";
		buf_puts(&req->url, "?list");
		/* Where the last page ended is in the list itself: a driver keeps little state. */
		if (op->list.len > 0) {
			buf_puts(&req->url, "&after=");
			buf_put_uri(
			    &req->url, path_name(op->list.items[op->list.len - 1].path), NULL);
		}
		break;
	case CLOUD_STAT: req->method = "HEAD"; break;
	case CLOUD_READ:
		/* No byte is wanted: the entry is, and a range of nothing cannot be written down.
		 */
		req->method = op->length == 0 ? "HEAD" : "GET";
		if (op->length != 0 && (op->offset + op->streamed > 0 || op->length != UINT64_MAX))
			memory_put_range(op, req);
		if (version == NULL && op->streamed > 0)
			version = op->entry.version; /* go on with what we began with */
		break;
	case CLOUD_PUT:
		req->method = "PUT";
		req->body = op->length == 0 ? HTTP_BODY_BYTES : HTTP_BODY_STREAM;
		req->length = op->length;
		memory_put_attributes(op, req);
		break;
	case CLOUD_COPY:
		req->method = "COPY";
		memory_put_destination(op->path, req);
		memory_put_attributes(op, req);
		break;
	case CLOUD_MOVE:
		req->method = "MOVE";
		memory_put_destination(op->path2, req);
		if (op->put.no_replace)
			http_request_header(req, "If-None-Match", "*");
		break;
	case CLOUD_REMOVE: req->method = "DELETE"; break;
	case CLOUD_RMDIR:
		req->method = "DELETE";
		buf_puts(&req->url, "?directory");
		break;
	case CLOUD_MKDIR: req->method = "MKCOL"; break;
	case CLOUD_SETATTR:
		req->method = "PATCH";
		memory_put_attributes(op, req);
		break;
	case CLOUD_USAGE:
		req->method = "GET";
		buf_puts(&req->url, "?usage");
		break;
	case CLOUD_CHANGES:
		req->method = "GET";
		buf_puts(&req->url, "?changes");
		if (op->cursor != NULL) {
			buf_puts(&req->url, "&after=");
			buf_put_uri(&req->url, op->cursor, NULL);
		}
		break;
	case CLOUD_SWEEP: return CLOUD_STEP_DONE; /* a PUT is atomic and leaves nothing */
	case CLOUD_UPLOAD_BEGIN:
		req->method = "POST";
		req->body = HTTP_BODY_BYTES;
		memory_put_upload(op, req);
		memory_put_attributes(op, req);
		break;
	case CLOUD_UPLOAD_PART:
		req->method = "PUT";
		req->body = op->length == 0 ? HTTP_BODY_BYTES : HTTP_BODY_STREAM;
		req->length = op->length;
		memory_put_upload(op, req);
		break;
	case CLOUD_COPY_PART:
		req->method = "COPY";
		memory_put_upload(op, req);
		memory_put_destination(op->path, req);
		memory_put_range(op, req);
		break;
	case CLOUD_UPLOAD_STATUS:
		req->method = "GET";
		memory_put_upload(op, req);
		break;
	case CLOUD_UPLOAD_COMMIT:
		req->method = "POST";
		req->body = HTTP_BODY_BYTES;
		memory_put_upload(op, req);
		if (op->put.no_replace)
			http_request_header(req, "If-None-Match", "*");
		if (!memory_put_parts(op, req)) {
			err_set(err, -EINVAL, "'%s': a part's tag is not UTF-8", op->path);
			return CLOUD_STEP_FAIL;
		}
		break;
	case CLOUD_UPLOAD_ABORT:
		req->method = "DELETE";
		memory_put_upload(op, req);
		break;
	case CLOUD_UPLOAD_FIND:
		req->method = "GET";
		buf_puts(&req->url, "?uploads");
		break;
	default:
		err_set(err, -EOPNOTSUPP, "the memory driver cannot do this");
		return CLOUD_STEP_FAIL;
	}
	if (version != NULL)
		http_request_header(req, "If-Match", "\"%s\"", version);
	if (req->url.failed) {
		err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", op->path);
		return CLOUD_STEP_FAIL;
	}
	return CLOUD_STEP_SEND;
}

/* The only place where the server's statuses become ours. */
static int
memory_check(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	static const struct {
		int status, code;
	} meanings[] = {
	    {400, -EINVAL},
	    {401, -EKEYEXPIRED},
	    {403, -EACCES},
	    {404, -ENOENT},
	    {405, -EISDIR},
	    {409, -EEXIST},
	    {412, -ESTALE},
	    {413, -EFBIG},
	    {422, -ENOTEMPTY},
	    {424, -ENOTDIR},
	    {500, -EIO},
	    {503, -EAGAIN},
	    {507, -EDQUOT},
	};
	json_t *body;
	const char *message;
	int code = -EPROTO;

	if (res->status >= 200 && res->status < 300)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (meanings[i].status == res->status)
			code = meanings[i].code;
	}
	body = json_loadb(buf_str(&res->body), res->body.len, 0, NULL);
	message = json_string_value(json_object_get(body, "message"));
	err_set(err, code, "'%s': the server answered %d%s%s", op->path, res->status,
	    message == NULL ? "" : ": ", message == NULL ? "" : message);
	if (code == -EAGAIN && err != NULL)
		err->wait_ms = http_retry_after(res, op->now_ms);
	json_decref(body);
	return code;
}

/* An entry that came as a header, into op->entry. */
static int
memory_take_entry(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *text = http_header_get(&res->headers, "X-Memory-Entry");
	json_t *json;
	int code;

	if (text == NULL)
		return err_set(err, -EPROTO, "'%s': the answer has no entry", op->path);
	json = json_loads(text, 0, NULL);
	entry_fini(&op->entry);
	entry_init(&op->entry);
	code = entry_from_json(&op->entry, json, err);
	json_decref(json);
	return code;
}

static enum cloud_step
memory_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	CLEANUP(cleanup_free) char *range = NULL;
	uint64_t from = op->offset + op->streamed;
	const char *got;

	/* An error page must never become content: only a right answer to a READ is streamed. */
	if (op->kind != CLOUD_READ || op->length == 0 || res->status < 200 || res->status > 299)
		return CLOUD_STEP_COLLECT;
	if (memory_take_entry(op, res, err) != 0)
		return CLOUD_STEP_FAIL;
	range = xasprintf("bytes %" PRIu64 "-", from);
	got = http_header_get(&res->headers, "Content-Range");
	if (got == NULL ? from > 0 : strncmp(got, range, strlen(range)) != 0) {
		err_set(
		    err, -EPROTO, "'%s': the answer is not the range that was asked for", op->path);
		return CLOUD_STEP_FAIL;
	}
	return CLOUD_STEP_STREAM;
}

static int
memory_take_list(struct cloud_op *op, const json_t *body, bool *more, struct err *err)
{
	const json_t *entries = json_object_get(body, "entries");
	const json_t *item;
	size_t i;

	if (!json_is_array(entries))
		return err_set(err, -EPROTO, "'%s': the answer is no list", op->path);
	json_array_foreach (entries, i, item) {
		int code = entry_from_json(entry_list_add(&op->list), item, err);

		if (code != 0)
			return code;
	}
	*more = json_is_true(json_object_get(body, "more")) && i > 0;
	return 0;
}

static int
memory_take_usage(struct cloud_op *op, const json_t *body, struct err *err)
{
	json_int_t total, used, available;

	if (json_unpack((json_t *)body, "{s:I, s:I, s:I}", "total", &total, "used", &used,
		"available", &available) != 0)
		return err_set(err, -EPROTO, "the answer is no usage");
	op->usage = (struct disk_usage){(uint64_t)total, (uint64_t)used, (uint64_t)available};
	return 0;
}

static int
memory_take_changes(struct cloud_op *op, const json_t *body, struct err *err)
{
	const char *cursor = json_string_value(json_object_get(body, "cursor"));
	const json_t *changed = json_object_get(body, "changed"), *item;
	const char *path;
	int is_tree;
	size_t i;

	if (cursor == NULL)
		return err_set(err, -EPROTO, "the answer tells no changes");
	xstrset(&op->cursor, cursor);
	if (changed == NULL)
		cloud_changed_all(&op->changed);
	json_array_foreach (changed, i, item) {
		if (json_unpack((json_t *)item, "{s:s, s:b}", "path", &path, "tree", &is_tree) != 0)
			return err_set(err, -EPROTO, "the answer tells no changes");
		cloud_changed_add(&op->changed, path, is_tree);
	}
	return 0;
}

/* A part as the server describes it, and (may be NULL) the hashes of its content. */
static int
memory_take_part(struct upload_part *out, struct digests *digests, const json_t *json,
    const struct cloud_op *op, struct err *err)
{
	struct digests have = {.have = 0};
	json_int_t number, length;
	const char *tag;
	json_t *hashes;

	if (json_unpack((json_t *)json, "{s:I, s:I, s:s, s:o}", "number", &number, "length",
		&length, "tag", &tag, "hashes", &hashes) != 0 ||
	    number < 1 || number > MEMORY_PARTS_MAX || length < 0 || strlen(tag) >= sizeof out->tag)
		return err_set(err, -EPROTO, "'%s': the answer has no part", op->path);
	*out = (struct upload_part){.number = (unsigned)number, .length = (uint64_t)length};
	snprintf(out->tag, sizeof out->tag, "%s", tag);
	digests_from_json(&have, hashes);
	out->has_crc32c = (have.have & HASH_BIT(HASH_CRC32C)) != 0;
	for (size_t i = 0; out->has_crc32c && i < hash_size(HASH_CRC32C); i++)
		out->crc32c = out->crc32c << 8 | have.sum[HASH_CRC32C][i];
	if (digests != NULL)
		*digests = have;
	return 0;
}

static int
memory_take_own_part(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *text = http_header_get(&res->headers, "X-Memory-Part");
	json_t *json = text == NULL ? NULL : json_loads(text, 0, NULL);
	struct upload_part part;
	int code = memory_take_part(&part, &op->entry.digests, json, op, err);

	json_decref(json);
	if (code == 0 && part.number != op->part.number)
		code = err_set(err, -EPROTO, "'%s': the answer is about another part", op->path);
	if (code == 0)
		op->part = part;
	return code;
}

static int
memory_take_parts(struct cloud_op *op, const json_t *body, bool *more, struct err *err)
{
	const json_t *parts = json_object_get(body, "parts");
	unsigned last = op->parts.len == 0 ? 0 : op->parts.items[op->parts.len - 1].number;
	struct upload_part part;
	const json_t *item;
	size_t i;

	if (!json_is_array(parts))
		return err_set(err, -EPROTO, "'%s': the answer is no list of parts", op->path);
	json_array_foreach (parts, i, item) {
		int code = memory_take_part(&part, NULL, item, op, err);

		if (code != 0)
			return code;
		if (part.number <= last)
			return err_set(err, -EPROTO, "'%s': the parts are not in order", op->path);
		last = part.number;
		*upload_parts_add(&op->parts) = part;
	}
	*more = json_is_true(json_object_get(body, "more")) && i > 0;
	return 0;
}

static int
memory_take_uploads(struct cloud_op *op, const json_t *body, struct err *err)
{
	const json_t *uploads = json_object_get(body, "uploads");
	const json_t *item;
	size_t i;

	if (!json_is_array(uploads) || json_array_size(uploads) > CLOUD_UPLOADS_MAX)
		return err_set(err, -EPROTO, "'%s': the answer is no list of uploads", op->path);
	op->uploads = xcalloc(MAX(json_array_size(uploads), 1), sizeof *op->uploads);
	json_array_foreach (uploads, i, item) {
		if (!json_is_string(item))
			return err_set(
			    err, -EPROTO, "'%s': the answer is no list of uploads", op->path);
		op->uploads[op->uploads_len++] = xstrdup(json_string_value(item));
	}
	return 0;
}

static int
memory_take_upload(struct cloud_op *op, const json_t *body, struct err *err)
{
	const char *id = json_string_value(json_object_get(body, "upload"));

	if (id == NULL)
		return err_set(err, -EPROTO, "'%s': the answer names no upload", op->path);
	xstrset(&op->upload, id);
	return 0;
}

static int
memory_take_body(struct cloud_op *op, const json_t *body, bool *more, struct err *err)
{
	switch (op->kind) {
	case CLOUD_LIST: return memory_take_list(op, body, more, err);
	case CLOUD_USAGE: return memory_take_usage(op, body, err);
	case CLOUD_CHANGES: return memory_take_changes(op, body, err);
	case CLOUD_UPLOAD_BEGIN: return memory_take_upload(op, body, err);
	case CLOUD_UPLOAD_STATUS: return memory_take_parts(op, body, more, err);
	default: return memory_take_uploads(op, body, err);
	}
}

static enum cloud_step
memory_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	json_t *body = NULL;
	bool more = false;
	int code;

	/* Reading from the end on: nothing, and no error. */
	if (op->kind == CLOUD_READ && res->status == 416)
		return CLOUD_STEP_DONE;
	code = memory_check(op, res, err);
	if (code != 0)
		return provider_failed(err);
	switch (op->kind) {
	case CLOUD_LIST:
	case CLOUD_USAGE:
	case CLOUD_CHANGES:
	case CLOUD_UPLOAD_BEGIN:
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_FIND:
		body = json_loadb(buf_str(&res->body), res->body.len, 0, NULL);
		code = memory_take_body(op, body, &more, err);
		json_decref(body);
		break;
	case CLOUD_UPLOAD_PART:
	case CLOUD_COPY_PART: code = memory_take_own_part(op, res, err); break;
	case CLOUD_READ: /* STREAM took the entry already */
	case CLOUD_STAT:
	case CLOUD_PUT:
	case CLOUD_COPY:
	case CLOUD_MOVE:
	case CLOUD_UPLOAD_COMMIT:
	case CLOUD_SETATTR: code = memory_take_entry(op, res, err); break;
	default: break;
	}
	if (code != 0)
		return CLOUD_STEP_FAIL;
	return more ? CLOUD_STEP_NEXT : CLOUD_STEP_DONE;
}

static char *
memory_identity(const struct account *account, const char *path)
{
	const struct memory_account *memory = account->data;

	return xasprintf("memory://%s/%s", memory->server, path);
}

const struct cloud_driver memory_driver = {
    .name = "memory",
    .title = "Objects in memory (for tests)",
    .transport = CLOUD_MEMORY,
    .features = CLOUD_KEEPS_METADATA | CLOUD_CAN_COPY | CLOUD_CAN_MOVE | CLOUD_CAN_MOVE_DIR |
	CLOUD_HAS_DIRECTORIES | CLOUD_KEEPS_MTIME | CLOUD_KEEPS_MODE | CLOUD_CAN_SETATTR |
	CLOUD_HAS_CHANGES | CLOUD_TEST_ONLY,
    .limits = {.put_max = (uint64_t)1 << 30,
	.part_min = 1024,
	.part_max = (uint64_t)1 << 30,
	.part_size = (uint64_t)1 << 20,
	.upload_from = (uint64_t)8 << 20,
	.parts_max = MEMORY_PARTS_MAX,
	.copy_max = (uint64_t)16 << 20,
	.concurrency = 64},
    .fields = memory_fields,
    .hashes = HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C),
    .account_size = sizeof(struct memory_account),
    .open = memory_open,
    .request = memory_request,
    .head = memory_head,
    .response = memory_response,
    .identity = memory_identity,
};
