#include "daemon/store_private.h"
#include "src/field.h"
#include "src/log.h"
#include "src/path.h"
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HEADER   5 /* schema version and CRC32C */
#define TEXT_MAX 4096
#define RECORD_SMALL                                                                               \
	2048 /* nearly all are: they are put into words once, not once for their length */
#define SETTINGS_MAX (1024 * 1024)

/* Order of acceptance, the mark of what was cut off: members beside those of the change. */
#define MEMBER_ORDER   "order"
#define MEMBER_TAKEN   "taken"
#define MEMBER_UNCLEAN "unclean"

void
user_free(struct user *user)
{
	if (user == NULL)
		return;
	free(user->name);
	mem_wipe_free(user->password);
	free(user);
}

struct account_record *
account_record_new(void)
{
	struct account_record *a = xcalloc(1, sizeof *a);

	a->sealed.max = SETTINGS_MAX;
	return a;
}

void
account_record_free(struct account_record *a)
{
	if (a == NULL)
		return;
	free(a->name);
	free(a->driver);
	json_decref(a->settings);
	buf_free(&a->sealed);
	free(a->status);
	free(a->status_text);
	free(a);
}

void
item_fini(struct item *it)
{
	change_free(TAKE(it->c));
}

bool
store_name_fits(const char *name)
{
	return name != NULL && name[0] != '\0' && strlen(name) <= STORE_NAME_MAX;
}

bool
store_name_is_taken(struct tx *tx, enum db db, const struct key *key, const struct id *id)
{
	MDB_val val;

	return tx_get(tx, db, key->b, key->len, &val) && val.mv_size == ID_BYTES &&
	    memcmp(val.mv_data, id->b, ID_BYTES) != 0;
}

void
record_put_json(struct tx *tx, enum db db, const void *key, size_t key_len, json_t *json)
{
	CLEANUP(cleanup_free) char *large = NULL;
	char small[HEADER + RECORD_SMALL], *text = small;
	size_t len = json_dumpb(json, small + HEADER, RECORD_SMALL, JSON_COMPACT);
	uint32_t crc;

	assert(len > 0);
	if (len > RECORD_SMALL) { /* only its length is known by now */
		text = large = xmalloc(HEADER + len);
		json_dumpb(json, text + HEADER, len, JSON_COMPACT);
	}
	json_decref(json);
	text[0] = STORE_SCHEMA;
	crc = htobe32(crc32c(0, text + HEADER, len));
	memcpy(text + 1, &crc, sizeof crc);
	tx_put(tx, db, key, key_len, text, HEADER + len);
}

static void
record_put(struct tx *tx, enum db db, const struct id *id, json_t *json)
{
	record_put_json(tx, db, id->b, sizeof id->b, json);
}

json_t *
record_decode(const MDB_val *val, int *code, const char **why)
{
	const char *text = val->mv_data;
	uint32_t crc;
	json_t *json;

	*code = -EBADMSG;
	*why = "it is too short";
	if (val->mv_size <= HEADER)
		return NULL;
	memcpy(&crc, text + 1, sizeof crc);
	if (text[0] != STORE_SCHEMA) {
		*code = -EOPNOTSUPP;
		*why = "it was made by a newer Skyferry";
		return NULL;
	}
	*why = "its checksum is wrong";
	if (crc32c(0, text + HEADER, val->mv_size - HEADER) != be32toh(crc))
		return NULL;
	*why = "it is no JSON";
	json = json_loadb(text + HEADER, val->mv_size - HEADER, JSON_ALLOW_NUL, NULL);
	if (json_is_object(json) || json_is_array(json))
		return json;
	json_decref(json);
	return NULL;
}

/* -ENOENT without a message: the caller knows the name that was asked for. */
static int
record_get(struct tx *tx, enum db db, const struct id *id, json_t **out, struct err *err)
{
	char text[37];
	const char *why;
	MDB_val val;
	int code;

	if (!tx_get(tx, db, id->b, sizeof id->b, &val))
		return tx->error != 0 ? lmdb_errno(tx->error) : -ENOENT;
	*out = record_decode(&val, &code, &why);
	if (*out != NULL)
		return 0;
	id_format(text, id);
	return err_set(err, code,
	    "the record of %s in '%s' is damaged: %s; run skyferryd --check-store and restore the "
	    "store from a backup",
	    text, lmdb_name(db), why);
}

