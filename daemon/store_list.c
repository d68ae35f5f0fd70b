#include "daemon/store_private.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX  1000
#define RANGES_MAX (CHANGE_STATES * (CHANGE_PRIORITY_MAX + 1))

void
changes_free(struct change **changes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		change_free(changes[i]);
	free(changes);
}

int
store_change_get(struct store *s, const char *id_text, struct change **out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct item it;
	struct id id;
	int code;

	if (!id_parse(&id, id_text))
		return err_set(err, -ENOENT, "there is no transfer '%s'", id_text);
	code = item_load(&r.tx, &id, &it, err);
	if (r.tx.error != 0) {
		if (code == 0)
			item_fini(&it);
		return read_error(&r, err);
	}
	if (code == 0)
		*out = it.c;
	return code;
}

/* -- listings: ranges of `listed` (user, state[, priority]), each in order of acceptance, merged */

struct range {
	struct tx_cursor cursor;
	struct key prefix;
	unsigned priority;
	uint64_t order; /* of the entry it stands at */
	bool more;
};

struct listing {
	struct tx *tx;
	const struct store_query *query;
	struct id user;
	size_t skip, take; /* still */
	struct id ids[LIMIT_MAX];
	size_t len;
};

static bool
wants(unsigned mask, unsigned value)
{
	return mask == 0 || (mask & (1u << value)) != 0;
}

/* Takes the entry, skips it, or has enough (false). */
static bool
listing_offer(struct listing *l, const void *id)
{
	if (l->skip > 0) {
		l->skip--;
		return true;
	}
	if (l->take == 0)
		return false;
	memcpy(l->ids[l->len++].b, id, ID_BYTES);
	return --l->take > 0;
}

static void
range_read(struct range *r, bool found)
{
	r->more = found && tx_cursor_in(&r->cursor, r->prefix.b, r->prefix.len) &&
	    r->cursor.key.mv_size == ID_BYTES + 10 && r->cursor.val.mv_size == ID_BYTES + 1;
	if (!r->more)
		return;
	r->priority = ((unsigned char *)r->cursor.key.mv_data)[ID_BYTES + 1];
	r->order = key_u64((char *)r->cursor.key.mv_data + ID_BYTES + 2);
}

static void
range_first(struct range *r, bool descending)
{
	if (descending)
		range_read(r, tx_cursor_seek_last(&r->cursor, r->prefix.b, r->prefix.len));
	else
		range_read(r, tx_cursor_seek(&r->cursor, r->prefix.b, r->prefix.len));
}

static void
range_next(struct range *r, bool descending)
{
	range_read(r, tx_cursor_move(&r->cursor, descending ? MDB_PREV : MDB_NEXT));
}

/* priority < 0: all of them, in one range. */
static void
range_open(struct listing *l, struct range *r, enum change_state state, int priority)
{
	memset(r, 0, sizeof *r);
	key_add(&r->prefix, l->user.b, ID_BYTES);
	key_add_u8(&r->prefix, state);
	if (priority >= 0)
		key_add_u8(&r->prefix, (unsigned)priority);
	r->cursor = tx_cursor(l->tx, DB_LISTED);
	range_first(r, l->query->descending);
}

static bool
range_precedes(const struct range *a, const struct range *b, bool by_priority, bool descending)
{
	if (by_priority && a->priority != b->priority)
		return (a->priority < b->priority) != descending;
	return (a->order < b->order) != descending;
}

/* false: the listing has enough. */
static bool
ranges_merge(struct listing *l, struct range *ranges, size_t len, bool by_priority)
{
	bool descending = l->query->descending, more = true;
	struct range *best;
	unsigned char kind;
	size_t i;

	while (more) {
		best = NULL;
		for (i = 0; i < len; i++) {
			if (ranges[i].more &&
			    (best == NULL ||
				range_precedes(&ranges[i], best, by_priority, descending)))
				best = &ranges[i];
		}
		if (best == NULL)
			break;
		kind = ((unsigned char *)best->cursor.val.mv_data)[ID_BYTES];
		if (wants(l->query->kinds, kind))
			more = listing_offer(l, best->cursor.val.mv_data);
		if (more)
			range_next(best, descending);
	}
	for (i = 0; i < len; i++)
		tx_cursor_close(&ranges[i].cursor);
	return more;
}

static uint64_t
state_count(struct listing *l, enum change_state state)
{
	uint64_t sum = 0;
	struct key key;
	unsigned kind;

	for (kind = 0; kind < CHANGE_KINDS; kind++) {
		if (!wants(l->query->kinds, kind))
			continue;
		key_of_count(&key, &l->user, state, kind);
		sum += tx_count(l->tx, DB_COUNTS, key.b, key.len);
	}
	return sum;
}

