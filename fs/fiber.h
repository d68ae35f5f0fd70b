/*
 * fiber: a function with a stack of its own that can wait in the middle while the loop goes on.
 *
 * A file system's answer is often the end of a sequence (settle what was written, tell the daemon,
 * then rename): as a fiber it reads in order, with its errors handled where they happen and its
 * cleanups where they belong, instead of being cut into a callback after each wait.  Nothing runs
 * at the same time: a fiber runs on the loop's thread until it waits or ends, and is resumed by the
 * loop, never by whoever woke it.  So between two waits a fiber may trust what it has looked at,
 * and nowhere else.
 *
 * The stacks are mapped with a guard page and kept for the next fiber; only touched pages cost
 * memory.
 */
#pragma once
#include "src/loop.h"

#define FIBER_STACK                                                                                \
	(256 * 1024) /* address space; a sanitizer's frames are three times as large               \
		      */

struct fiber;
struct fibers;

struct fibers *fibers_new(struct loop *);
void fibers_free(struct fibers *); /* none may be left */
/* Runs fn(arg) until it first waits (or, from within a fiber, soon). */
struct fiber *fiber_start(struct fibers *, loop_fn fn, void *arg);
struct fiber *fiber_current(const struct fibers *); /* NULL: the loop itself runs */
/* Gives the thread back to the loop until fiber_wake(). */
void fiber_wait(struct fibers *);
/* Lets it go on at the next turn of the loop; more than once is the same as once. */
void fiber_wake(struct fiber *);
unsigned fibers_live(const struct fibers *);
