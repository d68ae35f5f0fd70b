#include "src/settings.h"
#include "src/buf.h"
#include "src/paths.h"
#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS_ENV  "SKYFERRY_"
#define SETTINGS_LINE 4096 /* more than inih takes */

struct value {
	char *text; /* STRING PATH ENUM; LIST: its elements, each with its NUL */
	size_t text_len; /* LIST */
	int64_t number; /* BOOL INT SIZE TIME */
	int line; /* of the file being read that gave it; 0: none */
};

struct settings {
	struct value *values; /* parallel to the table */
	size_t len;
};

/* Variables that are ours but no settings. */
static const char *const env_others[] = {
    "SKYFERRY_CONFIG",
    "SKYFERRY_CRASH",
    "SKYFERRY_PASSWORD",
    "SKYFERRY_SYSTEM",
    "SKYFERRY_TOKEN",
    "SKYFERRY_URL",
};
static const char *const env_other_prefixes[] = {"SKYFERRY_CREDENTIAL_", "SKYFERRY_TEST_"};

static const struct setting *
settings_find(size_t *index, const char *name)
{
	const struct setting *def;
	size_t i;

	for (i = 0; (def = settings_table(i)) != NULL; i++) {
		if (strcmp(def->name, name) == 0) {
			*index = i;
			return def;
		}
	}
	return NULL;
}

static int
setting_parse_bool(int64_t *out, const char *text)
{
	static const char *const words[][2] = {
	    {"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		for (k = 0; k < 2; k++) {
			if (strcasecmp(text, words[i][k]) == 0) {
				*out = (int64_t)k;
				return 0;
			}
		}
	}
	return -EINVAL;
}

struct unit {
	const char *suffix;
	int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"K", INT64_C(1) << 10},
    {"M", INT64_C(1) << 20},
    {"G", INT64_C(1) << 30},
    {"T", INT64_C(1) << 40},
    {NULL, 0},
};
static const struct unit time_units[] = {
    {"", 1000},
    {"ms", 1},
    {"s", 1000},
    {"m", 60 * 1000},
    {"h", 60 * 60 * 1000},
    {"d", 24 * 60 * 60 * 1000},
    {NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* Digits and a unit, nothing else: no sign, no fraction, no blank. */
static int
setting_parse_number(int64_t *out, const char *text, const struct unit *units)
{
	int64_t number = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(number, INT64_C(10), &number) ||
		    __builtin_add_overflow(number, (int64_t)(*p - '0'), &number))
			return -ERANGE;
	}
	if (p == text)
		return -EINVAL;
	for (; units->suffix != NULL; units++) {
		if (strcasecmp(p, units->suffix) == 0)
			return __builtin_mul_overflow(number, units->factor, out) ? -ERANGE : 0;
	}
	return -EINVAL;
}

int
size_parse(int64_t *out, const char *text)
{
	return setting_parse_number(out, text, size_units);
}

static bool
setting_is_choice(const char *choices, const char *text)
{
	size_t len = strlen(text), n;

	for (;; choices += n + 1) {
		n = strcspn(choices, "|");
		if (n == len && memcmp(choices, text, len) == 0)
			return true;
		if (choices[n] == '\0')
			return false;
	}
}

static const char *
setting_form(enum setting_type type)
{
	switch (type) {
	case SETTING_BOOL: return "must be yes or no";
	case SETTING_INT: return "must be a whole number";
	case SETTING_SIZE: return "must be a size such as 65536, 64K, 16M, 2G or 1T";
	case SETTING_TIME: return "must be a time such as 250ms, 30s, 5m, 2h or 30d";
	default: return "is not possible";
	}
}

/* A bound as a person writes it: in the largest unit that divides it. */
static const char *
setting_bound(char *out, size_t size, enum setting_type type, int64_t number)
{
	const struct unit *units = type == SETTING_SIZE ? size_units
	    : type == SETTING_TIME                      ? time_units
							: no_units;
	const struct unit *best = &units[type == SETTING_TIME ? 1 : 0]; /* factor 1 */
	const struct unit *u;

	for (u = best + 1; u->suffix != NULL; u++) {
		if (number != 0 && number % u->factor == 0)
			best = u;
	}
	snprintf(out, size, "%lld%s", (long long)(number / best->factor), best->suffix);
	return out;
}

