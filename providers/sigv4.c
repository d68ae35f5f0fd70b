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

static void
sigv4_key(unsigned char key[32], const char *secret, const char *date, const char *region,
    const char *service)
{
	char *first = xasprintf("AWS4%s", secret);

	hmac_sha256(key, first, strlen(first), date, strlen(date));
	hmac_sha256(key, key, 32, region, strlen(region));
	hmac_sha256(key, key, 32, service, strlen(service));
	hmac_sha256(key, key, 32, "aws4_request", strlen("aws4_request"));
	mem_wipe_free(first);
}

bool
sigv4_authorization(struct buf *out, const struct sigv4_request *req, const struct sigv4_keys *keys,
    const char *region, const char *service, uint64_t now_ms)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SIGV4_CANONICAL_MAX);
	CLEANUP(buf_free) struct buf names = BUF_INIT(HTTP_HEADERS_MAX);
	CLEANUP(cleanup_free) char *scope = NULL;
	unsigned char key[32], digest[32];
	char when[17], date[9];

	text.secret = true;
	buf_printf(&text, "%s\n%s\n", req->method, req->path);
	sigv4_add_query(&text, req->query);
	buf_putc(&text, '\n');
	sigv4_add_headers(&text, &names, req->headers);
	buf_printf(&text, "%s\n%s", buf_str(&names), req->payload);
	if (text.failed || names.failed)
		return false;
	sha256(digest, text.data, text.len);

	sigv4_time(when, sizeof when, now_ms);
	snprintf(date, sizeof date, "%.8s", when);
	scope = xasprintf("%s/%s/%s/aws4_request", date, region, service);
	buf_reset(&text);
	buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n", when, scope);
	buf_put_hex(&text, digest, sizeof digest);
	sigv4_key(key, keys->secret, date, region, service);
	hmac_sha256(digest, key, sizeof key, text.data, text.len);
	mem_wipe(key, sizeof key);

	buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=", keys->id,
	    scope, buf_str(&names));
	return buf_put_hex(out, digest, sizeof digest);
}
