/* S3's answers about copies and uploads in parts. */
#include "providers/object.h"
#include "providers/s3_xml.h"
#include "providers/xml.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
take_text(char *out, size_t size, const char *text, const char *what, struct err *err)
{
	if (strlen(text) >= size)
		return err_set(err, -EPROTO, "the answer's %s is too long", what);
	snprintf(out, size, "%s", text);
	return 0;
}

/* An etag goes back in XML and in headers: only what etags are made of. */
static int
take_etag(char out[CLOUD_TAG_MAX], const char *text, struct err *err)
{
	CLEANUP(cleanup_free) char *tag = object_version(text);

	for (const char *c = tag; *c != '\0'; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f ||
		    strchr("<>&\"'", *c) != NULL)
			return err_set(err, -EPROTO, "the answer has an etag of '%.40s'", text);
	}
	return take_text(out, CLOUD_TAG_MAX, tag, "etag", err);
}

int
s3_take_tag(char out[CLOUD_TAG_MAX], const char *etag, struct err *err)
{
	return take_etag(out, etag, err);
}

static int
result_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct s3_result *result = arg;
	const char *field = strchr(path, '/');

	if (field == NULL)
		return take_text(result->name, sizeof result->name, path, "name", err);
	if (strcmp(field, "/ETag") == 0)
		return take_etag(result->etag, text, err);
	if (strcmp(field, "/UploadId") == 0)
		return take_text(result->upload, sizeof result->upload, text, "upload id", err);
	if (strcmp(field, "/ChecksumCRC32C") == 0)
		return take_text(result->crc32c, sizeof result->crc32c, text, "checksum", err);
	return 0;
}

int
s3_xml_result(
    struct s3_result *out, const char *name, const void *data, size_t len, struct err *err)
{
	int code;

	*out = (struct s3_result){.etag = ""};
	code = s3_xml_walk(data, len, result_element, out, err);
	if (code == 0 && strcmp(out->name, name) != 0)
		code = err_set(err, -EPROTO, "the answer is no %s", name);
	return code;
}

struct parts_walk {
	struct s3_page *page;
	struct upload_parts *into;
	struct upload_part part; /* being filled */
	bool seen;
};

static int
parts_add(struct parts_walk *walk, struct err *err)
{
	unsigned last = walk->into->len == 0 ? 0 : walk->into->items[walk->into->len - 1].number;

	if (walk->part.number <= last || walk->part.tag[0] == '\0')
		return err_set(err, -EPROTO, "the list of parts makes no sense");
	*upload_parts_add(walk->into) = walk->part;
	walk->part = (struct upload_part){.number = 0};
	walk->page->found++;
	return 0;
}

static int
parts_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char part[] = "ListPartsResult/Part";
	struct parts_walk *walk = arg;
	unsigned char crc[4];
	uint64_t number;

	if (strcmp(path, part) == 0)
		return parts_add(walk, err);
	if (strcmp(path, "ListPartsResult") == 0)
		walk->seen = true;
	else if (strcmp(path, "ListPartsResult/IsTruncated") == 0)
		walk->page->truncated = strcmp(text, "true") == 0;
	if (strncmp(path, part, sizeof part - 1) != 0)
		return 0;
	path += sizeof part - 1;
	if (strcmp(path, "/PartNumber") == 0) {
		number = object_size(text);
		walk->part.number = number <= S3_PARTS_MAX ? (unsigned)number : 0;
	} else if (strcmp(path, "/Size") == 0) {
		walk->part.length = object_size(text);
		if (walk->part.length == UINT64_MAX)
			return err_set(err, -EPROTO, "a part has a size of '%.40s'", text);
	} else if (strcmp(path, "/ETag") == 0) {
		return take_etag(walk->part.tag, text, err);
	} else if (strcmp(path, "/ChecksumCRC32C") == 0 &&
	    base64_decode(crc, sizeof crc, text) == (int)sizeof crc) {
		walk->part.has_crc32c = true;
		walk->part.crc32c = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
		    (uint32_t)crc[2] << 8 | crc[3];
	}
	return 0;
}

int
s3_xml_parts(
    struct s3_page *out, struct upload_parts *into, const void *data, size_t len, struct err *err)
{
	struct parts_walk walk = {.page = out, .into = into};
	int code;

