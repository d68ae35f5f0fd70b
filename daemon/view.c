#include "daemon/view.h"
#include "daemon/accounts.h"
#include "daemon/pairs.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/path.h"
#include <string.h>

json_t *
view_time(uint64_t ms)
{
	char text[32];

	return ms != 0 ? json_string(clock_format(text, sizeof text, ms)) : NULL;
}

static void
view_paths(json_t *out, const struct change *c, enum view_segments segments)
{
	const struct segment *source = change_source(c);

	if (source != NULL) {
		field_set_str(out, "sourceAccountId", source->account_id);
		field_set_str(out, "sourcePath", source->path);
	}
	field_set_str(out, "destinationAccountId", c->account_id);
	field_set_str(out, "destinationPath", c->path);
	if (segments == VIEW_SEGMENTS_ALWAYS ||
	    (segments == VIEW_SEGMENTS_NEEDED && source == NULL && c->kind == CHANGE_TRANSFER))
		field_set(out, "segments", segments_to_json(c->segments, c->segments_len));
}

static void
view_options(json_t *out, const struct change *c)
{
	if (c->kind == CHANGE_TRANSFER || c->kind == CHANGE_TREE) {
		field_set_bool(out, "move", c->move);
		field_set_bool(out, "preserveMetadata", c->preserve);
	}
	if (c->kind == CHANGE_RENAME)
		field_set_bool(out, "tree", c->tree);
	if (c->by_key)
		field_set_bool(out, "byKey", true);
	if (c->kind == CHANGE_TRANSFER || c->kind == CHANGE_RENAME || c->kind == CHANGE_TREE)
		field_set_bool(out, "overwrite", c->overwrite);
	field_set_int(out, "priority", c->priority);
	field_set_int(out, "maxRetries", c->retries_max);
	if (c->bandwidth != 0)
		field_set_int(out, "bandwidth", (int64_t)c->bandwidth);
	if (c->mtime_ns != ENTRY_NO_TIME)
		field_set_int(out, "mtimeNs", c->mtime_ns);
	if (!c->mtime_set)
		field_set_bool(out, "mtimeSet", false);
	if (c->mode != 0)
		field_set_int(out, "mode", c->mode);
}

static void
view_put_parts(json_t *out, const struct worker_parts *p)
{
	json_t *parts;

	if (p->total == 0)
		return;
	parts = json_object();
	field_set_int(parts, "done", p->done);
	field_set_int(parts, "total", p->total);
	field_set_int(parts, "atOnce", p->at_once);
	field_set_str(parts, "reason", p->why);
	field_set(out, "parts", parts);
}

/* Of a tree. */
static void
view_children(json_t *out, const struct change *c)
{
	json_t *children;

	if (c->kind != CHANGE_TREE)
		return;
	children = json_object();
	field_set_bool(children, "listed", c->listed);
	field_set_int(children, "total", (int64_t)c->totals.entries);
	field_set_int(children, "done", (int64_t)c->totals.done);
	field_set_int(children, "failed", (int64_t)c->totals.failed);
	field_set_int(children, "live", (int64_t)c->totals.live);
	field_set(out, "children", children);
}

static void
view_put_progress(json_t *out, const struct queue_progress *p, bool live)
{
	if (p->bytes_total != UINT64_MAX)
		field_set_int(out, "bytesTotal", (int64_t)p->bytes_total);
	field_set_int(out, "bytesDone", (int64_t)p->bytes_done);
	if (!live)
		return;
	field_set_int(out, "rate", (int64_t)p->rate);
	if (p->rate > 0 && p->bytes_total != UINT64_MAX && p->bytes_total >= p->bytes_done)
		field_set_int(
		    out, "etaSeconds", (int64_t)((p->bytes_total - p->bytes_done) / p->rate));
	view_put_parts(out, &p->parts);
}

/* Live if it is running here, else what the record says. */
static void
view_bytes(json_t *out, struct daemon *daemon, const struct change *c)
{
	struct queue_progress p = {.bytes_done = c->bytes_done, .bytes_total = c->bytes_total};
	bool live = c->state == CHANGE_RUNNING && daemon->queue != NULL &&
	    queue_progress(daemon->queue, c->id, &p);

	if (c->kind == CHANGE_TREE && change_is_live(c) && daemon->queue != NULL) {
		queue_tree_progress(daemon->queue, c, &p);
		live = true;
	}
	if (c->kind == CHANGE_TRANSFER || c->kind == CHANGE_TREE)
		view_put_progress(out, &p, live);
}

static void
view_outcome(json_t *out, const struct change *c)
{
	json_t *error;

	field_set_str(out, "route", c->route);
	field_set_str(out, "routeReason", c->route_reason);
	field_set_str(out, "verified", c->verified);
	field_set_str(out, "version", c->result_version != NULL ? c->result_version : c->version);
	if (c->error == 0)
		return;
	error = json_object();
	field_set_str(error, "code", err_info(c->error)->name);
	field_set_str(
	    error, "message", c->error_text != NULL ? c->error_text : err_info(c->error)->text);
	field_set(out, "error", error);
}

