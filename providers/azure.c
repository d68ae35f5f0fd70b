/*
 * The azure driver: Azure Blob Storage, its basic operations ("Blob Storage REST API").
 *
 * A container has names, not directories: "a/b" makes a directory "a" of an account, and so does an
 * empty blob "a" with the metadata hdi_isfolder=true, which MKDIR leaves: that is what Azure's own
 * tools make, what an account with a hierarchical namespace makes a directory of, and names that
 * end in a slash are advised against.  An empty blob "a/", as others write it, is understood as
 * well. A name that is both a file ("a") and a directory ("a/b") is a directory in listings; STAT
 * finds the file.
 *
 * The version of an entry is its etag without quotes.  Modification time and mode are metadata, as
 * rclone writes them; lists carry them too.
 */
#include "providers/azure_answer.h"
#include "providers/azure_private.h"
#include "providers/listing.h"
#include "providers/providers.h"
#include <stdlib.h>
#include <string.h>

/* A page of a list has to fit CLOUD_COLLECT_MAX: blobs may have 8 KiB of metadata. */
#define AZURE_PAGE "1000"

/* Requests */

static void
ask_list(struct azure_ask *ask, const struct cloud_op *op, const char *prefix, const char *most)
{
	bool levels = op->kind == CLOUD_LIST, top = ask->place.container[0] == '\0';

	ask->req->method = "GET";
	ask->place.key = "";
	azure_query_add(&ask->query, "comp", "list");
	if (levels && !top) {
		azure_query_add(&ask->query, "delimiter", "/");
		azure_query_add(&ask->query, "include", "metadata");
	}
	if (op->page != NULL)
		azure_query_add(&ask->query, "marker", op->page);
	azure_query_add(&ask->query, "maxresults", most);
	if (*prefix != '\0')
		azure_query_add(&ask->query, "prefix", prefix);
	if (!top)
		azure_query_add(&ask->query, "restype", "container");
}

static void
ask_delete(struct azure_ask *ask, const char *version)
{
	ask->req->method = "DELETE";
	if (version != NULL)
		http_request_header(ask->req, "If-Match", "\"%s\"", version);
}

/* FIRST: the content.  SECOND: it is not that version any more: is there another? */
static void
put_read(const struct cloud_op *op, struct azure_ask *ask)
{
	const struct azure_op *azure = op->data;
	const char *version = object_pinned(op);

	ask->req->method = op->length == 0 || azure->step == AZURE_SECOND ? "HEAD" : "GET";
	if (azure->step == AZURE_SECOND)
		return;
	if (version != NULL)
		http_request_header(ask->req, "If-Match", "\"%s\"", version);
	object_put_range(ask->req, op, "x-ms-range");
}

static enum cloud_step
put_write(const struct cloud_op *op, struct azure_ask *ask, struct err *err)
{
	if (op->length > AZURE_PUT_MAX)
		return object_refuse(
		    err, -EFBIG, op->path, "is larger than the 5,000 MiB of one upload");
	ask->req->method = "PUT";
	http_request_header(ask->req, "x-ms-blob-type", "BlockBlob");
	azure_put_attributes(ask->req, op);
	azure_put_guard(ask->req, op);
	azure_put_body(ask->req, op);
	return CLOUD_STEP_SEND;
}

/* FIRST: is it a file?  SECOND: it goes.  With a version it goes at once; if it is not that one any
   more, SECOND: is there another? */
static bool
remove_is_due(const struct cloud_op *op)
{
	const struct azure_op *azure = op->data;

	return (op->version != NULL) == (azure->step == AZURE_FIRST);
}

static void
put_remove(const struct cloud_op *op, struct azure_ask *ask)
{
	if (remove_is_due(op))
		ask_delete(ask, op->version);
	else
		ask->req->method = "HEAD";
}

/* FIRST: is it empty?  SECOND: the marker "dir/" goes, if it is there.  THIRD: is there a marker
   "dir"?  FOURTH: it goes.  The service would delete a container with all that is in it, and has no
   condition for that: "Delete Container" knows only the time of the container itself, which blobs
   do not change.  Blocks of uploads that were never finished do not count: nobody sees them, an
   upload that was cancelled leaves them for a week, and one that is under way fails and says so. */
