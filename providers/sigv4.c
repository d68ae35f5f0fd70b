#include "providers/sigv4.h"
#include "src/hash.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIGV4_CANONICAL_MAX (HTTP_URL_MAX + HTTP_HEADERS_MAX)

struct part { /* of a query, or a header */
	char *name, *value;
};

struct parts {
	struct part *items;
	size_t len;
};

static void
parts_free(struct parts *parts)
{
	for (size_t i = 0; i < parts->len; i++) {
		free(parts->items[i].name);
		mem_wipe_free(parts->items[i].value); /* one may be a session token */
	}
	free(parts->items);
}

static void
parts_add(struct parts *parts, char *name, char *value)
{
	parts->items = xrealloc(parts->items, parts->len + 1, sizeof *parts->items);
	parts->items[parts->len++] = (struct part){name, value};
}

static int
part_compare(const void *a, const void *b)
{
	const struct part *first = a, *second = b;
	int order = strcmp(first->name, second->name);

	return order != 0 ? order : strcmp(first->value, second->value);
}

static void
parts_sort(struct parts *parts)
{
	if (parts->len > 0)
		qsort(parts->items, parts->len, sizeof *parts->items, part_compare);
}

static void
sigv4_add_query(struct buf *out, const char *query)
{
	CLEANUP(parts_free) struct parts parts = {.items = NULL};

	while (*query != '\0') {
		size_t len = strcspn(query, "&");
		size_t name = strcspn(query, "=&");

		if (len > 0)
			parts_add(&parts, xstrndup(query, name),
			    name < len ? xstrndup(query + name + 1, len - name - 1) : xstrdup(""));
		query += len;
		query += *query == '&';
	}
	parts_sort(&parts);
	for (size_t i = 0; i < parts.len; i++)
		buf_printf(
		    out, "%s%s=%s", i == 0 ? "" : "&", parts.items[i].name, parts.items[i].value);
}

/* Trimmed, and runs of blanks made one. */
static char *
header_value(const char *value)
{
	char *out = xstrdup(value), *to = out;

	while (*value != '\0') {
		size_t blanks = strspn(value, " \t");

		value += blanks;
		if (blanks > 0 && to != out && *value != '\0')
			*to++ = ' ';
		if (*value != '\0')
			*to++ = *value++;
	}
	*to = '\0';
	return out;
}

/* The header lines, an empty line; the names joined by ';' go to *names as well. */
static void
sigv4_add_headers(struct buf *out, struct buf *names, const struct http_headers *headers)
{
	CLEANUP(parts_free) struct parts parts = {.items = NULL};
	const struct http_header *header;

	TAILQ_FOREACH (header, headers, next) {
		char *name = xstrdup(header->name);

		for (char *c = name; *c != '\0'; c++)
			*c = (char)tolower((unsigned char)*c);
		parts_add(&parts, name, header_value(header->value));
	}
	parts_sort(&parts);
	for (size_t i = 0; i < parts.len; i++) {
		buf_printf(out, "%s:%s\n", parts.items[i].name, parts.items[i].value);
		buf_printf(names, "%s%s", i == 0 ? "" : ";", parts.items[i].name);
	}
	buf_putc(out, '\n');
}

char *
sigv4_time(char *out, size_t size, uint64_t now_ms)
{
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm tm;

	assert(size >= 17);
	gmtime_r(&seconds, &tm);
	strftime(out, size, "%Y%m%dT%H%M%SZ", &tm);
	return out;
}

struct signing {
	const struct sigv4_keys *keys;
	char *scope; /* "date/region/service/aws4_request" */
	char when[17];
	const char *region, *service;
};

