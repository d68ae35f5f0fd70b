/*
 * sign_in: people who sign in to a cloud with a browser.  A visit begins with the URL that the
 * browser opens; it comes back to /api/oauth/callback with the visit's state and a code, and that
 * is exchanged for the refresh token that the account is to have.  Visits are in memory: whoever
 * was on the way when the daemon ended begins again.  Belongs to the control loop.
 */
#pragma once
#include "daemon/daemon.h"

struct sign_ins;
struct sign_in;

struct sign_ins *sign_ins_new(struct daemon *, struct err *);
void sign_ins_free(struct sign_ins *);

/* For an account whose credentials these are; an earlier visit for it is over.  *out: {"url",
   "state", "redirectUri", "expiresAt"}, caller decrefs. */
int sign_ins_begin(struct sign_ins *, const struct account_record *, const json_t *credentials,
    json_t **out, struct err *);
/* Whose visit it is; it is over then.  -ENOENT: there is none of that state (any more). */
int sign_ins_end(struct sign_ins *, const char *state, struct sign_in **out, struct err *);
const char *sign_in_account(const struct sign_in *);

/* code 0: refresh_token is what the account gets; borrowed. */
typedef void (*sign_in_fn)(void *arg, int code, const char *refresh_token, const struct err *err);
/* Exactly one done comes, from the loop, never before this returns; then free it. */
void sign_in_exchange(struct sign_in *, const struct cloud_driver *, const json_t *credentials,
    const char *code, sign_in_fn, void *arg);
void sign_in_free(struct sign_in *); /* no done comes any more; NULL is a no-op */
