#include "fs/window.h"
#include "src/mem.h"

void
window_init(struct window *window, uint64_t size, uint64_t max)
{
	*window = (struct window){.size = size, .max = max};
}

static bool
window_is_near(const struct window *window, uint64_t offset)
{
	uint64_t back = MIN(window->next, WINDOW_BACK);

	return offset >= window->next - back &&
	    offset <= window->next + MAX(window->ahead, WINDOW_MIN);
}

bool
window_read(struct window *window, uint64_t offset, uint64_t len)
{
	uint64_t end = MIN(window->size, offset + len);
	bool first = !window->begun, jump = !first && !window_is_near(window, offset);

	window->begun = true;
	if (first || jump) {
		/* Who begins at the beginning most often goes on. */
		window->ahead = offset == 0 ? MIN(window->max, WINDOW_MIN) : 0;
		window->next = end;
		window->grow_at = end + 1;
		return jump;
	}
	if (end <= window->next)
		return false;
	window->next = end;
	if (window->next >= window->grow_at) {
		window->ahead = MIN(window->max, MAX(window->ahead * 2, WINDOW_MIN));
		window->grow_at = window->next + window->ahead / 2;
	}
	return false;
}

uint64_t
window_end(const struct window *window)
{
	return window->ahead < window->size - window->next ? window->next + window->ahead
							   : window->size;
}

uint64_t
window_step(const struct window *window)
{
	return MAX(window->ahead / 4, WINDOW_MIN);
}
