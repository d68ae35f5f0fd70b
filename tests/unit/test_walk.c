/*
 * Walks, as a tree's attempt does them: what they find, in which order, in how few pieces, from any
 * position; what cannot be listed; what is removed afterwards, and what is not.
 */
#include "src/path.h"
#include "tests/unit/attempt_fixture.h"
#include <fcntl.h>
#include <sys/stat.h>

static struct change *
tree_of(const char *from_account, const char *from, const char *to_account, const char *to)
{
	struct change *c = fixture_change(CHANGE_TREE, to_account, to);

	fixture_source(c, from_account, from);
	return c;
}

/* -- what the store would say: so much room at each time it is asked */

static uint64_t room, live, failed;
static unsigned attempts;

static void
on_grow(struct fixture *f, struct attempt_growth *growth)
{
	*growth = (struct attempt_growth){room, live, failed, attempts};
}

static int
setup(void **state)
{
	int code = fixture_setup(state);

	fx.on_grow = on_grow;
	room = 100000;
	live = failed = attempts = 0;
	return code;
}

/* With the directories above it. */
static void
root_mkdir(int root, const char *path)
{
	CLEANUP(cleanup_free) char *full = path_child(fx.roots[root], path);
	char *slash;

	for (slash = full + strlen(fx.roots[root]) + 1; slash != NULL;) {
		slash = strchr(slash, '/');
		if (slash != NULL)
			*slash = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		if (slash != NULL)
			*slash++ = '/';
	}
}

static void
root_put(int root, const char *path)
{
	CLEANUP(cleanup_free) char *full = path_child(fx.roots[root], path);
	CLEANUP(cleanup_free) char *dir = path_parent(path);
	CLEANUP(cleanup_close) int fd = -1;

	root_mkdir(root, dir);
	fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "xyz", 3), 3);
}

static void
expect_found(const char *const expected[])
{
	size_t i;

	for (i = 0; i < fx.found->len && expected[i] != NULL; i++)
		assert_string_equal(fx.found->items[i].path, expected[i]);
	assert_int_equal(i, fx.found->len);
	assert_null(expected[i]);
}

static const char *const order[] = {
    "a-b", "a.c", "a/1", "a/deep/er/2", "a/empty/", "a0", "b/none/at/all/", "c", "ü", NULL};

static void
make_order(const char *account, int root)
{
	size_t i;

	for (i = 0; order[i] != NULL; i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("tree/%s", order[i]);
		size_t len = strlen(path);
		bool is_dir = path[len - 1] == '/';

		path[len - is_dir] = '\0';
		if (root >= 0 && is_dir)
			root_mkdir(root, path);
		else if (root >= 0)
			root_put(root, path);
		else if (is_dir)
			assert_int_equal(fixture_simple(CLOUD_MKDIR, account, path), 0);
		else
			fixture_put(account, path, 1, 3);
	}
}

static void
test_order(void **state)
{
	struct change *c = tree_of(LOCAL_A, "tree", MEMORY_A, "to");

	make_order(LOCAL_A, 0);
	assert_int_equal(fixture_run(c), 0);
	expect_found(order);
	assert_true(fx.found->end);
	assert_string_equal(fx.found->position, "ü");
	assert_int_equal(fx.found->items[0].size, 3);
	assert_false(fx.result.parked); /* nobody lives */
	change_free(c);
	make_order(MEMORY_A, -1);
	assert_int_equal(fixture_run_free(tree_of(MEMORY_A, "tree", LOCAL_B, "to")), 0);
	expect_found(order);
}

/* In pieces of any size, each by an attempt of its own: all of it, nothing twice. */
static void
test_positions(void **state)
{
	size_t piece, i, j;

	make_order(LOCAL_A, 0);
	make_order(MEMORY_A, -1); /* it brings more than it is asked for */
	for (piece = 1; piece <= 18; piece++) {
		struct change *c = tree_of(piece > 9 ? MEMORY_A : LOCAL_A, "tree", MEMORY_B, "to");

		for (i = 0; order[i] != NULL;) {
			room = 1 + piece % 9;
			live = 1;
			fx.on_grow = on_grow;
			assert_int_equal(fixture_run(c), 0);
			for (j = 0; j < fx.found->len && j < room; j++)
				assert_string_equal(fx.found->items[j].path, order[i++]);
			if (fx.found->len == 0)
				break;
			xstrset(&c->position, fx.found->items[j - 1].path);
			assert_true(fx.result.parked);
		}
		assert_null(order[i]);
		change_free(c);
	}
}

