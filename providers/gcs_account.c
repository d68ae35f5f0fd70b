#include "providers/gcs_account.h"
#include "providers/credential.h"
#include "providers/object.h"
#include <stdlib.h>
#include <string.h>

#define GCS_SERVICE   "storage.googleapis.com"
#define GCS_TOKEN_URL "https://oauth2.googleapis.com/token"
/* Attributes of what is there are changed with full control only ("Objects: patch"). */
#define GCS_SCOPE "https://www.googleapis.com/auth/devstorage.full_control"

const struct oauth_service gcs_oauth = {
    .authorize_url = "https://accounts.google.com/o/oauth2/v2/auth",
    .token_url = GCS_TOKEN_URL,
    .scope = GCS_SCOPE,
    /* Else who has granted it before gets no refresh token ("Using OAuth 2.0 for Web Server
       Applications"). */
    .parameters = "access_type=offline&prompt=consent",
};

const struct cloud_field gcs_fields[] = {
    {
	.name = "serviceAccount",
	.title = "Service account key",
	.help = "The JSON key file of a service account: its text",
	.secret = true,
    },
    {
	.name = "bucket",
	.title = "Bucket",
	.help = "Only this bucket; without it the top level lists the project's buckets",
    },
    {
	.name = "project",
	.title = "Project id",
	.help = "Whose buckets are listed and made; default: the service account's",
    },
    OAUTH_FIELDS("Google's console"),
    {
	.name = "endpoint",
	.title = "Endpoint",
	.help = "URL of the service",
	.value = "https://" GCS_SERVICE,
    },
    {
	.name = "storageClass",
	.title = "Storage class",
	.help = "Of new objects: STANDARD, NEARLINE, COLDLINE, ARCHIVE; default: the bucket's",
    },
    {
	.name = "uploads",
	.title = "Large uploads",
	.help =
	    "multipart: in parts, several at once; resumable: in one session, in order; auto: in "
	    "parts where the service has them",
	.value = "auto",
    },
    {
	.name = "ca",
	.title = "Certificate authority",
	.help = "Absolute path of a PEM file to verify the service with, in place of the system's",
    },
    {.name = NULL},
};

/* 3 to 63 of lower case letters, digits, '-', '_' and '.'; more in all with dots. */
static bool
bucket_is_valid(const char *name, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

	return len >= 3 && len <= GCS_BUCKET_MAX && *name != '.' && *name != '-' &&
	    strspn(name, allowed) >= len;
}

static int
open_service_account(
    struct gcs_account *gcs, const char *json, const char *token_url, struct err *err)
{
	json_t *file = json_loads(json, 0, NULL);
	const char *project = json_string_value(json_object_get(file, "project_id"));
	int code;

	if (gcs->project == NULL && project != NULL && credential_is_token(project))
		gcs->project = xstrdup(project);
	json_decref(file);
	code = oauth_open_service(&gcs->oauth, json, token_url, GCS_SCOPE, err);
	return code;
}

static int
open_person(
    struct gcs_account *gcs, const json_t *credentials, const char *token_url, struct err *err)
{
	const char *id = credential_get(gcs_fields, credentials, "clientId");
	const char *secret = credential_get(gcs_fields, credentials, "clientSecret");
	const char *refresh = credential_get(gcs_fields, credentials, "refreshToken");

	if (id == NULL)
		return err_set(err, -EINVAL, "clientId: is missing beside %s",
		    refresh != NULL ? "the refresh token" : "its secret");
	return oauth_open_refresh(
	    &gcs->oauth, token_url == NULL ? GCS_TOKEN_URL : token_url, id, secret, refresh, err);
}

/* A service account, a person's grant, or nobody: then what is public is all there is. */
static int
open_identity(struct gcs_account *gcs, const json_t *credentials, struct err *err)
{
	static const char *const persons[] = {"clientId", "clientSecret", "refreshToken"};
	const char *service = credential_get(gcs_fields, credentials, "serviceAccount");
	const char *token_url = credential_get(gcs_fields, credentials, "tokenEndpoint");
	const char *person = NULL;

	for (size_t i = 0; i < ARRAY_LEN(persons); i++) {
		if (credential_get(gcs_fields, credentials, persons[i]) != NULL)
			person = persons[i];
	}
	if (service != NULL && person != NULL)
		return err_set(err, -EINVAL, "%s: not beside a service account", person);
	if (token_url != NULL && service == NULL && person == NULL)
		return err_set(err, -EINVAL, "tokenEndpoint: there is nobody to get a token for");
	gcs->oauth.ca = xstrdup_null(gcs->ca);
	if (service != NULL)
		return open_service_account(gcs, service, token_url, err);
	if (person != NULL)
		return open_person(gcs, credentials, token_url, err);
	if (gcs->bucket == NULL && strcmp(gcs->service, GCS_SERVICE) == 0)
		return err_set(err, -EINVAL, "serviceAccount: is missing");
	return 0;
}

