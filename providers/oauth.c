#include "providers/oauth.h"
#include "providers/credential.h"
#include "src/hash.h"
#include "src/seal.h"
#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

/* A token is not used in the last part of its life: a request takes time to get there, and clocks
   differ. */
#define OAUTH_MARGIN_MS 60000
/* RFC 6749, 5.1: expires_in is recommended only. */
#define OAUTH_LIFE_S 3600
/* "Using OAuth 2.0 for Server to Server Applications": at most one hour after it was issued. */
#define OAUTH_GRANT_S 3600
/* Issued so long ago, for servers whose clock is behind ours. */
#define OAUTH_SKEW_S 60

static const char service_grant[] = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/* Secrets go there, so it has to be who it says; this machine itself is for tests. */
static int
oauth_check_url(const char *field, const char *url, struct err *err)
{
	static const char *const local[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};

	if (!credential_is_token(url))
		return err_set(err, -EINVAL, "%s: it must be a URL", field);
	if (strncmp(url, "https://", 8) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(local); i++) {
		size_t len = strlen(local[i]);

		/* "http://127.0.0.1:80@example.com" is somewhere else. */
		if (strncmp(url, local[i], len) == 0 && strchr(":/", url[len]) != NULL &&
		    url[len + strcspn(url + len, "@/?#")] != '@')
			return 0;
	}
	return err_set(err, -EINVAL,
	    "%s: '%s' must begin with https:// (http:// is for this machine only)", field, url);
}

static int
oauth_set_url(struct oauth *oauth, const char *url, struct err *err)
{
	int code = oauth_check_url("tokenEndpoint", url, err);

	if (code == 0)
		oauth->token_url = xstrdup(url);
	return code;
}

int
oauth_open_refresh(struct oauth *oauth, const char *token_url, const char *client_id,
    const char *client_secret, const char *refresh_token, struct err *err)
{
	int code = oauth_set_url(oauth, token_url, err);

	if (code != 0)
		return code;
	oauth->client_id = xstrdup(client_id);
	oauth->client_secret = xstrdup_null(client_secret);
	oauth->refresh_token = xstrdup_null(refresh_token);
	return 0;
}

static bool
is_rsa_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool is = key != NULL && EVP_PKEY_base_id(key) == EVP_PKEY_RSA;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return is;
}

int
oauth_open_service(struct oauth *oauth, const char *text, const char *token_url, const char *scope,
    struct err *err)
{
	json_t *file = json_loads(text, 0, NULL);
	const char *mail = json_string_value(json_object_get(file, "client_email"));
	const char *key = json_string_value(json_object_get(file, "private_key"));
	const char *url = json_string_value(json_object_get(file, "token_uri"));
	int code = 0;

	if (mail == NULL || key == NULL || (url == NULL && token_url == NULL))
		code = err_set(err, -EINVAL,
		    "serviceAccount: it must be the JSON key file of a service account, with "
		    "client_email, private_key and token_uri");
	else if (!is_rsa_key(key))
		code =
		    err_set(err, -EINVAL, "serviceAccount: its private_key is no RSA key in PEM");
	else
		code = oauth_set_url(oauth, token_url != NULL ? token_url : url, err);
	if (code == 0) {
		oauth->service = xstrdup(mail);
		oauth->key = xstrdup(key);
		oauth->scope = xstrdup(scope);
	}
	json_decref(file);
	return code;
}

void
oauth_close(struct oauth *oauth)
{
	free(oauth->token_url);
	free(oauth->client_id);
	mem_wipe_free(oauth->client_secret);
	mem_wipe_free(oauth->refresh_token);
	mem_wipe_free(oauth->former);
	free(oauth->service);
	free(oauth->scope);
	mem_wipe_free(oauth->key);
	free(oauth->ca);
	mem_wipe_free(oauth->token);
	*oauth = (struct oauth){.token = NULL};
}

void
oauth_put_authorization(struct http_request *req, const struct oauth *oauth)
{
	if (oauth->token != NULL)
		http_request_header(req, "Authorization", "Bearer %s", oauth->token);
}

/* requests */

