#include "src/source.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct account *
accounts_by_id(struct account **accounts, size_t len, const char *id)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (id != NULL && strcmp(accounts[i]->id, id) == 0)
			return accounts[i];
	}
	return NULL;
}

/* The source's range is [offset, offset + length) of `size` bytes. */
static int
source_fit(struct segment *s, uint64_t size, struct err *err)
{
	if (s->length == SEGMENT_TO_END && s->offset <= size)
		s->length = size - s->offset;
	if (s->offset > size || s->length > size - s->offset)
		return err_set(err, -ESTALE,
		    "the source '%s' changed: it has %" PRIu64
		    " bytes, and others were to be copied",
		    s->path, size);
	return 0;
}

static bool
source_needs_stat(const struct source *src, const struct segment *s)
{
	if (s->kind == SEGMENT_ZERO)
		return false;
	return src->whole || s->length == SEGMENT_TO_END || s->kind == SEGMENT_SPOOL ||
	    s->version == NULL;
}

/* Many ranges of one file cost one stat: 0 if the range before told what is needed. */
static bool
source_is_told(struct source *src, struct segment *s)
{
	const struct segment *before = src->part > 0 ? s - 1 : NULL;

	if (before == NULL || s->kind != SEGMENT_ENTRY || before->kind != SEGMENT_ENTRY ||
	    s->version != NULL || s->length == SEGMENT_TO_END || before->version == NULL ||
	    src->parts[src->part].account != src->parts[src->part - 1].account ||
	    strcmp(s->path, before->path) != 0)
		return false;
	s->version = xstrdup(before->version);
	return true;
}

static int
source_take_part(struct source *src, struct segment *s, const struct entry *e, struct err *err)
{
	if (e->kind == ENTRY_DIRECTORY)
		return err_set(err, -EISDIR,
		    "the source '%s' is a directory: 'recursive' (cp -r) copies it", s->path);
	if (s->version != NULL && e->version != NULL && strcmp(s->version, e->version) != 0)
		return err_set(
		    err, -ESTALE, "the source '%s' changed after the copy was asked for", s->path);
	if (e->unsized && !src->whole)
		return err_set(err, -EOPNOTSUPP,
		    "the source '%s' is exported when it is read: it has no ranges, and can only be "
		    "copied as a whole",
		    s->path);
	src->unsized = e->unsized;
	if (s->version == NULL && !e->unsized)
		s->version = xstrdup_null(e->version);
	if (s->written_ns == 0) /* an earlier attempt's look is the one that counts */
		s->written_ns = e->written_ns;
	if (src->whole) {
		entry_fini(&src->entry);
		entry_init(&src->entry);
		entry_copy(&src->entry, e);
	}
	return e->unsized ? 0 : source_fit(s, e->size, err);
}

static void
source_on_spool(void *arg, struct disk_response *res)
{
	struct source *src = arg;

	src->spool_call = NULL;
	src->spool_ended = true;
	src->spool_code = res->code;
	err_keep(&src->spool_err, res->code == 0 ? NULL : &res->err);
	src->spool_size = res->entry.size;
	event_active(src->await.wake, EV_TIMEOUT, 0);
}

/* Both: 1 when the part is known, 0 to wait, or a negative errno. */
static int
source_ask_spool(struct source *src, struct segment *s, struct err *err)
{
	int code;

	if (!src->spool_busy) {
		disk_request_init(&src->spool_request);
		src->spool_request.verb = DISK_STAT;
		src->spool_request.root = src->spool;
		src->spool_request.path = xstrdup(s->path);
		src->spool_busy = true;
		src->spool_ended = false;
		src->spool_call =
		    disk_start(cloud_runner_loop(src->runner), cloud_runner_pool(src->runner),
			&src->spool_request, NULL, source_on_spool, NULL, src);
	}
	if (!src->spool_ended)
		return 0;
	disk_request_fini(&src->spool_request);
	src->spool_busy = false;
	code = src->spool_code;
	if (code != 0)
		*err = *src->spool_err;
	else
		code = source_fit(s, src->spool_size, err);
	return code != 0 ? code : 1;
}