static void
put_rmdir(const struct cloud_op *op, struct azure_ask *ask, const char *prefix)
{
	const struct azure_op *azure = op->data;
	bool container = *ask->place.key == '\0';

	switch (azure->step) {
	case AZURE_FIRST: ask_list(ask, op, prefix, "2"); break;
	case AZURE_SECOND:
		ask_delete(ask, NULL);
		if (container)
			azure_query_add(&ask->query, "restype", "container");
		else
			ask->place.key = prefix;
		break;
	case AZURE_THIRD: ask->req->method = "HEAD"; break;
	case AZURE_FOURTH: ask_delete(ask, op->entry.version); break;
	}
}

/* FIRST: it is made.  SECOND: what is there already? */
static void
put_mkdir(const struct cloud_op *op, struct azure_ask *ask)
{
	const struct azure_op *azure = op->data;

	if (azure->step == AZURE_SECOND) {
		ask->req->method = "HEAD";
		return;
	}
	ask->req->method = "PUT";
	ask->req->body = HTTP_BODY_BYTES;
	if (*ask->place.key == '\0') {
		azure_query_add(&ask->query, "restype", "container");
		return;
	}
	http_request_header(ask->req, "x-ms-blob-type", "BlockBlob");
	http_request_header(ask->req, "x-ms-meta-hdi_isfolder", "true");
	http_request_header(ask->req, "If-None-Match", "*");
}

static bool
op_makes(const struct cloud_op *op)
{
	switch (op->kind) {
	case CLOUD_PUT:
	case CLOUD_COPY:
	case CLOUD_MKDIR:
	case CLOUD_UPLOAD_BEGIN:
	case CLOUD_UPLOAD_PART:
	case CLOUD_COPY_PART:
	case CLOUD_UPLOAD_COMMIT: return true;
	default: return false;
	}
}

/* What cannot be, before anything is asked. */
static enum cloud_step
azure_check_place(const struct cloud_op *op, struct azure_place *place, struct err *err)
{
	const struct azure_account *azure = op->account->data;

	if (!azure_locate(place, azure, op->path))
		return object_refuse(err, op->kind == CLOUD_MKDIR ? -EINVAL : -ENOENT, op->path,
		    "no container can have such a name");
	if (!azure_is_name(place->key))
		return op_makes(op)
		    ? object_refuse(err, -EILSEQ, op->path,
			  "Azure has no names with backslashes or control characters, or with a dot "
			  "at the end")
		    : object_refuse(err, -ENOENT, op->path, "no blob can have such a name");
	switch (op->kind) {
	case CLOUD_LIST: /* paths can express all containers */
		return place->container[0] == '\0' && op->hidden ? CLOUD_STEP_DONE
								 : CLOUD_STEP_SEND;
	case CLOUD_STAT: return CLOUD_STEP_SEND;
	case CLOUD_MOVE:
	case CLOUD_SETATTR:
	case CLOUD_USAGE: return object_refuse(err, -EOPNOTSUPP, op->path, "Azure cannot do this");
	case CLOUD_MKDIR: return *op->path == '\0' ? CLOUD_STEP_DONE : CLOUD_STEP_SEND;
	case CLOUD_RMDIR:
		return *op->path == '\0'
		    ? object_refuse(err, -EBUSY, op->path, "the account's top stays")
		    : CLOUD_STEP_SEND;
	default:
		return *place->key == '\0' ? object_refuse(err, -EISDIR, op->path, "is a directory")
					   : CLOUD_STEP_SEND;
	}
}

