#include "fs/feed.h"
#include "fs/listing.h"
#include "fs/notify.h"
#include "fs/remote.h"
#include "fs/task.h"
#include "src/clock.h"
#include "src/log.h"

#define FEED_MS       (4 * 60 * 1000) /* of one request: as long as any driver waits, and a stall */
#define FEED_MIN_MS   1000 /* between two, whatever the driver says */
#define FEED_MAX_MS   (10 * 60 * 1000) /* the longest pause after failures */
#define FEED_DOUBLING 10

/* What was told of a directory, as long as feed_take() looks. */
enum { FEED_SAME, FEED_LIST, FEED_TREE };

static unsigned
feed_of(const struct node *node)
{
	const struct node *at;

	for (at = node; at != NULL; at = at->parent) {
		if (at->changed == FEED_TREE)
			return FEED_TREE;
	}
	return node->changed;
}

static void
feed_drop(struct node *node)
{
	if (node_is_directory(node) && feed_of(node) != FEED_SAME)
		listing_changed(node);
	if (node->parent != NULL && feed_of(node->parent) != FEED_SAME)
		notify_inode(node->fs->notifier, node->ino);
}

static void
feed_clear(struct node *node)
{
	node->changed = FEED_SAME;
}

void
feed_take(struct fs *fs, struct remote *remote, const struct cloud_changed_list *list)
{
	const struct cloud_changed *one;
	struct node *node;
	size_t i;

	for (i = 0; i < list->len; i++) {
		one = &list->items[i];
		node = node_at(fs, remote, one->path);
		if (node != NULL)
			node->changed =
			    MAX(node->changed, one->is_tree ? FEED_TREE : (unsigned)FEED_LIST);
	}
	if (list->len == 0)
		return;
	nodes_each(fs, feed_drop);
	nodes_each(fs, feed_clear);
}

struct feed {
	char *cursor; /* NULL: none yet, or none that is good */
	bool lost; /* there was one: what happened since nobody knows */
	unsigned failures; /* in a row */
	uint64_t again_ms;
};

static int
feed_op(struct task *task, struct feed *feed, struct cloud_op *op, struct err *err)
{
	struct remote *remote = task->arg;
	int code;

	op->cursor = xstrdup_null(feed->cursor);
	op->may_wait = feed->failures == 0; /* a proxy may not let it wait: then it only looks */
	op->attempts_max = 1;
	code = task_op_within(task, op, FEED_MS, err);
	if (code != 0)
		return code;
	if (feed->lost)
		cloud_changed_all(&op->changed);
	feed_take(task->fs, remote, &op->changed);
	feed->lost = false;
	xstrset(&feed->cursor, op->cursor);
	feed->again_ms = op->again_ms;
	return 0;
}

static int
feed_ask(struct task *task, struct feed *feed, struct err *err)
{
	struct remote *remote = task->arg;
	struct account *account;
	struct cloud_op *op;
	int code = remote_open(task, remote, &account, err);

	if (code != 0)
		return code;
	op = cloud_op_new(account, CLOUD_CHANGES, "");
	code = feed_op(task, feed, op, err);
	cloud_op_free(op);
	if (code == -EKEYEXPIRED || code == -EKEYREJECTED)
		remote_refused(remote, account, code);
	else if (code != 0 && code != -ESHUTDOWN && !err_is_transient(code)) {
		feed->lost |= feed->cursor != NULL;
		free(TAKE(feed->cursor));
	}
	cloud_account_unref(account);
	return code;
}

/* Between two requests; a failure doubles it. */
static uint64_t
feed_pause(const struct fs *fs, const struct feed *feed)
{
	uint64_t pause = feed->again_ms != 0 ? feed->again_ms : fs->changes_ms;

	if (feed->failures == 0)
		return MAX(pause, (uint64_t)FEED_MIN_MS);
	pause = MAX(fs->changes_ms, (uint64_t)FEED_MIN_MS);
	return MIN(pause << MIN(feed->failures, (unsigned)FEED_DOUBLING), (uint64_t)FEED_MAX_MS);
}

static bool
feed_is_wanted(const struct fs *fs, const struct remote *remote)
{
	return !remote->removed && clock_mono_ms() - remote->kept_ms <= fs->entry_timeout_ms;
}

static void
feed_run(struct task *task)
{
	struct remote *remote = task->arg;
	struct feed feed = {.cursor = NULL};
	struct err err;
	uint64_t until;
	int code = 0;

	log_debug("%s: its changes are followed", remote->name);
	while (code != -ESHUTDOWN && feed_is_wanted(task->fs, remote)) {
		err_clear(&err);
		feed.again_ms = 0;
		code = feed_ask(task, &feed, &err);
		feed.failures = code == 0 ? 0 : feed.failures + 1;
		if (code != 0)
			log_debug(
			    "%s: its changes are not known: %s", remote->name, err_text(&err));
		until = task_deadline(feed_pause(task->fs, &feed));
		while (code != -ESHUTDOWN && clock_mono_ms() < until)
			code = task_wait(task, until);
	}
	log_debug("%s: its changes are not followed any more", remote->name);
	free(feed.cursor);
	remote->is_followed = false;
}

void
feed_follow(struct fs *fs, struct remote *remote)
{
	remote->kept_ms = clock_mono_ms();
	if (fs->changes_ms == 0 || fs->entry_timeout_ms < FEED_MIN_MS || remote->is_followed ||
	    fs->cancelling || !remote_has(remote, CLOUD_HAS_CHANGES))
		return;
	remote->is_followed = true;
	task_spawn(fs, feed_run, remote);
}
