#include "src/log.h"
#include "src/buf.h"
#include "src/clock.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};
/* sd-daemon(3): the priorities of syslog in angle brackets */
static const char *const level_priorities[] = {
    [LOG_LEVEL_ERROR] = "<3>",
    [LOG_LEVEL_WARNING] = "<4>",
    [LOG_LEVEL_INFO] = "<6>",
    [LOG_LEVEL_DEBUG] = "<7>",
};

/* Set by log_init() before there are threads; only the level changes later. */
static char program[32] = "skyferry";
static bool to_journal, with_time;
static atomic_int threshold = LOG_LEVEL_INFO;

/* Is stderr the stream that systemd connected to the journal?  systemd.exec(5), JOURNAL_STREAM. */
static bool
log_stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char *end;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	errno = 0;
	dev = strtoull(stream, &end, 10);
	if (errno != 0 || *end != ':')
		return false;
	ino = strtoull(end + 1, &end, 10);
	return errno == 0 && *end == '\0' && dev == st.st_dev && ino == st.st_ino;
}

void
log_init(const char *name, enum log_level level)
{
	snprintf(program, sizeof program, "%s", name);
	to_journal = log_stderr_is_journal();
	with_time = !to_journal && !isatty(STDERR_FILENO);
	log_set_level(level);
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

int
log_level_parse(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(level_names[i], name) == 0)
			return (int)i;
	}
	return -EINVAL;
}

/* Everything that could steer a terminal or fake a line, and bytes that are no UTF-8, become \xNN.
 */
static void
log_escape(struct buf *out, const char *s, size_t len)
{
	size_t i, n;

	for (i = 0; i < len; i += n) {
		unsigned char c = (unsigned char)s[i];

		n = utf8_char_len(s + i, len - i);
		if (n == 0 || c < 0x20 || c == 0x7f) {
			buf_printf(out, "\\x%02x", c);
			n = 1;
		} else if (n == 2 && c == 0xc2 && (unsigned char)s[i + 1] < 0xa0) {
			buf_printf(out, "\\x%02x", (unsigned char)s[i + 1]); /* C1 controls */
		} else {
			buf_add(out, s + i, n);
		}
	}
}

static void PRINTF(2, 0) log_line(enum log_level level, const char *fmt, va_list ap)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LOG_LINE_MAX * 4 + 256);
	char text[LOG_LINE_MAX], time[32];
	size_t done = 0;
	int saved = errno;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	if (to_journal)
		buf_puts(&line, level_priorities[level]);
	else if (with_time)
		buf_printf(&line, "%s ", clock_format(time, sizeof time, clock_ms()));
	if (!to_journal)
		buf_printf(&line, "%s: %s: ", program, level_names[level]);
	log_escape(&line, text, strlen(text));
	buf_putc(&line, '\n');

	/* One write a line: lines of several threads do not mix. */
	while (done < line.len) {
		ssize_t n = write(STDERR_FILENO, line.data + done, line.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* nowhere to complain */
		done += (size_t)n;
	}
	errno = saved;
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_WARNING, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	exit(1);
}
