#include "daemon/api.h"
#include "daemon/check.h"
#include "daemon/mounts.h"
#include "daemon/submit.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/path.h"
#include "src/paths.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SPOOL_NAME_MAX 128
#define SETTLE_MAX     (60 * 60 * 1000)

/* -- mounts */

void
api_mounts_add(struct call *c)
{
	static const struct check_field fields[] = {
	    {"directory", CHECK_STRING, true, 1, PATH_MAX},
	    {NULL},
	};
	CLEANUP(cleanup_free) char *spool = daemon_spool_dir(c->daemon, c->user->id);
	struct err err = ERR_INIT;
	json_t *body;
	char id[37];

	if (check_object(c->body, fields, &err) != 0 || paths_make_private(spool, &err) != 0 ||
	    mounts_add(c->daemon->mounts, id, c->user->id, get_str(c->body, "directory"), &err) !=
		0) {
		call_fail(c, err.code, &err);
		return;
	}
	body = json_object();
	field_set_str(body, "id", id);
	field_set_str(body, "spool", spool);
	field_set_int(body, "spoolQuota", settings_int(c->daemon->settings, "spool.quota"));
	field_set_int(body, "settle", settings_int(c->daemon->settings, "mount.settle"));
	call_reply(c, 201, body);
}

void
api_mounts_list(struct call *c)
{
	json_t *body = json_object();

	json_object_set_new(body, "mounts", mounts_list(c->daemon->mounts, c->user->id));
	call_reply(c, 200, body);
}

void
api_mounts_remove(struct call *c)
{
	struct err err = ERR_INIT;

	if (mounts_remove(c->daemon->mounts, c->user->id, c->params[0], &err) != 0)
		call_fail(c, err.code, &err);
	else
		call_reply(c, 204, NULL);
}

/* -- pending writes */

static bool
spool_name_is_valid(const char *name)
{
	size_t i;

	if (name == NULL || name[0] == '\0' || name[0] == '.')
		return false;
	for (i = 0; name[i] != '\0'; i++) {
		if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
			return false;
	}
	return i <= SPOOL_NAME_MAX;
}

/* Many segments name few accounts: what was found last is mostly asked for again. */
static int
segment_check(struct call *c, struct segment *s, const struct segment *before,
    const char *ref_before, struct err *err)
{
	CLEANUP(cleanup_free) char *path = NULL;
	CLEANUP(cleanup_free) char *ref = NULL;
	int code;

	if (s->kind == SEGMENT_SPOOL && !spool_name_is_valid(s->path))
		return err_set(err, -EINVAL,
		    "a spool file's name has 1 to %d characters of A-Z a-z 0-9 . _ - and does "
		    "not begin with a dot",
		    SPOOL_NAME_MAX);
	if (s->kind != SEGMENT_ENTRY)
		return 0;
	if (s->account_id == NULL || s->path == NULL)
		return err_set(err, -EINVAL, "a range of an entry needs 'account' and 'path'");
	if ((code = submit_path(&path, s->path, "path", err)) != 0)
		return code;
	free(s->path);
	s->path = TAKE(path);
	if (before != NULL && ref_before != NULL && strcmp(s->account_id, ref_before) == 0) {
		xstrset(&s->account_id, before->account_id);
		return 0;
	}
	ref = TAKE(s->account_id);
	return submit_account(c, &s->account_id, ref, err);
}

static int
pending_segments(struct change *change, struct call *c, struct err *err)
{
	CLEANUP(cleanup_free) char *ref_before = NULL;
	const struct segment *before = NULL;
	struct err why = ERR_INIT;
	size_t i;
	int code;

	code = segments_from_json(change, json_object_get(c->body, "segments"), err);
	if (code != 0)
		return code;
	if (change->segments_len == 0) /* an empty file: a transfer always has a source */
		change_add_segment(change, SEGMENT_ZERO);
	for (i = 0; i < change->segments_len; i++) {
		struct segment *s = &change->segments[i];
		char *ref = xstrdup_null(s->kind == SEGMENT_ENTRY ? s->account_id : NULL);

		code = segment_check(c, s, before, ref_before, &why);
		if (code != 0) {
			free(ref);
			return err_set(err, code, "segment %zu: %s", i, err_text(&why));
		}
		if (s->kind == SEGMENT_ENTRY) {
			before = s;
			free(ref_before);
			ref_before = TAKE(ref);
		}
		free(ref);
	}
	return 0;
}

