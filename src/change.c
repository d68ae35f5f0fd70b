#include "src/change.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[CHANGE_KINDS] = {
    [CHANGE_TRANSFER] = "transfer",
    [CHANGE_REMOVE] = "remove",
    [CHANGE_RMDIR] = "rmdir",
    [CHANGE_MKDIR] = "mkdir",
    [CHANGE_RENAME] = "rename",
    [CHANGE_SETATTR] = "setattr",
    [CHANGE_TREE] = "tree",
};
static const char *const state_names[CHANGE_STATES] = {
    [CHANGE_PENDING] = "pending",
    [CHANGE_QUEUED] = "queued",
    [CHANGE_RUNNING] = "running",
    [CHANGE_COMPLETED] = "completed",
    [CHANGE_FAILED] = "failed",
    [CHANGE_CANCELLED] = "cancelled",
};

void
change_clear_segments(struct change *c)
{
	size_t i;

	for (i = 0; i < c->segments_len; i++) {
		free(c->segments[i].account_id);
		free(c->segments[i].path);
		free(c->segments[i].version);
	}
	free(c->segments);
	c->segments = NULL;
	c->segments_len = 0;
}

bool
change_path_is_valid(const struct change *c, const char *path)
{
	return path_is_canonical(path) ||
	    (c->by_key && c->kind == CHANGE_REMOVE && path_is_key(path));
}

bool
change_source_is_valid(const struct change *c, const char *path)
{
	return path_is_canonical(path) ||
	    (c->by_key && c->kind == CHANGE_TRANSFER && path_is_key(path));
}

struct change *
change_new(void)
{
	struct change *c = xcalloc(1, sizeof *c);

	c->priority = CHANGE_PRIORITY_DEFAULT;
	c->overwrite = true;
	c->preserve = true;
	c->mtime_ns = ENTRY_NO_TIME;
	c->mtime_set = true;
	c->bytes_total = UINT64_MAX;
	return c;
}

void
change_free(struct change *c)
{
	if (c == NULL)
		return;
	change_clear_segments(c);
	free(c->account_id);
	free(c->path);
	free(c->version);
	free(c->position);
	free(c->content_type);
	free(c->mount_id);
	free(c->route);
	free(c->route_reason);
	free(c->verified);
	free(c->result_version);
	free(c->error_text);
	free(c->owner);
	free(c);
}

struct change *
change_copy(const struct change *from)
{
	struct change *c = xmemdup(from, sizeof *from);
	size_t i;

	c->account_id = xstrdup_null(from->account_id);
	c->path = xstrdup_null(from->path);
	c->version = xstrdup_null(from->version);
	c->position = xstrdup_null(from->position);
	c->content_type = xstrdup_null(from->content_type);
	c->mount_id = xstrdup_null(from->mount_id);
	c->route = xstrdup_null(from->route);
	c->route_reason = xstrdup_null(from->route_reason);
	c->verified = xstrdup_null(from->verified);
	c->result_version = xstrdup_null(from->result_version);
	c->error_text = xstrdup_null(from->error_text);
	c->owner = xstrdup_null(from->owner);
	c->segments = NULL;
	c->segments_len = 0;
	for (i = 0; i < from->segments_len; i++) {
		struct segment *s = change_add_segment(c, from->segments[i].kind);

		*s = from->segments[i];
		s->account_id = xstrdup_null(s->account_id);
		s->path = xstrdup_null(s->path);
		s->version = xstrdup_null(s->version);
	}
	return c;
}

/* The array grows at powers of two, which segments_len alone tells. */
struct segment *
change_add_segment(struct change *c, enum segment_kind kind)
{
	struct segment *s;

	if ((c->segments_len & (c->segments_len - 1)) == 0)
		c->segments =
		    xrealloc(c->segments, MAX(c->segments_len * 2, (size_t)1), sizeof *c->segments);
	s = &c->segments[c->segments_len++];
	memset(s, 0, sizeof *s);
	s->kind = kind;
	return s;
}

/* What is told a few times only is so in a row: another failure in between begins anew. */
bool
change_will_retry(const struct change *c, int code)
{
	return c->attempts <= c->retries_max &&
	    err_may_repeat(code, c->error == code ? c->attempts : 1);
}

bool
change_is_live(const struct change *c)
{
	return c->state == CHANGE_PENDING || c->state == CHANGE_QUEUED ||
	    c->state == CHANGE_RUNNING;
}

bool
change_is_parked(const struct change *c)
{
	return c->kind == CHANGE_TREE && c->state == CHANGE_RUNNING && c->owner == NULL;
}

const char *
change_reads_from(const struct change *c)
{
	const char *id;
	size_t i;

	for (i = 0; i < c->segments_len; i++) {
		id = c->segments[i].kind == SEGMENT_ENTRY ? c->segments[i].account_id : NULL;
		if (id != NULL && strcmp(id, c->account_id) != 0)
			return id;
	}
	return NULL;
}

const struct segment *
change_source(const struct change *c)
{
	if (c->kind != CHANGE_TRANSFER && c->kind != CHANGE_RENAME && c->kind != CHANGE_TREE)
		return NULL;
	if (c->segments_len != 1 || c->segments[0].kind != SEGMENT_ENTRY)
		return NULL;
	if (c->segments[0].offset != 0 || c->segments[0].length != SEGMENT_TO_END)
		return NULL;
	return &c->segments[0];
}

const char *
change_kind_name(enum change_kind kind)
{
	assert((unsigned)kind < CHANGE_KINDS);
	return kind_names[kind];
}

const char *
change_state_name(enum change_state state)
{
	assert((unsigned)state < CHANGE_STATES);
	return state_names[state];
}

static int
change_name_parse(const char *const names[], size_t len, const char *name)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -EINVAL;
}

int
change_kind_parse(const char *name)
{
	return change_name_parse(kind_names, CHANGE_KINDS, name);
}

int
change_state_parse(const char *name)
{
	return change_name_parse(state_names, CHANGE_STATES, name);
}