static enum cloud_step
azure_put_request(struct cloud_op *op, struct azure_ask *ask, const char *prefix, struct err *err)
{
	const struct azure_op *azure = op->data;

	switch (op->kind) {
	case CLOUD_LIST: /* SECOND: nothing is in it: is it there? */
		if (azure->step == AZURE_SECOND)
			ask->req->method = "HEAD";
		else
			ask_list(ask, op, prefix, AZURE_PAGE);
		break;
	case CLOUD_STAT:
		/* Rights to a container do not include its properties: one of its blobs will do. */
		if (*ask->place.key == '\0' || azure->step == AZURE_SECOND)
			ask_list(ask, op, prefix, "1");
		else
			ask->req->method = "HEAD";
		break;
	case CLOUD_READ: put_read(op, ask); break;
	case CLOUD_PUT: return put_write(op, ask, err);
	case CLOUD_REMOVE: put_remove(op, ask); break;
	case CLOUD_RMDIR: put_rmdir(op, ask, prefix); break;
	case CLOUD_MKDIR: put_mkdir(op, ask); break;
	default: return azure_put_blocks(op, ask, err);
	}
	return CLOUD_STEP_SEND;
}

static enum cloud_step
azure_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct azure_ask ask = {.req = &request->http};
	CLEANUP(cleanup_free) char *prefix = NULL;
	enum cloud_step step;

	if (op->kind == CLOUD_SWEEP)
		return CLOUD_STEP_DONE; /* a PUT is atomic and leaves nothing */
	if (op->kind == CLOUD_LINK)
		return azure_link(op, err);
	step = azure_check_place(op, &ask.place, err);
	if (step != CLOUD_STEP_SEND)
		return step;
	prefix = listing_prefix(op, ask.place.key);
	step = azure_put_request(op, &ask, prefix, err);
	if (step == CLOUD_STEP_SEND &&
	    azure_finish(ask.req, op->account->data, &ask.place, &ask.query, op->now_ms, err) != 0)
		return CLOUD_STEP_FAIL;
	return step;
}

/* Answers */

static enum cloud_step
azure_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct azure_op *azure = op->data;
	uint64_t size = 0;

	if (op->kind != CLOUD_READ || op->length == 0 || azure->step == AZURE_SECOND ||
	    (res->status != 200 && res->status != 206))
		return CLOUD_STEP_COLLECT;
	/* A range from the end on: Azurite's answer, where Azure's is 416. */
	if (res->status == 206 && object_length(&size, op, res, NULL) == 0 && size == 0)
		return CLOUD_STEP_COLLECT;
	if (azure_is_folder(res))
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (object_check_range(op, res, &size, err) != 0)
		return CLOUD_STEP_FAIL;
	azure_take_entry(op, res, size);
	return object_check_named(op, err) == 0 ? CLOUD_STEP_STREAM : CLOUD_STEP_FAIL;
}

/* A page of a list, of what lies below op->path: DONE, or NEXT if there is another one.  A page may
   be empty, and more follow. */
static enum cloud_step
take_page(struct azure_page *page, struct entry_list *into, struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	struct azure_op *azure = op->data;
	struct listing_dir dir = {.path = op->path, .hidden = op->hidden};
	CLEANUP(cleanup_free) char *prefix = NULL;
	struct err why = ERR_INIT;
	struct azure_place place;
	int code;

	azure_locate(&place, op->account->data, op->path);
	dir.prefix = prefix = listing_prefix(op, place.key);
	code = place.container[0] == '\0'
	    ? azure_xml_containers(page, into, res->body.data, res->body.len, &why)
	    : azure_xml_list(page, into, &dir, res->body.data, res->body.len, &why);
	if (code != 0)
		return object_garbled(op, &why, err);
	if (op->page != NULL && strcmp(page->next, op->page) == 0) {
		err_set(&why, -EPROTO, "the list goes round in circles");
		return object_bad_answer(op, &why, err);
	}
	azure->found = azure->found || page->found > 0;
	if (page->next[0] == '\0')
		return CLOUD_STEP_DONE;
	xstrset(&op->page, page->next);
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
list_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct azure_op *azure = op->data;
	struct azure_place place;
	struct azure_page page;
	enum cloud_step step;

	if (azure->step == AZURE_SECOND)
		return azure_is_folder(res)
		    ? CLOUD_STEP_DONE
		    : object_refuse(err, -ENOENT, op->path, "no such directory");
	step = take_page(&page, &op->list, op, res, err);
	if (step != CLOUD_STEP_DONE)
		return step;
	azure_locate(&place, op->account->data, op->path);
	/* An empty directory is a blob beside what is listed. */
	if (!azure->found && *place.key != '\0')
		return azure_next(op, AZURE_SECOND);
	listing_finish(&op->list);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
stat_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct azure_op *azure = op->data;
	struct azure_place place;
	struct azure_page page;
	enum cloud_step step;

	azure_locate(&place, op->account->data, op->path);
	if (*place.key != '\0' && azure->step == AZURE_FIRST)
		return azure_take_head(op, res, err) == 0 ? CLOUD_STEP_DONE : provider_failed(err);
	step = take_page(&page, NULL, op, res, err);
	if (step != CLOUD_STEP_DONE && (step != CLOUD_STEP_NEXT || !azure->found))
		return step;
	if (*place.key != '\0' && !azure->found)
		return object_refuse(err, -ENOENT, op->path, "no such file or directory");
	object_take_directory(op);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
read_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct azure_op *azure = op->data;

	if (azure->step == AZURE_SECOND)
		return object_refuse(err, -ESTALE, op->path,
		    "has changed: it is not the version any more that was asked for");
	if (op->length != 0) /* what was streamed has been looked at in azure_head() */
		return CLOUD_STEP_DONE;
	return azure_take_head(op, res, err) == 0 ? CLOUD_STEP_DONE : provider_failed(err);
}

