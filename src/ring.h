/*
 * ring: the bounded byte queue between an op that reads and an op that writes.  It does no I/O.
 * Bytes are copied in and out; no pointer escapes.  One loop owns it; there is no locking.
 * Its memory is taken as bytes arrive and given back as they leave.
 *
 * The two sides wake each other through hooks, which only record a fact and wake their object:
 * on_input  runs after bytes were put, or the end or a failure was marked;
 * on_output runs after bytes were taken and there is room for one more chunk.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct ring;
typedef void (*ring_hook_fn)(void *arg);

struct ring *ring_new(size_t size, size_t chunk_max); /* size >= chunk_max; caller frees */
void ring_free(struct ring *); /* NULL is a no-op */
void ring_on_input(struct ring *, ring_hook_fn, void *arg); /* set by the reader */
void ring_on_output(struct ring *, ring_hook_fn, void *arg); /* set by the writer */

bool ring_wants_input(const struct ring *); /* room for one more chunk, and not ended */
size_t ring_room(const struct ring *);
size_t ring_held(const struct ring *);
bool ring_put(struct ring *, const void *buf, size_t len); /* all of it, or false */
/* It may hold so many bytes from now on; not fewer than before. */
void ring_widen(struct ring *, size_t size);
/* While it is shut it wants no input and has no room; what it holds can be taken. */
void ring_shut(struct ring *, bool shut);
size_t ring_size(const struct ring *); /* as it was made, or widened */
size_t ring_get(struct ring *, void *buf, size_t max);
/* Looks at bytes in front without taking them: *out is valid until the next call; returns how many,
   which may be less than it holds. */
size_t ring_peek(const struct ring *, const void **out);
void ring_drop(struct ring *, size_t len); /* after peek */
void ring_end(struct ring *); /* the writer will put no more */
bool ring_is_ended(const struct ring *); /* ended and empty: nothing will come */
void ring_reset(struct ring *); /* empty, not ended; hooks stay */

/* A look at the bytes as they come in (hashing, counting): runs in ring_put(), after they were
 * taken. */
typedef void (*ring_tap_fn)(void *arg, const void *buf, size_t len);
void ring_tap(struct ring *, ring_tap_fn, void *arg);
/* Keeps the last byte back from the reader (ring_held, ring_get and ring_peek do not show it) until
   ring_end(): a sink that needs all bytes cannot complete before the source is known to be good. */
void ring_hold_last(struct ring *);
