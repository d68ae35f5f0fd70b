#include "daemon/api.h"
#include "daemon/check.h"
#include "daemon/events.h"
#include "daemon/mounts.h"
#include "src/clock.h"
#include "src/field.h"
#include <string.h>

void
api_health(struct call *c)
{
	struct daemon *d = c->daemon;
	json_t *body = json_object(), *changes = json_object(), *store = json_object();
	struct store_stats stats;

	store_stats(d->store, &stats);
	field_set_int(changes, "pending", (int64_t)stats.by_state[CHANGE_PENDING]);
	field_set_int(changes, "queued", (int64_t)stats.by_state[CHANGE_QUEUED]);
	field_set_int(changes, "running", (int64_t)stats.by_state[CHANGE_RUNNING]);
	field_set_int(changes, "failed", (int64_t)stats.by_state[CHANGE_FAILED]);
	field_set_int(store, "commits", (int64_t)stats.commits);
	field_set_int(store, "writes", (int64_t)stats.writes);
	field_set_int(store, "mapUsed", (int64_t)stats.map_used);
	field_set_int(store, "mapSize", (int64_t)stats.map_size);
	field_set_str(body, "status", d->draining ? "draining" : "ok");
	field_set_str(body, "version", PACKAGE_VERSION);
	field_set_int(body, "uptime", (int64_t)((clock_ms() - d->started_ms) / 1000));
	field_set(body, "changes", changes);
	field_set(body, "store", store);
	call_reply(c, d->draining ? 503 : 200, body);
}

void
api_events(struct call *c)
{
	static const struct check_field fields[] = {
	    {"mount", CHECK_ID},
	    {"kinds", CHECK_STRING, .min = 1, .max = 64},
	    {"transfer", CHECK_ID},
	    {NULL},
	};
	const char *mount = get_str(c->query, "mount"), *transfer = get_str(c->query, "transfer");
	char mount_id[37], transfer_id[37], user_id[37];
	struct events *events = c->daemon->events;
	struct err err = ERR_INIT;
	unsigned kinds;

	if (check_query(c->query, fields, &err) != 0 ||
	    events_kinds_parse(&kinds, get_str(c->query, "kinds"), &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if (mount != NULL) {
		uuid_canonical(mount_id, mount);
		if (!c->socket) {
			call_failf(c, -EPERM, "a mount's lease is held over the Unix socket only");
			return;
		}
		if (mounts_touch(c->daemon->mounts, c->user->id, mount_id, &err) != 0) {
			call_fail(c, err.code, &err);
			return;
		}
	}
	if (transfer != NULL)
		uuid_canonical(transfer_id, transfer);
	memcpy(user_id, c->user->id, sizeof user_id);
	events_subscribe(events, call_take_request(c), user_id, mount != NULL ? mount_id : NULL,
	    kinds, transfer != NULL ? transfer_id : NULL);
}
