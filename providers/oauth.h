/*
 * oauth: access tokens of OAuth 2.0 (RFC 6749), got with a refresh token (section 6) or as a
 * service account (RFC 7523: a grant that is a JWT signed by its key).
 *
 * A driver whose account's private part begins with a struct oauth has `.sign_in = &oauth_sign_in`.
 */
#pragma once
#include "src/cloud.h"

struct oauth {
	char *token_url; /* NULL: no token is needed */
	char *client_id, *client_secret, *refresh_token; /* of a person's grant */
	char *service, *scope; /* a service account's mail address */
	char *key; /* and its RSA key, PEM */
	char *ca; /* PEM file; or NULL */
	char *token; /* the access token, or NULL */
	uint64_t good_until_ms; /* by our clock, with a margin */
};

extern const struct cloud_sign_in oauth_sign_in;

/* A person's grant.  client_secret: NULL, if the client has none. */
int oauth_open_refresh(struct oauth *, const char *token_url, const char *client_id,
    const char *client_secret, const char *refresh_token, struct err *);
/* `json`: the key file of a service account, as Google's console gives it.  token_url: in place of
   the file's token_uri; or NULL. */
int oauth_open_service(
    struct oauth *, const char *json, const char *token_url, const char *scope, struct err *);
void oauth_close(struct oauth *); /* wipes */
/* "Authorization: Bearer ..."; nothing where no token is needed. */
void oauth_put_authorization(struct http_request *, const struct oauth *);