json_t *
view_change(struct daemon *daemon, const struct change *c, enum view_segments segments)
{
	json_t *out = json_object();

	field_set_str(out, "id", c->id);
	field_set_str(out, "kind", change_kind_name(c->kind));
	field_set_str(out, "parent", c->parent[0] != '\0' ? c->parent : NULL);
	field_set_str(out, "status", change_state_name(c->state));
	if (c->state == CHANGE_RUNNING && c->cancel)
		field_set_bool(out, "cancelRequested", true);
	view_paths(out, c, segments);
	view_options(out, c);
	field_set(out, "notBefore", view_time(c->not_before_ms));
	field_set(out, "createdAt", view_time(c->created_ms));
	field_set(out, "startedAt", view_time(c->started_ms));
	field_set(out, "finishedAt", view_time(c->finished_ms));
	field_set_int(out, "attempts", c->attempts);
	field_set_bool(out, "waiting", c->state == CHANGE_QUEUED && c->blockers > 0);
	view_bytes(out, daemon, c);
	view_children(out, c);
	view_outcome(out, c);
	return out;
}

json_t *
view_progress(const struct change *c, const struct queue_progress *p)
{
	json_t *out = json_object();

	field_set_str(out, "id", c->id);
	view_children(out, c);
	view_put_progress(out, p, true);
	field_set_str(out, "route", p->route);
	return out;
}

/* Only while it has been asked to slow down. */
static void
view_throttle(json_t *out, struct daemon *daemon, const struct account_record *a)
{
	const struct throttle *t = accounts_throttle(daemon->accounts, a->id);
	uint64_t until, now = clock_mono_ns();
	json_t *throttle;

	if (t == NULL || throttle_window(t) == THROTTLE_OPEN)
		return;
	until = throttle_paused_until(t);
	throttle = json_object();
	field_set_int(throttle, "window", throttle_window(t));
	field_set_int(throttle, "pausedMs", until > now ? (int64_t)((until - now) / 1000000) : 0);
	field_set(out, "throttle", throttle);
}

json_t *
view_account(struct daemon *daemon, const struct account_record *a)
{
	json_t *out = json_object();

	field_set_str(out, "id", a->id);
	field_set_str(out, "name", a->name);
	field_set_str(out, "provider", a->driver);
	field_set(out, "settings", a->settings != NULL ? json_incref(a->settings) : json_object());
	field_set_str(out, "status", a->status != NULL ? a->status : "ok");
	field_set_str(out, "message", a->status_text);
	if (a->bandwidth != 0)
		field_set_int(out, "bandwidth", (int64_t)a->bandwidth);
	if (a->request_rate != 0)
		field_set_int(out, "requestRate", a->request_rate);
	if (a->concurrency != 0)
		field_set_int(out, "concurrency", a->concurrency);
	if (a->held)
		field_set_bool(out, "held", true);
	view_throttle(out, daemon, a);
	field_set(out, "pairs", pairs_view(daemon->pairs, a->id));
	field_set(out, "createdAt", view_time(a->created_ms));
	return out;
}

json_t *
view_entry(const struct entry *e)
{
	json_t *out = json_object();

	field_set_str(out, "name", path_name(e->path));
	field_set_str(out, "path", e->path);
	field_set_str(out, "kind", e->kind == ENTRY_DIRECTORY ? "directory" : "file");
	if (e->unsized)
		field_set_bool(out, "unsized", true);
	else
		field_set_int(out, "size", (int64_t)e->size);
	if (e->mtime_ns != ENTRY_NO_TIME && e->mtime_ns > 0)
		field_set(out, "mtime", view_time((uint64_t)(e->mtime_ns / 1000000)));
	field_set_str(out, "version", e->version);
	field_set_str(out, "contentType", e->content_type);
	if (e->digests.have != 0)
		field_set(out, "hashes", digests_to_json(&e->digests));
	field_set(out, "metadata", json_deep_copy(e->metadata));
	return out;
}

json_t *
view_key(const struct entry *e)
{
	json_t *out = view_entry(e);

	json_object_del(out, "name");
	json_object_del(out, "path");
	field_set_str(out, "key", e->path);
	return out;
}

json_t *
view_user(const struct user *u)
{
	json_t *out = json_object();

	field_set_str(out, "id", u->id);
	field_set_str(out, "username", u->name);
	field_set_bool(out, "admin", u->admin);
	if (u->uid >= 0)
		field_set_int(out, "uid", u->uid);
	field_set(out, "createdAt", view_time(u->created_ms));
	return out;
}
