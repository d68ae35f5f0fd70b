/*
 * sse: a parser of server-sent events (WHATWG HTML, "Server-sent events"), fed with chunks that may
 * be cut anywhere.  A line and an event's data have a limit: more is -EPROTO.
 */
#pragma once
#include "src/buf.h"
#include "src/err.h"

#define SSE_LINE_MAX (1024 * 1024)

/* False ends the feeding (the parser may be gone). */
typedef bool (*sse_event_fn)(void *arg, const char *event, const struct buf *data);

struct sse {
	struct buf line, event, data;
	bool after_cr; /* "\r\n" is one end of line */
	bool has_data;
};

void sse_init(struct sse *);
void sse_fini(struct sse *);
int sse_feed(struct sse *, const char *bytes, size_t len, sse_event_fn,
    void *arg); /* 0, -EPROTO, -ECANCELED */
