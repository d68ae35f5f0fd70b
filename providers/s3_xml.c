#include "providers/s3_xml.h"
#include "providers/object.h"
#include "providers/xml.h"
#include "src/clock.h"
#include "src/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list_walk {
	struct s3_page *page;
	struct entry_list *keys; /* path: the key, as it came */
	struct entry entry; /* being filled */
	bool encoded, seen;
};

static void
list_add(struct list_walk *walk, enum entry_kind kind)
{
	walk->page->found++;
	walk->entry.kind = kind;
	if (walk->keys != NULL && walk->entry.path != NULL) {
		*entry_list_add(walk->keys) = walk->entry;
		entry_init(&walk->entry);
	}
	entry_fini(&walk->entry);
	entry_init(&walk->entry);
}

static int
list_contents(struct list_walk *walk, const char *field, const char *text, struct err *err)
{
	struct entry *entry = &walk->entry;
	int64_t mtime;

	if (*field == '\0') {
		list_add(walk, ENTRY_FILE);
	} else if (strcmp(field, "/Key") == 0) {
		xstrset(&entry->path, text);
	} else if (strcmp(field, "/Size") == 0) {
		entry->size = object_size(text);
		if (entry->size == UINT64_MAX)
			return err_set(err, -EPROTO, "the list has a size of '%.40s'", text);
	} else if (strcmp(field, "/ETag") == 0) {
		free(entry->version);
		entry->version = *text == '\0' ? NULL : object_version(text);
	} else if (strcmp(field, "/LastModified") == 0 && clock_parse_ns(&mtime, text) == 0) {
		entry->mtime_ns = mtime;
	}
	return 0;
}

static int
list_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char contents[] = "ListBucketResult/Contents";
	struct list_walk *walk = arg;
	struct s3_page *page = walk->page;

	if (strncmp(path, contents, sizeof contents - 1) == 0)
		return list_contents(walk, path + sizeof contents - 1, text, err);
	if (strcmp(path, "ListBucketResult/CommonPrefixes/Prefix") == 0)
		xstrset(&walk->entry.path, text);
	else if (strcmp(path, "ListBucketResult/CommonPrefixes") == 0)
		list_add(walk, ENTRY_DIRECTORY);
	else if (strcmp(path, "ListBucketResult/EncodingType") == 0)
		walk->encoded = strcmp(text, "url") == 0;
	else if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
		page->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		if (strlen(text) >= sizeof page->token)
			return err_set(err, -EPROTO, "the list's continuation token is too long");
		snprintf(page->token, sizeof page->token, "%s", text);
	} else if (strcmp(path, "ListBucketResult") == 0) {
		walk->seen = true;
	}
	return 0;
}

bool
s3_xml_key(char *key)
{
	for (char *c = key; *c != '\0'; c++) {
		if (*c == '+')
			*c = ' '; /* S3 encodes as forms do; a plus comes as %2B */
	}
	return uri_decode(key) == strlen(key);
}

int
s3_xml_list(struct s3_page *out, struct entry_list *into, const struct listing_dir *dir,
    const void *data, size_t len, struct err *err)
{
	struct entry_list keys = {.items = NULL};
	struct list_walk walk = {.page = out, .keys = &keys};
	int code;

	*out = (struct s3_page){.found = 0};
	entry_init(&walk.entry);
	code = xml_walk(data, len, list_element, &walk, err);
	entry_fini(&walk.entry);
	if (code == 0 && !walk.seen)
		code = err_set(err, -EPROTO, "the answer is not a list of objects");
	if (code == 0 && out->truncated && out->token[0] == '\0')
		code = err_set(err, -EPROTO, "the list says that it goes on, and not where");
	for (size_t i = 0; code == 0 && i < keys.len; i++) {
		struct entry *entry = &keys.items[i];

		if (walk.encoded && !s3_xml_key(entry->path)) {
			if (into != NULL)
				into->hidden++; /* it has a NUL */
			continue;
		}
		listing_take(into, entry, &out->marker, dir, NULL);
	}
	entry_list_fini(&keys);
	return code;
}

struct buckets_walk {
	struct entry_list *into;
	char *name;
	int64_t created_ns;
	bool seen;
};

static int
buckets_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct buckets_walk *walk = arg;
	struct entry *entry;
	uint64_t ms;

	if (strcmp(path, "ListAllMyBucketsResult/Buckets/Bucket/Name") == 0) {
		xstrset(&walk->name, text);
	} else if (strcmp(path, "ListAllMyBucketsResult/Buckets/Bucket/CreationDate") == 0) {
		walk->created_ns =
		    clock_parse(&ms, text) == 0 ? (int64_t)ms * 1000000 : ENTRY_NO_TIME;
	} else if (strcmp(path, "ListAllMyBucketsResult/Buckets/Bucket") == 0) {
		if (walk->name != NULL && *walk->name != '\0' && strchr(walk->name, '/') == NULL &&
		    path_is_canonical(walk->name)) {
			entry = entry_list_add(walk->into);
			entry->kind = ENTRY_DIRECTORY;
			entry->path = TAKE(walk->name);
			entry->mtime_ns = walk->created_ns;
		}
		walk->created_ns = ENTRY_NO_TIME;
	} else if (strcmp(path, "ListAllMyBucketsResult") == 0) {
		walk->seen = true;
	}
	return 0;
}

int
s3_xml_buckets(struct entry_list *into, const void *data, size_t len, struct err *err)
{
	struct entry_list found = {.items = NULL};
	struct buckets_walk walk = {.into = &found, .created_ns = ENTRY_NO_TIME};
	int code = xml_walk(data, len, buckets_element, &walk, err);

	free(walk.name);
	if (code == 0 && !walk.seen)
		code = err_set(err, -EPROTO, "the answer is not a list of buckets");
	if (code == 0)
		entry_list_move(into, &found);
	entry_list_fini(&found);
	return code;
}

int
s3_xml_walk(const void *data, size_t len, xml_fn fn, void *arg, struct err *err)
{
	const char *at = data;

	while (len > 0 && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
		at++;
		len--;
	}
	return xml_walk(at, len, fn, arg, err);
}

static int
error_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct s3_error *error = arg;

	if (strcmp(path, "Error/Code") == 0)
		snprintf(error->code, sizeof error->code, "%s", text);
	else if (strcmp(path, "Error/Message") == 0)
		snprintf(error->message, sizeof error->message, "%s", text);
	else if (strcmp(path, "Error/Region") == 0)
		snprintf(error->region, sizeof error->region, "%s", text);
	else if (strcmp(path, "Error/Condition") == 0)
		snprintf(error->condition, sizeof error->condition, "%s", text);
	return 0;
}

void
s3_xml_error(struct s3_error *out, const void *data, size_t len)
{
	*out = (struct s3_error){.code = ""};
	if (len > 0 && s3_xml_walk(data, len, error_element, out, NULL) != 0)
		*out = (struct s3_error){.code = ""};
}
