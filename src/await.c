#include "src/await.h"
#include <assert.h>
#include <stdlib.h>

void
await_init(struct await *a, struct event *wake)
{
	*a = (struct await){.wake = wake};
}

static void
await_on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct await *a = arg;

	assert(op == a->op && !a->ended);
	a->ended = true;
	a->code = code;
	err_keep(&a->err, code == 0 ? NULL : err);
	event_active(a->wake, EV_TIMEOUT, 0);
}

void
await_start(struct await *a, struct cloud_runner *runner, struct cloud_op *op)
{
	assert(a->op == NULL);
	a->op = op;
	a->ended = false;
	a->code = 0;
	err_keep(&a->err, NULL);
	cloud_op_start(runner, op, await_on_done, a);
}

void
await_drop(struct await *a)
{
	if (a->op == NULL)
		return;
	if (!a->ended)
		cloud_op_cancel(a->op);
	cloud_op_free(a->op);
	a->op = NULL;
	a->ended = false;
}

void
await_fini(struct await *a)
{
	await_drop(a);
	free(TAKE(a->err));
}
