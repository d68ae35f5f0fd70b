#include "src/crash.h"
#include "src/log.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const table[] = {
    "store.before_commit",
    "store.after_commit",
    "attempt.before_request",
    "attempt.after_request",
    "attempt.before_verified",
    "attempt.after_verified",
    "attempt.before_remove_source",
    "attempt.after_remove_source",
    "upload.before_begin",
    "upload.after_begin",
    "upload.after_part",
    "upload.before_commit",
    "upload.after_commit",
    "queue.before_finish",
    "queue.after_finish",
    "queue.after_claim",
    "tokens.rotated",
    "disk.before_rename",
    "disk.after_rename",
    "mount.before_pending",
    "mount.after_pending",
    "mount.before_commit",
    "mount.after_commit",
};

/* Written by crash_init() before there are threads. */
static const char *armed;
static atomic_ulong passes_left;

static const char *
crash_find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		if (strlen(table[i]) == len && memcmp(table[i], name, len) == 0)
			return table[i];
	}
	return NULL;
}

void
crash_init(void)
{
	const char *value = getenv("SKYFERRY_CRASH");
	unsigned long passes = 1;
	size_t len;
	char *end;

	armed = NULL;
	if (value == NULL || value[0] == '\0')
		return;
	len = strcspn(value, ":");
	if (value[len] == ':') {
		errno = 0;
		passes = strtoul(value + len + 1, &end, 10);
		if (errno != 0 || *end != '\0' || value[len + 1] < '0' || value[len + 1] > '9' ||
		    passes == 0)
			log_fatal(
			    "SKYFERRY_CRASH=%s: what follows ':' must be a number from 1", value);
	}
	armed = crash_find(value, len);
	if (armed == NULL)
		log_fatal("SKYFERRY_CRASH=%s: there is no crash point of that name", value);
	atomic_store(&passes_left, passes);
}

void
crash_point(const char *name)
{
	const char *point;

	if (__builtin_expect(armed == NULL, 1))
		return;
	point = crash_find(name, strlen(name));
	assert(point != NULL);
	if (point == armed && atomic_fetch_sub(&passes_left, 1) == 1)
		raise(SIGKILL);
}

const char *
crash_table(unsigned i)
{
	return i < ARRAY_LEN(table) ? table[i] : NULL;
}
