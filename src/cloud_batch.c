/*
 * Several ops in one request.
 *
 * A batch has an op of its own, which waits for its turn and is sent like any other, in a lane that
 * batches have for themselves: how many the account's cloud is to have at once is not for each loop
 * to say.  It takes the items that are there when its turn comes.  Who joins a queue that no batch
 * waits to take begins one, if there may be one more; so the first item goes alone and at once, and
 * the next requests have what came meanwhile.
 *
 * A batch is not repeated: its items are, each by itself, and meet again in the next one.
 */
#include "src/clock.h"
#include "src/cloud_private.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct item {
	struct op_private *op; /* NULL: it was cancelled */
	enum cloud_step step;
	struct err err;
};

struct batch {
	struct op_private *op;
	struct item *items; /* taken when it is sent */
	size_t len, left; /* left: those that nobody has cancelled */
};

static void batch_begin(struct account_private *);

static const struct cloud_batch *
batch_driver(const struct op_private *p)
{
	return p->op.account->driver->batch;
}

static void
batch_free(struct batch *b)
{
	struct account_private *a = account_private(b->op->op.account);

	if (a->next_batch == b)
		a->next_batch = NULL;
	a->batches--;
	batch_begin(a);
	cloud_op_free(&b->op->op);
	free(b->items);
	free(b);
}

/* joining and leaving */

bool
cloud_batch_takes(const struct op_private *p)
{
	/* A batch's own op is none. */
	return batch_driver(p) != NULL && p->batch == NULL && batch_driver(p)->takes(&p->op);
}

void
cloud_batch_join(struct op_private *p)
{
	struct account_private *a = account_private(p->op.account);

	p->state = OP_ITEM;
	TAILQ_INSERT_TAIL(&a->items, p, next);
	batch_begin(a);
}

void
cloud_batch_leave(struct op_private *p)
{
	struct account_private *a = account_private(p->op.account);
	struct batch *b = TAKE(p->batch);

	if (b == NULL) {
		TAILQ_REMOVE(&a->items, p, next);
		b = TAILQ_EMPTY(&a->items) ? a->next_batch : NULL;
	} else {
		for (size_t i = 0; i < b->len; i++) {
			if (b->items[i].op == p)
				b->items[i].op = NULL;
		}
		if (--b->left > 0)
			b = NULL;
	}
	if (b == NULL)
		return;
	cloud_op_cancel(&b->op->op); /* nobody wants to know */
	batch_free(b);
}

/* the request */

static bool
batch_has_room(const struct batch *b, const struct op_private *p)
{
	const struct cloud_batch *driver = batch_driver(p);

	if (b->len == 0)
		return true;
	return b->len < driver->items &&
	    (driver->together == NULL || driver->together(&b->items[0].op->op, &p->op));
}

static void
batch_take_items(struct batch *b)
{
	struct account_private *a = account_private(b->op->op.account);
	struct op_private *p, *next;

	a->next_batch = NULL;
	for (p = TAILQ_FIRST(&a->items); p != NULL; p = next) {
		next = TAILQ_NEXT(p, next);
		if (!batch_has_room(b, p))
			continue;
		TAILQ_REMOVE(&a->items, p, next);
		b->items = xrealloc(b->items, b->len + 1, sizeof *b->items);
		b->items[b->len++] = (struct item){.op = p, .err = ERR_INIT};
		p->batch = b;
		p->generation = b->op->generation;
		p->op.now_ms = b->op->op.now_ms;
		memcpy(p->op.random, b->op->op.random, sizeof p->op.random);
	}
	b->left = b->len;
	batch_begin(a); /* for those that could not come along */
}

/* The ops of all items, NULL those that were cancelled; caller frees. */
static struct cloud_op **
batch_ops(const struct batch *b)
{
	struct cloud_op **ops = xcalloc(b->len, sizeof *ops);

	for (size_t i = 0; i < b->len; i++)
		ops[i] = b->items[i].op == NULL ? NULL : &b->items[i].op->op;
	return ops;
}

