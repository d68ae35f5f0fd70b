/*
 * changes: a change as people read it, and finding changes by what people type.
 */
#pragma once
#include "cli/cli.h"

#define ID_LEN        36
#define ID_SHORT      8 /* on a terminal */
#define ID_PREFIX_MIN 4

/* The names of the accounts, to show instead of their ids. */
struct names;
int names_load(struct names **out, struct cli *, struct err *);
void names_free(struct names *);
/* The id itself if it is unknown.  Borrowed. */
const char *names_get(const struct names *, const char *account_id);

/* "photos:a.jpg -> backup:a.jpg", "remove photos:a.jpg".  Caller frees. */
char *change_label(const struct names *, const json_t *change);
/* Of a tree, or of an event about one: " (3 of 10, 1 failed)"; "" of all else.  Caller frees. */
char *change_children(const json_t *change);
bool status_is_live(const char *status); /* pending queued running */
/* One line, for lists and for what is no terminal: id, status, part, size, label. */
char *change_line(const struct names *, const json_t *change, size_t id_columns);
/* "completed,failed": each must be a state.  -EINVAL names it. */
int status_check(const char *list, struct err *);

/* One page of GET /api/transfers; newest first.  status may be NULL; parent: of this tree, or NULL.
 *out: the answer. */
int changes_page(struct cli *, json_t **out, const char *status, const char *parent, unsigned page,
    unsigned limit, struct err *);
/* How many there are in these states. */
int changes_count(struct cli *, uint64_t *out, const char *status, struct err *);
/* The full id for an id or the beginning of one (ID_PREFIX_MIN characters) that no other has. */
int change_resolve(struct cli *, char out[ID_LEN + 1], const char *prefix, struct err *);
