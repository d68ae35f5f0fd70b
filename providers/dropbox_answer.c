#include "providers/dropbox_answer.h"
#include "providers/object.h"
#include "src/clock.h"
#include "src/path.h"
#include <string.h>

#define TAGS_DEEP 8 /* unions within unions: the deepest of the specification has three */

/* What the tags mean to us, by their last ones ("LookupError", "WriteError", "RelocationError",
   "UploadError", "UploadSession...Error", "AuthError", "AccessError", "PathRootError"), and what
   can be done about it. */
static const struct {
	const char *tags;
	int code;
	const char *hint;
} dropbox_codes[] = {
    {"malformed_path", -EILSEQ, NULL},
    {"disallowed_name", -EILSEQ, "Dropbox keeps no files of this name"},
    {"not_found", -ENOENT, NULL},
    {"not_file", -EISDIR, NULL},
    {"not_folder", -ENOTDIR, NULL},
    {"restricted_content", -EACCES, "Dropbox does not give it out, for legal reasons"},
    {"unsupported_content_type", -EOPNOTSUPP, NULL},
    {"unsupported_file", -EOPNOTSUPP, "it has no content of its own and can only be exported"},
    {"locked", -EBUSY, "somebody has locked it"},
    {"lock_conflict", -EBUSY, "somebody has locked it"},
    {"conflict/file", -EEXIST, NULL},
    {"conflict/folder", -EISDIR, NULL},
    {"conflict/file_ancestor", -ENOTDIR, "something above it is a file"},
    {"conflict", -EEXIST, NULL},
    {"no_write_permission", -EACCES, NULL},
    {"access_restricted", -EACCES, "the team's administrator does not allow it"},
    {"insufficient_space", -EDQUOT, NULL},
    {"insufficient_quota", -EDQUOT, NULL},
    {"team_folder", -EPERM, NULL},
    {"operation_suppressed", -EPERM, NULL},
    {"too_many_write_operations", -EAGAIN, NULL},
    {"too_many_requests", -EAGAIN, NULL},
    {"too_many_files", -EOPNOTSUPP, NULL},
    {"cant_copy_shared_folder", -EOPNOTSUPP, NULL},
    {"cant_move_shared_folder", -EPERM, NULL},
    {"cant_nest_shared_folder", -EPERM, NULL},
    {"cant_transfer_ownership", -EPERM, NULL},
    {"cant_move_into_vault", -EPERM, NULL},
    {"is_shared_folder", -EPERM, NULL},
    {"cant_move_into_family", -EPERM, NULL},
    {"cant_move_folder_into_itself", -EINVAL, NULL},
    {"duplicated_or_nested_paths", -EINVAL, NULL},
    {"internal_error", -EIO, NULL},
    {"content_hash_mismatch", -EBADMSG, NULL},
    {"payload_too_large", -EFBIG, NULL},
    {"too_large", -EFBIG, NULL},
    {"encryption_not_supported", -EOPNOTSUPP, "its folder wants files that are encrypted first"},
    {"incorrect_offset", -EINVAL, NULL},
    {"closed", -EINVAL, NULL},
    {"not_closed", -EINVAL, NULL},
    {"concurrent_session_invalid_offset", -EINVAL, NULL},
    {"concurrent_session_invalid_data_size", -EINVAL, NULL},
    {"concurrent_session_missing_data", -EINVAL, NULL},
    {"concurrent_session_not_closed", -EINVAL, NULL},
    {"concurrent_session_data_not_allowed", -EINVAL, NULL},
    {"concurrent_session_close_not_allowed", -EINVAL, NULL},
    {"invalid_revision", -ENOENT, NULL},
    {"in_progress", -EBUSY, NULL},
    {"invalid_async_job_id", -ENOENT, NULL},
    {"download_failed", -EOPNOTSUPP, "it could not read the link"},
    {"invalid_url", -EOPNOTSUPP, NULL},
    {"invalid_copy_reference", -EOPNOTSUPP, NULL},
    {"email_not_verified", -EACCES, "verify the mail address of this Dropbox account first"},
    {"not_allowed", -EACCES, NULL},
    {"expired_access_token", -EKEYEXPIRED, NULL},
    {"invalid_access_token", -EKEYEXPIRED, NULL},
    {"missing_scope", -EACCES,
	"the app lacks this permission: tick it in Dropbox's app console, then allow the app again"},
    {"user_suspended", -EACCES, NULL},
    {"route_access_denied", -EACCES, NULL},
    {"invalid_root", -ENOENT, "the team's namespaces have changed: see the field namespace"},
    {"no_permission", -EACCES, NULL},
};

