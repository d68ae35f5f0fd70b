#include "providers/s3_answer.h"
#include "providers/object.h"
#include "providers/s3_account.h"
#include "providers/s3_xml.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define S3_MTIME_MAX (INT64_MAX / OBJECT_NSEC)

/* What S3's words mean to us ("Error responses", API Reference). */
static const struct {
	const char *name;
	int code;
} s3_codes[] = {
    {"AccessDenied", -EACCES},
    {"AccountProblem", -EACCES},
    {"AllAccessDisabled", -EACCES},
    {"AuthorizationHeaderMalformed", -EACCES},
    {"BadDigest", -EBADMSG},
    {"BucketAlreadyExists", -EEXIST},
    {"BucketAlreadyOwnedByYou", -EEXIST},
    {"BucketNotEmpty", -ENOTEMPTY},
    {"ConditionalRequestConflict", -EAGAIN},
    {"EntityTooLarge", -EFBIG},
    {"EntityTooSmall", -EINVAL},
    {"ExpiredToken", -EKEYEXPIRED},
    {"IncompleteBody", -ECONNRESET},
    {"InternalError", -EIO},
    {"InvalidAccessKeyId", -EKEYEXPIRED},
    {"InvalidBucketName", -EINVAL},
    {"InvalidObjectState", -EACCES},
    {"InvalidPart", -EINVAL},
    {"InvalidPartOrder", -EINVAL},
    {"InvalidToken", -EKEYEXPIRED},
    {"KeyTooLongError", -ENAMETOOLONG},
    {"NoSuchBucket", -ENOENT},
    {"NoSuchKey", -ENOENT},
    {"NoSuchUpload", -ENOENT},
    {"OperationAborted", -EAGAIN},
    {"PreconditionFailed", -ESTALE},
    {"QuotaExceeded", -EDQUOT},
    {"RequestTimeTooSkewed", -EKEYEXPIRED},
    {"RequestTimeout", -ETIMEDOUT},
    {"ServiceUnavailable", -EAGAIN},
    {"SignatureDoesNotMatch", -EKEYEXPIRED},
    {"SlowDown", -EAGAIN},
    {"TokenRefreshRequired", -EKEYEXPIRED},
    {"TooManyBuckets", -EDQUOT},
    {"XAmzContentSHA256Mismatch", -EBADMSG},
};

/* Answers without words: to HEAD, and of proxies. */
static int
s3_status_code(int status)
{
	switch (status) {
	case 400: return -EINVAL;
	case 401: return -EKEYEXPIRED;
	case 403: return -EACCES;
	case 404: return -ENOENT;
	case 405:
	case 501: return -EOPNOTSUPP;
	case 408: return -ETIMEDOUT;
	case 409:
	case 429:
	case 503: return -EAGAIN;
	case 412: return -ESTALE;
	case 413: return -EFBIG;
	case 500:
	case 502:
	case 504: return -EIO;
	case 507: return -EDQUOT;
	}
	return status >= 500 ? -EIO : -EPROTO; /* 520 and the like are gateways' own */
}

/* These answer 200 when they have begun, and may fail afterwards ("CompleteMultipartUpload",
   "CopyObject", "UploadPartCopy": the body must be looked at). */
static bool
s3_may_fail_late(const struct cloud_op *op)
{
	return op->kind == CLOUD_COPY || op->kind == CLOUD_COPY_PART ||
	    op->kind == CLOUD_UPLOAD_COMMIT;
}

bool
s3_region_of(char out[S3_REGION_MAX], const struct http_response *res)
{
	const char *header = http_header_get(&res->headers, "x-amz-bucket-region");
	struct s3_error error;

	s3_xml_error(&error, res->body.data, res->body.len);
	if (header == NULL)
		header = error.region;
	snprintf(out, S3_REGION_MAX, "%s", header);
	/* A wrong region is said so; a hint beside another error is none. */
	return *out != '\0' &&
	    ((res->status >= 300 && res->status < 400) ||
		(res->status == 400 &&
		    (error.code[0] == '\0' ||
			strcmp(error.code, "AuthorizationHeaderMalformed") == 0 ||
			strcmp(error.code, "IllegalLocationConstraintException") == 0)));
}

