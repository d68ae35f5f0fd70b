/*
 * driver_bench: one op of a driver, from requests written to answers understood; no network.
 */
#pragma once
#include "providers/providers.h"
#include "tests/unit/check.h"

#define NOW_MS 1369353600000 /* 20130524T000000Z */

struct bench {
	struct account account;
	struct cloud_op op;
	struct cloud_request request;
	struct http_response response;
	struct err err;
};

/* Are these credentials accepted?  why: NULL, or what their refusal begins with; secrets in them
   are "hush", which it does not repeat. */
void bench_credentials(const struct cloud_driver *, const char *credentials, const char *why);
void bench_open_driver(struct bench *, const struct cloud_driver *, const char *credentials);
void bench_close(struct bench *);
void bench_op(struct bench *, enum cloud_op_kind, const char *path);
const char *bench_header(const struct bench *, const char *name);
/* Asks for the next request and compares method and URL. */
void bench_expect(struct bench *, const char *method, const char *url);
/* A CHANGES op; cursor: or NULL. */
void bench_changes(struct bench *, const char *cursor);
/* What a CHANGES op has told: each with a slash at its end, of a tree also a star. */
void bench_expect_changed(const struct bench *, const char *cursor, const char *changed);
/* headers: "Name: value" lines. */
enum cloud_step bench_answer(struct bench *, int status, const char *headers, const char *body);
