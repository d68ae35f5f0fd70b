/*
 * err: the one vocabulary of failures.  A function returns 0 or a negative errno and, with it,
 * fills a struct err: what was being done, to what, what the other side said.  It is written once,
 * where the failure happened; callers pass it on untouched.
 *
 * The table in err.c gives each errno its meaning: API code, HTTP status, and whether to try again.
 */
#pragma once
#include "src/mem.h"
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define ERR_MSG_MAX 512

struct err {
	int code; /* 0, or a negative errno */
	uint64_t wait_ms; /* the other side asked to wait this long; 0: it did not say */
	char msg[ERR_MSG_MAX]; /* one line for a person, no newline, no secret */
};

#define ERR_FEW 3 /* one accident does not happen three times in a row: then it is how they are */

enum err_retry {
	ERR_RETRY_NEVER, /* the same request will fail again */
	ERR_RETRY_BACKOFF, /* transient: later, with exponential backoff */
	ERR_RETRY_FEW, /* perhaps transient: the same, but ERR_FEW tries in all */
	ERR_RETRY_REFRESH, /* after credentials have been refreshed, once */
};

struct err_info {
	int code; /* negative errno */
	const char *name; /* the API's "code": "not_found" */
	int status; /* HTTP status of the API */
	enum err_retry retry;
	const char *text; /* what it means, a few words */
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.code = 0                                                                          \
	}

/* Fills *err (NULL is allowed) and returns code, which must be negative. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/* The same, with ": strerror" appended. */
int err_sys(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
void err_clear(struct err *err);
/* For what keeps an error until it is asked for, and most often has none: *kept becomes a copy of
   err, which replaces the one before; NULL: only that goes.  free() it in the end. */
void err_keep(struct err **kept, const struct err *err);
/* Never NULL: an unknown code gives the entry of -EIO. */
const struct err_info *err_info(int code);
bool err_is_transient(int code); /* retry is ERR_RETRY_BACKOFF or ERR_RETRY_FEW */
/* May it be tried again after so many tries that ended with it?  Callers have limits of their own.
 */
bool err_may_repeat(int code, unsigned tries);
int err_by_name(const char *name); /* API code -> negative errno; -EIO if unknown */
const char *err_text(const struct err *err); /* msg, or the table's text when msg is empty */
/* Walks the table for documentation and tests; NULL ends it. */
const struct err_info *err_table(size_t i);
