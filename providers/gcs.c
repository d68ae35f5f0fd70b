/*
 * The gcs driver: Google Cloud Storage, its basic operations.  It has two APIs: what is about
 * objects goes by the JSON API (v1), their content by the XML API, which alone has uploads in
 * parts.
 *
 * A bucket has names, not directories: "a/b" makes a directory "a" of an account, and so does the
 * empty object "a/", the marker that MKDIR leaves.  A name that is both a file ("a") and a
 * directory ("a/b") is a directory in listings; STAT finds the file.
 *
 * The version of an entry is its generation, which every write makes anew.  Reads and removals are
 * told to be of that generation or none (412): to ask for an older one would find it in buckets
 * that keep them, and could not tell a file that has changed from one that is gone in others.
 * Modification time and mode are metadata, as rclone writes them; lists carry them too.
 */
#include "providers/gcs_answer.h"
#include "providers/gcs_private.h"
#include "providers/gcs_sign.h"
#include "providers/listing.h"
#include "providers/providers.h"
#include <string.h>

/* Of a list: the most, and what fits CLOUD_COLLECT_MAX: objects may have 8 KiB of metadata. */
#define GCS_PAGE "1000"

/* Requests */

void
gcs_ask_look(struct gcs_ask *ask)
{
	gcs_ask_json(ask, "GET", GCS_ABOUT_OBJECT, "");
	gcs_query_add(ask, "fields", GCS_OBJECT_FIELDS);
}

static void
ask_list(struct gcs_ask *ask, const struct cloud_op *op, const char *most)
{
	CLEANUP(cleanup_free) char *prefix = listing_prefix(op, ask->place.key);
	CLEANUP(cleanup_free)
	char *start = op->after == NULL ? NULL : xasprintf("%s%s", prefix, op->after);

	gcs_ask_json(ask, "GET", GCS_ABOUT_OBJECTS, "");
	if (op->kind == CLOUD_LIST)
		gcs_query_add(ask, "delimiter", "/");
	gcs_query_add(ask, "fields", GCS_LIST_FIELDS);
	gcs_query_add(ask, "maxResults", most);
	gcs_query_add(ask, "pageToken", op->page);
	gcs_query_add(ask, "prefix", *prefix == '\0' ? NULL : prefix);
	gcs_query_add(ask, "startOffset", start);
}

static void
ask_buckets(struct gcs_ask *ask, const struct cloud_op *op, const char *most)
{
	gcs_ask_json(ask, "GET", GCS_ABOUT_BUCKETS, "");
	gcs_query_add(ask, "fields", GCS_BUCKETS_FIELDS);
	gcs_query_add(ask, "maxResults", most);
	gcs_query_add(ask, "pageToken", op->page);
	gcs_query_add(ask, "project", gcs_account(op)->project);
}

static void
put_list(const struct cloud_op *op, struct gcs_ask *ask, const char *most)
{
	if (ask->place.bucket[0] == '\0')
		ask_buckets(ask, op, most);
	else
		ask_list(ask, op, most);
}

static void
put_read(const struct cloud_op *op, struct gcs_ask *ask)
{
	const char *version = object_pinned(op);

	if (op->length == 0) {
		gcs_ask_look(ask);
		gcs_query_add(ask, "ifGenerationMatch", version);
		return;
	}
	gcs_ask_xml(ask, "GET", ask->place.key, "");
	/* What is stored, not what it would be uncompressed ("Transcoding of gzip-compressed
	   files"): its size and hashes are those of what is stored. */
	http_request_header(ask->req, "Accept-Encoding", "gzip");
	if (version != NULL)
		http_request_header(ask->req, "x-goog-if-generation-match", "%s", version);
	object_put_range(ask->req, op, "Range");
}

static enum cloud_step
put_write(const struct cloud_op *op, struct gcs_ask *ask, struct err *err)
{
	if (op->length > GCS_PUT_MAX)
		return object_refuse(
		    err, -EFBIG, op->path, "is larger than the 5 GiB of one upload");
	gcs_ask_xml(ask, "PUT", ask->place.key, "");
	gcs_put_attributes(ask->req, op);
	if (op->put.no_replace)
		http_request_header(ask->req, "x-goog-if-generation-match", "0");
	gcs_put_body(ask->req, op);
	return CLOUD_STEP_SEND;
}

/* Of a file.  FIRST: is it empty?  SECOND: the marker goes.  The service removes a bucket only if
   nothing is in it. */
