/*
 * store_path: path order, as store.h describes it.  A live change has notes, one for each path it
 * touches, under the path's key.  A change that is accepted looks at the notes with smaller numbers
 *at its own keys and at the trees noted above them, and waits for:
 *	- the newest writer at the key, which itself waits for those before it;
 *	- if it writes: those who read since that one;
 *	- the newest tree at each ancestor, and if it writes, those who read trees there since;
 *	- if it is a tree, read or written: all notes beneath, which are only counted (DB_BENEATH).
 * What it waits for by name is in DB_WAKES under the one that is waited for; how many there are,
 *with the counted ones, in DB_WAITING.  A note that goes lowers the counts above it, and the wait
 *of each tree there that has a greater number.
 *
 * A change that reads depends on the newest one that writes content there (WAKE_DATA): if that
 *fails, it fails too.  What lies beneath a renamed tree is waited for, but not depended on.
 *
 * A tree transfer notes its destination and its source as trees; its children, which lie beneath,
 * have no notes: those of their parent stand for them, from before the first until after the last.
 *
 * A wait is valid while its number `taken` is that of DB_WAITING; so a change that is replaced or
 * tried again leaves its old waits to be dropped by those it waited for.
 */
#pragma once
#include "daemon/store_private.h"

enum path_mode { PATH_READ, PATH_WRITE, PATH_TREE, PATH_READ_TREE };
enum {
	NOTE_DEST = 1, /* its content is written here */
	NOTE_SOURCE = 2, /* content is read here */
	NOTE_PASSED = 4, /* it did not wait for all before it: whoever comes looks beyond it */
	NOTE_KEEPS = 8, /* writes no content: whoever reads looks beyond it */
};
struct path_note { /* value of DB_PATHS: sorts by mode, then by number */
	unsigned char mode;
	unsigned char seq[8];
	struct id change;
	unsigned char flags;
} __attribute__((packed));
enum {
	WAKE_DATA = 1, /* the waiter reads what this one writes */
	WAKE_READ = 2, /* the waiter writes what this one reads */
};
struct wake { /* value of DB_WAKES; no flags: both write */
	struct id waiter;
	unsigned char taken[8];
	unsigned char flags;
} __attribute__((packed));
struct waiting { /* value of DB_WAITING */
	uint64_t count, taken;
};

/* -- store_note.c */
struct note {
	struct path_key *keys; /* of the path, then of its ancestors, the root last */
	size_t above; /* how many ancestors */
	const char *path; /* borrowed from the change */
	enum path_mode mode;
	unsigned flags;
	uint64_t seq;
};
size_t notes_of(
    const struct item *, struct note **out); /* one for each path; caller frees, in one piece */
/* It counts what is beneath. */
bool mode_is_tree(enum path_mode);
/* Calls fn with the change of every tree at the key, read or written, with a greater number. */
void note_trees_since(struct store_tx *, const struct path_key *, uint64_t seq,
    void (*fn)(void *arg, const struct path_note *), void *arg);
/* Calls fn with the key of each strict ancestor, the root last. */
void note_ancestors(const struct note *, void (*fn)(void *arg, const struct path_key *), void *arg);
/* The last note at the key of this mode with a number below `before`, and the next older of its
 * mode. */
bool note_last(struct tx_cursor *, const struct path_key *, enum path_mode, uint64_t before,
    struct path_note *out);
bool note_older(struct tx_cursor *, struct path_note *);
/* `counted`: the ancestors' counts have it already. */
void note_put(struct store_tx *, const struct note *, const struct id *, bool passed, bool counted);
/* keep_dest: that of the destination will be put again at once; its ancestors go on counting it. */
void notes_drop(struct store_tx *, const struct item *, bool keep_dest);

/* -- store_path.c */
struct id_set;
struct dep {
	struct id id;
	uint64_t seq;
	enum path_mode mode;
	unsigned flags, wake;
};
/* What one change must wait for, as it is found. */
struct take {
	struct store_tx *t;
	const struct id *self;
	const struct id_set *without; /* not to be waited for; NULL: all are */
	uint64_t waited; /* under this number self waited until now */
	const struct note *note; /* being looked at */
	bool passed; /* for this note somebody was not waited for */
	struct dep *deps;
	size_t len, cap;
	struct dep *passed_by; /* those who were not waited for */
	size_t passed_len;
};
void take_note(struct take *, const struct note *);
/* Looks, and puts the note; returns how many notes a tree has beneath it.  `kept`: notes_drop()
 * kept it, and whom it waited for it waits for still. */
uint64_t take_and_put(struct take *, const struct note *, bool kept);
/* Notes the waits; `count`: what it waits for beside what was found.  Frees what the take has. */
void take_settle(struct take *, struct item *, uint64_t count);
void path_take(struct store_tx *, struct item *);
void path_release(struct store_tx *, const struct item *);

/* -- store_retake.c */
bool id_set_has(const struct id_set *, const struct id *);
/* For a pending change whose content is replaced; `from` is what it was. */
void path_retake(struct store_tx *, const struct item *from, struct item *to);
/* A change went while it waited itself: those that waited for it wait for what it stood for. */
void path_inherit(struct store_tx *, const struct wake *, size_t len);

/* -- store_wait.c */
void waiting_put(struct store_tx *, const struct id *, const struct waiting *);
void waiting_drop(struct store_tx *, const struct id *);
void waiting_less(struct store_tx *, const struct id *); /* at the last it becomes claimable */
/* false: it waits for this one already; flags are added. */
bool wake_put(struct store_tx *, const struct id *blocker, unsigned flags, const struct id *waiter,
    uint64_t taken);
bool wake_is(struct store_tx *, const struct id *blocker, const struct id *waiter, uint64_t taken);
/* Who waits already, by a detour or by a count, waits for this one by name as well. */
void
wake_more(struct store_tx *, const struct id *blocker, unsigned flags, const struct id *waiter);
size_t wakes_valid(struct store_tx *, const struct id *,
    struct wake **out); /* those that still wait; caller frees */
size_t wakes_take(
    struct store_tx *, const struct id *, struct wake **out); /* the same, and removes them */
