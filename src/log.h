/*
 * log: lines for people, to stderr; with journal priorities ("<6>...") when stderr is the journal
 * (JOURNAL_STREAM is set).  A line begins with the id of what it is about.  Secrets never come
 * here. Control characters in the finished line are escaped (\xNN).  Safe from any thread.
 */
#pragma once
#include "src/mem.h"
#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *program, enum log_level level);
void log_set_level(enum log_level level);
int log_level_parse(const char *name); /* "error" "warning" "info" "debug"; -EINVAL */
void log_error(const char *fmt, ...) PRINTF(1, 2);
void log_warning(const char *fmt, ...) PRINTF(1, 2);
void log_info(const char *fmt, ...) PRINTF(1, 2);
void log_debug(const char *fmt, ...) PRINTF(1, 2);
_Noreturn void log_fatal(const char *fmt, ...) PRINTF(1, 2); /* error line, then exit(1) */
