/*
 * field: members of JSON objects, read with checks and written without fuss.  Reading: an absent or
 * null member leaves *out as it is and is no error; a wrong type or a value out of range is -EINVAL
 * naming the member.  Writing: what is NULL is left out.
 */
#pragma once
#include "src/err.h"
#include <jansson.h>

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD.  NULL gives NULL. */
json_t *field_text(const char *s);
void
field_set(json_t *object, const char *key, json_t *value); /* value is stolen; NULL: left out */
void field_set_str(json_t *object, const char *key, const char *s);
void field_set_bool(json_t *object, const char *key, bool value);
void field_set_int(json_t *object, const char *key, int64_t value);

/* Replaces the string at *out; at most `max` bytes. */
int field_str(char **out, const json_t *object, const char *key, size_t max, struct err *);
/* Into an array of `size` bytes. */
int field_id(char *out, size_t size, const json_t *object, const char *key, struct err *);
int field_bool(bool *out, const json_t *object, const char *key, struct err *);
int field_int(
    int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, struct err *);
int field_u64(uint64_t *out, const json_t *object, const char *key, uint64_t max, struct err *);