	*out = (struct s3_page){.found = 0};
	code = s3_xml_walk(data, len, parts_element, &walk, err);
	if (code == 0 && !walk.seen)
		code = err_set(err, -EPROTO, "the answer is not a list of parts");
	if (code == 0 && out->truncated && out->found == 0)
		code = err_set(err, -EPROTO, "the list says that it goes on, and not where");
	return code;
}

struct uploads_walk {
	struct s3_uploads *page;
	char *name, *id; /* being filled */
	char *last_key, *last_id;
	bool encoded, told, seen; /* told: the answer says it itself, and then of the marker too */
};

/* Keys are decoded at the end: the encoding is told anywhere. */
static void
uploads_add(struct uploads_walk *walk)
{
	struct s3_uploads *page = walk->page;

	if (walk->name != NULL && walk->id != NULL && *walk->id != '\0' &&
	    strlen(walk->id) < S3_UPLOAD_MAX && page->len < CLOUD_UPLOADS_MAX) {
		page->keys[page->len] = TAKE(walk->name);
		page->ids[page->len++] = TAKE(walk->id);
	}
	free(TAKE(walk->name));
	free(TAKE(walk->id));
}

static int
uploads_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char root[] = "ListMultipartUploadsResult";
	struct uploads_walk *walk = arg;

	if (strncmp(path, root, sizeof root - 1) != 0)
		return 0;
	path += sizeof root - 1;
	if (*path == '\0')
		walk->seen = true;
	else if (strcmp(path, "/EncodingType") == 0)
		walk->encoded |= walk->told = strcmp(text, "url") == 0;
	else if (strcmp(path, "/IsTruncated") == 0)
		walk->page->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "/NextKeyMarker") == 0)
		xstrset(&walk->last_key, text);
	else if (strcmp(path, "/NextUploadIdMarker") == 0)
		xstrset(&walk->last_id, text);
	else if (strcmp(path, "/Upload/Key") == 0)
		xstrset(&walk->name, text);
	else if (strcmp(path, "/Upload/UploadId") == 0)
		xstrset(&walk->id, text);
	else if (strcmp(path, "/Upload") == 0)
		uploads_add(walk);
	return 0;
}

/* Keeps those of the key; the others were only on the way. */
static void
uploads_keep(struct s3_uploads *page, const char *key, bool encoded)
{
	size_t kept = 0;

	for (size_t i = 0; i < page->len; i++) {
		bool good = !encoded || s3_xml_key(page->keys[i]);

		if (good && strcmp(page->keys[i], key) == 0)
			page->ids[kept++] = page->ids[i];
		else
			free(page->ids[i]);
		free(page->keys[i]);
	}
	page->len = kept;
}

static int
uploads_marker(struct s3_uploads *page, struct uploads_walk *walk, struct err *err)
{
	if (!page->truncated)
		return 0;
	if (walk->last_key == NULL || *walk->last_key == '\0' ||
	    (walk->told && !s3_xml_key(walk->last_key)))
		return err_set(err, -EPROTO, "the list says that it goes on, and not where");
	if (take_text(page->key_marker, sizeof page->key_marker, walk->last_key, "key", err) != 0)
		return -EPROTO;
	return take_text(page->id_marker, sizeof page->id_marker,
	    walk->last_id == NULL ? "" : walk->last_id, "upload id", err);
}

int
s3_xml_uploads(struct s3_uploads *out, const char *key, bool encoded, const void *data, size_t len,
    struct err *err)
{
	struct uploads_walk walk = {.page = out, .encoded = encoded};
	int code;

	*out = (struct s3_uploads){.len = 0};
	code = s3_xml_walk(data, len, uploads_element, &walk, err);
	if (code == 0 && !walk.seen)
		code = err_set(err, -EPROTO, "the answer is not a list of uploads");
	uploads_keep(out, key, walk.encoded);
	if (code == 0)
		code = uploads_marker(out, &walk, err);
	if (code != 0)
		s3_uploads_fini(out);
	free(walk.name);
	free(walk.id);
	free(walk.last_key);
	free(walk.last_id);
	return code;
}

void
s3_uploads_fini(struct s3_uploads *page)
{
	for (size_t i = 0; i < page->len; i++)
		free(page->ids[i]);
	page->len = 0;
}
