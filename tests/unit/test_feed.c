/* What changes in a cloud, and the listings that are dropped for it; the clouds are this file's. */
#include "fs/feed.h"
#include "fs/listing.h"
#include "fs/remote.h"
#include "fs/task.h"
#include "providers/providers.h"
#include "src/clock.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

static struct fs fs;
static struct account *account;
static struct remote remote = {.id = "id-1", .name = "acc"}, other = {.id = "id-2", .name = "two"};
static struct node *top, *a, *b, *c, *top2;
static unsigned asked; /* so many requests */
static const char *meanwhile; /* this directory changes while the next one is under way */

static void
changed(const char *path, bool is_tree)
{
	struct cloud_changed_list list = {.items = NULL};

	cloud_changed_add(&list, path, is_tree);
	feed_take(&fs, &remote, &list);
	cloud_changed_fini(&list);
}

static void
ask(void)
{
	asked++;
	if (meanwhile != NULL)
		changed(TAKE(meanwhile), false);
}

/* In the place of remote.c's (the linker's --wrap). */
int __wrap_remote_stat(
    struct task *, struct remote *, const char *path, struct entry *out, struct err *);
int __wrap_remote_op(struct task *, struct remote *, enum cloud_op_kind, const char *path,
    struct cloud_op **out, struct err *);

int
__wrap_remote_stat(
    struct task *task, struct remote *r, const char *path, struct entry *out, struct err *err)
{
	ask();
	return err_set(err, -ENOENT, "nothing is there");
}

int
__wrap_remote_op(struct task *task, struct remote *r, enum cloud_op_kind kind, const char *path,
    struct cloud_op **out, struct err *err)
{
	assert_int_equal(task_wait(task, task_deadline(1)), 0);
	ask();
	*out = cloud_op_new(account, kind, path);
	return 0;
}

static struct node *
known(struct node *dir, const char *name, struct remote *of)
{
	struct node *node = node_new(dir, name, NODE_DIRECTORY, of);

	node->lookups = 1;
	node_unref(node);
	listing_set_empty(node);
	return node;
}

static int
setup(void **state)
{
	json_t *credentials = json_pack("{s:s}", "server", "feed");
	struct err err = ERR_INIT;

	fs = (struct fs){.entry_timeout_ms = 3600000};
	TAILQ_INIT(&fs.tasks);
	TAILQ_INIT(&fs.files);
	fs.loop = loop_new("feed", &err);
	assert_non_null(fs.loop);
	fs.fibers = fibers_new(fs.loop);
	fs.nodes = nodes_new(&fs);
	assert_int_equal(
	    cloud_account_open(&account, &memory_driver, "id-1", "acc", credentials, &err), 0);
	json_decref(credentials);
	top = known(node_root(&fs), "acc", &remote);
	a = known(top, "a", &remote);
	b = known(a, "b", &remote);
	c = known(top, "c", &remote);
	top2 = known(node_root(&fs), "two", &other);
	asked = 0;
	return 0;
}

static int
teardown(void **state)
{
	nodes_free(fs.nodes);
	fibers_free(fs.fibers);
	loop_free(fs.loop);
	cloud_account_unref(account);
	return 0;
}

/* Is a name in the directory asked for? */
static bool
asks(struct node *dir)
{
	struct entry entry;
	unsigned before = asked;

	entry_init(&entry);
	assert_int_equal(listing_lookup(NULL, dir, "name", &entry, NULL), -ENOENT);
	entry_fini(&entry);
	return asked > before;
}

static void
test_take(void **state)
{
	assert_false(asks(top) || asks(a) || asks(b) || asks(c) || asks(top2));
	changed("a", false);
	assert_true(asks(a));
	assert_false(asks(a)); /* it is known again */
	assert_false(asks(top) || asks(b) || asks(c) || asks(top2));
	changed("unknown/dir", true);
	changed("", false);
	assert_true(asks(top));
	assert_false(asks(a) || asks(b) || asks(c) || asks(top2));
}

static void
test_tree(void **state)
{
	changed("a", true);
	assert_true(asks(a) && asks(b));
	assert_false(asks(top) || asks(c) || asks(top2));
	changed("", true);
	assert_true(asks(top) && asks(a) && asks(b) && asks(c));
	assert_false(asks(top2));
}

/* What is answered may be older than what was told meanwhile. */
static void
test_meanwhile(void **state)
{
	changed("a", false);
	meanwhile = "a";
	assert_true(asks(a));
	assert_true(asks(a));
	assert_false(asks(a));
}

static void
load(struct task *task)
{
	struct err err = ERR_INIT;

	assert_int_equal(listing_load(task, task->arg, &err), 0);
	loop_stop(fs.loop);
}

static unsigned
lists(struct node *dir)
{
	unsigned before = asked;

	task_spawn(&fs, load, dir);
	loop_run(fs.loop);
	return asked - before;
}

static void
test_list_meanwhile(void **state)
{
	changed("a", false);
	meanwhile = "a";
	assert_int_equal(lists(a), 2);
	changed("a", false);
	assert_int_equal(lists(a), 1);
	assert_false(asks(a));
}

/* It is known what we have done; what others did in the same directory is seen a little later. */
static void
test_ours(void **state)
{
	struct entry entry;
	uint64_t ours_ms;

	fs.changes_ms = 3600000;
	entry_init(&entry);
	listing_fold(a, "ours", &entry);
	ours_ms = clock_mono_ms();
	changed("a", false);
	assert_false(asks(a));
	assert_int_equal(listing_lookup(NULL, a, "ours", &entry, NULL), 0);
	fs.changes_ms = 1;
	while (clock_mono_ms() == ours_ms)
		continue;
	assert_true(asks(a));
	assert_false(asks(a));
	changed("a", false);
	assert_true(asks(a)); /* we are quiet */
	entry_fini(&entry);
}

static void
test_bounds(void **state)
{
	struct cloud_changed_list list = {.items = NULL};
	char path[32];

	cloud_changed_add(&list, "a", true);
	cloud_changed_add(&list, "a/b", true);
	cloud_changed_add(&list, "a", false);
	cloud_changed_add(&list, "ab", false);
	cloud_changed_add(&list, "ab", false);
	assert_int_equal(list.len, 2);
	for (int i = 0; i < CLOUD_CHANGED_MAX; i++) {
		snprintf(path, sizeof path, "%d", i);
		cloud_changed_add(&list, path, false);
	}
	assert_int_equal(list.len, 1);
	assert_true(list.items[0].is_tree);
	assert_string_equal(list.items[0].path, "");
	cloud_changed_fini(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_meanwhile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_list_meanwhile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ours, setup, teardown),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