/* Those of `states` merged into one order. */
static bool
list_states(struct listing *l, unsigned states, bool by_priority)
{
	struct range *ranges = xcalloc(RANGES_MAX, sizeof *ranges);
	size_t len = 0, keep = 0;
	unsigned state;
	int priority;
	bool more;

	for (state = 0; state < CHANGE_STATES; state++) {
		if ((states & (1u << state)) == 0 || state_count(l, state) == 0)
			continue;
		for (priority = by_priority ? -1 : 0;
		     priority <= (by_priority ? -1 : CHANGE_PRIORITY_MAX); priority++)
			range_open(l, &ranges[len++], state, priority);
	}
	/* Most priorities are not in use. */
	for (size_t i = 0; i < len; i++) {
		if (ranges[i].more)
			ranges[keep++] = ranges[i];
		else
			tx_cursor_close(&ranges[i].cursor);
	}
	more = ranges_merge(l, ranges, keep, by_priority);
	free(ranges);
	return more;
}

static void
list_by_state(struct listing *l)
{
	unsigned i, state;
	uint64_t count;

	for (i = 0; i < CHANGE_STATES; i++) {
		state = l->query->descending ? CHANGE_STATES - 1 - i : i;
		if (!wants(l->query->states, state))
			continue;
		count = state_count(l, state);
		if (count <= l->skip)
			l->skip -= count;
		else if (!list_states(l, 1u << state, false))
			break;
	}
}

static bool
list_ended(struct listing *l)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(l->tx, DB_ENDED);
	const unsigned char *val;
	bool found;

	found = l->query->descending ? tx_cursor_seek_last(&c, l->user.b, ID_BYTES)
				     : tx_cursor_seek(&c, l->user.b, ID_BYTES);
	for (; found && tx_cursor_in(&c, l->user.b, ID_BYTES);
	     found = tx_cursor_move(&c, l->query->descending ? MDB_PREV : MDB_NEXT)) {
		val = c.val.mv_data;
		if (c.val.mv_size == ID_BYTES + 2 && wants(l->query->states, val[ID_BYTES]) &&
		    wants(l->query->kinds, val[ID_BYTES + 1]) && !listing_offer(l, val))
			return false;
	}
	return true;
}

/* Those that have not ended come after all that have. */
static void
list_by_finished(struct listing *l)
{
	unsigned live = 1u << CHANGE_PENDING | 1u << CHANGE_QUEUED | 1u << CHANGE_RUNNING;

	if (l->query->states != 0)
		live &= l->query->states;
	if (l->query->descending)
		(void)(list_ended(l) && list_states(l, live, false));
	else
		(void)(list_states(l, live, false) && list_ended(l));
}

static int
changes_load(struct read *r, const struct id *ids, size_t len, struct change ***out,
    size_t *out_len, struct err *err)
{
	struct change **changes = xcalloc(MAX(len, (size_t)1), sizeof(struct change *));
	struct item it;
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (item_load_indexed(&r->tx, &ids[i], &it))
			changes[n++] = it.c;
	}
	if (r->tx.error != 0) {
		changes_free(changes, n);
		return read_error(r, err);
	}
	*out = changes;
	*out_len = n;
	return 0;
}

/* -- a tree's children: ranges of `children`, by state */

static uint64_t
list_children_in(struct listing *l, const struct id *parent, enum change_state state)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(l->tx, DB_CHILDREN);
	bool more, full = l->take == 0;
	uint64_t n = 0;
	struct key key;

	key_of_children(&key, parent, (int)state);
	for (more = tx_cursor_seek(&c, key.b, key.len); more && tx_cursor_in(&c, key.b, key.len);
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		n++;
		if (!full && c.val.mv_size == ID_BYTES)
			full = !listing_offer(l, c.val.mv_data);
	}
	return n;
}

/* How many there are.  -ENOENT: the user has no such tree. */
static int
list_children(struct listing *l, uint64_t *total, struct err *err)
{
	const char *text = l->query->parent;
	unsigned state;
	struct item it;
	struct id id;
	bool mine;
	int code;

	if (!id_parse(&id, text))
		return err_set(err, -ENOENT, "there is no transfer '%s'", text);
	if ((code = item_load(l->tx, &id, &it, err)) != 0)
		return code;
	mine = memcmp(&it.user, &l->user, sizeof it.user) == 0;
	item_fini(&it);
	if (!mine)
		return err_set(err, -ENOENT, "there is no transfer '%s'", text);
	for (state = 0; state < CHANGE_STATES; state++) {
		if (wants(l->query->states, state))
			*total += list_children_in(l, &id, state);
	}
	return 0;
}

