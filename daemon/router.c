#include "daemon/router.h"
#include "daemon/api.h"
#include "daemon/auth.h"
#include "daemon/check.h"
#include "src/buf.h"
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 1024

#define GET            EVHTTP_REQ_GET
#define POST           EVHTTP_REQ_POST
#define PUT            EVHTTP_REQ_PUT
#define DELETE         EVHTTP_REQ_DELETE

static const struct route routes[] = {
    {GET, "/health", api_health, ROUTE_PUBLIC},

    {POST, "/api/auth/register", api_auth_register, ROUTE_PUBLIC | ROUTE_CHANGES},
    {POST, "/api/auth/login", api_auth_login, ROUTE_PUBLIC},
    {GET, "/api/auth/me", api_auth_me, 0},
    {PUT, "/api/auth/password", api_auth_password, ROUTE_CHANGES},
    {GET, "/api/users", api_users_list, ROUTE_ADMIN},
    {POST, "/api/users", api_users_add, ROUTE_ADMIN | ROUTE_CHANGES},
    {PUT, "/api/users/:id/password", api_users_password, ROUTE_ADMIN | ROUTE_CHANGES},

    {GET, "/api/providers", api_providers, 0},
    {GET, "/api/accounts", api_accounts_list, 0},
    {POST, "/api/accounts", api_accounts_add, ROUTE_CHANGES},
    {GET, "/api/accounts/:id", api_accounts_get, 0},
    {PUT, "/api/accounts/:id", api_accounts_update, ROUTE_CHANGES},
    {DELETE, "/api/accounts/:id", api_accounts_remove, ROUTE_CHANGES},
    {POST, "/api/accounts/:id/test", api_accounts_test, ROUTE_CHANGES},
    {GET, "/api/accounts/:id/files", api_files_list, 0},
    {GET, "/api/accounts/:id/keys", api_files_keys, 0},
    {GET, "/api/accounts/:id/file", api_files_get, 0},
    {DELETE, "/api/accounts/:id/file", api_files_remove, ROUTE_CHANGES},
    {POST, "/api/accounts/:id/oauth/start", api_oauth_start, ROUTE_CHANGES},
    {GET, "/api/oauth/callback", api_oauth_callback, ROUTE_PUBLIC | ROUTE_CHANGES},
    {GET, "/api/accounts/:id/usage", api_accounts_usage, 0},
    {GET, "/api/accounts/:id/credentials", api_accounts_credentials, ROUTE_SOCKET | ROUTE_OWN_UID},
    {POST, "/api/accounts/:id/token", api_accounts_token, ROUTE_SOCKET | ROUTE_OWN_UID},

    {POST, "/api/transfers", api_transfers_add, ROUTE_CHANGES},
    {GET, "/api/transfers", api_transfers_list, 0},
    {GET, "/api/transfers/:id", api_transfers_get, 0},
    {PUT, "/api/transfers/:id", api_transfers_update, ROUTE_CHANGES},
    {POST, "/api/transfers/:id/cancel", api_transfers_cancel, ROUTE_CHANGES},
    {POST, "/api/transfers/:id/retry", api_transfers_retry, ROUTE_CHANGES},
    {POST, "/api/changes", api_changes_add, ROUTE_CHANGES},
    {GET, "/api/overlay", api_overlay, 0},

    {POST, "/api/mounts", api_mounts_add, ROUTE_SOCKET | ROUTE_CHANGES},
    {GET, "/api/mounts", api_mounts_list, ROUTE_SOCKET},
    {DELETE, "/api/mounts/:id", api_mounts_remove, ROUTE_SOCKET | ROUTE_CHANGES},
    {PUT, "/api/pending/:id", api_pending_put, ROUTE_SOCKET | ROUTE_CHANGES},
    {POST, "/api/pending/:id/commit", api_pending_commit, ROUTE_SOCKET | ROUTE_CHANGES},
    {POST, "/api/pending/:id/hold", api_pending_hold, ROUTE_SOCKET | ROUTE_CHANGES},
    {DELETE, "/api/pending/:id", api_pending_remove, ROUTE_SOCKET | ROUTE_CHANGES},
    {GET, "/api/events", api_events, ROUTE_STREAM},
};

