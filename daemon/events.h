/*
 * events: what changed, for the readers of /api/events.  Publishing never blocks; a reader has a
 * bounded buffer (1 MiB) and is dropped when it is full.
 */
#pragma once
#include "daemon/queue.h"

struct evhttp_request;
struct events *events_new(struct daemon *);
void events_free(struct events *);
/* Says "bye" and closes all readers, and takes no new ones; the server does it when it goes. */
void events_close(struct events *);
/* A `change` event for its user.  Of a tree's children only failures are told to all; the rest to
   mounts, and to who asked for it by its id. */
void events_change(struct events *, const struct change *);
void events_progress(struct events *, const struct change *, const struct queue_progress *);
/* Would one of this change be told now? */
bool events_progress_is_due(const struct events *, const char *change_id);
/* Somebody tried to sign in to it, and why nothing came of that. */
void events_sign_in_failed(struct events *, const struct account_record *, const char *why);
void events_account(struct events *, const char *user_id, const char *account_id, const char *name,
    const char *event);
uint64_t events_seq(const struct events *, const char *user_id);
/* Takes the request over as a stream.  kinds: bits of enum events_kind; the ids may be NULL. */
void events_subscribe(struct events *, struct evhttp_request *, const char *user_id,
    const char *mount_id, unsigned kinds, const char *change_id);

enum events_kind { EVENTS_CHANGE = 1 << 0, EVENTS_PROGRESS = 1 << 1, EVENTS_ACCOUNT = 1 << 2 };
#define EVENTS_ALL (EVENTS_CHANGE | EVENTS_PROGRESS | EVENTS_ACCOUNT)
/* "change,progress" -> bits; NULL: all. */
int events_kinds_parse(unsigned *out, const char *names, struct err *);
