/*
 * xml: what a cloud answers in XML, walked element by element.  The answer may be hostile: a
 * document type (and with it every entity but the five of XML itself) is refused, nothing is ever
 * fetched, and depth and text are bounded.  No tree is built.
 */
#pragma once
#include "src/buf.h"
#include "src/err.h"

#define XML_DEPTH_MAX 16
#define XML_PATH_MAX  16384 /* Azure has metadata as elements: names of up to 8 KiB */
#define XML_TEXT_MAX  65536 /* of one element */

/* Called at the end of each element: path is the local names from the root, joined by '/'
   ("ListBucketResult/Contents/Key"); text is a leaf's text, "" for an element with children.
   Before that, once for each of its attributes: "PATH@NAME", and the value.
   A result other than 0 (with err set) ends the walk. */
typedef int (*xml_fn)(void *arg, const char *path, const char *text, struct err *);

/* 0, -EPROTO (not well-formed, truncated, hostile, too deep), or what fn returned. */
int xml_walk(const void *data, size_t len, xml_fn, void *arg, struct err *);