/* Room for so many, once: what is asked for later is too much. */
static void
on_grow_once(struct fixture *f, struct attempt_growth *growth)
{
	growth->room = room > f->found->len ? room - f->found->len : 0;
	growth->live = f->found->len;
}

static void
test_room(void **state)
{
	struct change *c;

	make_order(LOCAL_A, 0);
	fx.on_grow = on_grow_once;
	room = 4;
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree", MEMORY_A, "to")), 0);
	assert_true(fx.result.parked);
	assert_int_equal(fx.found->len, 4);
	assert_string_equal(fx.found->position, order[3]);
	room = 0;
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree", MEMORY_A, "to")), 0);
	assert_true(fx.result.parked);
	assert_int_equal(fx.found->len, 0);
	/* One whose listing has failed for good only waits for its children. */
	room = 100;
	c = tree_of(LOCAL_A, "tree", MEMORY_A, "to");
	xstrset(&c->position, "a-b");
	c->error = -EACCES;
	assert_int_equal(fixture_run_free(c), 0);
	assert_int_equal(fx.found->len, 0);
}

/* More names than a page, deeper than what is kept: and in order. */
static void
test_pages(void **state)
{
	struct change *c = tree_of(LOCAL_A, "many", MEMORY_A, "to");
	struct buf deep = BUF_INIT(4096);
	size_t i;

	for (i = 0; i < 2 * WALK_PAGE + 10; i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("many/f%05zu", i);

		root_put(0, path);
	}
	buf_puts(&deep, "many");
	for (i = 0; i < WALK_DIRS + 4; i++) {
		CLEANUP(cleanup_free) char *last = NULL;

		buf_printf(&deep, "/d%zu", i);
		last = xasprintf("%s/z", buf_str(&deep));
		root_put(0, last);
	}
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(fx.found->len, 2 * WALK_PAGE + 10 + WALK_DIRS + 4);
	/* d0 before the files; in it, from the deepest up. */
	assert_string_equal(fx.found->items[WALK_DIRS + 3].path, "d0/z");
	assert_string_equal(fx.found->items[WALK_DIRS + 4].path, "f00000");
	for (i = 1; i < fx.found->len; i++) {
		const char *a = fx.found->items[i - 1].path, *b = fx.found->items[i].path;

		if (strcmp(a, b) >= 0)
			fail_msg("%s comes before %s", a, b);
	}
	buf_free(&deep);
	change_free(c);
}

static void
test_nothing(void **state)
{
	struct change *c = tree_of(LOCAL_A, "tree", MEMORY_A, "to");
	static const char *const root[] = {"/", NULL};

	root_mkdir(0, "tree");
	assert_int_equal(fixture_run(c), 0);
	expect_found(root);
	xstrset(&c->position, "/");
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(fx.found->len, 0);
	assert_true(fx.found->end);
	change_free(c);
}

/* Names that no path can express are counted, once for each directory, however many pages it has;
   and what holds them is not removed. */
static void
test_hidden(void **state)
{
	struct change *c = tree_of(LOCAL_A, "odd", MEMORY_A, "to");
	CLEANUP(cleanup_free) char *bad = xasprintf("%s/odd/f\xff", fx.roots[0]);
	CLEANUP(cleanup_free) char *worse = xasprintf("%s/odd/sub/\xff", fx.roots[0]);
	static const char *const one[] = {"a", NULL};
	size_t i;

	root_put(0, "odd/a");
	assert_int_equal(mkdir(bad, 0700), 0);
	assert_int_equal(fixture_run(c), 0);
	expect_found(one);
	assert_int_equal(fx.found->hidden, 1);

	root_mkdir(0, "odd/sub");
	assert_int_equal(mkdir(worse, 0700), 0);
	for (i = 0; i < 2 * WALK_PAGE; i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("odd/f%05zu", i);

		root_put(0, path);
	}
	assert_int_equal(fixture_run(c), 0);
	/* "sub" is not empty, and nothing that is in it has a name. */
	assert_int_equal(fx.found->len, 2 * WALK_PAGE + 1);
	assert_int_equal(fx.found->hidden, 2);
	change_free(c);
}

