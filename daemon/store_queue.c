#include "daemon/store_private.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>

#define DUE_MAX     4096 /* moved from `later` to `ready` by one claim */
#define RECLAIM_MAX 65536

void
lane_of(const struct change *c, unsigned char out[LANE_BYTES])
{
	const char *source = change_reads_from(c);
	struct id id;

	memset(out, 0, LANE_BYTES);
	if (id_parse(&id, c->user_id))
		memcpy(out, id.b, ID_BYTES);
	/* A lane of one account has no source. */
	if (source != NULL && id_parse(&id, source))
		memcpy(out + ID_BYTES, id.b, ID_BYTES);
	if (id_parse(&id, c->account_id))
		memcpy(out + 2 * ID_BYTES, id.b, ID_BYTES);
}

static struct sched_lane *
lane_find(struct store *s, const unsigned char lane[LANE_BYTES])
{
	static const struct id none;
	char user[37], source[37], destination[37];
	struct id id;
	bool pair;

	memcpy(id.b, lane, ID_BYTES);
	id_format(user, &id);
	memcpy(id.b, lane + ID_BYTES, ID_BYTES);
	pair = memcmp(&id, &none, sizeof id) != 0;
	id_format(source, &id);
	memcpy(id.b, lane + 2 * ID_BYTES, ID_BYTES);
	id_format(destination, &id);
	return sched_lane(s->sched, user, pair ? source : NULL, destination);
}

static void
lane_of_sched(const struct sched_lane *l, unsigned char out[LANE_BYTES])
{
	const char *source = sched_lane_source(l);
	struct id id;

	memset(out, 0, LANE_BYTES);
	if (id_parse(&id, sched_lane_user(l)))
		memcpy(out, id.b, ID_BYTES);
	if (source != NULL && id_parse(&id, source))
		memcpy(out + ID_BYTES, id.b, ID_BYTES);
	if (id_parse(&id, sched_lane_destination(l)))
		memcpy(out + 2 * ID_BYTES, id.b, ID_BYTES);
}

/* What was cancelled and only comes to clean up does not queue with the others. */
static unsigned
queue_level(const struct change *c)
{
	return c->cancel ? SCHED_CLEANUP : c->priority;
}

/* In 'ready', a level and its rank are each other's: high priorities first, SCHED_CLEANUP last. */
static unsigned
level_rank(unsigned level)
{
	return level == SCHED_CLEANUP ? SCHED_CLEANUP : CHANGE_PRIORITY_MAX - level;
}

/* Up to the number: the queue of a lane and level. */
static void
key_of_queue(struct key *key, const unsigned char lane[LANE_BYTES], unsigned level)
{
	key_reset(key);
	key_add(key, lane, LANE_BYTES);
	key_add_u8(key, level_rank(level));
}

void
key_of_ready(struct key *key, const struct change *c)
{
	unsigned char lane[LANE_BYTES];

	lane_of(c, lane);
	key_of_queue(key, lane, queue_level(c));
	key_add_u64(key, queue_number(c));
}

static bool
head_read(const struct tx_cursor *c, struct ready *out)
{
	if (c->val.mv_size != sizeof *out)
		return false;
	memcpy(out, c->val.mv_data, sizeof *out);
	return true;
}

/* Tells the scheduler who is first now. */
static void
queue_head(struct store_tx *t, const unsigned char lane[LANE_BYTES], unsigned level)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_READY);
	struct ready head = {.since_ms = UINT64_MAX};
	struct key key;

	key_of_queue(&key, lane, level);
	if (!tx_cursor_seek(&c, key.b, key.len) || !tx_cursor_in(&c, key.b, key.len) ||
	    !head_read(&c, &head))
		head.since_ms = UINT64_MAX;
	sched_head(t->store->sched, lane_find(t->store, lane), level, head.since_ms);
}

/* A tree's children come behind all else that is queued beside them: however many there are, nobody
   waits for more than those that run. */
uint64_t
queue_number(const struct change *c)
{
	return c->seq | (c->parent[0] != '\0' ? 1ull << 63 : 0);
}

static uint64_t
change_since(const struct change *c)
{
	return MAX(c->created_ms, c->not_before_ms);
}