/* Answers without tags that are in the table ("Errors by status code"). */
static int
dropbox_status_code(int status)
{
	switch (status) {
	case 400: return -EINVAL;
	case 401: return -EKEYEXPIRED;
	case 403:
	case 422: return -EACCES;
	case 404: return -EOPNOTSUPP; /* no such route: it is no server of this API */
	case 408: return -ETIMEDOUT;
	case 409: return -EPROTO; /* a tag that is newer than this table */
	case 413: return -EFBIG;
	case 416: return -EINVAL;
	case 429:
	case 503: return -EAGAIN;
	}
	if (status >= 300 && status < 400)
		return -EINVAL; /* it is not at this endpoint */
	return status >= 500 ? -EIO : -EPROTO;
}

/* A union is {".tag": T, T: {...}}, or with the members of T's struct beside the tag, or just "T".
   A struct on the way has the union in `reason`. */
static void
read_tags(struct dropbox_error *error, const json_t *value)
{
	struct buf tags = BUF_INIT(DROPBOX_TAGS_MAX - 1);

	for (int i = 0; i < TAGS_DEEP && value != NULL; i++) {
		const char *tag = json_is_string(value)
		    ? json_string_value(value)
		    : json_string_value(json_object_get(value, ".tag"));
		const json_t *next = tag == NULL ? NULL : json_object_get(value, tag);

		if (tag != NULL)
			buf_printf(&tags, "%s%s", tags.len == 0 ? "" : "/", tag);
		if (!json_is_object(next))
			next = json_object_get(value, "reason");
		value = json_is_string(value) ? NULL : next;
	}
	snprintf(error->tags, sizeof error->tags, "%s", buf_str(&tags));
	buf_free(&tags);
}

bool
dropbox_error_is(const struct dropbox_error *error, const char *tags)
{
	size_t len = strlen(error->tags), tail = strlen(tags);

	return len >= tail && strcmp(error->tags + len - tail, tags) == 0 &&
	    (len == tail || error->tags[len - tail - 1] == '/');
}

/* unknown: of tags that are in no table. */
static int
error_code(int unknown, const struct dropbox_error *error, const char **hint)
{
	*hint = NULL;
	for (size_t i = 0; i < ARRAY_LEN(dropbox_codes); i++) {
		if (error->tags[0] != '\0' && dropbox_error_is(error, dropbox_codes[i].tags)) {
			*hint = dropbox_codes[i].hint;
			return dropbox_codes[i].code;
		}
	}
	return unknown;
}

/* The service's own words: "user_message" is made for people, what a bad request (400) is told is a
   text. */
static const char *
error_words(const json_t *answer, const struct http_response *res)
{
	const char *words =
	    json_string_value(json_object_get(json_object_get(answer, "user_message"), "text"));
	const char *scope =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "required_scope"));

	if (words != NULL)
		return words;
	if (scope != NULL)
		return scope;
	return answer == NULL && res->body.len > 0 ? buf_str(&res->body) : NULL;
}

/* The only place where Dropbox's answers become ours. */
int
dropbox_check(struct cloud_op *op, const struct http_response *res, struct dropbox_error *error,
    struct err *err)
{
	const char *hint, *words;
	json_t *answer;
	int code;

