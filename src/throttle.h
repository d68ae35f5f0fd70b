/*
 * throttle: how fast one account may be asked, shared by all loops that ask it: requests a second,
 * how much at once, and how to come back after its cloud has asked to slow down.  Nothing is locked
 * and nobody is told: each number is one atomic, and who must wait looks again after a while.
 *
 * The window bounds the requests that wait for an answer.  It is open until the cloud refuses one
 * (429, 503); from then on it is what was under way, and changes once a round: after as many
 * answers, to requests sent since the last cut, as it is wide.  More than half of them refused is a
 * storm: all pause, and then begin with one.  Clearly more than one in THROTTLE_FEW: it loses as
 * many as were refused.  Else it grows, if it was used: it doubles up to half of what it was before
 * the storm, then by a sixteenth a round.  That is TCP's congestion control (RFC 5681), except that
 * few refusals are none (a service that refuses one in twenty at random has nineteen to give), and
 * that a refusal, unlike a loss, says how much too much it was.
 *
 * A member is one loop's use of it.  What is short is shared evenly: beyond its even share a member
 * does not take again what it has given back, before all who wait have looked.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_FEW  16
#define THROTTLE_OPEN UINT16_MAX /* a window that bounds nothing */

enum throttle_gate { /* what is bounded */
	THROTTLE_READ,
	THROTTLE_PUT,
	THROTTLE_REST,
	THROTTLE_WATCH,
	THROTTLE_BATCH, /* ops at once: of each of cloud_private.h's lanes */
	THROTTLE_ASK, /* requests without an answer: the window */
	THROTTLE_GATES
};

struct throttle;
/* rate: requests a second, concurrency: ops at once in each lane; 0: no limit of its own. */
struct throttle *throttle_new(unsigned rate, unsigned concurrency);
struct throttle *throttle_ref(struct throttle *);
void throttle_unref(struct throttle *); /* NULL is a no-op */
void throttle_set(struct throttle *, unsigned rate, unsigned concurrency);
unsigned throttle_concurrency(const struct throttle *);
unsigned throttle_window(const struct throttle *);
/* So many are inside, of all members. */
unsigned throttle_inside(const struct throttle *, enum throttle_gate);
/* Since when every answer is a refusal; 0: the last one was none.  Times: ns, monotonic. */
uint64_t throttle_refused_since(const struct throttle *);
uint64_t throttle_paused_until(const struct throttle *);
/* So many requests were answered, refusals too, and so many refused, ever. */
void throttle_counts(const struct throttle *, uint64_t *answers, uint64_t *refusals);

struct throttle_member {
	struct throttle *throttle; /* borrowed; what follows is its own */
	unsigned inside[THROTTLE_GATES];
	bool waits[THROTTLE_GATES];
	uint64_t left_ns[THROTTLE_GATES]; /* when it left last */
};

/* Goes through a gate that lets `limit` through at once; false: it waits, and is to look again. */
bool throttle_enter(struct throttle_member *, enum throttle_gate, unsigned limit, uint64_t now_ns);
void throttle_enter_anyway(struct throttle_member *, enum throttle_gate);
void throttle_leave(struct throttle_member *, enum throttle_gate, uint64_t now_ns);
void throttle_wait_no_more(struct throttle_member *, enum throttle_gate); /* it has nothing to do */
/* Who waits: in how many ms a look is worth while; 0: only when it has left itself. */
uint64_t throttle_look(const struct throttle_member *, enum throttle_gate, uint64_t now_ns);

/* May a request be sent now?  0: yes, and it is inside THROTTLE_ASK.  Else: ms until the next
   look. */
uint64_t throttle_ask(struct throttle_member *, uint64_t now_ns);
/* It has been under way for so long that it will hardly be refused any more: it makes room for
   another one.  Its answer is told when it comes, as a late one. */
void throttle_overdue(struct throttle_member *, uint64_t sent_ns, uint64_t now_ns);
void throttle_accepted(struct throttle_member *, uint64_t sent_ns, uint64_t now_ns, bool late);
/* How many storms have begun since the last good answer, if this one made it a storm: the caller
   chooses a pause.  Else 0. */
unsigned throttle_refused(struct throttle_member *, uint64_t sent_ns, uint64_t now_ns, bool late);
/* Nothing is sent before; then the window begins with one. */
void throttle_pause(struct throttle_member *, uint64_t until_ns, uint64_t now_ns);
