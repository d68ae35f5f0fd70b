/*
 * idle: waiting until no change of the user is pending, queued or running, however many there are:
 * it counts, and keeps none.
 */
#pragma once
#include "cli/cli.h"

/* The exit status: failed if a change failed meanwhile (each is named) or the deadline
   (clock_mono_ms(); UINT64_MAX: none) passed. */
int idle_wait(struct cli *, uint64_t deadline_ms, bool quiet);
