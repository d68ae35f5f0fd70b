#include "daemon/server.h"
#include "daemon/auth.h"
#include "daemon/call.h"
#include "daemon/events.h"
#include "daemon/router.h"
#include "src/log.h"
#include "src/path.h"
#include "src/paths.h"
#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IDLE_TIMEOUT_S 120 /* longer than any answer of ours takes */
#define ACCEPT_PAUSE_S 1 /* after accept(2) failed, for want of descriptors */
#define BACKLOG        512

struct door {
	struct server *server;
	bool socket;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct event *resume;
	LIST_ENTRY(door) next;
};

/* Open doors.  Needed because libevent hands a listener's error callback evhttp's argument, not
 * ours. */
static LIST_HEAD(door_list, door) doors = LIST_HEAD_INITIALIZER(doors);

struct server {
	struct daemon *daemon;
	struct auth *auth;
	struct call_list calls;
	struct door tcp, local;
	unsigned port; /* of tcp */
	char *socket_path;
	dev_t socket_dev; /* of the socket we made: another's is not ours to remove */
	ino_t socket_ino;
};

struct auth *
server_auth(struct server *s)
{
	return s->auth;
}

/* -- a request */

static void
server_on_request(struct evhttp_request *req, void *arg)
{
	struct door *door = arg;
	struct evhttp_connection *connection = evhttp_request_get_connection(req);
	struct call *c = call_new(door->server->daemon, &door->server->calls, req);
	struct ucred peer;
	socklen_t len = sizeof peer;
	ev_uint16_t port;
	char *address;
	int fd;

	c->socket = door->socket;
	if (!door->socket) {
		evhttp_connection_get_peer(connection, &address, &port);
		c->loopback = auth_is_loopback(address);
		router_run(c);
		return;
	}
	fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
		call_failf(c, -EACCES, "the caller's uid is not known: %s", strerror(errno));
		return;
	}
	c->uid = peer.uid;
	c->trusted = peer.uid == geteuid();
	router_run(c);
}

/* -- the doors */

static void
door_on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;

	evconnlistener_enable(evhttp_bound_socket_get_listener(door->bound));
}

/* Without a pause a listener that cannot accept would turn the loop for nothing. */
static void
door_on_error(struct evconnlistener *listener, void *arg)
{
	struct timeval pause = {.tv_sec = ACCEPT_PAUSE_S};
	struct door *door;

	log_warning("api: cannot accept a connection: %s", strerror(errno));
	LIST_FOREACH (door, &doors, next) {
		if (door->http == arg) {
			evconnlistener_disable(listener);
			event_add(door->resume, &pause);
		}
	}
}

static int
door_open(struct door *door, struct server *s, bool is_socket, struct err *err)
{
	struct event_base *base = loop_base(s->daemon->loop);

	door->server = s;
	door->socket = is_socket;
	door->http = evhttp_new(base);
	door->resume = evtimer_new(base, door_on_resume, door);
	if (door->http == NULL || door->resume == NULL)
		return err_set(err, -ENOMEM, "cannot make an HTTP server");
	LIST_INSERT_HEAD(&doors, door, next);
	evhttp_set_max_body_size(door->http, CALL_BODY_MAX);
	evhttp_set_max_headers_size(door->http, CALL_HEADERS_MAX);
	evhttp_set_timeout(door->http, IDLE_TIMEOUT_S);
	evhttp_set_default_content_type(door->http, NULL);
	evhttp_set_allowed_methods(door->http,
	    EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS);
	evhttp_set_gencb(door->http, server_on_request, door);
	return 0;
}

static int
door_listen(struct door *door, int fd, struct err *err)
{
	if (evutil_make_socket_nonblocking(fd) != 0 || listen(fd, BACKLOG) != 0)
		return err_sys(
		    err, -errno, "cannot listen on %s", door->socket ? "api.socket" : "api.listen");
	if ((door->bound = evhttp_accept_socket_with_handle(door->http, fd)) == NULL)
		return err_set(err, -ENOMEM, "cannot accept connections");
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(door->bound), door_on_error);
	return 0;
}

