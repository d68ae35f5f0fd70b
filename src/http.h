/*
 * http: HTTP/1.1 requests on a loop, over libcurl's multi interface.  A client belongs to one loop.
 * Bodies stream through rings with backpressure; collected bodies are bounded.
 *
 * A host keeps to one multi handle, so that warm connections are found, until that has
 * HTTP_MULTI_CALLS calls; then the next is taken (libcurl is quadratic in one handle's
 * connections).
 *
 * Limits on every wait: DNS + connect (http.connect_timeout), no byte in either direction while
 * neither side is paused (http.stall_timeout), and time to the first byte of the answer
 * (http.stall_timeout too).  TLS is always verified, against `ca_file` or the file that the
 * environment names (CURL_CA_BUNDLE, SSL_CERT_FILE), else the system's.  Proxies come from the
 * environment (libcurl: http_proxy, https_proxy, no_proxy).  No redirects.
 *
 * A client that is public_only opens no connection to an address that is local (endpoint.h): what
 * counts is the very address, whatever a name meant when it was looked at before.  A proxy is the
 * administrator's own and may be anywhere; what is asked of it is its business.
 */
#pragma once
#include "src/buf.h"
#include "src/loop.h"
#include "src/ring.h"
#include <sys/queue.h>

#define HTTP_MULTI_CALLS                                                                           \
	256 /* measured: 8 to 64 handles for 5,000 connections are near the optimum */
#define HTTP_SINK_MIN                                                                              \
	16384 /* a sink's ring is at least so large: libcurl gives pieces of that size, whole */
#define HTTP_URL_MAX     16384
#define HTTP_HEADERS_MAX 65536 /* all response headers together */

struct http_header {
	char *name, *value;
	TAILQ_ENTRY(http_header) next;
};
TAILQ_HEAD(http_headers, http_header);

enum http_body { HTTP_BODY_NONE, HTTP_BODY_BYTES, HTTP_BODY_STREAM };

struct http_request {
	const char *method; /* static string */
	struct buf url; /* absolute */
	struct http_headers
	    headers; /* Host and Content-Length are made by the client unless given */
	enum http_body body;
	struct buf bytes; /* HTTP_BODY_BYTES */
	uint64_t length; /* HTTP_BODY_STREAM: exactly so many bytes come from the ring */
	bool crc32c_trailer; /* HTTP_BODY_STREAM: sent as http_framing.h says; its headers are the
				caller's */
	const char *unix_socket; /* connect there; borrowed until done */
	const char *ca_file; /* PEM; borrowed; NULL: the environment's or the system's */
	uint64_t total_timeout_ms; /* 0: none beyond the stall limits */
	uint64_t patience_ms; /* the server may be silent for so much longer than the stall limit:
				 it was asked to wait before it answers */
};

struct http_response {
	int status; /* 0 until the status line came */
	struct http_headers headers;
	struct buf body; /* collected */
	uint64_t streamed; /* bytes of the body that went into the sink; the transport counts */
	bool answered; /* false: the connection failed before a status line */
};

void http_request_init(struct http_request *);
void http_request_fini(struct http_request *); /* wipes */
void
http_request_header(struct http_request *, const char *name, const char *fmt, ...) PRINTF(3, 4);
void http_response_init(struct http_response *);
void http_response_fini(struct http_response *);
const char *http_header_get(const struct http_headers *, const char *name); /* any case; or NULL */
void http_headers_add(struct http_headers *, const char *name, const char *value);
void http_headers_free(struct http_headers *);
/* Retry-After in ms (delta seconds or a date), 0 if there is none; `now` in ms. */
uint64_t http_retry_after(const struct http_response *, uint64_t now_ms);

struct http_client;
struct http_call;
struct http_limits {
	uint64_t connect_timeout_ms, stall_timeout_ms;
	size_t buffer; /* libcurl's buffer per connection, bytes at most: many calls have smaller
			  ones */
	const char *user_agent;
	bool public_only;
};
struct http_client *http_client_new(struct loop *, const struct http_limits *, struct err *);
void http_client_free(struct http_client *); /* cancels what is under way, without callbacks */

enum http_take { HTTP_STREAM, HTTP_COLLECT, HTTP_ABORT };

struct http_handler {
	/* All headers are there, no byte of the body has moved: what to do with the body?
	   HTTP_STREAM: into *sink (set it); HTTP_COLLECT: into res->body, at most *collect_max
	   bytes. */
	enum http_take (*head)(
	    void *arg, struct http_response *res, struct ring **sink, size_t *collect_max);
	/* The end: 0, or -ETIMEDOUT, -ECONNRESET, -ECONNREFUSED, -EHOSTUNREACH (name not found),
	   -EPERM (public_only), -EPROTO, -EFBIG (collected body too large), -ECANCELED (head said
	   abort), -EACCES (TLS not verified). A streamed body shorter than Content-Length is
	   -ECONNRESET; the sink is NOT ended by http. The call is gone when this returns. */
	void (*done)(void *arg, int code, struct http_response *res, const struct err *err);
};
/* The request is borrowed until done; `source` is the ring of HTTP_BODY_STREAM (its reader hook is
   taken), else NULL.  Never calls back before it returns. */
struct http_call *http_start(struct http_client *, struct http_request *, struct ring *source,
    const struct http_handler *, void *arg);
void http_cancel(struct http_call *); /* no callback comes any more */
