/*
 * sharedkey: how Azure Storage authorizes, as pure functions: no clock, no I/O, no account.
 * "Authorize with Shared Key" and "Create a service SAS", Azure Storage REST API Reference.
 */
#pragma once
#include "src/http.h"

#define SHAREDKEY_MAX 128 /* bytes of a key; Azure's have 64 */

struct sharedkey {
	const char *account;
	const unsigned char *key;
	size_t len;
};

/* A parameter of a query, decoded. */
struct sharedkey_param {
	const char *name; /* in lower case */
	const char *value;
};

struct sharedkey_request {
	const char *method;
	const char *path; /* as it is sent: percent-encoded, begins with '/' */
	const struct sharedkey_param *query; /* each name once, in the order of the names */
	size_t query_len;
	const struct http_headers *headers; /* x-ms-date must be there */
	uint64_t length; /* of the body */
};

/* Appends the value of the Authorization header.  False if out is full. */
bool sharedkey_authorization(
    struct buf *out, const struct sharedkey *, const struct sharedkey_request *);

#define SHAREDKEY_SAS_VERSION "2020-12-06" /* the first that signs what it signs in this form */
/* Appends a shared access signature (the query of a URL, without '?'): whoever has it may read
   "/CONTAINER/BLOB" (not encoded) until then.  False as above. */
bool sharedkey_sas_to_read(
    struct buf *out, const struct sharedkey *, const char *blob, uint64_t expires_ms);
