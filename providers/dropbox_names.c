/*
 * Names that are one to the service, since they differ only in case (or in how Unicode writes
 * them).
 *
 * What is written under the one takes the place of what is there under the other, and what is
 * written in a folder comes to lie in the one that is there: two of somebody's files or directories
 * would become one, and nothing would say so.  So nothing is written but by the name that the
 * service shows, nor removed.
 *
 * A small file is written at once, and removed again if the answer shows that it lies elsewhere.
 * What cannot be taken back (a folder) or costs much (a large file) is preceded by a look.
 *
 * An answer shows the name in "path_display", of which only the last component is to be relied on.
 * If one of those above is another there, its folder is asked for its name.
 */
#include "providers/dropbox_private.h"
#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX 64 /* bits of `odd`: folders deeper than that are not compared */

static unsigned
path_levels(const char *full)
{
	unsigned levels = 0;

	for (; *full != '\0'; full++)
		levels += *full == '/';
	return levels;
}

static unsigned
root_levels(const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;

	return *dropbox->root == '\0' ? 0 : path_levels(dropbox->root) + 1;
}

/* The component at *at, which moves behind it. */
static size_t
next_name(const char **name, const char **at)
{
	size_t len;

	*name = *at + 1; /* behind the slash */
	len = strcspn(*name, "/");
	*at = *name + len;
	return len;
}

bool
dropbox_is_elsewhere(struct cloud_op *op, const char *path, const json_t *metadata)
{
	CLEANUP(cleanup_free) char *full = dropbox_path(op->account->data, path);
	const char *shown = dropbox_text(metadata, "path_display"), *one, *two, *ours = full;
	unsigned levels = path_levels(full);
	struct dropbox_op *dropbox = op->data;

	dropbox->odd = 0;
	if (levels != path_levels(shown) || *shown != '/')
		return false; /* it is not said where it is */
	for (unsigned level = 0; level + 1 < MIN(levels, LEVELS_MAX); level++) {
		size_t len = next_name(&one, &ours);

		if ((next_name(&two, &shown) != len || memcmp(one, two, len) != 0) &&
		    level >= root_levels(op))
			dropbox->odd |= UINT64_C(1) << level;
	}
	return dropbox->odd != 0;
}

/* The path's first components: as many as lead to the first folder that is odd.  Caller frees. */
static char *
odd_folder(const struct cloud_op *op, const char *path)
{
	const struct dropbox_op *dropbox = op->data;
	unsigned levels = (unsigned)__builtin_ctzll(dropbox->odd) - root_levels(op);
	const char *end = path;

	for (;; end++) {
		end += strcspn(end, "/");
		if (levels-- == 0)
			return xstrndup(path, (size_t)(end - path));
	}
}

void
dropbox_ask_above(const struct cloud_op *op, struct http_request *req, const char *path)
{
	CLEANUP(cleanup_free) char *folder = odd_folder(op, path);
	const struct dropbox_account *dropbox = op->account->data;

	dropbox_rpc(req, dropbox, "files/get_metadata", dropbox_path_arg(dropbox, folder));
}

static int
check_name(const struct cloud_op *op, const char *path, const char *part, const char *shown,
    struct err *err)
{
	CLEANUP(cleanup_free) char *dir = path_parent(part);
	CLEANUP(cleanup_free) char *there = path_child(dir, shown);

	if (*shown == '\0' || strcmp(shown, path_name(part)) == 0)
		return 0;
	return err_set(err, -EILSEQ,
	    "cannot %s '%s': to Dropbox '%s' and '%s', which is there, are one name",
	    object_doing(op), path, part, there);
}

int
dropbox_check_name(const struct cloud_op *op, const char *path, const char *shown, struct err *err)
{
	return check_name(op, path, path, shown, err);
}

enum cloud_step
dropbox_above_response(
    struct cloud_op *op, const char *path, const struct dropbox_result *result, struct err *err)
{
	CLEANUP(cleanup_free) char *folder = odd_folder(op, path);
	struct dropbox_op *dropbox = op->data;
	json_t *metadata;
	int code;

	if (result->code != 0 && result->code != -ENOENT) /* it may have gone meanwhile */
		return dropbox_failed(result, err);
	metadata = result->code != 0 ? NULL : dropbox_parse(op, result->res, err);
	if (result->code == 0 && metadata == NULL)
		return CLOUD_STEP_FAIL;
	code = check_name(op, path, folder, dropbox_text(metadata, "name"), err);
	json_decref(metadata);
	if (code != 0)
		return CLOUD_STEP_FAIL;
	dropbox->odd &= dropbox->odd - 1;
	return dropbox->odd == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_NEXT;
}

/* What dropbox_ask_place() asks for.  Caller frees. */
static char *
place_of(const struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;
	unsigned up = dropbox->up + (op->kind == CLOUD_MKDIR);
	char *place = xstrdup(op->path), *slash;

	for (; up > 0; up--) {
		slash = strrchr(place, '/');
		*(slash == NULL ? place : slash) = '\0';
	}
	return place;
}

bool
dropbox_ask_place(const struct cloud_op *op, struct http_request *req)
{
	const struct dropbox_account *account = op->account->data;
	const struct dropbox_op *dropbox = op->data;
	CLEANUP(cleanup_free) char *place = place_of(op);

	if (*place == '\0')
		return false;
	if (dropbox->odd != 0)
		dropbox_ask_above(op, req, op->path);
	else
		dropbox_rpc(req, account, "files/get_metadata", dropbox_path_arg(account, place));
	return true;
}

static enum cloud_step
judge_place(struct cloud_op *op, const char *place, const json_t *metadata, struct err *err)
{
	bool is_above = strcmp(place, op->path) != 0;
	struct dropbox_object there;

	if (dropbox_object(&there, metadata, err) != 0 ||
	    check_name(op, op->path, place, there.name, err) != 0)
		return CLOUD_STEP_FAIL;
	if (there.is_folder != is_above)
		return is_above
		    ? object_refuse(err, -ENOTDIR, op->path, "something above it is a file")
		    : object_refuse(err, -EISDIR, op->path, "is a directory");
	return dropbox_is_elsewhere(op, place, metadata) ? CLOUD_STEP_NEXT
							 : dropbox_next(op, DROPBOX_ACT);
}

enum cloud_step
dropbox_place_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	CLEANUP(cleanup_free) char *place = place_of(op);
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step;
	json_t *metadata;

	if (dropbox->odd != 0) {
		step = dropbox_above_response(op, op->path, result, err);
		return step == CLOUD_STEP_DONE ? dropbox_next(op, DROPBOX_ACT) : step;
	}
	if (result->code == -ENOENT) {
		dropbox->up++;
		return strchr(place, '/') != NULL ? CLOUD_STEP_NEXT : dropbox_next(op, DROPBOX_ACT);
	}
	if (result->code != 0)
		return dropbox_failed(result, err);
	metadata = dropbox_metadata(op, result->res, err);
	step = metadata == NULL ? CLOUD_STEP_FAIL : judge_place(op, place, metadata, err);
	json_decref(metadata);
	return step;
}
