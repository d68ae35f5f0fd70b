/* The changes that are one op: remove, rmdir, mkdir, setattr. */
#include "src/attempt_private.h"

static struct cloud_op *
attempt_single_op(const struct attempt *a)
{
	static const enum cloud_op_kind kinds[CHANGE_KINDS] = {
	    [CHANGE_REMOVE] = CLOUD_REMOVE,
	    [CHANGE_RMDIR] = CLOUD_RMDIR,
	    [CHANGE_MKDIR] = CLOUD_MKDIR,
	    [CHANGE_SETATTR] = CLOUD_SETATTR,
	};
	const struct change *c = a->change;
	struct cloud_op *op = cloud_op_new(a->account, kinds[c->kind], c->path);

	if (c->kind == CHANGE_REMOVE) {
		op->version = xstrdup_null(c->version);
		op->gone_is_fine = true; /* a repetition after a crash cannot tell either */
	}
	if (c->kind == CHANGE_SETATTR) {
		op->put.mtime_ns = c->mtime_ns;
		op->put.mode = c->mode;
	}
	return op;
}

enum attempt_state
attempt_single_run(struct attempt *a)
{
	const struct change *c = a->change;
	int code;

	if (a->await.op == NULL) {
		if (c->kind == CHANGE_SETATTR &&
		    !(a->account->driver->features & CLOUD_CAN_SETATTR)) {
			a->result.route_reason =
			    xasprintf("%s keeps no attributes apart from the content",
				a->account->driver->name);
			return ATTEMPT_END;
		}
		await_start(&a->await, a->runner, attempt_single_op(a));
	}
	if (!a->await.ended)
		return ATTEMPT_SINGLE;
	code = attempt_take(a);
	if (code == -ENOENT && (c->kind == CHANGE_REMOVE || c->kind == CHANGE_RMDIR))
		return ATTEMPT_END;
	if ((code == -EEXIST || code == -ENOTDIR) && c->kind == CHANGE_MKDIR)
		return ATTEMPT_MKDIR_CHECK;
	return code == 0 ? ATTEMPT_END : attempt_fail(a, code, a->await.err);
}

enum attempt_state
attempt_mkdir_check_run(struct attempt *a)
{
	bool is_directory;
	int code;

	if (a->await.op == NULL)
		await_start(
		    &a->await, a->runner, cloud_op_new(a->account, CLOUD_STAT, a->change->path));
	if (!a->await.ended)
		return ATTEMPT_MKDIR_CHECK;
	is_directory = a->await.op->entry.kind == ENTRY_DIRECTORY;
	code = attempt_take(a);
	if (code != 0)
		return attempt_fail(a, code, a->await.err);
	if (!is_directory)
		return ATTEMPT_FAIL(
		    a, -EEXIST, "'%s' exists already and is a file", a->change->path);
	return ATTEMPT_END;
}
