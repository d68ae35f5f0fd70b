/*
 * s3_service: the services that speak S3, and where they differ from each other.  What is not known
 * of a service is taken to be missing: then the driver asks (HEAD) where it would else rely on it.
 */
#pragma once
#include <stdbool.h>

enum s3_quality {
	S3_GUARDS_PUT = 1 << 0, /* PutObject keeps to If-None-Match: * */
	S3_GUARDS_COMMIT = 1 << 1, /* so does CompleteMultipartUpload */
	S3_GUARDS_COPY = 1 << 2, /* so does CopyObject */
	S3_PINS_SOURCE = 1 << 3, /* x-amz-copy-source-if-match is kept to */
	S3_CRC32C = 1 << 4, /* x-amz-checksum-crc32c, also as trailer of an aws-chunked body */
	S3_VIRTUAL = 1 << 5, /* bucket.host is to be preferred to host/bucket */
	S3_PINS_REMOVAL = 1 << 6, /* DeleteObject keeps to If-Match, or takes no notice of it */
	/* and what is odd about it */
	S3_REFUSES_GUARDS = 1 << 7, /* If-None-Match: * may be an error: it is not sent */
	S3_ENCODES_SILENTLY = 1 << 8, /* keys of uploads come encoded, and nothing says so */
	S3_FULL_IS_BUSY = 1 << 9, /* 503 that is not SlowDown may be full disks */
};

struct s3_service {
	const char *name; /* as in the account's field "service" */
	const char *domain; /* its endpoints end with it; NULL: they can be anywhere */
	const char *endpoint; /* %s is the region; NULL: must be given */
	unsigned has;
	unsigned parts_max; /* of an upload; 0: 10,000, as at Amazon */
};

const struct s3_service *s3_service_by_name(const char *name); /* or NULL */
/* The one whose domain the host (with or without a port) is in, or "other". */
const struct s3_service *s3_service_by_host(const char *host);
