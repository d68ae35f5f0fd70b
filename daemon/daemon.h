/*
 * daemon: what the parts of skyferryd share.  All of it belongs to the control loop.
 * main.c makes it, in this order, and takes it down in reverse.
 */
#pragma once
#include "daemon/store.h"
#include "src/cloud.h"
#include "src/settings.h"

struct accounts;
struct pairs;
struct queue;
struct refusals;
struct sign_ins;
struct tokens;
struct events;
struct mounts;
struct server;

struct daemon {
	const struct settings *settings; /* replaced on SIGHUP */
	char *state_dir;
	struct loop *loop;
	struct pool *pool;
	struct seal_key *key;
	struct store *store;
	struct events *events;
	struct cloud_runner *runner; /* for the API's own ops: files, test, usage */
	struct accounts *accounts;
	struct pairs *pairs;
	struct refusals *refusals;
	struct sign_ins *sign_ins;
	struct tokens *tokens;
	struct queue *queue;
	struct mounts *mounts;
	struct server *server;
	uint64_t started_ms;
	bool draining;
};

/* Fills in everything from ->settings, step by step, until it serves.  On failure too,
 * daemon_finish(). */
int daemon_start(struct daemon *, struct err *);
/* Stops serving and claiming; what runs gets `drain_ms`; then the loop stops.  Again: with less
 * time. */
void daemon_stop(struct daemon *, uint64_t drain_ms);
void daemon_finish(struct daemon *); /* after the loop has stopped, or was never run */
/* The new settings take effect where they can: log level, limits.  Borrowed like the first. */
void daemon_reconfigure(struct daemon *, const struct settings *);
/* So many changes may run at once: in total, and on one account that does not say. */
unsigned daemon_total_max(const struct settings *);
unsigned daemon_account_max(const struct settings *);
char *daemon_state_dir(const struct settings *); /* caller frees */

char *
daemon_spool_dir(const struct daemon *, const char *user_id); /* STATE/spool/USER; caller frees */
struct http_limits
daemon_http_limits(const struct daemon *); /* from the settings; strings are static */
