#include "providers/gcs_request.h"
#include "providers/content_type.h"
#include "providers/gcs_private.h"
#include "providers/object.h"
#include "src/clock.h"
#include <stdlib.h>
#include <string.h>

void
gcs_ask_fini(struct gcs_ask *ask)
{
	buf_free(&ask->path);
	buf_free(&ask->query);
}

void
gcs_ask_json(struct gcs_ask *ask, const char *method, enum gcs_about about, const char *suffix)
{
	ask->req->method = method;
	buf_puts(&ask->path, "/storage/v1/b");
	if (about == GCS_ABOUT_BUCKETS)
		return;
	buf_puts(&ask->path, "/");
	buf_put_uri(&ask->path, ask->place.bucket, NULL);
	if (about == GCS_ABOUT_BUCKET)
		return;
	buf_puts(&ask->path, "/o");
	if (about == GCS_ABOUT_OBJECTS)
		return;
	buf_puts(&ask->path, "/");
	buf_put_uri(&ask->path, ask->place.key, NULL);
	buf_put_uri(&ask->path, suffix, NULL);
}

void
gcs_ask_xml(struct gcs_ask *ask, const char *method, const char *key, const char *suffix)
{
	ask->req->method = method;
	buf_puts(&ask->path, "/");
	buf_put_uri(&ask->path, ask->place.bucket, NULL);
	if (*key == '\0')
		return;
	buf_puts(&ask->path, "/");
	buf_put_uri(&ask->path, key, "/");
	buf_puts(&ask->path, suffix);
}

void
gcs_query_add(struct gcs_ask *ask, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(&ask->query, "%s%s=", ask->query.len == 0 ? "" : "&", name);
	buf_put_uri(&ask->query, value, NULL);
}

/* Metadata as rclone writes them: a time as RFC 3339. */
void
gcs_put_attributes(struct http_request *req, const struct cloud_op *op)
{
	const char *class = gcs_account(op)->storage_class;
	const struct cloud_put *put = &op->put;
	bool given = put->content_type != NULL && object_is_header_value(put->content_type);
	char when[36];

	http_request_header(
	    req, "Content-Type", "%s", given ? put->content_type : content_type_guess(op->path));
	if (put->mtime_ns != ENTRY_NO_TIME)
		http_request_header(req, "x-goog-meta-mtime", "%s",
		    clock_format_ns(when, sizeof when, put->mtime_ns));
	if (put->mode != 0)
		http_request_header(req, "x-goog-meta-mode", "%04o", put->mode & 07777);
	object_put_metadata(req, put, "x-goog-meta-", GCS_METADATA_MAX, false);
	if (class != NULL)
		http_request_header(req, "x-goog-storage-class", "%s", class);
}

void
gcs_put_crc32c(struct http_request *req, const struct digests *known)
{
	CLEANUP(buf_free) struct buf crc = BUF_INIT(16);

	if (!(known->have & HASH_BIT(HASH_CRC32C)))
		return;
	buf_put_base64(&crc, known->sum[HASH_CRC32C], hash_size(HASH_CRC32C));
	http_request_header(req, "x-goog-hash", "crc32c=%s", buf_str(&crc));
}

/* What is known beforehand the service compares with what comes. */
void
gcs_put_body(struct http_request *req, const struct cloud_op *op)
{
	const struct digests *known = &op->put.digests;

	req->body = op->length == 0 ? HTTP_BODY_BYTES : HTTP_BODY_STREAM;
	req->length = op->length;
	if (known->have & HASH_BIT(HASH_MD5))
		object_put_digest(req, "Content-MD5", known->sum[HASH_MD5], hash_size(HASH_MD5));
	gcs_put_crc32c(req, known);
}

void
gcs_put_json(struct http_request *req, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	req->body = HTTP_BODY_BYTES;
	http_request_header(req, "Content-Type", "application/json");
	buf_puts(&req->bytes, text);
	free(text);
	json_decref(object);
}

int
gcs_finish(struct gcs_ask *ask, const struct cloud_op *op, struct err *err)
{
	const struct gcs_account *gcs = gcs_account(op);
	struct http_request *req = ask->req;

	buf_printf(&req->url, "%s%s%s%s%s%s", gcs->endpoint.scheme, gcs->endpoint.host,
	    gcs->endpoint.base, buf_str(&ask->path), ask->query.len == 0 ? "" : "?",
	    buf_str(&ask->query));
	if (ask->path.failed || ask->query.failed || req->url.failed || req->bytes.failed)
		return err_set(err, -ENAMETOOLONG, "'%s' is too long for a URL", op->path);
	req->ca_file = gcs->ca;
	http_request_header(req, "Host", "%s", gcs->endpoint.host);
	oauth_put_authorization(req, &gcs->oauth);
	return 0;
}
