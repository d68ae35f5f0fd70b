#include "src/ring.h"
#include "src/mem.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* What is held lies in blocks, so that one who holds little has little, also who is never empty. */
#define RING_BLOCK ((size_t)4 * 1024)

struct block {
	TAILQ_ENTRY(block) next;
	unsigned char data[RING_BLOCK];
};

struct ring {
	size_t size, chunk_max;
	TAILQ_HEAD(block_list, block) blocks; /* none while nothing is held */
	size_t head; /* of the first block: the first held byte */
	size_t tail; /* of the last one: where the next byte goes */
	size_t held;
	bool ended, hold_last, shut;
	ring_hook_fn on_input, on_output;
	ring_tap_fn tap;
	void *input_arg, *output_arg, *tap_arg;
};

struct ring *
ring_new(size_t size, size_t chunk_max)
{
	struct ring *r = xcalloc(1, sizeof *r);

	assert(chunk_max > 0 && size >= chunk_max && size < SIZE_MAX / 2);
	r->size = size;
	r->chunk_max = chunk_max;
	TAILQ_INIT(&r->blocks);
	return r;
}

static void
ring_drop_block(struct ring *r)
{
	struct block *b = TAILQ_FIRST(&r->blocks);

	TAILQ_REMOVE(&r->blocks, b, next);
	free(b);
	r->head = 0;
}

static void
ring_release(struct ring *r)
{
	while (!TAILQ_EMPTY(&r->blocks))
		ring_drop_block(r);
	r->tail = r->held = 0;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	ring_release(r);
	free(r);
}

void
ring_on_input(struct ring *r, ring_hook_fn fn, void *arg)
{
	r->on_input = fn;
	r->input_arg = arg;
}

void
ring_on_output(struct ring *r, ring_hook_fn fn, void *arg)
{
	r->on_output = fn;
	r->output_arg = arg;
}

bool
ring_wants_input(const struct ring *r)
{
	return !r->ended && ring_room(r) >= r->chunk_max;
}

size_t
ring_room(const struct ring *r)
{
	return r->shut ? 0 : r->size - r->held;
}

static void
ring_tell_room(const struct ring *r)
{
	if (r->on_output != NULL && ring_wants_input(r))
		r->on_output(r->output_arg);
}

void
ring_widen(struct ring *r, size_t size)
{
	assert(size >= r->size && size < SIZE_MAX / 2);
	r->size = size;
	ring_tell_room(r);
}

void
ring_shut(struct ring *r, bool shut)
{
	r->shut = shut;
	ring_tell_room(r);
}

size_t
ring_size(const struct ring *r)
{
	return r->size;
}

size_t
ring_held(const struct ring *r)
{
	return r->hold_last && !r->ended && r->held > 0 ? r->held - 1 : r->held;
}

void
ring_tap(struct ring *r, ring_tap_fn fn, void *arg)
{
	r->tap = fn;
	r->tap_arg = arg;
}

void
ring_hold_last(struct ring *r)
{
	r->hold_last = true;
}

/* The last block, with room for at least one byte. */
static struct block *
ring_last(struct ring *r)
{
	struct block *b = TAILQ_LAST(&r->blocks, block_list);

	if (b != NULL && r->tail < RING_BLOCK)
		return b;
	b = xmalloc(sizeof *b);
	TAILQ_INSERT_TAIL(&r->blocks, b, next);
	r->tail = 0;
	return b;
}

bool
ring_put(struct ring *r, const void *buf, size_t len)
{
	const unsigned char *from = buf;
	size_t left, n;

	if (r->ended || len > ring_room(r))
		return false;
	if (len == 0)
		return true;
	for (left = len; left > 0; left -= n) {
		struct block *b = ring_last(r);

		n = MIN(left, RING_BLOCK - r->tail);
		memcpy(b->data + r->tail, from, n);
		from += n;
		r->tail += n;
		r->held += n;
	}
	if (r->tap != NULL)
		r->tap(r->tap_arg, buf, len);
	if (r->on_input != NULL)
		r->on_input(r->input_arg);
	return true;
}

size_t
ring_peek(const struct ring *r, const void **out)
{
	const struct block *b = TAILQ_FIRST(&r->blocks);
	size_t len = ring_held(r);

	if (len == 0) {
		*out = NULL;
		return 0;
	}
	*out = b->data + r->head;
	return MIN(len, RING_BLOCK - r->head);
}

/* Takes `len` bytes away, without a word to who may put more. */
static void
ring_take(struct ring *r, size_t len)
{
	size_t n;

	for (r->held -= len; len > 0; len -= n) {
		n = MIN(len, RING_BLOCK - r->head);
		r->head += n;
		if (r->head == RING_BLOCK)
			ring_drop_block(r);
	}
	if (r->held == 0)
		ring_release(r);
}

void
ring_drop(struct ring *r, size_t len)
{
	assert(len <= ring_held(r));
	if (len == 0)
		return;
	ring_take(r, len);
	ring_tell_room(r);
}

size_t
ring_get(struct ring *r, void *buf, size_t max)
{
	size_t len = MIN(max, ring_held(r)), left, n;
	unsigned char *to = buf;
	const void *from;

	if (len == 0)
		return 0;
	for (left = len; left > 0; left -= n) {
		n = MIN(left, ring_peek(r, &from));
		memcpy(to, from, n);
		to += n;
		ring_take(r, n);
	}
	ring_tell_room(r);
	return len;
}

void
ring_end(struct ring *r)
{
	r->ended = true;
	if (r->on_input != NULL)
		r->on_input(r->input_arg);
}

bool
ring_is_ended(const struct ring *r)
{
	return r->ended && r->held == 0;
}

void
ring_reset(struct ring *r)
{
	ring_release(r);
	r->ended = false;
}
