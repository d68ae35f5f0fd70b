#include "cli/args.h"
#include "src/mem.h"
#include "src/settings.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct args_given {
	const struct option_def *option;
	const char *value; /* NULL: a flag */
};

struct args {
	const struct option_def *options;
	struct args_given *given;
	size_t given_len;
	char **operands;
	size_t operands_len;
};

static bool
option_is_last(const struct option_def *o)
{
	return o->letter == 0 && o->name == NULL;
}

static const struct option_def *
option_by_letter(const struct option_def *o, char letter)
{
	for (; !option_is_last(o); o++) {
		if (o->letter != 0 && o->letter == letter)
			return o;
	}
	return NULL;
}

static const struct option_def *
option_by_name(const struct option_def *o, const char *name, size_t len)
{
	for (; !option_is_last(o); o++) {
		if (o->name != NULL && strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

/* As the callers name it: see args_has() in the header. */
static const struct option_def *
option_find(const struct args *args, const char *name)
{
	const struct option_def *o = option_by_name(args->options, name, strlen(name));

	if (o == NULL && strlen(name) == 1)
		o = option_by_letter(args->options, name[0]);
	assert(o != NULL);
	return o;
}

static void
args_add(struct args *args, const struct option_def *option, const char *value)
{
	args->given = xrealloc(args->given, args->given_len + 1, sizeof(*args->given));
	args->given[args->given_len++] = (struct args_given){option, value};
}

/* argv[*i] is "--name" or "--name=value". */
static int
args_parse_long(struct args *args, int argc, char **argv, int *i, struct err *err)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct option_def *o = option_by_name(args->options, name, len);

	if (o == NULL)
		return err_set(err, -EINVAL, "there is no option --%.*s", (int)len, name);
	if (o->value == NULL) {
		if (equals != NULL)
			return err_set(err, -EINVAL, "--%s takes no value", o->name);
		args_add(args, o, NULL);
		return 0;
	}
	if (equals == NULL && *i + 1 >= argc)
		return err_set(err, -EINVAL, "--%s needs a value (%s)", o->name, o->value);
	args_add(args, o, equals != NULL ? equals + 1 : argv[++*i]);
	return 0;
}

/* argv[*i] is "-abc" or "-ovalue". */
static int
args_parse_short(struct args *args, int argc, char **argv, int *i, struct err *err)
{
	for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
		const struct option_def *o = option_by_letter(args->options, *p);

		if (o == NULL)
			return err_set(err, -EINVAL, "there is no option -%c", *p);
		if (o->value == NULL) {
			args_add(args, o, NULL);
			continue;
		}
		if (p[1] == '\0' && *i + 1 >= argc)
			return err_set(err, -EINVAL, "-%c needs a value (%s)", *p, o->value);
		args_add(args, o, p[1] != '\0' ? p + 1 : argv[++*i]);
		return 0;
	}
	return 0;
}

int
args_parse(struct args **out, const struct option_def *options, int argc, char **argv, bool stop,
    struct err *err)
{
	struct args *args = xcalloc(1, sizeof(*args));
	bool ended = false;
	int code = 0;

	args->options = options;
	args->operands = xcalloc((size_t)argc + 1, sizeof(*args->operands));
	for (int i = 0; i < argc && code == 0; i++) {
		if (!ended && strcmp(argv[i], "--") == 0) {
			ended = true;
		} else if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			args->operands[args->operands_len++] = argv[i];
			ended = ended || stop;
		} else if (argv[i][1] == '-') {
			code = args_parse_long(args, argc, argv, &i, err);
		} else {
			code = args_parse_short(args, argc, argv, &i, err);
		}
	}
	if (code < 0)
		args_free(args);
	else
		*out = args;
	return code;
}

void
args_free(struct args *args)
{
	if (args == NULL)
		return;
	free(args->given);
	free(args->operands);
	free(args);
}

bool
args_has(const struct args *args, const char *name)
{
	const struct option_def *o = option_find(args, name);

	for (size_t i = 0; i < args->given_len; i++) {
		if (args->given[i].option == o)
			return true;
	}
	return false;
}

const char *
args_value_at(const struct args *args, const char *name, size_t i)
{
	const struct option_def *o = option_find(args, name);

	for (size_t n = 0; n < args->given_len; n++) {
		if (args->given[n].option == o && i-- == 0)
			return args->given[n].value;
	}
	return NULL;
}

const char *
args_value(const struct args *args, const char *name)
{
	const char *value = NULL, *next;

	for (size_t i = 0; (next = args_value_at(args, name, i)) != NULL; i++)
		value = next;
	return value;
}

int
args_number(const struct args *args, const char *name, long value, long min, long max, long *out,
    struct err *err)
{
	const char *text = args_value(args, name);
	char *end;

	if (text != NULL) {
		errno = 0;
		value = strtol(text, &end, 10);
		if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
			return err_set(err, -EINVAL,
			    "--%s takes a number from %ld to %ld, not '%s'", name, min, max, text);
	}
	*out = value;
	return 0;
}

int
rate_parse(int64_t *out, const char *what, const char *text, struct err *err)
{
	if (size_parse(out, text) == 0)
		return 0;
	return err_set(err, -EINVAL,
	    "%s takes bytes a second such as 500K, 10M or 1G (0: no limit), not '%s'", what, text);
}

size_t
args_count(const struct args *args)
{
	return args->operands_len;
}

char *
args_operand(const struct args *args, size_t i)
{
	assert(i < args->operands_len);
	return args->operands[i];
}

void
args_print_options(FILE *file, const struct option_def *o)
{
	char text[64], letter[8];

	for (; !option_is_last(o); o++) {
		letter[0] = '\0';
		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c", o->letter);
		snprintf(text, sizeof(text), "%s%s%s%s%s%s", letter,
		    o->letter != 0 && o->name != NULL ? ", " : "", o->name != NULL ? "--" : "",
		    o->name != NULL ? o->name : "", o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		fprintf(file, "  %-24s %s\n", text, o->help);
	}
}
