#include "fs/node.h"
#include "fs/remote.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct fs fs;
static struct remote remote = {.id = "id-1", .name = "acc"};

static int
setup(void **state)
{
	fs = (struct fs){.options = {.umask = 022, .uid = 1000}, .start_ns = 5000000000};
	TAILQ_INIT(&fs.files);
	fs.nodes = nodes_new(&fs);
	return 0;
}

static int
teardown(void **state)
{
	nodes_free(fs.nodes);
	return 0;
}

/* A node as after a look-up by the kernel. */
static struct node *
known(struct node *dir, const char *name, enum node_kind kind)
{
	struct node *node = node_new(dir, name, kind, &remote);

	node->lookups = 1;
	node_unref(node);
	return node;
}

static void
test_paths(void **state)
{
	struct node *top = known(node_root(&fs), "acc", NODE_DIRECTORY);
	struct node *a = known(top, "a", NODE_DIRECTORY), *b = known(a, "b", NODE_FILE);
	struct node *c = known(top, "c", NODE_DIRECTORY);
	char *path;

	path = node_path(b);
	assert_string_equal(path, "a/b");
	free(path);
	path = node_path(top);
	assert_string_equal(path, "");
	free(path);
	assert_ptr_equal(node_at(&fs, &remote, "a/b"), b);
	assert_ptr_equal(node_at(&fs, &remote, ""), top);
	assert_ptr_equal(node_at_parent(&fs, &remote, "a/b"), a);
	assert_null(node_at(&fs, &remote, "a/x/y"));

	node_move(a, c, "z"); /* takes what is beneath along */
	path = node_path(b);
	assert_string_equal(path, "c/z/b");
	free(path);
	assert_null(node_at(&fs, &remote, "a/b"));
	assert_ptr_equal(node_at(&fs, &remote, "c/z/b"), b);
}

static void
test_replace(void **state)
{
	struct node *top = known(node_root(&fs), "acc", NODE_DIRECTORY);
	struct node *a = known(top, "a", NODE_FILE), *b = known(top, "b", NODE_FILE);
	uint64_t ino = b->ino;

	node_move(a, top, "b");
	assert_true(b->detached);
	assert_ptr_equal(node_child(top, "b"), a);
	assert_ptr_equal(node_by_ino(&fs, ino), b); /* the kernel has it open */
	node_forget(b, 1);
	assert_null(node_by_ino(&fs, ino));
}

static void
test_forget(void **state)
{
	struct node *top = known(node_root(&fs), "acc", NODE_DIRECTORY);
	struct node *a = known(top, "a", NODE_FILE);
	uint64_t ino = a->ino, top_ino = top->ino;
	size_t count = nodes_count(fs.nodes);

	node_forget(top, 1); /* stays: its child is known */
	assert_ptr_equal(node_by_ino(&fs, top_ino), top);
	a->lookups = 3;
	node_forget(a, 2);
	assert_ptr_equal(node_by_ino(&fs, ino), a);
	node_forget(a, 1);
	assert_null(node_by_ino(&fs, ino));
	assert_null(node_by_ino(&fs, top_ino));
	assert_int_equal(nodes_count(fs.nodes), count - 2);
}

static void
test_numbers(void **state)
{
	struct node *top = known(node_root(&fs), "acc", NODE_DIRECTORY);
	struct node *a = known(top, "a", NODE_FILE), *again;
	uint64_t ino = a->ino;

	assert_int_equal(node_guess_ino(top, "a"), ino);
	node_detach(a); /* still open: another file of that name must have another number */
	again = known(top, "a", NODE_FILE);
	assert_int_not_equal(again->ino, ino);
	node_forget(again, 1);
	node_forget(a, 1);
	again = known(top, "a", NODE_FILE);
	assert_int_equal(again->ino, ino); /* the same as before it was forgotten */
}

static void
test_stat(void **state)
{
	struct node *top = known(node_root(&fs), "acc", NODE_DIRECTORY);
	struct node *a = known(top, "a", NODE_FILE);
	struct entry entry;
	struct stat st;

	entry_init(&entry);
	entry.size = 1025;
	entry.mtime_ns = -1; /* before 1970 */
	entry.version = xstrdup("v1");
	node_set_entry(a, &entry);
	node_stat(a, &st);
	assert_int_equal(st.st_size, 1025);
	assert_int_equal(
	    st.st_blocks, 3); /* never less than the size: cp would not offer its copy */
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_mtim.tv_sec, -1);
	assert_int_equal(st.st_mtim.tv_nsec, 999999999);
	entry.mode = 04600;
	entry.mtime_ns = ENTRY_NO_TIME;
	node_set_entry(a, &entry);
	node_stat(a, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0600); /* set-id bits are not shown */
	assert_int_equal(st.st_mtim.tv_sec, 5); /* unknown: it must not move by itself */
	entry_fini(&entry);
}

static void
test_content(void **state)
{
	struct node *top = known(node_root(&fs), "acc", NODE_DIRECTORY);
	struct node *a = known(top, "a", NODE_FILE);
	struct entry entry;
	uint64_t content;

	entry_init(&entry);
	entry.version = xstrdup("v1");
	node_set_entry(a, &entry);
	content = a->content;
	node_set_entry(a, &entry);
	assert_int_equal(a->content, content); /* the kernel's pages stay good */
	xstrset(&entry.version, "v2");
	node_set_entry(a, &entry);
	assert_int_not_equal(a->content, content);
	content = a->content;
	xstrset(&entry.version, NULL); /* unknown is never the same */
	node_set_entry(a, &entry);
	assert_int_not_equal(a->content, content);
	entry_fini(&entry);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stat, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_content, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
