#include "providers/azure_answer.h"
#include "providers/azure_xml.h"
#include "providers/object.h"
#include "src/clock.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AZURE_SKEW_S (15 * 60) /* "Authorize with Shared Key": a request is valid for so long */

/* What Azure's words mean to us ("Common REST API error codes", "Blob Storage error codes"), and
   what can be done about it. */
static const struct {
	const char *name;
	int code;
	const char *hint;
} azure_codes[] = {
    {"AccountBeingCreated", -EAGAIN, NULL},
    {"AccountIsDisabled", -EACCES, NULL},
    {"AuthenticationFailed", -EKEYEXPIRED, NULL},
    {"AuthorizationFailure", -EACCES, NULL},
    {"BlobAlreadyExists", -EEXIST, NULL},
    {"BlobArchived", -EACCES,
	"it is in the archive tier: rehydrate it first (set its tier to Hot, Cool or Cold, and wait)"},
    {"BlobBeingRehydrated", -EACCES, "it is on its way out of the archive tier, which takes hours"},
    {"BlobImmutableDueToPolicy", -EPERM, "the container's policy keeps it as it is"},
    {"BlobNotFound", -ENOENT, NULL},
    {"BlockCountExceedsLimit", -E2BIG, NULL},
    {"BlockListTooLong", -E2BIG, NULL},
    {"ContainerAlreadyExists", -EEXIST, NULL},
    {"ContainerBeingDeleted", -EAGAIN, NULL},
    {"ContainerDisabled", -EACCES, NULL},
    {"ContainerNotFound", -ENOENT, NULL},
    {"Crc64Mismatch", -EBADMSG, NULL},
    {"InsufficientAccountPermissions", -EACCES, NULL},
    {"InternalError", -EIO, NULL},
    {"InvalidBlobOrBlock", -EBUSY,
	"another program has blocks there that were never finished; they vanish within a week"},
    {"InvalidBlobType", -EEXIST,
	"a page or append blob is there, which only a whole new blob can replace: remove it first"},
    {"InvalidBlockList", -EINVAL, NULL},
    {"InvalidResourceName", -EILSEQ, NULL},
    {"InvalidUri", -EILSEQ, NULL},
    {"Md5Mismatch", -EBADMSG, NULL},
    {"NoAuthenticationInformation", -EACCES, NULL},
    {"OperationTimedOut", -EAGAIN, NULL},
    {"PendingCopyOperation", -EBUSY, "it is being copied to"},
    {"PublicAccessNotPermitted", -EACCES, NULL},
    {"RequestBodyTooLarge", -EFBIG, NULL},
    {"ResourceNotFound", -ENOENT, NULL},
    {"ServerBusy", -EAGAIN, NULL},
    {"SnapshotsPresent", -EBUSY,
	"it has snapshots, which would be lost with it: delete them first"},
    {"SystemInUse", -EAGAIN, NULL},
    {"UnauthorizedBlobOverwrite", -EACCES, NULL},
};

/* Answers without words that are in the table. */
static int
azure_status_code(int status)
{
	switch (status) {
	case 400: return -EINVAL;
	case 401:
	case 403: return -EACCES;
	case 404: return -ENOENT;
	case 405:
	case 501: return -EOPNOTSUPP;
	case 408: return -ETIMEDOUT;
	case 409: return -EBUSY;
	case 429:
	case 503: return -EAGAIN;
	case 304:
	case 412: return -ESTALE;
	case 413: return -EFBIG;
	case 507: return -EDQUOT;
	}
	if (status >= 300 && status < 400)
		return -EINVAL; /* it is not at this endpoint */
	return status >= 500 ? -EIO : -EPROTO;
}

/* The header is there without a body too (HEAD); the body says more. */
static void
azure_read_error(struct azure_error *error, const struct http_response *res)
{
	const char *code = http_header_get(&res->headers, "x-ms-error-code");

	azure_xml_error(error, res->body.data, res->body.len);
	if (code != NULL)
		snprintf(error->code, sizeof error->code, "%s", code);
}

/* 409 and 412 are about what we asked not to replace, or about the version that we named. */
static bool
azure_is_replacement(const struct cloud_op *op, const struct azure_error *error)
{
	bool makes =
	    op->kind == CLOUD_PUT || op->kind == CLOUD_COPY || op->kind == CLOUD_UPLOAD_COMMIT;

	return op->put.no_replace && makes && strncmp(error->code, "Source", 6) != 0 &&
	    strcmp(error->code, "CannotVerifyCopySource") != 0;
}

/* How far the service's clock is from ours. */
static bool
azure_is_skewed(const struct cloud_op *op, const struct http_response *res)
{
	const char *date = http_header_get(&res->headers, "Date");
	int64_t theirs, ours = (int64_t)(op->now_ms / 1000);

	return date != NULL && clock_parse_http(&theirs, date) == 0 &&
	    (theirs > ours + AZURE_SKEW_S || theirs < ours - AZURE_SKEW_S);
}

/* AuthenticationFailed, which is about who asks and not about what: for which of its reasons?  HEAD
   has no words for it. */
static const char *
azure_refused_why(
    const struct cloud_op *op, const struct http_response *res, const struct azure_error *error)
{
	if (strstr(error->detail, "specified time frame") != NULL)
		return "the SAS token has expired, or is not valid yet";
	if (azure_is_skewed(op, res))
		return "set this machine's clock: timedatectl set-ntp true";
	return error->detail[0] != '\0' ? error->detail : NULL;
}