static int
record_bad(struct err *err, const struct id *id, const char *why)
{
	char text[37];

	id_format(text, id);
	return err_set(err, -EBADMSG,
	    "the record of %s is damaged: %s; run skyferryd --check-store and restore the store "
	    "from a backup",
	    text, why);
}

int
item_load(struct tx *tx, const struct id *id, struct item *out, struct err *err)
{
	struct err why = ERR_INIT;
	struct item it = {.id = *id};
	char text[37];
	json_t *json;
	int code;

	code = record_get(tx, DB_CHANGES, id, &json, err);
	id_format(text, id);
	if (code == -ENOENT)
		return err_set(err, code, "there is no transfer '%s'", text);
	if (code != 0)
		return code;
	code = change_from_json(&it.c, json, &why);
	it.order = (uint64_t)json_integer_value(json_object_get(json, MEMBER_ORDER));
	it.taken = (uint64_t)json_integer_value(json_object_get(json, MEMBER_TAKEN));
	it.unclean = json_is_true(json_object_get(json, MEMBER_UNCLEAN));
	json_decref(json);
	if (code == 0 && (strcmp(it.c->id, text) != 0 || !id_parse(&it.user, it.c->user_id)))
		code = err_set(&why, -EBADMSG, "it belongs to another id");
	if (code != 0) {
		item_fini(&it);
		return record_bad(err, id, err_text(&why));
	}
	it.c->blockers = (uint32_t)waiting_count(tx, id, NULL);
	if (it.c->kind == CHANGE_TREE)
		tree_totals(tx, &it);
	*out = it;
	return 0;
}

bool
item_load_indexed(struct tx *tx, const struct id *id, struct item *out)
{
	struct err err = ERR_INIT;
	char text[37];
	int code;

	if (tx->error != 0)
		return false;
	code = item_load(tx, id, out, &err);
	if (code == 0 || tx->error != 0)
		return code == 0;
	id_format(text, id);
	if (code == -ENOENT)
		err_set(&err, -EBADMSG,
		    "the database is damaged: an index names %s, which is not there; run skyferryd "
		    "--check-store",
		    text);
	log_error("store: %s", err_text(&err));
	return false;
}

void
item_save(struct tx *tx, const struct item *it)
{
	json_t *json;

	if (tx->error != 0)
		return;
	json = change_to_json(it->c);
	json_object_del(json, "blockers"); /* counted in DB_WAITING */
	field_set_int(json, MEMBER_ORDER, (int64_t)it->order);
	field_set_int(json, MEMBER_TAKEN, (int64_t)it->taken);
	if (it->unclean)
		field_set_bool(json, MEMBER_UNCLEAN, true);
	record_put(tx, DB_CHANGES, &it->id, json);
}

static int
text_check(const char *text, const char *what, struct err *err)
{
	size_t len = strlen(text);

	if (utf8_valid_len(text, len) != len)
		return err_set(err, -EILSEQ, "%s '%s' is not UTF-8; rename it", what, text);
	return 0;
}

static int
segment_check(const struct change *c, const struct segment *s, struct err *err)
{
	struct id id;
	int code;

	switch (s->kind) {
	case SEGMENT_ZERO: return 0;
	case SEGMENT_SPOOL:
		if (s->path == NULL || s->path[0] == '\0' || strchr(s->path, '/') != NULL)
			return err_set(err, -EINVAL, "a spool file's name is one path component");
		if (strlen(s->path) > PATH_COMPONENT_MAX)
			return err_set(
			    err, -ENAMETOOLONG, "the spool file's name '%s' is too long", s->path);
		return text_check(s->path, "the spool file", err);
	case SEGMENT_ENTRY:
		if (!id_parse(&id, s->account_id))
			return err_set(err, -EINVAL, "a source without an account");
		if (s->path != NULL && (code = text_check(s->path, "the source", err)) != 0)
			return code;
		if (s->path == NULL || !change_source_is_valid(c, s->path))
			return err_set(err, -EINVAL, "a source's path is not canonical");
		return 0;
	}
	return err_set(err, -EINVAL, "a source of an unknown kind");
}

