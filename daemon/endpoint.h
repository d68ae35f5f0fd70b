/*
 * endpoint: may an account name this server?  Accounts of a shared daemon must not reach into its
 * own network: loopback, private, link-local and unspecified addresses, and the names of the
 * machine itself, are local.  Only what is written is looked at; names are not resolved (what they
 * mean may change).
 */
#pragma once
#include "src/err.h"

/* 0 and *out: is the host of this URL ("https://host:9000", or a bare host) local?  -EINVAL: it is
 * no URL. */
int endpoint_is_local(bool *out, const char *url, struct err *);
