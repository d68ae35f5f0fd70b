/*
 * checkpoint: what lets a transfer go on inside its file after a restart: the upload it writes, and
 * the parts that are there; or what its cloud goes on with a copy with (cloud_op.resume).  A value:
 * the engine keeps one for the transfer under way and tells of every step with a note; whoever
 * keeps transfers makes the notes durable and gives the checkpoint back to the next attempt.
 *
 * The head comes first, as an intent: `upload` is not known yet.  It is durable before the upload
 * is begun, so an upload whose id was lost with the answer can be told from those of others, which
 * are in `before`.
 */
#pragma once
#include "src/cloud.h"

struct checkpoint {
	char *path; /* of the destination */
	char *place; /* where that really was then: the driver's identity; NULL: not known */
	char *source; /* what is copied: fingerprint of the pinned ranges, hex; a copy's: the
			 version */
	uint64_t size, part_size; /* bytes; all parts but the last have part_size */
	char *resume; /* of a copy: there is no upload, nor any intent, nor anything to be swept */
	char *upload; /* NULL: an intent */
	char **before; /* uploads to the path that are not ours */
	size_t before_len;
	struct upload_parts parts; /* written and verified */
};

enum checkpoint_note_kind {
	CHECKPOINT_HEAD, /* all but the parts, of which there are none any more */
	CHECKPOINT_PART, /* one more */
	CHECKPOINT_GONE, /* nothing is left at the cloud that would have to be remembered */
};

struct checkpoint *checkpoint_new(void);
void checkpoint_free(struct checkpoint *); /* NULL is a no-op */
struct checkpoint *checkpoint_copy(const struct checkpoint *);
bool checkpoint_is_before(const struct checkpoint *, const char *upload); /* not ours */

/* {"path","place","source","size","partSize","resume","upload","before":[...]}; and a part:
 * [number, length, "tag", crc32c or null, ["md5"...]], both of which may be missing
 */
json_t *checkpoint_head_to_json(const struct checkpoint *);
json_t *upload_part_to_json(const struct upload_part *);
/* Bounds are checked.  The checkpoint has no parts yet. */
int checkpoint_head_from_json(struct checkpoint **out, const json_t *, struct err *);
int upload_part_from_json(struct upload_part *out, const json_t *, struct err *);
