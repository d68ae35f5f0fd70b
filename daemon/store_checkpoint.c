/* Checkpoints: a head and a record for each part, so that a part costs one small record. */
#include "daemon/store_private.h"
#include "src/log.h"
#include <string.h>

#define KEY_BYTES (ID_BYTES + 8)

static void
key_of_checkpoint(struct key *key, const struct id *change, uint64_t number)
{
	key_reset(key);
	key_add(key, change->b, ID_BYTES);
	key_add_u64(key, number);
}

bool
checkpoint_is_there(struct store_tx *t, const struct id *change)
{
	struct key key;
	MDB_val val;

	key_of_checkpoint(&key, change, 0);
	return tx_get(&t->tx, DB_CHECKPOINTS, key.b, key.len, &val);
}

void
checkpoint_drop(struct store_tx *t, const struct id *change)
{
	struct key key;
	bool found;

	do {
		key_reset(&key);
		{
			CLEANUP(tx_cursor_close)
			struct tx_cursor c = tx_cursor(&t->tx, DB_CHECKPOINTS);

			found = tx_cursor_seek(&c, change->b, ID_BYTES) &&
			    tx_cursor_in(&c, change->b, ID_BYTES) && c.key.mv_size == KEY_BYTES;
			if (found)
				key_add(&key, c.key.mv_data, c.key.mv_size);
		}
		if (found)
			tx_del(&t->tx, DB_CHECKPOINTS, key.b, key.len, NULL, 0);
	} while (found && t->tx.error == 0);
}

/* -- writes */

/* Does the change run here? */
static int
checkpoint_find(struct store_tx *t, struct op *op, struct id *out)
{
	struct item it;
	bool runs;
	int code = item_find(t, NULL, op->id, &it, op);

	if (code != 0)
		return code;
	runs = it.c->state == CHANGE_RUNNING && it.c->owner != NULL &&
	    strcmp(it.c->owner, t->store->owner) == 0;
	*out = it.id;
	item_fini(&it);
	return runs ? 0
		    : op_fail(op, -ESTALE, "transfer %s is no longer run by this daemon", op->id);
}

/* number 0: the head. */
static int
op_checkpoint_put(struct store_tx *t, struct op *op)
{
	struct key key;
	struct id id;
	int code = checkpoint_find(t, op, &id);

	if (code != 0)
		return code;
	if (op->number == 0)
		checkpoint_drop(t, &id);
	key_of_checkpoint(&key, &id, op->number);
	record_put_json(&t->tx, DB_CHECKPOINTS, key.b, key.len, json_incref(op->json));
	return 0;
}

void
store_checkpoint_head(struct store *s, const char *id, const struct checkpoint *checkpoint,
    store_done_fn done, void *arg)
{
	struct op *op = op_new(op_checkpoint_put, done, arg);

	op->id = xstrdup(id);
	op->json = checkpoint_head_to_json(checkpoint);
	op_submit(s, op);
}

void
store_checkpoint_part(
    struct store *s, const char *id, const struct upload_part *part, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_checkpoint_put, done, arg);

	op->id = xstrdup(id);
	op->number = part->number;
	op->json = upload_part_to_json(part);
	op_submit(s, op);
}

static int
op_checkpoint_drop(struct store_tx *t, struct op *op)
{
	struct id id;

	if (!id_parse(&id, op->id))
		return op_fail(op, -ENOENT, "there is no transfer '%s'", op->id);
	checkpoint_drop(t, &id);
	return 0;
}

void
store_checkpoint_drop(struct store *s, const char *id, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_checkpoint_drop, done, arg);

	op->id = xstrdup(id);
	op_submit(s, op);
}

/* -- reads */

/* The record under the cursor; caller decrefs.  A damaged one is as good as none. */
static json_t *
checkpoint_record(const struct tx_cursor *c)
{
	const char *why;
	int code;
	json_t *json = record_decode(&c->val, &code, &why);

	if (json == NULL)
		log_warning("store: a record of 'checkpoints' is left out: %s", why);
	return json;
}

static struct checkpoint *
checkpoint_read(struct tx *tx, const struct id *id)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_CHECKPOINTS);
	struct checkpoint *checkpoint = NULL;
	struct upload_part part;
	struct key key;
	json_t *json;
	bool more;

	key_of_checkpoint(&key, id, 0);
	if (!tx_cursor_seek(&c, key.b, key.len) || !tx_cursor_in(&c, key.b, key.len))
		return NULL;
	json = checkpoint_record(&c);
	if (json == NULL || checkpoint_head_from_json(&checkpoint, json, NULL) != 0)
		checkpoint = NULL;
	json_decref(json);
	for (more = checkpoint != NULL && tx_cursor_move(&c, MDB_NEXT);
	     more && tx_cursor_in(&c, id->b, ID_BYTES); more = tx_cursor_move(&c, MDB_NEXT)) {
		json = checkpoint_record(&c);
		if (json != NULL && upload_part_from_json(&part, json, NULL) == 0)
			upload_parts_put(&checkpoint->parts, &part);
		json_decref(json);
	}
	return checkpoint;
}

int
store_checkpoint_get(struct store *s, const char *id_text, struct checkpoint **out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct checkpoint *checkpoint = NULL;
	struct id id;
	int code;

	if (id_parse(&id, id_text))
		checkpoint = checkpoint_read(&r.tx, &id);
	if ((code = read_error(&r, err)) != 0) {
		checkpoint_free(checkpoint);
		return code;
	}
	if (checkpoint == NULL)
		return err_set(err, -ENOENT, "transfer %s has no checkpoint", id_text);
	*out = checkpoint;
	return 0;
}

int
store_checkpoints_left(struct store *s, const char *after, size_t max, struct change ***out,
    size_t *len, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&r.tx, DB_CHECKPOINTS);
	struct change **list = xcalloc(max + 1, sizeof(struct change *));
	struct id id = {{0}};
	struct item it;
	struct key key;
	size_t n = 0;
	int code;

	key_of_checkpoint(&key, &id, 0);
	if (after != NULL && id_parse(&id, after))
		key_of_checkpoint(&key, &id, UINT64_MAX);
	while (n < max && tx_cursor_seek(&c, key.b, key.len) && c.key.mv_size == KEY_BYTES) {
		memcpy(id.b, c.key.mv_data, ID_BYTES);
		key_of_checkpoint(&key, &id, UINT64_MAX);
		if (!item_load_indexed(&r.tx, &id, &it))
			continue;
		if (!change_is_live(it.c))
			list[n++] = TAKE(it.c);
		item_fini(&it);
	}
	if ((code = read_error(&r, err)) != 0) {
		changes_free(list, n);
		return code;
	}
	*out = list;
	*len = n;
	return 0;
}
