#include "daemon/auth.h"
#include "daemon/check.h"
#include "daemon/server.h"
#include "src/buf.h"
#include "src/clock.h"
#include "src/hash.h"
#include "src/log.h"
#include "src/pool.h"
#include <arpa/inet.h>
#include <assert.h>
#include <crypt.h>
#include <ctype.h>
#include <event2/http.h>
#include <jwt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define TOKEN_MAX    4096
#define JOBS_MAX     32 /* passwords that wait to be hashed: each takes tens of milliseconds */
#define WAITING_MAX  16 /* of them, for earlier ones of one name: the others have room */
#define BRAKES       16384 /* names under watch: each costs a hash, so that a minute sees fewer */
#define BRAKE_MS     60000
#define NAME_MAX_LEN 64
/* crypt(3) takes at most CRYPT_MAX_PASSPHRASE_SIZE (512) bytes; longer ones are hashed first. */
#define PASSPHRASE_MAX 500

struct brake {
	char name[NAME_MAX_LEN + 1];
	unsigned failures; /* since from_ms and the last right one */
	unsigned running, waiting; /* attempts that have not ended */
	uint64_t from_ms; /* monotonic; 0: a free slot */
};

struct auth {
	struct daemon *daemon;
	unsigned refs;
	unsigned jobs;
	unsigned char key[32];
	char *decoy; /* a setting for crypt(3): what an unknown name is checked against */
	struct brake brakes[BRAKES];
	TAILQ_HEAD(, auth_job) waiting; /* until earlier attempts of their names have ended */
};

struct auth_job {
	TAILQ_ENTRY(auth_job) next;
	struct auth *auth;
	struct call *call;
	char *password;
	char *setting; /* the hash to compare with, or a new salt */
	bool decoy; /* the answer is no, whatever the password */
	struct brake *brake; /* of the name; NULL: nothing is verified */
	char *hash; /* result */
	auth_hash_fn on_hash;
	auth_verify_fn on_verify;
};

struct auth *
auth_new(struct daemon *daemon)
{
	struct auth *a = xcalloc(1, sizeof *a);

	a->daemon = daemon;
	a->refs = 1;
	TAILQ_INIT(&a->waiting);
	seal_derive(daemon->key, "jwt", a->key, sizeof a->key);
	a->decoy = crypt_gensalt_ra("$y$", 0, NULL, 0);
	return a;
}

void
auth_unref(struct auth *a)
{
	if (a == NULL || --a->refs > 0)
		return;
	mem_wipe(a->key, sizeof a->key);
	free(a->decoy);
	free(a);
}

bool
auth_name_is_valid(const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++) {
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    strchr("._-@", name[i]) == NULL)
			return false;
	}
	return i >= 1 && i <= NAME_MAX_LEN;
}