static void
door_close(struct door *door)
{
	if (door->next.le_prev != NULL)
		LIST_REMOVE(door, next);
	if (door->http != NULL)
		evhttp_free(door->http); /* and its listener */
	if (door->resume != NULL)
		event_free(door->resume);
}

static void
door_stop_accepting(struct door *door)
{
	if (door->bound == NULL)
		return;
	event_del(door->resume);
	evhttp_del_accept_socket(door->http, door->bound);
	door->bound = NULL;
}

/* -- TCP */

/* "127.0.0.1:3000", "[::1]:3000" */
static int
listen_parse(struct sockaddr_storage *out, char host[64], const char *text, struct err *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	unsigned long port = 0;
	char *end = NULL;

	if (len > 0 && colon[1] >= '0' && colon[1] <= '9')
		port = strtoul(colon + 1, &end, 10);
	if (len > 0 && len < 64 && end != NULL && *end == '\0' && port <= 65535) {
		bool brackets = text[0] == '[' && text[len - 1] == ']';

		snprintf(
		    host, 64, "%.*s", (int)(brackets ? len - 2 : len), brackets ? text + 1 : text);
		memset(out, 0, sizeof *out);
		if (brackets && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
			v6->sin6_family = AF_INET6;
			v6->sin6_port = htons((uint16_t)port);
			return 0;
		}
		if (!brackets && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
			v4->sin_family = AF_INET;
			v4->sin_port = htons((uint16_t)port);
			return 0;
		}
	}
	return err_set(err, -EINVAL,
	    "api.listen must be an address and a port, such as 127.0.0.1:3000 or "
	    "[::1]:3000, or none; not '%s'",
	    text);
}

static int
tcp_bind(int *out, const struct sockaddr_storage *address, const char *text, struct err *err)
{
	CLEANUP(cleanup_close) int fd = -1;
	socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						       : sizeof(struct sockaddr_in);
	int on = 1;

	fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
		return err_sys(err, -errno, "cannot make a socket for api.listen %s", text);
	if (bind(fd, (const struct sockaddr *)address, len) != 0) {
		if (errno == EADDRINUSE)
			return err_set(err, -EADDRINUSE,
			    "the port of api.listen %s is in use; stop what uses it, or set "
			    "api.listen to another port or none",
			    text);
		return err_sys(err, -errno, "cannot bind to api.listen %s", text);
	}
	*out = fd;
	fd = -1;
	return 0;
}

/* The port is the one the kernel chose if the setting says 0. */
static unsigned
tcp_announce(int fd, const char *host)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof bound;
	unsigned port;
	bool v6;

	if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
		return 0;
	v6 = bound.ss_family == AF_INET6;
	port = ntohs(v6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
			: ((struct sockaddr_in *)&bound)->sin_port);
	log_info("api: http://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
	return port;
}

unsigned
server_port(const struct server *s)
{
	return s->port;
}

static int
server_open_tcp(struct server *s, struct err *err)
{
	const char *text = settings_str(s->daemon->settings, "api.listen");
	CLEANUP(cleanup_close) int fd = -1;
	struct sockaddr_storage address;
	char host[64];
	int code;

	if (strcmp(text, "none") == 0)
		return 0;
	if ((code = listen_parse(&address, host, text, err)) != 0)
		return code;
	if (!auth_is_loopback(host) && !settings_bool(s->daemon->settings, "api.public"))
		return err_set(err, -EPERM,
		    "api.listen %s can be reached from other machines and is not encrypted: put a "
		    "TLS proxy in front of a loopback address, or set api.public = yes",
		    text);
	if ((code = tcp_bind(&fd, &address, text, err)) != 0 ||
	    (code = door_open(&s->tcp, s, false, err)) != 0)
		return code;
	if ((code = door_listen(&s->tcp, fd, err)) != 0)
		return code;
	s->port = tcp_announce(fd, host);
	fd = -1;
	return 0;
}

/* -- the Unix socket */

static char *
server_socket_path(const struct settings *settings)
{
	const char *path = settings_str(settings, "api.socket");
	const char *runtime = settings_str(settings, "runtime.dir");
	CLEANUP(cleanup_free) char *dir = NULL;

	if (path[0] != '\0')
		return xstrdup(path);
	dir = runtime[0] != '\0' ? xstrdup(runtime) : paths_runtime_dir();
	return paths_join(dir, "skyferryd.sock");
}

