/*
 * mem: allocation that cannot fail, ownership helpers, and wiping.  Control code that runs out of
 * memory aborts: its state is on disk and restart is the tested recovery.  Sizes that a peer chose
 * must be bounded before they come here.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swap_ = (a);                                                         \
		(a) = (b);                                                                         \
		(b) = swap_;                                                                       \
	} while (0)
/* Give away what a CLEANUP variable owns. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) take_ = (p);                                                         \
		(p) = NULL;                                                                        \
		take_;                                                                             \
	})
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size); /* n * size, checked for overflow */
char *xstrdup(const char *s);
char *xstrdup_null(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t len);
void *xmemdup(const void *p, size_t len);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF(1, 0);
/* Replaces the string at *p by a copy of s (NULL: by NULL). */
void xstrset(char **p, const char *s);

void mem_wipe(void *p, size_t len); /* not optimised away */
void mem_wipe_free(char *s); /* wipes the string, then frees it; NULL is a no-op */

/* For CLEANUP(): each takes the address of the variable. */
void cleanup_free(void *pp); /* any pointer from malloc */
void cleanup_close(int *fd); /* closes if >= 0 */
