/*
 * The s3 driver: Amazon S3 and what speaks like it, its basic operations ("Amazon S3 API
 * Reference").
 *
 * S3 has keys, not directories: "a/b" makes a directory "a" of an account, and so does the empty
 * object "a/", the marker that MKDIR leaves.  A key that is both a file ("a") and a directory
 * ("a/b") is a directory in listings; STAT asks for the key first, since most paths are files, and
 * would find the file.
 *
 * The version of an entry is its etag without quotes.  Modification time and mode are user
 * metadata, as rclone writes them: x-amz-meta-mtime in seconds with nanoseconds, x-amz-meta-mode in
 * octal.  A list does not carry them: there the time is that of the upload.
 */
#include "providers/listing.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "providers/s3_answer.h"
#include "providers/s3_private.h"
#include <inttypes.h>
#include <string.h>

/* Requests */

static void
s3_put_list_query(struct buf *query, const struct cloud_op *op, const struct s3_place *place)
{
	bool all = op->kind == CLOUD_LIST;

	buf_puts(query, "list-type=2&encoding-type=url");
	if (all)
		buf_puts(query, "&delimiter=%2F");
	else /* RMDIR: the marker and one more; STAT: anything */
		buf_printf(query, "&max-keys=%d", op->kind == CLOUD_RMDIR ? 2 : 1);
	if (*place->key != '\0') {
		buf_puts(query, "&prefix=");
		buf_put_uri(query, place->key, NULL);
		buf_puts(query, op->hidden ? "" : "%2F");
	}
	if (op->page != NULL) {
		buf_puts(query, "&continuation-token=");
		buf_put_uri(query, op->page, NULL);
	} else if (all && op->after != NULL) {
		buf_puts(query, "&start-after=");
		buf_put_uri(query, place->key, NULL);
		buf_puts(query, *place->key != '\0' ? "%2F" : "");
		buf_put_uri(query, op->after, NULL);
	}
}

static void
s3_put_read_headers(const struct cloud_op *op, struct http_request *req)
{
	const char *version = object_pinned(op);

	if (version != NULL)
		http_request_header(req, "If-Match", "\"%s\"", version);
	s3_put_customer_key(req, s3_account(op));
	s3_put_checksum_mode(req, s3_account(op));
	object_put_range(req, op, "Range");
}

/* Of a marker, where the write cannot be told not to replace one: what somebody has put into it
   would be lost. */
static bool
s3_mkdir_looks(const struct cloud_op *op, const struct s3_place *place)
{
	const struct s3_op *s3 = op->data;

	return *place->key != '\0' && s3->step == S3_FIRST &&
	    !(s3_account(op)->kind->has & S3_GUARDS_PUT);
}

/* An empty object, or (a bucket's) where it is to be: us-east-1 must not be named. */
static void
s3_put_mkdir(const struct cloud_op *op, const struct s3_place *place, struct http_request *req)
{
	const struct s3_account *account = op->account->data;

	req->method = s3_mkdir_looks(op, place) ? "HEAD" : "PUT";
	if (s3_mkdir_looks(op, place))
		return;
	req->body = HTTP_BODY_BYTES;
	if (*place->key != '\0') {
		http_request_header(req, "Content-Type", "application/x-directory");
		s3_put_unless_there(req, account);
		s3_put_encryption(req, account);
	} else if (strcmp(account->region, "us-east-1") != 0)
		buf_printf(&req->bytes,
		    "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint>"
		    "</CreateBucketConfiguration>",
		    account->region);
}

static void
s3_put_write(struct cloud_op *op, struct http_request *req)
{
	const struct s3_account *s3 = s3_account(op);

	req->method = "PUT";
	s3_put_attributes(req, op);
	s3_put_guard(req, op);
	s3_put_new_object(req, s3);
	s3_put_customer_key(req, s3);
	s3_put_body(req, op);
}