static bool
oauth_is_needed(const struct account *account, uint64_t now_ms)
{
	const struct oauth *oauth = account->data;

	return oauth->token_url != NULL && (oauth->token == NULL || now_ms >= oauth->good_until_ms);
}

static void
oauth_forget(struct account *account)
{
	struct oauth *oauth = account->data;

	mem_wipe_free(TAKE(oauth->token));
}

static bool
oauth_is_open(const struct account *account)
{
	const struct oauth *oauth = account->data;

	return oauth->client_id != NULL && oauth->refresh_token == NULL;
}

static const char *
oauth_token(const struct account *account, uint64_t *good_until_ms)
{
	const struct oauth *oauth = account->data;

	*good_until_ms = oauth->good_until_ms;
	return oauth->token;
}

static void
oauth_put_token(struct account *account, const char *token, uint64_t good_until_ms)
{
	struct oauth *oauth = account->data;

	mem_wipe_free(oauth->token);
	oauth->token = xstrdup(token);
	oauth->good_until_ms = good_until_ms;
}

static bool
oauth_rotated(struct account *account, char **was, char **now)
{
	struct oauth *oauth = account->data;

	if (oauth->former == NULL)
		return false;
	*was = TAKE(oauth->former);
	*now = xstrdup(oauth->refresh_token);
	return true;
}

static void
form_add(struct buf *form, const char *name, const char *value)
{
	buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
	buf_put_uri(form, value, NULL);
}

static void
token_request(struct http_request *req, const char *url, const char *ca)
{
	req->method = "POST";
	req->body = HTTP_BODY_BYTES;
	req->bytes.secret = true;
	req->ca_file = ca;
	buf_puts(&req->url, url);
	http_request_header(req, "Content-Type", "application/x-www-form-urlencoded");
	http_request_header(req, "Accept", "application/json");
}

/* RFC 7523, 3: who asks, for what, until when; signed.  NULL: out of memory.  Caller wipes. */
static char *
oauth_grant(const struct oauth *oauth, uint64_t now_ms)
{
	long now = (long)(now_ms / 1000) - OAUTH_SKEW_S;
	char *grant = NULL;
	jwt_t *jwt;

	if (jwt_new(&jwt) != 0)
		return NULL;
	if (jwt_set_alg(jwt, JWT_ALG_RS256, (const unsigned char *)oauth->key,
		(int)strlen(oauth->key)) == 0 &&
	    jwt_add_grant(jwt, "iss", oauth->service) == 0 &&
	    jwt_add_grant(jwt, "scope", oauth->scope) == 0 &&
	    jwt_add_grant(jwt, "aud", oauth->token_url) == 0 &&
	    jwt_add_grant_int(jwt, "iat", now) == 0 &&
	    jwt_add_grant_int(jwt, "exp", now + OAUTH_GRANT_S) == 0)
		grant = jwt_encode_str(jwt);
	jwt_free(jwt);
	return grant;
}

static int
oauth_request(struct account *account, uint64_t now_ms, struct http_request *req, struct err *err)
{
	const struct oauth *oauth = account->data;
	char *grant;

	token_request(req, oauth->token_url, oauth->ca);
	if (oauth->service != NULL) {
		grant = oauth_grant(oauth, now_ms);
		if (grant == NULL)
			return err_set(err, -EINVAL,
			    "'%s': its grant could not be signed with the service account's key",
			    account->name);
		form_add(&req->bytes, "grant_type", service_grant);
		form_add(&req->bytes, "assertion", grant);
		mem_wipe_free(grant);
		return 0;
	}
	if (oauth->refresh_token == NULL)
		return err_set(err, -EKEYEXPIRED,
		    "nobody has signed in to '%s' yet: skyferry account sign-in %s", account->name,
		    account->name);
	form_add(&req->bytes, "grant_type", "refresh_token");
	form_add(&req->bytes, "refresh_token", oauth->refresh_token);
	form_add(&req->bytes, "client_id", oauth->client_id);
	if (oauth->client_secret != NULL)
		form_add(&req->bytes, "client_secret", oauth->client_secret);
	return 0;
}

/* answers */