static int
setting_parse(int64_t *out, const struct setting *def, const char *text, struct err *err)
{
	char low[32], high[32];
	int64_t number;
	int code;

	switch (def->type) {
	case SETTING_BOOL: code = setting_parse_bool(&number, text); break;
	case SETTING_SIZE: code = setting_parse_number(&number, text, size_units); break;
	case SETTING_TIME: code = setting_parse_number(&number, text, time_units); break;
	default: code = setting_parse_number(&number, text, no_units); break;
	}
	if (code == -EINVAL)
		return err_set(
		    err, -EINVAL, "%s %s, not '%s'", def->name, setting_form(def->type), text);
	if (code == -ERANGE ||
	    (def->type != SETTING_BOOL && (number < def->min || number > def->max)))
		return err_set(err, -EINVAL, "%s must be from %s to %s, not '%s'", def->name,
		    setting_bound(low, sizeof low, def->type, def->min),
		    setting_bound(high, sizeof high, def->type, def->max), text);
	*out = number;
	return 0;
}

static char *
setting_expand(const char *text)
{
	const char *home = getenv("HOME");

	if (strncmp(text, "~/", 2) != 0 || home == NULL || home[0] == '\0')
		return xstrdup(text);
	return paths_join(home, text + 2);
}

/* Adds the ':'-separated elements of text; empty ones are skipped. */
static void
setting_list_add(struct value *v, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, ":");

		if (n > 0) {
			CLEANUP(cleanup_free) char *item = xstrndup(text, n);
			CLEANUP(cleanup_free) char *full = setting_expand(item);
			size_t len = strlen(full) + 1;

			v->text = xrealloc(v->text, v->text_len + len, 1);
			memcpy(v->text + v->text_len, full, len);
			v->text_len += len;
		}
		text += n + (text[n] == ':');
	}
}

static int
setting_assign(struct value *v, const struct setting *def, const char *text, struct err *err)
{
	switch (def->type) {
	case SETTING_STRING: xstrset(&v->text, text); return 0;
	case SETTING_PATH:
		free(v->text);
		v->text = setting_expand(text);
		return 0;
	case SETTING_ENUM:
		if (!setting_is_choice(def->choices, text))
			return err_set(err, -EINVAL, "%s must be one of %s, not '%s'", def->name,
			    def->choices, text);
		xstrset(&v->text, text);
		return 0;
	case SETTING_LIST:
		xstrset(&v->text, NULL);
		v->text_len = 0;
		setting_list_add(v, text);
		return 0;
	default: return setting_parse(&v->number, def, text, err);
	}
}

struct settings *
settings_new(void)
{
	struct settings *s = xcalloc(1, sizeof *s);
	const struct setting *def;

	while (settings_table(s->len) != NULL)
		s->len++;
	s->values = xcalloc(s->len, sizeof *s->values);
	for (size_t i = 0; (def = settings_table(i)) != NULL; i++) {
		int code = setting_assign(&s->values[i], def, def->value, NULL);

		assert(code == 0);
	}
	return s;
}

void
settings_free(struct settings *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->len; i++)
		free(s->values[i].text);
	free(s->values);
	free(s);
}

int
settings_set(struct settings *s, const char *name, const char *value, struct err *err)
{
	const struct setting *def;
	size_t i;

	def = settings_find(&i, name);
	if (def == NULL)
		return err_set(err, -EINVAL, "there is no setting '%s'", name);
	return setting_assign(&s->values[i], def, value, err);
}

int
settings_set_arg(struct settings *s, const char *arg, struct err *err)
{
	CLEANUP(cleanup_free) char *name = NULL;
	const char *equals = strchr(arg, '=');

	if (equals == NULL || equals == arg)
		return err_set(err, -EINVAL, "'%s' is not of the form section.name=value", arg);
	name = xstrndup(arg, (size_t)(equals - arg));
	return settings_set(s, name, equals + 1, err);
}