int
change_check(const struct change *c, struct err *err)
{
	const struct segment *source = change_source(c);
	struct change *again = NULL;
	struct id id;
	json_t *json;
	size_t i;
	int code;

	if (!id_parse(&id, c->id) || !id_parse(&id, c->user_id) || !id_parse(&id, c->account_id))
		return err_set(err, -EINVAL, "ids of changes, users and accounts are UUIDs");
	if (c->path != NULL && (code = text_check(c->path, "the path", err)) != 0)
		return code;
	if (c->path == NULL || !change_path_is_valid(c, c->path))
		return err_set(err, -EINVAL, "the path of a change is not canonical");
	if (c->kind == CHANGE_TRANSFER && c->segments_len > SEGMENTS_MAX)
		return err_set(err, -E2BIG, "'%s' has more than %d sources", c->path, SEGMENTS_MAX);
	if (c->segments_len > 0 && c->kind != CHANGE_TRANSFER && c->kind != CHANGE_RENAME &&
	    c->kind != CHANGE_TREE)
		return err_set(err, -EINVAL, "a %s has no source", change_kind_name(c->kind));
	if (c->kind == CHANGE_RENAME && source != NULL && source->account_id != NULL &&
	    strcmp(source->account_id, c->account_id) != 0)
		return err_set(err, -EXDEV, "cannot rename '%s' to another account", source->path);
	for (i = 0; i < c->segments_len; i++) {
		if ((code = segment_check(c, &c->segments[i], err)) != 0)
			return code;
	}
	if (c->kind == CHANGE_TREE && source != NULL && source->account_id != NULL &&
	    strcmp(source->account_id, c->account_id) == 0 &&
	    (path_is_inside(c->path, source->path) || path_is_inside(source->path, c->path)))
		return err_set(err, -EINVAL,
		    "the directory '%s' cannot go to '%s': one lies in the other", source->path,
		    c->path);
	if (c->kind == CHANGE_RENAME && c->tree && source != NULL &&
	    (path_is_inside(c->path, source->path) || path_is_inside(source->path, c->path)))
		return err_set(err, -EINVAL, "cannot rename the directory '%s' to '%s'",
		    source->path, c->path);
	/* What cannot be read back must not be written. */
	json = change_to_json(c);
	code = change_from_json(&again, json, err);
	json_decref(json);
	change_free(again);
	return code;
}

int
record_user(struct tx *tx, const struct id *id, struct user **out, struct err *err)
{
	struct err why = ERR_INIT;
	struct user *user;
	uint64_t weight = 1;
	json_t *json;
	int code;

	if ((code = record_get(tx, DB_USERS, id, &json, err)) != 0)
		return code;
	user = xcalloc(1, sizeof *user);
	user->uid = -1;
	id_format(user->id, id);
	(void)((code = field_str(&user->name, json, "name", TEXT_MAX, &why)) != 0 ||
	    (code = field_str(&user->password, json, "password", TEXT_MAX, &why)) != 0 ||
	    (code = field_bool(&user->admin, json, "admin", &why)) != 0 ||
	    (code = field_int(&user->uid, json, "uid", -1, UINT32_MAX, &why)) != 0 ||
	    (code = field_u64(&weight, json, "weight", UINT32_MAX, &why)) != 0 ||
	    (code = field_u64(&user->epoch, json, "epoch", INT64_MAX, &why)) != 0 ||
	    (code = field_u64(&user->created_ms, json, "createdMs", INT64_MAX, &why)) != 0);
	json_decref(json);
	user->weight = (unsigned)weight;
	if (code == 0 && user->name == NULL)
		code = err_set(&why, -EBADMSG, "it has no name");
	if (code != 0) {
		user_free(user);
		return record_bad(err, id, err_text(&why));
	}
	*out = user;
	return 0;
}

void
record_put_user(struct tx *tx, const struct id *id, const struct user *user)
{
	json_t *json = json_object();

	field_set_str(json, "name", user->name);
	field_set_str(json, "password", user->password);
	field_set_bool(json, "admin", user->admin);
	field_set_int(json, "uid", user->uid);
	field_set_int(json, "weight", user->weight);
	if (user->epoch != 0)
		field_set_int(json, "epoch", (int64_t)user->epoch);
	field_set_int(json, "createdMs", (int64_t)user->created_ms);
	record_put(tx, DB_USERS, id, json);
}

