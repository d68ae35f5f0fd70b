/* Is what is there what was copied? */
#include "src/copy_private.h"
#include "src/log.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A destination that a lost attempt wrote has our time; clouds that keep seconds only cut the rest
 * off. */
#define COPY_MTIME_SLACK_NS INT64_C(1000000000)

/* The same, for clouds that keep seconds? */
static bool
copy_is_time(int64_t a, int64_t b)
{
	return a != ENTRY_NO_TIME && b != ENTRY_NO_TIME &&
	    (a > b ? a - b : b - a) < COPY_MTIME_SLACK_NS;
}

/* Is what lies there what an attempt of ours wrote whose answer was lost? */
static bool
copy_is_ours(const struct copy *c, const struct entry *e)
{
	int64_t mtime = copy_mtime(c);
	bool same_time = false;
	int type = c->source.whole ? digests_common(&c->source.entry.digests, &e->digests) : -1;

	if (e->kind != ENTRY_FILE || e->unsized || c->source.unsized || e->size != c->source.total)
		return false;
	if (type >= 0 && !digests_equal(&c->source.entry.digests, &e->digests, type))
		return false;
	if (mtime != ENTRY_NO_TIME && e->mtime_ns != ENTRY_NO_TIME &&
	    (c->to->driver->features & CLOUD_KEEPS_MTIME)) {
		same_time = copy_is_time(mtime, e->mtime_ns) ||
		    (copy_mtime_is_optional(c) && c->source.whole &&
			copy_is_time(c->source.entry.mtime_ns, e->mtime_ns));
		if (!same_time)
			return false;
	}
	return same_time || type >= 0;
}

/* Is what is there, with this version, the source, by another way than cloud_is_same() knows?  Two
   accounts may be one person's.  A move would remove it. */
static bool
copy_is_source(const struct copy *c, const char *there)
{
	const char *version = c->source.whole ? c->source.segments[0].version : NULL;
	const struct cloud_driver *driver = c->to->driver;

	return version != NULL && there != NULL && c->source.parts[0].account->driver == driver &&
	    (driver->features & CLOUD_VERSIONS_UNIQUE) && strcmp(version, there) == 0;
}

static void
copy_add_verified(struct copy *c, const char *what)
{
	char *all;

	if (c->result.verified == NULL) {
		c->result.verified = xstrdup(what);
		return;
	}
	all = xasprintf("%s,%s", c->result.verified, what);
	free(c->result.verified);
	c->result.verified = all;
}

/* overwrite=false: the destination must not be there, unless a lost attempt of ours made it. */
enum copy_state
copy_stat_target_run(struct copy *c)
{
	const struct entry *e;
	int code;

	if (c->await.op == NULL)
		await_start(&c->await, c->runner, cloud_op_new(c->to, CLOUD_STAT, c->path));
	if (!c->await.ended)
		return COPY_STAT_TARGET;
	code = c->await.code;
	e = &c->await.op->entry;
	if (code == 0 && c->repeated && !copy_is_source(c, e->version) && copy_is_ours(c, e)) {
		copy_add_verified(c, "size");
		if (c->source.whole && digests_common(&c->source.entry.digests, &e->digests) >= 0)
			copy_add_verified(
			    c, hash_name(digests_common(&c->source.entry.digests, &e->digests)));
		xstrset(&c->result.version, e->version);
		c->result.mtime_ns = e->mtime_ns;
		xstrset(&c->result.route_reason, "an earlier attempt had written it");
		await_drop(&c->await);
		return COPY_END;
	}
	await_drop(&c->await);
	if (code == 0)
		return COPY_FAIL(c, -EEXIST, "'%s' exists already", c->path);
	if (code == -ENOENT)
		return COPY_ROUTE;
	c->result.err = *c->await.err;
	return copy_fail(c, code);
}

/* -- what was written */

/* 1: something was compared, 0: nothing could be, -EBADMSG. */
static int
copy_compare(struct copy *c, const struct digests *ours, unsigned *compared)
{
	enum hash_type type;

	for (type = 0; type < HASH_TYPES; type++) {
		if (!(ours->have & c->dest.digests.have & HASH_BIT(type)))
			continue;
		if (!digests_equal(ours, &c->dest.digests, type))
			return err_set(&c->result.err, -EBADMSG,
			    "the %s of '%s' is not that of the bytes that were sent there",
			    hash_name(type), c->path);
		*compared |= HASH_BIT(type);
	}
	return 0;
}

static bool
copy_has_common_hash(const struct copy *c)
{
	return digests_common(&c->computed, &c->dest.digests) >= 0 ||
	    (c->source.whole && digests_common(&c->source.entry.digests, &c->dest.digests) >= 0);
}

/* What is there is not what was sent: nobody may take it for that, nor may the next attempt take
   the upload that made it for its own, all of which is there.  The error is in result.err. */
static enum copy_state
copy_wrong(struct copy *c, int code)
{
	if (copy_is_upload(c))
		c->handler.note(c->arg, CHECKPOINT_GONE, NULL, NULL);
	c->result.code = code;
	return c->dest.version != NULL ? COPY_REMOVE_WRONG : copy_fail(c, code);
}

