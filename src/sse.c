#include "src/sse.h"
#include <string.h>

void
sse_init(struct sse *sse)
{
	*sse = (struct sse){
	    .line = BUF_INIT(SSE_LINE_MAX),
	    .event = BUF_INIT(256),
	    .data = BUF_INIT(SSE_LINE_MAX),
	};
}

void
sse_fini(struct sse *sse)
{
	buf_free(&sse->line);
	buf_free(&sse->event);
	buf_free(&sse->data);
}

static void
sse_field(struct sse *sse, const char *line)
{
	size_t len = strcspn(line, ":");
	const char *value = line[len] == ':' ? line + len + 1 : line + len;

	value += *value == ' ';
	if (len == 5 && strncmp(line, "event", len) == 0) {
		buf_reset(&sse->event);
		buf_puts(&sse->event, value);
	} else if (len == 4 && strncmp(line, "data", len) == 0) {
		if (sse->has_data)
			buf_putc(&sse->data, '\n');
		buf_puts(&sse->data, value);
		sse->has_data = true;
	}
}

/* A blank line: the event is complete. */
static int
sse_dispatch(struct sse *sse, sse_event_fn fn, void *arg)
{
	bool has_data = sse->has_data;

	if (has_data && !fn(arg, sse->event.len > 0 ? buf_str(&sse->event) : "message", &sse->data))
		return -ECANCELED; /* the parser may be gone */
	buf_reset(&sse->event);
	buf_reset(&sse->data);
	sse->has_data = false;
	return 0;
}

static int
sse_line(struct sse *sse, sse_event_fn fn, void *arg)
{
	int code = 0;

	if (sse->line.len == 0) {
		code = sse_dispatch(sse, fn, arg);
	} else {
		if (sse->line.data[0] != ':')
			sse_field(sse, sse->line.data);
		buf_reset(&sse->line);
		if (sse->data.failed || sse->event.failed)
			code = -EPROTO;
	}
	return code;
}

int
sse_feed(struct sse *sse, const char *bytes, size_t len, sse_event_fn fn, void *arg)
{
	size_t n;
	int code;

	while (len > 0) {
		if (sse->after_cr && *bytes == '\n') {
			sse->after_cr = false;
			bytes++;
			len--;
			continue;
		}
		sse->after_cr = false;
		for (n = 0; n < len && bytes[n] != '\n' && bytes[n] != '\r'; n++)
			;
		if (!buf_add(&sse->line, bytes, n))
			return -EPROTO;
		if (n == len)
			return 0;
		sse->after_cr = bytes[n] == '\r';
		bytes += n + 1;
		len -= n + 1;
		code = sse_line(sse, fn, arg);
		if (code != 0)
			return code;
	}
	return 0;
}