/* What the callbacks of inih share.  inih goes on after an error; we keep the first. */
struct settings_file {
	struct settings *settings;
	FILE *file;
	int line; /* that was read last */
	int code;
	struct err why;
	int why_line;
};

static void
settings_file_fail(struct settings_file *f, int code)
{
	if (f->code != 0)
		return;
	f->code = code;
	f->why_line = f->line;
}

/* inih's fgets.  It cuts lines at the size of its buffer and takes the rest for a line of its own,
   so a longer one is an error here.  An indented line would go on with the value before: no
   surprise of that kind, blanks in front are taken off. */
static char *
settings_file_read(char *out, int size, void *arg)
{
	struct settings_file *f = arg;
	char line[SETTINGS_LINE];
	size_t blank, len;

	if (f->code != 0 || fgets(line, sizeof line, f->file) == NULL)
		return NULL;
	f->line++;
	blank = strspn(line, " \t");
	len = strlen(line + blank);
	if (len >= (size_t)size ||
	    (blank + len == sizeof line - 1 && line[sizeof line - 2] != '\n')) {
		settings_file_fail(
		    f, err_set(&f->why, -EINVAL, "the line is longer than %d bytes", size - 2));
		return NULL;
	}
	memcpy(out, line + blank, len + 1);
	return out;
}

static int
settings_file_set(struct settings_file *f, const char *name, const char *text)
{
	const struct setting *def;
	struct value *v;
	size_t i;

	def = settings_find(&i, name);
	if (def == NULL)
		return err_set(&f->why, -EINVAL, "there is no setting '%s'", name);
	v = &f->settings->values[i];
	if (v->line != 0 && def->type != SETTING_LIST)
		return err_set(&f->why, -EINVAL, "%s was given already in line %d", name, v->line);
	if (v->line != 0) { /* a LIST may be given in several lines */
		setting_list_add(v, text);
		return 0;
	}
	v->line = f->line;
	return setting_assign(v, def, text, &f->why);
}

static int
settings_file_handle(void *arg, const char *section, const char *key, const char *text)
{
	struct settings_file *f = arg;
	CLEANUP(cleanup_free) char *name = xasprintf("%s.%s", section, key);
	int code;

	if (f->code != 0)
		return 0;
	if (section[0] == '\0')
		code = err_set(&f->why, -EINVAL, "'%s' stands before the first [section]", key);
	else
		code = settings_file_set(f, name, text);
	if (code != 0)
		settings_file_fail(f, code);
	return code == 0;
}

