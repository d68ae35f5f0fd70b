/*
 * refusal: what becomes of an account whose credentials a cloud refuses.  The cloud is asked once
 * more, for the account's top directory, since a refusal may be about one object (unless it was the
 * account that was refused a token).  If it refuses that too, the account is held: it is in
 * `error`, and its changes wait in the queue until it has other credentials or is tested well.  It
 * is looked at again after account.recheck, then after twice the time, up to an hour: a clock may
 * have been set, or a suspension lifted.  Belongs to the control loop.
 */
#pragma once
#include "daemon/worker.h"

struct refusals;

struct refusals *refusals_new(struct daemon *);
void refusals_free(struct refusals *);
/* A transfer loop's credentials of this revision are refused: it is given newer ones if there are,
   or told what the cloud says. */
void refusals_add(struct refusals *, const struct worker_refusal *);
void refusals_start(struct refusals *); /* those that were held when the daemon ended */
/* The store has it that the account is held, anew or still. */
void refusals_held(struct refusals *, const char *account_id);
