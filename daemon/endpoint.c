#include "daemon/endpoint.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

/* Special-purpose addresses that are not of the public network: RFC 6890. */
static bool
address4_is_local(uint32_t a)
{
	static const struct {
		uint32_t net;
		unsigned bits;
	} nets[] = {
	    {0x00000000, 8}, /* this network */
	    {0x0a000000, 8}, /* private */
	    {0x64400000, 10}, /* shared by carriers */
	    {0x7f000000, 8}, /* loopback */
	    {0xa9fe0000, 16}, /* link-local: metadata services too */
	    {0xac100000, 12}, /* private */
	    {0xc0a80000, 16}, /* private */
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(nets); i++) {
		if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	}
	return false;
}

static bool
address6_is_local(const struct in6_addr *a)
{
	uint32_t v4;

	if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a)) {
		memcpy(&v4, a->s6_addr + 12, sizeof v4);
		return address4_is_local(ntohl(v4)); /* :: and ::1 come here too, as 0.0.0.0/8 */
	}
	return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
	    IN6_IS_ADDR_SITELOCAL(a) || (a->s6_addr[0] & 0xfe) == 0xfc;
}

static bool
name_is_local(const char *host)
{
	static const char *const suffixes[] = {"localhost", "localdomain", "local", "internal"};
	size_t len = strlen(host), i, n;

	while (len > 0 && host[len - 1] == '.')
		len--;
	for (i = 0; i < ARRAY_LEN(suffixes); i++) {
		n = strlen(suffixes[i]);
		if (len >= n && strncasecmp(host + len - n, suffixes[i], n) == 0 &&
		    (len == n || host[len - n - 1] == '.'))
			return true;
	}
	return false;
}

static bool
host_is_local(char *host)
{
	struct in6_addr a6;
	struct in_addr a4;
	size_t len = strlen(host);

	if (host[0] == '[' && len > 1) { /* an IPv6 address as URLs have it */
		host[len - 1] = '\0';
		host++;
	}
	host[strcspn(host, "%")] = '\0'; /* a zone */
	if (inet_pton(AF_INET6, host, &a6) == 1)
		return address6_is_local(&a6);
	if (inet_aton(host, &a4) != 0) /* also 127.1, 0x7f000001: libcurl takes them */
		return address4_is_local(ntohl(a4.s_addr));
	return name_is_local(host);
}

int
endpoint_is_local(bool *out, const char *url, struct err *err)
{
	CURLU *u = curl_url();
	char *host = NULL;
	int code = 0;

	if (curl_url_set(u, CURLUPART_URL, url, CURLU_DEFAULT_SCHEME) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		code = err_set(err, -EINVAL, "'%s' is not the address of a server", url);
	else
		*out = host_is_local(host);
	curl_free(host);
	curl_url_cleanup(u);
	return code;
}
