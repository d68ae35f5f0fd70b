/* Runners and accounts: which op may send, and when. */
#include "src/cloud.h"
#include "src/clock.h"
#include "src/cloud_private.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CLOUD_CONCURRENCY     16 /* where the driver says nothing */
#define CLOUD_BACKOFF_BASE_MS 200
#define CLOUD_BACKOFF_MAX_MS  30000
#define CLOUD_REFUSED_MS      (10 * 60 * 1000) /* rights change, but seldom */

struct cloud_runner *
cloud_runner_new(
    struct loop *loop, struct pool *pool, const struct cloud_runner_config *config, struct err *err)
{
	struct cloud_runner *runner = xcalloc(1, sizeof(*runner));

	runner->loop = loop;
	runner->pool = pool;
	runner->config = *config;
	if (runner->config.backoff_base_ms == 0)
		runner->config.backoff_base_ms = CLOUD_BACKOFF_BASE_MS;
	if (runner->config.backoff_max_ms == 0)
		runner->config.backoff_max_ms = CLOUD_BACKOFF_MAX_MS;
	runner->http = http_client_new(loop, &config->http, err);
	if (runner->http == NULL) {
		free(runner);
		return NULL;
	}
	return runner;
}

void
cloud_runner_free(struct cloud_runner *runner)
{
	if (runner == NULL)
		return;
	assert(runner->ops == 0);
	http_client_free(runner->http);
	free(runner);
}

void
cloud_runner_set_concurrency(struct cloud_runner *runner, unsigned concurrency)
{
	runner->config.concurrency = concurrency;
}

struct loop *
cloud_runner_loop(struct cloud_runner *runner)
{
	return runner->loop;
}

struct pool *
cloud_runner_pool(struct cloud_runner *runner)
{
	return runner->pool;
}

/* accounts */

static const struct cloud_field *
driver_field(const struct cloud_driver *driver, const char *name)
{
	const struct cloud_field *field;

	for (field = driver->fields; field != NULL && field->name != NULL; field++) {
		if (strcmp(field->name, name) == 0)
			return field;
	}
	return NULL;
}

static int
credentials_check_known(
    const struct cloud_driver *driver, const json_t *credentials, struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(credentials))
		return err_set(err, -EINVAL,
		    "the credentials of an account of '%s' must be an object", driver->name);
	json_object_foreach ((json_t *)credentials, name, value) {
		if (driver_field(driver, name) == NULL)
			return err_set(err, -EINVAL, "%s: an account of '%s' has no such field",
			    name, driver->name);
		if (!json_is_string(value))
			return err_set(err, -EINVAL, "%s: must be a string (provider '%s')", name,
			    driver->name);
	}
	return 0;
}

/* What the driver gets: the given fields and the others' defaults.  NULL with *err, or caller
 * decrefs. */
static json_t *
credentials_complete(const struct cloud_driver *driver, const json_t *credentials, struct err *err)
{
	const struct cloud_field *field;
	const char *value;
	json_t *all;

	if (credentials_check_known(driver, credentials, err) != 0)
		return NULL;
	all = json_object();
	for (field = driver->fields; field != NULL && field->name != NULL; field++) {
		json_t *given = json_object_get(credentials, field->name);

		value = given != NULL ? json_string_value(given) : field->value;
		if (field->required && (value == NULL || *value == '\0')) {
			err_set(err, -EINVAL, "%s: is missing (%s; provider '%s')", field->name,
			    field->title, driver->name);
			json_decref(all);
			return NULL;
		}
		if (given != NULL)
			json_object_set(all, field->name, given);
		else if (value != NULL)
			json_object_set_new(all, field->name, json_string(value));
	}
	return all;
}

static void
account_free(struct account_private *a)
{
	free(a->account.id);
	free(a->account.name);
	free(a->account.data);
	bucket_unref(a->account.bandwidth);
	if (a->wake != NULL)
		event_free(a->wake);
	free(a);
}

