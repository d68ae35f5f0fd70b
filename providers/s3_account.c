#include "providers/s3_account.h"
#include "providers/credential.h"
#include "providers/object.h"
#include <stdlib.h>
#include <string.h>

const struct cloud_field s3_fields[] = {
    {
	.name = "service",
	.title = "Service",
	.help = "aws, ceph, minio, r2, b2, wasabi, spaces, gcs, swift or other: sets what the "
		"service is known to do; \"auto\": by the endpoint",
	.value = "auto",
    },
    {
	.name = "endpoint",
	.title = "Endpoint",
	.help = "URL of the service; default: that of the service for the region "
		"(Amazon: https://s3.REGION.amazonaws.com)",
    },
    {
	.name = "region",
	.title = "Region",
	.help = "Region of the buckets, as the service names it",
	.value = "us-east-1",
    },
    {
	.name = "bucket",
	.title = "Bucket",
	.help = "Only this bucket; without it the top level lists all buckets",
    },
    {
	.name = "accessKeyId",
	.title = "Access key id",
	.help = "Leave both keys out for anonymous access to public buckets",
    },
    {
	.name = "secretAccessKey",
	.title = "Secret access key",
	.help = "Secret that belongs to the access key id",
	.secret = true,
    },
    {
	.name = "sessionToken",
	.title = "Session token",
	.help = "Only with temporary keys",
	.secret = true,
    },
    {
	.name = "style",
	.title = "Addressing",
	.help =
	    "\"virtual\": bucket.host, \"path\": host/bucket, \"auto\": virtual at Amazon, path "
	    "elsewhere",
	.value = "auto",
    },
    {
	.name = "checksum",
	.title = "Checksum",
	.help =
	    "What the service checks uploads with: \"crc32c\" (as they stream), \"md5\" (where it "
	    "is known beforehand), \"none\"; \"auto\": crc32c where the service can, else md5",
	.value = "auto",
    },
    {
	.name = "storageClass",
	.title = "Storage class",
	.help = "Of new objects, as the service names it (STANDARD_IA); default: the bucket's",
    },
    {
	.name = "requesterPays",
	.title = "Requester pays",
	.help = "\"yes\": this account pays for access to others' buckets that ask for it",
	.value = "no",
    },
    {
	.name = "encryption",
	.title = "Encryption",
	.help =
	    "Of new objects by the service: \"none\" (as the bucket says), \"AES256\", \"aws:kms\", "
	    "\"customer\" (with customerKey, for reading too)",
	.value = "none",
    },
    {
	.name = "kmsKeyId",
	.title = "KMS key id",
	.help = "With encryption \"aws:kms\"; default: the service's own key",
    },
    {
	.name = "customerKey",
	.title = "Customer key",
	.help = "With encryption \"customer\": 32 bytes in base64. Who loses it loses the objects",
	.secret = true,
    },
    {
	.name = "ca",
	.title = "Certificate authority",
	.help = "Absolute path of a PEM file to verify the service with, in place of the system's",
    },
    {.name = NULL},
};

/* NULL if the service has no endpoint that can be known. */
static char *
s3_made_endpoint(const struct s3_account *s3)
{
	const char *pattern = s3->kind->endpoint, *at;

	if (pattern == NULL)
		return NULL;
	at = strstr(pattern, "%s");
	if (at == NULL)
		return xstrdup(pattern);
	return xasprintf("%.*s%s%s", (int)(at - pattern), pattern, s3->region, at + 2);
}

static int
s3_open_endpoint(struct s3_account *s3, const char *url, struct err *err)
{
	/* All of Amazon's endpoints lead to the same buckets ("S3 User Guide": a bucket's name is
	   unique in its partition). */
	static const char *const amazon[] = {".amazonaws.com", ".amazonaws.com.cn", NULL};
	CLEANUP(cleanup_free) char *made = NULL;
	int code;

	s3->endpoint_is_made = url == NULL;
	if (url == NULL) {
		made = s3_made_endpoint(s3);
		if (made == NULL)
			return err_set(err, -EINVAL,
			    "endpoint: is missing; service '%s' can be anywhere", s3->kind->name);
		url = made;
	}
	code = endpoint_parse(&s3->endpoint, url, err);
	if (code == 0)
		s3->service = endpoint_service(&s3->endpoint, amazon);
	return code;
}

