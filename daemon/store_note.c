#include "daemon/store_path.h"
#include "src/path.h"
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define PATH_HASH_BYTES 16
#define DIR_HASH_BYTES  8 /* enough to bring the names of a directory together */

/* Without the last component; 0 for a top-level name, and for the root. */
static size_t
parent_len(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

/* The hash of the path, and that of its directory in front. */
static void
key_set(struct path_key *key, const struct id *account, const unsigned char dir[32],
    const unsigned char sum[32])
{
	memcpy(key->b, account->b, ID_BYTES);
	memcpy(key->b + ID_BYTES, dir, DIR_HASH_BYTES);
	memcpy(key->b + ID_BYTES + DIR_HASH_BYTES, sum, PATH_HASH_BYTES);
}

/* Of the path and of each ancestor up to the root, at most path_depth() + 1; returns how many
   ancestors.  What a '/' in front (of a key) has before it is the root. */
static size_t
keys_of_path(struct path_key *keys, const struct id *account, const char *path, size_t len)
{
	unsigned char sum[32], dir[32];
	size_t i;

	sha256(sum, path, len);
	for (i = 0;; i++) {
		sha256(dir, path, parent_len(path, len));
		key_set(&keys[i], account, dir, sum);
		if (len == 0)
			return i;
		memcpy(sum, dir, sizeof sum);
		len = parent_len(path, len);
	}
}

void
key_of_path(struct path_key *key, const char *account_id, const char *path, size_t len)
{
	unsigned char sum[32], dir[32];
	struct id account;
	bool ok = id_parse(&account, account_id);

	assert(ok);
	sha256(sum, path, len);
	sha256(dir, path, parent_len(path, len));
	key_set(key, &account, dir, sum);
}

static int
note_compare(const void *va, const void *vb)
{
	const struct note *a = va, *b = vb;

	return memcmp(a->keys, b->keys, sizeof *a->keys);
}

/* Its keys go where the last one's end. */
static void
note_add(struct note *notes, size_t *len, struct path_key **keys, const char *account_id,
    const char *path, enum path_mode mode, unsigned flags, uint64_t seq)
{
	struct note *n = &notes[(*len)++];
	struct id account;
	bool ok = id_parse(&account, account_id);

	assert(ok);
	n->path = path;
	n->mode = mode;
	n->flags = flags;
	n->seq = seq;
	n->keys = *keys;
	n->above = keys_of_path(n->keys, &account, path, strlen(path));
	*keys += n->above + 1;
}

/* A path that is both read and written by one change is noted once, as written. */
static size_t
notes_merge(struct note *notes, size_t len)
{
	size_t i, n = 0;

	qsort(notes, len, sizeof *notes, note_compare);
	for (i = 0; i < len; i++) {
		if (n == 0 || note_compare(&notes[n - 1], &notes[i]) != 0) {
			notes[n++] = notes[i];
			continue;
		}
		if (notes[i].mode > notes[n - 1].mode) {
			notes[n - 1].mode = notes[i].mode;
			notes[n - 1].seq = notes[i].seq;
		}
		notes[n - 1].flags |= notes[i].flags;
		if (notes[n - 1].flags & NOTE_DEST)
			notes[n - 1].flags &= ~(unsigned)NOTE_KEEPS;
	}
	return n;
}

size_t
notes_of(const struct item *it, struct note **out)
{
	const struct change *c = it->c;
	enum path_mode dest = PATH_WRITE, source = PATH_READ;
	unsigned flags = 0, source_flags = NOTE_SOURCE;
	size_t i, len = 0, levels = path_depth(c->path) + 1;
	struct path_key *keys;
	struct note *notes;

	for (i = 0; i < c->segments_len; i++) {
		if (c->segments[i].kind == SEGMENT_ENTRY)
			levels += path_depth(c->segments[i].path) + 1;
	}
	if (c->parent[0] != '\0') { /* its parent's stand for it */
		*out = NULL;
		return 0;
	}
	/* One piece of memory: the notes, then all their keys. */
	notes = xcalloc(1, (c->segments_len + 1) * sizeof *notes + levels * sizeof *keys);
	keys = (struct path_key *)(notes + c->segments_len + 1);
	switch (c->kind) {
	case CHANGE_TRANSFER:
		flags = NOTE_DEST;
		source = c->move ? PATH_WRITE : PATH_READ;
		source_flags |= c->move ? NOTE_KEEPS : 0;
		break;
	case CHANGE_RENAME:
		flags = NOTE_DEST;
		dest = source = c->tree ? PATH_TREE : PATH_WRITE;
		source_flags |= NOTE_KEEPS;
		break;
	case CHANGE_TREE:
		flags = NOTE_DEST;
		dest = PATH_TREE;
		source = c->move ? PATH_TREE : PATH_READ_TREE;
		source_flags |= c->move ? NOTE_KEEPS : 0;
		break;
	case CHANGE_MKDIR: flags = NOTE_DEST; break;
	case CHANGE_RMDIR: dest = PATH_TREE; break;
	case CHANGE_SETATTR: flags = NOTE_KEEPS; break;
	case CHANGE_REMOVE:
	case CHANGE_KINDS: break;
	}
	note_add(notes, &len, &keys, c->account_id, c->path, dest, flags, c->seq);
	for (i = 0; i < c->segments_len; i++) {
		if (c->segments[i].kind == SEGMENT_ENTRY)
			note_add(notes, &len, &keys, c->segments[i].account_id, c->segments[i].path,
			    source, source_flags, it->taken);
	}
	*out = notes;
	return notes_merge(notes, len);
}

bool
mode_is_tree(enum path_mode mode)
{
	return mode == PATH_TREE || mode == PATH_READ_TREE;
}

void
note_ancestors(const struct note *n, void (*fn)(void *arg, const struct path_key *), void *arg)
{
	size_t i;

	for (i = 1; i <= n->above; i++)
		fn(arg, &n->keys[i]);
}

static bool
note_read(const struct tx_cursor *c, struct path_note *out)
{
	if (c->val.mv_size != sizeof *out) {
		tx_fail(c->tx, -EBADMSG,
		    "the database is damaged: a note in 'paths' has %zu bytes; run skyferryd "
		    "--check-store",
		    c->val.mv_size);
		return false;
	}
	memcpy(out, c->val.mv_data, sizeof *out);
	return true;
}

bool
note_last(struct tx_cursor *c, const struct path_key *key, enum path_mode mode, uint64_t before,
    struct path_note *out)
{
	struct path_note from = {.mode = (unsigned char)mode};
	uint64_t seq = htobe64(before);
	MDB_cursor_op op;

	memcpy(from.seq, &seq, sizeof from.seq);
	op = tx_cursor_seek_dup(c, key->b, sizeof key->b, &from, sizeof from) ? MDB_PREV_DUP
									      : MDB_LAST_DUP;
	/* Beyond the last value the cursor stands nowhere: find the key again. */
	if (op == MDB_LAST_DUP) {
		c->key = (MDB_val){.mv_size = sizeof key->b, .mv_data = (void *)key->b};
		if (!tx_cursor_move(c, MDB_SET))
			return false;
	}
	return tx_cursor_move(c, op) && note_read(c, out) && out->mode == mode;
}

bool
note_older(struct tx_cursor *c, struct path_note *note)
{
	unsigned char mode = note->mode;

	return tx_cursor_move(c, MDB_PREV_DUP) && note_read(c, note) && note->mode == mode;
}

void
note_trees_since(struct store_tx *t, const struct path_key *key, uint64_t seq,
    void (*fn)(void *arg, const struct path_note *), void *arg)
{
	static const enum path_mode modes[] = {PATH_TREE, PATH_READ_TREE};
	struct path_note found;
	size_t i;
	bool more;

	for (i = 0; i < ARRAY_LEN(modes); i++) {
		CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_PATHS);

		for (more = note_last(&c, key, modes[i], UINT64_MAX, &found);
		     more && key_u64(found.seq) > seq; more = note_older(&c, &found))
			fn(arg, &found);
	}
}

