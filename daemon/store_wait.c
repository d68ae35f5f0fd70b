#include "daemon/store_path.h"
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

void
waiting_put(struct store_tx *t, const struct id *id, const struct waiting *w)
{
	tx_put(&t->tx, DB_WAITING, id->b, sizeof id->b, w, sizeof *w);
}

static bool
waiting_get(struct tx *tx, const struct id *id, struct waiting *out)
{
	MDB_val val;

	if (!tx_get(tx, DB_WAITING, id->b, sizeof id->b, &val) || val.mv_size != sizeof *out)
		return false;
	memcpy(out, val.mv_data, sizeof *out);
	return true;
}

/* There is at most one for each pair, of whatever number. */
static bool
wake_find(struct store_tx *t, const struct id *blocker, const struct id *waiter, struct wake *out)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_WAKES);
	struct wake first = {.waiter = *waiter};

	if (!tx_cursor_seek_dup(&c, blocker->b, ID_BYTES, &first, sizeof first) ||
	    c.val.mv_size != sizeof *out)
		return false;
	memcpy(out, c.val.mv_data, sizeof *out);
	return memcmp(&out->waiter, waiter, sizeof *waiter) == 0;
}

bool
wake_is(struct store_tx *t, const struct id *blocker, const struct id *waiter, uint64_t taken)
{
	struct wake wake;

	return wake_find(t, blocker, waiter, &wake) && key_u64(wake.taken) == taken;
}

/* Returns false if it waits for this one already.  What an earlier wait left behind goes. */
bool
wake_put(struct store_tx *t, const struct id *blocker, unsigned flags, const struct id *waiter,
    uint64_t taken)
{
	struct wake wake = {.waiter = *waiter}, old = {.flags = 0};
	uint64_t number = htobe64(taken);
	bool found = wake_find(t, blocker, waiter, &old);
	bool waits = found && key_u64(old.taken) == taken;

	if (found)
		tx_del(&t->tx, DB_WAKES, blocker->b, ID_BYTES, &old, sizeof old);
	memcpy(wake.taken, &number, sizeof wake.taken);
	wake.flags = (unsigned char)(flags | (waits ? old.flags : 0));
	tx_put(&t->tx, DB_WAKES, blocker->b, ID_BYTES, &wake, sizeof wake);
	return !waits;
}

void
wake_more(struct store_tx *t, const struct id *blocker, unsigned flags, const struct id *waiter)
{
	struct waiting w;

	if (!waiting_get(&t->tx, waiter, &w) || !wake_put(t, blocker, flags, waiter, w.taken))
		return;
	w.count++;
	waiting_put(t, waiter, &w);
}

size_t
wakes_valid(struct store_tx *t, const struct id *id, struct wake **out)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_WAKES);
	struct wake *wakes = NULL, w;
	size_t len = 0;
	uint64_t taken;
	bool more;

	c.key = (MDB_val){.mv_size = sizeof id->b, .mv_data = (void *)id->b};
	for (more = tx_cursor_move(&c, MDB_SET); more; more = tx_cursor_move(&c, MDB_NEXT_DUP)) {
		if (c.val.mv_size != sizeof w)
			continue;
		memcpy(&w, c.val.mv_data, sizeof w);
		if (waiting_count(&t->tx, &w.waiter, &taken) == 0 || taken != key_u64(w.taken))
			continue;
		if ((len & (len - 1)) == 0)
			wakes = xrealloc(wakes, MAX(len * 2, (size_t)1), sizeof *wakes);
		wakes[len++] = w;
	}
	*out = wakes;
	return len;
}

uint64_t
waiting_count(struct tx *tx, const struct id *id, uint64_t *taken)
{
	struct waiting w;

	if (!waiting_get(tx, id, &w))
		return 0;
	if (taken != NULL)
		*taken = w.taken;
	return w.count;
}

void
waiting_drop(struct store_tx *t, const struct id *id)
{
	tx_del(&t->tx, DB_WAITING, id->b, sizeof id->b, NULL, 0);
}

void
waiting_less(struct store_tx *t, const struct id *id)
{
	struct waiting w;
	struct item it;

	if (!waiting_get(&t->tx, id, &w) || w.count == 0) {
		tx_fail(&t->tx, -EBADMSG,
		    "the database is damaged: a change does not wait for what it should; run "
		    "skyferryd --check-store");
		return;
	}
	if (--w.count != 0) {
		waiting_put(t, id, &w);
		return;
	}
	waiting_drop(t, id);
	if (!item_load_indexed(&t->tx, id, &it))
		return;
	if (it.c->state == CHANGE_QUEUED)
		queue_put(t, &it);
	item_fini(&it);
}

size_t
wakes_take(struct store_tx *t, const struct id *id, struct wake **out)
{
	size_t len = wakes_valid(t, id, out);

	tx_del(&t->tx, DB_WAKES, id->b, sizeof id->b, NULL, 0);
	return len;
}
