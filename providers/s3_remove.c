/*
 * REMOVE: by DELETE, or several at once by DeleteObjects.
 *
 * DELETE succeeds for what is not there, and is conditional at few services.  So an object is
 * looked at first where its version matters, or whether it was there.  One whose version matters
 * then goes alone: in a batch it would wait, and could change meanwhile.
 *
 * A batch decides nothing but what it says was deleted.  Whatever else becomes of it, each object
 * is then asked for alone, and the answer to that is the op's.
 */
#include "providers/s3_answer.h"
#include "providers/s3_private.h"
#include <stdlib.h>
#include <string.h>

/* Amazon takes 1,000.  Others remove them one after the other (Swift took 26 ms for each), and the
   answer must not be silent for longer than the stall limit. */
#define S3_REMOVE_MAX 100
/* Requests on their way at once, of all loops.  Few, for the more wait, the more go together. */
#define S3_REMOVES 4
/* "Not removed with the others": a status that no service gives (HTTP's 424, Failed Dependency). */
#define S3_NOT_REMOVED 424

/* Does the request that is due only look? */
static bool
s3_remove_looks(const struct cloud_op *op)
{
	const struct s3_op *s3 = op->data;

	return s3->step == S3_FIRST && (op->version != NULL || !op->gone_is_fine);
}

void
s3_put_remove(struct cloud_op *op, struct http_request *req)
{
	struct s3_op *s3 = op->data;

	s3->batched = false;
	req->method = s3_remove_looks(op) ? "HEAD" : "DELETE";
	if (s3_remove_looks(op))
		s3_put_customer_key(req, s3_account(op));
	else if (op->version != NULL && (s3_account(op)->kind->has & S3_PINS_REMOVAL))
		http_request_header(req, "If-Match", "\"%s\"", op->version);
}

/* An ETag tells contents apart, and not who wrote the same once more: a move by another way to this
   very object did.  Last-Modified counts seconds, that is as near as it gets. */
static bool
s3_was_written_again(const struct cloud_op *op)
{
	const struct entry *there = &op->entry;

	if (op->version == NULL)
		return false;
	return there->version == NULL || strcmp(op->version, there->version) != 0 ||
	    (op->written_ns != 0 && there->written_ns != op->written_ns);
}

enum cloud_step
s3_remove_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_account *account = op->account->data;
	struct s3_op *s3 = op->data;

	if (!s3_remove_looks(op)) {
		account->removes_alone = account->removes_alone || s3->unknown;
		return CLOUD_STEP_DONE;
	}
	if (s3_take_head(op, res, err) != 0)
		return CLOUD_STEP_FAIL;
	if (s3_was_written_again(op))
		return object_refuse(err, -ESTALE, op->path, "has changed, and is not removed");
	s3->step = S3_SECOND;
	return CLOUD_STEP_NEXT;
}

/* The condition was not met: by another object, or by none, if an answer was lost to the request
   that removed it?  Once: then it is what the service says. */
static bool
s3_remove_looks_again(struct cloud_op *op, const struct err *err)
{
	struct s3_op *s3 = op->data;

	if (err->code != -ESTALE || s3->step != S3_SECOND || s3->looked_again)
		return false;
	s3->looked_again = true;
	s3->step = S3_FIRST;
	return true;
}

/* What is about the account or the moment fails all in the same way, alone too.  Whether it was the
   service, which knows no such requests, or something else (a bucket that is not there) shows when
   the object alone can be removed. */
static bool
s3_remove_goes_alone(struct cloud_op *op, const struct http_response *res, const struct err *err)
{
	struct s3_op *s3 = op->data;

	if (!s3->batched)
		return false;
	if (res->status != S3_NOT_REMOVED &&
	    (err_is_transient(err->code) || err->code == -EKEYEXPIRED))
		return false;
	s3->unknown =
	    res->status == 400 || res->status == 404 || res->status == 405 || res->status == 501;
	s3->alone = true;
	return true;
}

bool
s3_remove_goes_on(struct cloud_op *op, const struct http_response *res, const struct err *err)
{
	return s3_remove_looks_again(op, err) || s3_remove_goes_alone(op, res, err);
}

/* Batches */

/* XML 1.0 has no way to say any other, and white space may come back as another one.  Who trims
   what he reads would remove another object. */
