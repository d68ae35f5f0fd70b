/*
 * object: what the stores of objects over HTTP have in common: the requests and answers of RFC
 * 9110, and the words for errors.
 */
#pragma once
#include "src/cloud.h"

#define OBJECT_NSEC INT64_C(1000000000)

/* What the op does, for messages: "read". */
const char *object_doing(const struct cloud_op *);
/* Sets err: "'PATH': WHY". */
enum cloud_step object_refuse(struct err *, int code, const char *path, const char *why);
/* Context in front of what a parser said.  The op does not send it again, since it may have taken a
   part of the answer: its caller does. */
enum cloud_step object_bad_answer(const struct cloud_op *, const struct err *why, struct err *);
/* A page of a list that cannot be read, and of which nothing was taken: it is asked for again. */
enum cloud_step object_garbled(const struct cloud_op *, const struct err *why, struct err *);
/* The service itself says which version it shows.  A page that somebody else puts in its place with
   status 200 (a proxy, a hotel's network) does not, and is no content.  -EPROTO. */
int object_check_named(const struct cloud_op *, struct err *);
/* Where a path is: in the bucket `only`, or, if that is NULL, in the one that its first component
   names; *key is inside the path.  Bucket "": the top; key "": a bucket.  False if the first
   component cannot be a bucket's name. */
bool object_locate(char *bucket, size_t size, const char **key, const char *only, const char *path,
    bool (*is_valid)(const char *name, size_t len));
/* From a caller: it must not be able to add a header of its own. */
bool object_is_header_value(const char *text);
/* Does a write say anything of what it writes?  A copy that does not keeps what its source has. */
bool object_has_attributes(const struct cloud_put *);

/* Headers that begin with prefix ("x-amz-meta-") are the entry's metadata, except mtime, mode and
   what other programs write for those. */
void object_take_metadata(struct entry *, const struct http_headers *, const char *prefix);
/* The same of one name and value. */
void object_take_metadatum(struct entry *, const char *name, const char *value);
/* put.metadata as headers that begin with prefix: `most` bytes of names and values, and of those
   what a header can hold.  identifiers: names are made of letters, digits and '_' only ('-' and '.'
   become that). */
void object_put_metadata(struct http_request *, const struct cloud_put *, const char *prefix,
    size_t most, bool identifiers);
/* Is it a name that we write ourselves, or others for the same? */
bool object_is_own_metadatum(const char *name);

/* READ: the range that is wanted, into the header `name`; nothing if that is all of it. */
void object_put_range(struct http_request *, const struct cloud_op *, const char *name);
/* READ: what the content must be a version of, or NULL: what a failed answer began with is what it
   goes on with. */
const char *object_pinned(const struct cloud_op *);
/* A hash in base64. */
void object_put_digest(struct http_request *, const char *name, const void *sum, size_t len);

/* An etag as a version: without its quotes.  Caller frees. */
char *object_version(const char *etag);
/* False unless it is digits only and fits; *text is moved behind them. */
bool object_number(uint64_t *out, const char **text);
/* The same of a whole text: UINT64_MAX for anything else. */
uint64_t object_size(const char *text);
/* Content-Length; -EPROTO. */
int
object_length(uint64_t *out, const struct cloud_op *, const struct http_response *, struct err *);
/* Octal digits -> permission bits; 0 for anything else, and NULL. */
unsigned object_mode(const char *text);
/* A date as HTTP writes it, or NULL -> ns, or ENTRY_NO_TIME; and that of Last-Modified. */
int64_t object_date(const char *text);
int64_t object_modified(const struct http_response *);
/* Is this the range that a READ asked for?  Else some other bytes would become content.  *size: of
 * all. */
int object_check_range(
    const struct cloud_op *, const struct http_response *, uint64_t *size, struct err *);
/* op->entry becomes a directory, or a file of which only path and size are known. */
void object_take_directory(struct cloud_op *);
void object_take_file(struct cloud_op *, uint64_t size);
