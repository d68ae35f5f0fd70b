/*
 * dropbox_account: an account of Dropbox: its fields, what they make of it, and where its files
 * are.
 */
#pragma once
#include "providers/endpoint.h"
#include "providers/oauth.h"

struct dropbox_account {
	struct oauth oauth; /* first: see oauth.h */
	struct endpoint api, content, notify;
	char *service; /* the same for all accounts of one Dropbox */
	char *grant; /* tells the refresh token from others, and does not betray it; or NULL */
	char *namespace; /* id; NULL: the user's own */
	uint64_t locked_ms; /* when somebody was last refused for the namespace's lock; 0: never */
	char *root; /* canonical path of the folder that is the account's top; "" is all */
};

extern const struct cloud_field dropbox_fields[];
extern const struct oauth_service dropbox_oauth;
int dropbox_open(struct account *, const json_t *credentials, struct err *);
void dropbox_close(struct account *);

/* "/folder/a/b" of the account's "a/b"; "" is the top of the namespace.  Caller frees. */
char *dropbox_path(const struct dropbox_account *, const char *path);
/* Does Dropbox keep such a name as it is?  Not one with a backslash or DEL in it, or a blank at the
   end of a component. */
bool dropbox_is_name(const char *path);
/* Are they one name to Dropbox?  For ASCII; of others it is left open: false. */
bool dropbox_is_same_name(const char *a, const char *b);
char *dropbox_identity(const struct account *, const char *path);
