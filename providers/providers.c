#include "providers/providers.h"
#include <string.h>

static const struct cloud_driver *const drivers[] = {
    &local_driver,
    &memory_driver,
    &s3_driver,
    &azure_driver,
    &gcs_driver,
    &dropbox_driver,
    &gdrive_driver,
};

const struct cloud_driver *
provider_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	}
	return NULL;
}

const struct cloud_driver *
provider_at(size_t i)
{
	return i < ARRAY_LEN(drivers) ? drivers[i] : NULL;
}

/* What a cloud is called by its owner's name: the first whose fields (none: any) are given. */
static const struct {
	const char *name, *driver;
	const char *fields[4]; /* ended by a NULL */
} owners[] = {
    {"aws", "s3", {NULL}},
    {"google", "gcs", {"bucket", "project", "serviceAccount", NULL}},
    {"google", "gdrive", {NULL}},
};

static bool
has_one_of(const json_t *credentials, const char *const fields[])
{
	bool has = *fields == NULL;

	for (; *fields != NULL && !has; fields++)
		has = json_object_get(credentials, *fields) != NULL;
	return has;
}

const char *
provider_choose(const char *name, const json_t *credentials)
{
	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		if (strcmp(owners[i].name, name) == 0 && has_one_of(credentials, owners[i].fields))
			return owners[i].driver;
	}
	return name;
}

enum cloud_step
provider_failed(const struct err *err)
{
	switch (err_info(err->code)->retry) {
	case ERR_RETRY_BACKOFF:
	case ERR_RETRY_FEW: return CLOUD_STEP_RETRY;
	case ERR_RETRY_REFRESH: return CLOUD_STEP_REFRESH;
	case ERR_RETRY_NEVER: break;
	}
	return CLOUD_STEP_FAIL;
}
