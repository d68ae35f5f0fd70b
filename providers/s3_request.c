#include "providers/s3_request.h"
#include "providers/content_type.h"
#include "providers/object.h"
#include "providers/s3_private.h"
#include "providers/sigv4.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NSEC ((unsigned long long)OBJECT_NSEC)

static bool
s3_is_virtual(const struct s3_account *s3, const char *bucket)
{
	/* A wildcard certificate covers one label: a dot in the bucket's name breaks TLS. */
	return *bucket != '\0' && s3->is_virtual &&
	    (s3->is_virtual_always || strpbrk(bucket, "._") == NULL);
}

void
s3_put_attributes(struct http_request *req, const struct cloud_op *op)
{
	const struct cloud_put *put = &op->put;
	uint64_t ns = put->mtime_ns < 0 ? -(uint64_t)put->mtime_ns : (uint64_t)put->mtime_ns;
	bool given = put->content_type != NULL && object_is_header_value(put->content_type);

	http_request_header(
	    req, "Content-Type", "%s", given ? put->content_type : content_type_guess(op->path));
	if (put->mtime_ns != ENTRY_NO_TIME)
		http_request_header(req, "x-amz-meta-mtime", "%s%llu.%09llu",
		    put->mtime_ns < 0 ? "-" : "", ns / NSEC, ns % NSEC);
	if (put->mode != 0)
		http_request_header(req, "x-amz-meta-mode", "%04o", put->mode & 07777);
	object_put_metadata(req, put, "x-amz-meta-", S3_METADATA_MAX, false);
}

void
s3_put_unless_there(struct http_request *req, const struct s3_account *s3)
{
	if (!(s3->kind->has & S3_REFUSES_GUARDS))
		http_request_header(req, "If-None-Match", "*");
}

void
s3_put_guard(struct http_request *req, const struct cloud_op *op)
{
	if (op->put.no_replace)
		s3_put_unless_there(req, op->account->data);
}

void
s3_put_new_object(struct http_request *req, const struct s3_account *s3)
{
	if (s3->storage_class != NULL)
		http_request_header(req, "x-amz-storage-class", "%s", s3->storage_class);
	s3_put_encryption(req, s3);
}

void
s3_put_encryption(struct http_request *req, const struct s3_account *s3)
{
	static const char name[] = "x-amz-server-side-encryption";

	if (s3->encryption == S3_ENCRYPT_S3)
		http_request_header(req, name, "AES256");
	else if (s3->encryption == S3_ENCRYPT_KMS)
		http_request_header(req, name, "aws:kms");
	if (s3->kms_key != NULL)
		http_request_header(
		    req, "x-amz-server-side-encryption-aws-kms-key-id", "%s", s3->kms_key);
}

static void
s3_put_key(struct http_request *req, const struct s3_account *s3, const char *prefix)
{
	const struct {
		const char *name, *value;
	} headers[] = {
	    {"algorithm", "AES256"}, {"key", s3->customer_key}, {"key-MD5", s3->customer_md5}};

	if (s3->encryption != S3_ENCRYPT_CUSTOMER)
		return;
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		CLEANUP(cleanup_free)
		char *name =
		    xasprintf("%sserver-side-encryption-customer-%s", prefix, headers[i].name);

		http_request_header(req, name, "%s", headers[i].value);
	}
}

void
s3_put_customer_key(struct http_request *req, const struct s3_account *s3)
{
	s3_put_key(req, s3, "x-amz-");
}

bool
s3_put_source(struct http_request *req, const struct cloud_op *op)
{
	CLEANUP(buf_free) struct buf source = BUF_INIT(HTTP_URL_MAX);
	const struct s3_account *from = op->from->data;
	struct s3_place place;

	if (!s3_locate(&place, from, op->path2))
		return false;
	buf_printf(&source, "/%s/", place.bucket);
	buf_put_uri(&source, place.key, "/");
	http_request_header(req, "x-amz-copy-source", "%s", buf_str(&source));
	if (op->version != NULL)
		http_request_header(req, "x-amz-copy-source-if-match", "\"%s\"", op->version);
	s3_put_key(req, from, "x-amz-copy-source-");
	return !source.failed;
}

/*
 * What is known beforehand goes into a header.  Else the checksum is computed as the content goes
 * by, and follows it; but where the MD5 is known, that is what the service must compare with: our
 * callers rely on it (CLOUD_CHECKS_PUT).  A part of an upload that was begun with CRC32C needs
 * that one.
 */
void
s3_put_body(struct http_request *req, const struct cloud_op *op)
{
	const struct s3_account *s3 = op->account->data;
	const struct digests *known = &op->put.digests;
	bool crc = s3->checksum == S3_CHECKSUM_CRC32C;
	bool md5 = s3->checksum != S3_CHECKSUM_NONE && (known->have & HASH_BIT(HASH_MD5));

	req->body = op->length == 0 ? HTTP_BODY_BYTES : HTTP_BODY_STREAM;
	req->length = op->length;
	if (crc && (known->have & HASH_BIT(HASH_CRC32C))) {
		object_put_digest(
		    req, "x-amz-checksum-crc32c", known->sum[HASH_CRC32C], hash_size(HASH_CRC32C));
	} else if (crc && op->length == 0) {
		object_put_digest(req, "x-amz-checksum-crc32c", "\0\0\0\0", 4);
	} else if (crc && (!md5 || op->kind == CLOUD_UPLOAD_PART)) {
		req->crc32c_trailer = true;
		http_request_header(req, "Content-Encoding", "aws-chunked");
		http_request_header(req, "x-amz-decoded-content-length", "%" PRIu64, op->length);
		http_request_header(req, "x-amz-trailer", "x-amz-checksum-crc32c");
		return;
	}
	if (md5)
		object_put_digest(req, "Content-MD5", known->sum[HASH_MD5], hash_size(HASH_MD5));
}

