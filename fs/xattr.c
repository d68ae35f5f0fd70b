/*
 * Extended attributes: what is known of a file here, in the names user.skyferry.*; all answered
 * from memory, because the kernel asks for security.capability before every write.  None can be
 * set.
 */
#include "fs/ops.h"
#include "fs/overlay.h"
#include <string.h>

#define XATTR_PREFIX "user.skyferry."

typedef void (*xattr_fn)(struct node *, const struct view *, struct buf *);

static void
xattr_transfer(struct node *node, const struct view *view, struct buf *out)
{
	if (node->file != NULL)
		buf_puts(out, node->file->id);
}

static void
xattr_status(struct node *node, const struct view *view, struct buf *out)
{
	static const char *const names[] = {"writing", "pending", "queued", "queued", "failed"};

	if (view != NULL && node->file->state != FILE_HELD)
		buf_puts(out, change_state_name(view->change->state));
	else if (node->file != NULL && (node->file->id[0] != '\0' || file_is_dirty(node->file)))
		buf_puts(out, names[node->file->state]);
	else
		buf_puts(out, "completed");
}

static void
xattr_progress(struct node *node, const struct view *view, struct buf *out)
{
	if (view != NULL && view->change->bytes_total != UINT64_MAX)
		buf_printf(out, "%llu/%llu", (unsigned long long)view->change->bytes_done,
		    (unsigned long long)view->change->bytes_total);
}

static void
xattr_etag(struct node *node, const struct view *view, struct buf *out)
{
	if (node->file == NULL && node->entry.version != NULL)
		buf_puts(out, node->entry.version);
}

static void
xattr_content_type(struct node *node, const struct view *view, struct buf *out)
{
	if (node->file == NULL && node->entry.content_type != NULL)
		buf_puts(out, node->entry.content_type);
}

static void
xattr_hash(struct node *node, const struct view *view, struct buf *out)
{
	int type;

	if (node->file != NULL)
		return;
	for (type = 0; type < HASH_TYPES; type++) {
		if ((node->entry.digests.have & HASH_BIT(type)) == 0)
			continue;
		if (out->len > 0)
			buf_putc(out, ' ');
		buf_printf(out, "%s:", hash_name((enum hash_type)type));
		buf_put_hex(out, node->entry.digests.sum[type], hash_size((enum hash_type)type));
	}
}

static const struct {
	const char *name;
	xattr_fn get;
} xattrs[] = {
    {XATTR_PREFIX "transfer", xattr_transfer},
    {XATTR_PREFIX "status", xattr_status},
    {XATTR_PREFIX "progress", xattr_progress},
    {XATTR_PREFIX "etag", xattr_etag},
    {XATTR_PREFIX "content_type", xattr_content_type},
    {XATTR_PREFIX "hash", xattr_hash},
};

static const struct view *
xattr_view(struct node *node)
{
	if (node->file == NULL || node->file->id[0] == '\0')
		return NULL;
	return overlay_view(node->fs->overlay, node->file->id);
}

/* Size 0 asks for the length. */
static void
xattr_reply(fuse_req_t req, const struct buf *value, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, value->len);
	else if (size < value->len)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, buf_str(value), value->len);
}

void
op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(64 * 1024);
	struct fs *fs = fuse_req_userdata(req);
	struct node *node;
	size_t i;

	if (strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX)) != 0) {
		fuse_reply_err(req, strncmp(name, "system.", 7) == 0 ? EOPNOTSUPP : ENODATA);
		return;
	}
	node = node_by_ino(fs, ino);
	for (i = 0; node != NULL && node->kind == NODE_FILE && i < ARRAY_LEN(xattrs); i++) {
		if (strcmp(name, xattrs[i].name) == 0)
			xattrs[i].get(node, xattr_view(node), &value);
	}
	if (value.len == 0)
		fuse_reply_err(req, ENODATA);
	else
		xattr_reply(req, &value, size);
}

void
op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	CLEANUP(buf_free) struct buf names = BUF_INIT(64 * 1024), value = BUF_INIT(64 * 1024);
	struct fs *fs = fuse_req_userdata(req);
	struct node *node = node_by_ino(fs, ino);
	size_t i;

	for (i = 0; node != NULL && node->kind == NODE_FILE && i < ARRAY_LEN(xattrs); i++) {
		buf_reset(&value);
		xattrs[i].get(node, xattr_view(node), &value);
		if (value.len > 0)
			buf_add(&names, xattrs[i].name, strlen(xattrs[i].name) + 1);
	}
	xattr_reply(req, &names, size);
}

void
op_setxattr(
    fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

void
op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	fuse_reply_err(req, EOPNOTSUPP);
}
