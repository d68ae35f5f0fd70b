/*
 * providers: the one table of drivers.
 */
#pragma once
#include "src/cloud.h"

const struct cloud_driver *provider_find(const char *name); /* NULL if unknown */
const struct cloud_driver *provider_at(size_t i); /* NULL ends the table */

/* What a driver's `response` returns for the error it has set: retry, refresh or fail, by err's
 * table. */
enum cloud_step provider_failed(const struct err *);

extern const struct cloud_driver memory_driver, local_driver, s3_driver, azure_driver, gcs_driver;
