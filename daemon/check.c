#include "daemon/check.h"
#include "src/clock.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

int
uuid_canonical(char out[37], const char *text)
{
	uuid_t id;

	if (text == NULL || strlen(text) != 36 || uuid_parse(text, id) != 0)
		return -EINVAL;
	uuid_unparse_lower(id, out);
	return 0;
}

void
uuid_new(char out[37])
{
	uuid_t id;

	uuid_generate_random(id);
	uuid_unparse_lower(id, out);
}

static int
check_no_int(const struct check_field *f, struct err *err)
{
	return err_set(err, -EINVAL, "'%s' must be a whole number from %" PRId64 " to %" PRId64,
	    f->name, f->min, f->max);
}

static int
check_range(const struct check_field *f, int64_t n, struct err *err)
{
	return n >= f->min && n <= f->max ? 0 : check_no_int(f, err);
}

static int
check_string(const struct check_field *f, const char *s, struct err *err)
{
	int64_t len = (int64_t)strlen(s);
	char id[37];
	uint64_t ms;

	switch (f->type) {
	case CHECK_TIME:
		if (clock_parse(&ms, s) != 0)
			return err_set(err, -EINVAL,
			    "'%s' must be a time such as \"2026-11-23T07:00:00Z\"", f->name);
		return 0;
	case CHECK_ID:
		if (uuid_canonical(id, s) != 0)
			return err_set(err, -EINVAL, "'%s' must be a UUID", f->name);
		return 0;
	default:
		if (len == 0 && f->min > 0)
			return err_set(err, -EINVAL, "'%s' must not be empty", f->name);
		if (len < f->min || len > f->max)
			return err_set(err, -EINVAL,
			    "'%s' must have from %" PRId64 " to %" PRId64 " bytes", f->name, f->min,
			    f->max);
		return 0;
	}
}

static int
check_value(const struct check_field *f, const json_t *v, struct err *err)
{
	switch (f->type) {
	case CHECK_STRING:
	case CHECK_TIME:
	case CHECK_ID:
		if (!json_is_string(v))
			return err_set(err, -EINVAL, "'%s' must be a string", f->name);
		return check_string(f, json_string_value(v), err);
	case CHECK_BOOL:
		if (!json_is_boolean(v))
			return err_set(err, -EINVAL, "'%s' must be true or false", f->name);
		return 0;
	case CHECK_INT:
		if (!json_is_integer(v))
			return check_no_int(f, err);
		return check_range(f, json_integer_value(v), err);
	case CHECK_OBJECT:
		if (!json_is_object(v))
			return err_set(err, -EINVAL, "'%s' must be an object", f->name);
		return 0;
	case CHECK_ARRAY:
		if (!json_is_array(v))
			return err_set(err, -EINVAL, "'%s' must be an array", f->name);
		return 0;
	}
	return err_set(err, -EINVAL, "'%s' cannot be checked", f->name);
}

/* Digits and a sign, nothing else. */
static int
text_to_int(int64_t *out, const char *text)
{
	char *end;

	if (!isdigit((unsigned char)text[0]) && text[0] != '-')
		return -EINVAL;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno != 0 || *end != '\0' || end == text ? -EINVAL : 0;
}

static int
check_query_value(const struct check_field *f, const json_t *v, struct err *err)
{
	const char *text = json_string_value(v);
	int64_t n;

	switch (f->type) {
	case CHECK_INT:
		if (text_to_int(&n, text) != 0)
			return check_no_int(f, err);
		return check_range(f, n, err);
	case CHECK_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return err_set(err, -EINVAL, "'%s' must be true or false", f->name);
		return 0;
	default: return check_value(f, v, err);
	}
}

typedef int (*check_value_fn)(const struct check_field *, const json_t *, struct err *);

static int
check_all(
    const json_t *object, const struct check_field *fields, check_value_fn check, struct err *err)
{
	const struct check_field *f;
	const char *name;
	json_t *value;
	int code;

	json_object_foreach ((json_t *)object, name, value) {
		for (f = fields; f->name != NULL && strcmp(f->name, name) != 0; f++)
			continue;
		if (f->name == NULL)
			return err_set(err, -EINVAL, "unknown field '%s'", name);
		if (!json_is_null(value) && (code = check(f, value, err)) != 0)
			return code;
	}
	for (f = fields; f->name != NULL; f++) {
		if (f->required && !get_has(object, f->name) &&
		    (f->instead == NULL || !get_has(object, f->instead)))
			return err_set(err, -EINVAL, "'%s' is required", f->name);
	}
	return 0;
}

int
check_object(const json_t *object, const struct check_field *fields, struct err *err)
{
	return check_all(object, fields, check_value, err);
}

int
check_query(const json_t *query, const struct check_field *fields, struct err *err)
{
	return check_all(query, fields, check_query_value, err);
}

bool
get_has(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return v != NULL && !json_is_null(v);
}

const char *
get_str(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

bool
get_bool(const json_t *object, const char *name, bool absent)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_string(v))
		return strcmp(json_string_value(v), "true") == 0;
	return json_is_boolean(v) ? json_is_true(v) : absent;
}

int64_t
get_int(const json_t *object, const char *name, int64_t absent)
{
	const json_t *v = json_object_get(object, name);
	int64_t n;

	if (json_is_string(v))
		return text_to_int(&n, json_string_value(v)) == 0 ? n : absent;
	return json_is_integer(v) ? json_integer_value(v) : absent;
}

uint64_t
get_time(const json_t *object, const char *name)
{
	const char *text = get_str(object, name);
	uint64_t ms;

	return text != NULL && clock_parse(&ms, text) == 0 ? ms : 0;
}
