/*
 * endpoint: which servers an account may name.  Accounts of a shared daemon must not reach into its
 * own network: loopback, private, link-local and unspecified addresses, and the names of the
 * machine itself, are local.
 *
 * It is asked twice.  When an account is made, of what is written, so that the answer comes early;
 * names are not resolved then, since what they mean may change.  And when a socket is opened, of
 * the very address it is to be connected to (http.h, public_only): that is what counts.
 */
#pragma once
#include "src/settings.h"

struct sockaddr;

/* Special-purpose addresses that are not of the public network; also one of another family than
   IPv4 and IPv6. */
bool address_is_local(const struct sockaddr *);
/* 0 and *out: is the host of this URL ("https://host:9000", or a bare host) local?  -EINVAL: it is
 * no URL. */
int endpoint_is_local(bool *out, const char *url, struct err *);
/* endpoints.private: may accounts name local servers? */
bool endpoints_may_be_local(const struct settings *);
