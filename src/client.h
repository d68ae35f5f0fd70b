/*
 * client: calls of the daemon's API, for the command line and the mount.  Over the Unix socket
 * (api.socket) unless SKYFERRY_URL names another daemon (then with SKYFERRY_TOKEN, or the token
 * that was saved for this very URL). A client belongs to one loop.
 */
#pragma once
#include "src/http.h"
#include <jansson.h>

struct settings;
struct client;
struct client_call;

/* code 0: status is 2xx, body is the parsed answer (borrowed; NULL if empty).  Else err has the
   API's message (and code = its errno), or why the daemon cannot be reached and what to do. */
typedef void (*client_done_fn)(void *arg, int code, json_t *body, const struct err *err);
/* One server-sent event: its "event:" name and the parsed "data:" (borrowed). */
typedef void (*client_event_fn)(void *arg, const char *event, json_t *data);

struct client *client_new(struct loop *, const struct settings *, struct err *);
void client_free(struct client *);
/* A daemon's URL as tokens are saved for it: without '/' at its end.  Caller frees. */
char *client_url(const char *given);
const char *client_where(const struct client *); /* socket path or URL, for messages */
/* path with query, already encoded; body is stolen (NULL: none).  Never calls back before
 * returning. */
struct client_call *client_start(
    struct client *, const char *method, const char *path, json_t *body, client_done_fn, void *arg);
/* /api/events: on_event per event until `done` (the connection ended: code says how). */
struct client_call *
client_events(struct client *, const char *path, client_event_fn, client_done_fn, void *arg);
void client_cancel(struct client_call *);
/* For the command line: runs the loop until the answer is there.  *out (may be NULL): caller
 * decrefs. */
int client_call(struct client *, json_t **out, const char *method, const char *path, json_t *body,
    struct err *);
