#include "providers/endpoint.h"
#include "providers/credential.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int
endpoint_parse(struct endpoint *out, const char *url, struct err *err)
{
	const char *scheme, *host, *port;
	size_t len;

	if (strncasecmp(url, "https://", 8) == 0)
		scheme = "https://";
	else if (strncasecmp(url, "http://", 7) == 0)
		scheme = "http://";
	else
		return err_set(
		    err, -EINVAL, "endpoint: '%s' does not begin with https:// or http://", url);
	host = url + strlen(scheme);
	len = strcspn(host, "/");
	if (len == 0 || !credential_is_token(host) || strpbrk(host, "@?#\\\"<>") != NULL)
		return err_set(err, -EINVAL,
		    "endpoint: only scheme, host, port and path are possible, without user, "
		    "password or query");
	/* The default port is not part of the Host header, and so not of a signature. */
	port = strcmp(scheme, "https://") == 0 ? ":443" : ":80";
	out->scheme = xstrdup(scheme);
	out->base = xstrdup(host + len);
	if (len > strlen(port) && strncmp(host + len - strlen(port), port, strlen(port)) == 0)
		len -= strlen(port);
	out->host = xstrndup(host, len);
	for (len = strlen(out->base); len > 0 && out->base[len - 1] == '/'; len--)
		out->base[len - 1] = '\0';
	return 0;
}

void
endpoint_fini(struct endpoint *endpoint)
{
	free(endpoint->scheme);
	free(endpoint->host);
	free(endpoint->base);
	*endpoint = (struct endpoint){.scheme = NULL};
}

/* The host's name in lower case, without a port and a last dot (caller frees); *port: what follows
   it in the host, "" for that of a scheme. */
static char *
endpoint_name(const struct endpoint *endpoint, const char **port)
{
	char *name = xstrdup(endpoint->host), *at;
	size_t len;

	*port = "";
	for (at = name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	at = strrchr(name, ':');
	if (at != NULL && strchr(at, ']') == NULL) {
		if (strcmp(at, ":80") != 0 && strcmp(at, ":443") != 0)
			*port = endpoint->host + (at - name);
		*at = '\0';
	}
	len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		name[len - 1] = '\0';
	return name;
}

static bool
name_is_loopback(const char *name)
{
	static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < ARRAY_LEN(loopback); i++) {
		if (strcmp(name, loopback[i]) == 0)
			return true;
	}
	return false;
}

char *
endpoint_service(const struct endpoint *endpoint, const char *const suffixes[])
{
	const char *port, *found;
	CLEANUP(cleanup_free) char *name = endpoint_name(endpoint, &port);
	size_t len = strlen(name), tail;

	found = name_is_loopback(name) ? "localhost" : name;
	for (; *suffixes != NULL; suffixes++) {
		tail = strlen(*suffixes);
		if (len > tail && strcmp(name + len - tail, *suffixes) == 0)
			found = *suffixes + 1;
	}
	return xasprintf("%s%s%s", found, port, endpoint->base);
}

bool
endpoint_is_loopback(const struct endpoint *endpoint)
{
	const char *port;
	CLEANUP(cleanup_free) char *name = endpoint_name(endpoint, &port);

	return name_is_loopback(name);
}
