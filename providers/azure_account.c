#include "providers/azure_account.h"
#include "providers/credential.h"
#include "providers/object.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "Use the Azurite emulator": the account that UseDevelopmentStorage=true stands for; published,
   and no secret. */
#define AZURE_DEVELOPMENT_NAME "devstoreaccount1"
#define AZURE_DEVELOPMENT_KEY                                                                      \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define AZURE_DEVELOPMENT_ENDPOINT "http://127.0.0.1:10000/" AZURE_DEVELOPMENT_NAME

const struct cloud_field azure_fields[] = {
    {
	.name = "accountName",
	.title = "Account name",
	.help = "Name of the storage account; not needed with a connection string",
    },
    {
	.name = "container",
	.title = "Container",
	.help = "Only this container; without it the top level lists all containers",
    },
    {
	.name = "accountKey",
	.title = "Account key",
	.help = "One of the two access keys of the storage account",
	.secret = true,
    },
    {
	.name = "sasToken",
	.title = "SAS token",
	.help = "A shared access signature, in place of the key: what stands behind the ? of a URL",
	.secret = true,
    },
    {
	.name = "connectionString",
	.title = "Connection string",
	.help = "As the portal shows it: in place of account name, key, SAS token and endpoint",
	.secret = true,
    },
    {
	.name = "endpoint",
	.title = "Endpoint",
	.help = "URL of the Blob service; default: https://ACCOUNT.blob.core.windows.net. "
		"An emulator's has the account's name in its path: http://127.0.0.1:10000/ACCOUNT",
    },
    {
	.name = "accessTier",
	.title = "Access tier",
	.help = "Of new blobs: Hot, Cool, Cold or Archive; default: the account's",
    },
    {
	.name = "ca",
	.title = "Certificate authority",
	.help = "Absolute path of a PEM file to verify the service with, in place of the system's",
    },
    {.name = NULL},
};

/* What a connection string, or the fields in its place, say; owned. */
struct words {
	char *name, *key, *sas, *endpoint, *protocol, *suffix;
	bool development;
};

static void
words_fini(struct words *words)
{
	free(words->name);
	mem_wipe_free(words->key);
	mem_wipe_free(words->sas);
	free(words->endpoint);
	free(words->protocol);
	free(words->suffix);
}

/* One "Name=value": values may have more of '='.  Names of other services are none of ours. */
static int
words_take(struct words *words, const char *text, size_t len, struct err *err)
{
	const struct {
		const char *name;
		char **value;
	} known[] = {
	    {"AccountName", &words->name},
	    {"AccountKey", &words->key},
	    {"SharedAccessSignature", &words->sas},
	    {"BlobEndpoint", &words->endpoint},
	    {"DefaultEndpointsProtocol", &words->protocol},
	    {"EndpointSuffix", &words->suffix},
	};
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals == NULL ? 0 : (size_t)(equals - text);

	if (name_len == 0)
		return err_set(
		    err, -EINVAL, "connectionString: it must be Name=value, separated by ';'");
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strlen(known[i].name) != name_len ||
		    strncasecmp(known[i].name, text, name_len) != 0)
			continue;
		if (*known[i].value != NULL)
			return err_set(
			    err, -EINVAL, "connectionString: it has %s twice", known[i].name);
		*known[i].value = xstrndup(equals + 1, len - name_len - 1);
		return 0;
	}
	if (len == strlen("UseDevelopmentStorage=true") &&
	    strncasecmp(text, "UseDevelopmentStorage=true", len) == 0)
		words->development = true;
	return 0;
}

static int
words_parse(struct words *words, const char *text, struct err *err)
{
	int code = 0;

	while (*text != '\0' && code == 0) {
		size_t len = strcspn(text, ";");

		if (len > 0)
			code = words_take(words, text, len, err);
		text += len;
		text += *text == ';';
	}
	if (code == 0 && words->development && words->name == NULL) {
		xstrset(&words->name, AZURE_DEVELOPMENT_NAME);
		xstrset(&words->key, AZURE_DEVELOPMENT_KEY);
		xstrset(&words->endpoint, AZURE_DEVELOPMENT_ENDPOINT);
	}
	if (code == 0 && words->name == NULL && words->endpoint == NULL)
		return err_set(
		    err, -EINVAL, "connectionString: it names neither an account nor an endpoint");
	return code;
}

static int
words_open(struct words *words, const json_t *credentials, struct err *err)
{
	const struct {
		const char *name;
		char **value;
	} fields[] = {
	    {"accountName", &words->name},
	    {"accountKey", &words->key},
	    {"sasToken", &words->sas},
	    {"endpoint", &words->endpoint},
	};
	const char *all = credential_get(azure_fields, credentials, "connectionString");

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *value = credential_get(azure_fields, credentials, fields[i].name);

		if (value != NULL && all != NULL)
			return err_set(err, -EINVAL,
			    "%s: not beside a connection string, which says it", fields[i].name);
		*fields[i].value = xstrdup_null(value);
	}
	return all == NULL ? 0 : words_parse(words, all, err);
}

/* "Storage account overview": 3 to 24 lower case letters and digits. */
static bool
account_is_valid(const char *name, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	return len >= 3 && len <= 24 && strspn(name, allowed) >= len;
}

/* As an endpoint has it: in front of its host, or (an emulator's) as the first of its path. */
static char *
endpoint_account(const struct endpoint *endpoint)
{
	const char *at = endpoint_is_loopback(endpoint) ? endpoint->base : endpoint->host;
	size_t len;

	at += *at == '/';
	len = strcspn(at, "./:");
	return account_is_valid(at, len) ? xstrndup(at, len) : NULL;
}