static void
ready_put(struct store_tx *t, const unsigned char lane[LANE_BYTES], unsigned level, uint64_t seq,
    const struct ready *ready)
{
	struct key key;

	key_of_queue(&key, lane, level);
	key_add_u64(&key, seq);
	tx_put(&t->tx, DB_READY, key.b, key.len, ready, sizeof *ready);
	queue_head(t, lane, level);
}

static void
key_of_later(struct key *key, uint64_t not_before_ms, uint64_t seq)
{
	key_reset(key);
	key_add_u64(key, not_before_ms);
	key_add_u64(key, seq);
}

void
queue_put(struct store_tx *t, const struct item *it)
{
	const struct change *c = it->c;
	struct later later = {.id = it->id, .level = (unsigned char)queue_level(c)};
	struct ready ready = {.id = it->id, .since_ms = change_since(c)};
	struct key key;

	if (waiting_count(&t->tx, &it->id, NULL) != 0)
		return;
	lane_of(c, later.lane);
	if (c->not_before_ms <= t->now) {
		ready_put(t, later.lane, later.level, queue_number(c), &ready);
		return;
	}
	later.since_ms = ready.since_ms;
	key_of_later(&key, c->not_before_ms, queue_number(c));
	tx_put(&t->tx, DB_LATER, key.b, key.len, &later, sizeof later);
}

void
queue_remove(struct store_tx *t, const struct item *it)
{
	const struct change *c = it->c;
	unsigned char lane[LANE_BYTES];
	struct key key;

	key_of_ready(&key, c);
	if (tx_del(&t->tx, DB_READY, key.b, key.len, NULL, 0)) {
		lane_of(c, lane);
		queue_head(t, lane, queue_level(c));
		return;
	}
	key_of_later(&key, c->not_before_ms, queue_number(c));
	tx_del(&t->tx, DB_LATER, key.b, key.len, NULL, 0);
}

static size_t
running_size(const struct running *r)
{
	return offsetof(struct running, owner) + strlen(r->owner) + 1;
}

static bool
running_read(const struct tx_cursor *c, struct running *out)
{
	memset(out, 0, sizeof *out);
	if (c->val.mv_size <= offsetof(struct running, owner) || c->val.mv_size > sizeof *out)
		return false;
	memcpy(out, c->val.mv_data, c->val.mv_size);
	out->owner[OWNER_MAX - 1] = '\0';
	return true;
}

void
running_put(struct store_tx *t, const struct item *it, uint64_t lease_ms)
{
	struct running r = {.lease_ms = lease_ms};

	lane_of(it->c, r.lane);
	memcpy(r.owner, t->store->owner, strlen(t->store->owner) + 1);
	tx_put(&t->tx, DB_RUNNING, it->id.b, ID_BYTES, &r, running_size(&r));
}

void
running_remove(struct store_tx *t, const struct item *it)
{
	unsigned char lane[LANE_BYTES];

	if (!tx_del(&t->tx, DB_RUNNING, it->id.b, ID_BYTES, NULL, 0))
		return tx_fail(&t->tx, -EBADMSG,
		    "the database is damaged: %s runs but is not in 'running'; run skyferryd "
		    "--check-store",
		    it->c->id);
	lane_of(it->c, lane);
	sched_finished(t->store->sched, lane_find(t->store, lane));
}

/* -- claiming */

/* Returns when the next one falls due; UINT64_MAX: none. */
static uint64_t
queue_due(struct store_tx *t)
{
	struct later later;
	struct ready ready;
	uint64_t at, seq;
	struct key key;
	unsigned n;

	for (n = 0;; n++) {
		{
			CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_LATER);

			if (!tx_cursor_move(&c, MDB_FIRST) || c.key.mv_size != 16 ||
			    c.val.mv_size != sizeof later)
				return UINT64_MAX;
			at = key_u64(c.key.mv_data);
			seq = key_u64((char *)c.key.mv_data + 8);
			if (at > t->now || n == DUE_MAX)
				return at;
			memcpy(&later, c.val.mv_data, sizeof later);
		}
		key_of_later(&key, at, seq);
		tx_del(&t->tx, DB_LATER, key.b, key.len, NULL, 0);
		ready.id = later.id;
		ready.since_ms = later.since_ms;
		ready_put(t, later.lane, later.level, seq, &ready);
	}
}

