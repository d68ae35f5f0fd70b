#include "src/ring.h"
#include "src/mem.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RING_CAP_MIN ((size_t)16 * 1024)

struct ring {
	size_t size, chunk_max;
	unsigned char *data; /* NULL while nothing is held */
	size_t cap; /* of data; grows to size as it is needed */
	size_t head, held; /* the first held byte, and how many there are */
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
	return r;
}

static void
ring_release(struct ring *r)
{
	free(r->data);
	r->data = NULL;
	r->cap = r->head = r->held = 0;
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

void
ring_shut(struct ring *r, bool shut)
{
	r->shut = shut;
	if (r->on_output != NULL && ring_wants_input(r))
		r->on_output(r->output_arg);
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

static size_t
ring_copy_out(const struct ring *r, void *buf, size_t len)
{
	size_t first = MIN(len, r->cap - r->head);

	memcpy(buf, r->data + r->head, first);
	memcpy((unsigned char *)buf + first, r->data, len - first);
	return len;
}

/* Room in data for `len` more bytes; what is held becomes contiguous when it moves. */
static void
ring_grow(struct ring *r, size_t len)
{
	size_t need = r->held + len, cap = MAX(r->cap, MIN(RING_CAP_MIN, r->size));
	unsigned char *data;

	if (need <= r->cap)
		return;
	while (cap < need)
		cap *= 2;
	cap = MIN(cap, r->size);
	data = xmalloc(cap);
	if (r->held > 0)
		ring_copy_out(r, data, r->held);
	free(r->data);
	r->data = data;
	r->cap = cap;
	r->head = 0;
}

bool
ring_put(struct ring *r, const void *buf, size_t len)
{
	size_t tail, first;

	if (r->ended || len > ring_room(r))
		return false;
	if (len == 0)
		return true;
	ring_grow(r, len);
	tail = r->head + r->held;
	if (tail >= r->cap)
		tail -= r->cap;
	first = MIN(len, r->cap - tail);
	memcpy(r->data + tail, buf, first);
	memcpy(r->data, (const unsigned char *)buf + first, len - first);
	r->held += len;
	if (r->tap != NULL)
		r->tap(r->tap_arg, buf, len);
	if (r->on_input != NULL)
		r->on_input(r->input_arg);
	return true;
}

size_t
ring_get(struct ring *r, void *buf, size_t max)
{
	size_t len = MIN(max, ring_held(r));

	if (len == 0)
		return 0;
	ring_copy_out(r, buf, len);
	ring_drop(r, len);
	return len;
}

size_t
ring_peek(const struct ring *r, const void **out)
{
	size_t len = ring_held(r);

	if (len == 0) {
		*out = NULL;
		return 0;
	}
	*out = r->data + r->head;
	return MIN(len, r->cap - r->head);
}

void
ring_drop(struct ring *r, size_t len)
{
	assert(len <= ring_held(r));
	if (len == 0)
		return;
	r->held -= len;
	r->head += len;
	if (r->head >= r->cap)
		r->head -= r->cap;
	if (r->held == 0)
		ring_release(r);
	if (r->on_output != NULL && ring_wants_input(r))
		r->on_output(r->output_arg);
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
