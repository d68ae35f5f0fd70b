/*
 * submit: what every acceptance of a change has in common: accounts by id or name, canonical paths,
 * and what happens once the store has it.
 */
#pragma once
#include "daemon/call.h"

/* The caller's account by id or name.  Caller frees *out (its id). */
int submit_account(struct call *, char **out, const char *ref, struct err *);
/* A canonical path that is not the account's root; `field` names it in messages.  Caller frees. */
int submit_path(char **out, const char *path, const char *field, struct err *);
/* What is named by its path or, where the account's cloud has such, by its key: one of the two
   fields is there.  Caller frees *out. */
int submit_path_or_key(struct call *, char **out, bool *by_key, const char *account_id,
    const json_t *object, const char *path_field, const char *key_field, struct err *);
/* Does the account's cloud have keys?  -EOPNOTSUPP. */
int submit_check_keys(const struct account *, struct err *);
/* A change of the caller's: defaults, owner, id (given, or new). */
struct change *submit_change(struct call *, const char *id);
/* Store callbacks with the call as argument: tell the readers of events and the queue, then answer
   with the change and the status. */
void submit_done_created(void *arg, struct store_result *); /* 201 */
void submit_done_accepted(void *arg, struct store_result *); /* 202 */
void submit_done(void *arg, struct store_result *); /* 200 */
void submit_done_empty(void *arg, struct store_result *); /* 204 */
/* The telling alone, for results that answer nobody.  Nothing once the server has gone. */
void submit_tell(struct daemon *, const struct store_result *);
