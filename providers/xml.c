#include "providers/xml.h"
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <pthread.h>
#include <string.h>

#define XML_CHUNK 65536 /* fed to the parser at a time: its lengths are ints */

struct walk {
	xmlParserCtxt *parser;
	xml_fn fn;
	void *arg;
	struct err *err;
	int code;
	char path[XML_PATH_MAX];
	size_t path_len;
	unsigned depth;
	bool leaf;
	struct buf text;
};

static void
walk_fail(struct walk *walk, const char *why)
{
	if (walk->code != 0)
		return;
	walk->code = err_set(walk->err, -EPROTO, "the answer's XML makes no sense: %s", why);
	xmlStopParser(walk->parser);
}

static void
walk_attribute(struct walk *walk, const xmlChar **attribute)
{
	size_t len = strlen((const char *)attribute[0]);

	if (walk->code != 0)
		return;
	if (walk->path_len + len + 2 > sizeof walk->path ||
	    !buf_add(&walk->text, attribute[3], (size_t)(attribute[4] - attribute[3]))) {
		walk_fail(walk, "an attribute in it is too long");
		return;
	}
	walk->path[walk->path_len] = '@';
	memcpy(walk->path + walk->path_len + 1, attribute[0], len + 1);
	walk->code = walk->fn(walk->arg, walk->path, buf_str(&walk->text), walk->err);
	walk->path[walk->path_len] = '\0';
	buf_reset(&walk->text);
	if (walk->code != 0)
		xmlStopParser(walk->parser);
}

/* An attribute: its local name, prefix, URI, and where its value begins and ends. */
#define ATTRIBUTE_WORDS 5

static void
walk_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
    int namespaces_len, const xmlChar **namespaces, int attributes_len, int defaulted_len,
    const xmlChar **attributes)
{
	struct walk *walk = arg;
	size_t len = strlen((const char *)name);

	if (walk->code != 0)
		return;
	if (walk->depth == XML_DEPTH_MAX || walk->path_len + len + 2 > sizeof walk->path) {
		walk_fail(walk, "its elements are nested too deep");
		return;
	}
	if (walk->depth++ > 0)
		walk->path[walk->path_len++] = '/';
	memcpy(walk->path + walk->path_len, name, len + 1);
	walk->path_len += len;
	walk->leaf = true;
	buf_reset(&walk->text);
	for (int i = 0; i < attributes_len; i++)
		walk_attribute(walk, attributes + ATTRIBUTE_WORDS * (size_t)i);
}

static void
walk_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct walk *walk = arg;
	size_t len = strlen((const char *)name);

	if (walk->code != 0)
		return;
	walk->code =
	    walk->fn(walk->arg, walk->path, walk->leaf ? buf_str(&walk->text) : "", walk->err);
	if (walk->code != 0) {
		xmlStopParser(walk->parser);
		return;
	}
	walk->path_len -= len + (walk->depth > 1);
	walk->path[walk->path_len] = '\0';
	walk->depth--;
	walk->leaf = false;
	buf_reset(&walk->text);
}

static void
walk_text(void *arg, const xmlChar *text, int len)
{
	struct walk *walk = arg;

	if (walk->code == 0 && !buf_add(&walk->text, text, (size_t)len))
		walk_fail(walk, "a text in it is too long");
}

static void
walk_doctype(void *arg, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	walk_fail(arg, "it has a document type, which no cloud sends");
}

static xmlEntity *
walk_entity(void *arg, const xmlChar *name)
{
	return xmlGetPredefinedEntity(name);
}

static void
walk_error(void *arg, const xmlError *error)
{
	struct walk *walk = arg;

	if (error != NULL && error->level >= XML_ERR_ERROR)
		walk_fail(walk, error->message == NULL ? "it is not well-formed" : error->message);
}

static void
walk_structured_error(void *arg, xmlErrorPtr error)
{
	walk_error(arg, error);
}

/* Of the input's encoding the library tells the standard error, not the parser's caller. */
static void
xml_say_nothing(void *context, const char *fmt, ...)
{
}

int
xml_walk(const void *data, size_t len, xml_fn fn, void *arg, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct walk walk = {.fn = fn, .arg = arg, .err = err, .text = BUF_INIT(XML_TEXT_MAX)};
	xmlSAXHandler sax = {
	    .initialized = XML_SAX2_MAGIC,
	    .startElementNs = walk_start,
	    .endElementNs = walk_end,
	    .characters = walk_text,
	    .cdataBlock = walk_text,
	    .internalSubset = walk_doctype,
	    .getEntity = walk_entity,
	    .serror = walk_structured_error,
	};

	pthread_once(&once, xmlInitParser);
	xmlSetGenericErrorFunc(NULL, xml_say_nothing); /* it is the thread's */
	walk.parser = xmlCreatePushParserCtxt(&sax, &walk, NULL, 0, NULL);
	if (walk.parser == NULL)
		return err_set(err, -ENOMEM, "no memory for an XML parser");
	xmlCtxtUseOptions(walk.parser, XML_PARSE_NONET);
	for (size_t at = 0; at < len && walk.code == 0; at += XML_CHUNK)
		xmlParseChunk(
		    walk.parser, (const char *)data + at, (int)MIN(len - at, (size_t)XML_CHUNK), 0);
	if (walk.code == 0)
		xmlParseChunk(walk.parser, "", 0, 1);
	if (walk.code == 0 && (!walk.parser->wellFormed || walk.depth != 0))
		walk_fail(&walk, "it is not well-formed");
	xmlFreeDoc(walk.parser->myDoc);
	walk.parser->myDoc = NULL;
	xmlFreeParserCtxt(walk.parser);
	buf_free(&walk.text);
	return walk.code;
}
