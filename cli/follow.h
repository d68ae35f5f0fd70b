/*
 * follow: the daemon's events, across lost connections.  After each (re)connection `fresh` is true:
 * what happened in between was missed, so its user reads afresh what it shows, and clears it.
 *
 * on_event runs on the loop: it records and wakes, as all callbacks here.
 */
#pragma once
#include "cli/cli.h"

#define FOLLOW_PATIENCE_MS                                                                         \
	(10 * 60 * 1000) /* a daemon's restart takes seconds, a machine's minutes */

struct follow;
/* The client must be there.  A daemon that is away for `patience_ms` (UINT64_MAX: no limit) is
   given up. */
struct follow *follow_new(struct cli *, uint64_t patience_ms, client_event_fn, void *arg);
void follow_free(struct follow *);
/* Waits until the stream stands (hello was seen); an error if the first attempt fails. */
int follow_ready(struct follow *, struct err *);
/* True once after each hello. */
bool follow_take_fresh(struct follow *);
bool follow_is_connected(const struct follow *);
/* Set when it is of no use to try again: signed out, forbidden, away for too long. */
const struct err *follow_failed(const struct follow *);
/* Why the connection is not there. */
const struct err *follow_trouble(const struct follow *);
