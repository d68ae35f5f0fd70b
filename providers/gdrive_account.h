/*
 * gdrive_account: an account of Google Drive: its fields, and what is remembered between its ops:
 * where paths led, ids that were generated for new files, upload sessions.  It belongs to one loop.
 *
 * Everything remembered is a hint, and bounded: what is lost is asked for again.
 */
#pragma once
#include "providers/endpoint.h"
#include "providers/gdrive_export.h"
#include "providers/oauth.h"
#include "providers/resumable.h"
#include "src/cloud.h"

#define GDRIVE_ID_MAX     96 /* with its NUL; ids have 19 to 44 characters so far */
#define GDRIVE_IDS_MAX    32 /* generated at once: one request for so many new files */
#define GDRIVE_PLACES_MAX 1024

/* Where a path led. */
struct gdrive_place {
	char *path; /* NULL: free */
	char id[GDRIVE_ID_MAX];
	bool is_directory;
	uint64_t checked_ms; /* it was there then */
	uint64_t generation; /* and nobody of us had moved a directory since */
	uint64_t used; /* the larger, the later */
};

/* In which directory a file was shown: hashes of their ids. */
struct gdrive_parent {
	uint64_t file, parent;
};

struct gdrive_account {
	struct oauth oauth; /* first; its ca is the account's */
	struct endpoint endpoint;
	char *drive; /* id of a shared drive; NULL: My Drive */
	char *folder; /* id of the folder that is the top; NULL: all of the drive */
	char *grant; /* names the grant without telling it */
	bool permanent; /* files that are removed do not go to the trash */
	enum gdrive_exports exports; /* as what documents are shown */
	char root[GDRIVE_ID_MAX]; /* of the top, once it is known; else "" */
	struct gdrive_place *places;
	uint64_t uses;
	bool follows; /* changes were asked for: from then on */
	struct cloud_changed_list untold; /* what CHANGES is to tell */
	struct gdrive_parent *parents; /* gdrive_changes.c: of what was shown */
	size_t parents_len, parents_size;
	char ids[GDRIVE_IDS_MAX][GDRIVE_ID_MAX];
	size_t ids_len;
	struct resumable_sessions sessions;
};

extern const struct oauth_service gdrive_oauth;
extern const struct cloud_field gdrive_fields[];
int gdrive_open(struct account *, const json_t *credentials, struct err *);
void gdrive_close(struct account *);
/* Letters, digits, '-' and '_'; not too long. */
bool gdrive_is_id(const char *);

/* The place of the first `len` bytes of the path, or NULL; valid until the next call. */
struct gdrive_place *gdrive_place_get(struct gdrive_account *, const char *path, size_t len);
void gdrive_place_put(struct gdrive_account *, const char *path, size_t len, const char *id,
    bool is_directory, uint64_t now_ms);
/* Has none of the process's accounts moved or removed a directory since it was put? */
bool gdrive_place_is_current(const struct gdrive_place *);
/* That is what somebody does now. */
void gdrive_places_change(void);
/* That path, and all below it. */
void gdrive_place_drop(struct gdrive_account *, const char *path, size_t len);

/*
 * Ids that new files and directories are made with, known to all accounts of the process: whoever
 * makes the same name in the same directory takes the same id, so that two, or one whose answer was
 * lost, make no twins.  Lists may not show what is new for a while; it is found here meanwhile.
 */
bool gdrive_new_get(char id[GDRIVE_ID_MAX], const char *dir, const char *name, uint64_t now_ms);
/* The id in use from now on: what was there, or `id`, which is copied. */
void gdrive_new_put(const char *dir, const char *name, const char *id, uint64_t now_ms);
void gdrive_new_drop(const char *dir, const char *name);
