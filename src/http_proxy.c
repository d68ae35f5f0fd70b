/* Which proxy, where we must know: the variables that libcurl reads, read as libcurl does. */
#include "src/http_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* Its last labels, or all of it; a leading dot says nothing. */
static bool
host_is_named(const char *host, size_t host_len, const char *name, size_t len)
{
	if (len > 0 && *name == '.') {
		name++;
		len--;
	}
	return len > 0 && host_len >= len && strncasecmp(host + host_len - len, name, len) == 0 &&
	    (host_len == len || host[host_len - len - 1] == '.');
}

/* "example.com, .internal 10.0.0.1", or "*". */
static bool
host_is_excepted(const char *host, const char *list)
{
	static const char separators[] = ", \t";
	size_t host_len = strlen(host), len;

	if (*host == '[' && host_len > 1) { /* an IPv6 address, which the list has bare */
		host++;
		host_len -= 2;
	}
	if (strcmp(list, "*") == 0)
		return true;
	for (list += strspn(list, separators); *list != '\0'; list += strspn(list, separators)) {
		len = strcspn(list, separators);
		if (host_is_named(host, host_len, list, len))
			return true;
		list += len;
	}
	return false;
}

/* CGI programs get HTTP_PROXY from whoever asks them: it is not read (httpoxy). */
static const char *
scheme_proxy(const char *scheme)
{
	const char *proxy = NULL;

	if (strcasecmp(scheme, "https") == 0) {
		proxy = variable("https_proxy");
		if (proxy == NULL)
			proxy = variable("HTTPS_PROXY");
	} else {
		proxy = variable("http_proxy");
	}
	if (proxy == NULL)
		proxy = variable("all_proxy");
	return proxy != NULL ? proxy : variable("ALL_PROXY");
}

const char *
http_proxy_for(const char *url)
{
	const char *proxy = NULL, *except = variable("no_proxy");
	char *scheme = NULL, *host = NULL;
	CURLU *u = curl_url();

	if (except == NULL)
		except = variable("NO_PROXY");
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    (except == NULL || !host_is_excepted(host, except)))
		proxy = scheme_proxy(scheme);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return proxy;
}
