/*
 * watch: all changes of the user, live, until interrupted: bars on a terminal, else a line for each
 * change of state (and now and then for progress), or JSON lines.
 */
#pragma once
#include "cli/cli.h"

int watch_run(struct cli *, bool as_json); /* the exit status */
