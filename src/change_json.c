/* The JSON form of a change: the store's record. */
#include "src/change.h"
#include "src/field.h"
#include "src/path.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

/* What was written must be readable again, also when a version is all of an answer's headers. */
#define CHANGE_TEXT_MAX       (256 * 1024)
#define CHANGE_NAME_MAX       256 /* an id, an account's name, a route */
#define CHANGE_SPOOL_NAME_MAX 255

/* Most members of most changes have their default: those are left out, to keep a record small. */
static void
change_set_count(json_t *json, const char *key, uint64_t value)
{
	if (value != 0)
		field_set_int(json, key, (int64_t)MIN(value, (uint64_t)INT64_MAX));
}

static void
change_set_flag(json_t *json, const char *key, bool value, bool usual)
{
	if (value != usual)
		field_set_bool(json, key, value);
}

json_t *
change_to_json(const struct change *c)
{
	json_t *json = json_object();

	assert(json != NULL);
	field_set_str(json, "id", c->id);
	field_set_str(json, "userId", c->user_id);
	field_set_str(json, "kind", change_kind_name(c->kind));
	field_set_str(json, "state", change_state_name(c->state));
	if (c->phase == CHANGE_PHASE_VERIFIED)
		field_set_str(json, "phase", "verified");
	field_set_str(json, "accountId", c->account_id);
	field_set_str(json, "path", c->path);
	if (c->segments_len > 0)
		field_set(json, "segments", segments_to_json(c->segments, c->segments_len));
	change_set_flag(json, "move", c->move, false);
	change_set_flag(json, "tree", c->tree, false);
	change_set_flag(json, "byKey", c->by_key, false);
	change_set_flag(json, "overwrite", c->overwrite, true);
	change_set_flag(json, "preserve", c->preserve, true);
	field_set_str(json, "version", c->version);
	if (c->mtime_ns != ENTRY_NO_TIME)
		field_set_int(json, "mtimeNs", c->mtime_ns);
	change_set_flag(json, "mtimeSet", c->mtime_set, true);
	change_set_count(json, "mode", c->mode & 07777);
	field_set_str(json, "contentType", c->content_type);
	field_set_str(json, "parent", c->parent[0] != '\0' ? c->parent : NULL);
	field_set_str(json, "position", c->position);
	change_set_flag(json, "listed", c->listed, false);

	if (c->priority != CHANGE_PRIORITY_DEFAULT)
		field_set_int(json, "priority", c->priority);
	change_set_count(json, "bandwidth", c->bandwidth);
	change_set_count(json, "attempts", c->attempts);
	change_set_count(json, "retriesMax", c->retries_max);
	change_set_count(json, "createdMs", c->created_ms);
	change_set_count(json, "notBeforeMs", c->not_before_ms);
	change_set_count(json, "startedMs", c->started_ms);
	change_set_count(json, "finishedMs", c->finished_ms);
	field_set_str(json, "mountId", c->mount_id);
	change_set_flag(json, "cancel", c->cancel, false);
	change_set_flag(json, "pinned", c->pinned, false);

	if (c->bytes_total != UINT64_MAX)
		field_set_int(
		    json, "bytesTotal", (int64_t)MIN(c->bytes_total, (uint64_t)INT64_MAX));
	change_set_count(json, "bytesDone", c->bytes_done);
	field_set_str(json, "route", c->route);
	field_set_str(json, "routeReason", c->route_reason);
	field_set_str(json, "verified", c->verified);
	field_set_str(json, "resultVersion", c->result_version);
	if (c->error != 0)
		field_set_int(json, "error", c->error);
	field_set_str(json, "errorText", c->error_text);

	change_set_count(json, "seq", c->seq);
	change_set_count(json, "blockers", c->blockers);
	field_set_str(json, "owner", c->owner);
	change_set_count(json, "leaseMs", c->lease_ms);
	return json;
}

