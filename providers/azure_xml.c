#include "providers/azure_xml.h"
#include "providers/azure_account.h"
#include "providers/listing.h"
#include "providers/object.h"
#include "providers/xml.h"
#include "src/clock.h"
#include "src/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct list_walk {
	struct azure_page *page;
	struct entry_list *keys; /* path: the name, as it came */
	struct entry entry; /* being filled */
	int64_t modified_ns;
	bool encoded, folder;
};

bool
azure_is_folder_mark(const char *name, const char *value)
{
	return strcasecmp(name, "hdi_isfolder") == 0 && strcasecmp(value, "true") == 0;
}

static void
list_begin(struct list_walk *walk)
{
	entry_fini(&walk->entry);
	entry_init(&walk->entry);
	walk->modified_ns = ENTRY_NO_TIME;
	walk->encoded = walk->folder = false;
}

/* XML cannot hold U+FFFE and U+FFFF: names that have them come percent-encoded, and say so. */
static void
list_add(struct list_walk *walk, enum entry_kind kind)
{
	struct entry *entry = &walk->entry;
	bool known = entry->path != NULL &&
	    (!walk->encoded || uri_decode(entry->path) == strlen(entry->path));

	walk->page->found++;
	if (known) {
		if (entry->mtime_ns == ENTRY_NO_TIME)
			entry->mtime_ns = walk->modified_ns;
		entry->kind = kind;
		if (kind == ENTRY_DIRECTORY) {
			entry->size = 0;
			free(TAKE(entry->version));
			free(TAKE(entry->content_type));
			entry->digests.have = 0;
		}
		*entry_list_add(walk->keys) = *entry;
		entry_init(entry);
	}
	list_begin(walk);
}

static int
list_property(struct list_walk *walk, const char *name, const char *text, struct err *err)
{
	struct entry *entry = &walk->entry;
	unsigned char md5[16];

	if (strcmp(name, "Content-Length") == 0) {
		entry->size = object_size(text);
		if (entry->size == UINT64_MAX)
			return err_set(err, -EPROTO, "the list has a size of '%.40s'", text);
	} else if (strcmp(name, "Etag") == 0) {
		free(entry->version);
		entry->version = *text == '\0' ? NULL : object_version(text);
	} else if (strcmp(name, "Content-Type") == 0) {
		xstrset(&entry->content_type, *text == '\0' ? NULL : text);
	} else if (strcmp(name, "Last-Modified") == 0) {
		walk->modified_ns = object_date(text);
	} else if (strcmp(name, "Content-MD5") == 0) {
		if (base64_decode(md5, sizeof md5, text) == (int)sizeof md5)
			digests_set(&entry->digests, HASH_MD5, md5);
	} else if (strcmp(name, "ResourceType") == 0) { /* of a hierarchical namespace */
		walk->folder |= strcmp(text, "directory") == 0;
	}
	return 0;
}

static int
list_blob(struct list_walk *walk, const char *field, const char *text, struct err *err)
{
	static const char property[] = "/Properties/", metadata[] = "/Metadata/";
	struct entry *entry = &walk->entry;

	if (*field == '\0')
		list_add(walk, walk->folder ? ENTRY_DIRECTORY : ENTRY_FILE);
	else if (strcmp(field, "/Name") == 0)
		xstrset(&entry->path, text);
	else if (strcmp(field, "/Name@Encoded") == 0)
		walk->encoded = strcmp(text, "true") == 0;
	else if (strncmp(field, property, sizeof property - 1) == 0)
		return list_property(walk, field + sizeof property - 1, text, err);
	else if (strncmp(field, metadata, sizeof metadata - 1) == 0) {
		field += sizeof metadata - 1;
		walk->folder |= azure_is_folder_mark(field, text);
		if (strcasecmp(field, "mtime") == 0)
			clock_parse_ns(&entry->mtime_ns, text);
		else if (strcasecmp(field, "mode") == 0)
			entry->mode = object_mode(text);
	}
	return 0;
}

/* The next page, said alike by all lists. */
static int
take_next(struct azure_page *page, const char *text, struct err *err)
{
	if (strlen(text) >= sizeof page->next)
		return err_set(err, -EPROTO, "the list's marker is too long");
	snprintf(page->next, sizeof page->next, "%s", text);
	return 0;
}

static int
list_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char root[] = "EnumerationResults/", blob[] = "Blobs/Blob",
			  prefix[] = "Blobs/BlobPrefix";
	struct list_walk *walk = arg;

	if (strncmp(path, root, sizeof root - 1) != 0)
		return 0;
	path += sizeof root - 1;
	if (strcmp(path, "NextMarker") == 0)
		return take_next(walk->page, text, err);
	if (strcmp(path, prefix) == 0)
		list_add(walk, ENTRY_DIRECTORY);
	else if (strcmp(path, "Blobs/BlobPrefix/Name") == 0)
		xstrset(&walk->entry.path, text);
	else if (strcmp(path, "Blobs/BlobPrefix/Name@Encoded") == 0)
		walk->encoded = strcmp(text, "true") == 0;
	else if (strncmp(path, blob, sizeof blob - 1) == 0 &&
	    (path[sizeof blob - 1] == '/' || path[sizeof blob - 1] == '\0'))
		return list_blob(walk, path + sizeof blob - 1, text, err);
	return 0;
}

/* The root has attributes and an end; whatever else there is must be in it. */
struct root_walk {
	xml_fn fn;
	void *arg;
	const char *name;
	bool seen;
};

