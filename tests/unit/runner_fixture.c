#include "tests/unit/runner_fixture.h"
#include "src/clock.h"

struct loop *loop;
struct cloud_runner *runner;
struct server *server;
struct account *account;
unsigned left;
static struct pool *pool;

void
fixture_set_runner(const struct cloud_runner_config *config)
{
	struct err err = ERR_INIT;

	cloud_runner_free(runner);
	runner = cloud_runner_new(loop, pool, config, &err);
	assert_non_null(runner);
}

void
fixture_setup(const struct cloud_runner_config *config)
{
	struct err err = ERR_INIT;

	loop = loop_new("test", &err);
	pool = pool_new(1, &err);
	assert_true(loop != NULL && pool != NULL);
	fixture_set_runner(config);
	left = 0;
}

int
fixture_teardown(void **state)
{
	cloud_account_unref(account);
	account = NULL;
	cloud_runner_free(runner);
	runner = NULL;
	pool_free(pool);
	loop_free(loop);
	if (server != NULL)
		server_stop(server);
	server = NULL;
	return 0;
}

static void
probe_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct probe *p = arg;

	assert_ptr_equal(op, p->op);
	p->dones++;
	p->code = code;
	p->err = *err;
	p->ms = clock_mono_ms() - p->ms;
	if (--left == 0)
		loop_stop(loop);
}

void
probe_init(struct probe *p, enum cloud_op_kind kind)
{
	*p = (struct probe){.op = cloud_op_new(account, kind, "thing")};
}

static void
probe_on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	p->got_len += ring_get(p->ring, p->got + p->got_len, sizeof p->got - p->got_len);
}

static void
probe_on_input(void *arg)
{
	struct probe *p = arg;

	event_active(p->drain, EV_TIMEOUT, 0);
}

void
probe_sink(struct probe *p)
{
	p->op->ring = p->ring = ring_new(32768, 16384);
	p->drain = event_new(loop_base(loop), -1, 0, probe_on_drain, p);
	ring_on_input(p->ring, probe_on_input, p);
}

void
probe_source(struct probe *p, size_t len)
{
	char byte = 'x';

	p->op->ring = p->ring = ring_new(65536, 16384);
	p->op->length = len;
	for (size_t i = 0; i < len; i++)
		ring_put(p->ring, &byte, 1);
	ring_end(p->ring);
}

void
probe_start(struct probe *p)
{
	p->ms = clock_mono_ms();
	left++;
	cloud_op_start(runner, p->op, probe_done, p);
	assert_int_equal(p->dones, 0);
}

int
probe_run(struct probe *p)
{
	probe_start(p);
	loop_run(loop);
	assert_int_equal(p->dones, 1);
	if (p->drain != NULL)
		probe_on_drain(-1, 0, p);
	return p->code;
}

void
probe_fini(struct probe *p)
{
	cloud_op_free(p->op);
	if (p->drain != NULL)
		event_free(p->drain);
	ring_free(p->ring);
}
