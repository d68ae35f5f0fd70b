/*
 * remote: "ACCOUNT:path" as the commands name things in clouds, and the two questions they ask
 * about it.
 */
#pragma once
#include "cli/cli.h"

struct remote {
	char *account; /* name or id, as given */
	char *path; /* canonical */
	bool slash; /* was written with '/' at the end: a directory is meant */
};

int remote_parse(struct remote *out, const char *arg, struct err *); /* out must be zeroed */
/* The same of "ACCOUNT:KEY": what is behind the colon is not looked at. */
int remote_parse_key(struct remote *out, const char *arg, struct err *);
void remote_fini(struct remote *); /* usable with CLEANUP */
/* "ACCOUNT:path", for messages.  Caller frees. */
char *remote_text(const char *account, const char *path);
/* The name it has in its parent; the account's name for a root. */
const char *remote_name(const struct remote *);

/* *out: the entry.  -ENOENT. */
int remote_stat(struct cli *, json_t **out, const char *account, const char *path, struct err *);
/* The same of a key; a "directory" if only others begin with it. */
int remote_stat_key(struct cli *, json_t **out, const char *account, const char *key, struct err *);
/* *out: {"entries":[directories first],"hidden":N}. */
int remote_list(struct cli *, json_t **out, const char *account, const char *path, struct err *);
/* *out: {"prefix","keys":[keys that no path can express],"hidden":N}. */
int
remote_keys(struct cli *, json_t **out, const char *account, const char *prefix, struct err *err);
bool entry_is_directory(const json_t *entry);