/* What is about a file, and cannot be about a bucket or the top. */
static enum cloud_step
s3_put_file_request(struct cloud_op *op, struct http_request *req, struct s3_place *place,
    struct buf *query, struct err *err)
{
	if (*place->key == '\0')
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (s3_is_staged(op) && s3_stage(op) != S3_ACT)
		return s3_put_look(op, req, place, query)
		    ? CLOUD_STEP_SEND
		    : object_refuse(err, -ENOENT, op->path2, "no bucket has such a name");
	switch (op->kind) {
	case CLOUD_READ:
		req->method = op->length == 0 ? "HEAD" : "GET";
		s3_put_read_headers(op, req);
		break;
	case CLOUD_PUT:
		if (op->length > S3_PUT_MAX)
			return object_refuse(
			    err, -EFBIG, op->path, "is larger than the 5 GiB of one upload");
		s3_put_write(op, req);
		break;
	case CLOUD_COPY:
		op->only_this = op->length != UINT64_MAX && op->length > S3_COPY_MAX;
		if (op->only_this)
			return object_refuse(
			    err, -EOPNOTSUPP, op->path, "is larger than the 5 GiB of one copy");
		if (!s3_put_copy(op, req))
			return object_refuse(err, -ENOENT, op->path2, "no bucket has such a name");
		break;
	case CLOUD_REMOVE: s3_put_remove(op, req); break;
	default: return s3_put_upload(op, req, place, query, err);
	}
	return CLOUD_STEP_SEND;
}

static enum cloud_step
s3_link(struct cloud_op *op, struct err *err)
{
	struct buf url = BUF_INIT(HTTP_URL_MAX);

	url.secret = true;
	if (s3_presign(&url, op->account, op->path, op->now_ms, CLOUD_LINK_S, err) != 0) {
		buf_free(&url);
		return CLOUD_STEP_FAIL;
	}
	op->link = buf_take(&url);
	op->is_etag = true;
	return CLOUD_STEP_DONE;
}

static enum cloud_step
s3_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	CLEANUP(buf_free) struct buf query = BUF_INIT(HTTP_URL_MAX);
	struct s3_op *s3 = op->data;
	struct http_request *req = &request->http;
	const char *suffix = "";
	enum cloud_step step;
	struct s3_place place;
	bool top, bucket, of_bucket = false;

	if (op->kind == CLOUD_SWEEP)
		return CLOUD_STEP_DONE; /* a PUT is atomic and leaves nothing */
	if (op->kind == CLOUD_LINK)
		return s3_link(op, err);
	if (!s3_locate(&place, op->account->data, op->path))
		return object_refuse(err, op->kind == CLOUD_MKDIR ? -EINVAL : -ENOENT, op->path,
		    "no bucket can have such a name");
	s3->regions = s3_account(op)->regions;
	top = place.bucket[0] == '\0';
	bucket = !top && *place.key == '\0';
	switch (op->kind) {
	case CLOUD_LIST:
		if (top && op->hidden)
			return CLOUD_STEP_DONE; /* paths can express all buckets */
		req->method = "GET";
		of_bucket = true;
		if (!top)
			s3_put_list_query(&query, op, &place);
		break;
	case CLOUD_STAT:
		/* HEAD of the top is not defined: list the buckets, which checks the keys too. */
		req->method = top || s3->step == S3_SECOND ? "GET" : "HEAD";
		of_bucket = s3->step == S3_SECOND;
		if (of_bucket)
			s3_put_list_query(&query, op, &place);
		else if (!top && !bucket) {
			s3_put_customer_key(req, s3_account(op));
			s3_put_checksum_mode(req, s3_account(op));
		}
		break;
	case CLOUD_READ:
	case CLOUD_PUT:
	case CLOUD_COPY:
	case CLOUD_REMOVE:
	case CLOUD_UPLOAD_BEGIN:
	case CLOUD_UPLOAD_PART:
	case CLOUD_COPY_PART:
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_COMMIT:
	case CLOUD_UPLOAD_ABORT:
	case CLOUD_UPLOAD_FIND:
		step = s3_put_file_request(op, req, &place, &query, err);
		if (step != CLOUD_STEP_SEND)
			return step;
		of_bucket = op->kind == CLOUD_UPLOAD_FIND;
		break;
	case CLOUD_RMDIR:
		if (top)
			return object_refuse(err, -EBUSY, op->path, "the account's top stays");
		req->method = bucket || s3->step == S3_SECOND ? "DELETE" : "GET";
		of_bucket = s3->step == S3_FIRST && !bucket;
		if (of_bucket)
			s3_put_list_query(&query, op, &place);
		else if (!bucket)
			suffix = "/";
		break;
	case CLOUD_MKDIR:
		if (top || (bucket && ((struct s3_account *)op->account->data)->bucket != NULL))
			return CLOUD_STEP_DONE;
		s3_put_mkdir(op, &place, req);
		suffix = bucket ? "" : "/";
		break;
	default: return object_refuse(err, -EOPNOTSUPP, op->path, "S3 cannot do this");
	}
	/* A list is the bucket's: its prefix is in the query. */
	if (of_bucket)
		place.key = "";
	if (query.failed || req->bytes.failed)
		return object_refuse(err, -ENAMETOOLONG, op->path, "is too long for a URL");
	if (s3_finish(req, op->account->data, &place, suffix, buf_str(&query), op->now_ms, err) !=
	    0)
		return CLOUD_STEP_FAIL;
	return CLOUD_STEP_SEND;
}