/* Two looks that show the same version, one before the destination's cloud began to read and one
   after it ended: what it read was that. */
enum copy_state
copy_stat_source_again_run(struct copy *c)
{
	const struct segment *source = &c->source.segments[0];
	bool is_same;
	int code;

	if (c->await.op == NULL)
		await_start(&c->await, c->runner,
		    cloud_op_new(c->source.parts[0].account, CLOUD_STAT, source->path));
	if (!c->await.ended)
		return COPY_STAT_SOURCE_AGAIN;
	code = c->await.code;
	is_same = code == 0 && source->version != NULL && c->await.op->entry.version != NULL &&
	    strcmp(c->await.op->entry.version, source->version) == 0;
	if (code != 0)
		c->result.err = *c->await.err;
	await_drop(&c->await);
	if (code != 0 && code != -ENOENT)
		return copy_fail(c, code);
	if (is_same)
		return COPY_STAT_RESULT;
	return copy_wrong(c,
	    err_set(&c->result.err, -ESTALE, "the source '%s' changed while it was copied",
		source->path));
}

/* Only the version that was written: somebody else may have written a right one since. */
enum copy_state
copy_remove_wrong_run(struct copy *c)
{
	struct cloud_op *op;
	int code;

	if (c->await.op == NULL) {
		op = cloud_op_new(c->to, CLOUD_REMOVE, c->path);
		op->version = xstrdup(c->dest.version);
		op->attempts_max = COPY_SWEEP_ATTEMPTS;
		await_start(&c->await, c->runner, op);
	}
	if (!c->await.ended)
		return COPY_REMOVE_WRONG;
	code = c->await.code;
	if (code != 0 && code != -ENOENT && code != -ESTALE)
		log_warning("'%s' was written wrong, and may still be there: %s", c->path,
		    err_text(c->await.err));
	await_drop(&c->await);
	return copy_fail(c, c->result.code);
}

/* Size and hashes; a disagreement is an error, never a warning. */
static enum copy_state
copy_check(struct copy *c)
{
	unsigned compared = 0;
	enum hash_type type;
	int code;

	/* What a cloud makes by itself is another object: its driver knows. */
	if (c->route != ROUTE_NATIVE && copy_is_source(c, c->dest.version))
		return COPY_FAIL(c, -EINVAL,
		    "the source '%s' and the destination '%s' are the same object",
		    c->source.segments[0].path, c->path);
	/* A document that its cloud has copied is one: there is nothing to compare.  Its version
	   would be taken for one that comes with a size. */
	if (c->dest.unsized && c->source.unsized && c->route == ROUTE_NATIVE) {
		c->result.mtime_ns = c->dest.mtime_ns;
		return COPY_END;
	}
	if (c->dest.unsized) /* not ours, and nothing to be removed */
		return COPY_FAIL(
		    c, -ESTALE, "'%s' was replaced by a document after it was written", c->path);
	if (c->dest.size != c->source.total)
		return copy_wrong(c,
		    err_set(&c->result.err, -EBADMSG,
			"'%s' has %" PRIu64 " bytes after %" PRIu64 " were written to it", c->path,
			c->dest.size, c->source.total));
	code = copy_compare(c, &c->computed, &compared);
	if (code == 0 && c->source.whole)
		code = copy_compare(c, &c->source.entry.digests, &compared);
	if (code != 0)
		return copy_wrong(c, code);
	if (c->source.whole) /* the relay has compared these before it let the last byte go */
		compared |= c->computed.have & c->source.entry.digests.have;
	copy_add_verified(c, "size");
	for (type = 0; type < HASH_TYPES; type++) {
		if (compared & HASH_BIT(type))
			copy_add_verified(c, hash_name(type));
	}
	for (type = 0; type < HASH_TYPES; type++) {
		if (c->parts_compared & HASH_BIT(type)) {
			CLEANUP(cleanup_free) char *name = xasprintf("%s-parts", hash_name(type));

			copy_add_verified(c, name);
		}
	}
	xstrset(&c->result.version, c->dest.version);
	c->result.mtime_ns = c->dest.mtime_ns;
	return COPY_END;
}

/* The answer to a write tells size or hash in most clouds; where it tells no hash, the cloud is
   asked what is there: an answer's size may be an echo. */
enum copy_state
copy_stat_result_run(struct copy *c)
{
	int code;

	if (c->await.op == NULL) {
		if (c->dest_is_exact || copy_has_common_hash(c))
			return copy_check(c);
		await_start(&c->await, c->runner, cloud_op_new(c->to, CLOUD_STAT, c->path));
	}
	if (!c->await.ended)
		return COPY_STAT_RESULT;
	code = c->await.code;
	if (code == 0) {
		entry_fini(&c->dest);
		entry_init(&c->dest);
		entry_copy(&c->dest, &c->await.op->entry);
	} else {
		c->result.err = *c->await.err;
	}
	await_drop(&c->await);
	if (code == -ENOENT)
		return COPY_FAIL(c, -EIO, "'%s' is not there after it was written", c->path);
	return code != 0 ? copy_fail(c, code) : copy_check(c);
}
