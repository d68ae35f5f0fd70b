/*
 * mountinfo: Skyferry's mounts as the kernel lists them.  Nothing is asked of the mounts
 * themselves: a stat(2) of one that is stuck would be stuck too.
 */
#pragma once
#include "src/err.h"
#include <jansson.h>

/* An array of directories (strings) where a Skyferry file system is mounted.  Caller decrefs. */
json_t *mountinfo_list(void);
/* The same from a file in the form of /proc/self/mountinfo, for tests. */
json_t *mountinfo_read(const char *file);
bool mountinfo_has(const char *dir); /* absolute */
/* Absolute, its parent's links resolved; the last component is not looked at.  Caller frees. */
int mountinfo_resolve(char **out, const char *dir, struct err *err);