static enum cloud_step
put_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	if (azure_take_written(op, res, op->length, err) != 0)
		return CLOUD_STEP_FAIL;
	azure_take_digests(&op->entry.digests, res);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
remove_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	if (remove_is_due(op))
		return CLOUD_STEP_DONE;
	if (op->version != NULL)
		return object_refuse(err, -ESTALE, op->path, "has changed, and is not removed");
	if (azure_is_folder(res))
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	return azure_next(op, AZURE_SECOND);
}

static enum cloud_step
rmdir_listed(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct azure_op *azure = op->data;
	struct azure_place place;
	struct azure_page page;
	enum cloud_step step = take_page(&page, NULL, op, res, err);

	if (step != CLOUD_STEP_DONE && step != CLOUD_STEP_NEXT)
		return step;
	azure_locate(&place, op->account->data, op->path);
	azure->marker |= page.marker;
	if (page.found > (*place.key != '\0' && page.marker))
		return object_refuse(err, -ENOTEMPTY, op->path, "directory not empty");
	if (step == CLOUD_STEP_NEXT)
		return step;
	return azure_next(op, azure->marker || *place.key == '\0' ? AZURE_SECOND : AZURE_THIRD);
}

static enum cloud_step
rmdir_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct azure_op *azure = op->data;
	const char *etag = http_header_get(&res->headers, "ETag");
	struct azure_place place;

	azure_locate(&place, op->account->data, op->path);
	switch (azure->step) {
	case AZURE_FIRST: return rmdir_listed(op, res, err);
	case AZURE_SECOND:
		return *place.key == '\0' ? CLOUD_STEP_DONE : azure_next(op, AZURE_THIRD);
	case AZURE_THIRD:
		if (!azure_is_folder(res)) /* beside the directory there was a file */
			return azure->marker
			    ? CLOUD_STEP_DONE
			    : object_refuse(err, -ENOTDIR, op->path, "is not a directory");
		free(op->entry.version);
		op->entry.version = etag == NULL ? NULL : object_version(etag);
		return azure_next(op, AZURE_FOURTH);
	case AZURE_FOURTH: break;
	}
	return CLOUD_STEP_DONE;
}

static enum cloud_step
mkdir_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct azure_op *azure = op->data;

	if (azure->step == AZURE_FIRST || azure_is_folder(res))
		return CLOUD_STEP_DONE;
	return object_refuse(err, -EEXIST, op->path, "is a file");
}

