/*
 * azure_xml: Azure's answers in XML (List Blobs, List Containers, Get Block List, Error) made into
 * entries, parts and words.
 */
#pragma once
#include "providers/listing.h"
#include "src/cloud.h"

#define AZURE_MARKER_MAX 4608 /* NextMarker, opaque: today a name (3 KiB in UTF-8) in base64 */

struct azure_page {
	size_t found; /* blobs and prefixes of this page, shown or not */
	bool marker; /* the directory's own marker, "dir/", is among them */
	char next[AZURE_MARKER_MAX]; /* of the next page; "": there is none */
};

/*
 * A page of List Blobs with delimiter '/' and metadata: appends what lies in `dir`.  What no
 * path can express is left out (listing.h), and so is what azure_is_name() refuses.  A blob that
 * says of itself that it is a directory is one.  `into` may be NULL: only counted.
 */
int azure_xml_list(struct azure_page *out, struct entry_list *into, const struct listing_dir *dir,
    const void *data, size_t len, struct err *);
int azure_xml_containers(
    struct azure_page *out, struct entry_list *into, const void *data, size_t len, struct err *);

struct azure_error {
	char code[64];
	char message[256]; /* its first line */
	char detail[256]; /* of a refused authorization */
};
/* Never fails: all are "" when the body is no error document. */
void azure_xml_error(struct azure_error *out, const void *data, size_t len);

/* Is there a directory marker in the metadata?  name: without "x-ms-meta-". */
bool azure_is_folder_mark(const char *name, const char *value);

/* A block of a blob's list, in its order; name: as the blob has it, in base64. */
typedef int (*azure_block_fn)(
    void *arg, bool committed, const char *name, uint64_t size, struct err *);
int azure_xml_blocks(azure_block_fn, void *arg, const void *data, size_t len, struct err *);