static bool
bucket_is_valid(const char *name, size_t len)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";

	/* 3 to 63 of lower case today; old buckets of us-east-1 may have more (S3 User Guide,
	   "Bucket naming rules"). */
	return len >= 3 && len <= S3_BUCKET_MAX && name[0] != '.' && strspn(name, allowed) >= len;
}

static int
s3_open_keys(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	const char *id = credential_get(s3_fields, credentials, "accessKeyId");
	const char *secret = credential_get(s3_fields, credentials, "secretAccessKey");
	const char *token = credential_get(s3_fields, credentials, "sessionToken");

	if ((id == NULL) != (secret == NULL))
		return err_set(err, -EINVAL, "%s: missing; give both keys, or neither",
		    id == NULL ? "accessKeyId" : "secretAccessKey");
	if (token != NULL && id == NULL)
		return err_set(err, -EINVAL, "sessionToken: it needs the keys it came with");
	if (id != NULL && (!credential_is_token(id) || strpbrk(id, "/,") != NULL))
		return err_set(err, -EINVAL, "accessKeyId: it has characters that no key id has");
	if (secret != NULL && !credential_is_token(secret))
		return err_set(
		    err, -EINVAL, "secretAccessKey: it has blanks or control characters in it");
	if (token != NULL && !credential_is_token(token))
		return err_set(
		    err, -EINVAL, "sessionToken: it has blanks or control characters in it");
	s3->id = xstrdup_null(id);
	s3->secret = xstrdup_null(secret);
	s3->derived = xcalloc(1, sizeof *s3->derived);
	s3->token = xstrdup_null(token);
	return 0;
}

static int
s3_open_service(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	const char *name = credential_get(s3_fields, credentials, "service");
	const char *endpoint = credential_get(s3_fields, credentials, "endpoint");
	const char *host = endpoint == NULL ? NULL : strstr(endpoint, "://");

	if (strcmp(name, "auto") != 0)
		s3->kind = s3_service_by_name(name);
	else if (endpoint == NULL)
		s3->kind = s3_service_by_name("aws");
	else
		s3->kind = s3_service_by_host(host == NULL ? "" : host + 3);
	if (s3->kind == NULL)
		return err_set(err, -EINVAL, "service: '%s' is none that is known", name);
	return s3_open_endpoint(s3, endpoint, err);
}

static int
s3_open_customer_key(struct s3_account *s3, const char *key, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	unsigned char raw[S3_KEY_SIZE];
	struct digests digests;
	struct hash *hash;

	if (key == NULL || base64_decode(raw, sizeof raw, key) != (int)sizeof raw)
		return err_set(err, -EINVAL, "customerKey: it must be 32 bytes in base64");
	hash = hash_new(HASH_BIT(HASH_MD5));
	hash_update(hash, raw, sizeof raw);
	hash_final(hash, &digests);
	hash_free(hash);
	buf_put_base64(&text, digests.sum[HASH_MD5], hash_size(HASH_MD5));
	s3->customer_md5 = xstrdup(buf_str(&text));
	buf_reset(&text);
	text.secret = true;
	buf_put_base64(&text, raw, sizeof raw); /* as the service writes it, however it was given */
	s3->customer_key = xstrdup(buf_str(&text));
	mem_wipe(raw, sizeof raw);
	return 0;
}

static int
s3_open_encryption(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	static const char *const kinds[] = {"none", "AES256", "aws:kms", "customer", NULL};
	const char *kms_key = credential_get(s3_fields, credentials, "kmsKeyId");
	const char *customer_key = credential_get(s3_fields, credentials, "customerKey");
	int kind, code = credential_choose(&kind, s3_fields, credentials, "encryption", kinds, err);

	if (code != 0)
		return code;
	s3->encryption = (enum s3_encryption)kind;
	if (kms_key != NULL && (kind != S3_ENCRYPT_KMS || !credential_is_token(kms_key)))
		return err_set(err, -EINVAL, "kmsKeyId: %s",
		    kind != S3_ENCRYPT_KMS ? "only with encryption \"aws:kms\""
					   : "it has characters that no key id has");
	if (customer_key != NULL && kind != S3_ENCRYPT_CUSTOMER)
		return err_set(err, -EINVAL, "customerKey: only with encryption \"customer\"");
	s3->kms_key = xstrdup_null(kms_key);
	return kind == S3_ENCRYPT_CUSTOMER ? s3_open_customer_key(s3, customer_key, err) : 0;
}

