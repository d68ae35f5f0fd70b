#include "providers/gdrive_file.h"
#include "providers/object.h"
#include "src/clock.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

#define STAND_IN "\xef\xbc\x8f" /* U+FF0F, FULLWIDTH SOLIDUS */
#define TAIL     8 /* characters of an id that are shown: the end is random, the beginning is not */

static const char *
file_text(const json_t *file, const char *name)
{
	const char *text = json_string_value(json_object_get(file, name));

	return text == NULL ? "" : text;
}

static void
digest_read(struct digests *out, enum hash_type type, const char *hex)
{
	unsigned char sum[HASH_MAX_SIZE];

	if (hex_decode(sum, sizeof sum, hex) == (int)hash_size(type))
		digests_set(out, type, sum);
}

/* headRevisionId changes with the content and with nothing else, and a revision can be read.  Where
   it is not told, or may not be read, the content's hash is the next best, of that file. */
static void
version_read(struct gdrive_node *out, const json_t *file)
{
	const char *head = file_text(file, "headRevisionId"), *md5 = file_text(file, "md5Checksum");
	const json_t *may = json_object_get(file, "capabilities");

	if (gdrive_is_id(head)) {
		snprintf(out->version, sizeof out->version, "%s", head);
		out->is_pinned = json_is_true(json_object_get(may, "canReadRevisions"));
	} else if (*md5 != '\0' && gdrive_is_id(md5)) {
		snprintf(out->version, sizeof out->version, "md5-%.32s-%s", md5, out->id);
	} else {
		snprintf(out->version, sizeof out->version, "at-%.35s-%s",
		    file_text(file, "modifiedTime"), out->id);
	}
}

int
gdrive_node_read(
    struct gdrive_node *out, const json_t *file, enum gdrive_exports exports, struct err *err)
{
	const char *id = file_text(file, "id"), *type = file_text(file, "mimeType");
	const char *parent = json_string_value(json_array_get(json_object_get(file, "parents"), 0));
	const char *upload = file_text(json_object_get(file, "appProperties"), GDRIVE_UPLOAD);
	int64_t mtime;

	*out = (struct gdrive_node){.mtime_ns = ENTRY_NO_TIME};
	if (!gdrive_is_id(id) || *type == '\0' || (parent != NULL && !gdrive_is_id(parent)))
		return err_set(err, -EPROTO, "the answer describes no file");
	snprintf(out->id, sizeof out->id, "%s", id);
	snprintf(out->parent, sizeof out->parent, "%s", parent == NULL ? "" : parent);
	if (object_is_header_value(file_text(file, "createdTime")))
		snprintf(out->created, sizeof out->created, "%s", file_text(file, "createdTime"));
	snprintf(out->upload, sizeof out->upload, "%s", upload);
	out->trashed = json_is_true(json_object_get(file, "trashed"));
	out->is_directory = strcmp(type, GDRIVE_FOLDER) == 0;
	if (clock_parse_ns(&mtime, file_text(file, "modifiedTime")) == 0)
		out->mtime_ns = mtime;
	out->size = object_size(file_text(file, "size"));
	out->has_bytes =
	    out->size != UINT64_MAX && strncmp(type, GDRIVE_APPS, strlen(GDRIVE_APPS)) != 0;
	if (!out->has_bytes) {
		out->size = 0;
		out->export = gdrive_export_of(exports, type);
		if (out->export != NULL)
			version_read(out, file);
		return 0;
	}
	version_read(out, file);
	digest_read(&out->digests, HASH_MD5, file_text(file, "md5Checksum"));
	digest_read(&out->digests, HASH_SHA1, file_text(file, "sha1Checksum"));
	digest_read(&out->digests, HASH_SHA256, file_text(file, "sha256Checksum"));
	return 0;
}

bool
gdrive_node_is_shown(const struct gdrive_node *node)
{
	return node->is_directory || node->has_bytes || node->export != NULL;
}

void
gdrive_entry_read(
    struct entry *out, const char *path, const json_t *file, const struct gdrive_node *node)
{
	entry_fini(out);
	entry_init(out);
	out->path = xstrdup(path);
	out->kind = node->is_directory ? ENTRY_DIRECTORY : ENTRY_FILE;
	out->mtime_ns = node->mtime_ns;
	if (node->is_directory)
		return;
	out->size = node->size;
	out->unsized = node->export != NULL;
	out->version = xstrdup(node->version);
	out->content_type =
	    xstrdup(out->unsized ? node->export->type : file_text(file, "mimeType"));
	out->digests = node->digests;
}

/* Names */

static char *
name_show(const char *name, const char *suffix)
{
	struct buf shown = BUF_INIT(1 << 20);

	for (; *name != '\0'; name++) {
		if (*name == '/')
			buf_puts(&shown, STAND_IN);
		else
			buf_putc(&shown, *name);
	}
	buf_puts(&shown, suffix);
	return buf_take(&shown);
}

