/*
 * gcs_answer: what the answers of Google Cloud Storage say: errors, and the entry that the headers
 * of an object describe.
 */
#pragma once
#include "src/cloud.h"

/* 0, or a negative errno with the service's words in *err. */
int gcs_check(const struct cloud_op *, const struct http_response *, struct err *);
/* The headers of an object that is read into op->entry; its size is the caller's to know. */
void gcs_take_entry(struct cloud_op *, const struct http_response *, uint64_t size);
/* What a PUT made, into op->entry; -EPROTO if the answer does not name its generation. */
int gcs_take_written(struct cloud_op *, const struct http_response *, struct err *);
/* x-goog-hash, as often as it comes. */
void gcs_take_hashes(struct digests *, const struct http_response *);
