/*
 * azure_private: what the files of the azure driver share: azure.c (paths and directories),
 * azure_blocks.c (uploads in blocks, copies).  Nobody else includes it.
 */
#pragma once
#include "providers/azure_request.h"
#include "providers/azure_xml.h"
#include "providers/object.h"

#define MIB ((uint64_t)1 << 20)

/* "Scalability and performance targets for Blob Storage", for versions from 2019-12-12 on. */
#define AZURE_PUT_MAX      (5000 * MIB)
#define AZURE_METADATA_MAX 8000 /* "Setting and retrieving metadata": 8 KiB, with what we write */
#define AZURE_BLOCK_MAX    (4000 * MIB)
#define AZURE_BLOCKS_MAX   50000
#define AZURE_PART_SIZE    (8 * MIB) /* over 4 MiB, where "high-throughput block blobs" begin */
#define AZURE_PART_MIN                                                                             \
	((uint64_t)64 << 10) /* there is none; smaller ones cost more than they bring */
#define AZURE_COPY_MAX                                                                             \
	(256 * MIB) /* the service answers when it has copied: larger ones in parts */

/* Which of the requests of an op is due: what each is, the kinds say. */
enum azure_step { AZURE_FIRST, AZURE_SECOND, AZURE_THIRD, AZURE_FOURTH };

/* A block's id: 48 characters in base64, the length that most of Azure's own clients use. */
#define AZURE_BLOCK_ID_MAX 65

struct azure_op {
	enum azure_step step;
	bool found; /* LIST: there is something below the prefix */
	bool marker; /* RMDIR: "dir/" is there */
	int failed; /* COMMIT: so, unless the blob's blocks are ours */
	char block[AZURE_BLOCK_ID_MAX]; /* COPY: its one block */
};

/* A request in the making. */
struct azure_ask {
	struct http_request *req;
	struct azure_place place;
	struct azure_query query;
	char block[AZURE_BLOCK_ID_MAX];
};

static inline enum cloud_step
azure_next(struct cloud_op *op, enum azure_step step)
{
	struct azure_op *azure = op->data;

	azure->step = step;
	return CLOUD_STEP_NEXT;
}

/* azure_blocks.c: COPY, and the kinds from UPLOAD_BEGIN to UPLOAD_FIND */
enum cloud_step azure_put_blocks(struct cloud_op *, struct azure_ask *, struct err *);
/* code: what azure_check() said of the answer, with *why. */
enum cloud_step azure_blocks_response(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);
