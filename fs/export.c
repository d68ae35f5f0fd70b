#include "fs/export.h"
#include "fs/node.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "src/ring.h"
#include <stdlib.h>
#include <string.h>

#define EXPORT_TRIES 3 /* what breaks off is fetched again from the start */
#define EXPORT_CHUNK (256 * 1024) /* the largest piece that a transport puts at once */

/* More than there may be: it is let pass, and nothing of it kept. */
static void
export_on_bytes(void *arg, const void *buf, size_t len)
{
	struct ring *ring = arg;

	if (ring_held(ring) > ENTRY_UNSIZED_MAX)
		ring_reset(ring);
}

/* All of it is in the ring, or an error. */
static int
export_fetch_once(struct task *task, struct account *account, const char *path, struct ring *ring,
    struct err *err)
{
	struct cloud_op *op = cloud_op_new(account, CLOUD_READ, path);
	uint64_t streamed;
	int code;

	op->length = UINT64_MAX;
	op->ring = ring;
	code = task_op(task, op, err);
	streamed = op->streamed;
	cloud_op_free(op);
	if (code == 0 && streamed > ENTRY_UNSIZED_MAX)
		return err_set(err, -EFBIG, "'%s': its export has %llu bytes, which is too much",
		    path, (unsigned long long)streamed);
	return code;
}

static int
export_fetch(
    struct task *task, struct node *node, const char *path, struct ring *ring, struct err *err)
{
	struct remote *remote = node->remote;
	struct account *account;
	int code = -EIO, tries;
	bool again = true;

	for (tries = 0; code != 0 && again && tries < EXPORT_TRIES; tries++) {
		ring_reset(ring);
		err_clear(err);
		code = remote_open(task, remote, &account, err);
		if (code != 0)
			return code;
		code = export_fetch_once(task, account, path, ring, err);
		again =
		    code == -ECONNRESET || (tries == 0 && remote_refused(remote, account, code));
		cloud_account_unref(account);
	}
	return code;
}

/* Into a spool file, in one piece. */
static int
export_spool(struct task *task, struct source **out, struct ring *ring, struct err *err)
{
	size_t len = ring_held(ring);
	struct spool *spool;
	char *data;
	int code = spool_new(task, &spool);

	if (code == 0 && len > 0) {
		data = xmalloc(len);
		ring_get(ring, data, len);
		code = spool_write(task, spool, data, len, 0);
		if (code != 0)
			spool_unref(spool);
	}
	if (code == -EDQUOT)
		return err_set(err, code,
		    "the spool, which has to hold an export, holds as much as it may (spool.quota)");
	if (code != 0)
		return err_sys(err, code, "the spool directory %s", task->fs->spool_dir);
	spool_seal(spool);
	*out = source_spool(spool);
	return 0;
}

static bool
export_is_of(const struct export *export, const struct node *node)
{
	const char *now = node->entry.version;

	return export->version != NULL && now != NULL && strcmp(export->version, now) == 0;
}

int
export_open(struct task *task, struct node *node, struct export **out, struct err *err)
{
	CLEANUP(cleanup_free) char *path = node_path(node);
	CLEANUP(cleanup_free) char *version = xstrdup_null(node->entry.version);
	struct source *source = NULL;
	struct export *export;
	struct ring *ring;
	int code;

	if (node->export != NULL && export_is_of(node->export, node)) {
		node->export->refs++;
		*out = node->export;
		return 0;
	}
	ring = ring_new(ENTRY_UNSIZED_MAX + EXPORT_CHUNK, EXPORT_CHUNK);
	ring_tap(ring, export_on_bytes, ring);
	code = export_fetch(task, node, path, ring, err);
	if (code == 0)
		code = export_spool(task, &source, ring, err);
	ring_free(ring);
	if (code != 0)
		return code;
	export = xcalloc(1, sizeof(*export));
	export->refs = 1;
	export->source = source;
	export->size = spool_end(source->spool);
	export->version = TAKE(version);
	node->export = export;
	if (node->entry.unsized)
		node->entry.size = export->size;
	*out = export;
	return 0;
}

void
export_unref(struct node *node, struct export *export)
{
	if (export == NULL || --export->refs > 0)
		return;
	if (node->export == export)
		node->export = NULL;
	source_unref(export->source);
	free(export->version);
	free(export);
}