static int
azure_open_endpoint(struct azure_account *azure, struct words *words, struct err *err)
{
	CLEANUP(cleanup_free) char *made = NULL;
	int code;

	if (words->name != NULL && !account_is_valid(words->name, strlen(words->name)))
		return err_set(
		    err, -EINVAL, "accountName: '%s' cannot be an account's name", words->name);
	if (words->endpoint == NULL && words->name == NULL)
		return err_set(err, -EINVAL, "accountName: is missing");
	if (words->endpoint == NULL)
		made = xasprintf("%s://%s.blob.%s",
		    words->protocol == NULL ? "https" : words->protocol, words->name,
		    words->suffix == NULL ? "core.windows.net" : words->suffix);
	code = endpoint_parse(&azure->endpoint, made == NULL ? words->endpoint : made, err);
	if (code != 0)
		return code;
	azure->name = words->name == NULL ? endpoint_account(&azure->endpoint) : TAKE(words->name);
	if (azure->name == NULL)
		return err_set(
		    err, -EINVAL, "accountName: is missing, and the endpoint does not say it");
	return 0;
}

/* A storage account's name is unique in Azure, whatever endpoint leads to it; emulators have the
   same names each.  Accounts of one cloud read from each other; an emulator from itself only. */
static void
azure_open_service(struct azure_account *azure)
{
	static const char *const none[] = {NULL};
	CLEANUP(cleanup_free) char *place = endpoint_service(&azure->endpoint, none);
	size_t len = strcspn(place, "/");
	const char *dot = strchr(place, '.');

	if (endpoint_is_loopback(&azure->endpoint)) {
		azure->cloud = xstrndup(place, len);
		azure->service = xasprintf("%s/%s", azure->cloud, azure->name);
		return;
	}
	/* Behind the account's name: "blob.core.windows.net". */
	azure->cloud = dot == NULL || dot > place + len
	    ? xstrndup(place, len)
	    : xstrndup(dot + 1, (size_t)(place + len - dot - 1));
	azure->service = xstrdup(azure->name);
}

static int
azure_open_secrets(struct azure_account *azure, const struct words *words, struct err *err)
{
	const char *sas = words->sas;
	int len;

	if (words->key != NULL && sas != NULL)
		return err_set(err, -EINVAL, "sasToken: either it or the key, not both");
	if (words->key != NULL) {
		len = base64_decode(azure->key, sizeof azure->key, words->key);
		if (len <= 0)
			return err_set(err, -EINVAL, "accountKey: it is not in base64");
		azure->key_len = (size_t)len;
	}
	if (sas == NULL)
		return 0;
	sas += *sas == '?';
	if (!credential_is_token(sas) || strstr(sas, "sig=") == NULL ||
	    strpbrk(sas, "?#\\\"<>") != NULL)
		return err_set(
		    err, -EINVAL, "sasToken: it must be what stands behind the ? of a SAS URL");
	azure->sas = xstrdup(sas);
	return 0;
}

/* "Container names": 3 to 63 of lower case letters, digits and hyphens; the service's own ($root,
   $web, $logs) begin with a dollar sign. */
static bool
container_is_valid(const char *name, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (len > 1 && *name == '$')
		return len <= AZURE_CONTAINER_MAX && strspn(name + 1, allowed) >= len - 1;
	return len >= 3 && len <= AZURE_CONTAINER_MAX && *name != '-' &&
	    strspn(name, allowed) >= len;
}

static int
azure_open_options(struct azure_account *azure, const json_t *credentials, struct err *err)
{
	static const char *const tiers[] = {"Hot", "Cool", "Cold", "Archive", NULL};
	const char *container = credential_get(azure_fields, credentials, "container");
	const char *tier = credential_get(azure_fields, credentials, "accessTier");
	int at, code = 0;

	if (container != NULL && !container_is_valid(container, strlen(container)))
		return err_set(
		    err, -EINVAL, "container: '%s' cannot be a container's name", container);
	if (tier != NULL)
		code = credential_choose(&at, azure_fields, credentials, "accessTier", tiers, err);
	if (code != 0)
		return code;
	azure->container = xstrdup_null(container);
	azure->tier = xstrdup_null(tier);
	return credential_ca(&azure->ca, azure_fields, credentials, err);
}

int
azure_open(struct account *account, const json_t *credentials, struct err *err)
{
	CLEANUP(words_fini) struct words words = {.name = NULL};
	struct azure_account *azure = account->data;
	int code = words_open(&words, credentials, err);

	if (code == 0)
		code = azure_open_endpoint(azure, &words, err);
	if (code == 0)
		code = azure_open_secrets(azure, &words, err);
	if (code == 0)
		code = azure_open_options(azure, credentials, err);
	if (code == 0)
		azure_open_service(azure);
	else
		azure_close(account); /* an account that was not opened is not closed */
	return code;
}

void
azure_close(struct account *account)
{
	struct azure_account *azure = account->data;

	endpoint_fini(&azure->endpoint);
	free(azure->name);
	free(azure->service);
	free(azure->cloud);
	mem_wipe(azure->key, sizeof azure->key);
	mem_wipe_free(azure->sas);
	free(azure->container);
	free(azure->tier);
	free(azure->ca);
	*azure = (struct azure_account){.name = NULL};
}

bool
azure_locate(struct azure_place *out, const struct azure_account *azure, const char *path)
{
	return object_locate(out->container, sizeof out->container, &out->key, azure->container,
	    path, container_is_valid);
}

bool
azure_is_name(const char *key)
{
	for (const char *c = key; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
			return false;
		if (*c == '.' && (c[1] == '/' || c[1] == '\0'))
			return false;
	}
	return true;
}
