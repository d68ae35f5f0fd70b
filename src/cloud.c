/* Runners and accounts: which op may send, and when. */
#include "src/cloud.h"
#include "src/clock.h"
#include "src/cloud_private.h"
#include "src/log.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CLOUD_CONCURRENCY     16 /* where the driver says nothing */
#define CLOUD_BACKOFF_BASE_MS 200
#define CLOUD_BACKOFF_MAX_MS  30000
#define CLOUD_REFUSED_MS      (10 * 60 * 1000) /* rights change, but seldom */
/* A request that was not refused for so long will hardly be: a long upload's answer comes when all
 * of it has been sent. */
#define CLOUD_OVERDUE_MS 1000
/* Whatever the cloud asks for: then one request asks again. */
#define CLOUD_ASKED_MAX_MS 600000
/* In a storm one request looks so often whether it is over, where the cloud does not say when. */
#define CLOUD_PAUSE_MAX_MS 5000
#define NSEC_PER_MSEC      UINT64_C(1000000)

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

bool
cloud_runner_pulls_private(const struct cloud_runner *runner)
{
	return runner->config.pulls_private;
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

/* Nobody has to look out for it any more. */
static void
account_leave_gates(struct account_private *a)
{
	for (int gate = 0; gate < THROTTLE_GATES; gate++) {
		assert(a->member.inside[gate] == 0);
		throttle_wait_no_more(&a->member, gate);
	}
}

static void
account_free(struct account_private *a)
{
	cloud_sign_in_cancel(a);
	mem_wipe_free(a->refused_token);
	free(a->refused_path);
	free(a->refusal);
	cloud_account_unref(a->retired);
	if (a->account.throttle != NULL)
		account_leave_gates(a);
	throttle_unref(a->account.throttle);
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
	TAILQ_INIT(&a->asking);
	TAILQ_INIT(&a->items);
	code = driver->open(&a->account, all, err);
	json_decref(all);
	if (code != 0) {
		account_free(a);
		return code;
	}
	a->account.throttle = a->member.throttle = throttle_new(a->account.limits.rate, 0);
	*out = &a->account;
	return 0;
}

void
cloud_account_share(struct account *account, struct throttle *throttle)
{
	assert(account_private(account)->runner == NULL);
	throttle_unref(account->throttle);
	account->throttle = account_private(account)->member.throttle = throttle_ref(throttle);
}

int
cloud_account_renew(struct account *account, const json_t *credentials, struct err *err)
{
	struct account_private *a = account_private(account);
	struct account *fresh;
	int code = cloud_account_open(
	    &fresh, account->driver, account->id, account->name, credentials, err);

	if (code != 0)
		return code;
	cloud_sign_in_cancel(a); /* that was for the old ones */
	a->signed_out = a->refused_times = 0;
	SWAP(account->data, fresh->data);
	SWAP(account->limits, fresh->limits);
	SWAP(account->hashes, fresh->hashes);
	/* Disk calls that are under way have descriptors of it. */
	account_private(fresh)->retired = a->retired;
	a->retired = fresh;
	a->generation++;
	if (a->runner != NULL)
		cloud_account_wake(a);
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

	if (account == NULL)
		return;
	if (--account->refs == 1)
		cloud_account_unref(TAKE(a->retired));
	if (account->refs > 0)
		return;
	assert(account->running == 0 && TAILQ_EMPTY(&a->ready) && a->batches == 0);
	if (account->driver->close != NULL)
		account->driver->close(account);
	account_free(a);
}

static bool
account_was_refused(const struct account *to, const struct account *from)
{
	const struct account_private *a = account_private(to);

	return clock_mono_ms() < a->refused_until_ms && strcmp(a->refused, from->id) == 0;
}

bool
cloud_pulls_from(const struct account *to, const struct account *from)
{
	return (to->driver->features & CLOUD_CAN_PULL) &&
	    (from->driver->features & CLOUD_CAN_LINK) && !account_was_refused(to, from);
}

bool
cloud_copies_from(const struct account *to, const struct account *from)
{
	if (to->driver != from->driver || !(to->driver->features & CLOUD_CAN_COPY) ||
	    account_was_refused(to, from))
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

char *
cloud_where(const struct account *account, const char *path)
{
	if (account == NULL || path == NULL || account->driver->identity == NULL)
		return NULL;
	return account->driver->identity(account, path);
}

bool
cloud_is_same(const struct account *a, const char *path, const struct account *b, const char *path2)
{
	CLEANUP(cleanup_free) char *one = NULL, *two = NULL;

	if (strcmp(path, path2) == 0 && (a == b || strcmp(a->id, b->id) == 0))
		return true;
	/* Two drivers may reach one object: Google's is S3's too. */
	if (a->driver->identity == NULL || b->driver->identity == NULL)
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

	if ((a == b || strcmp(a->id, b->id) == 0) && path_is_inside(path, dir))
		return true;
	if (a->driver->identity == NULL || b->driver->identity == NULL)
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

/* changes */

void
cloud_changed_fini(struct cloud_changed_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->items[i].path);
	free(list->items);
	*list = (struct cloud_changed_list){.items = NULL};
}

void
cloud_changed_all(struct cloud_changed_list *list)
{
	cloud_changed_fini(list);
	list->items = xcalloc(1, sizeof *list->items);
	list->items[list->len++] = (struct cloud_changed){.path = xstrdup(""), .is_tree = true};
}

static bool
changed_covers(const struct cloud_changed *told, const char *path, bool is_tree)
{
	if (told->is_tree)
		return path_is_inside(path, told->path);
	return !is_tree && strcmp(told->path, path) == 0;
}

void
cloud_changed_add(struct cloud_changed_list *list, const char *path, bool is_tree)
{
	for (size_t i = 0; i < list->len; i++) {
		if (changed_covers(&list->items[i], path, is_tree))
			return;
	}
	if (list->len == CLOUD_CHANGED_MAX) {
		cloud_changed_all(list);
		return;
	}
	list->items = xrealloc(list->items, list->len + 1, sizeof *list->items);
	list->items[list->len++] =
	    (struct cloud_changed){.path = xstrdup(path), .is_tree = is_tree};
}

/* whose turn it is */

enum throttle_gate
cloud_op_lane(const struct cloud_op *op)
{
	if (((const struct op_private *)op)->batch != NULL)
		return THROTTLE_BATCH; /* an item has no lane */
	if (op->kind == CLOUD_READ)
		return THROTTLE_READ;
	if (op->kind == CLOUD_CHANGES)
		return THROTTLE_WATCH;
	return op->kind == CLOUD_PUT || op->kind == CLOUD_UPLOAD_PART ? THROTTLE_PUT
								      : THROTTLE_REST;
}

static unsigned
account_concurrency(const struct account_private *a)
{
	unsigned n = throttle_concurrency(a->account.throttle);

	if (n == 0)
		n = a->runner->config.concurrency;
	if (n == 0)
		n = a->account.limits.concurrency;
	return n > 0 ? n : CLOUD_CONCURRENCY;
}

static unsigned
lane_limit(const struct account_private *a, int lane)
{
	unsigned limit = account_concurrency(a);

	return lane == THROTTLE_BATCH ? MIN(limit, a->account.driver->batch->at_once) : limit;
}

/* Ops that find a lane free become ready, in the order of their start. */
static void
account_admit(struct account_private *a)
{
	uint64_t now = clock_mono_ns();
	struct op_private *p;

	for (int lane = 0; lane < CLOUD_LANES; lane++) {
		while ((p = TAILQ_FIRST(&a->queued[lane])) != NULL) {
			if (p->op.goes_on)
				throttle_enter_anyway(&a->member, lane);
			else if (!throttle_enter(&a->member, lane, lane_limit(a, lane), now))
				break;
			TAILQ_REMOVE(&a->queued[lane], p, next);
			TAILQ_INSERT_TAIL(&a->ready, p, next);
			p->state = OP_READY;
			p->in_lane = true;
			p->ready_ns = now;
			a->account.running++;
		}
		if (p == NULL)
			throttle_wait_no_more(&a->member, lane);
	}
}

/* When another loop may have given back what ops wait for here, in ms; 0: none waits. */
static uint64_t
account_look(const struct account_private *a, uint64_t now_ns)
{
	uint64_t look = 0;

	for (int lane = 0; lane < CLOUD_LANES; lane++)
		look = MAX(look, throttle_look(&a->member, lane, now_ns));
	return look;
}

static void
account_forget_asked(struct op_private *p)
{
	if (!p->overdue)
		TAILQ_REMOVE(&account_private(p->op.account)->asking, p, asking);
	p->overdue = false;
	p->asked_ns = 0;
}

void
cloud_account_accepted(struct op_private *p)
{
	struct account_private *a = account_private(p->op.account);

	if (p->asked_ns == 0)
		return;
	err_keep(&a->refusal, NULL);
	throttle_accepted(&a->member, p->asked_ns, clock_mono_ns(), p->overdue);
	account_forget_asked(p);
}

void
cloud_account_lost(struct op_private *p)
{
	if (p->asked_ns == 0)
		return;
	if (!p->overdue)
		throttle_leave(
		    &account_private(p->op.account)->member, THROTTLE_ASK, clock_mono_ns());
	account_forget_asked(p);
}

void
cloud_account_refused(struct op_private *p, const struct err *why)
{
	struct account_private *a = account_private(p->op.account);
	uint64_t now = clock_mono_ns(), asked_ms = why->wait_ms, wait;
	unsigned storms;

	if (p->asked_ns == 0)
		return;
	err_keep(&a->refusal, why);
	storms = throttle_refused(&a->member, p->asked_ns, now, p->overdue);
	account_forget_asked(p);
	if (storms == 0 && asked_ms == 0)
		return;
	wait = cloud_backoff(p->runner, storms, asked_ms);
	if (asked_ms == 0)
		wait = MIN(wait, (uint64_t)CLOUD_PAUSE_MAX_MS);
	wait = MIN(wait, (uint64_t)CLOUD_ASKED_MAX_MS);
	log_debug("%s: asked to slow down: nothing is sent for %llu ms", a->account.name,
	    (unsigned long long)wait);
	throttle_pause(&a->member, now + wait * NSEC_PER_MSEC, now);
}

static void
account_pass_overdue(struct account_private *a, uint64_t now_ns)
{
	struct op_private *p;

	while ((p = TAILQ_FIRST(&a->asking)) != NULL &&
	    now_ns - p->asked_ns >= CLOUD_OVERDUE_MS * NSEC_PER_MSEC) {
		TAILQ_REMOVE(&a->asking, p, asking);
		p->overdue = true;
		throttle_overdue(&a->member, p->asked_ns, now_ns);
	}
}

/* How long until the next request may be sent, in ms; 0: now (and it counts as sent). */
static uint64_t
account_take_turn(struct account_private *a, struct op_private *p)
{
	uint64_t now = clock_mono_ns();
	uint64_t wait = throttle_ask(&a->member, now);

	if (wait > 0)
		return wait;
	p->asked_ns = now;
	TAILQ_INSERT_TAIL(&a->asking, p, asking);
	return 0;
}

/* Every answer was a refusal for longer than anybody has patience: who has waited here for as long
   was not even asked for, and shall not wait for ever.  It may be another loop that was refused:
   then there are no words. */
static void
account_give_up(struct account_private *a)
{
	uint64_t since = throttle_refused_since(a->account.throttle);
	uint64_t patience = a->runner->config.patience_ms * NSEC_PER_MSEC, now = clock_mono_ns();
	struct err err = ERR_INIT;
	struct op_private *p;

	if (since == 0 || patience == 0 || now < since + patience)
		return;
	TAILQ_FOREACH (p, &a->ready, next) {
		if (p->refused != NULL || now < p->ready_ns + patience)
			continue;
		/* p may stand for ops of many paths */
		err_set(&err, -EAGAIN, "'%s' answers nothing but that it must be asked less%s%s",
		    a->account.name, a->refusal == NULL ? "" : ": ",
		    a->refusal == NULL ? "" : err_text(a->refusal));
		err_keep(&p->refused, &err);
	}
}

/* Is it not the cloud that p waits for, but credentials, or a token? */
static bool
account_is_waiting(struct account_private *a, const struct op_private *p)
{
	return a->refreshing || (p->refused == NULL && cloud_sign_in_awaited(a));
}

/* Sends what may be sent.  How long until the rest may be, in ms; 0: there is none. */
static uint64_t
account_send(struct account_private *a)
{
	struct op_private *p;
	uint64_t wait = 0;

	account_admit(a);
	account_give_up(a);
	while ((p = TAILQ_FIRST(&a->ready)) != NULL && !account_is_waiting(a, p)) {
		wait = p->refused != NULL ? 0 : account_take_turn(a, p);
		if (wait > 0)
			break;
		TAILQ_REMOVE(&a->ready, p, next);
		cloud_op_send(p);
		account_admit(a); /* it may have ended at once */
	}
	if (p == NULL || account_is_waiting(a, p))
		throttle_wait_no_more(&a->member, THROTTLE_ASK);
	return wait;
}

static void
account_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct account_private *a = arg;
	uint64_t wait;

	cloud_account_ref(&a->account); /* an op's end may drop the last other reference */
	account_pass_overdue(a, clock_mono_ns());
	wait = account_send(a);
	if (wait == 0)
		wait = account_look(a, clock_mono_ns());
	/* The window grows by what was accepted. */
	if (wait == 0 && !TAILQ_EMPTY(&a->asking) &&
	    throttle_window(a->account.throttle) != THROTTLE_OPEN)
		wait = CLOUD_OVERDUE_MS;
	if (wait > 0) {
		const struct timeval tv = {
		    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

		event_add(a->wake, &tv);
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
cloud_account_refresh(struct account_private *a, const struct err *why)
{
	if (a->refreshing)
		return;
	a->refreshing = true;
	a->runner->config.refresh(a->runner->config.arg, &a->account, why);
}

bool
cloud_account_is_refreshing(struct account *account)
{
	return account_private(account)->refreshing;
}

/* Nothing ends here, account_on_wake() does that: it may be inside config.refresh(). */
void
cloud_account_fail(struct account_private *a, int code, const struct err *err)
{
	struct op_private *p;

	TAILQ_FOREACH (p, &a->ready, next) {
		/* Then it is not the account that is refused, but what they asked for. */
		if (code == -EACCES && !p->was_refreshed)
			continue;
		err_keep(&p->refused, code == 0 ? NULL : err);
	}
	cloud_account_wake(a);
}

void
cloud_account_refreshed(
    struct cloud_runner *runner, struct account *account, int code, const struct err *err)
{
	static const struct err none = ERR_INIT;
	struct account_private *a = account_private(account);

	a->refreshing = false;
	if (code == 0)
		a->generation++;
	if (a->runner == NULL)
		return; /* nothing was ever sent */
	assert(a->runner == runner);
	cloud_account_fail(a, code, code == 0 ? &none : err);
}