static bool
is_xml_text(const char *key)
{
	if (*key == ' ' || key[strlen(key) - 1] == ' ')
		return false;
	for (const char *c = key; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	return utf8_valid_len(key, strlen(key)) == strlen(key) &&
	    strstr(key, "\xef\xbf\xbe") == NULL && strstr(key, "\xef\xbf\xbf") == NULL;
}

static bool
removals_takes(const struct cloud_op *op)
{
	const struct s3_op *s3 = op->data;
	struct s3_place place;

	return op->kind == CLOUD_REMOVE && op->version == NULL && !s3_remove_looks(op) &&
	    !s3->alone && !s3_account(op)->removes_alone &&
	    s3_locate(&place, op->account->data, op->path) && *place.key != '\0' &&
	    is_xml_text(place.key);
}

static bool
removals_together(const struct cloud_op *a, const struct cloud_op *b)
{
	struct s3_place one, two;

	return s3_locate(&one, a->account->data, a->path) &&
	    s3_locate(&two, b->account->data, b->path) && strcmp(one.bucket, two.bucket) == 0;
}

static void
put_xml_text(struct buf *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (strchr("<>&\"'", *c) != NULL)
			buf_printf(out, "&#%d;", *c);
		else
			buf_putc(out, *c);
	}
}

static enum cloud_step
removals_request(
    struct cloud_op *const *items, size_t len, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;
	struct digests digests;
	struct s3_place place;
	struct hash *md5;

	req->method = "POST";
	req->body = HTTP_BODY_BYTES;
	buf_puts(&req->bytes, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < len; i++) {
		struct s3_op *s3 = items[i]->data;

		s3->batched = true;
		s3->regions = s3_account(items[i])->regions;
		s3_locate(&place, items[i]->account->data, items[i]->path);
		buf_puts(&req->bytes, "<Object><Key>");
		put_xml_text(&req->bytes, place.key);
		buf_puts(&req->bytes, "</Key></Object>");
	}
	buf_puts(&req->bytes, "</Delete>");
	/* Some services demand it, all know it. */
	md5 = hash_new(HASH_BIT(HASH_MD5));
	hash_update(md5, req->bytes.data, req->bytes.len);
	hash_final(md5, &digests);
	hash_free(md5);
	object_put_digest(req, "Content-MD5", digests.sum[HASH_MD5], hash_size(HASH_MD5));
	place.key = "";
	if (s3_finish(req, items[0]->account->data, &place, "", "delete", items[0]->now_ms, err) !=
	    0)
		return CLOUD_STEP_FAIL;
	return CLOUD_STEP_SEND;
}

struct removals_walk {
	struct cloud_op *const *items;
	size_t len;
	struct http_response *parts;
	char *key;
	bool seen;
};

static void
removals_deleted(const struct removals_walk *walk)
{
	struct s3_place place;

	for (size_t i = 0; i < walk->len && walk->key != NULL; i++) {
		const struct cloud_op *op = walk->items[i];

		if (op != NULL && s3_locate(&place, op->account->data, op->path) &&
		    strcmp(place.key, walk->key) == 0)
			walk->parts[i].status = 204;
	}
}

static int
removals_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct removals_walk *walk = arg;

	if (strcmp(path, "DeleteResult/Deleted/Key") == 0) {
		xstrset(&walk->key, text);
	} else if (strcmp(path, "DeleteResult/Deleted") == 0) {
		removals_deleted(walk);
		free(TAKE(walk->key));
	} else if (strcmp(path, "DeleteResult") == 0) {
		walk->seen = true;
	}
	return 0;
}

static int
removals_response(struct cloud_op *const *items, size_t len, const struct http_response *res,
    struct http_response *parts, struct err *err)
{
	struct removals_walk walk = {.items = items, .len = len, .parts = parts};

	for (size_t i = 0; i < len; i++)
		parts[i].status = S3_NOT_REMOVED;
	/* Of half an answer all of it is left: what it said was deleted is asked for once more. */
	if (s3_xml_walk(res->body.data, res->body.len, removals_element, &walk, NULL) != 0 ||
	    !walk.seen)
		for (size_t i = 0; i < len; i++)
			parts[i].status = S3_NOT_REMOVED;
	free(walk.key);
	return 0;
}

const struct cloud_batch s3_removals = {
    .items = S3_REMOVE_MAX,
    .at_once = S3_REMOVES,
    .takes = removals_takes,
    .together = removals_together,
    .request = removals_request,
    .response = removals_response,
};
