#include "src/mem.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not through log: that allocates nothing today, but this must never depend on it. */
static _Noreturn void
mem_abort(const char *why)
{
	static const char head[] = "out of memory: ";

	(void)!write(STDERR_FILENO, head, sizeof head - 1);
	(void)!write(STDERR_FILENO, why, strlen(why));
	(void)!write(STDERR_FILENO, "\n", 1);
	abort();
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (p == NULL)
		mem_abort("malloc");
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		mem_abort("calloc");
	return p;
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		mem_abort("size overflow");
	p = realloc(p, total ? total : 1);
	if (p == NULL)
		mem_abort("realloc");
	return p;
}

char *
xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

char *
xstrdup_null(const char *s)
{
	return s == NULL ? NULL : xstrdup(s);
}

char *
xstrndup(const char *s, size_t len)
{
	char *copy = strndup(s, len);

	if (copy == NULL)
		mem_abort("strndup");
	return copy;
}

void *
xmemdup(const void *p, size_t len)
{
	void *copy = xmalloc(len);

	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		mem_abort("vasprintf");
	return s;
}

void
xstrset(char **p, const char *s)
{
	char *old = *p;

	*p = xstrdup_null(s); /* copied first: s may lie inside the old string */
	free(old);
}

void
mem_wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

void
mem_wipe_free(char *s)
{
	if (s == NULL)
		return;
	mem_wipe(s, strlen(s));
	free(s);
}

void
cleanup_free(void *pp)
{
	void *p;

	memcpy(&p, pp, sizeof p); /* pp is the address of a pointer of any type */
	free(p);
}

void
cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