static void
batch_all(struct batch *b, enum cloud_step step, const struct err *err)
{
	for (size_t i = 0; i < b->len; i++) {
		b->items[i].step = step;
		b->items[i].err = *err;
	}
}

enum cloud_step
cloud_batch_request(struct op_private *p)
{
	CLEANUP(cleanup_free) struct cloud_op **ops = NULL;
	struct cloud_request *request = &p->request;
	struct err err = ERR_INIT;
	enum cloud_step step;

	batch_take_items(p->batch);
	ops = batch_ops(p->batch);
	step = p->batch->len == 1 ? p->op.account->driver->request(ops[0], request, &err)
				  : batch_driver(p)->request(ops, p->batch->len, request, &err);
	if (step == CLOUD_STEP_SEND)
		return step;
	batch_all(p->batch, step, &err);
	return CLOUD_STEP_DONE;
}

/* the answer */

static void
item_response(struct item *item, const struct http_response *res)
{
	struct op_private *p = item->op;

	if (p == NULL)
		return;
	item->step = p->op.account->driver->response(&p->op, res, &item->err);
	if (item->err.wait_ms == 0)
		item->err.wait_ms = http_retry_after(res, p->op.now_ms);
}

static void
batch_share_out(struct batch *b, const struct http_response *res)
{
	struct http_response *parts = xcalloc(b->len, sizeof *parts);
	CLEANUP(cleanup_free) struct cloud_op **ops = batch_ops(b);
	struct err err = ERR_INIT;

	for (size_t i = 0; i < b->len; i++) {
		http_response_init(&parts[i]);
		parts[i].answered = true;
		parts[i].body.max = CLOUD_COLLECT_MAX;
	}
	if (batch_driver(b->op)->response(ops, b->len, res, parts, &err) != 0)
		batch_all(b, err_is_transient(err.code) ? CLOUD_STEP_RETRY : CLOUD_STEP_FAIL, &err);
	else
		for (size_t i = 0; i < b->len; i++)
			item_response(&b->items[i], &parts[i]);
	for (size_t i = 0; i < b->len; i++)
		http_response_fini(&parts[i]);
	free(parts);
}

void
cloud_batch_response(struct op_private *p, int code, const struct http_response *res,
    const struct err *why, struct err *err)
{
	struct batch *b = p->batch;
	bool is_good = res->status >= 200 && res->status < 300;

	if (code != 0)
		batch_all(b, err_is_transient(code) ? CLOUD_STEP_RETRY : CLOUD_STEP_FAIL, why);
	else if (b->len > 1 && is_good)
		batch_share_out(b, res);
	else
		for (size_t i = 0; i < b->len; i++)
			item_response(&b->items[i], res);
	/* A refusal is of the account; that of an item, in a good answer, is its own. */
	for (size_t i = 0; i < b->len && !is_good && err->code == 0; i++)
		*err = b->items[i].err;
}

static void
batch_on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct batch *b = arg;

	if (b->items == NULL) { /* it had no turn: the account is refused */
		batch_take_items(b);
		batch_all(b, CLOUD_STEP_FAIL, err);
	}
	for (size_t i = 0; i < b->len; i++) {
		struct item *item = &b->items[i];
		struct op_private *p = item->op;

		if (p == NULL)
			continue;
		item->op = NULL;
		p->batch = NULL; /* it counts as left: the batch outlives this loop */
		p->state = OP_SENT; /* and answered, as if it had been alone */
		cloud_op_step(p, item->step, &item->err);
	}
	batch_free(b);
}

/* Unless one waits for the items that are there, or enough are under way. */
static void
batch_begin(struct account_private *a)
{
	struct op_private *first = TAILQ_FIRST(&a->items);
	struct batch *b;

	if (first == NULL || a->next_batch != NULL || a->batches >= batch_driver(first)->at_once)
		return;
	b = xcalloc(1, sizeof *b);
	b->op = op_private(cloud_op_new(&a->account, first->op.kind, first->op.path));
	b->op->batch = b;
	b->op->op.attempts_max = 1;
	a->next_batch = b;
	a->batches++;
	cloud_op_start(a->runner, &b->op->op, batch_on_done, b);
}