/* NULL: it is no JSON.  Caller decrefs. */
static json_t *
answer_parse(const struct http_response *res)
{
	return json_loadb(buf_str(&res->body), res->body.len, 0, NULL);
}

/* What the server says, for a person: RFC 6749, 5.2. */
static const char *
oauth_words(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *words = json_string_value(json_object_get(answer, "error_description"));

	if (words != NULL && *words != '\0')
		return words;
	return error != NULL ? error : "no reason given";
}

/* The grant, or the client that asks with it, is not known (any more): a person has to act. */
static bool
oauth_is_revoked(int status, const char *error)
{
	static const char *const final[] = {"invalid_grant", "invalid_client",
	    "unauthorized_client", "access_denied", "invalid_scope", "deleted_client",
	    "disabled_client"};

	for (size_t i = 0; i < ARRAY_LEN(final); i++) {
		if (strcmp(error, final[i]) == 0)
			return true;
	}
	return status == 401 || status == 403;
}

static int
oauth_refused(const struct account *account, const struct http_response *res, const json_t *answer,
    struct err *err)
{
	const struct oauth *oauth = account->data;
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (res->status == 429 || res->status == 408 || res->status >= 500)
		return err_set(err, -EAGAIN, "'%s': no access token now (%s says %d: %s)",
		    account->name, oauth->token_url, res->status, oauth_words(answer));
	if (oauth_is_revoked(res->status, error == NULL ? "" : error))
		return err_set(err, -EKEYEXPIRED,
		    "'%s' must be signed in again: skyferry account sign-in %s (%s says: %s)",
		    account->name, account->name, oauth->token_url, oauth_words(answer));
	return err_set(err, -EPROTO, "'%s': no access token (%s says %d: %s)", account->name,
	    oauth->token_url, res->status, oauth_words(answer));
}

/* RFC 6749, 6: "the client MUST discard the old refresh token and replace it". */
static void
oauth_take_refresh(struct oauth *oauth, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "refresh_token"));

	if (token == NULL || *token == '\0' || oauth->refresh_token == NULL ||
	    strcmp(token, oauth->refresh_token) == 0)
		return;
	if (oauth->former == NULL)
		oauth->former = oauth->refresh_token;
	else /* nobody has asked: what is told is where it began, and where it is */
		mem_wipe_free(oauth->refresh_token);
	oauth->refresh_token = xstrdup(token);
}

static int
oauth_take(struct oauth *oauth, uint64_t now_ms, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "access_token"));
	const char *type = json_string_value(json_object_get(answer, "token_type"));
	json_int_t life = json_integer_value(json_object_get(answer, "expires_in"));
	uint64_t life_ms, margin;

	oauth_take_refresh(oauth, answer); /* whatever the rest is: the old one is gone */
	if (token == NULL || !credential_is_token(token) ||
	    (type != NULL && strcasecmp(type, "Bearer") != 0))
		return -EPROTO;
	life_ms = (uint64_t)(life > 0 && life < INT32_MAX ? life : OAUTH_LIFE_S) * 1000;
	margin = MIN((uint64_t)OAUTH_MARGIN_MS, life_ms / 4);
	mem_wipe_free(oauth->token);
	oauth->token = xstrdup(token);
	oauth->good_until_ms = now_ms + life_ms - margin;
	return 0;
}

static int
oauth_response(
    struct account *account, uint64_t now_ms, const struct http_response *res, struct err *err)
{
	struct oauth *oauth = account->data;
	json_t *answer =
	    json_loadb(res->body.data == NULL ? "" : res->body.data, res->body.len, 0, NULL);
	int code;

	if (res->status == 200)
		code = oauth_take(oauth, now_ms, answer);
	else
		code = oauth_refused(account, res, answer, err);
	if (code != 0 && res->status == 200)
		code = err_set(err, code, "'%s': %s gave no bearer token in its answer",
		    account->name, oauth->token_url);
	json_decref(answer);
	return code;
}

const struct cloud_sign_in oauth_sign_in = {
    .is_needed = oauth_is_needed,
    .request = oauth_request,
    .response = oauth_response,
    .forget = oauth_forget,
    .is_open = oauth_is_open,
    .token = oauth_token,
    .put_token = oauth_put_token,
    .rotated = oauth_rotated,
};

