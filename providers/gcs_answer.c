#include "providers/gcs_answer.h"
#include "providers/gcs_account.h"
#include "providers/gcs_json.h"
#include "providers/object.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What Google's words mean to us ("HTTP status and error codes" for JSON, and for XML), and what
   can be done about it; what is not here goes by its status. */
static const struct {
	const char *name;
	int code;
	const char *hint;
} gcs_codes[] = {
    {"AccessDenied", -EACCES, NULL},
    {"BadDigest", -EBADMSG, NULL},
    {"BucketNotEmpty", -ENOTEMPTY, NULL},
    {"EntityTooLarge", -EFBIG, NULL},
    {"EntityTooSmall", -EINVAL, NULL},
    {"ExpiredToken", -EKEYEXPIRED, NULL},
    {"IncompleteBody", -ECONNRESET, NULL},
    {"InternalError", -EIO, NULL},
    {"InvalidPart", -EINVAL, NULL},
    {"InvalidPartOrder", -EINVAL, NULL},
    {"KeyTooLong", -ENAMETOOLONG, NULL},
    {"NoSuchBucket", -ENOENT, NULL},
    {"NoSuchKey", -ENOENT, NULL},
    {"NoSuchUpload", -ENOENT, NULL},
    {"PreconditionFailed", -ESTALE, NULL},
    {"RequestTimeout", -ETIMEDOUT, NULL},
    {"ServiceUnavailable", -EAGAIN, NULL},
    {"SlowDown", -EAGAIN, NULL},
    {"accessNotConfigured", -EACCES, "enable the Cloud Storage API for the project"},
    {"backendError", -EAGAIN, NULL},
    {"conditionNotMet", -ESTALE, NULL},
    {"dailyLimitExceeded", -EDQUOT, NULL},
    {"insufficientPermissions", -EACCES, "the grant does not include the scope for it"},
    {"objectUnderActiveHold", -EPERM, "a hold keeps it as it is"},
    {"quotaExceeded", -EDQUOT, NULL},
    {"rateLimitExceeded", -EAGAIN, NULL},
    {"retentionPolicyNotMet", -EPERM, "the bucket's retention policy keeps it as it is"},
    {"userRateLimitExceeded", -EAGAIN, NULL},
};

static int
status_code(int status)
{
	switch (status) {
	case 400: return -EINVAL;
	case 401: return -EKEYEXPIRED;
	case 403: return -EACCES;
	case 404:
	case 410: return -ENOENT; /* a session, or what a rewrite goes on with, after a week */
	case 405:
	case 501: return -EOPNOTSUPP;
	case 408: return -ETIMEDOUT;
	case 409:
	case 429:
	case 503: return -EAGAIN;
	case 412: return -ESTALE;
	case 413: return -EFBIG;
	case 507: return -EDQUOT;
	}
	if (status >= 300 && status < 400)
		return -EINVAL; /* it is not at this endpoint */
	return status >= 500 ? -EIO : -EPROTO;
}

/* 409 is "conflict", whatever it is about: of buckets it says that one is not empty, or is there.
 */
static int
conflict_code(const struct cloud_op *op)
{
	switch (op->kind) {
	case CLOUD_RMDIR: return -ENOTEMPTY;
	case CLOUD_MKDIR: return -EEXIST;
	default: return -EAGAIN;
	}
}

static int
error_code(const struct cloud_op *op, const struct http_response *res,
    const struct gcs_error *error, const char **hint)
{
	*hint = NULL;
	/* Nobody can sign in again where nobody has. */
	if (res->status == 401 && gcs_account(op)->oauth.token_url == NULL) {
		*hint = "the account has no credentials";
		return -EACCES;
	}
	for (size_t i = 0; i < ARRAY_LEN(gcs_codes); i++) {
		if (strcmp(gcs_codes[i].name, error->reason) == 0) {
			*hint = gcs_codes[i].hint;
			return gcs_codes[i].code;
		}
	}
	return res->status == 409 ? conflict_code(op) : status_code(res->status);
}