static int
azure_error_code(const struct cloud_op *op, const struct http_response *res,
    const struct azure_error *error, const char **hint)
{
	*hint = strcmp(error->code, "AuthenticationFailed") == 0 ? azure_refused_why(op, res, error)
								 : NULL;
	for (size_t i = 0; i < ARRAY_LEN(azure_codes); i++) {
		if (strcmp(azure_codes[i].name, error->code) == 0) {
			if (*hint == NULL)
				*hint = azure_codes[i].hint;
			return azure_codes[i].code;
		}
	}
	/* Whatever the reason is: another way will do. */
	if (op->link != NULL && strcmp(error->code, "CannotVerifyCopySource") == 0)
		return -EOPNOTSUPP;
	if (strncmp(error->code, "Lease", 5) != 0)
		return azure_status_code(res->status);
	*hint = "somebody holds a lease of it";
	return -EBUSY;
}

/* The only place where Azure's answers become ours. */
int
azure_check(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct azure_error error;
	const char *hint;
	int code;

	if (res->status >= 200 && res->status < 300)
		return 0;
	azure_read_error(&error, res);
	code = azure_error_code(op, res, &error, &hint);
	if ((code == -ESTALE || code == -EEXIST) && hint == NULL &&
	    azure_is_replacement(op, &error))
		return err_set(err, -EEXIST, "'%s' exists already", op->path);
	if (code == -ESTALE)
		return err_set(err, code,
		    "'%s' has changed: it is not the version any more that was asked for",
		    op->from != NULL ? op->path2 : op->path);
	if (error.code[0] == '\0')
		err_set(err, code, "cannot %s '%s': the service answered %d (%s)", object_doing(op),
		    op->path, res->status, err_info(code)->text);
	else
		err_set(err, code, "cannot %s '%s': %s%s%s%s%s%s", object_doing(op), op->path,
		    error.code, error.message[0] == '\0' ? "" : ": ", error.message,
		    hint == NULL ? "" : " (", hint == NULL ? "" : hint, hint == NULL ? "" : ")");
	if (code == -EAGAIN && err != NULL)
		err->wait_ms = http_retry_after(res, op->now_ms);
	return code;
}

bool
azure_is_folder(const struct http_response *res)
{
	const char *kind = http_header_get(&res->headers, "x-ms-resource-type");
	const char *mark = http_header_get(&res->headers, "x-ms-meta-hdi_isfolder");

	return (kind != NULL && strcmp(kind, "directory") == 0) ||
	    (mark != NULL && azure_is_folder_mark("hdi_isfolder", mark));
}

static void
take_md5(struct digests *out, const struct http_response *res, const char *name)
{
	const char *text = http_header_get(&res->headers, name);
	unsigned char md5[16];

	if (text != NULL && base64_decode(md5, sizeof md5, text) == (int)sizeof md5)
		digests_set(out, HASH_MD5, md5);
}

void
azure_take_digests(struct digests *out, const struct http_response *res)
{
	const char *text = http_header_get(&res->headers, "x-ms-content-crc64");
	unsigned char little[8], crc[8];

	take_md5(out, res, "Content-MD5");
	if (text == NULL || base64_decode(little, sizeof little, text) != (int)sizeof little)
		return;
	for (size_t i = 0; i < sizeof crc; i++) /* Azure writes it with the last byte first */
		crc[i] = little[sizeof little - 1 - i];
	digests_set(out, HASH_CRC64, crc);
}

void
azure_take_entry(struct cloud_op *op, const struct http_response *res, uint64_t size)
{
	const char *etag = http_header_get(&res->headers, "ETag");
	const char *mtime = http_header_get(&res->headers, "x-ms-meta-mtime");
	struct entry *entry = &op->entry;

	object_take_file(op, size);
	entry->version = etag == NULL ? NULL : object_version(etag);
	entry->content_type = xstrdup_null(http_header_get(&res->headers, "Content-Type"));
	entry->mode = object_mode(http_header_get(&res->headers, "x-ms-meta-mode"));
	object_take_metadata(entry, &res->headers, "x-ms-meta-");
	if (mtime == NULL || clock_parse_ns(&entry->mtime_ns, mtime) != 0)
		entry->mtime_ns = object_modified(res);
	/* Of a range, Content-MD5 would be that of the range. */
	take_md5(
	    &entry->digests, res, res->status == 206 ? "x-ms-blob-content-md5" : "Content-MD5");
}

int
azure_take_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	uint64_t size;

	if (azure_is_folder(res)) {
		object_take_directory(op);
		return 0;
	}
	if (object_length(&size, op, res, err) != 0)
		return -EPROTO;
	azure_take_entry(op, res, size);
	return object_check_named(op, err);
}

int
azure_take_written(
    struct cloud_op *op, const struct http_response *res, uint64_t size, struct err *err)
{
	const char *etag = http_header_get(&res->headers, "ETag");

	if (etag == NULL)
		return err_set(err, -EPROTO,
		    "'%s': it was written, but the service does not name its version", op->path);
	object_take_file(op, size);
	op->entry.version = object_version(etag);
	op->entry.mtime_ns = op->put.mtime_ns;
	op->entry.mode = op->put.mode & 07777;
	return 0;
}