int
cloud_account_open(struct account **out, const struct cloud_driver *driver, const char *id,
    const char *name, const json_t *credentials, struct err *err)
{
	json_t *all = credentials_complete(driver, credentials, err);
	struct account_private *a;
	int code;

	if (all == NULL)
		return -EINVAL;
	a = xcalloc(1, sizeof(*a));
	a->account.driver = driver;
	a->account.limits = driver->limits;
	a->account.id = xstrdup(id);
	a->account.name = xstrdup(name);
	a->account.data = xcalloc(1, MAX(driver->account_size, 1));
	a->account.refs = 1;
	a->account.hashes = driver->hashes;
	for (int lane = 0; lane < CLOUD_LANES; lane++)
		TAILQ_INIT(&a->queued[lane]);
	TAILQ_INIT(&a->ready);
	code = driver->open(&a->account, all, err);
	json_decref(all);
	if (code != 0) {
		account_free(a);
		return code;
	}
	*out = &a->account;
	return 0;
}

struct account *
cloud_account_ref(struct account *account)
{
	account->refs++;
	return account;
}

void
cloud_account_unref(struct account *account)
{
	struct account_private *a = account_private(account);

	if (account == NULL || --account->refs > 0)
		return;
	assert(account->running == 0 && TAILQ_EMPTY(&a->ready));
	if (account->driver->close != NULL)
		account->driver->close(account);
	account_free(a);
}

bool
cloud_copies_from(const struct account *to, const struct account *from)
{
	const struct account_private *a = account_private(to);

	if (to->driver != from->driver || !(to->driver->features & CLOUD_CAN_COPY))
		return false;
	if (clock_mono_ms() < a->refused_until_ms && strcmp(a->refused, from->id) == 0)
		return false;
	if (to->driver->copies_from != NULL)
		return to->driver->copies_from(to, from);
	return to == from || strcmp(to->id, from->id) == 0;
}

void
cloud_refuse_copies(struct account *to, const struct account *from)
{
	struct account_private *a = account_private(to);

	snprintf(a->refused, sizeof a->refused, "%s", from->id);
	a->refused_until_ms = clock_mono_ms() + CLOUD_REFUSED_MS;
}

bool
cloud_is_same(const struct account *a, const char *path, const struct account *b, const char *path2)
{
	CLEANUP(cleanup_free) char *one = NULL, *two = NULL;

	if (a->driver != b->driver)
		return false;
	if (strcmp(path, path2) == 0 && (a == b || strcmp(a->id, b->id) == 0))
		return true;
	if (a->driver->identity == NULL)
		return false;
	one = a->driver->identity(a, path);
	two = b->driver->identity(b, path2);
	return one != NULL && two != NULL && strcmp(one, two) == 0;
}

bool
cloud_is_inside(const struct account *a, const char *path, const struct account *b, const char *dir)
{
	CLEANUP(cleanup_free) char *one = NULL, *two = NULL;
	size_t len;

	if (a->driver != b->driver)
		return false;
	if ((a == b || strcmp(a->id, b->id) == 0) && path_is_inside(path, dir))
		return true;
	if (a->driver->identity == NULL)
		return false;
	one = a->driver->identity(a, path);
	two = b->driver->identity(b, dir);
	if (one == NULL || two == NULL)
		return false;
	for (len = strlen(two); len > 0 && two[len - 1] == '/'; len--)
		continue; /* of a root */
	return strncmp(one, two, len) == 0 && (one[len] == '/' || one[len] == '\0');
}

/* uploads */

struct upload_part *
upload_parts_add(struct upload_parts *parts)
{
	if (parts->len == parts->cap) {
		parts->cap = MAX(parts->cap * 2, 16);
		parts->items = xrealloc(parts->items, parts->cap, sizeof *parts->items);
	}
	parts->items[parts->len] = (struct upload_part){.number = 0};
	return &parts->items[parts->len++];
}