/* A name out of a list.  absent: *out stays, and that is an error if `required`. */
static int
change_read_name(
    int *out, const json_t *json, const char *key, int (*parse)(const char *), struct err *err)
{
	CLEANUP(cleanup_free) char *name = NULL;
	int code = field_str(&name, json, key, CHANGE_NAME_MAX, err);

	if (code != 0)
		return code;
	if (name == NULL)
		return err_set(err, -EINVAL, "a change without '%s'", key);
	code = parse(name);
	if (code < 0)
		return err_set(err, -EINVAL, "'%s' is no %s of a change", name, key);
	*out = code;
	return 0;
}

static int
change_phase_parse(const char *name)
{
	if (strcmp(name, "verified") == 0)
		return CHANGE_PHASE_VERIFIED;
	return strcmp(name, "copy") == 0 ? CHANGE_PHASE_COPY : -EINVAL;
}

static int
change_read_count(unsigned *out, const json_t *json, const char *key, unsigned max, struct err *err)
{
	uint64_t value = *out;
	int code = field_u64(&value, json, key, max, err);

	*out = (unsigned)value;
	return code;
}

static int
change_read_what(struct change *c, const json_t *json, struct err *err)
{
	const json_t *segments = json_object_get(json, "segments");
	int kind = 0, state = 0, phase = CHANGE_PHASE_COPY, code;

	if ((code = field_id(c->id, sizeof c->id, json, "id", err)) != 0 ||
	    (code = field_id(c->user_id, sizeof c->user_id, json, "userId", err)) != 0 ||
	    (code = change_read_name(&kind, json, "kind", change_kind_parse, err)) != 0 ||
	    (code = change_read_name(&state, json, "state", change_state_parse, err)) != 0 ||
	    (code = field_str(&c->account_id, json, "accountId", CHANGE_NAME_MAX, err)) != 0 ||
	    (code = field_str(&c->path, json, "path", PATH_BYTES_MAX, err)) != 0 ||
	    (code = field_bool(&c->move, json, "move", err)) != 0 ||
	    (code = field_bool(&c->tree, json, "tree", err)) != 0 ||
	    (code = field_bool(&c->by_key, json, "byKey", err)) != 0 ||
	    (code = field_bool(&c->overwrite, json, "overwrite", err)) != 0 ||
	    (code = field_bool(&c->preserve, json, "preserve", err)) != 0 ||
	    (code = field_str(&c->version, json, "version", CHANGE_TEXT_MAX, err)) != 0 ||
	    (code = field_int(&c->mtime_ns, json, "mtimeNs", INT64_MIN + 1, INT64_MAX, err)) != 0 ||
	    (code = field_bool(&c->mtime_set, json, "mtimeSet", err)) != 0 ||
	    (code = change_read_count(&c->mode, json, "mode", 07777, err)) != 0 ||
	    (code = field_str(&c->content_type, json, "contentType", CHANGE_TEXT_MAX, err)) != 0 ||
	    (code = field_id(c->parent, sizeof c->parent, json, "parent", err)) != 0 ||
	    (code = field_str(&c->position, json, "position", PATH_BYTES_MAX, err)) != 0 ||
	    (code = field_bool(&c->listed, json, "listed", err)) != 0)
		return code;
	if (json_object_get(json, "phase") != NULL &&
	    (code = change_read_name(&phase, json, "phase", change_phase_parse, err)) != 0)
		return code;
	c->kind = (enum change_kind)kind;
	c->state = (enum change_state)state;
	c->phase = (enum change_phase)phase;
	if (c->id[0] == '\0' || c->user_id[0] == '\0' || c->account_id == NULL || c->path == NULL)
		return err_set(
		    err, -EINVAL, "a change must have 'id', 'userId', 'accountId' and 'path'");
	if (!change_path_is_valid(c, c->path))
		return err_set(err, -EINVAL, "the path '%s' of a change is not canonical", c->path);
	if (segments != NULL && (code = segments_from_json(c, segments, err)) != 0)
		return code;
	if ((c->kind == CHANGE_RENAME || c->kind == CHANGE_TREE) && change_source(c) == NULL)
		return err_set(err, -EINVAL, "a %s must have one whole source entry",
		    change_kind_name(c->kind));
	if (c->move && c->kind != CHANGE_TREE &&
	    (c->kind != CHANGE_TRANSFER || change_source(c) == NULL))
		return err_set(err, -EINVAL, "only a transfer of one whole entry can be a move");
	return 0;
}

