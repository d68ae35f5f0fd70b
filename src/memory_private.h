/*
 * memory_private: what memory_server.c (objects) and memory_upload.c (uploads in parts) share.
 * Nobody else includes it.  Everything here is called with the servers' lock held.
 */
#pragma once
#include "src/entry.h"
#include "src/memory_server.h"
#include <stdatomic.h>

#define MEMORY_PART_MIN  1024 /* of all parts but the last */
#define MEMORY_PARTS_MAX 10000 /* of one upload */
#define MEMORY_LOG_MAX   1000 /* changes that are remembered */

struct memory_blob {
	atomic_uint refs;
	unsigned char data[];
};

struct memory_object {
	struct entry entry; /* its version is server->generation at the last PUT */
	struct memory_blob *blob;
	char *upload; /* id of the upload it was, or NULL: its commit may be repeated */
	uint64_t export_size; /* of an unsized file: bytes that a GET makes of the blob */
	unsigned char exports; /* so often it was made */
};

struct memory_upload;

/* The list of the directory is not what it was, or (is_tree) nothing there is. */
struct memory_change {
	char *path;
	bool is_tree;
};

struct memory_server {
	char *name;
	struct memory_object **objects; /* by path, in the order of strcmp() */
	size_t len, cap;
	uint64_t generation;
	struct memory_change log[MEMORY_LOG_MAX]; /* the n-th is at n % MEMORY_LOG_MAX */
	uint64_t logged; /* so many, ever */
	bool in_order; /* uploads' parts come one behind the other */
	TAILQ_HEAD(, fault) faults;
	TAILQ_HEAD(, count) counts;
	TAILQ_HEAD(, memory_upload) uploads; /* in the order they began */
	LIST_ENTRY(memory_server) next;
};

/* memory_server.c */
struct memory_blob *memory_blob_ref(struct memory_blob *);
/* Takes the JSON. */
void memory_answer_json(struct memory_answer *, int status, json_t *);
void memory_answer_error(struct memory_answer *, int status, const char *message);
void memory_answer_entry(struct memory_answer *, int status, const struct entry *);
/* The decoded value of a query parameter (caller frees), or NULL. */
char *memory_query_get(const char *query, const char *name);
bool memory_query_has(const char *query, const char *name);
bool memory_ask_matches(const struct memory_ask *, const struct entry *);
void memory_ask_attributes(const struct memory_ask *, struct entry *);
/* "bytes=a-b" or "bytes=a-": false if it asks for nothing that is there. */
bool memory_range_parse(uint64_t *offset, uint64_t *length, const char *range, uint64_t size);
struct memory_object *memory_server_find(const struct memory_server *, const char *path);
/* What is at path has changed. */
void memory_server_log(struct memory_server *, const char *path, bool is_tree);
/* Makes room for a file at path.  0, or the status of the failure. */
int memory_server_prepare(
    struct memory_server *, const struct memory_ask *, const char *path, struct memory_answer *);
/* Replaces what is at path by a file with this content; its attributes are the caller's to set. */
struct memory_object *memory_server_put_blob(struct memory_server *, const char *path,
    struct memory_blob *, uint64_t size, const struct digests *);

/* memory_upload.c */
/* Any request whose query names an upload, or all of a path. */
void memory_upload_answer(struct memory_server *, const struct memory_ask *,
    const struct memory_blob *upload, size_t upload_len, const struct digests *,
    struct memory_answer *);
void memory_uploads_free(struct memory_server *);
