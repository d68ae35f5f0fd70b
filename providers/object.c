#include "providers/object.h"
#include "providers/providers.h"
#include "src/clock.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *
object_doing(const struct cloud_op *op)
{
	static const char *const doing[CLOUD_OP_KINDS] = {
	    [CLOUD_LIST] = "list",
	    [CLOUD_STAT] = "look up",
	    [CLOUD_READ] = "read",
	    [CLOUD_PUT] = "write",
	    [CLOUD_REMOVE] = "remove",
	    [CLOUD_RMDIR] = "remove the directory",
	    [CLOUD_MKDIR] = "make the directory",
	    [CLOUD_LINK] = "make a link to",
	    [CLOUD_COPY] = "copy to",
	    [CLOUD_UPLOAD_BEGIN] = "begin the upload of",
	    [CLOUD_UPLOAD_PART] = "upload a part of",
	    [CLOUD_COPY_PART] = "copy a part of",
	    [CLOUD_UPLOAD_STATUS] = "look up the upload of",
	    [CLOUD_UPLOAD_COMMIT] = "finish the upload of",
	    [CLOUD_UPLOAD_ABORT] = "abort the upload of",
	    [CLOUD_UPLOAD_FIND] = "list the uploads of",
	    [CLOUD_CHANGES] = "follow the changes of",
	};

	return doing[op->kind] == NULL ? "change" : doing[op->kind];
}

enum cloud_step
object_refuse(struct err *err, int code, const char *path, const char *why)
{
	err_set(err, code, "'%s': %s", path, why);
	return CLOUD_STEP_FAIL;
}

enum cloud_step
object_bad_answer(const struct cloud_op *op, const struct err *why, struct err *err)
{
	err_set(err, why->code, "cannot %s '%s': %s", object_doing(op), op->path, why->msg);
	return CLOUD_STEP_FAIL;
}

int
object_check_named(const struct cloud_op *op, struct err *err)
{
	if (op->entry.version != NULL)
		return 0;
	return err_set(err, -EPROTO, "cannot %s '%s': the answer does not name its version",
	    object_doing(op), op->path);
}

enum cloud_step
object_garbled(const struct cloud_op *op, const struct err *why, struct err *err)
{
	object_bad_answer(op, why, err);
	return provider_failed(why);
}

bool
object_locate(char *bucket, size_t size, const char **key, const char *only, const char *path,
    bool (*is_valid)(const char *name, size_t len))
{
	size_t len;

	if (only != NULL) {
		snprintf(bucket, size, "%s", only);
		*key = path;
		return true;
	}
	len = strcspn(path, "/");
	if (len >= size || (len > 0 && !is_valid(path, len)))
		return false;
	memcpy(bucket, path, len);
	bucket[len] = '\0';
	*key = path[len] == '/' ? path + len + 1 : path + len;
	return true;
}

bool
object_is_header_value(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	}
	return true;
}

bool
object_has_attributes(const struct cloud_put *put)
{
	return put->mtime_ns != ENTRY_NO_TIME || put->mode != 0 || put->content_type != NULL ||
	    put->metadata != NULL;
}

bool
object_is_own_metadatum(const char *name)
{
	/* Google's are those of its own tool; Azure's marks a directory. */
	static const char *const own[] = {"mtime", "mode", "goog-reserved-file-mtime",
	    "goog-reserved-posix-mode", "hdi_isfolder"};

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (strcasecmp(name, own[i]) == 0)
			return true;
	}
	return false;
}