static int
s3_open_options(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	static const char *const styles[] = {"auto", "path", "virtual", NULL};
	static const char *const checksums[] = {"none", "md5", "crc32c", "auto", NULL};
	static const char *const truths[] = {"no", "yes", NULL};
	const char *class = credential_get(s3_fields, credentials, "storageClass");
	int style = 0, checksum = 0, pays = 0;
	int code = credential_choose(&style, s3_fields, credentials, "style", styles, err);

	if (code == 0)
		code = credential_choose(
		    &checksum, s3_fields, credentials, "checksum", checksums, err);
	if (code == 0)
		code =
		    credential_choose(&pays, s3_fields, credentials, "requesterPays", truths, err);
	if (code != 0)
		return code;
	s3->is_virtual_always = style == 2;
	s3->is_virtual = style == 2 || (style == 0 && (s3->kind->has & S3_VIRTUAL));
	if (checksum == 3)
		checksum = s3->kind->has & S3_CRC32C ? S3_CHECKSUM_CRC32C : S3_CHECKSUM_MD5;
	s3->checksum = (enum s3_checksum)checksum;
	s3->requester_pays = pays;
	if (class != NULL && !credential_is_token(class))
		return err_set(err, -EINVAL, "storageClass: '%s' is no storage class", class);
	s3->storage_class = xstrdup_null(class);
	return credential_ca(&s3->ca, s3_fields, credentials, err);
}

static bool
region_is_valid(const char *region)
{
	return *region != '\0' && credential_is_token(region) && strpbrk(region, "/,@?#:%") == NULL;
}

static int
s3_open_fields(struct s3_account *s3, const json_t *credentials, struct err *err)
{
	const char *bucket = credential_get(s3_fields, credentials, "bucket");
	int code;

	s3->region = xstrdup(credential_get(s3_fields, credentials, "region"));
	if (!region_is_valid(s3->region))
		return err_set(err, -EINVAL, "region: '%s' is no region's name", s3->region);
	code = s3_open_service(s3, credentials, err);
	if (code == 0 && bucket != NULL && !bucket_is_valid(bucket, strlen(bucket)))
		code = err_set(err, -EINVAL, "bucket: '%s' cannot be a bucket's name", bucket);
	if (code != 0)
		return code;
	s3->bucket = xstrdup_null(bucket);
	code = s3_open_options(s3, credentials, err);
	if (code == 0)
		code = s3_open_encryption(s3, credentials, err);
	return code == 0 ? s3_open_keys(s3, credentials, err) : code;
}

int
s3_open(struct account *account, const json_t *credentials, struct err *err)
{
	struct s3_account *s3 = account->data;
	int code = s3_open_fields(s3, credentials, err);

	if (code == 0 && s3->kind->parts_max != 0)
		account->limits.parts_max = s3->kind->parts_max;
	/* The cheapest that is checked at both ends is enough. */
	if (code == 0)
		account->hashes = s3->checksum == S3_CHECKSUM_CRC32C ? HASH_BIT(HASH_CRC32C)
		    : s3->checksum == S3_CHECKSUM_MD5                ? HASH_BIT(HASH_MD5)
								     : 0;
	if (code != 0)
		s3_close(account); /* an account that was not opened is not closed */
	return code;
}

static void
s3_close_endpoint(struct s3_account *s3)
{
	endpoint_fini(&s3->endpoint);
	free(s3->service);
}

void
s3_close(struct account *account)
{
	struct s3_account *s3 = account->data;

	s3_close_endpoint(s3);
	free(s3->region);
	free(s3->bucket);
	free(s3->id);
	mem_wipe_free(s3->secret);
	if (s3->derived != NULL)
		mem_wipe(s3->derived, sizeof *s3->derived);
	free(s3->derived);
	mem_wipe_free(s3->token);
	free(s3->ca);
	free(s3->storage_class);
	free(s3->kms_key);
	mem_wipe_free(s3->customer_key);
	free(s3->customer_md5);
	*s3 = (struct s3_account){.kind = NULL};
}

bool
s3_learn_region(struct s3_account *s3, const char *region)
{
	if (!s3->endpoint_is_made || strlen(region) > 64 || !region_is_valid(region) ||
	    strcmp(region, s3->region) == 0)
		return false;
	xstrset(&s3->region, region);
	s3->regions++;
	s3_close_endpoint(s3);
	return s3_open_endpoint(s3, NULL, NULL) == 0;
}

bool
s3_locate(struct s3_place *out, const struct s3_account *s3, const char *path)
{
	return object_locate(
	    out->bucket, sizeof out->bucket, &out->key, s3->bucket, path, bucket_is_valid);
}
