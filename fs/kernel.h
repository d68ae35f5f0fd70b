/*
 * kernel: what is done to the mount beside its requests, found through mountinfo, never by looking
 * at the mount itself.
 */
#pragma once
#include "src/err.h"

/* The device of the Skyferry mount at the directory; -ENOENT. */
int kernel_mount_device(const char *directory, unsigned *major, unsigned *minor);
/* Raises the kernel's read-ahead of it to so many bytes.  Needs root; -EACCES is no harm. */
int kernel_set_read_ahead(unsigned major, unsigned minor, uint64_t bytes);
/* Ends the connection from outside: every request of it fails. */
int kernel_abort(unsigned minor);
