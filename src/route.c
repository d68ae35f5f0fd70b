#include "src/route.h"
#include "src/endpoint.h"
#include <inttypes.h>
#include <stdlib.h>

const char *
route_name(enum route route)
{
	static const char *const names[ROUTES] = {
	    [ROUTE_NATIVE] = "native", [ROUTE_PULL] = "pull", [ROUTE_RELAY] = "relay"};

	return names[route];
}

static char *
why_not_native(const struct account *to, const struct account *from)
{
	if (from == NULL)
		return xstrdup("the source is not one whole file");
	if (from->driver != to->driver)
		return xasprintf("%s cannot copy from %s", to->driver->name, from->driver->name);
	if (!(to->driver->features & CLOUD_CAN_COPY))
		return xasprintf("%s has no copy of its own", to->driver->name);
	if (!cloud_copies_from(to, from))
		return xasprintf("%s cannot copy between these accounts", to->driver->name);
	return NULL;
}

enum route
route_choose(char **why, const struct account *to, const struct account *from, bool has_time)
{
	char *native;

	free(*why);
	*why = native = why_not_native(to, from);
	if (native == NULL)
		return ROUTE_NATIVE;
	if (from == NULL || !cloud_pulls_from(to, from))
		return ROUTE_RELAY;
	if (!has_time || !(to->driver->features & CLOUD_PULLS_TIMELESS))
		return ROUTE_PULL;
	*why = xasprintf("%s, and gives what it pulls no time but its own", native);
	free(native);
	return ROUTE_RELAY;
}

int
route_check_pull(const struct cloud_runner *runner, const struct account *to, const char *link,
    uint64_t size, struct err *err)
{
	uint64_t least = to->limits.pull_min, most = to->limits.pull_max;
	bool is_local = false;
	int code;

	if (size == 0)
		return err_set(err, -EOPNOTSUPP, "there is nothing to read");
	if (size < least)
		return err_set(err, -EOPNOTSUPP,
		    "less than %" PRIu64 " bytes are not worth the requests of a pull to %s", least,
		    to->driver->name);
	if (most > 0 && size > most)
		return err_set(err, -EOPNOTSUPP, "%s reads at most %" PRIu64 " bytes by itself",
		    to->driver->name, most);
	if (link == NULL || cloud_runner_pulls_private(runner))
		return 0;
	code = endpoint_is_local(&is_local, link, NULL); /* its words have the link in them */
	if (code != 0)
		return err_set(err, code, "the link to the source makes no sense");
	if (is_local)
		code = err_set(err, -EOPNOTSUPP,
		    "the source's address is private, and pull.private does not allow to give that to "
		    "%s",
		    to->driver->name);
	return code;
}
