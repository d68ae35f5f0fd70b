/* Requests, responses and headers as values. */
#include "src/clock.h"
#include "src/http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HTTP_BYTES_MAX  ((size_t)64 * 1024 * 1024) /* of a request's body that is not streamed */
#define HTTP_WAIT_MAX_S ((uint64_t)7 * 24 * 3600) /* a longer Retry-After is nonsense */

void
http_request_init(struct http_request *req)
{
	*req = (struct http_request){
	    .method = "GET",
	    .url = BUF_INIT(HTTP_URL_MAX),
	    .bytes = BUF_INIT(HTTP_BYTES_MAX),
	};
	/* Query strings and bodies may carry signatures and tokens. */
	req->url.secret = req->bytes.secret = true;
	TAILQ_INIT(&req->headers);
}

void
http_request_fini(struct http_request *req)
{
	buf_free(&req->url);
	buf_free(&req->bytes);
	http_headers_free(&req->headers);
}

void
http_request_header(struct http_request *req, const char *name, const char *fmt, ...)
{
	char *value;
	va_list ap;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	http_headers_add(&req->headers, name, value);
	mem_wipe_free(value);
}

void
http_response_init(struct http_response *res)
{
	*res = (struct http_response){.body = BUF_INIT(0)};
	res->body.secret = true; /* it may be a token */
	TAILQ_INIT(&res->headers);
}

void
http_response_fini(struct http_response *res)
{
	buf_free(&res->body);
	http_headers_free(&res->headers);
}

const char *
http_header_get(const struct http_headers *headers, const char *name)
{
	const struct http_header *header;

	TAILQ_FOREACH (header, headers, next) {
		if (strcasecmp(header->name, name) == 0)
			return header->value;
	}
	return NULL;
}

void
http_headers_add(struct http_headers *headers, const char *name, const char *value)
{
	struct http_header *header = xcalloc(1, sizeof(*header));

	header->name = xstrdup(name);
	header->value = xstrdup(value);
	TAILQ_INSERT_TAIL(headers, header, next);
}

void
http_headers_free(struct http_headers *headers)
{
	struct http_header *header;

	while ((header = TAILQ_FIRST(headers)) != NULL) {
		TAILQ_REMOVE(headers, header, next);
		free(header->name);
		mem_wipe_free(header->value);
		free(header);
	}
}

uint64_t
http_retry_after(const struct http_response *res, uint64_t now_ms)
{
	const char *value = http_header_get(&res->headers, "Retry-After");
	uint64_t seconds = 0;
	int64_t date;

	if (value == NULL)
		return 0;
	if (*value >= '0' && *value <= '9') {
		for (; *value >= '0' && *value <= '9' && seconds < HTTP_WAIT_MAX_S; value++)
			seconds = seconds * 10 + (uint64_t)(*value - '0');
	} else if (clock_parse_http(&date, value) == 0 && date > (int64_t)(now_ms / 1000)) {
		seconds = (uint64_t)date - now_ms / 1000;
	}
	return MIN(seconds, HTTP_WAIT_MAX_S) * 1000;
}
