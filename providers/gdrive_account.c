#include "providers/gdrive_account.h"
#include "providers/credential.h"
#include "src/hash.h"
#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NEW_MAX 1024
#define NEW_MS  (10 * 60 * 1000) /* longer than any list is behind */

const struct oauth_service gdrive_oauth = {
    .authorize_url = "https://accounts.google.com/o/oauth2/v2/auth",
    .token_url = "https://oauth2.googleapis.com/token",
    .scope = "https://www.googleapis.com/auth/drive",
    .parameters = "access_type=offline&prompt=consent",
};

const struct cloud_field gdrive_fields[] = {
    OAUTH_FIELDS("the Google Cloud console (a client for desktop apps)"),
    {
	.name = "drive",
	.title = "Shared drive",
	.help = "Id of a shared drive; default: My Drive",
    },
    {
	.name = "rootFolder",
	.title = "Top folder",
	.help = "Id of the folder that is shown as the account's top; default: all of the drive",
    },
    {
	.name = "permanentDelete",
	.title = "Delete permanently",
	.help =
	    "yes: files that are removed do not go to the trash; folders and documents always do",
	.value = "no",
    },
    {
	.name = "docsExport",
	.title = "Google Docs as",
	.help = "office, opendocument or pdf: what Docs, Sheets, Slides and Drawings are read as; "
		"none: they are not shown",
	.value = "office",
    },
    {
	.name = "endpoint",
	.title = "Endpoint",
	.help = "URL in front of /drive/v3 and /upload",
	.value = "https://www.googleapis.com",
    },
    {
	.name = "ca",
	.title = "Certificate authority",
	.help = "Absolute path of a PEM file to verify the service with, in place of the system's",
    },
    {.name = NULL},
};

bool
gdrive_is_id(const char *text)
{
	size_t len = strlen(text);

	for (const char *c = text; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	}
	return len > 0 && len < GDRIVE_ID_MAX;
}

static int
gdrive_open_id(char **out, const json_t *credentials, const char *name, struct err *err)
{
	const char *id = credential_get(gdrive_fields, credentials, name);

	if (id != NULL && !gdrive_is_id(id))
		return err_set(err, -EINVAL,
		    "%s: '%s' is no id: it is the last part of the folder's address in a browser",
		    name, id);
	*out = xstrdup_null(id);
	return 0;
}

static int
gdrive_open_grant(struct gdrive_account *drive, const json_t *credentials, struct err *err)
{
	const char *client = credential_get(gdrive_fields, credentials, "clientId");
	const char *token = credential_get(gdrive_fields, credentials, "refreshToken");
	const char *url = credential_get(gdrive_fields, credentials, "tokenEndpoint");
	CLEANUP(cleanup_free)
	char *all = xasprintf("%s %s", client == NULL ? "" : client, token == NULL ? "" : token);
	struct buf hex = BUF_INIT(64);
	unsigned char sum[32];

	sha256(sum, all, strlen(all));
	buf_put_hex(&hex, sum, 16);
	drive->grant = buf_take(&hex);
	mem_wipe(all, strlen(all));
	if (client == NULL)
		return err_set(err, -EINVAL, "clientId: it is needed");
	return oauth_open_refresh(&drive->oauth, url != NULL ? url : gdrive_oauth.token_url, client,
	    credential_get(gdrive_fields, credentials, "clientSecret"), token, err);
}

int
gdrive_open(struct account *account, const json_t *credentials, struct err *err)
{
	static const char *const answers[] = {"no", "yes", NULL};
	struct gdrive_account *drive = account->data;
	int permanent = 0, exports = 0;
	int code = endpoint_parse(
	    &drive->endpoint, credential_get(gdrive_fields, credentials, "endpoint"), err);

	if (code == 0)
		code = gdrive_open_grant(drive, credentials, err);
	if (code == 0)
		code = credential_choose(
		    &permanent, gdrive_fields, credentials, "permanentDelete", answers, err);
	if (code == 0)
		code = credential_choose(
		    &exports, gdrive_fields, credentials, "docsExport", gdrive_exports_names, err);
	if (code == 0)
		code = gdrive_open_id(&drive->drive, credentials, "drive", err);
	if (code == 0)
		code = gdrive_open_id(&drive->folder, credentials, "rootFolder", err);
	if (code == 0)
		code = credential_ca(&drive->oauth.ca, gdrive_fields, credentials, err);
	drive->permanent = permanent == 1;
	drive->exports = (enum gdrive_exports)exports;
	drive->places = xcalloc(GDRIVE_PLACES_MAX, sizeof *drive->places);
	if (code != 0)
		gdrive_close(account);
	return code;
}

void
gdrive_close(struct account *account)
{
	struct gdrive_account *drive = account->data;

	for (size_t i = 0; drive->places != NULL && i < GDRIVE_PLACES_MAX; i++)
		free(drive->places[i].path);
	free(drive->places);
	free(drive->parents);
	cloud_changed_fini(&drive->untold);
	resumable_sessions_fini(&drive->sessions);
	oauth_close(&drive->oauth);
	endpoint_fini(&drive->endpoint);
	free(drive->drive);
	free(drive->folder);
	free(drive->grant);
	*drive = (struct gdrive_account){.ids_len = 0};
}

