/*
 * gcs_request: requests to the two APIs of Google Cloud Storage: JSON for what is about objects,
 * XML for their content.
 */
#pragma once
#include "providers/gcs_account.h"

/* A request in the making. */
struct gcs_ask {
	struct http_request *req;
	struct gcs_place place;
	struct buf path, query; /* as they are sent */
};
void gcs_ask_fini(struct gcs_ask *); /* usable with CLEANUP */

/* What a request to the JSON API is about. */
enum gcs_about { GCS_ABOUT_BUCKETS, GCS_ABOUT_BUCKET, GCS_ABOUT_OBJECTS, GCS_ABOUT_OBJECT };

/* suffix: of the key, "/" for a directory's marker. */
void gcs_ask_json(struct gcs_ask *, const char *method, enum gcs_about, const char *suffix);
/* key "": the bucket. */
void gcs_ask_xml(struct gcs_ask *, const char *method, const char *key, const char *suffix);
/* value: encoded here; NULL: nothing is added. */
void gcs_query_add(struct gcs_ask *, const char *name, const char *value);

/* XML: content type, modification time, mode, storage class: of PUT and an upload's beginning. */
void gcs_put_attributes(struct http_request *, const struct cloud_op *);
/* The op's content as the body, and what it is checked with. */
void gcs_put_body(struct http_request *, const struct cloud_op *);
/* What its CRC32C is, if that is known: the service compares. */
void gcs_put_crc32c(struct http_request *, const struct digests *);
/* JSON: the body; takes the object. */
void gcs_put_json(struct http_request *, json_t *object);

/* Finishes a request whose path, query, headers and body are filled in. */
int gcs_finish(struct gcs_ask *, const struct cloud_op *, struct err *);
