/*
 * pairs: the pairs of accounts between which changes run, each with its count of changes at once
 * (pair.h).  Feeds them with what the queue sees and what the clouds refuse, and tells the store's
 * scheduler.  Belongs to the control loop; awake only while something runs.
 */
#pragma once
#include "daemon/daemon.h"

struct pairs;
struct pairs_entry;

struct pairs *pairs_new(struct daemon *);
void pairs_free(struct pairs *);
/* A change runs, until pairs_leave(). */
struct pairs_entry *pairs_enter(struct pairs *, const struct change *);
void pairs_moved(struct pairs_entry *, uint64_t bytes);
void pairs_ended(struct pairs_entry *, int code); /* its attempt */
void pairs_leave(struct pairs_entry *);
/* [{"sourceAccountId"?,"destinationAccountId","running","concurrency","reason"}] of the pairs that
   the account is in. */
json_t *pairs_view(const struct pairs *, const char *account_id);
