#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "src/clock.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
gdrive_ask(struct http_request *req, const struct gdrive_account *drive, const char *method,
    const char *fmt, ...)
{
	char path[2 * GDRIVE_ID_MAX + 64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof path, fmt, args);
	va_end(args);
	req->method = method;
	req->ca_file = drive->oauth.ca;
	buf_reset(&req->url);
	buf_printf(&req->url, "%s%s%s%s", drive->endpoint.scheme, drive->endpoint.host,
	    drive->endpoint.base, path);
	http_request_header(req, "Host", "%s", drive->endpoint.host);
	oauth_put_authorization(req, &drive->oauth);
}

void
gdrive_param(struct http_request *req, const char *name, const char *value)
{
	bool first = strchr(buf_str(&req->url), '?') == NULL;

	buf_printf(&req->url, "%c%s=", first ? '?' : '&', name);
	buf_put_uri(&req->url, value, ",()");
}

void
gdrive_param_file(struct http_request *req)
{
	gdrive_param(req, "fields", GDRIVE_FIELDS);
	gdrive_param(req, "supportsAllDrives", "true");
}

void
gdrive_body(struct http_request *req, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	req->body = HTTP_BODY_BYTES;
	buf_puts(&req->bytes, text == NULL ? "{}" : text);
	free(text);
	http_request_header(req, "Content-Type", "application/json; charset=UTF-8");
}

void
gdrive_ask_list(struct http_request *req, const struct gdrive_account *drive, const char *dir,
    const char *terms, const char *next, unsigned size)
{
	CLEANUP(cleanup_free)
	char *query = xasprintf("'%s' in parents and trashed = false%s", dir, terms);
	char number[16];

	gdrive_ask(req, drive, "GET", "/drive/v3/files");
	if (drive->drive != NULL) {
		gdrive_param(req, "corpora", "drive");
		gdrive_param(req, "driveId", drive->drive);
	}
	gdrive_param(req, "fields", "nextPageToken,files(" GDRIVE_FIELDS ")");
	gdrive_param(req, "includeItemsFromAllDrives", "true");
	snprintf(number, sizeof number, "%u", size);
	gdrive_param(req, "pageSize", number);
	if (*next != '\0')
		gdrive_param(req, "pageToken", next);
	gdrive_param(req, "q", query);
	gdrive_param(req, "supportsAllDrives", "true");
}

json_t *
gdrive_time(int64_t ns)
{
	const int64_t unit = 1000000;
	int64_t ms = ns / unit - (ns % unit < 0);
	char text[36], *dot;

	clock_format_ns(text, sizeof text, ms * unit);
	dot = strchr(text, '.');
	if (dot != NULL && strlen(dot) > 4)
		memcpy(dot + 4, "Z", 2);
	return json_string(text);
}

json_t *
gdrive_answer(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	json_t *json = res->body.len == 0
	    ? NULL
	    : json_loadb(res->body.data, res->body.len, JSON_ALLOW_NUL, NULL);

	if (!json_is_object(json)) {
		err_set(err, -EPROTO, "cannot %s '%s': the answer is no JSON", object_doing(op),
		    op->path);
		json_decref(json);
		return NULL;
	}
	return json;
}

int
gdrive_answer_file(struct gdrive_node *out, json_t **file, const struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	json_t *json = gdrive_answer(op, res, err);
	const struct gdrive_account *drive = op->account->data;
	int code = json == NULL ? -EPROTO : gdrive_node_read(out, json, drive->exports, err);

	if (code == 0 && file != NULL)
		*file = json;
	else
		json_decref(json);
	return code;
}

int
gdrive_answer_next(char next[GDRIVE_NEXT_MAX], bool *more, const json_t *answer, struct err *err)
{
	const char *token = json_string_value(json_object_get(answer, "nextPageToken"));

	*more = token != NULL && *token != '\0';
	if (!*more)
		return 0;
	if (strcmp(next, token) == 0 || strlen(token) >= GDRIVE_NEXT_MAX)
		return err_set(err, -EPROTO, "the list goes round in circles");
	snprintf(next, GDRIVE_NEXT_MAX, "%s", token);
	return 0;
}

void
gdrive_ask_change(struct cloud_op *op, struct http_request *req, const char *id, json_t *change)
{
	gdrive_ask(req, op->account->data, "PATCH", "/drive/v3/files/%s", id);
	gdrive_param_file(req);
	gdrive_body(req, change);
}

/* A folder may have got something that nobody has looked at, and of a document nobody can have more
   than an export: they go to the trash in any case. */
void
gdrive_ask_remove(struct cloud_op *op, struct http_request *req, const struct gdrive_node *node)
{
	const struct gdrive_account *drive = op->account->data;

	if (node->is_directory)
		gdrive_places_change(); /* should the answer be lost */
	if (!drive->permanent || node->is_directory || node->export != NULL) {
		gdrive_ask_change(op, req, node->id, json_pack("{s:b}", "trashed", 1));
		return;
	}
	gdrive_ask(req, drive, "DELETE", "/drive/v3/files/%s", node->id);
	gdrive_param(req, "supportsAllDrives", "true");
}

/* Its id, or a request for ids. */
bool
gdrive_has_id(struct cloud_op *op, const struct gdrive_walk *walk, struct http_request *req)
{
	struct gdrive_op *gdrive = op->data;

	gdrive->asks_ids = !gdrive_take_id(op, walk->dir, gdrive_walk_name(op, walk));
	if (gdrive->asks_ids)
		gdrive_ask_ids(op, req);
	return !gdrive->asks_ids;
}