static void
signing_key(unsigned char key[32], const struct signing *s)
{
	struct sigv4_derived *derived = s->keys->derived;
	char *first;

	if (derived != NULL && strcmp(derived->scope, s->scope) == 0) {
		memcpy(key, derived->key, 32);
		return;
	}
	first = xasprintf("AWS4%s", s->keys->secret);
	hmac_sha256(key, first, strlen(first), s->when, strlen("YYYYMMDD"));
	hmac_sha256(key, key, 32, s->region, strlen(s->region));
	hmac_sha256(key, key, 32, s->service, strlen(s->service));
	hmac_sha256(key, key, 32, "aws4_request", strlen("aws4_request"));
	mem_wipe_free(first);
	if (derived != NULL && strlen(s->scope) < sizeof derived->scope) {
		memcpy(derived->scope, s->scope, strlen(s->scope) + 1);
		memcpy(derived->key, key, 32);
	}
}

static void
signing_init(struct signing *s, const struct sigv4_keys *keys, const char *region,
    const char *service, uint64_t now_ms)
{
	*s = (struct signing){.keys = keys, .region = region, .service = service};
	sigv4_time(s->when, sizeof s->when, now_ms);
	s->scope = xasprintf("%.8s/%s/%s/aws4_request", s->when, region, service);
}

/* names: gets the signed headers.  False if the request is too large. */
static bool
signing_make(unsigned char out[32], struct buf *names, const struct signing *s,
    const struct sigv4_request *req)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SIGV4_CANONICAL_MAX);

	text.secret = true;
	buf_printf(&text, "%s\n%s\n", req->method, req->path);
	sigv4_add_query(&text, req->query);
	buf_putc(&text, '\n');
	sigv4_add_headers(&text, names, req->headers);
	buf_printf(&text, "%s\n%s", buf_str(names), req->payload);
	if (text.failed || names->failed)
		return false;
	sha256(out, text.data, text.len);

	buf_reset(&text);
	buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n", s->when, s->scope);
	buf_put_hex(&text, out, 32);
	signing_key(out, s);
	hmac_sha256(out, out, 32, text.data, text.len);
	return true;
}

bool
sigv4_authorization(struct buf *out, const struct sigv4_request *req, const struct sigv4_keys *keys,
    const char *region, const char *service, uint64_t now_ms)
{
	CLEANUP(buf_free) struct buf names = BUF_INIT(HTTP_HEADERS_MAX);
	unsigned char signature[32];
	struct signing s;
	bool good;

	signing_init(&s, keys, region, service, now_ms);
	good = signing_make(signature, &names, &s, req);
	buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=", keys->id,
	    s.scope, buf_str(&names));
	free(s.scope);
	return buf_put_hex(out, signature, good ? sizeof signature : 0) && good;
}

bool
sigv4_presign(struct buf *out, const struct sigv4_request *req, const struct sigv4_keys *keys,
    const char *token, const char *region, const char *service, uint64_t now_ms, unsigned expires_s)
{
	CLEANUP(buf_free) struct buf names = BUF_INIT(HTTP_HEADERS_MAX);
	CLEANUP(buf_free) struct buf query = BUF_INIT(HTTP_URL_MAX);
	struct sigv4_request whole = *req;
	unsigned char signature[32];
	struct signing s;
	bool good;

	signing_init(&s, keys, region, service, now_ms);
	buf_printf(&query, "%s%sX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=", req->query,
	    *req->query == '\0' ? "" : "&");
	buf_put_uri(&query, keys->id, NULL);
	buf_puts(&query, "%2F");
	buf_put_uri(&query, s.scope, NULL);
	buf_printf(&query, "&X-Amz-Date=%s&X-Amz-Expires=%u", s.when, expires_s);
	if (token != NULL) {
		buf_puts(&query, "&X-Amz-Security-Token=");
		buf_put_uri(&query, token, NULL);
	}
	buf_puts(&query, "&X-Amz-SignedHeaders=host");
	whole.query = buf_str(&query);
	good = !query.failed && signing_make(signature, &names, &s, &whole);
	free(s.scope);
	buf_printf(out, "%s&X-Amz-Signature=", buf_str(&query));
	return buf_put_hex(out, signature, good ? sizeof signature : 0) && good;
}
