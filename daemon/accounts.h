/*
 * accounts: accounts as the control loop uses them: records of the store, credentials unsealed, a
 * driver opened for the API's own ops, and snapshots for the transfer loops (which open their own).
 */
#pragma once
#include "daemon/daemon.h"

struct account_snapshot;

struct accounts *accounts_new(struct daemon *);
void accounts_free(struct accounts *);

/* By id or by name, of this user; -ENOENT "there is no account '...'" . Caller frees. */
int accounts_find(struct accounts *, const char *user_id, const char *ref,
    struct account_record **out, struct err *);
/* The credentials in clear.  Caller wipes with account_credentials_free(). */
int
accounts_credentials(struct accounts *, const struct account_record *, json_t **out, struct err *);
void account_credentials_free(json_t *);
/* In the record's sealed credentials, `now` in place of the refresh token `was`.  -ESTALE: they
   have another one. */
int accounts_reseal(
    struct accounts *, struct account_record *, const char *was, const char *now, struct err *);
struct accounts_sealing;
typedef void (*accounts_sealed_fn)(void *arg, int code, const struct err *);
/* Seals `credentials` into the record (and fills settings from the fields that are not secret),
   after the driver has accepted them (cloud_account_open) and the rules for local roots and
   endpoints hold. `trusted`: the caller has the daemon's uid over the socket.  A directory is
   looked at meanwhile, with a deadline (root_check.h): the record is borrowed until done, of which
   exactly one comes, from the loop, unless this fails. */
int accounts_seal(struct accounts_sealing **out, struct accounts *, struct account_record *,
    const json_t *credentials, bool trusted, accounts_sealed_fn done, void *arg, struct err *);
void accounts_seal_cancel(struct accounts_sealing *); /* no done comes any more */
/* An open account on the control loop, for daemon->runner; cached until changed.  Borrowed: ref to
 * keep. */
int accounts_open(struct accounts *, const char *account_id, struct account **out, struct err *);
/* After the store has it: drops caches, tells the transfer loops, sends the `account` event. */
void accounts_changed(struct accounts *, const struct account_record *, const char *event);
/* For the transfer loops; cached until changed.  -ENOENT unless it is this user's; -EKEYREJECTED if
   its credentials cannot be unsealed.  Caller unrefs *out. */
int accounts_snapshot(struct accounts *, const char *user_id, const char *account_id,
    struct account_snapshot **out, struct err *);
/* What bounds it, of all that use it; NULL: nothing has, since the start.  Borrowed. */
const struct throttle *accounts_throttle(struct accounts *, const char *account_id);
/* What is cached of an earlier revision than this goes. */
void accounts_forget_before(struct accounts *, const struct account_record *);
/* What reaching the account of this revision (0: any) showed: 0, or why it failed.  Becomes its
   status if that is news: -EKEYEXPIRED holds its changes, and 0 lets them go.  kept (NULL: nobody
   waits) comes once, when the store has it, also at once. */
void accounts_reached(struct accounts *, const char *account_id, uint64_t revision, int code,
    const struct err *, void (*kept)(void *arg), void *arg);
