/*
 * upload_seal: ids of uploads at rest.  To some clouds an id is all that it takes to write to the
 * upload: so checkpoints are stored with their ids sealed, as credentials are, and so is what a
 * copy goes on with.
 */
#pragma once
#include "src/checkpoint.h"
#include "src/seal.h"

/* Seals them in place; aad: the id of the change. */
int upload_seal(struct checkpoint *, const struct seal_key *, const char *aad, struct err *);
/* The reverse.  -EBADMSG: it was sealed with another key, or is damaged.  An id that was never
   sealed, by an older version, stays as it is. */
int upload_unseal(struct checkpoint *, const struct seal_key *, const char *aad, struct err *);