static void
put_rmdir(const struct cloud_op *op, struct gcs_ask *ask)
{
	const struct gcs_op *gcs = op->data;

	if (*ask->place.key == '\0')
		gcs_ask_json(ask, "DELETE", GCS_ABOUT_BUCKET, "");
	else if (gcs->step == GCS_FIRST)
		ask_list(ask, op, "2");
	else
		gcs_ask_json(ask, "DELETE", GCS_ABOUT_OBJECT, "/");
}

static void
put_mkdir(const struct cloud_op *op, struct gcs_ask *ask)
{
	const struct gcs_account *gcs = gcs_account(op);
	json_t *bucket;

	if (*ask->place.key != '\0') {
		gcs_ask_xml(ask, "PUT", ask->place.key, "/");
		ask->req->body = HTTP_BODY_BYTES;
		http_request_header(ask->req, "Content-Type", "application/x-directory");
		http_request_header(ask->req, "x-goog-if-generation-match", "0");
		return;
	}
	bucket = json_pack("{s:s}", "name", ask->place.bucket);
	if (gcs->storage_class != NULL)
		json_object_set_new(bucket, "storageClass", json_string(gcs->storage_class));
	gcs_ask_json(ask, "POST", GCS_ABOUT_BUCKETS, "");
	gcs_query_add(ask, "project", gcs->project);
	gcs_put_json(ask->req, bucket);
}

/* FIRST: it is changed.  SECOND: it is no file: is it a directory?  That has nothing to be kept. */
static void
put_setattr(const struct cloud_op *op, struct gcs_ask *ask)
{
	const struct gcs_op *gcs = op->data;

	if (gcs->step == GCS_SECOND) {
		ask_list(ask, op, "1");
		return;
	}
	gcs_ask_json(ask, "PATCH", GCS_ABOUT_OBJECT, "");
	gcs_query_add(ask, "fields", GCS_OBJECT_FIELDS);
	gcs_put_json(ask->req, gcs_json_attributes(op));
}

static bool
op_makes(const struct cloud_op *op)
{
	switch (op->kind) {
	case CLOUD_PUT:
	case CLOUD_COPY:
	case CLOUD_MKDIR:
	case CLOUD_UPLOAD_BEGIN: return true;
	default: return false;
	}
}

static enum cloud_step
check_name(const struct cloud_op *op, const struct gcs_place *place, struct err *err)
{
	if (!gcs_is_name(place->key))
		return op_makes(op)
		    ? object_refuse(err, -EILSEQ, op->path,
			  "Google has no names with line ends, nor any in "
			  ".well-known/acme-challenge")
		    : object_refuse(err, -ENOENT, op->path, "no object can have such a name");
	/* A directory's marker has one byte more. */
	if (strlen(place->key) + (op->kind == CLOUD_MKDIR) > GCS_KEY_MAX)
		return object_refuse(err, op_makes(op) ? -ENAMETOOLONG : -ENOENT, op->path,
		    "names have at most 1,024 bytes");
	return CLOUD_STEP_SEND;
}

/* What cannot be, before anything is asked. */
static enum cloud_step
check_place(const struct cloud_op *op, struct gcs_place *place, struct err *err)
{
	const struct gcs_account *gcs = gcs_account(op);
	enum cloud_step step;

	if (!gcs_locate(place, gcs, op->path))
		return object_refuse(err, op->kind == CLOUD_MKDIR ? -EINVAL : -ENOENT, op->path,
		    "no bucket can have such a name");
	step = check_name(op, place, err);
	if (step != CLOUD_STEP_SEND)
		return step;
	switch (op->kind) {
	case CLOUD_LIST: /* paths can express all buckets */
		return place->bucket[0] == '\0' && op->hidden ? CLOUD_STEP_DONE : CLOUD_STEP_SEND;
	case CLOUD_STAT: return CLOUD_STEP_SEND;
	case CLOUD_MOVE:
	case CLOUD_USAGE: return object_refuse(err, -EOPNOTSUPP, op->path, "Google cannot do this");
	case CLOUD_MKDIR:
		return *op->path == '\0' || (*place->key == '\0' && gcs->bucket != NULL)
		    ? CLOUD_STEP_DONE
		    : CLOUD_STEP_SEND;
	case CLOUD_RMDIR:
		return *op->path == '\0'
		    ? object_refuse(err, -EBUSY, op->path, "the account's top stays")
		    : CLOUD_STEP_SEND;
	case CLOUD_SETATTR: /* a bucket, or the top, has nothing to be kept */
		return *place->key == '\0' ? CLOUD_STEP_DONE : CLOUD_STEP_SEND;
	default:
		return *place->key == '\0' ? object_refuse(err, -EISDIR, op->path, "is a directory")
					   : CLOUD_STEP_SEND;
	}
}

