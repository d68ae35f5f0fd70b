/*
 * view: records as the API shows them.
 */
#pragma once
#include "daemon/queue.h"
#include <jansson.h>

enum view_segments { VIEW_SEGMENTS_NEEDED, VIEW_SEGMENTS_ALWAYS, VIEW_SEGMENTS_NEVER };

/* With live progress if it is running here. */
json_t *view_change(struct daemon *, const struct change *, enum view_segments);
json_t *view_progress(const struct change *, const struct queue_progress *);
json_t *view_account(struct daemon *, const struct account_record *);
json_t *view_entry(const struct entry *);
json_t *view_key(const struct entry *); /* its path is a key */
json_t *view_user(const struct user *);
json_t *view_time(uint64_t ms); /* NULL for 0 */
