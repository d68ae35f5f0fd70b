#include "cli/providers.h"
#include <string.h>

#define NAMES_MAX 4096

int
providers_load(struct cli *cli, json_t **out, struct err *err)
{
	json_t *answer = NULL;
	int code = cli_call(cli, &answer, "GET", NULL, err, "/api/providers");

	if (code < 0)
		return code;
	if (!json_is_array(answer)) {
		json_decref(answer);
		return err_set(err, -EPROTO, "the daemon's answer is no list of providers");
	}
	*out = answer;
	return 0;
}

/* The "name"s of an array of objects: "a, b, c". */
static char *
names_of(const json_t *array)
{
	struct buf names = BUF_INIT(NAMES_MAX);
	const json_t *item;
	size_t i;

	buf_puts(&names, "");
	json_array_foreach (array, i, item)
		buf_printf(&names, "%s%s", i > 0 ? ", " : "", json_str(item, "name"));
	return names.data != NULL ? buf_take(&names) : xstrdup("");
}

int
providers_find(const json_t **out, const json_t *providers, const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *known = NULL;
	const json_t *provider;
	size_t i;

	json_array_foreach (providers, i, provider) {
		if (strcmp(json_str(provider, "name"), name) == 0) {
			*out = provider;
			return 0;
		}
	}
	known = names_of(providers);
	return err_set(err, -EINVAL, "there is no provider '%s'; there are %s", name, known);
}

const json_t *
provider_field(const json_t *provider, const char *name)
{
	const json_t *field;
	size_t i;

	json_array_foreach (json_object_get(provider, "fields"), i, field) {
		if (strcmp(json_str(field, "name"), name) == 0)
			return field;
	}
	return NULL;
}

char *
provider_field_names(const json_t *provider)
{
	return names_of(json_object_get(provider, "fields"));
}
