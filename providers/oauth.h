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
	char *former; /* the refresh token before the last answer; NULL: it was the same, or that
			 was told */
	char *token; /* the access token, or NULL */
	uint64_t good_until_ms; /* by our clock, with a margin */
};

extern const struct cloud_sign_in oauth_sign_in;

/* The fields of accounts that people sign in to; `cloud`: whose console gives a client id. */
#define OAUTH_FIELDS(cloud)                                                                        \
	{                                                                                          \
	    .name = "clientId",                                                                    \
	    .title = "OAuth client id",                                                            \
	    .help = "Of your own app, as " cloud " shows it",                                      \
	},                                                                                         \
	    {                                                                                      \
		.name = "clientSecret",                                                            \
		.title = "OAuth client secret",                                                    \
		.help = "Of the same app; not needed if it has none",                              \
		.secret = true,                                                                    \
	    },                                                                                     \
	    {                                                                                      \
		.name = "refreshToken",                                                            \
		.title = "OAuth refresh token",                                                    \
		.help = "If you have one; else you sign in with a browser, which gets one",        \
		.secret = true,                                                                    \
	    },                                                                                     \
	    {                                                                                      \
		.name = "tokenEndpoint",                                                           \
		.title = "Token endpoint",                                                         \
		.help = "URL that grants access tokens, in place of the cloud's own",              \
	    },                                                                                     \
	{                                                                                          \
		.name = "authorizeEndpoint", .title = "Authorization endpoint",                    \
		.help = "URL where a browser signs in, in place of the cloud's own",               \
	}

/* A person's grant.  client_secret: NULL, if the client has none; refresh_token: NULL: nobody has
   signed in yet. */
int oauth_open_refresh(struct oauth *, const char *token_url, const char *client_id,
    const char *client_secret, const char *refresh_token, struct err *);
/* `json`: the key file of a service account, as Google's console gives it.  token_url: in place of
   the file's token_uri; or NULL. */
int oauth_open_service(
    struct oauth *, const char *json, const char *token_url, const char *scope, struct err *);
void oauth_close(struct oauth *); /* wipes */
/* "Authorization: Bearer ..."; nothing where no token is needed. */
void oauth_put_authorization(struct http_request *, const struct oauth *);

/* Where people sign in, and for what.  RFC 6749, 4.1, with PKCE (RFC 7636). */
struct oauth_service {
	const char *authorize_url, *token_url;
	const char *scope; /* NULL: what the client is registered for */
	const char *parameters; /* more of the request: "access_type=offline"; or NULL */
};

/* One visit of the cloud's page with a browser. */
struct oauth_visit {
	char state[65]; /* tells that the browser comes back from it; not to be guessed */
	char verifier[65]; /* tells the cloud that who has the code began the visit */
	char *redirect; /* where the browser comes back to */
};

void oauth_visit_init(struct oauth_visit *, const char *redirect);
void oauth_visit_fini(struct oauth_visit *); /* wipes */
/* What the browser opens.  -EINVAL: the credentials have no client id, or no URL that will do. */
int oauth_visit_url(struct buf *out, const struct oauth_service *, const struct oauth_visit *,
    const json_t *credentials, struct err *);
/* The code that it came back with, for a refresh token.  The credentials are borrowed until the
   request is done. */
void oauth_visit_request(struct http_request *, const struct oauth_service *,
    const struct oauth_visit *, const json_t *credentials, const char *code);
/* Caller wipes *refresh_token. */
int oauth_visit_response(char **refresh_token, const struct http_response *, struct err *);
