/*
 * check: what a request's JSON may hold, as tables.  A handler declares its fields, checks the
 * whole object once, and then reads members with the getters below without further care.
 */
#pragma once
#include "src/err.h"
#include <jansson.h>

enum check_type {
	CHECK_STRING, /* min..max bytes */
	CHECK_BOOL,
	CHECK_INT, /* min..max */
	CHECK_TIME, /* RFC 3339 */
	CHECK_ID, /* a UUID */
	CHECK_OBJECT,
	CHECK_ARRAY,
};

struct check_field {
	const char *name; /* NULL ends the table */
	enum check_type type;
	bool required;
	int64_t min, max;
	const char *instead; /* another, with which it is not required; or NULL */
};

/* Unknown, missing, mistyped and out-of-range members are -EINVAL with a message that names them.
   NULL stands for {}.  Members that are null count as absent. */
int check_object(const json_t *object, const struct check_field *, struct err *);
/* The same for a query, whose values are all strings: INT and BOOL are read from their text. */
int check_query(const json_t *query, const struct check_field *, struct err *);

const char *get_str(const json_t *object, const char *name); /* NULL: absent */
bool get_bool(const json_t *object, const char *name, bool absent);
int64_t
get_int(const json_t *object, const char *name, int64_t absent); /* also from a query's text */
uint64_t get_time(const json_t *object, const char *name); /* ms; 0: absent */
bool get_has(const json_t *object, const char *name);

/* A UUID in any case -> lower case, into out[37]. */
int uuid_canonical(char out[37], const char *text);
void uuid_new(char out[37]);
