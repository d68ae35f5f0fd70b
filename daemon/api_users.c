#include "daemon/api.h"
#include "daemon/auth.h"
#include "daemon/check.h"
#include "daemon/server.h"
#include "daemon/view.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/log.h"
#include <ctype.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define PASSWORD_FIELD(name, needed)                                                               \
	{                                                                                          \
		name, CHECK_STRING, needed, AUTH_PASSWORD_MIN, AUTH_PASSWORD_MAX                   \
	}
/* A password that is compared may be anything: one that is too short is simply wrong. */
#define COMPARED_FIELD(name, needed)                                                               \
	{                                                                                          \
		name, CHECK_STRING, needed, 0, AUTH_PASSWORD_MAX                                   \
	}
#define USERNAME_FIELD                                                                             \
	{                                                                                          \
		"username", CHECK_STRING, true, 1, 64                                              \
	}

static const struct check_field credentials_fields[] = {
    USERNAME_FIELD,
    PASSWORD_FIELD("password", true),
    {NULL},
};

/* Names are lower case: what was typed in another one means the same user. */
static void
name_fold(char out[65], const char *name)
{
	size_t i;

	for (i = 0; i < 64 && name[i] != '\0'; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	out[i] = '\0';
}

static int
name_read(char out[65], const struct call *c, struct err *err)
{
	name_fold(out, get_str(c->body, "username"));
	if (!auth_name_is_valid(out))
		return err_set(
		    err, -EINVAL, "'username' must be 1 to 64 characters of a-z 0-9 . _ - @");
	if (strcmp(out, "local") == 0)
		return err_set(err, -EEXIST, "the name 'local' is kept for the daemon's own user");
	return 0;
}

static void
reply_with_token(struct call *c, int status, const struct user *user)
{
	json_t *body = json_object();
	int64_t seconds;
	char *token = auth_token(server_auth(c->daemon->server), user, &seconds);

	field_set(body, "user", view_user(user));
	field_set_str(body, "token", token);
	field_set_int(body, "expiresIn", seconds);
	mem_wipe_free(token);
	call_reply(c, status, body);
}

/* -- a new user, registered or made by an administrator: call->data is a struct user */

static void
user_data_free(void *data)
{
	user_free(data);
}

static struct user *
user_begin(struct call *c, const char *name, bool admin, int64_t uid)
{
	struct user *user = xcalloc(1, sizeof *user);

	uuid_new(user->id);
	user->name = xstrdup(name);
	user->admin = admin;
	user->uid = uid;
	user->weight = 1;
	user->created_ms = clock_ms();
	c->data = user;
	c->fini = user_data_free;
	return user;
}

static void
user_on_added(void *arg, struct store_result *res)
{
	struct call *c = arg;
	struct user *user = c->data, *stored;

	if (res->code != 0) {
		call_fail(c, res->code, &res->err);
		return;
	}
	if (user->admin_if_first &&
	    store_user_get(c->daemon->store, user->id, &stored, NULL) == 0) {
		user->admin = stored->admin;
		user_free(stored);
	}
	log_info(
	    "%s: user '%s' added%s", user->id, user->name, user->admin ? ", an administrator" : "");
	if (c->req != NULL && (c->user == NULL))
		reply_with_token(c, 201, user);
	else
		call_reply(c, 201, view_user(user));
}

static void
user_on_hash(struct call *c, char *hash)
{
	struct user *user = c->data;

	if (hash == NULL) {
		call_failf(c, -EIO, "the password could not be hashed");
		return;
	}
	user->password = hash;
	store_user_add(c->daemon->store, user, user_on_added, c);
}

/* A web page may make a browser on this machine send requests here under another name (DNS
   rebinding): registering over loopback counts as local only under a loopback name. */
static bool
call_is_local(const struct call *c)
{
	const char *host;
	char name[64];
	size_t len;

	if (c->socket)
		return true;
	host = evhttp_find_header(evhttp_request_get_input_headers(c->req), "Host");
	if (!c->loopback || host == NULL)
		return false;
	len = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
	if (len >= sizeof name)
		return false;
	snprintf(name, sizeof name, "%.*s", (int)len, host);
	if (name[0] == '[')
		return auth_is_loopback(name + 1);
	return strcmp(name, "localhost") == 0 || auth_is_loopback(name);
}

void
api_auth_register(struct call *c)
{
	const char *who = settings_str(c->daemon->settings, "users.register");
	bool local = call_is_local(c);
	struct err err = ERR_INIT;
	struct user *user;
	char name[65];

	if (strcmp(who, "no") == 0 || (strcmp(who, "local") == 0 && !local)) {
		call_failf(c, -EPERM, "registering is not open%s; ask an administrator",
		    local ? "" : " to callers from elsewhere");
		return;
	}
	if (check_object(c->body, credentials_fields, &err) != 0 || name_read(name, c, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	user = user_begin(c, name, false, -1);
	user->admin_if_first = local;
	auth_hash(c, get_str(c->body, "password"), user_on_hash);
}

void
api_users_add(struct call *c)
{
	static const struct check_field fields[] = {
	    USERNAME_FIELD,
	    PASSWORD_FIELD("password", false),
	    {"admin", CHECK_BOOL},
	    {"uid", CHECK_INT, .min = 0, .max = UINT32_MAX - 1},
	    {NULL},
	};
	struct err err = ERR_INIT;
	struct user *user;
	char name[65];

	if (check_object(c->body, fields, &err) != 0 || name_read(name, c, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	user = user_begin(c, name, get_bool(c->body, "admin", false), get_int(c->body, "uid", -1));
	if (get_has(c->body, "password"))
		auth_hash(c, get_str(c->body, "password"), user_on_hash);
	else
		store_user_add(c->daemon->store, user, user_on_added, c);
}

void
api_users_list(struct call *c)
{
	json_t *body = json_object(), *list = json_array();
	struct err err = ERR_INIT;
	struct user **users = NULL;
	size_t i, len = 0;

	json_object_set_new(body, "users", list);
	if (store_users(c->daemon->store, &users, &len, &err) != 0) {
		json_decref(body);
		call_fail(c, err.code, &err);
		return;
	}
	for (i = 0; i < len; i++) {
		json_array_append_new(list, view_user(users[i]));
		user_free(users[i]);
	}
	free(users);
	call_reply(c, 200, body);
}

/* -- signing in */

static void
login_on_verified(struct call *c, bool right)
{
	if (!right)
		call_fail_status(c, 401, "sign_in", "wrong name or password");
	else
		reply_with_token(c, 200, c->data);
}

void
api_auth_login(struct call *c)
{
	static const struct check_field fields[] = {
	    USERNAME_FIELD,
	    COMPARED_FIELD("password", true),
	    {NULL},
	};
	struct err err = ERR_INIT;
	struct user *user = NULL;
	char name[65];
	int code;

	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	name_fold(name, get_str(c->body, "username"));
	code = store_user_by_name(c->daemon->store, name, &user, &err);
	if (code != 0 && code != -ENOENT) {
		call_fail(c, code, &err);
		return;
	}
	c->data = user;
	c->fini = user_data_free;
	auth_verify(c, name, user != NULL ? user->password : NULL, get_str(c->body, "password"),
	    login_on_verified);
}

void
api_auth_me(struct call *c)
{
	json_t *user = view_user(c->user);

	field_set_bool(user, "admin", c->admin);
	call_reply(c, 200, user);
}

/* -- a new password: call->data is the struct user that gets it */

static void
password_on_stored(void *arg, struct store_result *res)
{
	struct call *c = arg;

	if (res->code != 0)
		call_fail(c, res->code, &res->err);
	else
		call_reply(c, 204, NULL);
}

static void
password_on_hash(struct call *c, char *hash)
{
	struct user *user = c->data;

	if (hash == NULL) {
		call_failf(c, -EIO, "the password could not be hashed");
		return;
	}
	free(user->password);
	user->password = hash;
	store_user_update(c->daemon->store, user, password_on_stored, c);
}

static void
password_on_verified(struct call *c, bool right)
{
	if (right)
		auth_hash(c, get_str(c->body, "password"), password_on_hash);
	else
		call_failf(c, -EACCES, "the current password is wrong");
}

void
api_auth_password(struct call *c)
{
	static const struct check_field fields[] = {
	    PASSWORD_FIELD("password", true),
	    COMPARED_FIELD("currentPassword", false),
	    {NULL},
	};
	const char *current = get_str(c->body, "currentPassword");
	struct err err = ERR_INIT;
	struct user *user = NULL;

	if (check_object(c->body, fields, &err) != 0 ||
	    store_user_get(c->daemon->store, c->user->id, &user, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	c->data = user;
	c->fini = user_data_free;
	/* Who is known by uid and never had a password has none to give. */
	if (c->socket && (c->admin || user->password == NULL))
		auth_hash(c, get_str(c->body, "password"), password_on_hash);
	else if (current == NULL)
		call_failf(c, -EINVAL, "'currentPassword' is required");
	else
		auth_verify(c, user->name, user->password, current, password_on_verified);
}

void
api_users_password(struct call *c)
{
	static const struct check_field fields[] = {
	    PASSWORD_FIELD("password", true),
	    {NULL},
	};
	struct err err = ERR_INIT;
	struct user *user = NULL;
	char id[37];
	int code;

	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if (uuid_canonical(id, c->params[0]) == 0)
		code = store_user_get(c->daemon->store, id, &user, &err);
	else
		code = store_user_by_name(c->daemon->store, c->params[0], &user, &err);
	if (code != 0) {
		call_fail(c, code, &err);
		return;
	}
	c->data = user;
	c->fini = user_data_free;
	auth_hash(c, get_str(c->body, "password"), password_on_hash);
}
