/*
 * ops: the handlers of the kernel's requests, as libfuse calls them: on the loop, one after the
 * other.  Each makes a task of the request and starts it.  session.c has the table.
 */
#pragma once
#include "fs/export.h"
#include "fs/file.h"
#include "fs/stream.h"

/* An open file. */
struct handle {
	struct node *node;
	struct file *file; /* of one who may write; else NULL */
	struct stream *stream; /* what was last read from; NULL: nothing yet */
	struct source *source; /* the node's own content when it was last looked at */
	uint64_t source_size;
	struct export *export; /* of a document: all that is read of it; else NULL */
};
struct handle *handle_of(const struct fuse_file_info *);

/* lookup.c */
void op_lookup(fuse_req_t, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t, fuse_ino_t, uint64_t);
void op_forget_multi(fuse_req_t, size_t, struct fuse_forget_data *);
void op_getattr(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_statfs(fuse_req_t, fuse_ino_t);
/* The node of a name as the mount shows it, referenced; -ENOENT. */
int
lookup_node(struct task *, struct node *dir, const char *name, struct node **out, struct err *err);
/* What the cloud has may have been asked for too long ago, or have changed since. */
void lookup_refresh(struct task *, struct node *);
/* From what is known already, for a directory's list: the kind must be right. */
struct node *lookup_known(struct node *dir, const char *name, enum node_kind, const struct entry *);
/* What the cloud and other changes have there, were our own file not: 0, -ENOENT, ... */
int lookup_beneath(struct task *, struct node *dir, const char *name, struct err *err);
int lookup_check_name(const struct node *dir, const char *name, struct err *err);
/* For handlers: the node of the request, or the reply is made. */
struct node *task_node(struct task *, uint64_t ino);
/* The reply, and the reason in the log. */
void task_fail(struct task *, const char *what, int code, const struct err *err);

/* dir.c */
void op_opendir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_readdirplus(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_releasedir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fsyncdir(fuse_req_t, fuse_ino_t, int datasync, struct fuse_file_info *);
/* Has it a name that is shown?  1, 0, or an error. */
int dir_has_names(struct task *, struct node *dir, struct err *err);

/* read.c */
void op_open(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_read(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
struct handle *handle_new(struct node *, bool writing, bool truncate);
void handle_free(struct handle *);
/* It is to be written: -EACCES if it is a document. */
int open_check_document(const struct node *, struct err *);

/* write.c */
void op_create(fuse_req_t, fuse_ino_t parent, const char *name, mode_t, struct fuse_file_info *);
void op_write(fuse_req_t, fuse_ino_t, const char *buf, size_t, off_t, struct fuse_file_info *);
void op_copy_file_range(fuse_req_t, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
    fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags);
void op_flush(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_release(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fsync(fuse_req_t, fuse_ino_t, int datasync, struct fuse_file_info *);
void op_setattr(fuse_req_t, fuse_ino_t, struct stat *, int to_set, struct fuse_file_info *);
void op_fallocate(fuse_req_t, fuse_ino_t, int mode, off_t, off_t, struct fuse_file_info *);

/* change.c */
void op_mkdir(fuse_req_t, fuse_ino_t parent, const char *name, mode_t);
void op_unlink(fuse_req_t, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t, fuse_ino_t parent, const char *name);
void op_mknod(fuse_req_t, fuse_ino_t parent, const char *name, mode_t, dev_t);
void op_symlink(fuse_req_t, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t, fuse_ino_t, fuse_ino_t parent, const char *name);
/* Submits a change: body gets an id.  id_out may be NULL. */
int change_submit(struct task *, const char *url, json_t *body, char id_out[37], struct err *err);
/* body of POST /api/changes, for what is at the path. */
json_t *change_body(const char *kind, const struct remote *, const char *path);

/* rename.c */
void op_rename(fuse_req_t, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
    const char *newname, unsigned flags);

/* xattr.c */
void op_getxattr(fuse_req_t, fuse_ino_t, const char *name, size_t);
void op_listxattr(fuse_req_t, fuse_ino_t, size_t);
void op_setxattr(fuse_req_t, fuse_ino_t, const char *name, const char *value, size_t, int flags);
void op_removexattr(fuse_req_t, fuse_ino_t, const char *name);
