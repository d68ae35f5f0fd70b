#include "cli/display.h"
#include "cli/format.h"
#include "cli/text.h"
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#define DRAW_INTERVAL_MS 100
#define SCREEN_BYTES_MAX (1024 * 1024)
#define COLUMNS_DEFAULT  80
#define ROWS_DEFAULT     24
#define BAR_WIDTH        22
#define NUMBERS_WIDTH    (1 + BAR_WIDTH + 5 + 12 + 10) /* bar, percent, rate, time left */
#define LABEL_MIN        12

struct display_item {
	char id[37]; /* first: the tree compares it */
	char *label; /* escaped */
	uint64_t done, total, rate, eta_s;
	TAILQ_ENTRY(display_item) next;
};

struct display {
	struct cli *cli;
	int fd;
	bool live, dirty;
	void *tree; /* tsearch(3), by id */
	TAILQ_HEAD(display_items, display_item) items;
	size_t items_len;
	unsigned drawn; /* lines of the live part that are on the screen */
	char *(*totals)(void *arg);
	void *totals_arg;
	struct event *timer, *resized;
};

static int
item_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct display_item *
item_find(const struct display *d, const char *id)
{
	struct display_item **found = tfind(id, (void *const *)&d->tree, item_compare);

	return found != NULL ? *found : NULL;
}

static void
display_write(struct display *d, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(d->fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			/* nobody reads: what only shows has nothing left to do */
			if (d->fd == STDOUT_FILENO && !d->cli->interrupted) {
				d->cli->interrupted = true;
				cli_wake(d->cli);
			}
			return;
		}
		text += n;
		len -= (size_t)n;
	}
}

/* To the first line of the live part, which is wiped. */
static void
screen_rewind(struct buf *screen, unsigned lines)
{
	buf_puts(screen, "\r");
	if (lines > 1)
		buf_printf(screen, "\033[%uA", lines - 1);
	buf_puts(screen, "\033[J");
}

void
display_clear(void *display)
{
	struct display *d = display;
	char text[32];

	if (d == NULL || d->drawn == 0)
		return;
	if (d->drawn > 1)
		snprintf(text, sizeof(text), "\r\033[%uA\033[J", d->drawn - 1);
	else
		snprintf(text, sizeof(text), "\r\033[J");
	display_write(d, text, strlen(text));
	d->drawn = 0;
}

static void
screen_size(const struct display *d, unsigned *rows, unsigned *columns)
{
	struct winsize size;

	*rows = ROWS_DEFAULT;
	*columns = COLUMNS_DEFAULT;
	if (ioctl(d->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		*rows = size.ws_row;
		*columns = size.ws_col;
	}
}

/* One line, narrower than the screen: a full one would wrap and spoil the count of lines. */
static void
screen_put_item(struct buf *screen, const struct display_item *item, unsigned columns)
{
	char bar[BAR_WIDTH + 1], rate[FORMAT_MAX], left[FORMAT_MAX], percent[16] = "";
	int part = format_percent(item->done, item->total);
	bool wide = columns > NUMBERS_WIDTH + LABEL_MIN;
	size_t room = wide ? columns - 1 - NUMBERS_WIDTH : columns - 1 - 5;
	CLEANUP(cleanup_free) char *label = text_fit(item->label, room);

	if (part >= 0)
		snprintf(percent, sizeof(percent), "%d%%", part);
	buf_puts(screen, label);
	for (size_t width = text_width(label); width < room; width++)
		buf_putc(screen, ' ');
	if (!wide) {
		buf_printf(screen, " %4s", percent);
		return;
	}
	buf_printf(screen, " %s %4s %11s %9s",
	    format_bar(bar, sizeof(bar), item->done, item->total, BAR_WIDTH), percent,
	    item->rate > 0 ? format_rate(rate, item->rate) : "",
	    item->eta_s != UINT64_MAX ? format_duration(left, item->eta_s) : "");
}

static void
display_draw(struct display *d)
{
	CLEANUP(buf_free) struct buf screen = BUF_INIT(SCREEN_BYTES_MAX);
	CLEANUP(cleanup_free) char *totals = d->totals != NULL ? d->totals(d->totals_arg) : NULL;
	struct display_item *item;
	unsigned rows, columns, lines = 0, room;

	d->dirty = false;
	screen_size(d, &rows, &columns);
	if (columns < 10)
		return;
	screen_rewind(&screen, d->drawn);
	room = rows > 3 ? rows - 2 : 1;
	TAILQ_FOREACH (item, &d->items, next) {
		if (lines >= room)
			break;
		screen_put_item(&screen, item, columns);
		buf_puts(&screen, "\n");
		lines++;
	}
	if (totals != NULL) {
		CLEANUP(cleanup_free) char *safe = text_escape(totals);
		CLEANUP(cleanup_free) char *fit = text_fit(safe, columns - 1);

		buf_puts(&screen, fit);
	}
	d->drawn = lines + 1;
	display_write(d, buf_str(&screen), screen.len);
}

static void
display_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct display *d = arg;

	display_draw(d);
}

