/*
 * stream: reads an object of a cloud, ahead of who reads it.
 *
 * It fetches parts: ranges of the object, pinned to its version, up to STREAM_OPS at once, each
 * into one buffer.  What is read is answered straight from those buffers.  Parts that somebody
 * waits for are never given up; others are when the reader jumps away, or has left them WINDOW_BACK
 * behind.  All streams together keep to fs->memory, beyond what is waited for.
 */
#pragma once
#include "fs/extent.h"
#include "fs/task.h"

struct stream;

struct stream *stream_new(struct fs *, struct source *, uint64_t size); /* an entry; referenced */
struct stream *stream_ref(struct stream *);
void stream_unref(struct stream *); /* NULL is a no-op */
bool stream_is_of(const struct stream *, const struct source *);
/* Waits for [offset, offset + len), which must lie inside.  iov is filled with at most iov_max
   pieces (fewer bytes are said if they do not suffice), valid until the task waits again.  Returns
   bytes, or an error. */
ssize_t stream_read(struct task *, struct stream *, uint64_t offset, size_t len, struct iovec *iov,
    int *iov_len, int iov_max, struct err *);
/* A range of any source into memory, without reading ahead. */
int source_read(struct task *, struct source *, void *out, size_t len, uint64_t from, struct err *);
/* The same of a file's extents: the range must lie inside. */
int extents_read_content(
    struct task *, const struct extents *, void *out, size_t len, uint64_t offset, struct err *err);
