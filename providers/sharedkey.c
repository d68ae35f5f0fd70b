#include "providers/sharedkey.h"
#include "src/clock.h"
#include "src/hash.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHAREDKEY_CANONICAL_MAX (HTTP_URL_MAX + HTTP_HEADERS_MAX)

static void
put_signature(struct buf *out, const struct sharedkey *key, const struct buf *text)
{
	unsigned char mac[32];

	hmac_sha256(mac, key->key, key->len, buf_str(text), text->len);
	buf_put_base64(out, mac, sizeof mac);
}

static int
header_compare(const void *a, const void *b)
{
	const struct http_header *const *first = a, *const *second = b;

	return strcasecmp((*first)->name, (*second)->name);
}

/* "name:value" lines of all x-ms-* headers, names in lower case and sorted. */
static void
put_headers(struct buf *out, const struct http_headers *headers)
{
	CLEANUP(cleanup_free) const struct http_header **sorted = NULL;
	const struct http_header *header;
	size_t len = 0;

	TAILQ_FOREACH (header, headers, next) {
		if (strncasecmp(header->name, "x-ms-", 5) != 0)
			continue;
		sorted = xrealloc(sorted, len + 1, sizeof(*sorted));
		sorted[len++] = header;
	}
	if (len > 0)
		qsort(sorted, len, sizeof(*sorted), header_compare);
	for (size_t i = 0; i < len; i++) {
		for (const char *c = sorted[i]->name; *c != '\0'; c++)
			buf_putc(out, (char)tolower((unsigned char)*c));
		buf_printf(out, ":%s\n", sorted[i]->value);
	}
}

bool
sharedkey_authorization(
    struct buf *out, const struct sharedkey *key, const struct sharedkey_request *req)
{
	/* In the order of the documentation; NULL is the body's length, Date is x-ms-date. */
	static const char *const signed_headers[] = {"Content-Encoding", "Content-Language", NULL,
	    "Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match", "If-None-Match",
	    "If-Unmodified-Since", "Range"};
	CLEANUP(buf_free) struct buf text = BUF_INIT(SHAREDKEY_CANONICAL_MAX);
	const char *value;

	buf_printf(&text, "%s\n", req->method);
	for (size_t i = 0; i < ARRAY_LEN(signed_headers); i++) {
		if (signed_headers[i] == NULL) {
			if (req->length > 0) /* since version 2015-02-21 a 0 is left out */
				buf_printf(&text, "%llu", (unsigned long long)req->length);
		} else if ((value = http_header_get(req->headers, signed_headers[i])) != NULL) {
			buf_puts(&text, value);
		}
		buf_putc(&text, '\n');
	}
	put_headers(&text, req->headers);
	buf_printf(&text, "/%s%s", key->account, req->path);
	for (size_t i = 0; i < req->query_len; i++)
		buf_printf(&text, "\n%s:%s", req->query[i].name, req->query[i].value);
	buf_printf(out, "SharedKey %s:", key->account);
	put_signature(out, key, &text);
	return !text.failed && !out->failed;
}

bool
sharedkey_sas_to_read(
    struct buf *out, const struct sharedkey *key, const char *blob, uint64_t expires_ms)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SHAREDKEY_CANONICAL_MAX);
	CLEANUP(buf_free) struct buf signature = BUF_INIT(64);
	char expires[25];

	clock_format(expires, sizeof expires, expires_ms);
	snprintf(expires + 19, sizeof expires - 19, "Z"); /* whole seconds */
	/* Permissions, start, expiry, resource; identifier, addresses, protocol; version, kind of
	   resource; snapshot, encryption scope and five headers of the answer. */
	buf_printf(&text, "r\n\n%s\n/blob/%s%s\n\n\n\n%s\nb\n\n\n\n\n\n\n", expires, key->account,
	    blob, SHAREDKEY_SAS_VERSION);
	put_signature(&signature, key, &text);
	buf_printf(out, "sv=%s&sr=b&sp=r&se=", SHAREDKEY_SAS_VERSION);
	buf_put_uri(out, expires, NULL);
	buf_puts(out, "&sig=");
	buf_put_uri(out, buf_str(&signature), NULL);
	return !text.failed && !out->failed;
}
