#include "daemon/call.h"
#include "daemon/router.h"
#include "src/buf.h"
#include "src/field.h"
#include "src/log.h"
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
status_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {409, "Conflict"},
	    {413, "Payload Too Large"},
	    {429, "Too Many Requests"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {507, "Insufficient Storage"},
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}

/* Passwords and credentials do not stay in memory that was given back. */
static void
json_wipe(json_t *value)
{
	const char *name;
	json_t *item;
	size_t i;

	if (json_is_string(value))
		mem_wipe((char *)json_string_value(value), json_string_length(value));
	json_object_foreach (value, name, item) {
		json_wipe(item);
	}
	json_array_foreach (value, i, item) {
		json_wipe(item);
	}
}

static void
call_free(struct call *c)
{
	size_t i;

	if (c->next.le_prev != NULL)
		LIST_REMOVE(c, next);
	if (c->fini != NULL)
		c->fini(c->data);
	for (i = 0; i < CALL_PARAMS_MAX; i++)
		free(c->params[i]);
	user_free(c->user);
	json_decref(c->query);
	json_wipe(c->body);
	json_decref(c->body);
	free(c);
}

/* The connection goes.  A request that was not answered is ours when evhttp has let go of it. */
static void
call_on_close(struct evhttp_connection *connection, void *arg)
{
	struct call *c = arg;

	if (evhttp_request_get_connection(c->req) == NULL)
		evhttp_request_free(c->req);
	c->req = NULL;
	if (c->stop != NULL) {
		c->stop(c);
		call_free(c);
	}
}

struct call *
call_new(struct daemon *daemon, struct call_list *list, struct evhttp_request *req)
{
	struct call *c = xcalloc(1, sizeof *c);

	c->daemon = daemon;
	c->req = req;
	LIST_INSERT_HEAD(list, c, next);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), call_on_close, c);
	return c;
}

void
call_list_stop(struct call_list *list)
{
	struct call *c;

	while ((c = LIST_FIRST(list)) != NULL) {
		LIST_REMOVE(c, next);
		c->next.le_prev = NULL;
		if (c->stop != NULL) {
			c->stop(c);
			c->stop = NULL;
			call_fail(c, -ESHUTDOWN, NULL);
		}
	}
}

struct evhttp_request *
call_take_request(struct call *c)
{
	struct evhttp_request *req = TAKE(c->req);

	if (req != NULL)
		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
	call_free(c);
	return req;
}

void
call_reply_header(struct call *c, const char *name, const char *value)
{
	struct evkeyvalq *headers;

	if (c->req == NULL)
		return;
	headers = evhttp_request_get_output_headers(c->req);
	evhttp_remove_header(headers, name);
	evhttp_add_header(headers, name, value);
}

static void
text_release(const void *data, size_t len, void *arg)
{
	free(arg);
}

/* text: taken; NULL: an answer without a body. */
static void
call_send(struct call *c, int status, const char *type, char *text)
{
	struct evhttp_request *req;
	struct evbuffer *out = NULL;
	char number[24];

	if (c->req == NULL) {
		free(text);
		call_free(c);
		return;
	}
	call_reply_header(c, "Cache-Control", "no-store");
	if (text != NULL) {
		call_reply_header(c, "Content-Type", type);
		call_reply_header(c, "X-Content-Type-Options", "nosniff");
		snprintf(number, sizeof number, "%zu", strlen(text));
		call_reply_header(c, "Content-Length", number);
		if ((out = evbuffer_new()) == NULL)
			abort();
		if (evhttp_request_get_command(c->req) == EVHTTP_REQ_HEAD)
			free(text);
		else
			evbuffer_add_reference(out, text, strlen(text), text_release, text);
	}
	req = call_take_request(c);
	evhttp_send_reply(req, status, status_reason(status), out);
	if (out != NULL)
		evbuffer_free(out);
}

void
call_reply(struct call *c, int status, json_t *body)
{
	char *text = NULL;

	if (body != NULL && c->req != NULL) {
		text = json_dumps(body, JSON_COMPACT);
		if (text == NULL)
			abort(); /* out of memory, or a value that is no JSON: ours to avoid */
	}
	json_decref(body);
	call_send(c, status, "application/json", text);
}

static void
put_escaped(struct buf *page, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&': buf_puts(page, "&amp;"); break;
		case '<': buf_puts(page, "&lt;"); break;
		case '>': buf_puts(page, "&gt;"); break;
		case '"': buf_puts(page, "&quot;"); break;
		default: buf_putc(page, *text);
		}
	}
}

bool
call_wants_page(const struct call *c)
{
	const char *accept = c->req == NULL
	    ? NULL
	    : evhttp_find_header(evhttp_request_get_input_headers(c->req), "Accept");

	return accept != NULL && strstr(accept, "text/html") != NULL;
}

