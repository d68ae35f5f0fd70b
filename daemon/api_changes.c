#include "daemon/api.h"
#include "daemon/check.h"
#include "daemon/submit.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

/* Which fields mean something for which kind. */
#define BIT(kind) (1u << (kind))
static const struct {
	const char *field;
	unsigned kinds;
} applies[] = {
    {"newPath", BIT(CHANGE_RENAME)},
    {"key", BIT(CHANGE_REMOVE)},
    {"tree", BIT(CHANGE_RENAME)},
    {"overwrite", BIT(CHANGE_RENAME)},
    {"version", BIT(CHANGE_RENAME) | BIT(CHANGE_REMOVE) | BIT(CHANGE_SETATTR)},
    {"mtimeNs", BIT(CHANGE_SETATTR)},
    {"mode", BIT(CHANGE_SETATTR) | BIT(CHANGE_MKDIR)},
};

static const struct check_field change_fields[] = {
    {"id", CHECK_ID},
    {"kind", CHECK_STRING, true, 1, 16},
    {"accountId", CHECK_STRING, true, 1, 64},
    {"path", CHECK_STRING, true, 0, PATH_BYTES_MAX + 2, "key"},
    {"key", CHECK_STRING, false, 1, PATH_BYTES_MAX},
    {"newPath", CHECK_STRING, false, 0, PATH_BYTES_MAX + 2},
    {"version", CHECK_STRING, false, 1, 1024},
    {"tree", CHECK_BOOL},
    {"mtimeNs", CHECK_INT, false, INT64_MIN + 1, INT64_MAX},
    {"mode", CHECK_INT, false, 0, 07777},
    {"overwrite", CHECK_BOOL},
    {NULL},
};

static int
change_check_kind(int kind, const json_t *body, struct err *err)
{
	size_t i;

	if (kind < 0 || kind == CHANGE_TRANSFER || kind == CHANGE_TREE)
		return err_set(err, -EINVAL,
		    "'kind' must be remove, rmdir, mkdir, rename or setattr, not '%s'%s",
		    get_str(body, "kind"), kind >= 0 ? " (transfers go to /api/transfers)" : "");
	for (i = 0; i < ARRAY_LEN(applies); i++) {
		if (get_has(body, applies[i].field) && !(applies[i].kinds & BIT(kind)))
			return err_set(err, -EINVAL, "'%s' means nothing for '%s'",
			    applies[i].field, change_kind_name(kind));
	}
	if (kind == CHANGE_RENAME && !get_has(body, "newPath"))
		return err_set(err, -EINVAL, "'newPath' is required for 'rename'");
	if (kind == CHANGE_SETATTR && !get_has(body, "mtimeNs") && !get_has(body, "mode"))
		return err_set(err, -EINVAL, "give 'mtimeNs' or 'mode' for 'setattr'");
	return 0;
}

static int
rename_read(struct change *change, const json_t *body, struct err *err)
{
	struct segment *source = change_add_segment(change, SEGMENT_ENTRY);
	int code;

	source->length = SEGMENT_TO_END;
	source->account_id = xstrdup(change->account_id);
	source->path = TAKE(change->path);
	if ((code = submit_path(&change->path, get_str(body, "newPath"), "newPath", err)) != 0)
		return code;
	if (strcmp(change->path, source->path) == 0)
		return err_set(
		    err, -EINVAL, "'path' and 'newPath' are the same: '%s'", change->path);
	if (path_is_inside(change->path, source->path))
		return err_set(err, -EINVAL, "'%s' cannot be moved into itself", source->path);
	if (path_is_inside(source->path, change->path))
		return err_set(err, -ENOTEMPTY, "'%s' holds '%s' and cannot be replaced by it",
		    change->path, source->path);
	change->tree = get_bool(body, "tree", false);
	change->overwrite = get_bool(body, "overwrite", true);
	return 0;
}

static int
change_read(struct change *change, struct call *c, struct err *err)
{
	const json_t *body = c->body;
	int kind, code;

	if ((code = check_object(body, change_fields, err)) != 0)
		return code;
	kind = change_kind_parse(get_str(body, "kind"));
	if ((code = change_check_kind(kind, body, err)) != 0 ||
	    (code = submit_account(c, &change->account_id, get_str(body, "accountId"), err)) != 0 ||
	    (code = submit_path_or_key(c, &change->path, &change->by_key, change->account_id, body,
		 "path", "key", err)) != 0)
		return code;
	change->kind = (enum change_kind)kind;
	change->state = CHANGE_QUEUED;
	xstrset(&change->version, get_str(body, "version"));
	change->mtime_ns = get_int(body, "mtimeNs", ENTRY_NO_TIME);
	change->mode = (unsigned)get_int(body, "mode", 0);
	return kind == CHANGE_RENAME ? rename_read(change, body, err) : 0;
}

void
api_changes_add(struct call *c)
{
	struct change *change = submit_change(c, get_str(c->body, "id"));
	struct err err = ERR_INIT;

	if (change_read(change, c, &err) != 0)
		call_fail(c, err.code, &err);
	else
		store_change_add(c->daemon->store, change, submit_done_created, c);
	change_free(change);
}
