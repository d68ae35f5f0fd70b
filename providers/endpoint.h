/*
 * endpoint: where a service is: the URL in front of every request.
 */
#pragma once
#include "src/buf.h"
#include "src/err.h"

struct endpoint {
	char *scheme; /* "https://" */
	char *host; /* and port, as in the Host header: without the scheme's own port */
	char *base; /* path in front of everything, "" or "/x" */
};

/* -EINVAL: not http(s), or with a user, a query or a fragment. */
int endpoint_parse(struct endpoint *out, const char *url, struct err *);
void endpoint_fini(struct endpoint *);
/*
 * Host and base, equal for all names of one service: in lower case, without the port of a scheme,
 * and one for all the names of this machine.  A host that ends in one of `suffixes` (with their
 * dot; ended by NULL) is that suffix.  Caller frees.
 */
char *endpoint_service(const struct endpoint *, const char *const suffixes[]);
bool endpoint_is_loopback(const struct endpoint *);
