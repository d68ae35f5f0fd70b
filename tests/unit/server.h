/*
 * server: a server for tests that does exactly what a script says, byte by byte.  It listens on a
 * free port of 127.0.0.1 or on a Unix socket; each connection runs the script in a thread of its
 * own.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

struct request {
	char method[16], target[1024];
	char head[16384]; /* the whole head, NUL-terminated */
	char *body; /* as many bytes as Content-Length says */
	size_t body_len;
};

/* Returns when the connection shall be closed.  n: the how-many-th connection, from 0. */
typedef void (*server_fn)(struct server *, int fd, unsigned n, void *arg);

struct server *server_start(server_fn, void *arg);
struct server *server_start_unix(const char *path, server_fn, void *arg);
void server_stop(struct server *); /* closes everything and waits for the threads */
int server_port(const struct server *);
unsigned server_connections(struct server *);

/* Reads a request; with `body` also its body.  False: the connection was closed. */
bool server_read(int fd, struct request *, bool body);
void server_request_fini(struct request *);
bool server_write(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool server_write_bytes(int fd, const void *data, size_t len);
/* A header's number, or `otherwise`. */
long long server_number(const struct request *, const char *name, long long otherwise);
void server_wait_closed(int fd); /* until the other side closes */
void server_reset(int fd); /* close() will send a reset */