bool
auth_is_loopback(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, address, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, address, &v6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* -- tokens */

char *
auth_token(struct auth *a, const struct user *user, int64_t *out_s)
{
	int64_t life_s = settings_int(a->daemon->settings, "token.lifetime") / 1000;
	long now = (long)(clock_ms() / 1000);
	char id[37], *token;
	jwt_t *jwt;

	uuid_new(id);
	if (jwt_new(&jwt) != 0)
		abort();
	if (jwt_set_alg(jwt, JWT_ALG_HS256, a->key, sizeof a->key) != 0 ||
	    jwt_add_grant(jwt, "sub", user->id) != 0 || jwt_add_grant(jwt, "jti", id) != 0 ||
	    jwt_add_grant_int(jwt, "epoch", (long)user->epoch) != 0 ||
	    jwt_add_grant_int(jwt, "iat", now) != 0 ||
	    jwt_add_grant_int(jwt, "exp", now + (long)life_s) != 0)
		abort();
	if ((token = jwt_encode_str(jwt)) == NULL)
		abort();
	jwt_free(jwt);
	*out_s = life_s;
	return token;
}

int
auth_token_verify(
    struct auth *a, const char *token, char user_id[37], uint64_t *epoch, struct err *err)
{
	jwt_t *jwt = NULL;
	int code = 0;

	if (strlen(token) > TOKEN_MAX || jwt_decode(&jwt, token, a->key, (int)sizeof a->key) != 0)
		return err_set(err, -EACCES, "the token is not one of this daemon's");
	if (jwt_get_alg(jwt) != JWT_ALG_HS256 ||
	    uuid_canonical(user_id, jwt_get_grant(jwt, "sub")) != 0)
		code = err_set(err, -EACCES, "the token is not one of this daemon's");
	else if (jwt_get_grant_int(jwt, "exp") <= (long)(clock_ms() / 1000))
		code = err_set(err, -EACCES, "the token has expired; sign in again");
	else
		*epoch = (uint64_t)jwt_get_grant_int(jwt, "epoch"); /* absent: 0 */
	jwt_free(jwt);
	return code;
}

/* -- who is calling */

struct identify {
	struct call *call;
	void (*next)(struct call *);
	bool renamed; /* the plain name was taken: tried with the uid in it */
};

static void
auth_refuse(struct call *c, const char *message)
{
	call_reply_header(c, "WWW-Authenticate", "Bearer realm=\"skyferry\"");
	call_fail_status(c, 401, "sign_in", "%s", message);
}

static void
auth_identify_token(struct call *c, void (*next)(struct call *))
{
	const char *value =
	    evhttp_find_header(evhttp_request_get_input_headers(c->req), "Authorization");
	struct err err = ERR_INIT;
	uint64_t epoch = 0;
	char id[37];

	if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0) {
		auth_refuse(c,
		    "sign in first: POST /api/auth/login gives a token for 'Authorization: Bearer TOKEN'");
		return;
	}
	if (auth_token_verify(server_auth(c->daemon->server), value + 7, id, &epoch, &err) != 0) {
		auth_refuse(c, err.msg);
		return;
	}
	if (store_user_get(c->daemon->store, id, &c->user, &err) != 0) {
		if (err.code == -ENOENT)
			auth_refuse(c, "the token's user is gone");
		else
			call_fail(c, err.code, &err);
		return;
	}
	if (c->user->epoch != epoch) {
		auth_refuse(
		    c, "the password has changed since this token was given; sign in again");
		return;
	}
	c->admin = c->user->admin;
	next(c);
}

/* The system's name for the uid, in our alphabet. */
static char *
auth_uid_name(uid_t uid, bool with_uid)
{
	struct passwd pw, *found = NULL;
	char text[4096];
	char *name, *plain;
	size_t i;

	if (uid == geteuid())
		name = xstrdup("local");
	else if (getpwuid_r(uid, &pw, text, sizeof text, &found) == 0 && found != NULL)
		name = xstrndup(pw.pw_name, 48);
	else
		name = xstrdup("uid");
	for (i = 0; name[i] != '\0'; i++) {
		name[i] = (char)tolower((unsigned char)name[i]);
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    strchr("._-@", name[i]) == NULL)
			name[i] = '-';
	}
	if (!with_uid && strcmp(name, "uid") != 0)
		return name;
	plain = name;
	name = xasprintf("%s-%lu", plain, (unsigned long)uid);
	free(plain);
	return name;
}

static void auth_on_user_made(void *arg, struct store_result *res);

static void
auth_make_user(struct identify *id)
{
	struct user user = {.uid = id->call->uid, .admin = id->call->admin, .weight = 1};

	uuid_new(user.id);
	user.name = auth_uid_name(id->call->uid, id->renamed);
	user.created_ms = clock_ms();
	store_user_add(id->call->daemon->store, &user, auth_on_user_made, id);
	free(user.name);
}

static void
auth_on_user_made(void *arg, struct store_result *res)
{
	struct identify *id = arg;
	struct call *c = id->call;
	struct err err = res->err;
	void (*next)(struct call *) = id->next;

	if (c->req == NULL || (res->code != 0 && res->code != -EEXIST)) {
		call_fail(c, res->code != 0 ? res->code : -ECANCELED, &err);
	} else if (store_user_by_uid(c->daemon->store, c->uid, &c->user, &err) == 0) {
		if (res->code == 0)
			log_info("%s: user '%s' made for uid %lu", c->user->id, c->user->name,
			    (unsigned long)c->uid);
		next(c); /* also when two first calls met */
	} else if (res->code == -EEXIST && !id->renamed) {
		id->renamed = true;
		auth_make_user(id);
		return;
	} else {
		call_fail(c, err.code, &err);
	}
	free(id);
}