static uint64_t
list_own(struct listing *l)
{
	const struct store_query *query = l->query;
	unsigned all = (1u << CHANGE_STATES) - 1, state;
	uint64_t sum = 0;

	for (state = 0; state < CHANGE_STATES; state++) {
		if (wants(query->states, state))
			sum += state_count(l, state);
	}
	if (l->take == 0 || l->skip >= sum)
		return sum;
	switch (query->sort) {
	case STORE_BY_CREATED:
	case STORE_BY_PRIORITY:
		list_states(l, query->states != 0 ? query->states & all : all,
		    query->sort == STORE_BY_PRIORITY);
		break;
	case STORE_BY_STATE: list_by_state(l); break;
	case STORE_BY_FINISHED: list_by_finished(l); break;
	}
	return sum;
}

int
store_changes(struct store *s, const struct store_query *query, struct change ***out, size_t *len,
    uint64_t *total, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	CLEANUP(cleanup_free) struct listing *l = xcalloc(1, sizeof *l);
	uint64_t sum = 0;
	int code = 0;

	if (query->limit > LIMIT_MAX)
		return err_set(err, -EINVAL, "at most %d transfers a page", LIMIT_MAX);
	l->tx = &r.tx;
	l->query = query;
	l->skip = query->offset;
	l->take = query->limit;
	if (!id_parse(&l->user, query->user_id))
		return err_set(err, -ENOENT, "there is no user '%s'", query->user_id);
	if (query->parent == NULL)
		sum = list_own(l);
	else
		code = list_children(l, &sum, err);
	if (code == 0)
		code = changes_load(&r, l->ids, l->len, out, len, err);
	if (code == 0 && total != NULL)
		*total = sum;
	return code;
}

/* -- the overlay */

static int
by_seq(const void *va, const void *vb)
{
	const struct change *const *a = va, *const *b = vb;

	return (*a)->seq < (*b)->seq ? -1 : (*a)->seq > (*b)->seq;
}

int
store_changes_in(struct store *s, const char *user_id, const char *account_id, const char *dir,
    size_t max, struct change ***out, size_t *len, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	CLEANUP(cleanup_free) struct id *ids = NULL;
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&r.tx, DB_DIRS);
	struct change **changes;
	size_t i, n = 0, kept = 0;
	struct id account;
	struct path_key key;
	bool more;
	int code;

	if (!id_parse(&account, account_id))
		return err_set(err, -ENOENT, "there is no account '%s'", account_id);
	key_of_path(&key, account_id, dir, strlen(dir));
	c.key = (MDB_val){.mv_size = sizeof key.b, .mv_data = key.b};
	for (more = tx_cursor_move(&c, MDB_SET); more; more = tx_cursor_move(&c, MDB_NEXT_DUP)) {
		if (n == max)
			return err_set(err, -E2BIG,
			    "more than %zu transfers have not ended in the directory '%s'", max,
			    dir);
		if ((n & (n - 1)) == 0)
			ids = xrealloc(ids, MAX(n * 2, (size_t)1), sizeof *ids);
		memcpy(ids[n++].b, c.val.mv_data, ID_BYTES);
	}
	if ((code = changes_load(&r, ids, n, &changes, &n, err)) != 0)
		return code;
	for (i = 0; i < n; i++) {
		if (strcmp(changes[i]->user_id, user_id) == 0)
			changes[kept++] = changes[i];
		else
			change_free(changes[i]);
	}
	if (kept > 1)
		qsort(changes, kept, sizeof *changes, by_seq);
	*out = changes;
	*len = kept;
	return 0;
}

int
store_spool_used(struct store *s, const char *user_id, const char *file, bool *out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct id user;
	struct key key;
	uint64_t count;
	int code;

	if (!id_parse(&user, user_id) || strlen(file) > PATH_COMPONENT_MAX)
		return err_set(err, -EINVAL, "there is no spool file '%s'", file);
	key_reset(&key);
	key_add(&key, user.b, ID_BYTES);
	key_add(&key, file, strlen(file));
	count = tx_count(&r.tx, DB_SPOOL, key.b, key.len);
	if ((code = read_error(&r, err)) == 0)
		*out = count != 0;
	return code;
}

int
store_pending_mounts(struct store *s, char ***out, size_t *len, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&r.tx, DB_PENDING);
	char **mounts = NULL;
	size_t n = 0;
	bool more;
	int code;

	for (more = tx_cursor_move(&c, MDB_FIRST); more;
	     more = tx_cursor_move(&c, MDB_NEXT_NODUP)) {
		if ((n & (n - 1)) == 0)
			mounts = xrealloc(mounts, MAX(n * 2, (size_t)1), sizeof(char *));
		mounts[n++] = xstrndup(c.key.mv_data, c.key.mv_size);
	}
	if ((code = read_error(&r, err)) != 0) {
		while (n > 0)
			free(mounts[--n]);
		free(mounts);
		return code;
	}
	*out = mounts;
	*len = n;
	return 0;
}