/* 412 is about what we asked not to replace, or about the version that we named. */
static bool
s3_is_replacement(const struct cloud_op *op, const struct s3_error *error)
{
	if (!op->put.no_replace || (op->kind != CLOUD_PUT && !s3_may_fail_late(op)))
		return false;
	if (error->condition[0] != '\0')
		return strcasestr(error->condition, "none-match") != NULL;
	return op->kind != CLOUD_COPY || op->version == NULL;
}

static int
s3_error_code(const struct http_response *res, const struct s3_error *error)
{
	int code = s3_status_code(res->status);

	for (size_t i = 0; i < ARRAY_LEN(s3_codes); i++) {
		if (strcmp(s3_codes[i].name, error->code) == 0)
			code = s3_codes[i].code;
	}
	return code;
}

/* The keys of one account may not even see the bucket of another (tenants): the source is not
   missing for that. */
static bool
s3_is_out_of_sight(const struct cloud_op *op, const struct s3_error *error)
{
	return (op->kind == CLOUD_COPY || op->kind == CLOUD_COPY_PART) && op->from != op->account &&
	    strcmp(op->from->id, op->account->id) != 0 && strcmp(error->code, "NoSuchUpload") != 0;
}

static const char *
s3_hint(const struct cloud_op *op, int status, const struct s3_error *error)
{
	const struct s3_account *s3 = op->account->data;

	if (strcmp(error->code, "RequestTimeTooSkewed") == 0)
		return " (set this machine's clock: timedatectl set-ntp true)";
	if (status == 503 && (s3->kind->has & S3_FULL_IS_BUSY) != 0 &&
	    strcmp(error->code, "SlowDown") != 0)
		return " (it says so, too, when its disks are full)";
	return "";
}

/* The only place where S3's answers become ours. */
int
s3_check(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	bool good = res->status >= 200 && res->status < 300;
	char region[S3_REGION_MAX];
	struct s3_error error;
	int code;

	if (good && !s3_may_fail_late(op))
		return 0;
	s3_xml_error(&error, res->body.data, res->body.len);
	if (good && error.code[0] == '\0')
		return 0;
	if (s3_region_of(region, res) || (res->status >= 300 && res->status < 400))
		return err_set(err, -EINVAL,
		    "cannot %s '%s': the bucket is not at this endpoint%s%s: set the account's region "
		    "and endpoint to the bucket's",
		    object_doing(op), op->path, *region == '\0' ? "" : ", but in region ", region);
	code = s3_error_code(res, &error);
	if (code == -ENOENT && s3_is_out_of_sight(op, &error))
		code = -EXDEV;
	if (code == -ESTALE && s3_is_replacement(op, &error))
		return err_set(err, -EEXIST, "'%s' exists already", op->path);
	if (code == -ESTALE)
		return err_set(err, code,
		    "'%s' has changed: it is not the version any more that "
		    "was asked for",
		    op->from != NULL ? op->path2 : op->path);
	if (error.code[0] == '\0')
		err_set(err, code, "cannot %s '%s': the service answered %d (%s)%s",
		    object_doing(op), op->path, res->status, err_info(code)->text,
		    s3_hint(op, res->status, &error));
	else
		err_set(err, code, "cannot %s '%s': %s%s%s%s", object_doing(op), op->path,
		    error.code, error.message[0] == '\0' ? "" : ": ", error.message,
		    s3_hint(op, res->status, &error));
	if (code == -EAGAIN && err != NULL)
		err->wait_ms = http_retry_after(res, op->now_ms);
	return code;
}