static int
pending_read(struct change *change, struct call *c, struct err *err)
{
	static const struct check_field fields[] = {
	    {"mountId", CHECK_ID, true},
	    {"accountId", CHECK_STRING, true, 1, 64},
	    {"path", CHECK_STRING, true, 0, PATH_BYTES_MAX + 2},
	    {"segments", CHECK_ARRAY, true},
	    {"mtimeNs", CHECK_INT, false, INT64_MIN + 1, INT64_MAX},
	    {"mtimeSet", CHECK_BOOL},
	    {"mode", CHECK_INT, false, 0, 07777},
	    {"contentType", CHECK_STRING, false, 1, 256},
	    {"overwrite", CHECK_BOOL},
	    {NULL},
	};
	const json_t *body = c->body;
	char mount_id[37];
	int code;

	if ((code = check_object(body, fields, err)) != 0)
		return code;
	uuid_canonical(mount_id, get_str(body, "mountId"));
	if ((code = mounts_touch(c->daemon->mounts, c->user->id, mount_id, err)) != 0 ||
	    (code = submit_account(c, &change->account_id, get_str(body, "accountId"), err)) != 0 ||
	    (code = submit_path(&change->path, get_str(body, "path"), "path", err)) != 0 ||
	    (code = pending_segments(change, c, err)) != 0)
		return code;
	change->kind = CHANGE_TRANSFER;
	change->state = CHANGE_PENDING;
	change->mount_id = xstrdup(mount_id);
	change->mtime_ns = get_int(body, "mtimeNs", ENTRY_NO_TIME);
	change->mtime_set = get_bool(body, "mtimeSet", true);
	change->mode = (unsigned)get_int(body, "mode", 0);
	xstrset(&change->content_type, get_str(body, "contentType"));
	change->overwrite = get_bool(body, "overwrite", true);
	return 0;
}

/* The id of the path in its one spelling; false: the call has been answered. */
static bool
pending_id(char out[37], struct call *c)
{
	if (uuid_canonical(out, c->params[0]) == 0)
		return true;
	call_failf(c, -EINVAL, "the id of a pending write must be a UUID, not '%s'", c->params[0]);
	return false;
}

void
api_pending_put(struct call *c)
{
	struct change *change;
	struct err err = ERR_INIT;
	char id[37];

	if (!pending_id(id, c))
		return;
	change = submit_change(c, id);
	if (pending_read(change, c, &err) != 0)
		call_fail(c, err.code, &err);
	else
		store_pending_put(c->daemon->store, change, submit_done, c);
	change_free(change);
}

void
api_pending_commit(struct call *c)
{
	static const struct check_field fields[] = {
	    {"settle", CHECK_INT, false, 0, SETTLE_MAX},
	    {NULL},
	};
	struct err err = ERR_INIT;
	uint64_t settle;
	char id[37];

	if (!pending_id(id, c))
		return;
	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	settle =
	    (uint64_t)get_int(c->body, "settle", settings_int(c->daemon->settings, "mount.settle"));
	store_pending_commit(
	    c->daemon->store, c->user->id, id, clock_ms() + settle, submit_done, c);
}

void
api_pending_hold(struct call *c)
{
	static const struct check_field fields[] = {
	    {"mountId", CHECK_ID, true},
	    {NULL},
	};
	struct err err = ERR_INIT;
	char id[37], mount_id[37];

	if (!pending_id(id, c))
		return;
	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	uuid_canonical(mount_id, get_str(c->body, "mountId"));
	if (mounts_touch(c->daemon->mounts, c->user->id, mount_id, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	store_pending_hold(c->daemon->store, c->user->id, id, mount_id, submit_done, c);
}

void
api_pending_remove(struct call *c)
{
	char id[37];

	if (pending_id(id, c))
		store_change_cancel(c->daemon->store, c->user->id, id, submit_done_empty, c);
}