/* Places */

/* Every loop has an account of its own: what one moves another has remembered. */
static atomic_uint_fast64_t generation;

bool
gdrive_place_is_current(const struct gdrive_place *place)
{
	return place->generation == atomic_load(&generation);
}

void
gdrive_places_change(void)
{
	atomic_fetch_add(&generation, 1);
}

/* What was shown of it cannot be told any more when it changes: so that is now. */
static void
place_forget(struct gdrive_account *drive, struct gdrive_place *p)
{
	if (p->path != NULL && p->is_directory && drive->follows)
		cloud_changed_add(&drive->untold, p->path, true);
	free(TAKE(p->path));
}

struct gdrive_place *
gdrive_place_get(struct gdrive_account *drive, const char *path, size_t len)
{
	for (size_t i = 0; i < GDRIVE_PLACES_MAX; i++) {
		struct gdrive_place *p = &drive->places[i];

		if (p->path != NULL && strncmp(p->path, path, len) == 0 && p->path[len] == '\0') {
			p->used = ++drive->uses;
			return p;
		}
	}
	return NULL;
}

void
gdrive_place_put(struct gdrive_account *drive, const char *path, size_t len, const char *id,
    bool is_directory, uint64_t now_ms)
{
	struct gdrive_place *p = gdrive_place_get(drive, path, len);

	if (p == NULL) {
		p = &drive->places[0];
		for (size_t i = 1; i < GDRIVE_PLACES_MAX && p->path != NULL; i++) {
			if (drive->places[i].path == NULL || drive->places[i].used < p->used)
				p = &drive->places[i];
		}
		place_forget(drive, p);
		*p = (struct gdrive_place){.path = xstrndup(path, len)};
	}
	/* What was below another directory of that name is not below this one. */
	if (strcmp(p->id, id) != 0) {
		gdrive_place_drop(drive, path, len);
		p->path = xstrndup(path, len);
	}
	snprintf(p->id, sizeof p->id, "%s", id);
	p->is_directory = is_directory;
	p->checked_ms = now_ms;
	p->generation = atomic_load(&generation);
	p->used = ++drive->uses;
}

void
gdrive_place_drop(struct gdrive_account *drive, const char *path, size_t len)
{
	for (size_t i = 0; i < GDRIVE_PLACES_MAX; i++) {
		struct gdrive_place *p = &drive->places[i];

		if (p->path != NULL && strncmp(p->path, path, len) == 0 &&
		    (len == 0 || p->path[len] == '\0' || p->path[len] == '/')) {
			place_forget(drive, p);
			*p = (struct gdrive_place){.path = NULL};
		}
	}
}

/* New files */

struct new_file {
	char *name; /* "DIR/NAME"; NULL: free */
	char id[GDRIVE_ID_MAX];
	uint64_t since_ms;
};

static pthread_mutex_t new_lock = PTHREAD_MUTEX_INITIALIZER;
static struct new_file new_files[NEW_MAX];

static struct new_file *
new_find(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	for (size_t i = 0; i < NEW_MAX; i++) {
		struct new_file *f = &new_files[i];

		if (f->name != NULL && strncmp(f->name, dir, len) == 0 && f->name[len] == '/' &&
		    strcmp(f->name + len + 1, name) == 0)
			return f;
	}
	return NULL;
}

static void
new_clear(struct new_file *f)
{
	free(f->name);
	*f = (struct new_file){.name = NULL};
}

bool
gdrive_new_get(char id[GDRIVE_ID_MAX], const char *dir, const char *name, uint64_t now_ms)
{
	struct new_file *f;
	bool found;

	pthread_mutex_lock(&new_lock);
	f = new_find(dir, name);
	if (f != NULL && f->since_ms + NEW_MS < now_ms) {
		new_clear(f);
		f = NULL;
	}
	found = f != NULL;
	if (found)
		snprintf(id, GDRIVE_ID_MAX, "%s", f->id);
	pthread_mutex_unlock(&new_lock);
	return found;
}

void
gdrive_new_put(const char *dir, const char *name, const char *id, uint64_t now_ms)
{
	struct new_file *f;

	pthread_mutex_lock(&new_lock);
	if (new_find(dir, name) == NULL) {
		f = &new_files[0];
		for (size_t i = 1; i < NEW_MAX && f->name != NULL; i++) {
			if (new_files[i].since_ms < f->since_ms)
				f = &new_files[i];
		}
		new_clear(f);
		f->name = xasprintf("%s/%s", dir, name);
		snprintf(f->id, sizeof f->id, "%s", id);
		f->since_ms = now_ms;
	}
	pthread_mutex_unlock(&new_lock);
}

void
gdrive_new_drop(const char *dir, const char *name)
{
	struct new_file *f;

	pthread_mutex_lock(&new_lock);
	f = new_find(dir, name);
	if (f != NULL)
		new_clear(f);
	pthread_mutex_unlock(&new_lock);
}
