/*
 * settings: every setting of every program, in one table (settings_table.c): name, type, range,
 * default and help.  A test checks that each is in the man page skyferry.conf(5).  A value comes
 * from, later wins: the default, the configuration file (ini: [section] name = value makes
 * "section.name"), the environment (SKYFERRY_SECTION_NAME), the command line (--set
 * section.name=value).
 *
 * A settings object is filled while a program starts, by one thread, and is read-only afterwards; a
 * reload builds a new one.
 */
#pragma once
#include "src/err.h"

enum setting_type {
	SETTING_STRING,
	SETTING_PATH, /* "~/" is expanded */
	SETTING_BOOL, /* yes no true false on off 1 0 */
	SETTING_INT, /* min..max */
	SETTING_SIZE, /* bytes, with K M G T (1024) suffixes; min..max */
	SETTING_TIME, /* milliseconds, from "250ms", "30s" (default unit), "5m", "2h", "30d";
			 min..max */
	SETTING_ENUM, /* one of `choices`, separated by '|' */
	SETTING_LIST, /* strings separated by ':' */
};

struct setting {
	const char *name; /* "transfer.max" */
	enum setting_type type;
	const char *value; /* default, in the form the file has */
	int64_t min, max; /* INT, SIZE, TIME (ms) */
	const char *choices; /* ENUM */
	bool reload; /* SIGHUP takes it over */
	const char *help;
};

struct settings;
struct settings *settings_new(void); /* defaults */
void settings_free(struct settings *);
/* A missing file is an error only if `required`.  Unknown names and bad values name file and line.
 */
int settings_load_file(struct settings *, const char *path, bool required, struct err *);
int settings_load_env(struct settings *, struct err *); /* reads environ */
int settings_set(struct settings *, const char *name, const char *value, struct err *);
/* "name=value", as on the command line. */
int settings_set_arg(struct settings *, const char *arg, struct err *);
/* File (SKYFERRY_CONFIG, else paths_config_file()), then environment. */
int settings_load(struct settings *, struct err *);

/* For a reload: what must not change while a program runs (no `reload`) keeps the value of `from`;
   each of these that was given another is told. */
void settings_keep(struct settings *, const struct settings *from, void (*told)(const char *name));

/* The name must be in the table with that type (asserted). */
const char *settings_str(const struct settings *, const char *name); /* STRING PATH ENUM */
bool settings_bool(const struct settings *, const char *name);
int64_t settings_int(const struct settings *, const char *name); /* INT SIZE TIME */
/* LIST: the i-th element, NULL past the end. */
const char *settings_list(const struct settings *, const char *name, size_t i);

const struct setting *settings_table(size_t i); /* NULL ends it */

/* A size as settings have it: "65536", "64K", "16M"; -EINVAL, -ERANGE. */
int size_parse(int64_t *out, const char *text);