static int
account_read(struct account_record *a, const json_t *json, struct err *err)
{
	CLEANUP(cleanup_free) char *sealed = NULL;
	json_t *settings = json_object_get(json, "settings");
	CLEANUP(cleanup_free) unsigned char *bytes = NULL;
	uint64_t rate = 0, concurrency = 0;
	int code, len;

	if ((code = field_id(a->user_id, sizeof a->user_id, json, "userId", err)) != 0 ||
	    (code = field_str(&a->name, json, "name", TEXT_MAX, err)) != 0 ||
	    (code = field_str(&a->driver, json, "driver", TEXT_MAX, err)) != 0 ||
	    (code = field_str(&a->status, json, "status", TEXT_MAX, err)) != 0 ||
	    (code = field_str(&a->status_text, json, "statusText", TEXT_MAX, err)) != 0 ||
	    (code = field_str(&sealed, json, "sealed", 2 * SETTINGS_MAX, err)) != 0 ||
	    (code = field_u64(&a->created_ms, json, "createdMs", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&a->bandwidth, json, "bandwidth", INT64_MAX, err)) != 0 ||
	    (code = field_u64(&rate, json, "requestRate", UINT_MAX, err)) != 0 ||
	    (code = field_u64(&concurrency, json, "concurrency", UINT_MAX, err)) != 0 ||
	    (code = field_bool(&a->held, json, "held", err)) != 0 ||
	    (code = field_u64(&a->revision, json, "revision", INT64_MAX, err)) != 0)
		return code;
	if (a->user_id[0] == '\0' || a->name == NULL || a->driver == NULL)
		return err_set(err, -EBADMSG, "an account needs a user, a name and a driver");
	a->request_rate = (unsigned)rate;
	a->concurrency = (unsigned)concurrency;
	if (settings != NULL)
		a->settings = json_incref(settings);
	if (sealed == NULL)
		return 0;
	bytes = xmalloc(strlen(sealed) + 1);
	len = base64_decode(bytes, strlen(sealed) + 1, sealed);
	if (len < 0)
		return err_set(err, -EBADMSG, "its credentials are not base64");
	if (!buf_add(&a->sealed, bytes, (size_t)len))
		return err_set(err, -EBADMSG, "its credentials are too large");
	return 0;
}

int
record_account(struct tx *tx, const struct id *id, struct account_record **out, struct err *err)
{
	struct err why = ERR_INIT;
	struct account_record *a;
	json_t *json;
	int code;

	if ((code = record_get(tx, DB_ACCOUNTS, id, &json, err)) != 0)
		return code;
	a = account_record_new();
	id_format(a->id, id);
	code = account_read(a, json, &why);
	json_decref(json);
	if (code != 0) {
		account_record_free(a);
		return record_bad(err, id, err_text(&why));
	}
	*out = a;
	return 0;
}

void
record_put_account(struct tx *tx, const struct id *id, const struct account_record *a)
{
	CLEANUP(buf_free) struct buf sealed = BUF_INIT(2 * SETTINGS_MAX);
	json_t *json = json_object();

	field_set_str(json, "userId", a->user_id);
	field_set_str(json, "name", a->name);
	field_set_str(json, "driver", a->driver);
	field_set_str(json, "status", a->status);
	field_set_str(json, "statusText", a->status_text);
	if (a->settings != NULL)
		field_set(json, "settings", json_deep_copy(a->settings));
	if (a->sealed.len > 0) {
		buf_put_base64(&sealed, a->sealed.data, a->sealed.len);
		field_set_str(json, "sealed", buf_str(&sealed));
	}
	field_set_int(json, "createdMs", (int64_t)a->created_ms);
	field_set_int(json, "revision", (int64_t)a->revision);
	if (a->bandwidth != 0)
		field_set_int(json, "bandwidth", (int64_t)a->bandwidth);
	if (a->request_rate != 0)
		field_set_int(json, "requestRate", a->request_rate);
	if (a->concurrency != 0)
		field_set_int(json, "concurrency", a->concurrency);
	if (a->held)
		field_set_bool(json, "held", true);
	record_put(tx, DB_ACCOUNTS, id, json);
}

bool
account_use_get(struct tx *tx, const struct id *account, struct account_use *out)
{
	MDB_val val;

	if (!tx_get(tx, DB_ACCOUNT_USE, account->b, sizeof account->b, &val) ||
	    val.mv_size != sizeof *out)
		return false;
	memcpy(out, val.mv_data, sizeof *out);
	return true;
}

void
account_use_put(struct tx *tx, const struct id *account, const struct account_use *use)
{
	tx_put(tx, DB_ACCOUNT_USE, account->b, sizeof account->b, use, sizeof *use);
}
