/*
 * http_private: what http.c (clients, multi handles, sockets) and http_call.c (one call: its
 * options, its curl callbacks, its end) share.  Nobody else includes it.
 *
 * curl calls back from inside curl_multi_socket_action(), curl_easy_pause() and the like
 * (client->in_curl > 0).  There a call is never freed or resumed: it is marked and put on
 * client->woken, and the client's wake event does the rest.
 */
#pragma once
#include "src/http.h"
#include "src/http_framing.h"
#include <curl/curl.h>
#include <netinet/in.h>

#define HTTP_SPARE_MAX 64 /* easy handles kept for reuse */
/* Buffers of all calls together: few have large ones, many small ones (limits.buffer at most). */
#define HTTP_BUFFERS_MAX     ((size_t)8 << 20)
#define HTTP_BUFFER_ANSWER   ((size_t)1 << 10) /* for the answer to an upload */
#define HTTP_SEND_MIN        ((size_t)8 << 10) /* what a paused upload goes on for */
#define HTTP_BUFFERS_PART    8
#define HTTP_BUFFER_MIN      ((size_t)8 << 10)
#define HTTP_BUFFER_SEND_MIN ((size_t)16 << 10) /* libcurl's smallest for what is sent */

struct http_multi {
	TAILQ_ENTRY(http_multi) next;
	struct http_client *client;
	CURLM *curl;
	struct event *timer;
	unsigned calls;
};

/* Addresses that are tried at once to connect (two), and again. */
#define HTTP_OPENED_MAX 8

struct http_client {
	struct loop *loop;
	struct http_limits limits;
	char *user_agent, *ca_file;
	CURLSH *share; /* DNS and TLS sessions, for all multi handles */
	TAILQ_HEAD(http_multis, http_multi) multis;
	TAILQ_HEAD(http_calls, http_call) calls;
	size_t buffers; /* of all calls, in bytes */
	struct http_calls woken;
	size_t woken_len;
	struct event *wake, *tick;
	unsigned in_curl;
	int *sockets; /* of the connections without TLS, by local port; may be closed since */
	CURL *spare[HTTP_SPARE_MAX];
	size_t spare_len;
	uint64_t idle_since_ms;
};

struct http_call {
	TAILQ_ENTRY(http_call) next;
	TAILQ_ENTRY(http_call) next_woken;
	struct http_client *client;
	struct http_multi *multi; /* NULL: could not be started */
	CURL *easy;
	struct curl_slist *headers;
	struct http_request *req;
	struct http_handler handler;
	void *arg;
	struct ring *source, *sink;
	size_t buffer; /* its share of client->buffers */
	uint64_t source_left; /* bytes of the request's body that are still to come */
	struct http_framing framing; /* if req->crc32c_trailer */
	struct http_response res;
	size_t header_bytes;
	enum http_take take;
	bool head_done; /* the handler has said what to do with the body */
	bool recv_paused, send_paused; /* by us */
	bool overdue; /* the source has held a little for a while: send it */
	bool connected;
	int opened[HTTP_OPENED_MAX]; /* sockets that were opened for it */
	unsigned opened_len;
	bool proxied; /* by which the connection goes; known only if public_only */
	char refused[INET6_ADDRSTRLEN]; /* the last local address that was not connected to */
	bool is_woken, cancelled;
	bool failed; /* code and err are set: by one of our callbacks, or before it began */
	int code;
	struct err *err; /* owned; NULL until it failed */
	char detail[CURL_ERROR_SIZE];
	/* the stall clock */
	uint64_t active_ms;
	uint64_t moved; /* bytes in both directions when it was last looked at */
};

/* http_call.c */
struct http_call *http_call_new(struct http_client *, struct http_request *, struct ring *source,
    const struct http_handler *, void *arg);
void http_call_free(struct http_call *); /* takes it out of curl and of every list */
int http_call_setup(struct http_call *, CURL *);
void http_call_unhook(struct http_call *); /* the rings are no longer ours */
void http_call_wake(struct http_call *);
bool http_call_may_send(const struct http_call *);
int http_call_resume(struct http_call *); /* unpauses what can go on; a CURLcode */
void http_call_end(struct http_call *, CURLcode); /* tells the handler and frees it */
bool http_call_has_stalled(struct http_call *, uint64_t now_ms);

/* http_proxy.c */
/* The proxy that the environment names for the URL, or NULL.  As libcurl finds it, but that
   no_proxy knows no networks ("10.0.0.0/8").  Valid while the environment is not changed. */
const char *http_proxy_for(const char *url);

/* http_error.c */
int http_errno(CURL *, CURLcode);
int http_call_fail(struct http_call *, int code, const char *fmt, ...) PRINTF(3, 4);
