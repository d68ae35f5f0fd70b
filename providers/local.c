/*
 * The local driver: a directory as an account.  Every op is one disk request, one to one; what
 * keeps it inside its root and makes writes atomic is in src/disk.h.
 *
 * A large file is written in parts, so that it goes on where it was when the daemon was killed.
 * They come in order: so the hash of the whole is computed as if it were written in one go.  The
 * upload's id is the inode and the id of its temporary file.
 */
#include "providers/object.h"
#include "providers/providers.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_PART_SIZE ((uint64_t)32 << 20) /* enough that to ask for the next costs little */
#define LOCAL_PARTS_MAX 10000

struct local_account {
	struct disk_root *root; /* opened by the first op */
	bool fsync;
};

static const struct cloud_field local_fields[] = {
    {
	.name = "root",
	.title = "Directory",
	.help = "Absolute path of the directory; nothing outside it is ever touched",
	.required = true,
    },
    {
	.name = "fsync",
	.title = "Flush to disk",
	.help = "\"yes\": a file is on disk before it counts as written; \"no\": faster, and lost "
		"with the power",
	.value = "yes",
    },
    {.name = NULL},
};

/* The root was resolved when the account was made.  Whoever may write above it could put a symlink
   in its place: none is followed.  That it is there is seen by the first op, on the pool. */
static int
local_open(struct account *account, const json_t *credentials, struct err *err)
{
	struct local_account *local = account->data;
	const char *root = json_string_value(json_object_get(credentials, "root"));
	const char *flush = json_string_value(json_object_get(credentials, "fsync"));

	if (root == NULL || root[0] != '/')
		return err_set(err, -EINVAL, "root: '%s' is not an absolute path%s",
		    root == NULL ? "" : root,
		    root != NULL && root[0] == '~' ? " ('~' is not expanded)" : "");
	if (flush != NULL && strcmp(flush, "yes") != 0 && strcmp(flush, "no") != 0)
		return err_set(err, -EINVAL, "fsync: '%s' is neither \"yes\" nor \"no\"", flush);
	local->fsync = flush == NULL || strcmp(flush, "yes") == 0;
	return disk_root_new(&local->root, root, err);
}

static void
local_close(struct account *account)
{
	struct local_account *local = account->data;

	disk_root_unref(local->root);
}

static bool
local_copies_from(const struct account *to, const struct account *from)
{
	return true; /* the kernel copies between any two directories */
}

static void
local_put_write(struct cloud_op *op, struct disk_request *req)
{
	req->temp_id = xstrdup_null(op->put.temp_id);
	req->mtime_ns = op->put.mtime_ns;
	req->mode = op->put.mode;
	req->no_replace = op->put.no_replace;
}

static int
local_upload(struct cloud_op *op, struct disk_request *req, struct err *err)
{
	char *end;

	req->inode = op->upload == NULL ? 0 : strtoull(op->upload, &end, 16);
	if (req->inode == 0 || *end != ' ' || end[1] == '\0' || strchr(end, '/') != NULL) {
		req->inode = 0;
		return err_set(err, -ENOENT, "'%s': there is no such upload", op->path);
	}
	free(req->temp_id);
	req->temp_id = xstrdup(end + 1);
	return 0;
}

