/*
 * runner_fixture: a runner on a loop in the test's thread, the server and the account of a test,
 * and ops of that account, one after the other or several at once.
 */
#pragma once
#include "src/cloud.h"
#include "src/ring.h"
#include "tests/unit/check.h"
#include "tests/unit/server.h"

extern struct loop *loop;
extern struct cloud_runner *runner;
extern struct server *server; /* started by the test; NULL: not yet */
extern struct account *account; /* opened by the test; NULL: not yet */
extern unsigned left; /* ops that have not ended: with the last one the loop stops */

void fixture_setup(const struct cloud_runner_config *);
void fixture_set_runner(const struct cloud_runner_config *); /* in place of the one there is */
int fixture_teardown(void **state); /* of each test: the server and the account, too */

/* One op of the account. */
struct probe {
	struct cloud_op *op;
	struct ring *ring;
	unsigned dones;
	int code;
	struct err err;
	uint64_t ms; /* it took */
	char got[65536];
	size_t got_len;
	struct event *drain;
};

void probe_init(struct probe *, enum cloud_op_kind); /* of the path "thing" */
void probe_sink(struct probe *); /* what it reads goes to `got` */
void probe_source(struct probe *, size_t len); /* so many bytes are written */
void probe_start(struct probe *);
int probe_run(struct probe *); /* starts it; its code, when it has ended */
void probe_fini(struct probe *);
