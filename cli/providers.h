/*
 * providers: what the daemon says of the clouds it knows (/api/providers).
 */
#pragma once
#include "cli/cli.h"

int providers_load(struct cli *, json_t **out, struct err *); /* the array; caller decrefs */
/* -EINVAL names those there are.  *out is borrowed from `providers`. */
int providers_find(const json_t **out, const json_t *providers, const char *name, struct err *);
const json_t *provider_field(const json_t *provider, const char *name); /* or NULL */
char *provider_field_names(const json_t *provider); /* "root, sync"; caller frees */
