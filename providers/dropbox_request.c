#include "providers/dropbox_request.h"
#include "providers/object.h"
#include "src/clock.h"
#include "src/field.h"
#include <stdlib.h>
#include <string.h>

#define DROPBOX_ARG_MAX                                                                            \
	(64 * 1024) /* a path of 4,096 bytes, each of them escaped, several times                  \
		     */
#define SECONDS_MAX   INT64_C(253402300800) /* the year 10000 */
#define TIME_LEN      19 /* "2026-11-23T07:00:00" */
#define HEADER_DEL    "\\u007f"
#define JSON_FOR_WIRE (JSON_COMPACT | JSON_ENSURE_ASCII)

static void
put_route(struct http_request *req, const struct dropbox_account *dropbox,
    const struct endpoint *at, const char *route)
{
	req->method = "POST";
	req->body = HTTP_BODY_BYTES;
	req->ca_file = dropbox->oauth.ca;
	buf_printf(&req->url, "%s%s%s/2/%s", at->scheme, at->host, at->base, route);
	http_request_header(req, "Host", "%s", at->host);
}

static void
put_common(struct http_request *req, const struct dropbox_account *dropbox,
    const struct endpoint *at, const char *route)
{
	put_route(req, dropbox, at, route);
	if (dropbox->namespace != NULL)
		http_request_header(req, "Dropbox-API-Path-Root",
		    "{\".tag\": \"namespace_id\", \"namespace_id\": \"%s\"}", dropbox->namespace);
	oauth_put_authorization(req, &dropbox->oauth);
}

/* The header may have ASCII only, and of that not DEL, which jansson leaves. */
static void
put_arg(struct buf *out, json_t *arg)
{
	char *text = json_dumps(arg, JSON_FOR_WIRE | JSON_ENCODE_ANY);

	json_decref(arg);
	for (const char *c = text; c != NULL && *c != '\0'; c++) {
		if (*c == 0x7f)
			buf_puts(out, HEADER_DEL);
		else
			buf_putc(out, *c);
	}
	free(text);
}

void
dropbox_rpc(
    struct http_request *req, const struct dropbox_account *dropbox, const char *route, json_t *arg)
{
	put_common(req, dropbox, &dropbox->api, route);
	http_request_header(req, "Content-Type", "application/json");
	put_arg(&req->bytes, arg);
}

void
dropbox_notify(
    struct http_request *req, const struct dropbox_account *dropbox, const char *route, json_t *arg)
{
	put_route(req, dropbox, &dropbox->notify, route);
	http_request_header(req, "Content-Type", "application/json");
	put_arg(&req->bytes, arg);
}

void
dropbox_content(
    struct http_request *req, const struct dropbox_account *dropbox, const char *route, json_t *arg)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(DROPBOX_ARG_MAX);

	put_common(req, dropbox, &dropbox->content, route);
	put_arg(&text, arg);
	http_request_header(req, "Dropbox-API-Arg", "%s", buf_str(&text));
	http_request_header(req, "Content-Type", "application/octet-stream");
}

json_t *
dropbox_path_arg(const struct dropbox_account *dropbox, const char *path)
{
	CLEANUP(cleanup_free) char *full = dropbox_path(dropbox, path);
	json_t *arg = json_object();

	field_set_str(arg, "path", full);
	return arg;
}

json_t *
dropbox_paths_arg(const struct dropbox_account *dropbox, const char *from, const char *to)
{
	CLEANUP(cleanup_free) char *one = dropbox_path(dropbox, from);
	CLEANUP(cleanup_free) char *two = dropbox_path(dropbox, to);
	json_t *arg = json_object();

	field_set_str(arg, "from_path", one);
	field_set_str(arg, "to_path", two);
	field_set_bool(arg, "autorename", false);
	return arg;
}

void
dropbox_add_hash(json_t *arg, const struct digests *known)
{
	CLEANUP(buf_free) struct buf hex = BUF_INIT(2 * HASH_MAX_SIZE);

	if (!(known->have & HASH_BIT(HASH_DROPBOX)))
		return;
	buf_put_hex(&hex, known->sum[HASH_DROPBOX], hash_size(HASH_DROPBOX));
	field_set_str(arg, "content_hash", buf_str(&hex));
}

/* Rounded down, as a time of a clock with seconds would be.  What the service makes of a time
   before 1970 is written nowhere: it is not told. */
int64_t
dropbox_seconds(int64_t mtime_ns)
{
	int64_t seconds = mtime_ns / OBJECT_NSEC;

	return mtime_ns == ENTRY_NO_TIME || mtime_ns < 0 || seconds >= SECONDS_MAX ? -1 : seconds;
}

/* strict_conflict: else what is there already is no conflict if it has the same content, nor is a
   file that is not there. */
json_t *
dropbox_commit_arg(const struct cloud_op *op, const char *rev)
{
	json_t *arg = dropbox_path_arg(op->account->data, op->path);
	int64_t seconds = dropbox_seconds(op->put.mtime_ns);
	char when[32];

	if (rev == NULL || *rev == '\0')
		field_set_str(arg, "mode", "add");
	else
		field_set(arg, "mode", json_pack("{s:s, s:s}", ".tag", "update", "update", rev));
	field_set_bool(arg, "autorename", false);
	field_set_bool(arg, "strict_conflict", true);
	if (seconds < 0)
		return arg;
	clock_format(when, sizeof when, (uint64_t)seconds * 1000);
	snprintf(when + TIME_LEN, sizeof when - TIME_LEN, "Z"); /* without fractions */
	field_set_str(arg, "client_modified", when);
	return arg;
}

bool
dropbox_is_rev(const char *version)
{
	size_t len = strlen(version);

	return len >= 9 && len < DROPBOX_REV_MAX &&
	    version[strspn(version, "0123456789abcdef")] == '\0';
}
