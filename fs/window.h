/*
 * window: how far to read ahead of a reader.  A pure function of where it has read.
 *
 * It begins small, doubles while the reader goes on where it was (short jumps forward and back
 * count as going on: the kernel's requests do not arrive in order), and closes at a jump, so that
 * random reads fetch what they ask for and no more.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define WINDOW_MIN  (128 * 1024) /* the kernel's own default */
#define WINDOW_BACK (1024 * 1024) /* so far back is kept, and is not a jump */

struct window {
	uint64_t size; /* of the object */
	uint64_t max; /* largest read-ahead, bytes; 0: none */
	uint64_t ahead; /* now */
	uint64_t next; /* one past the furthest byte read since the last jump */
	uint64_t grow_at; /* when `next` passes this, `ahead` doubles */
	bool begun;
};

void window_init(struct window *, uint64_t size, uint64_t max);
/* A read of [offset, offset + len).  True: it is a jump, what was fetched before is of no use. */
bool window_read(struct window *, uint64_t offset, uint64_t len);
/* Up to where data should be there or on its way (never beyond the size). */
uint64_t window_end(const struct window *);
/* The smallest request worth making ahead of the reader. */
uint64_t window_step(const struct window *);
