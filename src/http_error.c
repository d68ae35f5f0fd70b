/* What went wrong with a call, in our words. */
#include "src/http_private.h"
#include <stdio.h>
#include <string.h>

/* "GET https://host:port" without user, path and query: those may hold secrets. */
static void
http_call_name(const struct http_call *call, char *out, size_t size)
{
	const char *url = buf_str(&call->req->url);
	const char *host = strstr(url, "://"), *at;
	size_t len;

	if (call->req->unix_socket != NULL) {
		snprintf(out, size, "%s %s", call->req->method, call->req->unix_socket);
		return;
	}
	host = host == NULL ? url : host + 3;
	len = strcspn(host, "/?#");
	at = memrchr(host, '@', len);
	if (at != NULL) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	snprintf(out, size, "%s %.*s", call->req->method, (int)MIN(len, 255), host);
}

int
http_call_fail(struct http_call *call, int code, const char *fmt, ...)
{
	char name[320], text[320];
	struct err err = ERR_INIT;
	va_list ap;

	if (call->failed)
		return call->code;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	http_call_name(call, name, sizeof(name));
	call->failed = true;
	call->code = err_set(&err, code, "%s: %s", name, text);
	err_keep(&call->err, &err);
	return code;
}

/* A connection that could not be made: the system knows why. */
static int
http_connect_errno(CURL *easy)
{
	long os = 0;

	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
	switch (os) {
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL: return -EHOSTUNREACH;
	case ETIMEDOUT: return -ETIMEDOUT;
	case EACCES:
	case EPERM: return -EACCES;
	case EMFILE: return -EMFILE;
	case ENFILE: return -ENFILE;
	default: return -ECONNREFUSED; /* also ENOENT, of a Unix socket */
	}
}

static bool
http_was_sent(CURL *easy)
{
	long bytes = 0;

	curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes > 0;
}

/* The only place where curl's codes become ours. */
int
http_errno(CURL *easy, CURLcode code)
{
	switch (code) {
	case CURLE_OK: return 0;
	case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY: return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT: return http_connect_errno(easy);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR: return -EACCES;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND: /* a kept connection had died under an upload */
	case CURLE_SSL_CONNECT_ERROR: return -ECONNRESET;
	case CURLE_UNSUPPORTED_PROTOCOL: /* also of an answer that is not HTTP at all */
		return http_was_sent(easy) ? -EPROTO : -EINVAL;
	case CURLE_URL_MALFORMAT: return -EINVAL;
	case CURLE_OUT_OF_MEMORY: /* how it refuses a header line that is too long */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_PROXY: return -EPROTO;
	default: return -EIO;
	}
}
