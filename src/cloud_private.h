/*
 * cloud_private: what cloud.c (runners, accounts, who may send when), cloud_op.c (one op, request
 * after request), cloud_batch.c (several ops in one request) and cloud_sign_in.c share.  Nobody
 * else includes it.
 *
 * An op waits for a lane of its account, then sends request after request.  There are five lanes
 * (gates of its throttle), each with the account's concurrency: readers, writers, the rest, who
 * waits for changes, which can take minutes and is to keep nobody else from anything; and batches,
 * of which their driver may want fewer (cloud_batch.at_once).
 * Were there but one, readers whose writers wait for a lane, and writers whose readers do, could
 * fill it and wait for each other for ever; and a listing would wait behind long transfers.  Both
 * queues are first in, first out.
 */
#pragma once
#include "src/cloud.h"
#include "src/memory.h"
#include <sys/queue.h>

#define CLOUD_LANES 5 /* THROTTLE_READ, PUT, REST, WATCH, BATCH */

enum op_state {
	OP_IDLE, /* not started, or ended */
	OP_QUEUED, /* in account->queued: waits for a lane */
	OP_READY, /* in account->ready: waits for its turn to send */
	OP_BACKOFF, /* its timer runs */
	OP_SENT, /* a transport has it */
	OP_ITEM, /* in account->items: waits for a batch, or is in one; has no lane */
};

struct op_private {
	struct cloud_op op; /* first: the two are the same pointer */
	struct cloud_runner *runner;
	enum op_state state;
	bool in_lane;
	TAILQ_ENTRY(op_private) next; /* of the queue it is in */
	struct batch *batch; /* the batch whose op it is; of an ITEM: that it is in; or NULL */
	cloud_done_fn done;
	void *arg;
	struct cloud_request request;
	bool request_used; /* request is init'ed */
	struct http_call *http;
	struct memory_call *memory;
	struct disk_call *disk;
	struct event *timer;
	struct event *input; /* bytes to be taken from the ring have come; NULL: none are */
	struct cloud_tries tries;
	uint64_t ready_ns; /* when it became so */
	uint64_t asked_ns; /* when the request was sent that has no answer; 0: none */
	bool overdue; /* and it is not in account->asking any more */
	TAILQ_ENTRY(op_private) asking;
	bool was_signed_in, was_refreshed; /* since it last came further: once each */
	unsigned generation; /* of the credentials that the request used */
	struct err *refused; /* the refresh it waited for failed; owned; NULL: it has not */
	bool head_told; /* READ: op->head was called */
	bool ring_used; /* PUT: bytes may have been taken from the ring */
	bool restart; /* PUT: to be started again by its caller, with the new credentials */
	struct err *aborted; /* `head` did not want the body, and said so; owned; NULL: it did */
	enum cloud_step aborted_step;
	uint64_t streamed_before; /* op.streamed when the request was sent */
};
TAILQ_HEAD(op_queue, op_private);

struct account_private {
	struct account account; /* first */
	struct cloud_runner *runner; /* of its first op */
	struct throttle_member member;
	struct op_queue queued[CLOUD_LANES], ready;
	struct op_queue asking; /* sent, and not known to be accepted; the oldest first */
	struct err *refusal; /* the last one, if nothing was accepted since; owned; or NULL */
	struct op_queue items; /* that are in no batch yet */
	struct batch *next_batch; /* it takes them when its turn comes; NULL: there is none */
	unsigned batches; /* the next one, and those that are sent */
	struct event *wake; /* active or timed: account_on_wake() runs what can */
	char refused[37]; /* the account that copies were last refused from */
	uint64_t refused_until_ms; /* monotonic */
	bool refreshing;
	struct sign_in *sign_in; /* under way, or NULL */
	unsigned ticket; /* of the last one */
	bool sign_in_refused; /* the last one; other credentials were asked for */
	char *refused_token; /* secret; or NULL */
	unsigned signed_out; /* so many tokens were refused */
	uint64_t signed_out_ms; /* since then; monotonic */
	enum cloud_op_kind refused_kind; /* the write that was last refused a token: which it is, */
	char *refused_path; /* NULL: none was */
	unsigned refused_times; /* how often in a row */
	uint64_t refused_ms; /* and when; monotonic */
	cloud_signed_in_fn signed_in; /* or NULL: its ops wait */
	void *signed_in_arg;
	unsigned generation; /* of the credentials, and of the token got with them */
	struct account *retired; /* has what the former credentials hold; and so on */
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
enum throttle_gate cloud_op_lane(const struct cloud_op *);
void cloud_account_wake(struct account_private *);
/* The request that p has sent: what became of it, as far as the throttle cares. */
void cloud_account_accepted(struct op_private *p);
void cloud_account_lost(struct op_private *p); /* no answer */
void cloud_account_refused(struct op_private *p, const struct err *why);
void cloud_account_refresh(struct account_private *, const struct err *why);
/* Those who wait for their turn fail so. */
void cloud_account_fail(struct account_private *, int code, const struct err *);

/* cloud_sign_in.c */
/* Must the account's ops wait for a token?  If nobody gets it yet, that begins. */
bool cloud_sign_in_awaited(struct account_private *);
void cloud_sign_in_cancel(struct account_private *);
/* The token was refused, to p (or NULL).  False: so were others just before, and this one stays. */
bool cloud_sign_out(struct account_private *, const struct op_private *p);
void
cloud_sign_in_sufficed(struct account_private *, const struct op_private *); /* it ended well */

/* cloud_batch.c */
bool cloud_batch_takes(const struct op_private *); /* is what the op does next an item? */
void cloud_batch_join(struct op_private *); /* it becomes one; it has no lane */
void cloud_batch_leave(struct op_private *); /* an ITEM is none any more */
/* As driver->request and driver->response of a batch's op.  code: the transport's; RETRY and DONE
   are about the request, *err about whether the account was refused; items have their own. */
enum cloud_step cloud_batch_request(struct op_private *);
void cloud_batch_response(struct op_private *, int code, const struct http_response *,
    const struct err *why, struct err *);

/* cloud_op.c */
static inline struct op_private *
op_private(struct cloud_op *op)
{
	return (struct op_private *)op;
}

/* The answer to its request means that. */
void cloud_op_step(struct op_private *, enum cloud_step, struct err *);
/* Exponential with full jitter, and what was asked for. */
uint64_t cloud_backoff(const struct cloud_runner *, unsigned failures, uint64_t asked_ms);
void cloud_op_send(struct op_private *); /* READY, and its turn */
void
cloud_op_end(struct op_private *, int code, const struct err *); /* frees its lane, calls done */
