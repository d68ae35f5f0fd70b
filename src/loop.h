/*
 * loop: one thread with one libevent base.  Objects belong to one loop and are touched by it alone;
 * loops talk by posting messages.  Timers and descriptors: plain libevent events on loop_base().
 */
#pragma once
#include "src/err.h"
#include <event2/event.h>

struct loop;
typedef void (*loop_fn)(void *arg);

struct loop *loop_new(const char *name, struct err *);
void loop_free(struct loop *); /* after it has stopped; posted messages are run first */
void loop_run(struct loop *); /* in this thread, until loop_stop() */
int loop_start(struct loop *, struct err *); /* in a thread of its own (signals blocked) */
void loop_stop(struct loop *); /* any thread: end after the messages posted so far */
void loop_join(struct loop *); /* waits for loop_start()'s thread */
struct event_base *loop_base(struct loop *);
/* Runs fn(arg) on the loop, in order of posting; any thread.  Never runs it before returning. */
void loop_post(struct loop *, loop_fn fn, void *arg);
bool loop_is_current(const struct loop *); /* for asserts */
/* Turns since start: a watchdog's food; any thread. */
uint64_t loop_turns(const struct loop *);