/* visits */

static const char *
visit_value(const json_t *credentials, const char *name, const char *otherwise)
{
	const char *value = json_string_value(json_object_get(credentials, name));

	return value != NULL && *value != '\0' ? value : otherwise;
}

/* 256 bits: RFC 7636, 7.1. */
static void
visit_random(char out[65])
{
	CLEANUP(buf_free) struct buf hex = BUF_INIT(65);
	unsigned char bytes[32];

	hex.secret = true;
	random_bytes(bytes, sizeof bytes);
	buf_put_hex(&hex, bytes, sizeof bytes);
	memcpy(out, hex.data, 65);
	mem_wipe(bytes, sizeof bytes);
}

void
oauth_visit_init(struct oauth_visit *visit, const char *redirect)
{
	visit_random(visit->state);
	visit_random(visit->verifier);
	visit->redirect = xstrdup(redirect);
}

void
oauth_visit_fini(struct oauth_visit *visit)
{
	free(visit->redirect);
	mem_wipe(visit, sizeof *visit);
}

/* RFC 7636, 4.2: base64url of its SHA-256, without padding. */
static void
visit_challenge(struct buf *out, const char *verifier)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	unsigned char sum[32];

	sha256(sum, verifier, strlen(verifier));
	buf_put_base64(&text, sum, sizeof sum);
	for (size_t i = 0; i < text.len && text.data[i] != '='; i++)
		buf_putc(out, text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i]);
}

int
oauth_visit_url(struct buf *out, const struct oauth_service *service,
    const struct oauth_visit *visit, const json_t *credentials, struct err *err)
{
	const char *base = visit_value(credentials, "authorizeEndpoint", service->authorize_url);
	const char *client = visit_value(credentials, "clientId", NULL);
	int code = oauth_check_url("authorizeEndpoint", base, err);

	if (code != 0)
		return code;
	if (client == NULL)
		return err_set(err, -EINVAL,
		    "clientId: is missing: signing in needs the OAuth client id of an app of yours");
	buf_printf(out, "%s%sresponse_type=code", base, strchr(base, '?') == NULL ? "?" : "&");
	form_add(out, "client_id", client);
	form_add(out, "redirect_uri", visit->redirect);
	if (service->scope != NULL)
		form_add(out, "scope", service->scope);
	form_add(out, "state", visit->state);
	buf_puts(out, "&code_challenge_method=S256&code_challenge=");
	visit_challenge(out, visit->verifier);
	if (service->parameters != NULL)
		buf_printf(out, "&%s", service->parameters);
	return 0;
}

void
oauth_visit_request(struct http_request *req, const struct oauth_service *service,
    const struct oauth_visit *visit, const json_t *credentials, const char *code)
{
	const char *secret = visit_value(credentials, "clientSecret", NULL);

	token_request(req, visit_value(credentials, "tokenEndpoint", service->token_url),
	    visit_value(credentials, "ca", NULL));
	form_add(&req->bytes, "grant_type", "authorization_code");
	form_add(&req->bytes, "code", code);
	form_add(&req->bytes, "redirect_uri", visit->redirect);
	form_add(&req->bytes, "code_verifier", visit->verifier);
	form_add(&req->bytes, "client_id", visit_value(credentials, "clientId", ""));
	if (secret != NULL)
		form_add(&req->bytes, "client_secret", secret);
}

int
oauth_visit_response(char **refresh_token, const struct http_response *res, struct err *err)
{
	json_t *answer = answer_parse(res);
	const char *token = json_string_value(json_object_get(answer, "refresh_token"));
	int code = 0;

	if (res->status != 200)
		code = err_set(err, res->status >= 500 ? -EAGAIN : -EACCES,
		    "the cloud does not take the sign-in (%d: %s)", res->status,
		    oauth_words(answer));
	else if (token == NULL || *token == '\0')
		code = err_set(err, -EPROTO,
		    "the cloud took the sign-in, but gave no refresh token: remove the app's access "
		    "in the cloud's settings and sign in again");
	else
		*refresh_token = xstrdup(token);
	json_decref(answer);
	return code;
}