static void
auth_identify_uid(struct call *c, void (*next)(struct call *))
{
	struct err err = ERR_INIT;
	struct identify *id;

	c->admin = c->trusted || c->uid == 0;
	if (store_user_by_uid(c->daemon->store, c->uid, &c->user, &err) == 0) {
		c->admin = c->admin || c->user->admin;
		next(c);
		return;
	}
	if (err.code != -ENOENT) {
		call_fail(c, err.code, &err);
		return;
	}
	if (!c->admin && !settings_bool(c->daemon->settings, "users.auto")) {
		auth_refuse(c,
		    "there is no user for your uid; an administrator makes one with "
		    "'skyferry user add', or sets users.auto");
		return;
	}
	id = xcalloc(1, sizeof *id);
	id->call = c;
	id->next = next;
	auth_make_user(id);
}

void
auth_identify(struct call *c, void (*next)(struct call *))
{
	if (c->socket)
		auth_identify_uid(c, next);
	else
		auth_identify_token(c, next);
}

/* -- the brake on guessing */

/*
 * At most AUTH_FAILURES guesses of a name's password are answered within a minute, however many
 * come at once: as long as those under way could all be wrong, further ones wait for their ends.  A
 * right one clears the count, so somebody who signs in from many programs at once is let in by all.
 */

static bool
brake_is_busy(const struct brake *b)
{
	return b->running > 0 || b->waiting > 0;
}

/* The name's, or a free one, which becomes the name's; NULL: all are taken. */
static struct brake *
brake_find(struct auth *a, const char *name, uint64_t now)
{
	struct brake *oldest = NULL, *b;
	size_t i;

	for (i = 0; i < BRAKES; i++) {
		b = &a->brakes[i];
		if (b->from_ms != 0 && strcmp(b->name, name) == 0) {
			if (now - b->from_ms >= BRAKE_MS) {
				b->from_ms = now;
				b->failures = 0;
			}
			return b;
		}
		if (!brake_is_busy(b) && (oldest == NULL || b->from_ms < oldest->from_ms))
			oldest = b;
	}
	/* A name that is braked is not forgotten because others are tried. */
	if (oldest == NULL || (oldest->from_ms != 0 && now - oldest->from_ms < BRAKE_MS))
		return NULL;
	snprintf(oldest->name, sizeof oldest->name, "%s", name);
	oldest->from_ms = now;
	oldest->failures = 0;
	return oldest;
}

static int
brake_refuse(const struct brake *b, uint64_t now, struct err *err)
{
	uint64_t wait_ms = BRAKE_MS - MIN(now - b->from_ms, BRAKE_MS);

	err_set(err, -EAGAIN, "too many failures for '%s'; try again in %u s", b->name,
	    (unsigned)((wait_ms + 999) / 1000));
	err->wait_ms = wait_ms;
	return -EAGAIN;
}

/* May one more attempt come?  It then waits until brake_has_room(). */
static int
brake_admit(struct auth *a, const char *name, struct brake **out, struct err *err)
{
	uint64_t now = clock_mono_ms();
	struct brake *b = brake_find(a, name, now);

	if (b != NULL && b->failures >= AUTH_FAILURES)
		return brake_refuse(b, now, err);
	if (b == NULL || b->waiting >= WAITING_MAX) {
		err_set(err, -EAGAIN, "too many sign-ins at once");
		err->wait_ms = 1000;
		return -EAGAIN;
	}
	*out = b;
	return 0;
}

static bool
brake_has_room(const struct brake *b)
{
	return b->failures + b->running < AUTH_FAILURES;
}

static void
brake_ended(struct brake *b, bool right)
{
	b->running--;
	if (!right)
		b->failures++;
	else
		b->failures = 0;
	if (b->failures == 0 && !brake_is_busy(b))
		b->from_ms = 0;
}

/* -- passwords, on the pool */

static char *
passphrase(const char *password)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(AUTH_PASSWORD_MAX + 1);
	unsigned char sum[32];

	out.secret = true;
	if (strlen(password) <= PASSPHRASE_MAX) {
		buf_puts(&out, password);
	} else {
		sha256(sum, password, strlen(password));
		buf_put_base64(&out, sum, sizeof sum);
	}
	return buf_take(&out);
}

