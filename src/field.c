#include "src/field.h"
#include "src/buf.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define FIELD_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

json_t *
field_text(const char *s)
{
	size_t len, good = 0, n;
	json_t *value;

	if (s == NULL)
		return NULL;
	len = strlen(s);
	n = utf8_valid_len(s, len);
	if (n == len) {
		value = json_stringn_nocheck(s, len);
	} else {
		CLEANUP(buf_free) struct buf clean = BUF_INIT(3 * len);

		for (; good < len; good += n) {
			n = utf8_valid_len(s + good, len - good);
			buf_add(&clean, s + good, n);
			if (good + n == len)
				break;
			buf_puts(&clean, FIELD_REPLACEMENT);
			n++;
		}
		value = json_stringn_nocheck(clean.data, clean.len);
	}
	assert(value != NULL);
	return value;
}

void
field_set(json_t *object, const char *key, json_t *value)
{
	int ok;

	if (value == NULL)
		return;
	ok = json_object_set_new_nocheck(object, key, value);
	assert(ok == 0);
}

void
field_set_str(json_t *object, const char *key, const char *s)
{
	field_set(object, key, field_text(s));
}

void
field_set_bool(json_t *object, const char *key, bool value)
{
	field_set(object, key, json_boolean(value));
}

void
field_set_int(json_t *object, const char *key, int64_t value)
{
	field_set(object, key, json_integer(value));
}

static const json_t *
field_get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

int
field_str(char **out, const json_t *object, const char *key, size_t max, struct err *err)
{
	const json_t *value = field_get(object, key);

	if (value == NULL)
		return 0;
	if (!json_is_string(value))
		return err_set(err, -EINVAL, "'%s' must be a string", key);
	if (json_string_length(value) > max)
		return err_set(err, -EINVAL, "'%s' is longer than %zu bytes", key, max);
	if (strlen(json_string_value(value)) != json_string_length(value))
		return err_set(err, -EINVAL, "'%s' has a NUL in it", key);
	xstrset(out, json_string_value(value));
	return 0;
}

int
field_id(char *out, size_t size, const json_t *object, const char *key, struct err *err)
{
	CLEANUP(cleanup_free) char *s = NULL;
	int code = field_str(&s, object, key, size - 1, err);

	if (code == 0 && s != NULL)
		memcpy(out, s, strlen(s) + 1);
	return code;
}

int
field_bool(bool *out, const json_t *object, const char *key, struct err *err)
{
	const json_t *value = field_get(object, key);

	if (value == NULL)
		return 0;
	if (!json_is_boolean(value))
		return err_set(err, -EINVAL, "'%s' must be true or false", key);
	*out = json_is_true(value);
	return 0;
}

int
field_int(
    int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, struct err *err)
{
	const json_t *value = field_get(object, key);

	if (value == NULL)
		return 0;
	if (!json_is_integer(value))
		return err_set(err, -EINVAL, "'%s' must be a whole number", key);
	if (json_integer_value(value) < min || json_integer_value(value) > max)
		return err_set(
		    err, -EINVAL, "'%s' must be from %" PRId64 " to %" PRId64, key, min, max);
	*out = json_integer_value(value);
	return 0;
}

int
field_u64(uint64_t *out, const json_t *object, const char *key, uint64_t max, struct err *err)
{
	int64_t value = -1;
	int code = field_int(&value, object, key, 0, (int64_t)MIN(max, (uint64_t)INT64_MAX), err);

	if (code == 0 && value >= 0)
		*out = (uint64_t)value;
	return code;
}
