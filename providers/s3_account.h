/*
 * s3_account: an account of S3: its fields, what they make of it, and where its objects are.
 */
#pragma once
#include "providers/endpoint.h"
#include "providers/s3_service.h"
#include "providers/sigv4.h"
#include "src/cloud.h"

#define S3_BUCKET_MAX 255
#define S3_KEY_SIZE   32 /* of a customer's key: AES-256 */

enum s3_encryption {
	S3_ENCRYPT_NONE, /* as the bucket says */
	S3_ENCRYPT_S3, /* keys of the service: AES256 */
	S3_ENCRYPT_KMS, /* keys of its key management */
	S3_ENCRYPT_CUSTOMER, /* a key that only the caller has */
};

enum s3_checksum { S3_CHECKSUM_NONE, S3_CHECKSUM_MD5, S3_CHECKSUM_CRC32C };

struct s3_account {
	const struct s3_service *kind; /* its quirks */
	struct endpoint endpoint;
	char *service; /* host and base, one for all the names the service is known to have */
	char *region;
	unsigned regions; /* that were learned */
	bool endpoint_is_made; /* from the region: it may be learned */
	char *bucket; /* NULL: the first component of a path is the bucket */
	char *id, *secret; /* NULL: anonymous */
	struct sigv4_derived *derived; /* of the secret */
	char *token; /* or NULL */
	char *ca; /* or NULL */
	bool is_virtual; /* bucket.host, where the bucket's name allows it */
	bool is_virtual_always;
	enum s3_checksum checksum;
	char *storage_class; /* or NULL */
	bool requester_pays;
	bool removes_alone; /* the service knows no removal of many; learned */
	enum s3_encryption encryption;
	char *kms_key; /* or NULL */
	char *customer_key, *customer_md5; /* base64; or NULL */
};

extern const struct cloud_field s3_fields[];
int s3_open(struct account *, const json_t *credentials, struct err *);
void s3_close(struct account *);
/* The bucket is in another region.  False if the account names its endpoint, so that nothing can be
 * learned, or if the region is nonsense or what we have. */
bool s3_learn_region(struct s3_account *, const char *region);

/* Where a path is: bucket "" is the top of an account without a bucket setting, key "" is a bucket.
 */
struct s3_place {
	char bucket[S3_BUCKET_MAX + 1];
	const char *key; /* inside the path */
};
/* False if the first component cannot be a bucket's name. */
bool s3_locate(struct s3_place *out, const struct s3_account *, const char *path);
