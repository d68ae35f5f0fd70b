/*
 * providers: the one table of drivers.
 */
#pragma once
#include "src/cloud.h"

const struct cloud_driver *provider_find(const char *name); /* NULL if unknown */
const struct cloud_driver *provider_at(size_t i); /* NULL ends the table */

/* The name of the driver that is meant by `name`, a driver's own or that of a cloud's owner ("aws",
   "google"), by the fields that are given with it.  Not NULL; whether there is one is not asked. */
const char *provider_choose(const char *name, const json_t *credentials);

/* What a driver's `response` returns for the error it has set: retry, refresh or fail, by err's
 * table. */
enum cloud_step provider_failed(const struct err *);

extern const struct cloud_driver memory_driver, local_driver, s3_driver, azure_driver, gcs_driver,
    dropbox_driver, gdrive_driver;
