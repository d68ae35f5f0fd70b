#include "fs/node.h"
#include "fs/export.h"
#include "fs/file.h"
#include "fs/listing.h"
#include "fs/remote.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uuid/uuid.h>

#define NODE_KEY_INO 24 /* hex digits of a number, and its end */

struct nodes {
	struct table by_ino;
	struct table by_name; /* key: the parent's number, '/', the name */
	struct node *root;
};

static void
node_ino_key(char out[NODE_KEY_INO], uint64_t ino)
{
	snprintf(out, NODE_KEY_INO, "%llx", (unsigned long long)ino);
}

static char *
node_name_key(const struct node *dir, const char *name)
{
	return xasprintf("%llx/%s", (unsigned long long)dir->ino, name);
}

static struct node *
node_alloc(struct fs *fs, enum node_kind kind)
{
	struct node *node = xcalloc(1, sizeof(*node));

	node->fs = fs;
	node->kind = kind;
	node->refs = 1;
	entry_init(&node->entry);
	node->entry.kind = kind == NODE_FILE ? ENTRY_FILE : ENTRY_DIRECTORY;
	LIST_INIT(&node->written);
	return node;
}

static void
node_enter(struct nodes *nodes, struct node *node)
{
	char key[NODE_KEY_INO];

	node_ino_key(key, node->ino);
	table_put(&nodes->by_ino, key, node);
}

struct nodes *
nodes_new(struct fs *fs)
{
	struct nodes *nodes = xcalloc(1, sizeof(*nodes));

	table_init(&nodes->by_ino);
	table_init(&nodes->by_name);
	nodes->root = node_alloc(fs, NODE_ROOT);
	nodes->root->ino = FUSE_ROOT_ID;
	node_enter(nodes, nodes->root);
	return nodes;
}

static void
node_free(void *arg)
{
	struct node *node = arg;

	listing_free(node->listing);
	entry_fini(&node->entry);
	free(node->name);
	free(node);
}

void
nodes_free(struct nodes *nodes)
{
	if (nodes == NULL)
		return;
	table_fini(&nodes->by_name, NULL);
	table_fini(&nodes->by_ino, node_free);
	free(nodes);
}

size_t
nodes_count(const struct nodes *nodes)
{
	return nodes->by_ino.len;
}

void
nodes_each(struct fs *fs, void (*fn)(struct node *))
{
	struct table_walk walk = {0};
	void *value;

	while (table_next(&fs->nodes->by_ino, &walk, NULL, &value))
		fn(value);
}

struct node *
node_root(struct fs *fs)
{
	return fs->nodes->root;
}

struct node *
node_by_ino(struct fs *fs, uint64_t ino)
{
	char key[NODE_KEY_INO];

	node_ino_key(key, ino);
	return table_get(&fs->nodes->by_ino, key);
}

struct node *
node_child(struct node *dir, const char *name)
{
	CLEANUP(cleanup_free) char *key = node_name_key(dir, name);

	return table_get(&dir->fs->nodes->by_name, key);
}

static uint64_t
node_hash(const struct remote *remote, const char *path)
{
	CLEANUP(cleanup_free)
	char *key = xasprintf("%s:%s", remote == NULL ? "" : remote->id, path);
	uint64_t ino = table_hash(key);

	return ino <= FUSE_ROOT_ID ? FUSE_ROOT_ID + 1 : ino;
}

static uint64_t
node_free_ino(struct fs *fs, const struct node *node)
{
	CLEANUP(cleanup_free) char *path = node_path(node);
	uint64_t ino = node_hash(node->remote, path);
	uuid_t random;

	while (ino <= FUSE_ROOT_ID || node_by_ino(fs, ino) != NULL) {
		uuid_generate_random(random);
		memcpy(&ino, random, sizeof(ino));
	}
	return ino;
}

uint64_t
node_guess_ino(struct node *dir, const char *name)
{
	CLEANUP(cleanup_free) char *parent = node_path(dir), *path = path_child(parent, name);
	struct remote *remote = dir->remote;

	if (dir->kind == NODE_ROOT) {
		remote = remote_by_name(dir->fs->remotes, name);
		path[0] = '\0';
	}
	return node_hash(remote, path);
}