int
settings_load_file(struct settings *s, const char *path, bool required, struct err *err)
{
	struct settings_file f = {.settings = s};
	struct stat st;
	size_t i;
	int line;

	f.file = fopen(path, "re");
	if (f.file == NULL) {
		if (errno == ENOENT && !required)
			return 0;
		return err_sys(err, -errno, "cannot open the configuration file %s", path);
	}
	if (fstat(fileno(f.file), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(f.file);
		return err_set(err, -EISDIR, "the configuration file %s is a directory", path);
	}
	for (i = 0; i < s->len; i++)
		s->values[i].line = 0;
	line = ini_parse_stream(settings_file_read, &f, settings_file_handle, &f);
	if (ferror(f.file)) {
		f.code = err_sys(&f.why, -EIO, "cannot be read");
		f.why_line = f.line;
	} else if (line != 0 && (f.code == 0 || line < f.why_line)) {
		/* inih's own: a line that it could not read stands before ours */
		f.code = err_set(&f.why, -EINVAL, "this is neither a [section] nor 'name = value'");
		f.why_line = line;
	}
	fclose(f.file);
	return f.code == 0 ? 0 : err_set(err, f.code, "%s:%d: %s", path, f.why_line, f.why.msg);
}

static bool
settings_env_is_other(const char *variable, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(env_others); i++) {
		if (strlen(env_others[i]) == len && memcmp(env_others[i], variable, len) == 0)
			return true;
	}
	for (i = 0; i < ARRAY_LEN(env_other_prefixes); i++) {
		if (strncmp(variable, env_other_prefixes[i], strlen(env_other_prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* SKYFERRY_TRANSFER_MAX is transfer.max. */
static const struct setting *
settings_find_env(size_t *index, const char *variable, size_t len)
{
	const struct setting *def;
	size_t i, k, prefix = strlen(SETTINGS_ENV);

	for (i = 0; (def = settings_table(i)) != NULL; i++) {
		if (strlen(def->name) != len - prefix)
			continue;
		for (k = 0; k < len - prefix; k++) {
			char c =
			    def->name[k] == '.' ? '_' : (char)toupper((unsigned char)def->name[k]);

			if (variable[prefix + k] != c)
				break;
		}
		if (k == len - prefix) {
			*index = i;
			return def;
		}
	}
	return NULL;
}

int
settings_load_env(struct settings *s, struct err *err)
{
	struct err why = ERR_INIT;
	char **at;

	for (at = environ; *at != NULL; at++) {
		const char *equals = strchr(*at, '=');
		const struct setting *def;
		size_t i, len;
		int code;

		if (strncmp(*at, SETTINGS_ENV, strlen(SETTINGS_ENV)) != 0 || equals == NULL)
			continue;
		len = (size_t)(equals - *at);
		if (settings_env_is_other(*at, len))
			continue;
		def = settings_find_env(&i, *at, len);
		if (def == NULL)
			return err_set(err, -EINVAL, "there is no setting for %.*s",
			    (int)MIN(len, (size_t)200), *at);
		code = setting_assign(&s->values[i], def, equals + 1, &why);
		if (code != 0)
			return err_set(err, code, "%.*s: %s", (int)len, *at, why.msg);
	}
	return 0;
}

int
settings_load(struct settings *s, struct err *err)
{
	const char *named = getenv("SKYFERRY_CONFIG");
	bool is_named = named != NULL && named[0] != '\0';
	CLEANUP(cleanup_free) char *path = is_named ? xstrdup(named) : paths_config_file();
	int code = settings_load_file(s, path, is_named, err);

	return code != 0 ? code : settings_load_env(s, err);
}

static bool
value_equals(const struct value *a, const struct value *b)
{
	if (a->number != b->number || a->text_len != b->text_len)
		return false;
	if (a->text_len > 0)
		return memcmp(a->text, b->text, a->text_len) == 0;
	return (a->text == NULL) == (b->text == NULL) &&
	    (a->text == NULL || strcmp(a->text, b->text) == 0);
}

void
settings_keep(struct settings *s, const struct settings *from, void (*told)(const char *name))
{
	const struct setting *def;
	size_t i;

	for (i = 0; (def = settings_table(i)) != NULL; i++) {
		struct value *v = &s->values[i];
		const struct value *old = &from->values[i];

		if (def->reload || value_equals(v, old))
			continue;
		told(def->name);
		free(v->text);
		*v = *old;
		v->text =
		    old->text_len > 0 ? xmemdup(old->text, old->text_len) : xstrdup_null(old->text);
	}
}

static const struct value *
settings_value(const struct settings *s, const char *name, unsigned types)
{
	const struct setting *def;
	size_t i;

	def = settings_find(&i, name);
	assert(def != NULL && (types & 1u << def->type));
	return &s->values[i];
}

const char *
settings_str(const struct settings *s, const char *name)
{
	return settings_value(
	    s, name, 1u << SETTING_STRING | 1u << SETTING_PATH | 1u << SETTING_ENUM)
	    ->text;
}

bool
settings_bool(const struct settings *s, const char *name)
{
	return settings_value(s, name, 1u << SETTING_BOOL)->number != 0;
}

int64_t
settings_int(const struct settings *s, const char *name)
{
	return settings_value(s, name, 1u << SETTING_INT | 1u << SETTING_SIZE | 1u << SETTING_TIME)
	    ->number;
}

const char *
settings_list(const struct settings *s, const char *name, size_t i)
{
	const struct value *v = settings_value(s, name, 1u << SETTING_LIST);
	size_t at = 0;

	for (; at < v->text_len; at += strlen(v->text + at) + 1) {
		if (i-- == 0)
			return v->text + at;
	}
	return NULL;
}