/* A cloud that has something against one directory. */
static int shut_code;
static const char *shut_path = "tree/b";
static struct cloud_driver shut_driver;

static enum cloud_step
shut_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	if (op->kind != CLOUD_LIST || strcmp(op->path, shut_path) != 0)
		return memory_driver.request(op, request, err);
	err_set(err, shut_code, "shut");
	return CLOUD_STEP_FAIL;
}

static void
test_failures(void **state)
{
	static const char *const without[] = {
	    "a-b", "a.c", "a/1", "a/deep/er/2", "a/empty/", "a0", "b/", "c", "ü", NULL};
	struct change *c = tree_of(MEMORY_A, "tree", LOCAL_A, "to");

	make_order(MEMORY_A, -1);
	shut_driver = memory_driver;
	shut_driver.request = shut_request;
	fixture_replace(0, &shut_driver);
	shut_code = -EACCES;
	assert_int_equal(fixture_run(c), 0);
	expect_found(without);
	assert_int_equal(fx.found->items[6].code, -EACCES);
	assert_string_equal(fx.found->items[6].error, "shut");
	assert_true(fx.found->end);
	/* What may pass is waited for, as long as there is another try. */
	shut_code = -ETIMEDOUT;
	c->retries_max = 1;
	assert_int_equal(fixture_run(c), -ETIMEDOUT);
	/* The store says how many there were: what was found makes up for those before. */
	c->attempts = 2;
	attempts = 1;
	assert_int_equal(fixture_run(c), -ETIMEDOUT);
	attempts = 2;
	assert_int_equal(fixture_run(c), 0);
	expect_found(without);
	/* One that is gone since is no failure. */
	shut_code = -ENOENT;
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(fx.found->len, ARRAY_LEN(without) - 2);
	change_free(c);

	root_put(0, "tree/a");
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "missing", MEMORY_B, "to")), -ENOENT);
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree/a", MEMORY_B, "to")), -ENOTDIR);
	fixture_put(MEMORY_B, "taken", 1, 1);
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree", MEMORY_B, "taken")), -ENOTDIR);
}

/* A root that is but a prefix goes with the last that is moved away; any other that is gone was
   taken away with what had not been listed. */
static void
test_root_vanishes(void **state)
{
	struct change *c = tree_of(MEMORY_A, "tree", LOCAL_A, "to");

	make_order(MEMORY_A, -1);
	shut_driver = memory_driver;
	shut_driver.request = shut_request;
	shut_driver.features &= ~(unsigned)CLOUD_HAS_DIRECTORIES;
	fixture_replace(0, &shut_driver);
	shut_path = "tree";
	shut_code = -ENOENT;
	live = 1;
	c->move = true;
	assert_int_equal(fixture_run(c), -ENOENT); /* nothing of it was found yet */
	c->position = xstrdup("c");
	assert_int_equal(fixture_run(c), 0);
	assert_true(fx.found->end && fx.found->len == 0);
	c->move = false;
	assert_int_equal(fixture_run(c), -ENOENT);
	c->move = true;
	shut_driver.features |= CLOUD_HAS_DIRECTORIES;
	assert_int_equal(fixture_run(c), -ENOENT);
	shut_path = "tree/b";
	change_free(c);
}

/* A directory that is a link to itself ends where the kernel follows no more. */
static void
test_loop(void **state)
{
	CLEANUP(cleanup_free) char *link = xasprintf("%s/tree/loop", fx.roots[0]);

	root_put(0, "tree/a");
	assert_int_equal(symlink(".", link), 0);
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree", MEMORY_A, "to")), 0);
	assert_true(fx.found->end && fx.found->len > 10 && fx.found->len < 100);
}

