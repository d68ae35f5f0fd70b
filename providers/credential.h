/*
 * credential: what an account's fields hold, for the drivers' open().
 */
#pragma once
#include "src/cloud.h"

/* A value, or the field's default; NULL if neither is there.  "" counts as not there. */
const char *credential_get(const struct cloud_field *, const json_t *credentials, const char *name);
/* Printable ASCII without blanks: what may stand in a URL or a header. */
bool credential_is_token(const char *text);
/* The place of a field's value among `values`, ended by NULL; -EINVAL naming them. */
int credential_choose(int *out, const struct cloud_field *, const json_t *credentials,
    const char *name, const char *const values[], struct err *);
/* The field "ca": a file's absolute path, or nothing (NULL).  Caller frees. */
int credential_ca(char **out, const struct cloud_field *, const json_t *credentials, struct err *);