/* Answers */

static enum cloud_step
s3_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	uint64_t size = 0;

	if (op->kind != CLOUD_READ || op->length == 0 || (res->status != 200 && res->status != 206))
		return CLOUD_STEP_COLLECT;
	if (object_check_range(op, res, &size, err) != 0)
		return CLOUD_STEP_FAIL;
	s3_take_entry(op, res, size);
	return object_check_named(op, err) == 0 ? CLOUD_STEP_STREAM : CLOUD_STEP_FAIL;
}

/* A page of a list, below the key of op->path; into may be NULL. */
static int
s3_take_page(struct s3_page *page, struct entry_list *into, struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	CLEANUP(cleanup_free) char *prefix = NULL;
	struct listing_dir dir = {.path = op->path, .hidden = op->hidden};
	struct s3_place place;

	s3_locate(&place, op->account->data, op->path);
	dir.prefix = prefix = listing_prefix(op, place.key);
	return s3_xml_list(page, into, &dir, res->body.data, res->body.len, err);
}

static enum cloud_step
s3_list_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	struct err why = ERR_INIT;
	struct s3_place place;
	struct s3_page page;

	s3_locate(&place, op->account->data, op->path);
	if (place.bucket[0] == '\0') {
		if (s3_xml_buckets(&op->list, res->body.data, res->body.len, &why) != 0)
			return object_garbled(op, &why, err);
		return CLOUD_STEP_DONE;
	}
	if (s3_take_page(&page, &op->list, op, res, &why) != 0)
		return object_garbled(op, &why, err);
	s3->found = s3->found || page.found > 0;
	listing_drop(&op->list, op->after);
	op->more = page.truncated;
	if (page.truncated && (op->max == 0 || op->list.len == 0)) {
		if (op->page != NULL && strcmp(page.token, op->page) == 0) {
			err_set(&why, -EPROTO, "the list goes round in circles");
			return object_bad_answer(op, &why, err);
		}
		xstrset(&op->page, page.token);
		return CLOUD_STEP_NEXT;
	}
	if (!s3->found && *place.key != '\0')
		return object_refuse(err, -ENOENT, op->path, "no such directory");
	listing_finish(&op->list);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
