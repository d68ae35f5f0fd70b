/*
 * call: one request of the API on its way to an answer.  It belongs to the control loop.  A handler
 * may start store writes, cloud ops or pool jobs with the call as their argument and answer in the
 * callback.  The call outlives its connection: when that closes meanwhile, `req` is NULL and
 * answering only frees the call.  Every call ends in exactly one call_reply...(), which frees it.
 */
#pragma once
#include "daemon/daemon.h"
#include <jansson.h>
#include <sys/queue.h>
#include <sys/types.h>

struct evhttp_request;
struct route;

#define CALL_BODY_MAX    (1024 * 1024)
#define CALL_HEADERS_MAX (16 * 1024)
#define CALL_PARAMS_MAX  2
#define CALL_DEPTH_MAX   16 /* nesting of a request's JSON */

struct call {
	struct daemon *daemon;
	struct evhttp_request *req; /* NULL: the connection is gone */
	const struct route *route;
	bool socket; /* over the Unix socket */
	bool loopback; /* over TCP, from a loopback address */
	uid_t uid; /* socket: the peer's */
	bool trusted; /* socket, and the daemon's own uid */
	struct user *user; /* NULL on public routes */
	bool admin;
	char *params[CALL_PARAMS_MAX]; /* of the path, decoded */
	json_t *query; /* object of strings */
	json_t *body; /* object; NULL: none was sent */
	bool page; /* a person's browser asks: the answer is a page */

	/* A handler's own: `stop` ends what is under way without a callback (the daemon stops),
	   `fini` frees `data` with the call.  Both may be NULL. */
	void *data;
	void (*stop)(struct call *);
	void (*fini)(void *data);
	LIST_ENTRY(call) next;
};
LIST_HEAD(call_list, call);

struct call *call_new(struct daemon *, struct call_list *, struct evhttp_request *);
/* The daemon stops: every call's work is stopped, or goes on to a callback that finds no
 * connection. */
void call_list_stop(struct call_list *);
/* Takes the request from the call (for a stream) and frees the call. */
struct evhttp_request *call_take_request(struct call *);

void call_reply(struct call *, int status, json_t *body); /* body is stolen; NULL: none */
/* Would rather have a page than JSON: a browser. */
bool call_wants_page(const struct call *);
/* A page that says so, for a person. */
void call_reply_page(struct call *, int status, const char *title, const char *text);
void call_reply_header(struct call *, const char *name, const char *value); /* before the reply */
/* The API's error answer for a negative errno: status and code from the table of errors. */
void call_fail(struct call *, int code, const struct err *);
void call_failf(struct call *, int code, const char *fmt, ...) PRINTF(3, 4);
/* An answer that belongs to HTTP, not to the table: 401, 404 of a route, 405. */
void
call_fail_status(struct call *, int status, const char *name, const char *fmt, ...) PRINTF(4, 5);

/* Parses query and body.  0, or the call has been answered. */
int call_read(struct call *);
