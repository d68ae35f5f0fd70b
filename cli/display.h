/*
 * display: the live part of the screen: a bar for each running change and a line of totals, redrawn
 * in place at the bottom of a terminal; lines of text scroll above it.  Without a terminal it draws
 * nothing, and lines are just lines.
 *
 * It keeps the changes it is told of by id, at most DISPLAY_ITEMS_MAX; of the others only the
 * totals tell.  It belongs to the main loop and draws at most ten times a second, from a timer.
 */
#pragma once
#include "cli/cli.h"

#define DISPLAY_ITEMS_MAX 4096

struct display;
/* `live`: draw (stderr or stdout, whichever fd says, is a terminal). */
struct display *display_new(struct cli *, int fd, bool live);
void display_free(struct display *); /* takes the live part off the screen */
/* Takes it off, safely from a signal's callback before _exit(). */
void display_clear(void *display);
/* A running change; label is borrowed for the call, "" keeps the one it has.  bytes: UINT64_MAX
 * unknown. */
void display_progress(struct display *, const char *id, const char *label, uint64_t done,
    uint64_t total, uint64_t rate, uint64_t eta_s);
bool display_has(const struct display *, const char *id);
void display_remove(struct display *, const char *id);
void display_remove_all(struct display *);
size_t display_running(const struct display *);
uint64_t display_rate(const struct display *); /* of all its items */
uint64_t display_bytes(const struct display *); /* done, of all its items */
/* The last line: made when it is drawn. */
void display_on_totals(
    struct display *, char *(*totals)(void *arg), void *arg); /* caller-allocated text */
void display_touch(struct display *); /* the totals are new */
/* A line of text above the live part, escaped: to the display's fd, or to stderr with "skyferry: ".
 */
void display_line(struct display *, const char *fmt, ...) PRINTF(2, 3);
void display_warn(struct display *, const char *fmt, ...) PRINTF(2, 3);
