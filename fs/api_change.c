#include "fs/api_change.h"
#include "src/clock.h"
#include <stdlib.h>

static void
api_id(const json_t *json, const char *key, char out[37])
{
	const char *value = json_string_value(json_object_get(json, key));

	snprintf(out, 37, "%s", value == NULL ? "" : value);
}

static char *
api_str(const json_t *json, const char *key)
{
	return xstrdup_null(json_string_value(json_object_get(json, key)));
}

uint64_t
api_u64(const json_t *json, const char *key, uint64_t missing)
{
	const json_t *value = json_object_get(json, key);

	return json_is_integer(value) && json_integer_value(value) >= 0
	    ? (uint64_t)json_integer_value(value)
	    : missing;
}

static int
api_source(struct change *change, const json_t *json, bool *complete, struct err *err)
{
	const char *account = json_string_value(json_object_get(json, "sourceAccountId"));
	const char *path = json_string_value(json_object_get(json, "sourcePath"));
	const json_t *segments = json_object_get(json, "segments");
	struct segment *segment;

	*complete = true;
	if (segments != NULL)
		return segments_from_json(change, segments, err);
	if (account != NULL && path != NULL) {
		segment = change_add_segment(change, SEGMENT_ENTRY);
		segment->account_id = xstrdup(account);
		segment->path = xstrdup(path);
		segment->version = api_str(json, "sourceVersion");
		segment->length = SEGMENT_TO_END;
		return 0;
	}
	*complete = change->kind != CHANGE_TRANSFER;
	return 0;
}

int
change_from_api(struct change **out, const json_t *json, bool *complete, struct err *err)
{
	const char *kind = json_string_value(json_object_get(json, "kind"));
	const char *status = json_string_value(json_object_get(json, "status"));
	const char *created = json_string_value(json_object_get(json, "createdAt"));
	const json_t *error = json_object_get(json, "error"), *mtime;
	struct change *change = change_new();
	int what, state, code = 0;

	api_id(json, "id", change->id);
	change->account_id = api_str(json, "destinationAccountId");
	change->path = api_str(json, "destinationPath");
	what = kind == NULL ? -EINVAL : change_kind_parse(kind);
	state = status == NULL ? -EINVAL : change_state_parse(status);
	if (change->id[0] == '\0' || what < 0 || state < 0 || change->account_id == NULL ||
	    change->path == NULL) {
		change_free(change);
		return err_set(
		    err, -EPROTO, "the daemon's description of a change is not understood");
	}
	change->kind = (enum change_kind)what;
	change->state = (enum change_state)state;
	change->move = json_is_true(json_object_get(json, "move"));
	change->tree = json_is_true(json_object_get(json, "tree"));
	change->by_key = json_is_true(json_object_get(json, "byKey"));
	change->result_version = api_str(json, "version");
	change->bytes_total = api_u64(json, "bytesTotal", UINT64_MAX);
	change->bytes_done = api_u64(json, "bytesDone", 0);
	change->mode = (unsigned)api_u64(json, "mode", 0);
	mtime = json_object_get(json, "mtimeNs");
	if (json_is_integer(mtime))
		change->mtime_ns = json_integer_value(mtime);
	change->mtime_set = !json_is_false(json_object_get(json, "mtimeSet"));
	if (created != NULL)
		clock_parse(&change->created_ms, created);
	if (json_is_object(error)) {
		change->error_text = api_str(error, "message");
		if (json_is_string(json_object_get(error, "code")))
			change->error =
			    err_by_name(json_string_value(json_object_get(error, "code")));
	}
	code = api_source(change, json, complete, err);
	if (code == 0 && change->kind == CHANGE_RENAME && change_source(change) == NULL)
		code = err_set(err, -EPROTO, "the daemon's description of a rename has no source");
	if (code != 0) {
		change_free(change);
		return code;
	}
	*out = change;
	return 0;
}