static int
root_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct root_walk *walk = arg;

	walk->seen |= strcmp(path, walk->name) == 0;
	return walk->fn(walk->arg, path, text, err);
}

/* -EPROTO unless it is a document of that name. */
static int
walk_document(const char *name, xml_fn fn, void *arg, const void *data, size_t len, struct err *err)
{
	struct root_walk walk = {.fn = fn, .arg = arg, .name = name};
	int code = xml_walk(data, len, root_element, &walk, err);

	if (code == 0 && !walk.seen)
		code = err_set(err, -EPROTO, "the answer is no %s", name);
	return code;
}

int
azure_xml_list(struct azure_page *out, struct entry_list *into, const struct listing_dir *dir,
    const void *data, size_t len, struct err *err)
{
	struct entry_list keys = {.items = NULL};
	struct list_walk walk = {.page = out, .keys = &keys};
	int code;

	*out = (struct azure_page){.found = 0};
	entry_init(&walk.entry);
	list_begin(&walk);
	code = walk_document("EnumerationResults", list_element, &walk, data, len, err);
	entry_fini(&walk.entry);
	for (size_t i = 0; code == 0 && i < keys.len; i++)
		listing_take(into, &keys.items[i], &out->marker, dir, azure_is_name);
	entry_list_fini(&keys);
	return code;
}

struct containers_walk {
	struct azure_page *page;
	struct entry_list *into;
	char *name;
	int64_t modified_ns;
};

static int
containers_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char container[] = "EnumerationResults/Containers/Container";
	struct containers_walk *walk = arg;
	struct entry *entry;

	if (strcmp(path, "EnumerationResults/NextMarker") == 0)
		return take_next(walk->page, text, err);
	if (strncmp(path, container, sizeof container - 1) != 0)
		return 0;
	path += sizeof container - 1;
	if (strcmp(path, "/Name") == 0) {
		xstrset(&walk->name, text);
	} else if (strcmp(path, "/Properties/Last-Modified") == 0) {
		walk->modified_ns = object_date(text);
	} else if (*path == '\0') {
		walk->page->found++;
		if (walk->into != NULL && walk->name != NULL && *walk->name != '\0' &&
		    strchr(walk->name, '/') == NULL && path_is_canonical(walk->name)) {
			entry = entry_list_add(walk->into);
			entry->kind = ENTRY_DIRECTORY;
			entry->path = TAKE(walk->name);
			entry->mtime_ns = walk->modified_ns;
		}
		walk->modified_ns = ENTRY_NO_TIME;
	}
	return 0;
}

int
azure_xml_containers(
    struct azure_page *out, struct entry_list *into, const void *data, size_t len, struct err *err)
{
	struct entry_list found = {.items = NULL};
	struct containers_walk walk = {
	    .page = out, .into = into != NULL ? &found : NULL, .modified_ns = ENTRY_NO_TIME};
	int code;

	*out = (struct azure_page){.found = 0};
	code = walk_document("EnumerationResults", containers_element, &walk, data, len, err);
	free(walk.name);
	if (code == 0 && into != NULL)
		entry_list_move(into, &found);
	entry_list_fini(&found);
	return code;
}

static int
error_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct azure_error *error = arg;

	if (strcmp(path, "Error/Code") == 0)
		snprintf(error->code, sizeof error->code, "%s", text);
	else if (strcmp(path, "Error/Message") == 0) /* then come lines with ids and the time */
		snprintf(error->message, sizeof error->message, "%.*s", (int)strcspn(text, "\r\n"),
		    text);
	else if (strcmp(path, "Error/AuthenticationErrorDetail") == 0)
		snprintf(error->detail, sizeof error->detail, "%s", text);
	return 0;
}

void
azure_xml_error(struct azure_error *out, const void *data, size_t len)
{
	*out = (struct azure_error){.code = ""};
	if (len > 0 && xml_walk(data, len, error_element, out, NULL) != 0)
		*out = (struct azure_error){.code = ""};
}

struct blocks_walk {
	azure_block_fn fn;
	void *arg;
	char *name;
	uint64_t size;
};

static int
blocks_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char committed[] = "BlockList/CommittedBlocks/Block",
			  uncommitted[] = "BlockList/UncommittedBlocks/Block";
	struct blocks_walk *walk = arg;
	bool is_committed = strncmp(path, committed, sizeof committed - 1) == 0;

	if (!is_committed && strncmp(path, uncommitted, sizeof uncommitted - 1) != 0)
		return 0;
	path += is_committed ? sizeof committed - 1 : sizeof uncommitted - 1;
	if (strcmp(path, "/Name") == 0) {
		xstrset(&walk->name, text);
	} else if (strcmp(path, "/Size") == 0) {
		walk->size = object_size(text);
	} else if (*path == '\0') {
		if (walk->name == NULL || walk->size == UINT64_MAX)
			return err_set(err, -EPROTO, "the list of blocks makes no sense");
		return walk->fn(walk->arg, is_committed, walk->name, walk->size, err);
	}
	return 0;
}

int
azure_xml_blocks(azure_block_fn fn, void *arg, const void *data, size_t len, struct err *err)
{
	struct blocks_walk walk = {.fn = fn, .arg = arg, .size = UINT64_MAX};
	int code = walk_document("BlockList", blocks_element, &walk, data, len, err);

	free(walk.name);
	return code;
}