static enum cloud_step
put_request(
    struct cloud_op *op, struct cloud_request *request, struct gcs_ask *ask, struct err *err)
{
	const struct gcs_op *gcs = op->data;

	switch (op->kind) {
	case CLOUD_LIST: put_list(op, ask, GCS_PAGE); break;
	case CLOUD_STAT: /* SECOND: is it a directory? */
		if (*ask->place.key == '\0' || gcs->step == GCS_SECOND)
			put_list(op, ask, "1");
		else
			gcs_ask_look(ask);
		break;
	case CLOUD_READ: put_read(op, ask); break;
	case CLOUD_PUT: return put_write(op, ask, err);
	case CLOUD_REMOVE:
		gcs_ask_json(ask, "DELETE", GCS_ABOUT_OBJECT, "");
		gcs_query_add(ask, "ifGenerationMatch", op->version);
		break;
	case CLOUD_RMDIR: put_rmdir(op, ask); break;
	case CLOUD_MKDIR: put_mkdir(op, ask); break;
	case CLOUD_SETATTR: put_setattr(op, ask); break;
	case CLOUD_COPY: return gcs_put_copy(op, ask, err);
	default: return gcs_put_upload(op, request, ask, err);
	}
	return CLOUD_STEP_SEND;
}

/* FIRST: is it stored compressed?  SECOND: the link, if there is a key to sign it with. */
static enum cloud_step
put_link(struct cloud_op *op, struct gcs_ask *ask, struct err *err)
{
	const struct gcs_op *gcs = op->data;
	struct buf url = BUF_INIT(HTTP_URL_MAX);

	if (gcs->step == GCS_FIRST && gcs_account(op)->oauth.key != NULL) {
		gcs_ask_json(ask, "GET", GCS_ABOUT_OBJECT, "");
		gcs_query_add(ask, "fields", "contentEncoding");
		gcs_query_add(ask, "ifGenerationMatch", op->version);
		return CLOUD_STEP_SEND;
	}
	url.secret = true;
	if (gcs_sign(&url, gcs_account(op), op->path, op->version, op->now_ms, CLOUD_LINK_S, err) !=
	    0) {
		buf_free(&url);
		return CLOUD_STEP_FAIL;
	}
	op->link = buf_take(&url);
	op->is_pinned = op->version != NULL;
	return CLOUD_STEP_DONE;
}

static enum cloud_step
gcs_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	CLEANUP(gcs_ask_fini)
	struct gcs_ask ask = {
	    .req = &request->http, .path = BUF_INIT(HTTP_URL_MAX), .query = BUF_INIT(HTTP_URL_MAX)};
	enum cloud_step step;

	if (op->kind == CLOUD_SWEEP)
		return CLOUD_STEP_DONE; /* a PUT is atomic and leaves nothing */
	step = check_place(op, &ask.place, err);
	if (step == CLOUD_STEP_SEND && op->kind == CLOUD_LINK)
		step = put_link(op, &ask, err);
	else if (step == CLOUD_STEP_SEND)
		step = put_request(op, request, &ask, err);
	if (step == CLOUD_STEP_SEND && ask.path.len > 0 && gcs_finish(&ask, op, err) != 0)
		return CLOUD_STEP_FAIL;
	return step;
}

/* Answers */

int
gcs_take_look(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;

	object_take_file(op, 0);
	if (gcs_json_object(&op->entry, &res->body, &why) == 0)
		return 0;
	object_bad_answer(op, &why, err);
	return -EPROTO;
}

static enum cloud_step
gcs_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *pinned = object_pinned(op), *generation;
	uint64_t size = 0;

	if (op->kind != CLOUD_READ || op->length == 0 || (res->status != 200 && res->status != 206))
		return CLOUD_STEP_COLLECT;
	generation = http_header_get(&res->headers, "x-goog-generation");
	if (pinned != NULL && (generation == NULL || strcmp(pinned, generation) != 0))
		return object_refuse(err, -ESTALE, op->path,
		    "has changed: it is not the version any more that was asked for");
	if (object_check_range(op, res, &size, err) != 0)
		return CLOUD_STEP_FAIL;
	gcs_take_entry(op, res, size);
	return object_check_named(op, err) == 0 ? CLOUD_STEP_STREAM : CLOUD_STEP_FAIL;
}

