/*
 * cloud_private: what cloud.c (runners, accounts, who may send when) and cloud_op.c (one op,
 * request after request) share.  Nobody else includes it.
 *
 * An op waits for a lane of its account, then sends request after request.  There are three lanes,
 * each with the account's concurrency: readers, writers, and the rest.  Were there but one, readers
 * whose writers wait for a lane, and writers whose readers do, could fill it and wait for each
 * other for ever; and a listing would wait behind long transfers.  Both queues are first in, first
 * out.
 */
#pragma once
#include "src/cloud.h"
#include "src/memory.h"
#include <sys/queue.h>

enum cloud_lane { CLOUD_LANE_READ, CLOUD_LANE_PUT, CLOUD_LANE_REST, CLOUD_LANES };

enum op_state {
	OP_IDLE, /* not started, or ended */
	OP_QUEUED, /* in account->queued: waits for a lane */
	OP_READY, /* in account->ready: waits for its turn to send */
	OP_BACKOFF, /* its timer runs */
	OP_SENT, /* a transport has it */
};

struct op_private {
	struct cloud_op op; /* first: the two are the same pointer */
	struct cloud_runner *runner;
	enum op_state state;
	TAILQ_ENTRY(op_private) next; /* of the queue it is in */
	cloud_done_fn done;
	void *arg;
	struct cloud_request request;
	bool request_used; /* request is init'ed */
	struct http_call *http;
	struct memory_call *memory;
	struct disk_call *disk;
	struct event *timer;
	unsigned failures; /* in a row */
	bool was_refreshed; /* once for each op */
	unsigned generation; /* of the credentials that the request used */
	int refused; /* the refresh it waited for failed, with refused_err */
	struct err refused_err;
	bool head_told; /* READ: op->head was called */
	bool ring_used; /* PUT: bytes may have been taken from the ring */
	bool restart; /* PUT: to be started again by its caller, with the new credentials */
	bool aborted; /* `head` did not want the body, and said so: */
	enum cloud_step aborted_step;
	struct err aborted_err;
	uint64_t streamed_before; /* op.streamed when the request was sent */
};
TAILQ_HEAD(op_queue, op_private);

struct account_private {
	struct account account; /* first */
	struct cloud_runner *runner; /* of its first op */
	struct op_queue queued[CLOUD_LANES], ready;
	unsigned lanes[CLOUD_LANES]; /* in use */
	struct event *wake; /* active or timed: account_on_wake() runs what can */
	char refused[37]; /* the account that copies were last refused from */
	uint64_t refused_until_ms; /* monotonic */
	bool refreshing;
	unsigned generation; /* of the credentials */
};

struct cloud_runner {
	struct loop *loop;
	struct pool *pool;
	struct cloud_runner_config config;
	struct http_client *http;
	unsigned ops; /* started and not ended */
};

static inline struct account_private *
account_private(const struct account *account)
{
	return (struct account_private *)account;
}

/* cloud.c */
enum cloud_lane cloud_op_lane(const struct cloud_op *);
void cloud_account_wake(struct account_private *);
/* Nothing is sent on the account for so long. */
void cloud_account_hold(struct account_private *, uint64_t wait_ms);
void cloud_account_refresh(struct account_private *);

/* cloud_op.c */
void cloud_op_send(struct op_private *); /* READY, and its turn */
void
cloud_op_end(struct op_private *, int code, const struct err *); /* frees its lane, calls done */
