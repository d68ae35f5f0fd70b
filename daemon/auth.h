/*
 * auth: who is calling.  Tokens (JWT, HS256, with a key derived from the master key), passwords
 * (crypt(3), yescrypt, on the pool), callers known by their uid, and a brake on guessing.
 */
#pragma once
#include "daemon/call.h"

struct auth *auth_new(struct daemon *);
void auth_unref(struct auth *); /* jobs on the pool hold a reference */

/* Finds call->user (and ->admin), by uid or token, then next(call); or answers 401.  A uid's first
   call may make its user, so `next` may come later. */
void auth_identify(struct call *, void (*next)(struct call *));

/* A token for the user; caller frees.  *out_s: seconds it is good for. */
char *auth_token(struct auth *, const struct user *, int64_t *out_s);
/* 0, the user's id and the epoch that the token was made in, or -EACCES. */
int auth_token_verify(
    struct auth *, const char *token, char user_id[37], uint64_t *epoch, struct err *);

#define AUTH_PASSWORD_MIN 8
#define AUTH_PASSWORD_MAX 1024

typedef void (*auth_hash_fn)(
    struct call *, char *hash); /* caller frees; NULL: it could not be made */
typedef void (*auth_verify_fn)(struct call *, bool right);
/* Both run on the pool and answer the call themselves when too many wait.  If the connection has
   gone meanwhile they free the call and do not call back. */
void auth_hash(struct call *, const char *password, auth_hash_fn);
/* hash NULL (no such user, or no password): the same work, and false.  `name` is braked: after
   AUTH_FAILURES wrong ones within a minute without a right one the call is answered 429; while so
   many are under way, the next waits for them. */
void auth_verify(
    struct call *, const char *name, const char *hash, const char *password, auth_verify_fn);
#define AUTH_FAILURES 5

/* User names: 1..64 of a-z 0-9 . _ - @ . */
bool auth_name_is_valid(const char *name);
/* Is the address one that only this machine can reach? */
bool auth_is_loopback(const char *address);
