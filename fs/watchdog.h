/*
 * watchdog: a loop that does not turn holds every process that uses the mount, unkillably.  A
 * thread counts its turns; when there was none for WATCHDOG_S, it aborts the connection, so that
 * those processes get errors, and ends the process: what was acknowledged is in the daemon.
 */
#pragma once
#include "src/loop.h"

#define WATCHDOG_S 60

struct watchdog;
struct watchdog *watchdog_new(struct loop *, const char *directory);
void watchdog_free(struct watchdog *);