/* What a link leads to is copied along, but is not the tree's to take away. */
static void
test_links(void **state)
{
	static const char *const copied[] = {"a", "link/b", NULL},
				 *const moved[] = {"a", "link/", NULL};
	CLEANUP(cleanup_free) char *link = xasprintf("%s/tree/link", fx.roots[0]);
	struct change *c = tree_of(LOCAL_A, "tree", MEMORY_A, "to");

	root_put(0, "tree/a");
	root_put(0, "other/b");
	assert_int_equal(symlink("../other", link), 0);
	assert_int_equal(fixture_run(c), 0);
	expect_found(copied);
	c->move = true;
	failed = 1;
	assert_int_equal(fixture_run(c), 0);
	expect_found(moved);
	assert_int_equal(fx.found->items[1].code, -ENOTDIR);
	assert_non_null(strstr(fx.found->items[1].error, "is a link to a directory"));
	/* Nor is an empty directory there, when those of the tree go. */
	root_mkdir(0, "other/empty");
	assert_int_equal(fixture_simple(CLOUD_REMOVE, LOCAL_A, "tree/a"), 0);
	c->listed = true;
	failed = 0;
	assert_int_equal(fixture_run(c), -ENOTEMPTY);
	assert_true(fixture_exists(LOCAL_A, "other/empty"));
	assert_true(fixture_exists(LOCAL_A, "tree/link"));
	change_free(c);
	/* The link itself, as a retry of what was left comes to it. */
	c = tree_of(LOCAL_A, "tree/link", MEMORY_A, "to");
	c->move = true;
	assert_int_equal(fixture_run_free(c), -ENOTDIR);
}

/* Overlapping roots are one place. */
static void
test_into_itself(void **state)
{
	CLEANUP(cleanup_free) char *inner = xasprintf("%s/tree/in", fx.roots[0]);

	root_mkdir(0, "tree/in");
	fixture_reopen(3, &local_driver, json_pack("{s:s}", "root", inner));
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree", LOCAL_B, "x")), -EINVAL);
	assert_non_null(strstr(fx.result.err.msg, "lies in the directory"));
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "", LOCAL_B, "x")), -EINVAL);
	assert_int_equal(fixture_run_free(tree_of(LOCAL_B, "x", LOCAL_A, "tree")), -EINVAL);
	root_mkdir(0, "tree-2");
	assert_int_equal(fixture_run_free(tree_of(LOCAL_A, "tree-2", LOCAL_B, "x")), 0);
}

static void
test_prune(void **state)
{
	struct change *c = tree_of(LOCAL_A, "tree", MEMORY_A, "to");
	struct entry e;

	c->move = c->listed = true;
	root_mkdir(0, "tree/a/b/c");
	root_mkdir(0, "tree/d");
	root_put(0, "tree/a/late");
	/* Not while some live, or have failed. */
	live = 1;
	assert_int_equal(fixture_run(c), 0);
	assert_true(fx.result.parked && fixture_exists(LOCAL_A, "tree/d"));
	live = 0;
	failed = 1;
	assert_int_equal(fixture_run(c), 0);
	assert_true(!fx.result.parked && fixture_exists(LOCAL_A, "tree/d"));
	failed = 0;
	assert_int_equal(fixture_run(c), -ENOTEMPTY);
	assert_non_null(strstr(fx.result.err.msg, "new entries while it was moved"));
	assert_false(fixture_exists(LOCAL_A, "tree/d"));
	assert_false(fixture_exists(LOCAL_A, "tree/a/b"));
	e = fixture_stat(LOCAL_A, "tree/a/late");
	assert_int_equal(e.size, 3);
	entry_fini(&e);
	assert_int_equal(fixture_simple(CLOUD_REMOVE, LOCAL_A, "tree/a/late"), 0);
	assert_int_equal(fixture_run(c), 0);
	assert_false(fixture_exists(LOCAL_A, "tree"));
	assert_int_equal(fixture_run(c), 0); /* again, after a kill */
	change_free(c);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(test_order),
	    test(test_positions),
	    test(test_room),
	    test(test_pages),
	    test(test_nothing),
	    test(test_hidden),
	    test(test_failures),
	    test(test_root_vanishes),
	    test(test_loop),
	    test(test_links),
	    test(test_into_itself),
	    test(test_prune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
