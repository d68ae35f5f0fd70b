#include "src/endpoint.h"
#include "src/paths.h"
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
	    {0xc0000000, 24}, /* assigned to protocols */
	    {0xc0a80000, 16}, /* private */
	    {0xc6120000, 15}, /* for benchmarks */
	    {0xe0000000, 3}, /* multicast, reserved, broadcast */
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(nets); i++) {
		if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	}
	return false;
}

/* The IPv4 address that an IPv6 one leads to.  :: and ::1 are among them, as 0.0.0.0/8. */
static bool
address6_to_4(uint32_t *out, const struct in6_addr *a)
{
	static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b}; /* RFC 6052 */
	const unsigned char *v4 = a->s6_addr + 12;

	if (a->s6_addr[0] == 0x20 && a->s6_addr[1] == 0x02) /* 6to4, RFC 3056 */
		v4 = a->s6_addr + 2;
	else if (!IN6_IS_ADDR_V4MAPPED(a) && !IN6_IS_ADDR_V4COMPAT(a) &&
	    memcmp(a->s6_addr, nat64, sizeof nat64) != 0)
		return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a);
	memcpy(out, v4, sizeof *out);
	*out = ntohl(*out);
	return true;
}

static bool
address6_is_local(const struct in6_addr *a)
{
	uint32_t v4 = 0;

	if (address6_to_4(&v4, a))
		return address4_is_local(v4);
	return IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_SITELOCAL(a) || IN6_IS_ADDR_MULTICAST(a) ||
	    (a->s6_addr[0] & 0xfe) == 0xfc;
}

bool
address_is_local(const struct sockaddr *address)
{
	switch (address->sa_family) {
	case AF_INET:
		return address4_is_local(
		    ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
	case AF_INET6: return address6_is_local(&((const struct sockaddr_in6 *)address)->sin6_addr);
	default: return true;
	}
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

bool
endpoints_may_be_local(const struct settings *s)
{
	const char *rule = settings_str(s, "endpoints.private");

	return strcmp(rule, "yes") == 0 || (strcmp(rule, "auto") == 0 && !paths_is_system());
}
