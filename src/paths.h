/*
 * paths: where files live.  An ordinary user (and root by hand): XDG directories.  The system
 * service (user "skyferry", or SKYFERRY_SYSTEM=1): /etc/skyferry, /var/lib/skyferry, /run/skyferry.
 * Settings state.dir, runtime.dir and api.socket override these.  All results: caller frees.
 */
#pragma once
#include "src/err.h"

bool paths_is_system(void);
char *
paths_config_file(void); /* $XDG_CONFIG_HOME/skyferry/skyferry.conf | /etc/skyferry/skyferry.conf */
char *paths_state_dir(void); /* $XDG_STATE_HOME/skyferry | /var/lib/skyferry */
/* $XDG_RUNTIME_DIR/skyferry | /run/skyferry; without XDG_RUNTIME_DIR: STATE/run */
char *paths_runtime_dir(void);
char *paths_token_file(void); /* the command line's saved token: $XDG_CONFIG_HOME/skyferry/token */
/* mkdir -p with mode 0700 for what is missing; refuses a last component that others can write. */
int paths_make_private(const char *dir, struct err *);
char *paths_join(const char *dir, const char *name);