void
call_reply_page(struct call *c, int status, const char *title, const char *text)
{
	struct buf page = BUF_INIT(64 * 1024);

	buf_puts(
	    &page, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Skyferry: ");
	put_escaped(&page, title);
	buf_puts(&page, "</title><h1>");
	put_escaped(&page, title);
	buf_puts(&page, "</h1><p>");
	put_escaped(&page, text);
	buf_puts(&page, "</p></html>\n");
	/* The address had a code in it. */
	call_reply_header(c, "Referrer-Policy", "no-referrer");
	call_reply_header(
	    c, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	call_send(c, status, "text/html; charset=utf-8", buf_take(&page));
}

static void
call_reply_error(struct call *c, int status, const char *name, const char *message)
{
	json_t *body;

	/* Not the query, which may have secrets. */
	if (status >= 500 && c->req != NULL)
		log_warning("api: %s: %s", c->route != NULL ? c->route->pattern : "?", message);
	if (c->page) {
		call_reply_page(c, status, status_reason(status), message);
		return;
	}
	body = json_object();
	field_set_int(body, "statusCode", status);
	field_set_str(body, "error", status_reason(status));
	field_set_str(body, "message", message);
	field_set_str(body, "code", name);
	call_reply(c, status, body);
}

void
call_fail(struct call *c, int code, const struct err *err)
{
	const struct err_info *info = err_info(code);
	struct err none = {.code = code};
	char seconds[24];
	uint64_t wait_ms;

	if (err == NULL || err->code == 0)
		err = &none;
	wait_ms = err->wait_ms != 0 ? err->wait_ms : info->status == 503 ? 5000 : 0;
	if (wait_ms != 0 && (info->status == 503 || info->status == 429)) {
		snprintf(seconds, sizeof seconds, "%" PRIu64, (wait_ms + 999) / 1000);
		call_reply_header(c, "Retry-After", seconds);
	}
	call_reply_error(c, info->status, info->name, err_text(err));
}

void
call_failf(struct call *c, int code, const char *fmt, ...)
{
	struct err err = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof err.msg, fmt, ap);
	va_end(ap);
	call_fail(c, code, &err);
}

void
call_fail_status(struct call *c, int status, const char *name, const char *fmt, ...)
{
	char message[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	call_reply_error(c, status, name, message);
}

/* evhttp decodes "%00" to a NUL that would end our strings early. */
static bool
query_has_nul(const char *query)
{
	return strstr(query, "%00") != NULL;
}

static int
call_read_query(struct call *c)
{
	const char *text = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(c->req));
	struct evkeyvalq pairs;
	struct evkeyval *pair;
	const char *problem = NULL;
	json_t *value;

	c->query = json_object();
	if (text == NULL || text[0] == '\0')
		return 0;
	if (query_has_nul(text) || evhttp_parse_query_str(text, &pairs) != 0) {
		call_failf(c, -EINVAL, "the query must be name=value pairs joined by '&'");
		return -EINVAL;
	}
	TAILQ_FOREACH (pair, &pairs, next) {
		value = json_string(pair->value);
		if (value == NULL || json_object_get(c->query, pair->key) != NULL) {
			problem = value == NULL ? "is not UTF-8" : "is there twice";
			json_decref(value);
		} else if (json_object_set_new(c->query, pair->key, value) != 0) {
			problem = "is not UTF-8";
		}
		if (problem != NULL) {
			call_failf(c, -EINVAL, "the query's '%s' %s", pair->key, problem);
			break;
		}
	}
	evhttp_clear_headers(&pairs);
	return problem == NULL ? 0 : -EINVAL;
}

/* The parser is recursive: a body that nests deeper than any request of ours does not reach it. */
static bool
json_is_too_deep(const char *text, size_t len)
{
	bool quoted = false;
	size_t i, depth = 0;

	for (i = 0; i < len; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				quoted = false;
		} else if (text[i] == '"') {
			quoted = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > CALL_DEPTH_MAX)
				return true;
		} else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

/* A web page of another site may send what a form can without asking; JSON it may not. */
static bool
call_body_is_json(const struct call *c)
{
	const char *type =
	    evhttp_find_header(evhttp_request_get_input_headers(c->req), "Content-Type");

	return c->socket || (type != NULL && strncasecmp(type, "application/json", 16) == 0);
}

static int
call_read_body(struct call *c)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
	size_t len = evbuffer_get_length(in);
	json_error_t why;
	const char *text;

	if (len == 0)
		return 0;
	if (!call_body_is_json(c)) {
		call_failf(c, -EINVAL, "the body must have Content-Type: application/json");
		return -EINVAL;
	}
	if ((text = (const char *)evbuffer_pullup(in, -1)) == NULL)
		abort();
	if (json_is_too_deep(text, len)) {
		call_failf(c, -EINVAL, "the body nests deeper than %d levels", CALL_DEPTH_MAX);
		return -EINVAL;
	}
	c->body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	evbuffer_drain(in, len);
	if (c->body == NULL) {
		call_failf(c, -EINVAL, "the body is no JSON object: line %d, column %d: %s",
		    why.line, why.column, why.text);
		return -EINVAL;
	}
	if (!json_is_object(c->body)) {
		call_failf(c, -EINVAL, "the body must be a JSON object");
		return -EINVAL;
	}
	return 0;
}

int
call_read(struct call *c)
{
	int code;

	if ((code = call_read_query(c)) != 0)
		return code;
	return call_read_body(c);
}