/* "1700000000.123456789", as rclone and we write it; false: not such a time. */
static bool
parse_mtime(int64_t *out_ns, const char *text)
{
	bool negative = *text == '-';
	uint64_t seconds, fraction = 0;
	int64_t unit = OBJECT_NSEC;

	text += negative;
	if (!object_number(&seconds, &text) || seconds >= (uint64_t)S3_MTIME_MAX)
		return false;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9' && unit > 1; text++) {
			unit /= 10;
			fraction += (uint64_t)(*text - '0') * (uint64_t)unit;
		}
		text += strspn(text, "0123456789");
	}
	if (*text != '\0')
		return false;
	*out_ns = (int64_t)(seconds * OBJECT_NSEC + fraction) * (negative ? -1 : 1);
	return true;
}

bool
s3_is_md5(const char *etag)
{
	return strlen(etag) == 32 && etag[strspn(etag, "0123456789abcdefABCDEF")] == '\0';
}

/* The MD5 of the content, if the etag is that: not of a multipart upload, nor encrypted with keys
   that are not S3's own. */
void
s3_take_md5(struct digests *out, const struct cloud_op *op, const char *etag,
    const struct http_headers *headers)
{
	const struct s3_account *s3 = op->account->data;
	const char *kind = http_header_get(headers, "x-amz-server-side-encryption");
	unsigned char md5[16];

	if (!s3_is_md5(etag) || s3->encryption == S3_ENCRYPT_CUSTOMER)
		return;
	if ((kind != NULL && strncmp(kind, "aws:kms", 7) == 0) ||
	    http_header_get(headers, "x-amz-server-side-encryption-customer-algorithm") != NULL)
		return;
	if (hex_decode(md5, sizeof md5, etag) == (int)sizeof md5)
		digests_set(out, HASH_MD5, md5);
}

/* text: base64, or NULL; a checksum of checksums ("...-3") is none of the content. */
bool
s3_take_crc32c(struct digests *out, const char *text)
{
	unsigned char sum[4];

	if (text == NULL || base64_decode(sum, sizeof sum, text) != (int)sizeof sum)
		return false;
	digests_set(out, HASH_CRC32C, sum);
	return true;
}

/* What a write made, as far as its answer says it. */
void
s3_take_written(struct cloud_op *op, const struct http_response *res, const char *etag,
    const char *crc32c, uint64_t size)
{
	struct entry *entry = &op->entry;

	object_take_file(op, size);
	entry->version = object_version(etag);
	entry->mtime_ns = op->put.mtime_ns;
	entry->mode = op->put.mode & 07777;
	s3_take_md5(&entry->digests, op, entry->version, &res->headers);
	s3_take_crc32c(&entry->digests, crc32c);
}

void
s3_take_entry(struct cloud_op *op, const struct http_response *res, uint64_t size)
{
	const char *etag = http_header_get(&res->headers, "ETag");
	const char *mtime = http_header_get(&res->headers, "x-amz-meta-mtime");
	const char *type = http_header_get(&res->headers, "Content-Type");
	int64_t modified = object_modified(res);
	struct entry *entry = &op->entry;

	object_take_file(op, size);
	entry->version = etag == NULL ? NULL : object_version(etag);
	entry->content_type = xstrdup_null(type);
	if (entry->version != NULL)
		s3_take_md5(&entry->digests, op, entry->version, &res->headers);
	if (res->status != 206) /* of a range it may be that of a part */
		s3_take_crc32c(
		    &entry->digests, http_header_get(&res->headers, "x-amz-checksum-crc32c"));
	entry->mode = object_mode(http_header_get(&res->headers, "x-amz-meta-mode"));
	object_take_metadata(entry, &res->headers, "x-amz-meta-");
	entry->written_ns = modified == ENTRY_NO_TIME ? 0 : modified;
	if (mtime == NULL || !parse_mtime(&entry->mtime_ns, mtime))
		entry->mtime_ns = modified;
}

int
s3_take_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	uint64_t size;

	if (object_length(&size, op, res, err) != 0)
		return -EPROTO;
	s3_take_entry(op, res, size);
	return 0;
}