s3_stat_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	struct err why = ERR_INIT;
	struct s3_place place;
	struct s3_page page;

	s3_locate(&place, op->account->data, op->path);
	if (*place.key != '\0' && s3->step == S3_FIRST)
		return s3_take_head(op, res, err) == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
	if (s3->denied) /* of that path only: the keys are good */
		return object_refuse(err, -EACCES, op->path, "the service denies access (403)");
	if (s3->step == S3_SECOND) {
		if (s3_take_page(&page, NULL, op, res, &why) != 0)
			return object_garbled(op, &why, err);
		if (page.found == 0)
			return object_refuse(err, -ENOENT, op->path, "no such file or directory");
	}
	object_take_directory(op);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
s3_put_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *etag = http_header_get(&res->headers, "ETag");

	if (etag == NULL)
		return object_refuse(err, -EPROTO, op->path,
		    "it was written, but the service does not name its version");
	s3_take_written(
	    op, res, etag, http_header_get(&res->headers, "x-amz-checksum-crc32c"), op->length);
	return s3_stage_acted(op);
}

static enum cloud_step
s3_rmdir_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	struct err why = ERR_INIT;
	struct s3_place place;
	struct s3_page page;

	s3_locate(&place, op->account->data, op->path);
	if (s3->step == S3_SECOND || *place.key == '\0')
		return CLOUD_STEP_DONE;
	if (s3_take_page(&page, NULL, op, res, &why) != 0)
		return object_garbled(op, &why, err);
	if (page.found == 0)
		return object_refuse(err, -ENOENT, op->path, "no such directory");
	if (page.found > 1 || !page.marker)
		return object_refuse(err, -ENOTEMPTY, op->path, "directory not empty");
	s3->step = S3_SECOND;
	return CLOUD_STEP_NEXT;
}

/* A marker that is there, with whatever content, and a bucket that is ours are as good as made. */
static enum cloud_step
s3_forgive_mkdir(
    struct cloud_op *op, const struct s3_place *place, const struct http_response *res, int code)
{
	struct s3_op *s3 = op->data;
	struct s3_error error;

	if (*place->key == '\0') {
		s3_xml_error(&error, res->body.data, res->body.len);
		return strcmp(error.code, "BucketAlreadyOwnedByYou") == 0 ? CLOUD_STEP_DONE
									  : CLOUD_STEP_FAIL;
	}
	if (!s3_mkdir_looks(op, place))
		return code == -ESTALE ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
	if (code != -ENOENT)
		return CLOUD_STEP_FAIL;
	s3->step = S3_SECOND;
	return CLOUD_STEP_NEXT;
}

/* Answers that are errors by their status, but not by what the op wants; else CLOUD_STEP_FAIL. */
static enum cloud_step
s3_forgive(struct cloud_op *op, const struct http_response *res, const struct err *err)
{
	struct s3_op *s3 = op->data;
	struct s3_place place;

	s3_locate(&place, op->account->data, op->path);
	switch (op->kind) {
	case CLOUD_READ: /* from the end on: nothing, and no error */
		return res->status == 416 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
	case CLOUD_STAT: /* no such key: is it a directory?  Denied: this, or the keys? */
		if ((res->status != 404 && res->status != 403) || *place.key == '\0' ||
		    s3->step == S3_SECOND)
			return CLOUD_STEP_FAIL;
		s3->denied = res->status == 403;
		s3->step = S3_SECOND;
		return CLOUD_STEP_NEXT;
	case CLOUD_MKDIR: return s3_forgive_mkdir(op, &place, res, err->code);
	case CLOUD_REMOVE:
		return s3_remove_goes_on(op, res, err) ? CLOUD_STEP_NEXT : CLOUD_STEP_FAIL;
	default: return CLOUD_STEP_FAIL;
	}
}

/* Or was it learned by another op, whose request was under way at the same time? */
static bool
s3_learns(const struct cloud_op *op, const char *region)
{
	struct s3_account *account = op->account->data;
	const struct s3_op *s3 = op->data;

	return s3_learn_region(account, region) ||
	    (s3->regions != account->regions && strcmp(account->region, region) == 0);
}

