/*
 * attempt_private.h: an attempt as its files see it: attempt.c, the table of states, how an attempt
 * begins, goes from state to state and ends; attempt_single.c, the changes that are one op;
 * attempt_copy.c, a file that is copied, and removed where it was; attempt_rename.c, a move within
 * an account; attempt_tree.c, a directory whose files become changes of their own; attempt_sweep.c,
 * what is cleaned up for a change that was cancelled.
 */
#pragma once
#include "src/attempt.h"
#include "src/await.h"
#include "src/tree.h"
#include "src/upload.h"

enum attempt_state {
	ATTEMPT_START,
	ATTEMPT_SINGLE, /* remove, rmdir, mkdir, setattr: one op */
	ATTEMPT_MKDIR_CHECK, /* something is there: a directory? */
	ATTEMPT_COPY,
	ATTEMPT_VERIFIED, /* until attempt_continue() */
	ATTEMPT_RESUME, /* verified before a restart, but which version is not known */
	ATTEMPT_REMOVE_SOURCE,
	ATTEMPT_RENAME_STAT,
	ATTEMPT_RENAME_TARGET,
	ATTEMPT_RENAME_MOVE,
	ATTEMPT_RENAME_CHECK, /* the source is gone: did we move it? */
	ATTEMPT_TREE,
	ATTEMPT_LIST_SOURCE, /* of a tree: is it a directory? */
	ATTEMPT_LIST_TARGET, /* and no file in its way? */
	ATTEMPT_LIST,
	ATTEMPT_PRUNE,
	ATTEMPT_SWEEP, /* a change that was cancelled while nobody carried it */
	ATTEMPT_SWEEP_UPLOAD,
	ATTEMPT_END,
};

struct attempt {
	struct cloud_runner *runner;
	struct event *wake;
	enum attempt_state state;
	struct change *change;
	struct account **accounts, *account;
	size_t accounts_len;
	struct disk_root *spool; /* NULL: none, or spool_error says why */
	int spool_error;
	size_t ring;
	struct budget *memory;
	struct bucket *const *buckets;
	size_t buckets_len;
	struct checkpoint *checkpoint; /* until the copy or the tree takes it */
	struct attempt_handler handler;
	void *arg;

	struct await await;
	struct copy *copy;
	bool copy_ended;
	struct copy_result copied;
	struct tree *tree;
	bool tree_ended;
	struct walk *walk;
	bool walk_ended;
	struct walk_batch *found; /* to be handed on */
	bool asked; /* the walk for more */
	bool found_all, growing, grown, pruning;
	struct attempt_growth growth;
	struct upload *sweep;
	bool sweep_ended;
	bool told, continued;
	bool is_directory; /* what is renamed */
	char *source_version; /* of what is renamed or was copied: only that is removed */
	char *from_where,
	    *to_where; /* of a transfer: where its objects really are; NULL: not known */
	int cancel;
	uint64_t progress_ms, progress_at_ms;
	struct attempt_result result;
};

void attempt_wake(struct attempt *);
/* May what is to be done have been done already, by an attempt whose end nobody saw? */
bool attempt_is_repeated(const struct attempt *);
/* NULL: it is not there any more. */
struct account *attempt_source_account(const struct attempt *);
/* It ends with this code and error; err may be the result's own. */
enum attempt_state attempt_fail(struct attempt *, int code, const struct err *);
#define ATTEMPT_FAIL(a, code, ...)                                                                 \
	attempt_fail(a, err_set(&(a)->result.err, code, __VA_ARGS__), &(a)->result.err)
/* The op's end is there: its code; the error is in await.err. */
int attempt_take(struct attempt *);

/* What copies, trees and sweeps tell goes to the attempt's handler; arg: the attempt. */
void attempt_on_progress(void *arg, const struct copy_progress *);
void attempt_on_note(
    void *arg, enum checkpoint_note_kind, const struct checkpoint *, const struct upload_part *);

/* Where the objects really are before anything is looked at: see attempt_is_misled(). */
void attempt_note_places(struct attempt *);

/* Each looks whether the change makes sense, and says in which state it begins. */
enum attempt_state attempt_start_transfer(struct attempt *);
enum attempt_state attempt_start_rename(struct attempt *);
enum attempt_state attempt_start_tree(struct attempt *);

/* Each goes on from the state of its name, and says to which. */
enum attempt_state attempt_single_run(struct attempt *);
enum attempt_state attempt_mkdir_check_run(struct attempt *);

enum attempt_state attempt_copy_run(struct attempt *);
enum attempt_state attempt_verified_run(struct attempt *);
enum attempt_state attempt_resume_run(struct attempt *);
enum attempt_state attempt_remove_source_run(struct attempt *);

enum attempt_state attempt_rename_stat_run(struct attempt *);
enum attempt_state attempt_rename_target_run(struct attempt *);
enum attempt_state attempt_rename_move_run(struct attempt *);
enum attempt_state attempt_rename_check_run(struct attempt *);
enum attempt_state attempt_tree_run(struct attempt *);

enum attempt_state attempt_list_source_run(struct attempt *);
enum attempt_state attempt_list_target_run(struct attempt *);
enum attempt_state attempt_list_run(struct attempt *);
enum attempt_state attempt_prune_run(struct attempt *);

enum attempt_state attempt_sweep_run(struct attempt *);
enum attempt_state attempt_sweep_upload_run(struct attempt *);
