#include "providers/credential.h"
#include <ctype.h>
#include <string.h>

const char *
credential_get(const struct cloud_field *fields, const json_t *credentials, const char *name)
{
	const char *value = json_string_value(json_object_get(credentials, name));

	if (value != NULL && *value != '\0')
		return value;
	while (fields->name != NULL && strcmp(fields->name, name) != 0)
		fields++;
	return fields->value;
}

bool
credential_is_token(const char *text)
{
	for (; *text != '\0'; text++) {
		if (!isgraph((unsigned char)*text))
			return false;
	}
	return true;
}

int
credential_choose(int *out, const struct cloud_field *fields, const json_t *credentials,
    const char *name, const char *const values[], struct err *err)
{
	const char *value = credential_get(fields, credentials, name);
	CLEANUP(buf_free) struct buf all = BUF_INIT(256);

	for (int i = 0; values[i] != NULL; i++) {
		if (strcmp(values[i], value) == 0) {
			*out = i;
			return 0;
		}
		buf_printf(&all, "%s\"%s\"", i == 0 ? "" : ", ", values[i]);
	}
	return err_set(err, -EINVAL, "%s: '%s' is none of %s", name, value, buf_str(&all));
}

int
credential_ca(
    char **out, const struct cloud_field *fields, const json_t *credentials, struct err *err)
{
	const char *ca = credential_get(fields, credentials, "ca");

	if (ca != NULL && *ca != '/')
		return err_set(err, -EINVAL, "ca: '%s' is not an absolute path", ca);
	*out = xstrdup_null(ca);
	return 0;
}
