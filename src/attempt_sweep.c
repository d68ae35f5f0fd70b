/* What is cleaned up for a change that was cancelled while nobody carried it out. */
#include "src/attempt_private.h"
#include "src/log.h"

enum attempt_state
attempt_sweep_run(struct attempt *a)
{
	struct cloud_op *op;
	int code;

	if (a->await.op == NULL) {
		op = cloud_op_new(a->account, CLOUD_SWEEP, a->change->path);
		op->put.temp_id = xstrdup(a->change->id);
		await_start(&a->await, a->runner, op);
	}
	if (!a->await.ended)
		return ATTEMPT_SWEEP;
	code = attempt_take(a);
	if (code != 0)
		log_warning("%s: what an earlier attempt left beside '%s' may still be there: %s",
		    a->change->id, a->change->path, err_text(a->await.err));
	return ATTEMPT_SWEEP_UPLOAD;
}

static void
attempt_on_swept(void *arg, int code, const struct err *err)
{
	struct attempt *a = arg;

	a->sweep_ended = true;
	if (code != 0)
		log_warning("%s: the upload that was begun to '%s' may still be there: %s",
		    a->change->id, a->change->path, err_text(err));
	attempt_wake(a);
}

/* What it cannot abort now stays in the checkpoint, for a later sweep. */
enum attempt_state
attempt_sweep_upload_run(struct attempt *a)
{
	static const struct upload_handler handler = {
	    .note = attempt_on_note, .done = attempt_on_swept};

	if (a->checkpoint != NULL)
		a->sweep = upload_sweep(a->runner, a->account, TAKE(a->checkpoint), &handler, a);
	if (a->sweep != NULL && !a->sweep_ended)
		return ATTEMPT_SWEEP_UPLOAD;
	return ATTEMPT_FAIL(a, -ECANCELED, "cancelled");
}
