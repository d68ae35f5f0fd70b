#include "providers/s3_service.h"
#include "src/mem.h"
#include <string.h>
#include <strings.h>

/*
 * From the services' own documents; of "ceph" and "swift" also what our tests have shown.
 *
 * aws     S3 User Guide: "Conditional writes", "Conditional deletes", "Virtual hosting",
 *         "Checking object integrity"
 * ceph    docs.ceph.com, radosgw/s3: PUT is guarded, copies are not pinned, checksums ignored,
 *         ListMultipartUploads encodes keys without <EncodingType> (16.2); later ones pin removals
 * minio   min.io/docs, and its server's handlers: conditions of copies, trailers
 * r2      developers.cloudflare.com/r2/api/s3/api: conditions of PutObject and CopyObject
 * b2      backblaze.com/docs/cloud-storage-s3-compatible-api: nothing said of conditions
 * wasabi  docs.wasabi.com, "S3 API Reference": nothing said of conditions
 * spaces  docs.digitalocean.com/reference/api/spaces: nothing said of conditions
 * gcs     cloud.google.com/storage/docs/interoperability: x-goog-if-generation-match instead
 * swift   docs.openstack.org/swift, s3api: pins copies; 501 for If-None-Match; 1,000 parts
 *         (max_upload_part_num); the proxy makes 503 of an object server's 507
 */
static const struct s3_service services[] = {
    {
	.name = "aws",
	.domain = "amazonaws.com",
	.endpoint = "https://s3.%s.amazonaws.com",
	.has = S3_GUARDS_PUT | S3_GUARDS_COMMIT | S3_GUARDS_COPY | S3_PINS_SOURCE |
	    S3_PINS_REMOVAL | S3_CRC32C | S3_VIRTUAL,
    },
    {.name = "ceph", .has = S3_GUARDS_PUT | S3_PINS_REMOVAL | S3_ENCODES_SILENTLY},
    {.name = "minio", .has = S3_GUARDS_PUT | S3_PINS_SOURCE | S3_CRC32C},
    {.name = "r2", .domain = "r2.cloudflarestorage.com", .has = S3_GUARDS_PUT | S3_PINS_SOURCE},
    {.name = "b2",
	.domain = "backblazeb2.com",
	.endpoint = "https://s3.%s.backblazeb2.com",
	.has = S3_REFUSES_GUARDS},
    {.name = "wasabi",
	.domain = "wasabisys.com",
	.endpoint = "https://s3.%s.wasabisys.com",
	.has = S3_REFUSES_GUARDS},
    {
	.name = "spaces",
	.domain = "digitaloceanspaces.com",
	.endpoint = "https://%s.digitaloceanspaces.com",
	.has = S3_REFUSES_GUARDS,
    },
    {
	.name = "gcs",
	.domain = "storage.googleapis.com",
	.endpoint = "https://storage.googleapis.com",
	.has = S3_REFUSES_GUARDS,
    },
    {.name = "swift",
	.has = S3_PINS_SOURCE | S3_REFUSES_GUARDS | S3_FULL_IS_BUSY,
	.parts_max = 1000},
    {.name = "other"},
};

const struct s3_service *
s3_service_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	}
	return NULL;
}

const struct s3_service *
s3_service_by_host(const char *host)
{
	size_t len = strcspn(host, ":"), tail;

	if (len > 0 && host[len - 1] == '.')
		len--;
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (services[i].domain == NULL)
			continue;
		tail = strlen(services[i].domain);
		if (len < tail || strncasecmp(host + len - tail, services[i].domain, tail) != 0)
			continue;
		if (len == tail || host[len - tail - 1] == '.')
			return &services[i];
	}
	/* China's partition has a domain of its own, and all else of Amazon's. */
	if (len > 17 && strncasecmp(host + len - 17, ".amazonaws.com.cn", 17) == 0)
		return s3_service_by_name("aws");
	return s3_service_by_name("other");
}
