/*
 * Uploads in blocks, and copies ("Put Block", "Put Block List", "Put Block From URL", "Put Blob
 * From URL", "Get Block List").
 *
 * To Azure an upload is nothing but blocks with names of their own, which wait to be made a blob
 * of. So BEGIN and ABORT send nothing: what was never begun leaves nothing to be found, and blocks
 * that are not wanted any more vanish within a week; those of others, which nothing could be done
 * about without theirs being touched, do so too.
 *
 * A block's name is that of its upload, its number, and the tag of the try that wrote it.  So a
 * block, once verified, is never replaced: a late, damaged repetition is another block.  COMMIT
 * names the verified ones, and only from among the uncommitted, so that it can make nothing but
 * what was uploaded.  Whether a COMMIT whose answer was lost has happened, the blob's blocks tell.
 */
#include "providers/azure_answer.h"
#include "providers/azure_private.h"
#include "providers/providers.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define UPLOAD_BYTES 11 /* random, as 22 hex digits */
#define TAG_LEN                                                                                    \
	19 /* the time in ms as 12 hex digits, so that the newest is known, and 7 random           \
	    */
#define BLOCK_LEN 48 /* "UPLOAD-NUMBER-TAG" */

/* Blocks */

static void
block_id(char out[AZURE_BLOCK_ID_MAX], const char *upload, unsigned number, const char *tag)
{
	CLEANUP(buf_free) struct buf id = BUF_INIT(AZURE_BLOCK_ID_MAX);
	CLEANUP(cleanup_free) char *name = xasprintf("%s-%05u-%s", upload, number, tag);

	buf_put_base64(&id, name, strlen(name));
	snprintf(out, AZURE_BLOCK_ID_MAX, "%s", buf_str(&id));
}

/* Is a block one of the upload's?  Its number and tag. */
static bool
block_parse(struct upload_part *out, const char *upload, const char *id)
{
	char name[BLOCK_LEN + 1];
	size_t len = strlen(upload);
	const char *at = name + len + 1;
	uint64_t number;

	if (base64_decode(name, BLOCK_LEN, id) != BLOCK_LEN)
		return false;
	name[BLOCK_LEN] = '\0';
	if (strlen(name) != BLOCK_LEN || strncmp(name, upload, len) != 0 || name[len] != '-' ||
	    !object_number(&number, &at) || number == 0 || number > AZURE_BLOCKS_MAX ||
	    *at != '-' || strlen(at + 1) != TAG_LEN)
		return false;
	out->number = (unsigned)number;
	snprintf(out->tag, sizeof out->tag, "%s", at + 1);
	return true;
}

/* An upload's name has its place in blocks' names: one that is not ours would break them. */
static bool
is_upload(const char *upload)
{
	return upload != NULL && strlen(upload) == 2 * (size_t)UPLOAD_BYTES &&
	    upload[strspn(upload, "0123456789abcdef")] == '\0';
}

static void
upload_new(char **out, const struct cloud_op *op)
{
	struct buf id = BUF_INIT(2 * UPLOAD_BYTES + 1);

	buf_put_hex(&id, op->random, UPLOAD_BYTES);
	free(*out);
	*out = buf_take(&id);
}

static void
tag_new(char *out, size_t size, const struct cloud_op *op)
{
	uint32_t random;

	memcpy(&random, op->random + UPLOAD_BYTES, sizeof random);
	snprintf(
	    out, size, "%012" PRIx64 "%07" PRIx32, op->now_ms & 0xffffffffffff, random & 0xfffffff);
}

/* Requests */

static void
ask_block(struct azure_ask *ask, const char *id)
{
	ask->req->method = "PUT";
	snprintf(ask->block, sizeof ask->block, "%s", id);
	azure_query_add(&ask->query, "blockid", ask->block);
	azure_query_add(&ask->query, "comp", "block");
}