static bool
is_replacement(const struct cloud_op *op)
{
	bool writes = op->kind == CLOUD_PUT || op->kind == CLOUD_COPY ||
	    op->kind == CLOUD_UPLOAD_BEGIN || op->kind == CLOUD_UPLOAD_COMMIT;

	return op->put.no_replace && writes && (op->kind != CLOUD_COPY || op->version == NULL);
}

/* The only place where Google's answers become ours. */
int
gcs_check(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	bool good = res->status >= 200 && res->status < 300;
	struct gcs_error error;
	const char *hint;
	int code;

	/* What takes long may fail after it has answered 200, as S3's does. */
	if (good && op->kind != CLOUD_UPLOAD_COMMIT)
		return 0;
	gcs_read_error(&error, &res->body);
	if (good && error.reason[0] == '\0')
		return 0;
	code = error_code(op, res, &error, &hint);
	if (code == -ESTALE && is_replacement(op))
		return err_set(err, -EEXIST, "'%s' exists already", op->path);
	if (code == -ESTALE)
		return err_set(err, code,
		    "'%s' has changed: it is not the version any more that was asked for",
		    op->from != NULL ? op->path2 : op->path);
	if (error.message[0] == '\0')
		return err_set(err, code, "cannot %s '%s': the service answered %d (%s)",
		    object_doing(op), op->path, res->status, err_info(code)->text);
	return err_set(err, code, "cannot %s '%s': %s%s%s%s%s%s", object_doing(op), op->path,
	    error.reason, error.reason[0] == '\0' ? "" : ": ", error.message,
	    hint == NULL ? "" : " (", hint == NULL ? "" : hint, hint == NULL ? "" : ")");
}

/* One "crc32c=AAAAAA==" or "md5=..." of a list of them. */
static void
take_hash(struct digests *out, const char *text, size_t len)
{
	static const enum hash_type types[] = {HASH_CRC32C, HASH_MD5};
	unsigned char sum[HASH_MAX_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t name = strlen(hash_name(types[i]));

		if (len > name && text[name] == '=' &&
		    strncmp(text, hash_name(types[i]), name) == 0) {
			CLEANUP(cleanup_free)
			char *value = xstrndup(text + name + 1, len - name - 1);

			if (base64_decode(sum, sizeof sum, value) == (int)hash_size(types[i]))
				digests_set(out, types[i], sum);
		}
	}
}

void
gcs_take_hashes(struct digests *out, const struct http_response *res)
{
	const struct http_header *header;

	TAILQ_FOREACH (header, &res->headers, next) {
		const char *at = header->value;

		if (strcasecmp(header->name, "x-goog-hash") != 0)
			continue;
		while (*at != '\0') {
			size_t len;

			at += strspn(at, ", ");
			len = strcspn(at, ",");
			take_hash(out, at, len);
			at += len;
		}
	}
}

void
gcs_take_entry(struct cloud_op *op, const struct http_response *res, uint64_t size)
{
	const struct http_headers *headers = &res->headers;
	const char *mode = http_header_get(headers, "x-goog-meta-mode");
	struct entry *entry = &op->entry;

	object_take_file(op, size);
	entry->version = xstrdup_null(http_header_get(headers, "x-goog-generation"));
	entry->content_type = xstrdup_null(http_header_get(headers, "Content-Type"));
	entry->mode = object_mode(
	    mode != NULL ? mode : http_header_get(headers, "x-goog-meta-goog-reserved-posix-mode"));
	if (!gcs_take_mtime(entry, http_header_get(headers, "x-goog-meta-mtime"),
		http_header_get(headers, "x-goog-meta-goog-reserved-file-mtime")))
		entry->mtime_ns = object_modified(res);
	object_take_metadata(entry, headers, "x-goog-meta-");
	gcs_take_hashes(&entry->digests, res); /* of the whole, of a range too */
}

int
gcs_take_written(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *generation = http_header_get(&res->headers, "x-goog-generation");

	if (generation == NULL)
		return err_set(err, -EPROTO,
		    "'%s': it was written, but the service does not name its generation", op->path);
	object_take_file(op, op->length);
	op->entry.version = xstrdup(generation);
	op->entry.mtime_ns = op->put.mtime_ns;
	op->entry.mode = op->put.mode & 07777;
	gcs_take_hashes(&op->entry.digests, res);
	return 0;
}
