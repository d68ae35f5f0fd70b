/*
 * args: a command's arguments, parsed by its table of options; the same table prints the help,
 * feeds the completions and is compared with the manual page by a test.
 *
 * Options may stand before and after operands; "--" ends them.  "--name=value", "--name value",
 * "-nvalue",
 * "-n value", "-abc".  Names are not abbreviated: a script must not break when an option is added.
 */
#pragma once
#include "src/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct option_def {
	char letter; /* 0: none */
	const char *name; /* without "--"; NULL: only the letter */
	const char *value; /* what the value is called in the help; NULL: a flag */
	const char *help;
};

struct args;
/* `options` ends with an entry that has neither letter nor name; it must live as long as the args,
   and so must argv.  With `stop` the first operand ends the options: what follows belongs to a
   command. -EINVAL names the argument. */
int args_parse(struct args **out, const struct option_def *options, int argc, char **argv,
    bool stop, struct err *);
void args_free(struct args *);

/* `name` is the option's name, or its letter as a string if it has no name; it must be in the
 * table. */
bool args_has(const struct args *, const char *name);
const char *args_value(const struct args *, const char *name); /* the last one, or NULL */
const char *args_value_at(const struct args *, const char *name, size_t i); /* the i-th, or NULL */
/* A whole number min..max, `value` if the option is absent; -EINVAL names the option. */
/* Bytes a second, as "10M"; "0": no limit.  `what` names it in the message. */
int rate_parse(int64_t *out, const char *what, const char *text, struct err *err);
int args_number(
    const struct args *, const char *name, long value, long min, long max, long *out, struct err *);

size_t args_count(const struct args *); /* operands */
char *args_operand(const struct args *, size_t i); /* asserts that it is there */

/* One line an option, two spaces in front. */
void args_print_options(FILE *, const struct option_def *);
