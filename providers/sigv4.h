/*
 * sigv4: AWS Signature Version 4, as a pure function: no clock, no I/O, no account.
 * "Signature Version 4 signing process" and "Authenticating Requests: Using the Authorization
 * Header (AWS Signature Version 4)", Amazon S3 API Reference.
 */
#pragma once
#include "src/http.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGV4_TRAILER  "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
#define SIGV4_EMPTY                                                                                \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* SHA-256 of nothing   \
									    */

/* The key that signs a day's requests: five hashes spared for each of them.  Zeroed by its owner,
 * and wiped. */
struct sigv4_derived {
	char scope[128]; /* what it signs: "date/region/service/aws4_request"; "": none yet */
	unsigned char key[32];
};

struct sigv4_keys {
	const char *id, *secret;
	struct sigv4_derived *derived; /* of this secret, kept between calls; NULL: not kept */
};

struct sigv4_request {
	const char *method;
	const char *path; /* as it is sent: percent-encoded, begins with '/' */
	const char *query; /* as it is sent, without '?'; "" if there is none; any order */
	const struct http_headers *headers; /* every one of them is signed; Host must be there */
	const char *payload; /* SHA-256 of the body in hex, or SIGV4_UNSIGNED */
};

/* "20130524T000000Z": the value of x-amz-date.  size must be >= 17.  Returns out. */
char *sigv4_time(char *out, size_t size, uint64_t now_ms);
/* Appends the value of the Authorization header.  False if out is full. */
bool sigv4_authorization(struct buf *out, const struct sigv4_request *, const struct sigv4_keys *,
    const char *region, const char *service, uint64_t now_ms);
/* Appends the query of a URL that anybody may use for so long; req's headers are Host alone, its
   query (may be "") comes first.  token: NULL, or of temporary keys.  False as above. */
bool sigv4_presign(struct buf *out, const struct sigv4_request *, const struct sigv4_keys *,
    const char *token, const char *region, const char *service, uint64_t now_ms,
    unsigned expires_s);
