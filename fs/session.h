/*
 * session: the connection with the kernel: /dev/fuse as an event of the loop, and the table of
 * operations.
 */
#pragma once
#include "fs/fs.h"

int session_mount(struct fs *, struct err *);
/* Begins to serve; fs->on_ready runs when the kernel has been answered for the first time. */
void session_serve(struct fs *);
/* Ends the connection (and the mount, unless it has ended already).  Nothing may be replied to
 * after it. */
void session_unmount(struct fs *);
void session_free(struct fs *);
/* Everything is made durable, the daemon is told, the loop ends. */
void session_stop(struct fs *);
