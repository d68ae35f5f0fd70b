/*
 * gcs_sign: URLs that anybody may use for some time ("V4 signing process", Cloud Storage), signed
 * with the key of a service account, by itself: nobody is asked.
 */
#pragma once
#include "providers/gcs_account.h"

#define GCS_SIGN_MAX (7 * 24 * 3600) /* seconds: 604,800 */

/* Appends a URL with which anybody can GET the file for so long; version: that generation and no
   other; NULL: what is there then.  -EOPNOTSUPP: the account has no key of its own to sign with. */
int gcs_sign(struct buf *out, const struct gcs_account *, const char *path, const char *version,
    uint64_t now_ms, unsigned expires_s, struct err *);
