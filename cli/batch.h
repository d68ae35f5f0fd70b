/*
 * batch: changes that a command submits (or finds), followed to their end.
 *
 * At most BATCH_SUBMITS requests are under way and BATCH_LIVE changes submitted and not yet ended,
 * so that a tree of millions takes neither the memory of this program nor the daemon's patience.
 * Ids are made here, before anything is sent: a request can be repeated without harm when the
 * connection is lost, and an event may come before the answer.
 *
 * A failure is printed where it happens, with the label of what failed, and counted.
 */
#pragma once
#include "cli/cli.h"

#define BATCH_SUBMITS 32
#define BATCH_LIVE    1024

struct batch;
struct batch_options {
	const char *verb; /* "copied", for the last line; NULL: none is printed */
	bool detach; /* submitting is all; do not wait */
	bool quiet; /* neither bars (on stderr, if it is a terminal) nor the last line */
};
struct batch_totals {
	uint64_t submitted, done, failed, cancelled;
	uint64_t bytes; /* of those that are done */
};

struct batch *batch_new(struct cli *, const struct batch_options *, struct err *);
void batch_free(struct batch *);

/* Submits body to `path` ("/api/transfers", "/api/changes"); waits for room first.  The body is
   stolen, an id is added.  A failure with the code `harmless` (0: none) counts as done.  False:
   interrupted, and nothing was sent. */
bool batch_post(struct batch *, const char *path, json_t *body, const char *label, int harmless);
/* One that exists already. */
void batch_track(struct batch *, const char *id, const char *label);

/* Until every request has been answered. */
void batch_flush(struct batch *);
/* Until all have ended (with `detach`: until all are accepted), the deadline (clock_mono_ms();
   UINT64_MAX: none) has passed, or the user interrupts. */
void batch_wait(struct batch *, uint64_t deadline_ms);
/* A failure that is no change: printed and counted. */
void batch_fail(struct batch *, const char *label, const struct err *);
const struct batch_totals *batch_totals(const struct batch *);
size_t batch_live(const struct batch *);
/* Waits, prints the last line, says what goes on after an interrupt; the exit status. */
int batch_finish(struct batch *);
