/*
 * remote: the user's accounts as the mount has them: their names at once, the account itself (with
 * credentials from the daemon) opened for this loop when it is first needed, and dropped when its
 * credentials have changed or are refused.
 *
 * A `local` account whose root contains the mount's directory, or lies in it, is refused: reading
 * it would wait for ourselves.
 */
#pragma once
#include "fs/fs.h"

struct remote {
	char *id, *name;
	const struct cloud_driver *driver; /* NULL: this program does not know it */
	char *root; /* of a local account: a real path */
	bool removed;
	struct account *account; /* open, or NULL */
	struct waitq *opening; /* being opened: wait here */
	bool is_opening;
	struct disk_usage usage;
	uint64_t usage_at; /* clock_mono_ms() */
	bool usage_known, usage_asking;
	bool is_followed; /* feed.h */
	uint64_t kept_ms; /* clock_mono_ms() of the last request whose answer is kept */
};

struct remotes *remotes_new(struct fs *);
void remotes_free(struct remotes *);
/* Before mounting: asks for the accounts, and refuses those that contain the mount. */
int remotes_load(struct remotes *, struct err *);
void remotes_refresh(struct remotes *); /* asks again, in the background */
void remotes_event(struct remotes *, const json_t *);
struct remote *remote_by_name(struct remotes *, const char *name);
struct remote *remote_by_id(struct remotes *, const char *id); /* also a removed one */
struct remote *
remote_at(struct remotes *, size_t i); /* NULL ends it; skips none: look at removed */
/* The open account, referenced: caller unrefs. */
int remote_open(struct task *, struct remote *, struct account **out, struct err *);
/* An op ended with code: if the credentials were refused, others are asked for next time.  True:
 * try once more. */
bool remote_refused(struct remote *, struct account *, int code);
/* Runs an op of this kind to its end, opening the account, once more if its credentials were
   refused. prepare(op, arg) fills it in.  *out: caller frees. */
int remote_op(struct task *, struct remote *, enum cloud_op_kind, const char *path,
    struct cloud_op **out, struct err *);
int remote_stat(struct task *, struct remote *, const char *path, struct entry *out, struct err *);
/* The runner's sign_in() (struct cloud_runner_config); arg: the fs.  The daemon has the token. */
void remotes_sign_in(void *arg, struct account *, unsigned ticket, const char *refused);
bool remote_has(const struct remote *, enum cloud_feature);