/* Answers that are errors by their status, but not by what the op wants; else CLOUD_STEP_FAIL. */
static enum cloud_step
azure_forgive(struct cloud_op *op, const struct http_response *res, int code, struct err *err)
{
	struct azure_op *azure = op->data;
	struct azure_place place;

	azure_locate(&place, op->account->data, op->path);
	switch (op->kind) {
	case CLOUD_READ: /* from the end on: nothing, and no error */
		if (res->status == 416)
			return CLOUD_STEP_DONE;
		return code == -ESTALE ? azure_next(op, AZURE_SECOND) : CLOUD_STEP_FAIL;
	case CLOUD_REMOVE: return code == -ESTALE ? azure_next(op, AZURE_SECOND) : CLOUD_STEP_FAIL;
	case CLOUD_STAT: /* no such blob: is it a directory? */
		if (code != -ENOENT || *place.key == '\0' || azure->step == AZURE_SECOND)
			return CLOUD_STEP_FAIL;
		return azure_next(op, AZURE_SECOND);
	case CLOUD_MKDIR:
		if (code != -EEXIST)
			return CLOUD_STEP_FAIL;
		return *place.key == '\0' ? CLOUD_STEP_DONE : azure_next(op, AZURE_SECOND);
	case CLOUD_RMDIR: /* gone meanwhile, or there was only "dir/" */
		return code == -ENOENT && azure->marker && azure->step != AZURE_FIRST
		    ? CLOUD_STEP_DONE
		    : CLOUD_STEP_FAIL;
	default: return CLOUD_STEP_FAIL;
	}
}

static enum cloud_step
azure_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;
	enum cloud_step step;
	int code = azure_check(op, res, &why);

	switch (op->kind) {
	case CLOUD_COPY:
	case CLOUD_UPLOAD_PART:
	case CLOUD_COPY_PART:
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_COMMIT: return azure_blocks_response(op, res, code, &why, err);
	default: break;
	}
	if (code != 0) {
		step = azure_forgive(op, res, code, err);
		if (step == CLOUD_STEP_FAIL) {
			*err = why;
			step = provider_failed(&why);
		}
		return step;
	}
	switch (op->kind) {
	case CLOUD_LIST: return list_response(op, res, err);
	case CLOUD_STAT: return stat_response(op, res, err);
	case CLOUD_READ: return read_response(op, res, err);
	case CLOUD_PUT: return put_response(op, res, err);
	case CLOUD_REMOVE: return remove_response(op, res, err);
	case CLOUD_RMDIR: return rmdir_response(op, res, err);
	default: return mkdir_response(op, res, err);
	}
}

/* The service reads the source with a right that its URL brings along: it must be able to reach it.
   Whether it may is found by trying: -EACCES. */
static bool
azure_copies_from(const struct account *to, const struct account *from)
{
	const struct azure_account *one = to->data, *two = from->data;

	return strcmp(one->cloud, two->cloud) == 0;
}

static char *
azure_identity(const struct account *account, const char *path)
{
	const struct azure_account *azure = account->data;
	struct azure_place place;

	if (!azure_locate(&place, azure, path) || place.container[0] == '\0')
		return NULL;
	return xasprintf("azure://%s/%s/%s", azure->service, place.container, place.key);
}

const struct cloud_driver azure_driver = {
    .name = "azure",
    .title = "Azure Blob Storage",
    .transport = CLOUD_HTTP,
    .features = CLOUD_CAN_COPY | CLOUD_KEEPS_METADATA | CLOUD_CAN_LINK | CLOUD_CAN_PULL |
	CLOUD_KEEPS_MTIME | CLOUD_KEEPS_MODE | CLOUD_CHECKS_PUT | CLOUD_HAS_KEYS,
    .limits = {.put_max = AZURE_PUT_MAX,
	.part_min = AZURE_PART_MIN,
	.part_max = AZURE_BLOCK_MAX,
	.part_size = AZURE_PART_SIZE,
	.upload_from = 2 * AZURE_PART_SIZE,
	.parts_max = AZURE_BLOCKS_MAX,
	.copy_max = AZURE_COPY_MAX,
	.concurrency = 32},
    .fields = azure_fields,
    .hashes = HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC64),
    .account_size = sizeof(struct azure_account),
    .op_size = sizeof(struct azure_op),
    .open = azure_open,
    .close = azure_close,
    .request = azure_request,
    .head = azure_head,
    .response = azure_response,
    .copies_from = azure_copies_from,
    .identity = azure_identity,
};
