/*
 * export: the content of an unsized entry (src/entry.h): a document, as its cloud exports it.
 *
 * It is fetched when it is opened, whole, into a spool file.  From then on it is like any other
 * content: it has a size before anything is read of it, ranges, and the same bytes until it is
 * closed, also where it is copied to.  Who opens the same version meanwhile shares it.
 */
#pragma once
#include "fs/extent.h"
#include "fs/task.h"

struct node;

struct export
{
	unsigned refs;
	struct source *source; /* of a spool file that nobody writes */
	uint64_t size;
	char *version; /* of the entry when it was fetched, or NULL */
};

/* What the node's entry is exported as, referenced.  -EFBIG: more than the cloud exports. */
int export_open(struct task *, struct node *, struct export **out, struct err *);
void export_unref(struct node *, struct export *); /* NULL is a no-op */