/* A page of a list, of what lies below op->path: DONE, or NEXT if there is another one.  A page may
   be empty, and more follow. */
static enum cloud_step
take_page(struct gcs_page *page, struct entry_list *into, struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	struct gcs_op *gcs = op->data;
	struct listing_dir dir = {.path = op->path, .hidden = op->hidden};
	CLEANUP(cleanup_free) char *prefix = NULL;
	struct err why = ERR_INIT;
	struct gcs_place place;
	int code;

	gcs_locate(&place, op->account->data, op->path);
	dir.prefix = prefix = listing_prefix(op, place.key);
	code = place.bucket[0] == '\0' ? gcs_json_buckets(page, into, &res->body, &why)
				       : gcs_json_list(page, into, &dir, &res->body, &why);
	if (code != 0)
		return object_garbled(op, &why, err);
	if (op->page != NULL && strcmp(page->next, op->page) == 0) {
		err_set(&why, -EPROTO, "the list goes round in circles");
		return object_bad_answer(op, &why, err);
	}
	gcs->found = gcs->found || page->found > 0;
	if (page->next[0] == '\0')
		return CLOUD_STEP_DONE;
	xstrset(&op->page, page->next);
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
list_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gcs_op *gcs = op->data;
	struct gcs_place place;
	struct gcs_page page;
	enum cloud_step step = take_page(&page, &op->list, op, res, err);

	if (step != CLOUD_STEP_DONE && step != CLOUD_STEP_NEXT)
		return step;
	listing_drop(&op->list, op->after);
	op->more = step == CLOUD_STEP_NEXT;
	if (op->more && (op->max == 0 || op->list.len == 0))
		return CLOUD_STEP_NEXT;
	gcs_locate(&place, op->account->data, op->path);
	if (!gcs->found && *place.key != '\0')
		return object_refuse(err, -ENOENT, op->path, "no such directory");
	listing_finish(&op->list);
	return CLOUD_STEP_DONE;
}

/* Is there anything below the path? */
static enum cloud_step
directory_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gcs_op *gcs = op->data;
	struct gcs_place place;
	struct gcs_page page;
	enum cloud_step step = take_page(&page, NULL, op, res, err);

	if (step != CLOUD_STEP_DONE && (step != CLOUD_STEP_NEXT || !gcs->found))
		return step;
	gcs_locate(&place, op->account->data, op->path);
	if (*place.key != '\0' && !gcs->found)
		return object_refuse(err, -ENOENT, op->path, "no such file or directory");
	object_take_directory(op);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
look_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gcs_op *gcs = op->data;
	struct gcs_place place;

	gcs_locate(&place, op->account->data, op->path);
	if (*place.key == '\0' || gcs->step == GCS_SECOND)
		return directory_response(op, res, err);
	return gcs_take_look(op, res, err) == 0 ? CLOUD_STEP_DONE : provider_failed(err);
}

static enum cloud_step
rmdir_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gcs_op *gcs = op->data;
	struct gcs_place place;
	struct gcs_page page;
	enum cloud_step step;

	gcs_locate(&place, op->account->data, op->path);
	if (gcs->step == GCS_SECOND || *place.key == '\0')
		return CLOUD_STEP_DONE;
	step = take_page(&page, NULL, op, res, err);
	if (step != CLOUD_STEP_DONE && step != CLOUD_STEP_NEXT)
		return step;
	if (page.found > page.marker)
		return object_refuse(err, -ENOTEMPTY, op->path, "directory not empty");
	if (step == CLOUD_STEP_NEXT)
		return step;
	return gcs->found ? gcs_next(op, GCS_SECOND)
			  : object_refuse(err, -ENOENT, op->path, "no such directory");
}

/* Answers that are errors by their status, but not by what the op wants; else CLOUD_STEP_FAIL. */
static enum cloud_step
gcs_forgive(struct cloud_op *op, const struct http_response *res, int code)
{
	const struct gcs_op *gcs = op->data;
	struct gcs_place place;

	gcs_locate(&place, op->account->data, op->path);
	switch (op->kind) {
	case CLOUD_READ: /* from the end on: nothing, and no error */
		return res->status == 416 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
	case CLOUD_STAT: /* no such object: is it a directory? */
	case CLOUD_SETATTR:
		return code == -ENOENT && *place.key != '\0' && gcs->step == GCS_FIRST
		    ? gcs_next(op, GCS_SECOND)
		    : CLOUD_STEP_FAIL;
	case CLOUD_MKDIR: /* the marker is there; a bucket: it may be somebody else's */
		if (*place.key != '\0')
			return code == -ESTALE ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
		return code == -EEXIST && strstr(buf_str(&res->body), "you already own it") != NULL
		    ? CLOUD_STEP_DONE
		    : CLOUD_STEP_FAIL;
	case CLOUD_RMDIR: /* gone meanwhile */
		return code == -ENOENT && gcs->step == GCS_SECOND ? CLOUD_STEP_DONE
								  : CLOUD_STEP_FAIL;
	default: return CLOUD_STEP_FAIL;
	}
}

