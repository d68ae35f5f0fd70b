#include "providers/dropbox_account.h"
#include "providers/credential.h"
#include "src/path.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DROPBOX_API     "https://api.dropboxapi.com"
#define DROPBOX_CONTENT "https://content.dropboxapi.com"
#define DROPBOX_NOTIFY  "https://notify.dropboxapi.com"
#define GRANT_BYTES     8 /* of the SHA-256: enough to tell one person's grants apart */

/* "OAuth guide": an access token that lasts hours, and a refresh token for more of them. */
const struct oauth_service dropbox_oauth = {
    .authorize_url = "https://www.dropbox.com/oauth2/authorize",
    .token_url = DROPBOX_API "/oauth2/token",
    .scope = "account_info.read files.metadata.read files.metadata.write files.content.read "
	     "files.content.write",
    .parameters = "token_access_type=offline",
};

const struct cloud_field dropbox_fields[] = {
    OAUTH_FIELDS("Dropbox's app console (the app key)"),
    {
	.name = "rootFolder",
	.title = "Folder",
	.help = "Only this folder, as a path; default: all",
    },
    {
	.name = "namespace",
	.title = "Namespace id",
	.help =
	    "Of a team space or a shared folder whose top shall be the account's; default: your "
	    "own",
    },
    {
	.name = "endpoint",
	.title = "Endpoint",
	.help = "URL of a server that stands for all of Dropbox's; for tests",
    },
    {
	.name = "ca",
	.title = "Certificate authority",
	.help = "Absolute path of a PEM file to verify the service with, in place of the system's",
    },
    {.name = NULL},
};

static int
open_endpoints(struct dropbox_account *dropbox, const char *endpoint, struct err *err)
{
	static const char *const none[] = {NULL};
	int code = endpoint_parse(&dropbox->api, endpoint == NULL ? DROPBOX_API : endpoint, err);

	if (code == 0)
		code = endpoint_parse(
		    &dropbox->content, endpoint == NULL ? DROPBOX_CONTENT : endpoint, err);
	if (code == 0)
		code = endpoint_parse(
		    &dropbox->notify, endpoint == NULL ? DROPBOX_NOTIFY : endpoint, err);
	if (code == 0)
		dropbox->service =
		    endpoint == NULL ? xstrdup("dropbox") : endpoint_service(&dropbox->api, none);
	return code;
}

static int
open_oauth(struct dropbox_account *dropbox, const json_t *credentials, struct err *err)
{
	const char *id = credential_get(dropbox_fields, credentials, "clientId");
	const char *secret = credential_get(dropbox_fields, credentials, "clientSecret");
	const char *refresh = credential_get(dropbox_fields, credentials, "refreshToken");
	const char *url = credential_get(dropbox_fields, credentials, "tokenEndpoint");
	struct buf hex = BUF_INIT(2 * GRANT_BYTES);
	unsigned char sum[32];

	if (id == NULL)
		return err_set(err, -EINVAL,
		    "clientId: is missing: the app key of your app in Dropbox's app console");
	if (refresh != NULL) {
		sha256(sum, refresh, strlen(refresh));
		buf_put_hex(&hex, sum, GRANT_BYTES);
		dropbox->grant = buf_take(&hex);
	}
	return oauth_open_refresh(
	    &dropbox->oauth, url == NULL ? dropbox_oauth.token_url : url, id, secret, refresh, err);
}

static int
open_place(struct dropbox_account *dropbox, const json_t *credentials, struct err *err)
{
	const char *namespace = credential_get(dropbox_fields, credentials, "namespace");
	const char *folder = credential_get(dropbox_fields, credentials, "rootFolder");

	/* "NamespaceId" of the API's specification. */
	if (namespace != NULL &&
	    namespace[strspn(namespace,
		"-_:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] != '\0')
		return err_set(
		    err, -EINVAL, "namespace: '%s' cannot be a namespace's id", namespace);
	dropbox->namespace = xstrdup_null(namespace);
	if (folder == NULL || strcmp(folder, "/") == 0) {
		dropbox->root = xstrdup("");
		return 0;
	}
	if (path_canonical(&dropbox->root, folder, NULL) != 0 || !dropbox_is_name(dropbox->root))
		return err_set(err, -EINVAL, "rootFolder: '%s' cannot be a folder's path", folder);
	return 0;
}

int
dropbox_open(struct account *account, const json_t *credentials, struct err *err)
{
	struct dropbox_account *dropbox = account->data;
	int code =
	    open_endpoints(dropbox, credential_get(dropbox_fields, credentials, "endpoint"), err);

	if (code == 0)
		code = open_oauth(dropbox, credentials, err);
	if (code == 0)
		code = open_place(dropbox, credentials, err);
	if (code == 0)
		code = credential_ca(&dropbox->oauth.ca, dropbox_fields, credentials, err);
	if (code != 0)
		dropbox_close(account); /* an account that was not opened is not closed */
	return code;
}

void
dropbox_close(struct account *account)
{
	struct dropbox_account *dropbox = account->data;

	oauth_close(&dropbox->oauth);
	endpoint_fini(&dropbox->api);
	endpoint_fini(&dropbox->content);
	endpoint_fini(&dropbox->notify);
	free(dropbox->service);
	free(dropbox->grant);
	free(dropbox->namespace);
	free(dropbox->root);
	*dropbox = (struct dropbox_account){.root = NULL};
}

char *
dropbox_path(const struct dropbox_account *dropbox, const char *path)
{
	return xasprintf("%s%s%s%s", *dropbox->root == '\0' ? "" : "/", dropbox->root,
	    *path == '\0' ? "" : "/", path);
}

bool
dropbox_is_name(const char *path)
{
	for (const char *c = path; *c != '\0'; c++) {
		if (*c == '\\' || *c == 0x7f)
			return false;
		if (*c == ' ' && (c[1] == '/' || c[1] == '\0'))
			return false;
	}
	return true;
}

bool
dropbox_is_same_name(const char *a, const char *b)
{
	for (; *a != '\0' || *b != '\0'; a++, b++) {
		if (*a != *b && ((*a | *b) & 0x80 || tolower(*a) != tolower(*b)))
			return false;
	}
	return true;
}

/* Who the user is nobody knows before asking.  Two grants of one person are two identities: what is
   then taken for two objects is known by its revision to be one (CLOUD_VERSIONS_UNIQUE). */
char *
dropbox_identity(const struct account *account, const char *path)
{
	const struct dropbox_account *dropbox = account->data;
	CLEANUP(cleanup_free) char *full = dropbox_path(dropbox, path);

	if (dropbox->grant == NULL)
		return NULL;
	for (char *c = full; *c != '\0'; c++)
		*c = (char)(*c & 0x80 ? *c : tolower(*c));
	return xasprintf("dropbox://%s/%s/%s%s", dropbox->service, dropbox->grant,
	    dropbox->namespace == NULL ? "" : dropbox->namespace, full);
}
