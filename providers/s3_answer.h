/*
 * s3_answer: what S3's answers say: errors, and the entry that an object's headers describe.
 */
#pragma once
#include "src/cloud.h"

/* 0, or a negative errno with the service's words in *err. */
int s3_check(struct cloud_op *, const struct http_response *, struct err *);
/* What the op does, for messages: "read". */
const char *s3_doing(const struct cloud_op *);
/* The headers of an object into op->entry; its size is the caller's to know. */
void s3_take_entry(struct cloud_op *, const struct http_response *, uint64_t size);
/* The same of an answer to HEAD, which says the size. */
int s3_take_head(struct cloud_op *, const struct http_response *, struct err *);
/* Is this the range that a READ asked for?  Else some other bytes would become content.  *size: of
 * all. */
int s3_check_range(struct cloud_op *, const struct http_response *, uint64_t *size, struct err *);
