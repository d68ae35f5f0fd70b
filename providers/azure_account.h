/*
 * azure_account: an account of Azure Blob Storage: its fields, what they make of it, and where its
 * blobs are.
 */
#pragma once
#include "providers/endpoint.h"
#include "providers/sharedkey.h"
#include "src/cloud.h"

#define AZURE_CONTAINER_MAX 63
#define AZURE_KEY_MAX       1024 /* characters of a blob's name */

struct azure_account {
	struct endpoint endpoint;
	char *name; /* of the storage account */
	char *service; /* name and, of an emulator, where it is: one for all its endpoints */
	char *cloud; /* the same for all accounts that can read from each other */
	unsigned char key[SHAREDKEY_MAX];
	size_t key_len; /* 0: none */
	char *sas; /* as it is put behind a query, or NULL; without both: anonymous */
	char *container; /* NULL: the first component of a path is the container */
	char *tier; /* of new blobs, or NULL */
	char *ca; /* or NULL */
};

extern const struct cloud_field azure_fields[];
int azure_open(struct account *, const json_t *credentials, struct err *);
void azure_close(struct account *);

/* Where a path is: container "" is the top of an account without a container, key "" is a
 * container.
 */
struct azure_place {
	char container[AZURE_CONTAINER_MAX + 1];
	const char *key; /* inside the path */
};
/* False if the first component cannot be a container's name. */
bool azure_locate(struct azure_place *out, const struct azure_account *, const char *path);
/* Does Azure keep such a name as it is?  Not backslashes, control characters, nor names that end in
   a dot: it refuses them, or takes them for another name. */
bool azure_is_name(const char *key);