/* Takes the head of the picked queue. */
static bool
queue_pop(struct store_tx *t, const struct sched_pick *pick, struct id *out)
{
	unsigned char lane[LANE_BYTES];
	struct key key, head_key;
	struct ready head;
	bool found;

	lane_of_sched(pick->lane, lane);
	key_of_queue(&key, lane, pick->priority);
	key_reset(&head_key);
	{
		CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_READY);

		found = tx_cursor_seek(&c, key.b, key.len) && tx_cursor_in(&c, key.b, key.len) &&
		    head_read(&c, &head);
		if (found)
			key_add(&head_key, c.key.mv_data, c.key.mv_size);
	}
	if (found)
		tx_del(&t->tx, DB_READY, head_key.b, head_key.len, NULL, 0);
	else
		sched_finished(t->store->sched, pick->lane);
	queue_head(t, lane, pick->priority);
	if (found)
		*out = head.id;
	return found;
}

static void
change_start(struct store_tx *t, const struct id *id, struct sched_lane *lane, struct op *op)
{
	struct item it;

	if (!item_load_indexed(&t->tx, id, &it))
		return sched_finished(t->store->sched, lane);
	index_remove(t, &it, INDEX_STATE);
	/* A parked tree goes on; what failed to be listed stays told. */
	if (it.c->state == CHANGE_QUEUED && it.c->kind == CHANGE_TREE)
		it.c->error = 0;
	if (it.c->kind != CHANGE_TREE || it.c->started_ms == 0)
		it.c->started_ms = t->now;
	it.c->state = CHANGE_RUNNING;
	it.c->attempts++;
	it.c->repeated = it.unclean;
	it.c->lease_ms = t->now + t->store->config.lease_ms;
	xstrset(&it.c->owner, t->store->owner);
	running_put(t, &it, it.c->lease_ms);
	index_add(t, &it, INDEX_STATE);
	item_save(&t->tx, &it);
	op_add_change(op, TAKE(it.c));
}

static int
op_claim(struct store_tx *t, struct op *op)
{
	struct sched_pick pick;
	struct id id;

	op->res.next_ms = queue_due(t);
	while (op->res.changes_len < op->number && t->tx.error == 0 &&
	    sched_pick(t->store->sched, t->now, &pick)) {
		if (queue_pop(t, &pick, &id))
			change_start(t, &id, pick.lane, op);
	}
	return 0;
}

void
store_claim(struct store *s, unsigned max, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_claim, done, arg);

	op->number = max;
	op_submit(s, op);
}

/* It writes nothing: the commit that it shares is not made for it. */
static int
op_lane_limit(struct store_tx *t, struct op *op)
{
	const char *source = op->id;

	sched_lane_limit(
	    sched_lane(t->store->sched, op->user_id, source, op->text), (unsigned)op->number);
	return 0;
}

void
store_lane_limit(
    struct store *s, const char *user_id, const char *source, const char *destination, unsigned max)
{
	struct op *op = op_new(op_lane_limit, NULL, NULL);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup_null(source);
	op->text = xstrdup(destination);
	op->number = max;
	op_submit(s, op);
}

/* -- leases */

struct run {
	struct id id;
	struct running r;
};

/* What runs; caller frees. */
static size_t
running_list(struct tx *tx, struct run **out)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_RUNNING);
	struct run *runs = NULL;
	size_t len = 0;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more && len < RECLAIM_MAX;
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		if ((len & (len - 1)) == 0)
			runs = xrealloc(runs, MAX(len * 2, (size_t)1), sizeof *runs);
		if (c.key.mv_size != ID_BYTES || !running_read(&c, &runs[len].r)) {
			tx_fail(tx, -EBADMSG,
			    "the database is damaged: an entry of 'running' makes no sense; run "
			    "skyferryd --check-store");
			break;
		}
		memcpy(runs[len++].id.b, c.key.mv_data, ID_BYTES);
	}
	*out = runs;
	return len;
}

static int
op_renew(struct store_tx *t, struct op *op)
{
	CLEANUP(cleanup_free) struct run *runs = NULL;
	size_t i, len = running_list(&t->tx, &runs);

	for (i = 0; i < len; i++) {
		if (strcmp(runs[i].r.owner, t->store->owner) != 0)
			continue;
		runs[i].r.lease_ms = t->now + t->store->config.lease_ms;
		tx_put(&t->tx, DB_RUNNING, runs[i].id.b, ID_BYTES, &runs[i].r,
		    running_size(&runs[i].r));
	}
	return 0;
}