const struct route *
router_at(size_t i)
{
	return i < ARRAY_LEN(routes) ? &routes[i] : NULL;
}

static const char *
method_name(unsigned method)
{
	switch (method) {
	case EVHTTP_REQ_GET: return "GET";
	case EVHTTP_REQ_HEAD: return "HEAD";
	case EVHTTP_REQ_POST: return "POST";
	case EVHTTP_REQ_PUT: return "PUT";
	case EVHTTP_REQ_DELETE: return "DELETE";
	case EVHTTP_REQ_OPTIONS: return "OPTIONS";
	default: return "?";
	}
}

static void
params_clear(struct call *c)
{
	size_t i;

	for (i = 0; i < CALL_PARAMS_MAX; i++) {
		free(c->params[i]);
		c->params[i] = NULL;
	}
}

/* Matches component by component; a ":name" takes any that is not empty, decoded, into c->params.
 */
static bool
route_matches(struct call *c, const char *pattern, const char *path)
{
	size_t n = 0, pattern_len, path_len;

	params_clear(c);
	while (*pattern == '/' && *path == '/') {
		pattern++;
		path++;
		pattern_len = strcspn(pattern, "/");
		path_len = strcspn(path, "/");
		if (*pattern == ':' && path_len > 0) {
			c->params[n] = xstrndup(path, path_len);
			if (strstr(c->params[n], "%00") != NULL)
				return false;
			uri_decode(c->params[n++]);
		} else if (pattern_len != path_len || memcmp(pattern, path, path_len) != 0) {
			return false;
		}
		pattern += pattern_len;
		path += path_len;
	}
	return *pattern == '\0' && *path == '\0';
}

static bool
route_takes(const struct route *r, unsigned method)
{
	if (method == EVHTTP_REQ_HEAD && !(r->flags & ROUTE_STREAM))
		method = EVHTTP_REQ_GET;
	return r->method == method;
}

/* Sets c->route, or answers: 404, 405, or OPTIONS. */
static bool
router_find(struct call *c, const char *path)
{
	CLEANUP(buf_free) struct buf allow = BUF_INIT(128);
	unsigned method = evhttp_request_get_command(c->req);
	size_t i;

	for (i = 0; i < ARRAY_LEN(routes); i++) {
		if (!route_matches(c, routes[i].pattern, path))
			continue;
		if (route_takes(&routes[i], method)) {
			c->route = &routes[i];
			return true;
		}
		buf_printf(
		    &allow, "%s%s", allow.len > 0 ? ", " : "", method_name(routes[i].method));
		if (routes[i].method == GET && !(routes[i].flags & ROUTE_STREAM))
			buf_puts(&allow, ", HEAD");
	}
	if (allow.len == 0) {
		call_fail_status(c, 404, "not_found", "there is no '%s' in this API", path);
		return false;
	}
	call_reply_header(c, "Allow", buf_str(&allow));
	if (method == EVHTTP_REQ_OPTIONS)
		call_reply(c, 204, NULL);
	else
		call_fail_status(c, 405, "method_not_allowed", "'%s' takes %s, not %s", path,
		    buf_str(&allow), method_name(method));
	return false;
}

static void
router_permit(struct call *c)
{
	unsigned flags = c->route->flags;

	if ((flags & ROUTE_SOCKET) && !c->socket)
		call_failf(c, -EPERM, "this is only for callers on the Unix socket");
	else if ((flags & ROUTE_OWN_UID) && !c->trusted)
		call_failf(c, -EPERM, "this is only for the user the daemon runs as");
	else if ((flags & ROUTE_ADMIN) && !c->admin)
		call_failf(c, -EPERM, "this is only for administrators");
	else if ((flags & ROUTE_CHANGES) && c->daemon->draining)
		call_failf(c, -ESHUTDOWN, "the daemon is stopping; try again when it is back");
	else if (call_read(c) == 0)
		c->route->handler(c);
}

void
router_run(struct call *c)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(c->req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

	if (path == NULL || strlen(path) > PATH_MAX_BYTES) {
		call_fail_status(c, 404, "not_found", "there is no such path in this API");
		return;
	}
	if (!router_find(c, path))
		return;
	if (c->route->flags & ROUTE_PUBLIC)
		router_permit(c);
	else
		auth_identify(c, router_permit);
}
