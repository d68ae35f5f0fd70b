/* The parts become the file: what is known of the whole, and the request. */
#include "src/crash.h"
#include "src/upload_private.h"
#include <stdlib.h>

/* Dropbox's hash of a whole is made of those of its blocks ("Content hash"). */
#define UPLOAD_BLOCK ((uint64_t)4 << 20)

/* The CRC32C of the whole follows from those of the parts. */
static void
upload_combine_crc32c(struct upload *u)
{
	uint32_t crc = 0;
	size_t i;

	for (i = 0; i < u->checkpoint->parts.len; i++) {
		const struct upload_part *p = &u->checkpoint->parts.items[i];

		if (!p->has_crc32c)
			return;
		crc = crc32c_combine(crc, p->crc32c, p->length);
	}
	digests_set_crc32c(&u->digests, crc);
}

/* Of parts that came one behind the other, one hash was computed over all. */
static void
upload_combine_order(struct upload *u)
{
	if (u->whole != NULL)
		hash_final(u->whole, &u->digests);
	hash_free(TAKE(u->whole));
}

/* So does Dropbox's hash, if the parts are its blocks, and their tags the SHA-256s. */
static void
upload_combine_blocks(struct upload *u)
{
	const struct upload_parts *parts = &u->checkpoint->parts;
	struct hash *hash = hash_new(HASH_BIT(HASH_SHA256));
	unsigned char block[HASH_MAX_SIZE];
	struct digests sum;
	bool all = u->part_size == UPLOAD_BLOCK;
	size_t i;

	for (i = 0; all && i < parts->len; i++) {
		all = hex_decode(block, sizeof block, parts->items[i].tag) ==
		    (int)hash_size(HASH_SHA256);
		hash_update(hash, block, all ? hash_size(HASH_SHA256) : 0);
	}
	hash_final(hash, &sum);
	hash_free(hash);
	if (all)
		digests_set(&u->digests, HASH_DROPBOX, sum.sum[HASH_SHA256]);
}

/* All parts are there: only if they are what the source's cloud says do they become a file. */
static int
upload_check_whole(struct upload *u)
{
	enum hash_type type;

	upload_combine_order(u);
	upload_combine_crc32c(u);
	if (upload_is_untold(u))
		upload_combine_blocks(u);
	for (type = 0; type < HASH_TYPES && u->spec.expected != NULL; type++) {
		if ((u->digests.have & u->spec.expected->have & HASH_BIT(type)) &&
		    !digests_equal(&u->digests, u->spec.expected, type))
			return err_set(&u->err, -EBADMSG,
			    "the %s of the bytes read for '%s' is not what the source's cloud says "
			    "it is",
			    hash_name(type), u->path);
	}
	return 0;
}

static unsigned
upload_compared_of_all(const struct upload *u)
{
	const struct upload_parts *parts = &u->checkpoint->parts;
	unsigned compared = parts->len == 0 ? 0 : parts->items[0].compared;
	size_t i;

	for (i = 1; i < parts->len; i++)
		compared &= parts->items[i].compared;
	return compared;
}

/* What the destination may compare the whole with.  A disk is asked to read it again if nothing of
   it is known: that costs nobody's network. */
static struct digests
upload_commit_digests(const struct upload *u)
{
	static const struct digests none = {.have = 0};

	if (u->to->driver->transport != CLOUD_DISK)
		return u->digests;
	return u->spec.expected != NULL && digests_common(&u->digests, u->spec.expected) < 0
	    ? *u->spec.expected
	    : none;
}

enum upload_state
upload_commit_run(struct upload *u)
{
	struct cloud_op *op;
	size_t i;
	bool misses;
	int code;

	if (u->await.op == NULL) {
		code = upload_check_whole(u);
		if (code != 0)
			return upload_fail(u, code);
		op = upload_op(u, CLOUD_UPLOAD_COMMIT, u->checkpoint->upload);
		op->put.digests = upload_commit_digests(u);
		for (i = 0; i < u->checkpoint->parts.len; i++)
			*upload_parts_add(&op->parts) = u->checkpoint->parts.items[i];
		crash_point("upload.before_commit");
		await_start(&u->await, u->runner, op);
	}
	if (!u->await.ended)
		return UPLOAD_COMMIT;
	crash_point("upload.after_commit");
	code = u->await.code;
	if (code == -EINVAL && upload_is_untold(u))
		code = -ENOENT; /* which part is not there, nobody says: all anew */
	misses = code == -EINVAL && !u->asked_again;
	if (code == 0 && u->to->driver->transport == CLOUD_DISK && u->digests.have == 0)
		u->digests = u->await.op->entry.digests;
	if (code == 0)
		entry_copy(&u->entry, &u->await.op->entry);
	else if (code != -ENOENT && !misses)
		upload_await_failed(u);
	await_drop(&u->await);
	if (misses)
		return upload_ask_again(u);
	if (code == -ENOENT)
		return upload_begin_again(u);
	if (code == 0) {
		u->compared = upload_compared_of_all(u);
		checkpoint_free(TAKE(u->checkpoint));
	}
	return UPLOAD_END;
}
