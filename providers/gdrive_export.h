/*
 * gdrive_export: documents of Google's editors, which have no bytes, as files: Drive makes those
 * when they are read.  As what is a setting of the account; the format's suffix is added to the
 * document's name.
 */
#pragma once
#include <stdbool.h>

enum gdrive_exports {
	GDRIVE_EXPORTS_NONE, /* they are not shown */
	GDRIVE_EXPORTS_OFFICE,
	GDRIVE_EXPORTS_OPENDOCUMENT,
	GDRIVE_EXPORTS_PDF,
	GDRIVE_EXPORTS
};
extern const char *const gdrive_exports_names[]; /* as the setting has them; ended by NULL */

struct gdrive_export {
	const char *suffix; /* ".docx" */
	const char *type; /* what it is asked for by */
};

/* What a file of this type is exported as; NULL: it is not. */
const struct gdrive_export *gdrive_export_of(enum gdrive_exports, const char *type);
/* The name of the document that is shown so, without the suffix; caller frees.  NULL: none is. */
char *gdrive_export_name(const struct gdrive_export *, const char *shown);
/* The same if its type is not known. */
char *gdrive_export_guess(enum gdrive_exports, const char *shown);
