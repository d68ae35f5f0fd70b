#include "providers/providers.h"
#include <string.h>

static const struct cloud_driver *const drivers[] = {
    &local_driver,
    &memory_driver,
    &s3_driver,
    &azure_driver,
    &gcs_driver,
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
