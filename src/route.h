/*
 * route: how a file's bytes get to their destination, the cheapest way first; and why not a cheaper
 * one.
 */
#pragma once
#include "src/cloud.h"

enum route {
	ROUTE_NATIVE, /* the cloud copies */
	ROUTE_PULL, /* the destination's cloud reads a link to the source */
	ROUTE_RELAY, /* through us */
	ROUTES
};

const char *route_name(enum route); /* "native" "pull" "relay" */
/* from: of a source that is one whole entry, else NULL.  has_time: the destination is to have a
   time that is not its cloud's to choose.  *why: why nothing cheaper will do, replaced; NULL if
   there is nothing cheaper. */
enum route
route_choose(char **why, const struct account *to, const struct account *from, bool has_time);
/* What is known now that it was not when it was chosen: may a link to so many bytes be given away?
   link NULL: there is none yet; could there be one?  -EOPNOTSUPP says why not. */
int route_check_pull(const struct cloud_runner *, const struct account *to, const char *link,
    uint64_t size, struct err *);
