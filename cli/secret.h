/*
 * secret: how values that must not be seen come in: from a terminal without echo, a file, or the
 * environment.  Never from arguments, which every process can read.  What is returned here is wiped
 * with mem_wipe_free().
 */
#pragma once
#include "src/buf.h"
#include "src/err.h"
#include <jansson.h>

bool secret_can_ask(void); /* stdin is a terminal */
/* Asks on the terminal; the line without its newline.  With `hide` nothing is echoed, and the
   terminal is put right again before any signal ends or stops the program. */
int secret_ask(char **out, const char *prompt, bool hide, struct err *err);
/* A new password, asked for twice. */
int secret_ask_new(char **out, const char *prompt, struct err *err);
/* One value: the file's first line; "-": standard input. */
int secret_read_line(char **out, const char *file, struct err *err);
/* Many: JSON ({"name": "value"}), or lines "name = value" ('#' and ';' begin a comment line; those
   in a section [NAME] count only for the account of that name).  "-": standard input.  A file that
   others can read earns a warning.  *out: an object of strings; caller decrefs. */
int secret_read_file(json_t **out, const char *file, const char *account, struct err *err);
/* The parser of secret_read_file(), for tests. */
int secret_parse(
    json_t **out, const char *text, const char *account, const char *name, struct err *err);
/* SKYFERRY_CREDENTIAL_ACCESS_KEY_ID for "accessKeyId", or NULL. */
const char *secret_from_env(const char *field);
void secret_env_name(char *out, size_t size, const char *field);