static int
open_options(struct gcs_account *gcs, const json_t *credentials, struct err *err)
{
	const char *bucket = credential_get(gcs_fields, credentials, "bucket");
	const char *project = credential_get(gcs_fields, credentials, "project");
	const char *class = credential_get(gcs_fields, credentials, "storageClass");

	if (bucket != NULL && !bucket_is_valid(bucket, strlen(bucket)))
		return err_set(err, -EINVAL, "bucket: '%s' cannot be a bucket's name", bucket);
	if (project != NULL && !credential_is_token(project))
		return err_set(err, -EINVAL, "project: '%s' cannot be a project's id", project);
	if (class != NULL && !credential_is_token(class))
		return err_set(err, -EINVAL, "storageClass: '%s' is no storage class", class);
	gcs->bucket = xstrdup_null(bucket);
	gcs->project = xstrdup_null(project);
	gcs->storage_class = xstrdup_null(class);
	return credential_ca(&gcs->ca, gcs_fields, credentials, err);
}

/* Google has both. */
static int
open_uploads(struct account *account, const json_t *credentials, struct err *err)
{
	static const char *const names[] = {"auto", "multipart", "resumable", NULL};
	struct gcs_account *gcs = account->data;
	int chosen,
	    code = credential_choose(&chosen, gcs_fields, credentials, "uploads", names, err);

	if (code != 0)
		return code;
	gcs->uploads = (enum gcs_uploads)chosen;
	if (gcs->uploads == GCS_UPLOADS_UNKNOWN && strcmp(gcs->service, GCS_SERVICE) == 0)
		gcs->uploads = GCS_UPLOADS_PARTS;
	if (gcs->uploads == GCS_UPLOADS_SESSIONS)
		account->limits.in_order = true;
	return 0;
}

/* One for all of Google's names: of regions, of private networks, of former times. */
static void
open_service(struct gcs_account *gcs)
{
	static const char *const google[] = {".googleapis.com", NULL};

	gcs->service = endpoint_service(&gcs->endpoint, google);
	if (strcmp(gcs->service, "googleapis.com") == 0)
		xstrset(&gcs->service, GCS_SERVICE);
}

int
gcs_open(struct account *account, const json_t *credentials, struct err *err)
{
	struct gcs_account *gcs = account->data;
	int code = endpoint_parse(
	    &gcs->endpoint, credential_get(gcs_fields, credentials, "endpoint"), err);

	if (code == 0) {
		open_service(gcs);
		code = open_options(gcs, credentials, err);
	}
	if (code == 0)
		code = open_uploads(account, credentials, err);
	if (code == 0)
		code = open_identity(gcs, credentials, err);
	if (code == 0 && gcs->bucket == NULL && gcs->project == NULL)
		code = err_set(
		    err, -EINVAL, "project: is missing: it, or a bucket, must be what is shown");
	if (code != 0)
		gcs_close(account); /* an account that was not opened is not closed */
	return code;
}

void
gcs_close(struct account *account)
{
	struct gcs_account *gcs = account->data;

	resumable_sessions_fini(&gcs->sessions);
	oauth_close(&gcs->oauth);
	endpoint_fini(&gcs->endpoint);
	free(gcs->service);
	free(gcs->bucket);
	free(gcs->project);
	free(gcs->storage_class);
	free(gcs->ca);
	*gcs = (struct gcs_account){.bucket = NULL};
}

bool
gcs_locate(struct gcs_place *out, const struct gcs_account *gcs, const char *path)
{
	return object_locate(
	    out->bucket, sizeof out->bucket, &out->key, gcs->bucket, path, bucket_is_valid);
}

bool
gcs_is_name(const char *key)
{
	static const char challenge[] = ".well-known/acme-challenge/";

	return strpbrk(key, "\r\n") == NULL && strncmp(key, challenge, sizeof challenge - 1) != 0;
}