static enum cloud_step
put_part(struct cloud_op *op, struct azure_ask *ask, struct err *err)
{
	char id[AZURE_BLOCK_ID_MAX];

	if (op->part.number == 0 || op->part.number > AZURE_BLOCKS_MAX)
		return object_refuse(err, -E2BIG, op->path, "an upload has at most 50,000 parts");
	if (op->length > AZURE_BLOCK_MAX)
		return object_refuse(err, -EFBIG, op->path, "a part has at most 4,000 MiB");
	if (op->length == 0)
		return object_refuse(err, -EINVAL, op->path, "there are no empty parts");
	tag_new(op->part.tag, sizeof op->part.tag, op);
	block_id(id, op->upload, op->part.number, op->part.tag);
	ask_block(ask, id);
	if (op->kind == CLOUD_UPLOAD_PART) {
		azure_put_body(ask->req, op);
		return CLOUD_STEP_SEND;
	}
	ask->req->body = HTTP_BODY_BYTES;
	http_request_header(ask->req, "x-ms-source-range", "bytes=%" PRIu64 "-%" PRIu64, op->offset,
	    op->offset + op->length - 1);
	return azure_put_source(ask->req, op, err) == 0 ? CLOUD_STEP_SEND : CLOUD_STEP_FAIL;
}

