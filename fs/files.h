/* files: all that are being written or on their way, of one mount. */
#pragma once
#include "fs/file.h"

struct file *files_by_change(struct fs *, const char *id);
/* A change has ended well that copies depend on. */
void files_pin(struct fs *, const struct change *);
/* Dirty files that have copied from the path get their place before what comes next. */
int files_flush_readers(
    struct task *, const char *account_id, const char *path, struct file *except, struct err *);
/* Somebody waits for a change that may be queued behind a pending write of a file that is still
   open: those are queued as they are.  What is written to them later makes another one. */
void files_commit_held(struct task *);
/* Is anything in the directory on its way to the cloud? */
bool files_beneath(const struct node *dir);
void files_check(struct fs *); /* events may have been missed: asks for each */
/* Everything is made durable and queued, for unmounting. */
int files_flush_all(struct task *, struct err *);
void files_free(struct fs *); /* at the end of the program */