static void
node_attach(struct node *node, struct node *dir, const char *name)
{
	CLEANUP(cleanup_free) char *key = node_name_key(dir, name);
	struct node *old = table_put(&node->fs->nodes->by_name, key, node);

	assert(old == NULL);
	node->parent = node_ref(dir);
	xstrset(&node->name, name);
	node->detached = false;
	if (node->file != NULL)
		LIST_INSERT_HEAD(&dir->written, node, written_next);
}

struct node *
node_new(struct node *dir, const char *name, enum node_kind kind, struct remote *remote)
{
	struct node *node = node_alloc(dir->fs, kind);

	node->remote = remote;
	node_attach(node, dir, name);
	node->ino = node_free_ino(dir->fs, node);
	node_enter(dir->fs->nodes, node);
	return node;
}

struct node *
node_ref(struct node *node)
{
	node->refs++;
	return node;
}

static void
node_release(struct node *node)
{
	char key[NODE_KEY_INO];

	if (node->refs > 0 || node->lookups > 0 || node->kind == NODE_ROOT)
		return;
	assert(node->file == NULL);
	node_detach(node);
	node_ino_key(key, node->ino);
	table_remove(&node->fs->nodes->by_ino, key);
	node_free(node);
}

void
node_unref(struct node *node)
{
	if (node == NULL)
		return;
	assert(node->refs > 0);
	node->refs--;
	node_release(node);
}

void
node_forget(struct node *node, uint64_t lookups)
{
	node->lookups -= MIN(node->lookups, lookups);
	node_release(node);
}

void
node_detach(struct node *node)
{
	struct node *dir = node->parent;
	char *key;

	if (dir == NULL)
		return;
	key = node_name_key(dir, node->name);
	table_remove(&node->fs->nodes->by_name, key);
	free(key);
	if (node->file != NULL)
		LIST_REMOVE(node, written_next);
	node->parent = NULL;
	node->detached = true;
	node_unref(dir);
}

bool
node_is_detached(const struct node *node)
{
	for (; node != NULL; node = node->parent) {
		if (node->detached)
			return true;
	}
	return false;
}

void
node_move(struct node *node, struct node *dir, const char *name)
{
	struct node *old = node_child(dir, name);
	char *copy = xstrdup(name); /* it may be the node's own */

	if (old != NULL && old != node)
		node_detach(old);
	node_ref(dir);
	node_detach(node);
	node_attach(node, dir, copy);
	node_unref(dir);
	node->remote = dir->remote;
	free(copy);
}

char *
node_path(const struct node *node)
{
	char *path, *longer;
	const struct node *at;

	if (node->parent == NULL || node->parent->kind == NODE_ROOT)
		return xstrdup("");
	path = xstrdup(node->name);
	for (at = node->parent; at->parent != NULL && at->parent->kind != NODE_ROOT;
	     at = at->parent) {
		longer = path_child(at->name, path);
		free(path);
		path = longer;
	}
	return path;
}

static struct node *
node_walk(struct fs *fs, struct remote *remote, const char *path, size_t len)
{
	CLEANUP(cleanup_free) char *copy = xstrndup(path, len);
	struct node *node = node_child(node_root(fs), remote->name);
	char *rest = copy, *name;

	if (len == 0)
		return node;
	while (node != NULL && (name = strsep(&rest, "/")) != NULL)
		node = node_child(node, name);
	return node;
}

struct node *
node_at(struct fs *fs, struct remote *remote, const char *path)
{
	return node_walk(fs, remote, path, strlen(path));
}

struct node *
node_at_parent(struct fs *fs, struct remote *remote, const char *path)
{
	const char *name = path_name(path);

	return node_walk(fs, remote, path, name == path ? 0 : (size_t)(name - path) - 1);
}