/* A socket that nobody answers on was left by a daemon that was killed. */
static int
socket_clear(const struct sockaddr_un *address, struct err *err)
{
	CLEANUP(cleanup_close) int fd = -1;
	struct stat st;

	if (lstat(address->sun_path, &st) != 0)
		return errno == ENOENT
		    ? 0
		    : err_sys(err, -errno, "cannot look at api.socket %s", address->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "api.socket %s is there and is no socket; remove it",
		    address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, -errno, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
		return err_set(err, -EADDRINUSE,
		    "another daemon answers on api.socket %s; stop it, or set another api.socket",
		    address->sun_path);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return err_sys(err, -errno, "cannot try api.socket %s", address->sun_path);
	if (unlink(address->sun_path) != 0 && errno != ENOENT)
		return err_sys(
		    err, -errno, "cannot remove the old api.socket %s", address->sun_path);
	return 0;
}

static int
socket_bind(int *out, struct server *s, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP(cleanup_close) int fd = -1;
	mode_t mode = paths_is_system() ? 0666 : 0600;
	struct stat st;
	int code;

	if (strlen(s->socket_path) >= sizeof address.sun_path)
		return err_set(err, -ENAMETOOLONG,
		    "api.socket %s is longer than %zu bytes; set a shorter api.socket or runtime.dir",
		    s->socket_path, sizeof address.sun_path - 1);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", s->socket_path);
	if ((code = socket_clear(&address, err)) != 0)
		return code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, "cannot make a socket");
	/* Nobody can connect before listen(2), so there is time to set the mode. */
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    chmod(address.sun_path, mode) != 0 || lstat(address.sun_path, &st) != 0)
		return err_sys(err, -errno, "cannot make api.socket %s", address.sun_path);
	s->socket_dev = st.st_dev;
	s->socket_ino = st.st_ino;
	*out = fd;
	fd = -1;
	return 0;
}

static int
server_open_socket(struct server *s, struct err *err)
{
	CLEANUP(cleanup_free) char *dir = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	const char *slash;
	int code;

	s->socket_path = server_socket_path(s->daemon->settings);
	slash = strrchr(s->socket_path, '/');
	if (slash == NULL || slash == s->socket_path)
		return err_set(
		    err, -EINVAL, "api.socket must be an absolute path, not '%s'", s->socket_path);
	/* A directory of its own in personal mode; a place for it that is there already is left as
	 * it is. */
	dir = xstrndup(s->socket_path, (size_t)(slash - s->socket_path));
	if (access(dir, F_OK) != 0 && (code = paths_make_private(dir, err)) != 0)
		return code;
	if ((code = socket_bind(&fd, s, err)) != 0 ||
	    (code = door_open(&s->local, s, true, err)) != 0 ||
	    (code = door_listen(&s->local, fd, err)) != 0)
		return code;
	fd = -1;
	return 0;
}

struct server *
server_new(struct daemon *daemon, struct err *err)
{
	struct server *s = xcalloc(1, sizeof *s);

	s->daemon = daemon;
	LIST_INIT(&s->calls);
	s->auth = auth_new(daemon);
	if (server_open_tcp(s, err) != 0 || server_open_socket(s, err) != 0) {
		server_free(s);
		return NULL;
	}
	return s;
}

static void
server_remove_socket(struct server *s)
{
	struct stat st;

	if (s->socket_ino != 0 && lstat(s->socket_path, &st) == 0 && st.st_dev == s->socket_dev &&
	    st.st_ino == s->socket_ino)
		unlink(s->socket_path);
}

void
server_free(struct server *s)
{
	if (s == NULL)
		return;
	s->daemon->server = NULL; /* callbacks that come later find nobody to tell */
	door_stop_accepting(&s->tcp);
	door_stop_accepting(&s->local);
	server_remove_socket(s);
	if (s->daemon->events != NULL)
		events_close(s->daemon->events);
	call_list_stop(&s->calls);
	door_close(&s->tcp);
	door_close(&s->local);
	auth_unref(s->auth);
	free(s->socket_path);
	free(s);
}