void
object_take_metadatum(struct entry *entry, const char *name, const char *value)
{
	CLEANUP(cleanup_free) char *lower = xstrdup(name);

	if (*name == '\0' || object_is_own_metadatum(name) || !object_is_header_value(value))
		return;
	for (char *c = lower; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	if (entry->metadata == NULL)
		entry->metadata = json_object();
	json_object_set_new(entry->metadata, lower, json_string(value));
}

void
object_take_metadata(struct entry *entry, const struct http_headers *headers, const char *prefix)
{
	const struct http_header *header;
	size_t len = strlen(prefix);

	TAILQ_FOREACH (header, headers, next) {
		if (strncasecmp(header->name, prefix, len) == 0)
			object_take_metadatum(entry, header->name + len, header->value);
	}
}

/* The name as a header's rest, or NULL if it cannot be one (RFC 9110, 5.6.2).  Caller frees. */
static char *
metadatum_name(const char *name, bool identifiers)
{
	char *out = xstrdup(name);

	for (char *c = out; *c != '\0'; c++) {
		if (identifiers && (*c == '-' || *c == '.'))
			*c = '_';
		if (isalnum((unsigned char)*c) || *c == '_' ||
		    (!identifiers && strchr("!#$%&'*+-.^`|~", *c) != NULL))
			continue;
		free(out);
		return NULL;
	}
	if (*out != '\0' && !(identifiers && isdigit((unsigned char)*out)))
		return out;
	free(out);
	return NULL;
}

void
object_put_metadata(struct http_request *req, const struct cloud_put *put, const char *prefix,
    size_t most, bool identifiers)
{
	const char *key;
	json_t *item;

	json_object_foreach (put->metadata, key, item) {
		const char *value = json_string_value(item);
		char *name = metadatum_name(key, identifiers);
		size_t len =
		    name == NULL || value == NULL ? SIZE_MAX : strlen(name) + strlen(value);

		if (len <= most && !object_is_own_metadatum(name) &&
		    object_is_header_value(value)) {
			CLEANUP(cleanup_free) char *header = xasprintf("%s%s", prefix, name);

			/* "a-b" and "a_b" are one identifier. */
			if (http_header_get(&req->headers, header) == NULL) {
				http_request_header(req, header, "%s", value);
				most -= len;
			}
		}
		free(name);
	}
}

void
object_put_range(struct http_request *req, const struct cloud_op *op, const char *name)
{
	uint64_t from = op->offset + op->streamed;

	/* A range of nothing cannot be written down, and an empty object has none at all (416). */
	if (op->length == 0 || (from == 0 && op->length == UINT64_MAX))
		return;
	if (op->length == UINT64_MAX)
		http_request_header(req, name, "bytes=%" PRIu64 "-", from);
	else
		http_request_header(
		    req, name, "bytes=%" PRIu64 "-%" PRIu64, from, op->offset + op->length - 1);
}

const char *
object_pinned(const struct cloud_op *op)
{
	return op->version == NULL && op->streamed > 0 ? op->entry.version : op->version;
}

void
object_put_digest(struct http_request *req, const char *name, const void *sum, size_t len)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);

	buf_put_base64(&text, sum, len);
	http_request_header(req, name, "%s", buf_str(&text));
}

char *
object_version(const char *etag)
{
	size_t len = strlen(etag);

	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"')
		return xstrndup(etag + 1, len - 2);
	return xstrdup(etag);
}

bool
object_number(uint64_t *out, const char **text)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*out = strtoull(*text, &end, 10);
	*text = end;
	return errno == 0;
}

uint64_t
object_size(const char *text)
{
	uint64_t size;

	return object_number(&size, &text) && *text == '\0' ? size : UINT64_MAX;
}

int
object_length(
    uint64_t *out, const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *text = http_header_get(&res->headers, "Content-Length");

	if (text == NULL || !object_number(out, &text) || *text != '\0')
		return err_set(err, -EPROTO, "cannot %s '%s': the service does not say its size",
		    object_doing(op), op->path);
	return 0;
}

unsigned
object_mode(const char *text)
{
	if (text == NULL || *text == '\0' || text[strspn(text, "01234567")] != '\0')
		return 0;
	return (unsigned)strtoul(text, NULL, 8) & 07777;
}

int64_t
object_date(const char *text)
{
	int64_t seconds;

	if (text == NULL || clock_parse_http(&seconds, text) != 0 ||
	    seconds >= INT64_MAX / OBJECT_NSEC || seconds <= -INT64_MAX / OBJECT_NSEC)
		return ENTRY_NO_TIME;
	return seconds * OBJECT_NSEC;
}

int64_t
object_modified(const struct http_response *res)
{
	return object_date(http_header_get(&res->headers, "Last-Modified"));
}

/* "bytes a-b/total" */
static bool
parse_content_range(uint64_t *first, uint64_t *last, uint64_t *total, const char *text)
{
	if (text == NULL || strncasecmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	return object_number(first, &text) && *text++ == '-' && object_number(last, &text) &&
	    *text++ == '/' && object_number(total, &text) && *text == '\0' && *first <= *last &&
	    *last < *total;
}

int
object_check_range(
    const struct cloud_op *op, const struct http_response *res, uint64_t *size, struct err *err)
{
	uint64_t from = op->offset + op->streamed, first, last, end;

	if (res->status == 206) {
		if (!parse_content_range(
			&first, &last, size, http_header_get(&res->headers, "Content-Range")))
			return err_set(err, -EPROTO,
			    "cannot read '%s': the service sends a part and does not say which",
			    op->path);
		/* The last byte that is wanted, or that there is. */
		end = op->length == UINT64_MAX ? UINT64_MAX : op->offset + op->length - 1;
		if (first == from && last == MIN(end, *size - 1))
			return 0;
	} else if (object_length(size, op, res, NULL) == 0) {
		/* All of it, without a range: fine if that is what is wanted. */
		if (from == 0 && op->length >= *size)
			return 0;
	}
	return err_set(err, -EPROTO,
	    "cannot read '%s': the service does not send the range that was asked for", op->path);
}

void
object_take_directory(struct cloud_op *op)
{
	entry_fini(&op->entry);
	entry_init(&op->entry);
	op->entry.path = xstrdup(op->path);
	op->entry.kind = ENTRY_DIRECTORY;
}

void
object_take_file(struct cloud_op *op, uint64_t size)
{
	object_take_directory(op);
	op->entry.kind = ENTRY_FILE;
	op->entry.size = size;
}