static int
change_read_progress(struct change *c, const json_t *json, struct err *err)
{
	int64_t error = 0;
	int code;

	if ((code = change_read_count(&c->priority, json, "priority", CHANGE_PRIORITY_MAX, err)) !=
		0 ||
	    (code = field_u64(&c->bandwidth, json, "bandwidth", INT64_MAX, err)) != 0 ||
	    (code = change_read_count(&c->attempts, json, "attempts", UINT_MAX, err)) != 0 ||
	    (code = change_read_count(&c->retries_max, json, "retriesMax", UINT_MAX, err)) != 0 ||
	    (code = field_u64(&c->created_ms, json, "createdMs", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&c->not_before_ms, json, "notBeforeMs", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&c->started_ms, json, "startedMs", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&c->finished_ms, json, "finishedMs", INT64_MAX, err)) != 0 ||
	    (code = field_str(&c->mount_id, json, "mountId", CHANGE_NAME_MAX, err)) != 0 ||
	    (code = field_bool(&c->cancel, json, "cancel", err)) != 0 ||
	    (code = field_bool(&c->pinned, json, "pinned", err)) != 0 ||
	    (code = field_u64(&c->bytes_total, json, "bytesTotal", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&c->bytes_done, json, "bytesDone", INT64_MAX, err)) != 0 ||
	    (code = field_str(&c->route, json, "route", CHANGE_NAME_MAX, err)) != 0 ||
	    (code = field_str(&c->route_reason, json, "routeReason", CHANGE_TEXT_MAX, err)) != 0 ||
	    (code = field_str(&c->verified, json, "verified", CHANGE_TEXT_MAX, err)) != 0 ||
	    (code = field_str(&c->result_version, json, "resultVersion", CHANGE_TEXT_MAX, err)) !=
		0 ||
	    (code = field_int(&error, json, "error", INT_MIN, 0, err)) != 0 ||
	    (code = field_str(&c->error_text, json, "errorText", CHANGE_TEXT_MAX, err)) != 0 ||
	    (code = field_u64(&c->seq, json, "seq", INT64_MAX, err)) != 0 ||
	    (code = change_read_count(&c->blockers, json, "blockers", UINT_MAX, err)) != 0 ||
	    (code = field_str(&c->owner, json, "owner", CHANGE_NAME_MAX, err)) != 0 ||
	    (code = field_u64(&c->lease_ms, json, "leaseMs", INT64_MAX, err)) != 0)
		return code;
	c->error = (int)error;
	return 0;
}

int
change_from_json(struct change **out, const json_t *json, struct err *err)
{
	struct change *c;
	int code;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "a change must be an object");
	c = change_new();
	code = change_read_what(c, json, err);
	if (code == 0)
		code = change_read_progress(c, json, err);
	if (code != 0) {
		change_free(c);
		return code;
	}
	*out = c;
	return 0;
}

json_t *
segments_to_json(const struct segment *segments, size_t len)
{
	json_t *array = json_array();
	size_t i;

	assert(array != NULL);
	for (i = 0; i < len; i++) {
		const struct segment *s = &segments[i];
		json_t *json = json_object();

		assert(json != NULL);
		switch (s->kind) {
		case SEGMENT_ENTRY:
			field_set_str(json, "account", s->account_id);
			field_set_str(json, "path", s->path);
			field_set_str(json, "version", s->version);
			if (s->written_ns != 0)
				field_set_int(json, "writtenNs", s->written_ns);
			break;
		case SEGMENT_SPOOL: field_set_str(json, "spool", s->path); break;
		case SEGMENT_ZERO: field_set_bool(json, "zero", true); break;
		}
		change_set_count(json, "offset", s->offset);
		if (s->length != SEGMENT_TO_END)
			field_set_int(json, "length", (int64_t)s->length);
		json_array_append_new(array, json);
	}
	return array;
}