void
display_touch(struct display *d)
{
	struct timeval soon = {.tv_usec = DRAW_INTERVAL_MS * 1000};

	if (!d->live || d->dirty)
		return;
	d->dirty = true;
	evtimer_add(d->timer, &soon);
}

static void
display_on_resized(evutil_socket_t sig, short what, void *arg)
{
	struct display *d = arg;

	/* the terminal has wrapped the old lines anew: where they begin is not known any more */
	display_write(d, "\n", 1);
	d->drawn = 0;
	display_touch(d);
}

struct display *
display_new(struct cli *cli, int fd, bool live)
{
	struct display *d = xcalloc(1, sizeof(*d));

	d->cli = cli;
	d->fd = fd;
	d->live = live;
	TAILQ_INIT(&d->items);
	if (live) {
		d->timer = evtimer_new(loop_base(cli->loop), display_on_timer, d);
		d->resized = evsignal_new(loop_base(cli->loop), SIGWINCH, display_on_resized, d);
		event_add(d->resized, NULL);
	}
	return d;
}

static void
display_drop(struct display *d, struct display_item *item)
{
	tdelete(item->id, &d->tree, item_compare);
	TAILQ_REMOVE(&d->items, item, next);
	d->items_len--;
	free(item->label);
	free(item);
}

void
display_free(struct display *d)
{
	if (d == NULL)
		return;
	display_remove_all(d);
	display_clear(d);
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->resized != NULL)
		event_free(d->resized);
	free(d);
}

void
display_progress(struct display *d, const char *id, const char *label, uint64_t done,
    uint64_t total, uint64_t rate, uint64_t eta_s)
{
	struct display_item *item = item_find(d, id);

	if (item == NULL) {
		if (d->items_len >= DISPLAY_ITEMS_MAX)
			return;
		item = xcalloc(1, sizeof(*item));
		snprintf(item->id, sizeof(item->id), "%s", id);
		item->label = text_escape("");
		tsearch(item, &d->tree, item_compare);
		TAILQ_INSERT_TAIL(&d->items, item, next);
		d->items_len++;
	}
	if (label[0] != '\0') {
		free(item->label);
		item->label = text_escape(label);
	}
	item->done = done;
	item->total = total;
	item->rate = rate;
	item->eta_s = eta_s;
	display_touch(d);
}

bool
display_has(const struct display *d, const char *id)
{
	return item_find(d, id) != NULL;
}

void
display_remove(struct display *d, const char *id)
{
	struct display_item *item = item_find(d, id);

	if (item != NULL)
		display_drop(d, item);
	display_touch(d);
}

void
display_remove_all(struct display *d)
{
	while (!TAILQ_EMPTY(&d->items))
		display_drop(d, TAILQ_FIRST(&d->items));
}

size_t
display_running(const struct display *d)
{
	return d->items_len;
}

uint64_t
display_rate(const struct display *d)
{
	const struct display_item *item;
	uint64_t sum = 0;

	TAILQ_FOREACH (item, &d->items, next)
		sum += item->rate;
	return sum;
}

uint64_t
display_bytes(const struct display *d)
{
	const struct display_item *item;
	uint64_t sum = 0;

	TAILQ_FOREACH (item, &d->items, next)
		sum += item->done;
	return sum;
}

void
display_on_totals(struct display *d, char *(*totals)(void *arg), void *arg)
{
	d->totals = totals;
	d->totals_arg = arg;
	display_touch(d);
}

void
display_line(struct display *d, const char *fmt, ...)
{
	CLEANUP(cleanup_free) char *text = NULL, *safe = NULL, *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	safe = text_escape(text);
	line = xasprintf("%s\n", safe);
	display_clear(d);
	display_write(d, line, strlen(line));
	display_touch(d);
}

void
display_warn(struct display *d, const char *fmt, ...)
{
	CLEANUP(cleanup_free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	display_clear(d);
	cli_warn("%s", text);
	display_touch(d);
}
