#include "tests/unit/server.h"
#include "src/mem.h"
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct connection {
	TAILQ_ENTRY(connection) next;
	struct server *server;
	pthread_t thread;
	int fd;
	unsigned n;
};

struct server {
	int fd, port;
	char *path;
	server_fn fn;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	TAILQ_HEAD(, connection) connections;
	unsigned count;
	bool stopping;
};

static void *
connection_main(void *arg)
{
	struct connection *c = arg;

	c->server->fn(c->server, c->fd, c->n, c->server->arg);
	/* The number stays taken until server_stop(), which may still shut it down. */
	pthread_mutex_lock(&c->server->lock);
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&c->server->lock);
	return NULL;
}

static void *
server_main(void *arg)
{
	struct server *server = arg;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		struct connection *c = xcalloc(1, sizeof *c);

		c->server = server;
		c->fd = fd;
		pthread_mutex_lock(&server->lock);
		c->n = server->count++;
		TAILQ_INSERT_TAIL(&server->connections, c, next);
		if (pthread_create(&c->thread, NULL, connection_main, c) != 0)
			abort();
		if (server->stopping)
			shutdown(fd, SHUT_RDWR);
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

static struct server *
server_listen(int fd, const struct sockaddr *address, socklen_t len, server_fn fn, void *arg)
{
	struct server *server = xcalloc(1, sizeof *server);
	struct sockaddr_in bound;
	socklen_t bound_len = sizeof bound;

	if (fd < 0 || bind(fd, address, len) < 0 || listen(fd, 1024) < 0) {
		perror("server");
		exit(99);
	}
	server->fd = fd;
	if (address->sa_family == AF_INET &&
	    getsockname(fd, (struct sockaddr *)&bound, &bound_len) == 0)
		server->port = ntohs(bound.sin_port);
	server->fn = fn;
	server->arg = arg;
	pthread_mutex_init(&server->lock, NULL);
	TAILQ_INIT(&server->connections);
	if (pthread_create(&server->thread, NULL, server_main, server) != 0)
		abort();
	return server;
}

struct server *
server_start(server_fn fn, void *arg)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return server_listen(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    (struct sockaddr *)&address, sizeof address, fn, arg);
}

struct server *
server_start_unix(const char *path, server_fn fn, void *arg)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct server *server;

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	server = server_listen(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    (struct sockaddr *)&address, sizeof address, fn, arg);
	server->path = xstrdup(path);
	return server;
}

void
server_stop(struct server *server)
{
	struct connection *c;

	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	TAILQ_FOREACH (c, &server->connections, next) {
		if (c->fd >= 0)
			shutdown(c->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server->lock);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	while ((c = TAILQ_FIRST(&server->connections)) != NULL) {
		pthread_join(c->thread, NULL);
		TAILQ_REMOVE(&server->connections, c, next);
		free(c);
	}
	close(server->fd);
	if (server->path != NULL)
		unlink(server->path);
	free(server->path);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

int
server_port(const struct server *server)
{
	return server->port;
}

unsigned
server_connections(struct server *server)
{
	unsigned count;

	pthread_mutex_lock(&server->lock);
	count = server->count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

long long
server_number(const struct request *req, const char *name, long long otherwise)
{
	const char *at = strcasestr(req->head, name);

	return at == NULL ? otherwise : strtoll(at + strlen(name) + 1, NULL, 10);
}

bool
server_read(int fd, struct request *req, bool body)
{
	size_t len = 0, got = 0;
	ssize_t n;

	*req = (struct request){.body = NULL};
	/* Byte by byte: what follows the head stays in the socket. */
	while (len < 4 || memcmp(req->head + len - 4, "\r\n\r\n", 4) != 0) {
		if (len + 1 >= sizeof req->head || recv(fd, req->head + len, 1, 0) != 1)
			return false;
		len++;
	}
	if (sscanf(req->head, "%15s %1023s", req->method, req->target) != 2)
		return false;
	if (!body)
		return true;
	req->body_len = (size_t)server_number(req, "\r\nContent-Length", 0);
	req->body = xcalloc(1, req->body_len + 1);
	while (got < req->body_len) {
		n = recv(fd, req->body + got, req->body_len - got, 0);
		if (n <= 0) {
			server_request_fini(req);
			return false;
		}
		got += (size_t)n;
	}
	return true;
}

void
server_request_fini(struct request *req)
{
	free(req->body);
	req->body = NULL;
}

bool
server_write_bytes(int fd, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	for (; len > 0; at += n, len -= (size_t)n) {
		n = send(fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
	}
	return true;
}

bool
server_write(int fd, const char *fmt, ...)
{
	va_list ap;
	char *text;
	bool good;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	good = server_write_bytes(fd, text, strlen(text));
	free(text);
	return good;
}

void
server_wait_closed(int fd)
{
	char rest[4096];

	while (recv(fd, rest, sizeof rest, 0) > 0)
		;
}

void
server_reset(int fd)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
