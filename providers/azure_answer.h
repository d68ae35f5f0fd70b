/*
 * azure_answer: what Azure's answers say: errors, and the entry that a blob's headers describe.
 */
#pragma once
#include "src/cloud.h"

/* 0, or a negative errno with the service's words in *err. */
int azure_check(struct cloud_op *, const struct http_response *, struct err *);
/* Is what the answer describes a blob that stands for a directory? */
bool azure_is_folder(const struct http_response *);
/* The headers of a blob into op->entry; its size is the caller's to know. */
void azure_take_entry(struct cloud_op *, const struct http_response *, uint64_t size);
/* The same of an answer to HEAD, which says the size; a directory's too. */
int azure_take_head(struct cloud_op *, const struct http_response *, struct err *);
/* What a write made, into op->entry; -EPROTO if the answer does not name its version. */
int
azure_take_written(struct cloud_op *, const struct http_response *, uint64_t size, struct err *);
/* x-ms-content-crc64, and Content-MD5 where it is that of what was sent. */
void azure_take_digests(struct digests *out, const struct http_response *);
