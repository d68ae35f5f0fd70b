/*
 * server: the API's two doors, evhttp on the control loop: TCP (api.listen), where a caller is
 * known by its token, and a Unix socket (api.socket), where it is known by its uid.  A request
 * becomes a struct call, which the router takes from there.
 */
#pragma once
#include "daemon/daemon.h"

struct auth;

struct server *server_new(struct daemon *, struct err *);
/* Says bye to the readers of events and closes every connection. */
void server_free(struct server *);
struct auth *server_auth(struct server *);
unsigned server_port(const struct server *); /* of api.listen; 0: none */
