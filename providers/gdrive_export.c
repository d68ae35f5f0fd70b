#include "providers/gdrive_export.h"
#include "src/mem.h"
#include <string.h>

#define APPS  "application/vnd.google-apps."
#define OOXML "application/vnd.openxmlformats-officedocument."
#define OASIS "application/vnd.oasis.opendocument."

const char *const gdrive_exports_names[] = {"none", "office", "opendocument", "pdf", NULL};

#define PDF                                                                                        \
	{                                                                                          \
		".pdf", "application/pdf"                                                          \
	}
#define SVG                                                                                        \
	{                                                                                          \
		".svg", "image/svg+xml"                                                            \
	} /* neither family has a format of drawings that Drive exports */

/* "Export MIME types for Google Workspace documents".  What else is there (forms, sites, maps,
   shortcuts) has no format, or none that is the whole of it. */
static const struct {
	const char *type;
	struct gdrive_export as[GDRIVE_EXPORTS];
} documents[] = {
    {APPS "document",
	{[GDRIVE_EXPORTS_OFFICE] = {".docx", OOXML "wordprocessingml.document"},
	    [GDRIVE_EXPORTS_OPENDOCUMENT] = {".odt", OASIS "text"},
	    [GDRIVE_EXPORTS_PDF] = PDF}},
    {APPS "spreadsheet",
	{[GDRIVE_EXPORTS_OFFICE] = {".xlsx", OOXML "spreadsheetml.sheet"},
	    [GDRIVE_EXPORTS_OPENDOCUMENT] = {".ods", OASIS "spreadsheet"},
	    [GDRIVE_EXPORTS_PDF] = PDF}},
    {APPS "presentation",
	{[GDRIVE_EXPORTS_OFFICE] = {".pptx", OOXML "presentationml.presentation"},
	    [GDRIVE_EXPORTS_OPENDOCUMENT] = {".odp", OASIS "presentation"},
	    [GDRIVE_EXPORTS_PDF] = PDF}},
    {APPS "drawing",
	{[GDRIVE_EXPORTS_OFFICE] = SVG,
	    [GDRIVE_EXPORTS_OPENDOCUMENT] = SVG,
	    [GDRIVE_EXPORTS_PDF] = PDF}},
};

const struct gdrive_export *
gdrive_export_of(enum gdrive_exports exports, const char *type)
{
	for (size_t i = 0; exports != GDRIVE_EXPORTS_NONE && i < ARRAY_LEN(documents); i++) {
		if (strcmp(documents[i].type, type) == 0)
			return &documents[i].as[exports];
	}
	return NULL;
}

char *
gdrive_export_name(const struct gdrive_export *export, const char *shown)
{
	size_t len = strlen(shown), suffix = strlen(export->suffix);

	if (len <= suffix || strcmp(shown + len - suffix, export->suffix) != 0)
		return NULL;
	return xstrndup(shown, len - suffix);
}

/* No suffix of a setting ends in another: there is at most one name. */
char *
gdrive_export_guess(enum gdrive_exports exports, const char *shown)
{
	char *name = NULL;

	for (size_t i = 0;
	     exports != GDRIVE_EXPORTS_NONE && name == NULL && i < ARRAY_LEN(documents); i++)
		name = gdrive_export_name(&documents[i].as[exports], shown);
	return name;
}
