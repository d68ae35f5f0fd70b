/*
 * sign_in: signing in to a cloud with a browser, for an account that is there.
 */
#pragma once
#include "cli/cli.h"

/* With `browser` it is opened, and this waits until it has come back to the daemon; else the page's
   address is printed, and the address that a browser anywhere ends at is asked for. */
int sign_in_run(struct cli *, const char *name, bool browser, struct err *);
/* Is there a browser that could be opened here? */
bool sign_in_has_browser(void);