static enum cloud_step
local_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	static const enum disk_verb verbs[CLOUD_OP_KINDS] = {
	    [CLOUD_LIST] = DISK_LIST,
	    [CLOUD_STAT] = DISK_STAT,
	    [CLOUD_READ] = DISK_READ,
	    [CLOUD_PUT] = DISK_WRITE,
	    [CLOUD_COPY] = DISK_COPY,
	    [CLOUD_MOVE] = DISK_RENAME,
	    [CLOUD_REMOVE] = DISK_UNLINK,
	    [CLOUD_RMDIR] = DISK_RMDIR,
	    [CLOUD_MKDIR] = DISK_MKDIR,
	    [CLOUD_SETATTR] = DISK_SETATTR,
	    [CLOUD_USAGE] = DISK_STATVFS,
	    [CLOUD_SWEEP] = DISK_SWEEP,
	    [CLOUD_UPLOAD_BEGIN] = DISK_UPLOAD_BEGIN,
	    [CLOUD_UPLOAD_PART] = DISK_UPLOAD_PART,
	    [CLOUD_UPLOAD_STATUS] = DISK_UPLOAD_STATUS,
	    [CLOUD_UPLOAD_COMMIT] = DISK_UPLOAD_COMMIT,
	    [CLOUD_UPLOAD_ABORT] = DISK_UPLOAD_ABORT,
	};
	const struct local_account *local = op->account->data;
	struct disk_request *req = &request->disk;

	if (op->kind == CLOUD_UPLOAD_FIND)
		return CLOUD_STEP_DONE; /* a temp whose id was lost has the change's name: it is
					   swept, or taken away by the next */
	req->verb = verbs[op->kind];
	req->root = local->root;
	req->path = xstrdup(op->path);
	req->path2 = xstrdup_null(op->path2);
	req->version = xstrdup_null(op->version);
	req->offset = op->offset;
	req->length = op->length;
	req->max = op->max;
	req->after = xstrdup_null(op->after);
	req->no_follow = op->no_follow;
	req->fsync = local->fsync;
	switch (op->kind) {
	case CLOUD_READ:
		req->offset += op->streamed;
		if (op->length != UINT64_MAX)
			req->length -= op->streamed;
		if (req->version == NULL && op->streamed > 0)
			req->version = xstrdup_null(op->entry.version);
		break;
	case CLOUD_COPY:
		/* The disk's copy goes from path to path2, ours from path2 to path. */
		req->root = ((const struct local_account *)op->from->data)->root;
		req->root2 = local->root;
		free(req->path);
		req->path = TAKE(req->path2);
		req->path2 = xstrdup(op->path);
		local_put_write(op, req);
		break;
	case CLOUD_PUT:
	case CLOUD_MOVE:
	case CLOUD_SETATTR:
	case CLOUD_UPLOAD_BEGIN: local_put_write(op, req); break;
	case CLOUD_SWEEP:
		local_put_write(op, req);
		local_upload(op, req, NULL); /* none: all goes */
		break;
	case CLOUD_UPLOAD_PART:
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_COMMIT:
	case CLOUD_UPLOAD_ABORT:
		local_put_write(op, req);
		req->digests = op->put.digests;
		if (local_upload(op, req, err) != 0)
			return CLOUD_STEP_FAIL;
		break;
	default: break;
	}
	return CLOUD_STEP_SEND;
}

static enum cloud_step
local_disk_response(struct cloud_op *op, struct disk_response *res, struct err *err)
{
	if (res->code != 0) {
		if (err != NULL)
			*err = res->err;
		return provider_failed(&res->err);
	}
	/* What does not come with this verb is empty. */
	if (res->entry.path != NULL) {
		entry_fini(&op->entry);
		op->entry = res->entry;
		entry_init(&res->entry);
	}
	if (op->kind == CLOUD_LIST) {
		entry_list_fini(&op->list);
		op->list = res->entries;
		res->entries = (struct entry_list){.items = NULL};
		op->more = res->more;
	}
	op->usage = res->usage;
	if (op->kind == CLOUD_UPLOAD_BEGIN)
		op->upload = xasprintf("%" PRIx64 " %s", res->inode, op->put.temp_id);
	op->part.length = op->length;
	return CLOUD_STEP_DONE;
}

/* Roots may overlap.  A root is a real path, else no op on it begins (disk_root.h): so its name
   says where it is, also before it was opened.  What symlinks and bind mounts below it hide is
   found by the version, which has the inode in it: a file that was written anew is not the one that
   is to be removed. */
static char *
local_identity(const struct account *account, const char *path)
{
	const struct local_account *local = account->data;
	const char *root = disk_root_path(local->root);

	return xasprintf("%s/%s", strcmp(root, "/") == 0 ? "" : root, path);
}

const struct cloud_driver local_driver = {
    .name = "local",
    .title = "A directory of this machine",
    .transport = CLOUD_DISK,
    .features = CLOUD_CAN_COPY | CLOUD_CAN_MOVE | CLOUD_CAN_MOVE_DIR | CLOUD_HAS_DIRECTORIES |
	CLOUD_KEEPS_MTIME | CLOUD_KEEPS_MODE | CLOUD_CAN_SETATTR | CLOUD_UPLOADS_UNTOLD,
    .limits = {.put_max = UINT64_MAX,
	.part_min = 1,
	.part_max = UINT64_MAX,
	.part_size = LOCAL_PART_SIZE,
	.upload_from = 2 * LOCAL_PART_SIZE,
	.parts_max = LOCAL_PARTS_MAX,
	.in_order = true,
	.concurrency = 16},
    .fields = local_fields,
    .hashes = 0,
    .account_size = sizeof(struct local_account),
    .open = local_open,
    .close = local_close,
    .request = local_request,
    .disk_response = local_disk_response,
    .copies_from = local_copies_from,
    .identity = local_identity,
};