/* Where the number is, or would be. */
static size_t
upload_parts_position(const struct upload_parts *parts, unsigned number)
{
	size_t low = 0, high = parts->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (parts->items[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct upload_part *
upload_parts_get(const struct upload_parts *parts, unsigned number)
{
	size_t i = upload_parts_position(parts, number);

	return i < parts->len && parts->items[i].number == number ? &parts->items[i] : NULL;
}

void
upload_parts_put(struct upload_parts *parts, const struct upload_part *part)
{
	size_t i = upload_parts_position(parts, part->number);

	if (i == parts->len || parts->items[i].number != part->number) {
		upload_parts_add(parts);
		memmove(&parts->items[i + 1], &parts->items[i],
		    (parts->len - 1 - i) * sizeof *parts->items);
	}
	parts->items[i] = *part;
}

void
upload_parts_fini(struct upload_parts *parts)
{
	free(parts->items);
	*parts = (struct upload_parts){.items = NULL};
}

/* whose turn it is */

enum cloud_lane
cloud_op_lane(const struct cloud_op *op)
{
	if (op->kind == CLOUD_READ)
		return CLOUD_LANE_READ;
	return op->kind == CLOUD_PUT || op->kind == CLOUD_UPLOAD_PART ? CLOUD_LANE_PUT
								      : CLOUD_LANE_REST;
}

static unsigned
account_concurrency(const struct account_private *a)
{
	unsigned n = a->runner->config.concurrency;

	if (n == 0)
		n = a->account.limits.concurrency;

	return n > 0 ? n : CLOUD_CONCURRENCY;
}

/* Ops that find a lane free become ready, in the order of their start. */
static void
account_admit(struct account_private *a)
{
	struct op_private *p;

	for (int lane = 0; lane < CLOUD_LANES; lane++) {
		while ((p = TAILQ_FIRST(&a->queued[lane])) != NULL &&
		    (a->lanes[lane] < account_concurrency(a) || p->op.goes_on)) {
			TAILQ_REMOVE(&a->queued[lane], p, next);
			TAILQ_INSERT_TAIL(&a->ready, p, next);
			p->state = OP_READY;
			a->lanes[lane]++;
			a->account.running++;
		}
	}
}

static void
account_refill(struct account_private *a, double rate, uint64_t now)
{
	/* At most what a second brings; at the beginning that. */
	if (a->account.tokens_at_ms == 0)
		a->account.tokens = MAX(rate, 1);
	else if (now > a->account.tokens_at_ms)
		a->account.tokens += rate * (double)(now - a->account.tokens_at_ms) / 1000;
	a->account.tokens = MIN(a->account.tokens, MAX(rate, 1));
	a->account.tokens_at_ms = now;
}

/* How long until the next request may be sent; 0: now (and its token is taken). */
static uint64_t
account_take_turn(struct account_private *a)
{
	unsigned share = MAX(a->runner->config.rate_share, 1);
	double rate = (double)a->account.limits.rate / share;
	uint64_t now = clock_mono_ms();

	if (now < a->account.hold_until_ms)
		return a->account.hold_until_ms - now;
	if (rate <= 0)
		return 0;
	account_refill(a, rate, now);
	if (a->account.tokens < 1)
		return (uint64_t)((1 - a->account.tokens) / rate * 1000) + 1;
	a->account.tokens -= 1;
	return 0;
}

static void
account_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct account_private *a = arg;
	struct op_private *p;
	uint64_t wait;

	cloud_account_ref(&a->account); /* an op's end may drop the last other reference */
	account_admit(a);
	while ((p = TAILQ_FIRST(&a->ready)) != NULL && !a->refreshing) {
		wait = p->refused != 0 ? 0 : account_take_turn(a);
		if (wait > 0) {
			const struct timeval tv = {.tv_sec = (time_t)(wait / 1000),
			    .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

			event_add(a->wake, &tv);
			break;
		}
		TAILQ_REMOVE(&a->ready, p, next);
		cloud_op_send(p);
		account_admit(a); /* it may have ended at once */
	}
	cloud_account_unref(&a->account);
}

void
cloud_account_wake(struct account_private *a)
{
	if (a->wake == NULL)
		a->wake = event_new(loop_base(a->runner->loop), -1, 0, account_on_wake, a);
	event_active(a->wake, EV_TIMEOUT, 0);
}

void
cloud_account_hold(struct account_private *a, uint64_t wait_ms)
{
	uint64_t until = clock_mono_ms() + wait_ms;

	a->account.hold_until_ms = MAX(a->account.hold_until_ms, until);
}

void
cloud_account_refresh(struct account_private *a)
{
	if (a->refreshing)
		return;
	a->refreshing = true;
	a->runner->config.refresh(a->runner->config.arg, &a->account);
}

/* Also from inside config.refresh(): so nothing ends here, account_on_wake() does that. */
void
cloud_account_refreshed(
    struct cloud_runner *runner, struct account *account, int code, const struct err *err)
{
	struct account_private *a = account_private(account);
	struct op_private *p;

	a->refreshing = false;
	if (code == 0)
		a->generation++;
	if (a->runner == NULL)
		return; /* nothing was ever sent */
	assert(a->runner == runner);
	TAILQ_FOREACH (p, &a->ready, next) {
		p->refused = code;
		if (code != 0)
			p->refused_err = *err;
	}
	cloud_account_wake(a);
}