static void
auth_job_work(void *arg)
{
	struct auth_job *job = arg;
	char *phrase = passphrase(job->password);
	void *data = NULL;
	int size = 0;
	char *hash;

	hash = job->setting != NULL ? crypt_ra(phrase, job->setting, &data, &size) : NULL;
	if (hash != NULL && hash[0] != '*')
		job->hash = xstrdup(hash);
	mem_wipe_free(phrase);
	if (data != NULL) {
		mem_wipe(data, (size_t)size);
		free(data);
	}
}

static void
auth_job_free(struct auth_job *job)
{
	auth_unref(job->auth);
	mem_wipe_free(job->password);
	free(job->setting);
	free(job->hash);
	free(job);
}

static void auth_job_done(void *);

static void
auth_job_start(struct auth_job *job)
{
	struct daemon *d = job->auth->daemon;

	if (job->brake != NULL)
		job->brake->running++;
	pool_submit(d->pool, NULL, d->loop, auth_job_work, auth_job_done, job);
}

/* An attempt has ended: those that waited for it begin, or are refused. */
static void
auth_wake(struct auth *a, struct brake *b)
{
	struct auth_job *job = TAILQ_FIRST(&a->waiting), *next;
	struct err err = ERR_INIT;
	bool gone, refused;

	for (; job != NULL; job = next) {
		next = TAILQ_NEXT(job, next);
		gone = job->call->req == NULL;
		refused = b->failures >= AUTH_FAILURES;
		if (job->brake != b || (!gone && !refused && !brake_has_room(b)))
			continue;
		TAILQ_REMOVE(&a->waiting, job, next);
		b->waiting--;
		if (!gone && !refused) {
			auth_job_start(job);
			continue;
		}
		if (gone)
			err_set(&err, -ECANCELED, "the connection is gone");
		else
			brake_refuse(b, clock_mono_ms(), &err);
		call_fail(job->call, err.code, &err);
		a->jobs--;
		auth_job_free(job);
	}
}

static void
auth_job_done(void *arg)
{
	struct auth_job *job = arg;
	struct call *c = job->call;
	bool right = !job->decoy && job->hash != NULL && job->setting != NULL &&
	    strlen(job->hash) == strlen(job->setting) &&
	    equal_constant_time(job->hash, job->setting, strlen(job->setting));

	job->auth->jobs--;
	if (job->brake != NULL) {
		brake_ended(job->brake, right);
		auth_wake(job->auth, job->brake);
	}
	if (c->req == NULL)
		call_fail(c, -ECANCELED, NULL);
	else if (job->on_hash != NULL)
		job->on_hash(c, TAKE(job->hash));
	else
		job->on_verify(c, right);
	auth_job_free(job);
}

/* NULL: the call has been answered. */
static struct auth_job *
auth_job_new(struct call *c, const char *password)
{
	struct auth *a = server_auth(c->daemon->server);
	struct err err = ERR_INIT;
	struct auth_job *job;

	if (a->jobs >= JOBS_MAX) {
		err_set(&err, -EAGAIN, "too many sign-ins at once");
		err.wait_ms = 1000;
		call_fail(c, -EAGAIN, &err);
		return NULL;
	}
	job = xcalloc(1, sizeof *job);
	job->auth = a;
	job->call = c;
	job->password = xstrdup(password);
	a->refs++;
	a->jobs++;
	return job;
}

void
auth_hash(struct call *c, const char *password, auth_hash_fn done)
{
	struct auth_job *job = auth_job_new(c, password);

	if (job == NULL)
		return;
	job->on_hash = done;
	job->setting = crypt_gensalt_ra("$y$", 0, NULL, 0);
	auth_job_start(job);
}

void
auth_verify(
    struct call *c, const char *name, const char *hash, const char *password, auth_verify_fn done)
{
	struct auth *a = server_auth(c->daemon->server);
	struct err err = ERR_INIT;
	struct brake *brake = NULL;
	struct auth_job *job;

	/* Who is turned away for the crowd takes no place under watch. */
	if (a->jobs < JOBS_MAX && brake_admit(a, name, &brake, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if ((job = auth_job_new(c, password)) == NULL)
		return;
	job->on_verify = done;
	job->decoy = hash == NULL;
	job->setting = xstrdup_null(hash != NULL ? hash : job->auth->decoy);
	job->brake = brake;
	if (brake_has_room(brake)) {
		auth_job_start(job);
	} else {
		brake->waiting++;
		TAILQ_INSERT_TAIL(&a->waiting, job, next);
	}
}