void
s3_put_checksum_mode(struct http_request *req, const struct s3_account *s3)
{
	if (s3->checksum == S3_CHECKSUM_CRC32C)
		http_request_header(req, "x-amz-checksum-mode", "ENABLED");
}

/* The hash of what will be sent; a streamed body is not known yet. */
static const char *
s3_payload(char hex[65], const struct http_request *req)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	unsigned char digest[32];

	if (req->body == HTTP_BODY_STREAM)
		return req->crc32c_trailer ? SIGV4_TRAILER : SIGV4_UNSIGNED;
	if (req->body == HTTP_BODY_NONE || req->bytes.len == 0)
		return SIGV4_EMPTY;
	sha256(digest, req->bytes.data, req->bytes.len);
	buf_put_hex(&text, digest, sizeof digest);
	snprintf(hex, 65, "%s", buf_str(&text));
	return hex;
}

static int
s3_sign(struct http_request *req, const struct s3_account *s3, const char *path, const char *query,
    uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(HTTP_HEADERS_MAX);
	char hex[65], when[17];
	const char *payload = s3_payload(hex, req);
	const struct sigv4_request signed_part = {
	    .method = req->method,
	    .path = path,
	    .query = query,
	    .headers = &req->headers,
	    .payload = payload,
	};
	const struct sigv4_keys keys = {s3->id, s3->secret, s3->derived};

	if (s3->id == NULL)
		return 0;
	http_request_header(req, "x-amz-content-sha256", "%s", payload);
	http_request_header(req, "x-amz-date", "%s", sigv4_time(when, sizeof when, now_ms));
	if (s3->token != NULL)
		http_request_header(req, "x-amz-security-token", "%s", s3->token);
	if (!sigv4_authorization(&value, &signed_part, &keys, s3->region, "s3", now_ms))
		return err_set(err, -E2BIG, "the request is too large to be signed");
	http_request_header(req, "Authorization", "%s", buf_str(&value));
	return 0;
}

/* Where a key is: the host (caller frees) and the path of the URL. */
static char *
s3_put_path(struct buf *path, const struct s3_account *s3, const struct s3_place *place)
{
	bool is_virtual = s3_is_virtual(s3, place->bucket);

	buf_printf(path, "%s/", s3->endpoint.base);
	if (!is_virtual && *place->bucket != '\0') {
		buf_puts(path, place->bucket);
		if (*place->key != '\0')
			buf_putc(path, '/');
	}
	buf_put_uri(path, place->key, "/");
	return is_virtual ? xasprintf("%s.%s", place->bucket, s3->endpoint.host)
			  : xstrdup(s3->endpoint.host);
}

int
s3_finish(struct http_request *req, const struct s3_account *s3, const struct s3_place *place,
    const char *suffix, const char *query, uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(HTTP_URL_MAX);
	CLEANUP(cleanup_free) char *host = s3_put_path(&path, s3, place);

	buf_puts(&path, suffix);
	buf_printf(&req->url, "%s%s%s%s%s", s3->endpoint.scheme, host, buf_str(&path),
	    *query == '\0' ? "" : "?", query);
	if (path.failed || req->url.failed)
		return err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", place->key);
	req->ca_file = s3->ca;
	http_request_header(req, "Host", "%s", host);
	if (s3->requester_pays)
		http_request_header(req, "x-amz-request-payer", "requester");
	return s3_sign(req, s3, buf_str(&path), query, now_ms, err);
}

int
s3_presign(struct buf *out, const struct account *account, const char *path, uint64_t now_ms,
    unsigned expires_s, struct err *err)
{
	CLEANUP(buf_free) struct buf encoded = BUF_INIT(HTTP_URL_MAX);
	CLEANUP(cleanup_free) char *host = NULL;
	const struct s3_account *s3 = account->data;
	const struct sigv4_keys keys = {s3->id, s3->secret, s3->derived};
	struct http_headers headers = TAILQ_HEAD_INITIALIZER(headers);
	struct sigv4_request req = {
	    .method = "GET", .headers = &headers, .payload = SIGV4_UNSIGNED, .query = ""};
	struct s3_place place;
	bool good;

	if (!s3_locate(&place, s3, path) || *place.key == '\0')
		return err_set(err, -EISDIR, "'%s' is no file", path);
	if (s3->encryption == S3_ENCRYPT_CUSTOMER)
		return err_set(err, -EOPNOTSUPP,
		    "'%s' is encrypted with a key that a link cannot carry", path);
	if (expires_s == 0 || expires_s > S3_PRESIGN_MAX)
		return err_set(err, -EINVAL, "a link lives for 1 second to 7 days");
	host = s3_put_path(&encoded, s3, &place);
	buf_printf(out, "%s%s%s", s3->endpoint.scheme, host, buf_str(&encoded));
	good = !encoded.failed;
	if (s3->id != NULL) {
		if (s3->requester_pays)
			req.query = "x-amz-request-payer=requester";
		req.path = buf_str(&encoded);
		http_headers_add(&headers, "Host", host);
		buf_putc(out, '?');
		good = good &&
		    sigv4_presign(out, &req, &keys, s3->token, s3->region, "s3", now_ms, expires_s);
		http_headers_free(&headers);
	}
	if (!good || out->failed)
		return err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", path);
	return 0;
}
