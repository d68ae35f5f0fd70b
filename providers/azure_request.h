/*
 * azure_request: requests to Azure Blob Storage: the headers that several operations share, and the
 * authorization.
 */
#pragma once
#include "providers/azure_account.h"

/* "Versioning for the Azure Storage services": the first that knows the tier Cold; all else that is
   used is older: blocks of 4,000 MiB (2019-12-12), Put Blob From URL (2020-04-08), lists whose
   names XML cannot hold (2021-02-12). */
#define AZURE_VERSION   "2021-12-02"
#define AZURE_QUERY_MAX 8

/* What is asked for, behind the '?'; names are added in their alphabetical order. */
struct azure_query {
	struct sharedkey_param params[AZURE_QUERY_MAX];
	size_t len;
};
void azure_query_add(struct azure_query *, const char *name, const char *value); /* borrowed */

/* Content type, modification time, mode, access tier: of whatever makes a blob. */
void azure_put_attributes(struct http_request *, const struct cloud_op *);
/* put.no_replace */
void azure_put_guard(struct http_request *, const struct cloud_op *);
/* The op's content as the body, and what it is checked with. */
void azure_put_body(struct http_request *, const struct cloud_op *);
/* Where a copy comes from, pinned, with the right to read it.  -ENOENT: nowhere; -EOPNOTSUPP: no
   service would take so long a URL. */
int azure_put_source(struct http_request *, const struct cloud_op *, struct err *);
/* LINK: op->link. */
enum cloud_step azure_link(struct cloud_op *, struct err *);

/* Finishes a request whose headers and body are filled in: URL, Host, time, authorization. */
int azure_finish(struct http_request *, const struct azure_account *, const struct azure_place *,
    const struct azure_query *, uint64_t now_ms, struct err *);
