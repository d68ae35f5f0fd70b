/*
 * path: paths inside an account.  Canonical form: components joined by single '/', no leading or
 * trailing '/', "" is the account's root.  Bytes are kept as they are (no Unicode change).
 */
#pragma once
#include "src/err.h"

#define PATH_BYTES_MAX     4096
#define PATH_COMPONENT_MAX 255

/* Leading and trailing '/' are taken off.  Refuses empty, "." and ".." components (-EINVAL), what
   is too long (-ENAMETOOLONG) and what is not UTF-8 (-EILSEQ: JSON and the clouds could not hold
   it), naming the path.  Caller frees *out. */
int path_canonical(char **out, const char *path, struct err *);
bool path_is_canonical(const char *path);
/* Can it be a key as a cloud has it, which no path need express?  Anything but "" that is UTF-8. */
bool path_is_key(const char *key);
const char *path_name(const char *path); /* last component, inside path */
char *path_parent(const char *path); /* caller frees; "" for a top-level name */
char *path_child(const char *dir, const char *name); /* caller frees */
bool path_is_inside(const char *path, const char *dir); /* equal counts as inside */
size_t path_depth(const char *path); /* components; "" has 0 */
/* "ACCOUNT:path" of the command line; both parts caller frees. */
int path_split_account(char **account, char **path, const char *arg, struct err *);
/* Account names: 1..64 of A-Z a-z 0-9 . _ - , not starting with '.' or '-'. */
bool account_name_is_valid(const char *name);
