/*
 * tokens: the access tokens that servers grant (struct cloud_sign_in).  An account has one, for all
 * transfer loops, the API and the mounts, and only here is one asked for: a server may answer with
 * another refresh token too, and whoever comes with the old one again looks like a thief to it, so
 * that it takes back the whole grant.  The new one is in the store before anybody gets the token
 * that came with it.
 *
 * What an account's credentials are, the store says: before a server is asked, and again when it
 * has answered.  A refresh token that came for credentials that were replaced meanwhile is dropped.
 * Belongs to the control loop.
 */
#pragma once
#include "daemon/daemon.h"

#define TOKEN_MAX 65536 /* bytes; as much as an answer of a server may have */

struct tokens *tokens_new(struct daemon *, struct err *);
/* No server is asked any more; what was asked for still comes, until they are idle. */
void tokens_stop(struct tokens *); /* NULL is a no-op */
bool tokens_are_idle(const struct tokens *);
void tokens_free(struct tokens *); /* who waits is told -ESHUTDOWN; NULL is a no-op */

struct token_wait;
/* code 0: the token, borrowed. */
typedef void (*token_fn)(
    void *arg, int code, const char *token, uint64_t good_until_ms, const struct err *);
/* The account's token: another one than `refused`, if that is not NULL and there can be another.
   done comes once, from the loop, never before this returns. */
struct token_wait *
tokens_get(struct tokens *, const char *account_id, const char *refused, token_fn done, void *arg);
void tokens_cancel(struct token_wait *); /* no done comes any more; NULL is a no-op */
/* The store has it anew, or not any more. */
void tokens_changed(struct tokens *, const char *account_id);
/* The sign_in() of the daemon's own runner; arg: the daemon. */
void tokens_sign_in(void *arg, struct account *, unsigned ticket, const char *refused);
