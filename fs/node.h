/*
 * node: inodes.  A node is what the kernel knows by number: the root (whose names are the
 * accounts), a directory or a file.  It lives while the kernel remembers it (lookups) or something
 * here holds it (refs, children, a file being written).  Its path is found by walking to the
 * account's top, so renaming a directory renames what is beneath it.
 *
 * The number is a hash of the path where that is free, so that it is the same after the kernel has
 * forgotten the node and asks again.
 */
#pragma once
#include "fs/fs.h"

enum node_kind { NODE_ROOT, NODE_DIRECTORY, NODE_FILE };

struct remote;
struct listing;

struct node {
	struct fs *fs;
	uint64_t ino;
	enum node_kind kind;
	struct node *parent; /* held; NULL: the root, or detached */
	char *name;
	struct remote *remote; /* NULL: the root */
	uint64_t lookups; /* of the kernel */
	unsigned refs; /* here, children included */
	struct task *renaming; /* a directory: who waits for a change that gives it another path */
	bool detached; /* removed or replaced; the kernel may still have it, or parts of it, open */
	struct entry entry; /* what the cloud has, or had (path is not used) */
	uint64_t content; /* counts changes of the content that did not come from the kernel */
	uint64_t opened; /* `content` when it was last opened: are the kernel's pages good? */
	bool was_opened;
	struct file *file; /* being written, or pending: then this is what is shown */
	struct export *export; /* what an unsized entry was last exported as; not held: those who
				  have it open hold it */
	struct listing *listing; /* of a directory */
	unsigned changed; /* feed.c's */
	LIST_HEAD(, node) written; /* of a directory: children with a file */
	LIST_ENTRY(node) written_next;
};

struct nodes *nodes_new(struct fs *);
void nodes_free(struct nodes *); /* all of them */
size_t nodes_count(const struct nodes *);
struct node *node_root(struct fs *);
struct node *node_by_ino(struct fs *, uint64_t ino); /* NULL: unknown */
struct node *node_child(struct node *dir, const char *name); /* if it is known; not referenced */
/* A new one (there must be none), referenced once. */
struct node *node_new(struct node *dir, const char *name, enum node_kind, struct remote *);
uint64_t
node_guess_ino(struct node *dir, const char *name); /* most probably the number it will have */
struct node *node_ref(struct node *);
void node_unref(struct node *); /* NULL is a no-op; may free it */
void node_forget(struct node *, uint64_t lookups);
/* It has no name any more. */
void node_detach(struct node *);
/* It, or a directory that it was in: there is no path that means it. */
bool node_is_detached(const struct node *);
/* It has another name; who had it before is detached. */
void node_move(struct node *, struct node *dir, const char *name);
char *node_path(const struct node *); /* canonical, in the account; caller frees */
/* A known node, or NULL; not referenced. */
struct node *node_at(struct fs *, struct remote *, const char *path);
struct node *
node_at_parent(struct fs *, struct remote *, const char *path); /* of the directory it is in */
void nodes_each(struct fs *, void (*fn)(struct node *)); /* fn must not make or free one */
void node_set_file(struct node *, struct file *); /* or NULL */
/* The cloud has this now: notices whether the content is another. */
void node_set_entry(struct node *, const struct entry *);
bool node_is_directory(const struct node *);
/* Is it the directory, or somewhere in it? */
bool node_is_beneath(const struct node *, const struct node *dir);
/* A document: it is read as its cloud exports it, and not written. */
bool node_is_document(const struct node *);
/* For removal and so on: a directory that has an account. */
bool node_is_writable_directory(const struct node *);
void node_stat(const struct node *, struct stat *out);
double node_attr_timeout(const struct node *); /* how long the kernel may keep that, in seconds */
void node_entry_param(struct node *, struct fuse_entry_param *out); /* counts a lookup */