void
node_set_file(struct node *node, struct file *file)
{
	if (node->file != NULL && node->parent != NULL)
		LIST_REMOVE(node, written_next);
	node->file = file;
	if (file != NULL && node->parent != NULL)
		LIST_INSERT_HEAD(&node->parent->written, node, written_next);
}

void
node_set_entry(struct node *node, const struct entry *entry)
{
	const char *old = node->entry.version, *new = entry->version;
	bool same = old != NULL && new != NULL &&strcmp(old, new) == 0;
	uint64_t size =
	    entry->unsized && node->entry.unsized && same ? node->entry.size : entry->size;

	if (!same)
		node->content++;
	entry_fini(&node->entry);
	entry_init(&node->entry);
	entry_copy(&node->entry, entry);
	node->entry.size = size; /* of an export: what the last one had */
	free(TAKE(node->entry.path));
}

bool
node_is_directory(const struct node *node)
{
	return node->kind != NODE_FILE;
}

bool
node_is_beneath(const struct node *node, const struct node *dir)
{
	for (; node != NULL; node = node->parent) {
		if (node == dir)
			return true;
	}
	return false;
}

bool
node_is_document(const struct node *node)
{
	return node->file == NULL && node->entry.unsized;
}

bool
node_is_writable_directory(const struct node *node)
{
	return node->kind == NODE_DIRECTORY;
}

static void
node_time(struct timespec *out, int64_t ns)
{
	out->tv_sec = ns / 1000000000;
	out->tv_nsec = ns % 1000000000;
	if (out->tv_nsec < 0) {
		out->tv_sec--;
		out->tv_nsec += 1000000000;
	}
}

/* Of a document that nobody has opened: the most that it may be.  Who takes that for its size reads
   to the end; of an empty file many would read nothing, and some remove it. */
static uint64_t
node_size(const struct node *node)
{
	if (node->file != NULL)
		return file_size(node->file);
	if (node->export != NULL)
		return node->export->size;
	return node->entry.unsized && node->entry.size == 0 ? ENTRY_UNSIZED_MAX : node->entry.size;
}

void
node_stat(const struct node *node, struct stat *out)
{
	const struct fs_options *options = &node->fs->options;
	int64_t mtime_ns = node->file != NULL ? node->file->mtime_ns : node->entry.mtime_ns;
	unsigned mode =
	    node->file != NULL && node->file->mode != 0 ? node->file->mode : node->entry.mode;

	*out = (struct stat){.st_ino = node->ino, .st_nlink = node->detached ? 0 : 1};
	out->st_uid = options->uid;
	out->st_gid = options->gid;
	out->st_blksize = 4096;
	if (node->kind == NODE_FILE) {
		out->st_mode = S_IFREG | (mode != 0 ? mode & 0777 : 0666 & ~options->umask);
		out->st_size = (off_t)node_size(node);
		if (node_is_document(node))
			out->st_mode &= ~0222u;
		/* Less than the size, and cp would look for holes and read instead of copying
		 * ranges. */
		out->st_blocks = (blkcnt_t)(((uint64_t)out->st_size + 511) / 512);
	} else {
		out->st_mode = S_IFDIR | (mode != 0 ? mode & 0777 : 0777 & ~options->umask);
		if (node->kind == NODE_ROOT)
			out->st_mode = S_IFDIR | (0555 & ~(options->umask & 0077));
	}
	/* A directory's time must not move by itself: the kernel would drop what it has cached of
	 * it. */
	if (mtime_ns == ENTRY_NO_TIME)
		mtime_ns = node->fs->start_ns;
	node_time(&out->st_mtim, mtime_ns);
	out->st_ctim = out->st_atim = out->st_mtim;
}

void
node_entry_param(struct node *node, struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param){.ino = node->ino};
	node_stat(node, &out->attr);
	out->entry_timeout = FS_KERNEL_MS / 1000.0;
	out->attr_timeout = node_attr_timeout(node);
	node->lookups++;
}

/* A document gets its size when it is opened: whoever asks then must not be told what was before.
 */
double
node_attr_timeout(const struct node *node)
{
	return node_is_document(node) ? 0 : FS_KERNEL_MS / 1000.0;
}