void
store_renew(struct store *s, store_done_fn done, void *arg)
{
	op_submit(s, op_new(op_renew, done, arg));
}

/* An attempt that was cut off does not count: it did not fail. */
static void
change_reclaim(struct store_tx *t, const struct run *run, struct op *op)
{
	struct item it;

	tx_del(&t->tx, DB_RUNNING, run->id.b, ID_BYTES, NULL, 0);
	sched_finished(t->store->sched, lane_find(t->store, run->r.lane));
	if (!item_load_indexed(&t->tx, &run->id, &it))
		return;
	index_remove(t, &it, INDEX_STATE);
	it.c->state = CHANGE_QUEUED;
	it.c->not_before_ms = 0;
	it.c->lease_ms = 0;
	it.c->attempts -= it.c->attempts > 0;
	it.unclean = true;
	xstrset(&it.c->owner, NULL);
	index_add(t, &it, INDEX_STATE);
	queue_put(t, &it);
	item_save(&t->tx, &it);
	op_add_change(op, TAKE(it.c));
}

static int
op_reclaim(struct store_tx *t, struct op *op)
{
	CLEANUP(cleanup_free) struct run *runs = NULL;
	size_t i, len = running_list(&t->tx, &runs);

	for (i = 0; i < len; i++) {
		if (op->flag || runs[i].r.lease_ms <= t->now)
			change_reclaim(t, &runs[i], op);
	}
	return 0;
}

void
store_reclaim(struct store *s, bool force, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_reclaim, done, arg);

	op->flag = force;
	op_submit(s, op);
}

/* -- the scheduler's picture */

static void
rebuild_users(struct store *s, struct tx *tx)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_USERS);
	struct user *user;
	struct id id;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more; more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.key.mv_size != ID_BYTES)
			continue;
		memcpy(id.b, c.key.mv_data, ID_BYTES);
		/* A damaged user is reported when he is asked for; his share is the common one. */
		if (record_user(tx, &id, &user, NULL) != 0)
			continue;
		sched_user_weight(s->sched, user->id, user->weight);
		user_free(user);
	}
}

static void
rebuild_accounts(struct store *s, struct tx *tx)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_ACCOUNTS);
	struct account_record *a;
	struct id id;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more; more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.key.mv_size != ID_BYTES)
			continue;
		memcpy(id.b, c.key.mv_data, ID_BYTES);
		/* A damaged account is reported when it is asked for. */
		if (record_account(tx, &id, &a, NULL) != 0)
			continue;
		account_tell_sched(s, a);
		account_record_free(a);
	}
}

/* From head to head: as many steps as there are queues, however long they are. */
static void
rebuild_heads(struct store *s, struct tx *tx)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_READY);
	unsigned char lane[LANE_BYTES];
	unsigned rank;
	struct ready head;
	struct key key;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more;
	     more = tx_cursor_seek(&c, key.b, key.len)) {
		if (c.key.mv_size != LANE_BYTES + 9 || !head_read(&c, &head))
			return tx_fail(tx, -EBADMSG,
			    "the database is damaged: an entry of 'ready' makes no sense; run "
			    "skyferryd --check-store");
		memcpy(lane, c.key.mv_data, LANE_BYTES);
		rank = ((unsigned char *)c.key.mv_data)[LANE_BYTES];
		if (rank <= SCHED_CLEANUP)
			sched_head(s->sched, lane_find(s, lane), level_rank(rank), head.since_ms);
		key_reset(&key);
		key_add(&key, lane, LANE_BYTES);
		key_add_u8(&key, rank + 1);
	}
}

int
queue_rebuild(struct store *s, struct err *err)
{
	struct tx tx = {.db = &s->db};
	CLEANUP(cleanup_free) struct run *runs = NULL;
	size_t i, len;

	sched_reset(s->sched);
	tx.error = mdb_txn_begin(s->db.env, NULL, MDB_RDONLY, &tx.txn);
	if (tx.error != 0)
		return store_failure(s->dir, &tx, err);
	rebuild_users(s, &tx);
	rebuild_accounts(s, &tx);
	rebuild_heads(s, &tx);
	len = running_list(&tx, &runs);
	for (i = 0; i < len; i++)
		sched_started(s->sched, lane_find(s, runs[i].r.lane));
	mdb_txn_abort(tx.txn);
	return tx.error != 0 ? store_failure(s->dir, &tx, err) : 0;
}
