/*
 * router: the one table of routes.  It finds the route of a request, makes sure that the caller may
 * use it, parses the request, and hands the call to the route's handler.
 */
#pragma once
#include "daemon/call.h"

enum route_flag {
	ROUTE_PUBLIC = 1 << 0, /* nobody needs to have signed in */
	ROUTE_ADMIN = 1 << 1, /* administrators only */
	ROUTE_SOCKET = 1 << 2, /* over the Unix socket only */
	ROUTE_OWN_UID = 1 << 3, /* with the daemon's own uid only */
	ROUTE_CHANGES = 1 << 4, /* refused while the daemon stops */
	ROUTE_STREAM = 1 << 5, /* has no end: not for HEAD */
};

typedef void (*route_fn)(struct call *);

struct route {
	unsigned method; /* EVHTTP_REQ_... */
	const char *pattern; /* "/api/accounts/:id" */
	route_fn handler;
	unsigned flags;
};

void router_run(struct call *);
const struct route *router_at(size_t i); /* NULL ends the table */
