/*
 * dropbox_request: requests of the Dropbox API v2 ("HTTP documentation"): arguments as JSON, in the
 * body ("RPC endpoints") or, where the body is content, in a header.
 */
#pragma once
#include "providers/dropbox_account.h"

#define DROPBOX_REV_MAX 64 /* with its NUL: "Rev", hexadecimal digits */

/* Each takes its arguments' reference.  `route`: "files/upload". */
void
dropbox_rpc(struct http_request *, const struct dropbox_account *, const char *route, json_t *arg);
/* Of a route that asks nobody who he is ("auth": "noauth"), and waits before it answers. */
void dropbox_notify(
    struct http_request *, const struct dropbox_account *, const char *route, json_t *arg);
/* An empty body, unless the caller makes it one. */
void dropbox_content(
    struct http_request *, const struct dropbox_account *, const char *route, json_t *arg);
/* {"path": of the account's path}. */
json_t *dropbox_path_arg(const struct dropbox_account *, const char *path);
/* {"from_path", "to_path", "autorename": false} */
json_t *dropbox_paths_arg(const struct dropbox_account *, const char *from, const char *to);
/* "CommitInfo": where, instead of what, with which time the op's content becomes a file.  rev: it
   takes the place of that revision; NULL or "": of nothing. */
json_t *dropbox_commit_arg(const struct cloud_op *, const char *rev);
/* The content hash, if it is known beforehand. */
void dropbox_add_hash(json_t *arg, const struct digests *);
/* Is it what a revision looks like?  The service calls anything else a bad request. */
bool dropbox_is_rev(const char *version);
/* Seconds since 1970 that Dropbox keeps of a time, or -1: none can be kept. */
int64_t dropbox_seconds(int64_t mtime_ns);