char *
gdrive_name(const json_t *file, const struct gdrive_node *node)
{
	const json_t *name = json_object_get(file, "name");
	const char *text = json_string_value(name);
	char *shown;

	if (text == NULL || *text == '\0' || json_string_length(name) != strlen(text))
		return NULL;
	shown = name_show(text, node->export == NULL ? "" : node->export->suffix);
	if (shown != NULL && *shown != '\0' && path_is_canonical(shown))
		return shown;
	free(shown);
	return NULL;
}

/* Where the extension begins: it stays at the end, so that programs know what the file is. */
static size_t
name_stem(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
}

char *
gdrive_name_of_twin(const char *name, const char *id)
{
	size_t stem = name_stem(name), len = strlen(id);

	return xasprintf(
	    "%.*s (%s)%s", (int)stem, name, len > TAIL ? id + len - TAIL : id, name + stem);
}

char *
gdrive_name_without_id(const char *shown)
{
	size_t stem = name_stem(shown);
	const size_t mark = TAIL + 3; /* " (" and ")" */

	if (stem <= mark || shown[stem - 1] != ')' || strncmp(shown + stem - mark, " (", 2) != 0)
		return NULL;
	return xasprintf("%.*s%s", (int)(stem - mark), shown, shown + stem);
}

int
gdrive_name_is(const char *name, const char *id, const char *shown)
{
	CLEANUP(cleanup_free) char *twin = NULL;

	if (strcmp(name, shown) == 0)
		return 1;
	twin = gdrive_name_of_twin(name, id);
	return strcmp(twin, shown) == 0 ? 2 : 0;
}

bool
gdrive_name_has_stand_in(const char *shown)
{
	return strstr(shown, STAND_IN) != NULL;
}

int
gdrive_node_compare(
    const char *a_created, const char *a_id, const char *b_created, const char *b_id)
{
	int order = strcmp(a_created, b_created);

	return order != 0 ? order : strcmp(a_id, b_id);
}

/* Errors */

/* "Resolve errors": what Drive's reasons mean to us, and what can be done about it. */
static const struct {
	const char *reason;
	int code;
	const char *hint;
} reasons[] = {
    {"accessNotConfigured", -EACCES,
	"enable the Google Drive API in the project of the OAuth client"},
    {"activeItemCreationLimitExceeded", -EDQUOT, NULL},
    {"cannotDownloadAbusiveFile", -EACCES, "Google takes it for malware or spam"},
    {"cyclicParent", -EINVAL, NULL},
    {"dailyLimitExceeded", -EAGAIN, NULL},
    {"exportSizeLimitExceeded", -EFBIG,
	"Google exports at most 10 MB: another docsExport may be smaller, or export it in a browser"},
    {"fileNotDownloadable", -EOPNOTSUPP, NULL},
    {"numChildrenInNonRootLimitExceeded", -EDQUOT, "a folder holds at most 500,000 items"},
    {"quotaExceeded", -EAGAIN, NULL},
    {"rateLimitExceeded", -EAGAIN, NULL},
    {"sharingRateLimitExceeded", -EAGAIN, NULL},
    {"storageQuotaExceeded", -EDQUOT, NULL},
    {"teamDriveFileLimitExceeded", -EDQUOT, NULL},
    {"teamDriveHierarchyTooDeep", -E2BIG, NULL},
    {"userRateLimitExceeded", -EAGAIN, NULL},
};

static int
status_code(int status)
{
	switch (status) {
	case 400: return -EINVAL;
	case 401: return -EKEYEXPIRED;
	case 403: return -EACCES;
	case 404:
	case 410: return -ENOENT;
	case 408: return -ETIMEDOUT;
	case 409: return -EEXIST;
	case 412: return -ESTALE;
	case 413: return -EFBIG;
	case 429:
	case 503: return -EAGAIN;
	}
	if (status >= 300 && status < 400)
		return -EINVAL; /* it is not at this endpoint */
	return status >= 500 ? -EIO : -EPROTO;
}

int
gdrive_check(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	int code = status_code(res->status);
	const char *reason, *message, *hint = NULL;
	json_t *answer;

	if (res->status >= 200 && res->status < 300)
		return 0;
	answer = res->body.len == 0 ? NULL : json_loadb(res->body.data, res->body.len, 0, NULL);
	reason = file_text(
	    json_array_get(json_object_get(json_object_get(answer, "error"), "errors"), 0),
	    "reason");
	message = file_text(json_object_get(answer, "error"), "message");
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strcmp(reasons[i].reason, reason) == 0) {
			code = reasons[i].code;
			hint = reasons[i].hint;
		}
	}
	err_set(err, code, "cannot %s '%s': Google Drive says %d%s%s%s%s%s%s%s", object_doing(op),
	    op->path, res->status, *reason == '\0' ? "" : " ", reason, *message == '\0' ? "" : ": ",
	    message, hint == NULL ? "" : " (", hint == NULL ? "" : hint, hint == NULL ? "" : ")");
	json_decref(answer);
	return code;
}
