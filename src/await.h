/*
 * await: the one op an object waits for.  When the op ends that is recorded and the object's wake
 *event is made active; nothing else happens in the callback.  The object looks when it runs.
 *
 *	if (a->op == NULL)
 *		await_start(a, runner, op);
 *	if (!a->ended)
 *		return SAME_STATE;
 *	... a->code, a->err, a->op's results ...
 *	await_drop(a);
 */
#pragma once
#include "src/cloud.h"

struct await {
	struct event *wake; /* of the object that waits; borrowed */
	struct cloud_op *op; /* owned; NULL: nothing is awaited */
	bool ended;
	int code;
	struct err *err; /* owned; NULL unless code says that it failed */
};

void await_init(struct await *, struct event *wake);
void await_start(struct await *, struct cloud_runner *, struct cloud_op *op); /* takes the op */
/* Frees the op, cancelling it if it is under way.  The error stays until the next one is started.
 */
void await_drop(struct await *);
void await_fini(struct await *); /* drops the op, and the error */
