#include "providers/azure_request.h"
#include "providers/azure_private.h"
#include "providers/content_type.h"
#include "providers/object.h"
#include "src/clock.h"
#include <assert.h>
#include <string.h>

#define AZURE_SOURCE_MAX 2048 /* "x-ms-copy-source: a URL of up to 2 KiB" */
#define AZURE_SOURCE_MS  (3600 * 1000) /* the right to read a source; a request is shorter */

void
azure_query_add(struct azure_query *query, const char *name, const char *value)
{
	assert(query->len < AZURE_QUERY_MAX);
	assert(query->len == 0 || strcmp(query->params[query->len - 1].name, name) < 0);
	query->params[query->len++] = (struct sharedkey_param){name, value};
}

/* Metadata as rclone writes them: a time as RFC 3339. */
void
azure_put_attributes(struct http_request *req, const struct cloud_op *op)
{
	const struct azure_account *azure = op->account->data;
	const struct cloud_put *put = &op->put;
	bool given = put->content_type != NULL && object_is_header_value(put->content_type);
	char when[36];

	http_request_header(req, "x-ms-blob-content-type", "%s",
	    given ? put->content_type : content_type_guess(op->path));
	if (put->mtime_ns != ENTRY_NO_TIME)
		http_request_header(req, "x-ms-meta-mtime", "%s",
		    clock_format_ns(when, sizeof when, put->mtime_ns));
	if (put->mode != 0)
		http_request_header(req, "x-ms-meta-mode", "%04o", put->mode & 07777);
	object_put_metadata(req, put, "x-ms-meta-", AZURE_METADATA_MAX, true);
	if (azure->tier != NULL)
		http_request_header(req, "x-ms-access-tier", "%s", azure->tier);
}

void
azure_put_guard(struct http_request *req, const struct cloud_op *op)
{
	if (op->put.no_replace)
		http_request_header(req, "If-None-Match", "*");
}

/* What is known beforehand: one of the two, by the documentation, and MD5 is kept with the blob. */
void
azure_put_body(struct http_request *req, const struct cloud_op *op)
{
	const struct digests *known = &op->put.digests;

	req->body = op->length == 0 ? HTTP_BODY_BYTES : HTTP_BODY_STREAM;
	req->length = op->length;
	if (known->have & HASH_BIT(HASH_MD5))
		object_put_digest(req, "Content-MD5", known->sum[HASH_MD5], hash_size(HASH_MD5));
}

static void
put_path(struct buf *out, const struct azure_account *azure, const struct azure_place *place)
{
	buf_printf(out, "%s/", azure->endpoint.base);
	buf_put_uri(out, place->container, "$");
	if (*place->key != '\0')
		buf_putc(out, '/');
	buf_put_uri(out, place->key, "/");
}

static struct sharedkey
azure_key(const struct azure_account *azure)
{
	return (struct sharedkey){azure->name, azure->key, azure->key_len};
}

/* The service reads its source as anybody would: so the URL has to bring the right to. */
static bool
put_source_url(struct buf *out, const struct azure_account *from, const struct azure_place *place,
    uint64_t until_ms)
{
	const struct sharedkey key = azure_key(from);
	CLEANUP(cleanup_free) char *blob = xasprintf("/%s/%s", place->container, place->key);

	buf_printf(out, "%s%s", from->endpoint.scheme, from->endpoint.host);
	put_path(out, from, place);
	if (from->sas != NULL)
		buf_printf(out, "?%s", from->sas);
	if (from->key_len == 0)
		return !out->failed;
	buf_putc(out, '?');
	return sharedkey_sas_to_read(out, &key, blob, until_ms);
}

int
azure_put_source(struct http_request *req, const struct cloud_op *op, struct err *err)
{
	CLEANUP(buf_free) struct buf url = BUF_INIT(AZURE_SOURCE_MAX);
	struct azure_place place;
	bool fits;

	url.secret = true;
	if (op->from == NULL) {
		fits = buf_puts(&url, op->link);
	} else if (!azure_locate(&place, op->from->data, op->path2) || *place.key == '\0') {
		return err_set(err, -ENOENT, "'%s': no such file", op->path2);
	} else {
		fits = put_source_url(&url, op->from->data, &place, op->now_ms + AZURE_SOURCE_MS);
	}
	if (!fits)
		return err_set(err, -EOPNOTSUPP,
		    "'%s' is too long for a URL that the service would copy from", op->path2);
	http_request_header(req, "x-ms-copy-source", "%s", buf_str(&url));
	if (op->version != NULL)
		http_request_header(req, "x-ms-source-if-match", "\"%s\"", op->version);
	return 0;
}

enum cloud_step
azure_link(struct cloud_op *op, struct err *err)
{
	const struct azure_account *azure = op->account->data;
	struct buf url = BUF_INIT(HTTP_URL_MAX);
	struct azure_place place;

	url.secret = true;
	if (azure_locate(&place, azure, op->path) && *place.key != '\0' &&
	    put_source_url(&url, azure, &place, op->now_ms + CLOUD_LINK_S * UINT64_C(1000))) {
		op->link = buf_take(&url);
		op->is_etag = true;
		return CLOUD_STEP_DONE;
	}
	buf_free(&url);
	return object_refuse(err, -EOPNOTSUPP, op->path, "there can be no link to it");
}

static uint64_t
body_length(const struct http_request *req)
{
	switch (req->body) {
	case HTTP_BODY_BYTES: return req->bytes.len;
	case HTTP_BODY_STREAM: return req->length;
	default: return 0;
	}
}

static int
azure_sign(struct http_request *req, const struct azure_account *azure, const char *path,
    const struct azure_query *query, uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(HTTP_HEADERS_MAX);
	const struct sharedkey key = azure_key(azure);
	const struct sharedkey_request signed_part = {
	    .method = req->method,
	    .path = path,
	    .query = query->params,
	    .query_len = query->len,
	    .headers = &req->headers,
	    .length = body_length(req),
	};
	char when[30];

	http_request_header(req, "x-ms-date", "%s", clock_format_http(when, sizeof when, now_ms));
	if (!sharedkey_authorization(&value, &key, &signed_part))
		return err_set(err, -E2BIG, "the request is too large to be signed");
	http_request_header(req, "Authorization", "%s", buf_str(&value));
	return 0;
}

int
azure_finish(struct http_request *req, const struct azure_account *azure,
    const struct azure_place *place, const struct azure_query *query, uint64_t now_ms,
    struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(HTTP_URL_MAX);
	const char *separator = "?";

	put_path(&path, azure, place);
	buf_printf(
	    &req->url, "%s%s%s", azure->endpoint.scheme, azure->endpoint.host, buf_str(&path));
	for (size_t i = 0; i < query->len; i++) {
		buf_printf(&req->url, "%s%s=", separator, query->params[i].name);
		buf_put_uri(&req->url, query->params[i].value, NULL);
		separator = "&";
	}
	if (azure->sas != NULL)
		buf_printf(&req->url, "%s%s", separator, azure->sas);
	if (path.failed || req->url.failed || req->bytes.failed)
		return err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", place->key);
	req->ca_file = azure->ca;
	http_request_header(req, "Host", "%s", azure->endpoint.host);
	http_request_header(req, "x-ms-version", AZURE_VERSION);
	return azure->key_len == 0 ? 0 : azure_sign(req, azure, buf_str(&path), query, now_ms, err);
}
