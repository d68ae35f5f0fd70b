#include "fs/fiber.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FIBER_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define FIBER_TSAN 1
#endif
#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define FIBER_KEEP                                                                                 \
	64 /* free stacks kept: as many as requests the kernel has under way at most times */
#define FIBER_TURN                                                                                 \
	256 /* resumed in one turn of the loop, so that its descriptors get their share */

struct fiber {
	ucontext_t context;
	struct fibers *fibers;
	char *stack; /* the guard page is in front of it */
	loop_fn fn;
	void *arg;
	bool ready, ended;
	void *asan_stack, *tsan;
	TAILQ_ENTRY(fiber) next; /* in fibers->ready, or ->spare */
};
TAILQ_HEAD(fiber_list, fiber);

struct fibers {
	struct event *wake;
	ucontext_t context; /* the loop's */
	struct fiber *current;
	struct fiber_list ready, spare;
	unsigned live, spares;
	void *asan_stack, *tsan;
	const void *loop_bottom; /* the loop's own stack, as ASan sees it */
	size_t loop_size;
};

static void
fiber_switched(struct fibers *fibers, void *asan_stack, bool from_loop)
{
#ifdef FIBER_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(asan_stack, &bottom, &size);
	if (from_loop) {
		fibers->loop_bottom = bottom;
		fibers->loop_size = size;
	}
#endif
}

static void
fiber_to_loop(struct fibers *fibers, struct fiber *fiber)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(
	    fiber->ended ? NULL : &fiber->asan_stack, fibers->loop_bottom, fibers->loop_size);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(fibers->tsan, 0);
#endif
	swapcontext(&fiber->context, &fibers->context);
	fiber_switched(fibers, fiber->asan_stack, true);
}

/* makecontext() passes only ints, so the pointer comes in two halves. */
static void
fiber_main(unsigned high, unsigned low)
{
	struct fiber *fiber = (void *)(((uintptr_t)high << 32) | (uintptr_t)low);

	fiber_switched(fiber->fibers, NULL, true);
	for (;;) {
		fiber->fn(fiber->arg);
		fiber->ended = true;
		fiber_to_loop(fiber->fibers, fiber);
	}
}

/* Apart from its caller, whose variables getcontext() would put in doubt (it may return twice). */
static __attribute__((noinline)) void
fiber_aim(struct fiber *fiber)
{
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = FIBER_STACK;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, (void (*)(void))(void *)fiber_main, 2,
	    (unsigned)((uintptr_t)fiber >> 32), (unsigned)(uintptr_t)fiber);
}

static struct fiber *
fiber_new(struct fibers *fibers)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fiber *fiber;
	char *memory;

	fiber = TAILQ_FIRST(&fibers->spare);
	if (fiber != NULL) {
		TAILQ_REMOVE(&fibers->spare, fiber, next);
		fibers->spares--;
	} else {
		fiber = xcalloc(1, sizeof(*fiber));
		memory = mmap(NULL, FIBER_STACK + page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0)
			abort();
		fiber->stack = memory + page;
		fiber->fibers = fibers;
	}
	fiber->ended = false;
	fiber->asan_stack = NULL;
	fiber_aim(fiber);
#ifdef FIBER_TSAN
	fiber->tsan = __tsan_create_fiber(0);
#endif
	return fiber;
}

static void
fiber_unmap(struct fiber *fiber)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap(fiber->stack - page, FIBER_STACK + page);
	free(fiber);
}

static void
fiber_resume(struct fibers *fibers, struct fiber *fiber)
{
	assert(fibers->current == NULL);
	fibers->current = fiber;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&fibers->asan_stack, fiber->stack, FIBER_STACK);
#endif
#ifdef FIBER_TSAN
	fibers->tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(fiber->tsan, 0);
#endif
	swapcontext(&fibers->context, &fiber->context);
	fiber_switched(fibers, fibers->asan_stack, false);
	fibers->current = NULL;
	if (!fiber->ended)
		return;
	if (fiber->ready)
		TAILQ_REMOVE(&fibers->ready, fiber, next);
	fiber->ready = false;
	fibers->live--;
#ifdef FIBER_TSAN
	__tsan_destroy_fiber(fiber->tsan);
#endif
#ifdef FIBER_ASAN
	__asan_unpoison_memory_region(fiber->stack, FIBER_STACK);
#endif
	if (fibers->spares >= FIBER_KEEP) {
		fiber_unmap(fiber);
		return;
	}
	fibers->spares++;
	TAILQ_INSERT_HEAD(&fibers->spare, fiber, next);
}

static void
fibers_run(evutil_socket_t fd, short what, void *arg)
{
	struct fibers *fibers = arg;
	struct fiber *fiber;
	unsigned i;

	for (i = 0; i < FIBER_TURN && (fiber = TAILQ_FIRST(&fibers->ready)) != NULL; i++) {
		TAILQ_REMOVE(&fibers->ready, fiber, next);
		fiber->ready = false;
		fiber_resume(fibers, fiber);
	}
	if (!TAILQ_EMPTY(&fibers->ready))
		event_active(fibers->wake, EV_TIMEOUT, 1);
}

struct fibers *
fibers_new(struct loop *loop)
{
	struct fibers *fibers = xcalloc(1, sizeof(*fibers));

	TAILQ_INIT(&fibers->ready);
	TAILQ_INIT(&fibers->spare);
	fibers->wake = event_new(loop_base(loop), -1, EV_PERSIST, fibers_run, fibers);
	if (fibers->wake == NULL)
		abort();
	return fibers;
}

void
fibers_free(struct fibers *fibers)
{
	struct fiber *fiber;

	if (fibers == NULL)
		return;
	assert(fibers->live == 0);
	while ((fiber = TAILQ_FIRST(&fibers->spare)) != NULL) {
		TAILQ_REMOVE(&fibers->spare, fiber, next);
		fiber_unmap(fiber);
	}
	event_free(fibers->wake);
	free(fibers);
}

struct fiber *
fiber_start(struct fibers *fibers, loop_fn fn, void *arg)
{
	struct fiber *fiber = fiber_new(fibers);

	fiber->fn = fn;
	fiber->arg = arg;
	fibers->live++;
	if (fibers->current == NULL)
		fiber_resume(fibers, fiber);
	else
		fiber_wake(fiber);
	return fiber;
}

struct fiber *
fiber_current(const struct fibers *fibers)
{
	return fibers->current;
}

void
fiber_wait(struct fibers *fibers)
{
	assert(fibers->current != NULL);
	fiber_to_loop(fibers, fibers->current);
}

void
fiber_wake(struct fiber *fiber)
{
	struct fibers *fibers = fiber->fibers;

	if (fiber->ready)
		return;
	fiber->ready = true;
	if (TAILQ_EMPTY(&fibers->ready))
		event_active(fibers->wake, EV_TIMEOUT, 1);
	TAILQ_INSERT_TAIL(&fibers->ready, fiber, next);
}

unsigned
fibers_live(const struct fibers *fibers)
{
	return fibers->live;
}