static int
source_ask_entry(struct source *src, struct segment *s, struct err *err)
{
	int code;

	if (src->await.op == NULL) {
		if (source_is_told(src, s))
			return 1;
		await_start(&src->await, src->runner,
		    cloud_op_new(src->parts[src->part].account, CLOUD_STAT, s->path));
	}
	if (!src->await.ended)
		return 0;
	code = src->await.code;
	if (code != 0)
		*err = *src->await.err;
	else
		code = source_take_part(src, s, &src->await.op->entry, err);
	await_drop(&src->await);
	return code != 0 ? code : 1;
}

static int
source_add(struct source *src, const struct segment *s, struct err *err)
{
	if (src->unsized || !__builtin_add_overflow(src->total, s->length, &src->total))
		return 0;
	return err_set(err, -EFBIG, "the parts of the source are more than any file can hold");
}

int
source_ask(struct source *src, struct err *err)
{
	struct segment *s;
	int code;

	for (; src->part < src->len; src->part++) {
		s = &src->segments[src->part];
		code = 1;
		if (source_needs_stat(src, s))
			code = s->kind == SEGMENT_SPOOL ? source_ask_spool(src, s, err)
							: source_ask_entry(src, s, err);
		if (code > 0 && source_add(src, s, err) != 0)
			code = -EFBIG;
		if (code <= 0)
			return code;
	}
	src->known = true;
	return 1;
}

int
source_take(struct source *src, const struct entry *e, struct err *err)
{
	int code = source_take_part(src, &src->segments[0], e, err);

	src->total = src->unsized ? 0 : src->segments[0].length;
	src->known = code == 0;
	return code;
}

int
source_check(const struct source *src, struct err *err)
{
	size_t i;

	for (i = 0; i < src->len; i++) {
		const struct segment *s = &src->segments[i];

		if (s->kind == SEGMENT_ENTRY && src->parts[i].account == NULL)
			return err_set(err, -ENOENT,
			    "the account of the source '%s' is not there any more", s->path);
		if (s->kind == SEGMENT_SPOOL && src->spool == NULL)
			return err_set(
			    err, -ENOENT, "the spool with '%s' is not there any more", s->path);
		if (s->kind == SEGMENT_ZERO && s->length == SEGMENT_TO_END)
			return err_set(err, -EINVAL, "a run of zeros needs a length");
	}
	return 0;
}

void
source_init(struct source *src, struct cloud_runner *runner, struct event *wake,
    const struct segment *segments, size_t len, struct account **accounts, size_t accounts_len,
    struct disk_root *spool)
{
	struct account *account;
	size_t i;

	*src = (struct source){.runner = runner, .len = len, .spool = spool};
	await_init(&src->await, wake);
	entry_init(&src->entry);
	src->segments = xcalloc(len, sizeof *src->segments);
	src->parts = xcalloc(len, sizeof *src->parts);
	for (i = 0; i < len; i++) {
		src->segments[i] = segments[i];
		src->segments[i].account_id = xstrdup_null(segments[i].account_id);
		src->segments[i].path = xstrdup_null(segments[i].path);
		src->segments[i].version = xstrdup_null(segments[i].version);
		src->parts[i].segment = &src->segments[i];
		account = accounts_by_id(accounts, accounts_len, segments[i].account_id);
		src->parts[i].account = account != NULL ? cloud_account_ref(account) : NULL;
	}
	src->whole = len == 1 && segments[0].kind == SEGMENT_ENTRY && segments[0].offset == 0 &&
	    segments[0].length == SEGMENT_TO_END;
}

void
source_stop(struct source *src)
{
	await_drop(&src->await);
	if (src->spool_call != NULL)
		disk_cancel(TAKE(src->spool_call));
	if (src->spool_busy)
		disk_request_fini(&src->spool_request);
	src->spool_busy = false;
}

void
source_fini(struct source *src)
{
	size_t i;

	source_stop(src);
	await_fini(&src->await);
	free(src->spool_err);
	for (i = 0; i < src->len; i++) {
		cloud_account_unref(src->parts[i].account);
		free(src->segments[i].account_id);
		free(src->segments[i].path);
		free(src->segments[i].version);
	}
	free(src->segments);
	free(src->parts);
	entry_fini(&src->entry);
}
