/* An upload that may have been begun, and whose id was lost with the answer: it is looked for, and
   aborted if it is ours and nobody's else. */
#include "src/upload_private.h"
#include <stdlib.h>
#include <string.h>

enum upload_state
upload_lost_run(struct upload *u)
{
	struct cloud_op *op;
	size_t i;
	int code;

	if (u->await.op == NULL)
		await_start(&u->await, u->runner, upload_op(u, CLOUD_UPLOAD_FIND, NULL));
	if (!u->await.ended)
		return UPLOAD_LOST;
	code = u->await.code;
	op = u->await.op;
	if (code != 0)
		upload_await_failed(u);
	free(u->lost); /* of an earlier look: all its ids are gone */
	u->lost = xcalloc(MAX(op->uploads_len, (size_t)1), sizeof *u->lost);
	for (i = 0; code == 0 && i < op->uploads_len; i++) {
		if (!checkpoint_is_before(u->checkpoint, op->uploads[i]))
			u->lost[u->lost_len++] = TAKE(op->uploads[i]);
		else
			free(TAKE(op->uploads[i]));
	}
	await_drop(&u->await);
	return code == 0 ? UPLOAD_LOST_CHECK : UPLOAD_END;
}

static char *
upload_lost_last(const struct upload *u)
{
	return u->lost[u->lost_len - 1];
}

/* Has the last of them parts?  1: it has, or is gone; 0: it is empty; or a negative errno. */
static int
upload_lost_has_parts(struct upload *u)
{
	int code = u->await.code;
	bool empty = u->await.op->parts.len == 0;

	if (code != 0 && code != -ENOENT)
		upload_await_failed(u);
	await_drop(&u->await);
	if (code == -ENOENT)
		return 1;
	return code != 0 ? code : !empty;
}

/* We never wrote a part to an upload whose id we did not keep. */
enum upload_state
upload_lost_check_run(struct upload *u)
{
	int code;

	while (u->lost_len > 0) {
		if (u->await.op == NULL)
			await_start(&u->await, u->runner,
			    upload_op(u, CLOUD_UPLOAD_STATUS, upload_lost_last(u)));
		if (!u->await.ended)
			return UPLOAD_LOST_CHECK;
		code = upload_lost_has_parts(u);
		if (code < 0)
			return UPLOAD_END;
		if (code == 0)
			return UPLOAD_LOST_ABORT;
		free(u->lost[--u->lost_len]);
	}
	return upload_forget(u);
}

enum upload_state
upload_lost_abort_run(struct upload *u)
{
	int code;

	if (u->await.op == NULL)
		await_start(
		    &u->await, u->runner, upload_op(u, CLOUD_UPLOAD_ABORT, upload_lost_last(u)));
	if (!u->await.ended)
		return UPLOAD_LOST_ABORT;
	code = u->await.code;
	if (code != 0)
		upload_await_failed(u);
	await_drop(&u->await);
	if (code != 0)
		return UPLOAD_END;
	free(u->lost[--u->lost_len]);
	return UPLOAD_LOST_CHECK;
}

enum upload_state
upload_find_run(struct upload *u)
{
	struct checkpoint *c;
	struct cloud_op *op;
	size_t i;

	if (u->await.op == NULL)
		await_start(&u->await, u->runner, upload_op(u, CLOUD_UPLOAD_FIND, NULL));
	if (!u->await.ended)
		return UPLOAD_FIND;
	if (u->await.code != 0) {
		upload_await_failed(u);
		await_drop(&u->await);
		return UPLOAD_END;
	}
	op = u->await.op;
	c = u->checkpoint = checkpoint_new();
	c->path = xstrdup(u->path);
	c->place = cloud_where(u->to, u->path);
	c->source = xstrdup(u->source);
	c->size = u->spec.size;
	c->part_size = u->part_size =
	    upload_pulls_whole(u) ? c->size : upload_part_size(&u->to->limits, c->size);
	u->parts = (unsigned)((c->size + c->part_size - 1) / c->part_size);
	c->before = xcalloc(MAX(op->uploads_len, (size_t)1), sizeof *c->before);
	for (i = 0; i < op->uploads_len; i++)
		c->before[c->before_len++] = TAKE(op->uploads[i]);
	await_drop(&u->await);
	u->noted = false;
	upload_note(u, CHECKPOINT_HEAD, NULL);
	return UPLOAD_INTENT;
}