/* -- notes */

struct beneath {
	struct store_tx *t;
	const struct id *self;
	uint64_t seq;
	struct id *trees; /* above, that wait for it */
	size_t len;
};

static void
beneath_more(void *arg, const struct path_key *key)
{
	struct store_tx *t = arg;

	tx_count_add(&t->tx, DB_BENEATH, key->b, sizeof key->b, 1);
}

static void
beneath_tree(void *arg, const struct path_note *tree)
{
	struct beneath *b = arg;

	if (memcmp(&tree->change, b->self, sizeof tree->change) == 0)
		return;
	if ((b->len & (b->len - 1)) == 0)
		b->trees = xrealloc(b->trees, MAX(b->len * 2, (size_t)1), sizeof *b->trees);
	b->trees[b->len++] = tree->change;
}

/* Trees accepted later have counted this note. */
static void
beneath_less(void *arg, const struct path_key *key)
{
	struct beneath *b = arg;
	size_t i;

	tx_count_add(&b->t->tx, DB_BENEATH, key->b, sizeof key->b, -1);
	note_trees_since(b->t, key, b->seq, beneath_tree, b);
	for (i = 0; i < b->len; i++)
		waiting_less(b->t, &b->trees[i]);
	free(TAKE(b->trees));
	b->len = 0;
}

static void
note_value(struct path_note *out, const struct note *n, const struct id *id, unsigned flags)
{
	uint64_t seq = htobe64(n->seq);

	out->mode = (unsigned char)n->mode;
	memcpy(out->seq, &seq, sizeof out->seq);
	out->change = *id;
	out->flags = (unsigned char)flags;
}

/* The value as it was written may have NOTE_PASSED. */
static void
note_del(struct store_tx *t, const struct note *n, const struct id *id)
{
	struct path_note value;
	bool found;

	note_value(&value, n, id, n->flags);
	found = tx_del(&t->tx, DB_PATHS, n->keys->b, sizeof n->keys->b, &value, sizeof value);
	value.flags |= NOTE_PASSED;
	found |= tx_del(&t->tx, DB_PATHS, n->keys->b, sizeof n->keys->b, &value, sizeof value);
	if (!found)
		tx_fail(&t->tx, -EBADMSG,
		    "the database is damaged: a note of '%s' is missing in 'paths'; run skyferryd "
		    "--check-store",
		    n->path);
}

void
note_put(struct store_tx *t, const struct note *n, const struct id *id, bool passed, bool counted)
{
	struct path_note value;

	note_value(&value, n, id, n->flags | (passed ? NOTE_PASSED : 0));
	tx_put(&t->tx, DB_PATHS, n->keys->b, sizeof n->keys->b, &value, sizeof value);
	if (!counted)
		note_ancestors(n, beneath_more, t);
}

void
notes_drop(struct store_tx *t, const struct item *it, bool keep_dest)
{
	CLEANUP(cleanup_free) struct note *notes = NULL;
	struct beneath b = {.t = t, .self = &it->id};
	size_t i, len = notes_of(it, &notes);

	for (i = 0; i < len; i++) {
		note_del(t, &notes[i], &it->id);
		if (keep_dest && (notes[i].flags & NOTE_DEST) != 0)
			continue;
		b.seq = notes[i].seq;
		note_ancestors(&notes[i], beneath_less, &b);
	}
}