/* Whoever follows a link may not ask for what is stored, and gets what that would be uncompressed.
 */
static enum cloud_step
link_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;
	bool compressed;

	if (gcs_json_is_compressed(&compressed, &res->body, &why) != 0)
		return object_bad_answer(op, &why, err);
	return compressed ? object_refuse(err, -EOPNOTSUPP, op->path,
				"is stored compressed, and a link would give it uncompressed")
			  : gcs_next(op, GCS_SECOND);
}

static enum cloud_step
gcs_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;
	enum cloud_step step;
	int code = gcs_check(op, res, &why);

	if (op->kind == CLOUD_COPY)
		return gcs_copy_response(op, res, code, &why, err);
	if (op->kind >= CLOUD_UPLOAD_BEGIN && op->kind <= CLOUD_UPLOAD_FIND)
		return gcs_upload_response(op, res, code, &why, err);
	if (code != 0) {
		step = gcs_forgive(op, res, code);
		if (step == CLOUD_STEP_FAIL) {
			*err = why;
			step = provider_failed(&why);
		}
		return step;
	}
	switch (op->kind) {
	case CLOUD_LIST: return list_response(op, res, err);
	case CLOUD_READ: /* what was streamed has been looked at in gcs_head() */
		if (op->length != 0)
			return CLOUD_STEP_DONE;
		return gcs_take_look(op, res, err) == 0 ? CLOUD_STEP_DONE : provider_failed(err);
	case CLOUD_STAT:
	case CLOUD_SETATTR: return look_response(op, res, err);
	case CLOUD_PUT:
		return gcs_take_written(op, res, err) == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL;
	case CLOUD_RMDIR: return rmdir_response(op, res, err);
	case CLOUD_LINK: return link_response(op, res, err);
	default: return CLOUD_STEP_DONE;
	}
}

/* Whether the destination's credentials may read there too is found by trying: -EACCES. */
static bool
gcs_copies_from(const struct account *to, const struct account *from)
{
	const struct gcs_account *one = to->data, *two = from->data;

	return strcmp(one->service, two->service) == 0;
}

/* As the s3 driver names it, which reaches the same objects with keys for interoperability. */
static char *
gcs_identity(const struct account *account, const char *path)
{
	const struct gcs_account *gcs = account->data;
	struct gcs_place place;

	if (!gcs_locate(&place, gcs, path) || place.bucket[0] == '\0')
		return NULL;
	return xasprintf("s3://%s/%s/%s", gcs->service, place.bucket, place.key);
}

const struct cloud_driver gcs_driver = {
    .name = "gcs",
    .title = "Google Cloud Storage",
    .transport = CLOUD_HTTP,
    .features = CLOUD_KEEPS_METADATA | CLOUD_CAN_COPY | CLOUD_CAN_LINK | CLOUD_KEEPS_MTIME |
	CLOUD_KEEPS_MODE | CLOUD_CAN_SETATTR | CLOUD_CHECKS_PUT | CLOUD_HAS_KEYS,
    .limits = {.put_max = GCS_PUT_MAX,
	.part_min = S3_PART_MIN,
	.part_max = S3_PART_MAX,
	.part_size = GCS_PART_SIZE,
	.upload_from = 2 * GCS_PART_SIZE,
	.parts_max = S3_PARTS_MAX,
	.concurrency = 32},
    .fields = gcs_fields,
    .hashes = HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C),
    .account_size = sizeof(struct gcs_account),
    .op_size = sizeof(struct gcs_op),
    .open = gcs_open,
    .close = gcs_close,
    .request = gcs_request,
    .head = gcs_head,
    .response = gcs_response,
    .sign_in = &oauth_sign_in,
    .oauth = &gcs_oauth,
    .copies_from = gcs_copies_from,
    .identity = gcs_identity,
};