static void
ask_list_begin(struct azure_ask *ask, const struct cloud_op *op)
{
	const struct digests *known = &op->put.digests;

	ask->req->method = "PUT";
	ask->req->body = HTTP_BODY_BYTES;
	azure_query_add(&ask->query, "comp", "blocklist");
	azure_put_attributes(ask->req, op);
	azure_put_guard(ask->req, op);
	/* The service believes it: it is the source's own. */
	if (known->have & HASH_BIT(HASH_MD5))
		object_put_digest(
		    ask->req, "x-ms-blob-content-md5", known->sum[HASH_MD5], hash_size(HASH_MD5));
	buf_puts(&ask->req->bytes, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
}

static void
ask_list_add(struct azure_ask *ask, const char *id)
{
	buf_printf(&ask->req->bytes, "<Uncommitted>%s</Uncommitted>", id);
}

static void
ask_list_end(struct azure_ask *ask)
{
	buf_puts(&ask->req->bytes, "</BlockList>");
}

static void
ask_blocks(struct azure_ask *ask, const char *which)
{
	ask->req->method = "GET";
	azure_query_add(&ask->query, "blocklisttype", which);
	azure_query_add(&ask->query, "comp", "blocklist");
}

static void
put_commit(const struct cloud_op *op, struct azure_ask *ask)
{
	const struct azure_op *azure = op->data;
	char id[AZURE_BLOCK_ID_MAX];

	if (azure->step == AZURE_SECOND) {
		ask_blocks(ask, "all");
		return;
	}
	ask_list_begin(ask, op);
	for (size_t i = 0; i < op->parts.len; i++) {
		block_id(id, op->upload, op->parts.items[i].number, op->parts.items[i].tag);
		ask_list_add(ask, id);
	}
	ask_list_end(ask);
}

/* FIRST: Put Blob From URL.  Where that is not known (emulators): SECOND, one block; THIRD, the
   blob of it.  FOURTH: what it has become. */
static enum cloud_step
put_copy(struct cloud_op *op, struct azure_ask *ask, struct err *err)
{
	CLEANUP(cleanup_free) char *upload = NULL;
	struct azure_op *azure = op->data;
	char tag[CLOUD_TAG_MAX];

	op->only_this = op->length != UINT64_MAX && op->length > AZURE_PUT_MAX;
	if (op->only_this)
		return object_refuse(
		    err, -EOPNOTSUPP, op->path, "is larger than the 5,000 MiB of one copy");
	ask->req->method = azure->step == AZURE_FOURTH ? "HEAD" : "PUT";
	switch (azure->step) {
	case AZURE_FIRST:
		ask->req->body = HTTP_BODY_BYTES;
		http_request_header(ask->req, "x-ms-blob-type", "BlockBlob");
		/* Without a word of ours the service keeps what the source says of itself. */
		if (object_has_attributes(&op->put))
			azure_put_attributes(ask->req, op);
		azure_put_guard(ask->req, op);
		if (op->from == NULL && op->put.digests.have & HASH_BIT(HASH_MD5))
			object_put_digest(ask->req, "x-ms-source-content-md5",
			    op->put.digests.sum[HASH_MD5], hash_size(HASH_MD5));
		break;
	case AZURE_SECOND:
		upload_new(&upload, op);
		tag_new(tag, sizeof tag, op);
		block_id(azure->block, upload, 1, tag);
		ask_block(ask, azure->block);
		ask->req->body = HTTP_BODY_BYTES;
		break;
	case AZURE_THIRD:
		ask_list_begin(ask, op);
		ask_list_add(ask, azure->block);
		ask_list_end(ask);
		return CLOUD_STEP_SEND;
	case AZURE_FOURTH: return CLOUD_STEP_SEND;
	}
	return azure_put_source(ask->req, op, err) == 0 ? CLOUD_STEP_SEND : CLOUD_STEP_FAIL;
}

enum cloud_step
azure_put_blocks(struct cloud_op *op, struct azure_ask *ask, struct err *err)
{
	switch (op->kind) {
	case CLOUD_COPY: return put_copy(op, ask, err);
	case CLOUD_UPLOAD_BEGIN: upload_new(&op->upload, op); return CLOUD_STEP_DONE;
	case CLOUD_UPLOAD_FIND:
	case CLOUD_UPLOAD_ABORT: return CLOUD_STEP_DONE;
	default: break;
	}
	if (!is_upload(op->upload))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	switch (op->kind) {
	case CLOUD_UPLOAD_STATUS: ask_blocks(ask, "uncommitted"); return CLOUD_STEP_SEND;
	case CLOUD_UPLOAD_COMMIT: put_commit(op, ask); return CLOUD_STEP_SEND;
	default: return put_part(op, ask, err);
	}
}

/* Answers */

static enum cloud_step
failed(int code, const struct err *why, struct err *err)
{
	if (err != NULL)
		*err = *why;
	return code == 0 ? CLOUD_STEP_DONE : provider_failed(why);
}

static enum cloud_step
part_response(struct cloud_op *op, const struct http_response *res)
{
	op->part.length = op->length;
	op->part.has_crc32c = false;
	op->entry.digests.have = 0;
	azure_take_digests(&op->entry.digests, res);
	return CLOUD_STEP_DONE;
}

/* Of a part that was sent more than once, the newest: tags begin with their time. */
static int
status_block(void *arg, bool committed, const char *id, uint64_t size, struct err *err)
{
	struct cloud_op *op = arg;
	struct upload_part part = {.length = size};
	const struct upload_part *known;

	if (committed || !block_parse(&part, op->upload, id))
		return 0;
	known = upload_parts_get(&op->parts, part.number);
	if (known == NULL || strcmp(known->tag, part.tag) < 0)
		upload_parts_put(&op->parts, &part);
	return 0;
}

/* Blocks that vanished, or were discarded with those of somebody who has written a blob there, are
   parts to be sent again: the upload is still what it was. */
static enum cloud_step
status_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *reason, struct err *err)
{
	struct err why = ERR_INIT;

	if (code == -ENOENT)
		return CLOUD_STEP_DONE;
	if (code != 0)
		return failed(code, reason, err);
	if (azure_xml_blocks(status_block, op, res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	return CLOUD_STEP_DONE;
}

struct proof {
	const struct cloud_op *op;
	size_t len; /* committed blocks */
	bool same; /* they are the parts' */
	bool waits; /* some of the upload's blocks are uncommitted */
};

static int
prove_block(void *arg, bool committed, const char *id, uint64_t size, struct err *err)
{
	struct proof *proof = arg;
	const struct cloud_op *op = proof->op;
	struct upload_part part;

	if (!block_parse(&part, op->upload, id)) {
		proof->same &= !committed;
		return 0;
	}
	if (!committed) {
		proof->waits = true;
		return 0;
	}
	proof->same &= proof->len < op->parts.len &&
	    op->parts.items[proof->len].number == part.number &&
	    strcmp(op->parts.items[proof->len].tag, part.tag) == 0;
	proof->len++;
	return 0;
}

static uint64_t
parts_size(const struct cloud_op *op)
{
	uint64_t size = 0;

	for (size_t i = 0; i < op->parts.len; i++)
		size += op->parts.items[i].length;
	return size;
}

/* COMMIT was refused.  Had it happened before, or are its parts not there? */
static enum cloud_step
prove_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *reason, struct err *err)
{
	const struct azure_op *azure = op->data;
	struct proof proof = {.op = op, .same = true};
	struct err why = ERR_INIT;

	if (code != 0 && code != -ENOENT)
		return failed(code, reason, err);
	if (code == 0 &&
	    azure_xml_blocks(prove_block, &proof, res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	if (code == 0 && proof.same && proof.len > 0 && proof.len == op->parts.len)
		return azure_take_written(op, res, parts_size(op), err) == 0 ? CLOUD_STEP_DONE
									     : CLOUD_STEP_FAIL;
	if (azure->failed == -EEXIST)
		return object_refuse(err, -EEXIST, op->path, "exists already");
	return proof.waits
	    ? object_refuse(err, -EINVAL, op->path, "a part of the upload is not there")
	    : object_refuse(err, -ENOENT, op->path, "nothing of the upload is there any more");
}

static enum cloud_step
commit_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	struct azure_op *azure = op->data;

	if (azure->step == AZURE_SECOND)
		return prove_response(op, res, code, why, err);
	if (code == -EINVAL || code == -EEXIST) {
		azure->failed = code;
		return azure_next(op, AZURE_SECOND);
	}
	if (code != 0)
		return failed(code, why, err);
	return azure_take_written(op, res, parts_size(op), err) == 0 ? CLOUD_STEP_DONE
								     : CLOUD_STEP_FAIL;
}

static enum cloud_step
copied(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	bool known = op->length != UINT64_MAX && object_has_attributes(&op->put);

	if (azure_take_written(op, res, known ? op->length : 0, err) != 0)
		return CLOUD_STEP_FAIL;
	return known ? CLOUD_STEP_DONE : azure_next(op, AZURE_FOURTH);
}

static enum cloud_step
copy_response(struct cloud_op *op, const struct http_response *res, int code, const struct err *why,
    struct err *err)
{
	struct azure_op *azure = op->data;
	enum cloud_step step;

	if (azure->step == AZURE_FIRST && res->status == 501)
		return azure_next(op, AZURE_SECOND);
	if (code != 0)
		return failed(code, why, err);
	switch (azure->step) {
	case AZURE_FIRST:
		step = copied(op, res, err);
		if (step == CLOUD_STEP_DONE)
			azure_take_digests(&op->entry.digests, res);
		return step;
	case AZURE_SECOND: return azure_next(op, AZURE_THIRD);
	case AZURE_THIRD: return copied(op, res, err); /* its Content-MD5 is that of the list */
	case AZURE_FOURTH: break;
	}
	return azure_take_head(op, res, err) == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
}

enum cloud_step
azure_blocks_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	switch (op->kind) {
	case CLOUD_COPY: return copy_response(op, res, code, why, err);
	case CLOUD_UPLOAD_STATUS: return status_response(op, res, code, why, err);
	case CLOUD_UPLOAD_COMMIT: return commit_response(op, res, code, why, err);
	default: return code != 0 ? failed(code, why, err) : part_response(op, res);
	}
}