	error->tags[0] = '\0';
	if (res->status >= 200 && res->status < 300)
		return 0;
	answer = json_loadb(buf_str(&res->body), res->body.len, 0, NULL);
	read_tags(error, json_object_get(answer, "error"));
	code = error_code(dropbox_status_code(res->status), error, &hint);
	words = error_words(answer, res);
	if (code == -EISDIR && op->put.no_replace && dropbox_error_is(error, "conflict/folder"))
		code = -EEXIST;
	if (error->tags[0] == '\0')
		err_set(err, code, "cannot %s '%s': the service answered %d (%.200s)",
		    object_doing(op), op->path, res->status,
		    words == NULL ? err_info(code)->text : words);
	else
		err_set(err, code, "cannot %s '%s': %s%s%.200s%s%s%s", object_doing(op), op->path,
		    error->tags, words == NULL ? "" : ": ", words == NULL ? "" : words,
		    hint == NULL ? "" : " (", hint == NULL ? "" : hint, hint == NULL ? "" : ")");
	if (code == -EAGAIN && err != NULL)
		err->wait_ms = http_retry_after(res, op->now_ms);
	json_decref(answer);
	return code;
}

int
dropbox_check_job(struct cloud_op *op, const json_t *failed, struct err *err)
{
	struct dropbox_error error;
	const char *hint;
	int code;

	read_tags(&error, failed);
	code = error_code(-EOPNOTSUPP, &error, &hint);
	return err_set(err, code, "cannot %s '%s': %s%s%s%s", object_doing(op), op->path,
	    error.tags[0] == '\0' ? "the service does not say why" : error.tags,
	    hint == NULL ? "" : " (", hint == NULL ? "" : hint, hint == NULL ? "" : ")");
}

/* Metadata */

const char *
dropbox_text(const json_t *metadata, const char *name)
{
	const char *text = json_string_value(json_object_get(metadata, name));

	return text == NULL ? "" : text;
}

json_t *
dropbox_parse(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	json_t *answer = json_loadb(buf_str(&res->body), res->body.len, JSON_DECODE_ANY, NULL);

	if (answer == NULL)
		err_set(err, -EPROTO, "cannot %s '%s': the service's answer is no JSON",
		    object_doing(op), op->path);
	return answer;
}

static int
entry_take_file(struct entry *out, const json_t *metadata, struct err *err)
{
	const json_t *size = json_object_get(metadata, "size");
	const char *rev = dropbox_text(metadata, "rev");
	unsigned char hash[HASH_MAX_SIZE];

	if (*rev == '\0' || !json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(
		    err, -EPROTO, "'%s': the service does not tell revision and size", out->path);
	out->kind = ENTRY_FILE;
	out->size = (uint64_t)json_integer_value(size);
	out->version = xstrdup(rev);
	if (clock_parse_ns(&out->mtime_ns, dropbox_text(metadata, "client_modified")) != 0)
		out->mtime_ns = ENTRY_NO_TIME;
	if (hex_decode(hash, sizeof hash, dropbox_text(metadata, "content_hash")) == 32)
		digests_set(&out->digests, HASH_DROPBOX, hash);
	return 0;
}

/* The answers of some routes have one possible kind, and no tag. */
int
dropbox_entry(struct entry *out, const json_t *metadata, const char *path, struct err *err)
{
	const char *tag = dropbox_text(metadata, ".tag");

	out->path = xstrdup(path);
	if (strcmp(tag, "folder") == 0) {
		out->kind = ENTRY_DIRECTORY;
		return 0;
	}
	if (strcmp(tag, "deleted") == 0)
		return err_set(err, -ENOENT, "'%s': it is deleted", path);
	return entry_take_file(out, metadata, err);
}

int
dropbox_take(struct cloud_op *op, const json_t *metadata, struct err *err)
{
	entry_fini(&op->entry);
	entry_init(&op->entry);
	return dropbox_entry(&op->entry, metadata, op->path, err);
}
