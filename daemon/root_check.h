/*
 * root_check: may an account be made of this directory, and where is it really?  Looked at on the
 * pool, since a directory can hang (an NFS server that is away), with a deadline (local.timeout).
 *
 * What hangs cannot be stopped: a check that has missed its deadline goes on holding its thread of
 * the pool, which is one of that directory's own.  So a user may have ROOT_CHECKS_MAX of them.
 */
#pragma once
#include "daemon/daemon.h"

#define ROOT_CHECKS_MAX 8 /* of one user, in all directories; more are -EBUSY */

struct root_checks;
struct root_check;

struct root_checks *root_checks_new(struct daemon *);
void root_checks_free(struct root_checks *); /* none is under way, and the pool's jobs have ended */

/* code 0: real is where the directory is, without symlinks.  The check is gone when it returns. */
typedef void (*root_check_fn)(void *arg, int code, const char *real, const struct err *);
/* Follows symlinks, refuses what disk_open_root() does (also before the deadline what lies in a
   mount that nobody answers for) and, unless `trusted`, what is not under local.roots (-EPERM).
   Exactly one done comes, from the loop, never before this returns. */
struct root_check *root_check_start(struct root_checks *, const char *user_id, const char *path,
    bool trusted, root_check_fn done, void *arg);
void root_check_cancel(struct root_check *); /* no done comes any more */
