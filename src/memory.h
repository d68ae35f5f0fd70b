/*
 * memory: the third transport: an object server inside the process, for the memory driver and
 * tests. It answers http_requests to "memory://SERVER/key" without a network; a server is made at
 * first use and lives until memory_forget().  Safe from several loops (one lock; it is a test
 * double).
 *
 * Faults for tests: memory_fault() makes the next `count` requests of `method` fail with an HTTP
 * status, or (status 0) by a lost connection after `after` body bytes; UINT64_MAX: the request is
 * carried out, and its answer is lost.  A NULL method is any, or all.
 *
 * The protocol is HTTP's with WebDAV's verbs.  An entry travels as the JSON of entry.h in the
 * header X-Memory-Entry; errors have a body {"message"}.
 *
 *   GET path          content; Range, If-Match -> 200, 206
 *   HEAD path         the entry of a file or directory; If-Match -> 200
 *   GET path?list     {"entries": [...], "more": bool}; &after=NAME, &limit=N -> 200
 *   GET ?usage        {"total", "used", "available"} -> 200
 *   GET ?changes      &after=CURSOR -> 200 {"cursor", "changed": [{"path", "tree"}]}, or without
 *                     "changed": it was too long ago
 *   PUT path          X-Memory-Mtime (ns), X-Memory-Mode (octal), X-Memory-Metadata (JSON),
 * Content-Type, If-None-Match: *; parents are made -> 201 PATCH path        X-Memory-Mtime,
 * X-Memory-Mode -> 200 DELETE path       a file; ?directory: an empty directory; If-Match -> 204
 *   COPY, MOVE path   Destination (encoded path), If-Match, If-None-Match: * -> 201
 *   MKCOL path        with parents; one that is there is fine -> 201
 *
 * Uploads in parts; an id belongs to its path:
 *
 *   POST path?upload            attributes as of PUT -> 201 {"upload": id}
 *   PUT path?upload=ID&part=N   content -> 201 and the part
 *   COPY path?upload=ID&part=N  Destination: the upload's path; Range, If-Match: of the source
 *                               -> 201 and the part
 *   GET path?upload=ID          {"parts": [...], "more": bool}; &after=N -> 200
 *   POST path?upload=ID         {"parts": [{"number", "tag"}]}, If-None-Match: * -> 201
 *   DELETE path?upload=ID       -> 204
 *   GET path?uploads            {"uploads": [id]} -> 200
 *
 * A part is the JSON {"number", "length", "tag", "hashes"} in the header X-Memory-Part, or a page.
 *
 * 400 nonsense, a range of what is unsized, 403 a copy of that, 404 not there, 405 a directory
 * where a file is needed, 409 something is there, 412 If-Match failed, 413 too large, 416 range,
 * 422 not empty, 424 a file where a directory is needed.
 */
#pragma once
#include "src/http.h"

struct memory_call;
struct memory_call *memory_start(struct loop *, struct http_request *, struct ring *source,
    const struct http_handler *, void *arg); /* as http_start() */
void memory_cancel(struct memory_call *);
void memory_forget(const char *server);
void memory_forget_uploads(const char *server); /* as a server that drops them */
/* From now on it takes an upload's parts one behind the other, and none twice (409). */
void memory_keep_order(const char *server);
/* The file at `path`, which is not empty, is unsized from now on (entry.h).  Each GET makes it
   anew: its first and its last byte are the number of that export, the others are what they were.
   Then somebody edits it: its version is another. */
void memory_unsize(const char *server, const char *path);
void memory_fault(const char *server, const char *method, unsigned count, int status,
    uint64_t after, uint64_t retry_after_s);
/* Requests answered so far, for asserts. */
uint64_t memory_requests(const char *server, const char *method);