/* A spool file is named within the user's spool directory and never leads out of it. */
static bool
segment_spool_is_valid(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int
segment_read_what(
    struct segment *s, const struct change *change, const json_t *json, struct err *err)
{
	CLEANUP(cleanup_free) char *spool = NULL;
	bool zero = false;
	int code;

	if ((code = field_str(&s->account_id, json, "account", CHANGE_NAME_MAX, err)) != 0 ||
	    (code = field_str(&s->path, json, "path", PATH_BYTES_MAX, err)) != 0 ||
	    (code = field_str(&s->version, json, "version", CHANGE_TEXT_MAX, err)) != 0 ||
	    (code = field_int(&s->written_ns, json, "writtenNs", INT64_MIN + 1, INT64_MAX, err)) !=
		0 ||
	    (code = field_str(&spool, json, "spool", CHANGE_SPOOL_NAME_MAX, err)) != 0 ||
	    (code = field_bool(&zero, json, "zero", err)) != 0)
		return code;
	if ((s->account_id != NULL) + (spool != NULL) + zero != 1)
		return err_set(err, -EINVAL, "must have one of 'account', 'spool' and 'zero'");
	if (s->account_id == NULL && (s->path != NULL || s->version != NULL))
		return err_set(err, -EINVAL, "'path' and 'version' belong to 'account'");
	if (spool != NULL) {
		if (!segment_spool_is_valid(spool))
			return err_set(err, -EINVAL, "'%s' cannot be a spool file", spool);
		s->kind = SEGMENT_SPOOL;
		s->path = TAKE(spool);
	} else if (zero) {
		s->kind = SEGMENT_ZERO;
	} else {
		s->kind = SEGMENT_ENTRY;
		if (s->account_id[0] == '\0' || s->path == NULL)
			return err_set(err, -EINVAL, "must name an account and a path in it");
		if (!change_source_is_valid(change, s->path))
			return err_set(err, -EINVAL, "the path '%s' is not canonical", s->path);
	}
	return 0;
}

static int
segment_read(struct segment *s, const struct change *change, const json_t *json, struct err *err)
{
	int code;

	s->length = SEGMENT_TO_END;
	if (!json_is_object(json))
		return err_set(err, -EINVAL, "must be an object");
	if ((code = segment_read_what(s, change, json, err)) != 0 ||
	    (code = field_u64(&s->offset, json, "offset", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&s->length, json, "length", INT64_MAX, err)) != 0)
		return code;
	if (s->length == SEGMENT_TO_END && (s->offset != 0 || s->kind == SEGMENT_ZERO))
		return err_set(err, -EINVAL, "must have a 'length'");
	if (s->length != SEGMENT_TO_END && s->offset > (uint64_t)INT64_MAX - s->length)
		return err_set(err, -EINVAL, "'offset' + 'length' is too large");
	return 0;
}

int
segments_from_json(struct change *into, const json_t *array, struct err *err)
{
	struct err why = ERR_INIT;
	uint64_t total = 0;
	size_t i;

	if (!json_is_array(array))
		return err_set(err, -EINVAL, "'segments' must be an array");
	if (json_array_size(array) > SEGMENTS_MAX)
		return err_set(err, -E2BIG, "more than %d segments", SEGMENTS_MAX);
	change_clear_segments(into);
	for (i = 0; i < json_array_size(array); i++) {
		struct segment *s = change_add_segment(into, SEGMENT_ENTRY);
		int code = segment_read(s, into, json_array_get(array, i), &why);

		if (code != 0)
			return err_set(err, code, "segment %zu: %s", i, why.msg);
		if (s->kind == SEGMENT_ENTRY && s->path[0] == '\0' && into->kind != CHANGE_TREE)
			return err_set(
			    err, -EINVAL, "segment %zu: only a tree's source may be a root", i);
		if (s->length == SEGMENT_TO_END && json_array_size(array) > 1)
			return err_set(err, -EINVAL,
			    "segment %zu: must have a 'length', it is not the only one", i);
		if (s->length != SEGMENT_TO_END && (total += s->length) > INT64_MAX)
			return err_set(err, -EFBIG, "the segments together are too long");
	}
	return 0;
}