/* The bucket is elsewhere: Amazon says where, and the account goes there from now on. */
static enum cloud_step
s3_follow(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	char region[S3_REGION_MAX];

	if (s3->redirected || !s3_region_of(region, res) || !s3_learns(op, region))
		return CLOUD_STEP_FAIL;
	s3->redirected = true;
	if ((op->kind != CLOUD_PUT && op->kind != CLOUD_UPLOAD_PART) || op->length == 0)
		return CLOUD_STEP_NEXT;
	err_set(err, -EAGAIN, "'%s': the bucket is in region %s: it is written again, there",
	    op->path, region);
	return CLOUD_STEP_RETRY;
}

static enum cloud_step
s3_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	bool looks = s3_is_staged(op) && s3_stage(op) != S3_ACT;
	struct s3_op *s3 = op->data;
	struct err why = ERR_INIT;
	enum cloud_step step;
	int code = s3_check(op, res, &why);

	if (code != 0) {
		step = s3_follow(op, res, err);
		if (step == CLOUD_STEP_FAIL && !looks)
			step = s3_forgive(op, res, &why);
		if (step != CLOUD_STEP_FAIL)
			return step;
	}
	if (looks)
		return s3_look_response(op, res, code, &why, err);
	if (code != 0) {
		if (s3_stage_doubts(op, code))
			return CLOUD_STEP_NEXT;
		if (s3_is_staged(op))
			s3_stage_failed(op, code);
		if (op->kind == CLOUD_STAT) { /* from the beginning */
			s3->step = S3_FIRST;
			s3->denied = false;
		}
		if (err != NULL)
			*err = why;
		return provider_failed(&why);
	}
	switch (op->kind) {
	case CLOUD_LIST: return s3_list_response(op, res, err);
	case CLOUD_STAT: return s3_stat_response(op, res, err);
	case CLOUD_READ: /* what was streamed has been looked at in s3_head() */
		if (op->length != 0)
			return CLOUD_STEP_DONE;
		return s3_take_head(op, res, err) == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
	case CLOUD_PUT: return s3_put_response(op, res, err);
	case CLOUD_COPY: return s3_copy_response(op, res, err);
	case CLOUD_REMOVE: return s3_remove_response(op, res, err);
	case CLOUD_RMDIR: return s3_rmdir_response(op, res, err);
	default: return s3_upload_response(op, res, err);
	}
}

/* Whether the keys may read there too is found by trying: -EACCES. */
static bool
s3_copies_from(const struct account *to, const struct account *from)
{
	const struct s3_account *one = to->data, *two = from->data;

	return strcmp(one->service, two->service) == 0;
}

static char *
s3_identity(const struct account *account, const char *path)
{
	const struct s3_account *s3 = account->data;
	struct s3_place place;

	if (!s3_locate(&place, s3, path) || place.bucket[0] == '\0')
		return NULL;
	return xasprintf("s3://%s/%s/%s", s3->service, place.bucket, place.key);
}

const struct cloud_driver s3_driver = {
    .name = "s3",
    .title = "Amazon S3 and compatible",
    .transport = CLOUD_HTTP,
    .features = CLOUD_CAN_COPY | CLOUD_KEEPS_METADATA | CLOUD_CAN_LINK | CLOUD_KEEPS_MTIME |
	CLOUD_KEEPS_MODE | CLOUD_CHECKS_PUT | CLOUD_HAS_KEYS,
    .limits = {.put_max = S3_PUT_MAX,
	.part_min = S3_PART_MIN,
	.part_max = S3_PART_MAX,
	.part_size = S3_PART_SIZE,
	.upload_from = 2 * S3_PART_SIZE,
	.parts_max = S3_PARTS_MAX,
	.copy_max = S3_COPY_MAX,
	.concurrency = 32},
    .fields = s3_fields,
    .hashes = HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C),
    .account_size = sizeof(struct s3_account),
    .op_size = sizeof(struct s3_op),
    .open = s3_open,
    .close = s3_close,
    .request = s3_request,
    .head = s3_head,
    .response = s3_response,
    .copies_from = s3_copies_from,
    .identity = s3_identity,
    .batch = &s3_removals,
};
