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

/* Returns false if it waits for this one already.  What an earlier wait left behind goes: there is
   at most one for each pair. */
bool
wake_put(struct store_tx *t, const struct id *blocker, unsigned flags, const struct id *waiter,
    uint64_t taken)
{
	struct wake wake = {.waiter = *waiter}, old = {.flags = 0};
	uint64_t number = htobe64(taken);
	bool found = false, waits;

	{
		CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_WAKES);

		if (tx_cursor_seek_dup(&c, blocker->b, ID_BYTES, &wake, sizeof wake) &&
		    c.val.mv_size == sizeof old) {
			memcpy(&old, c.val.mv_data, sizeof old);
			found = memcmp(&old.waiter, waiter, sizeof *waiter) == 0;
		}
	}
	waits = found && key_u64(old.taken) == taken;
	if (found)
		tx_del(&t->tx, DB_WAKES, blocker->b, ID_BYTES, &old, sizeof old);
	memcpy(wake.taken, &number, sizeof wake.taken);
	wake.flags = (unsigned char)(flags | (waits ? old.flags : 0));
	tx_put(&t->tx, DB_WAKES, blocker->b, ID_BYTES, &wake, sizeof wake);
	return !waits;
}

/* It waits for us by a detour, which may go away: from now on it waits for us directly as well. */
void
wake_passed(struct store_tx *t, const struct dep *passed, const struct id *self)
{
	struct waiting w;

	if (!waiting_get(&t->tx, &passed->id, &w) ||
	    !wake_put(t, self, passed->wake, &passed->id, w.taken))
		return;
	w.count++;
	waiting_put(t, &passed->id, &w);
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
