/*
 * gcs_account: an account of Google Cloud Storage: its fields, what they make of it, and where its
 * objects are.
 */
#pragma once
#include "providers/endpoint.h"
#include "providers/oauth.h"
#include "providers/resumable.h"

#define GCS_BUCKET_MAX 222 /* "Bucket naming guidelines": with dots; a label has 63 */
#define GCS_KEY_MAX    1024 /* bytes of an object's name */

enum gcs_uploads { /* in the order of the field's values */
	GCS_UPLOADS_UNKNOWN, /* the first one will tell */
	GCS_UPLOADS_PARTS,
	GCS_UPLOADS_SESSIONS,
};

struct gcs_account {
	struct oauth oauth; /* first: providers/oauth.h; no token_url: anonymous */
	struct endpoint endpoint;
	char *service; /* host and base, one for all the names the service is known to have */
	char *bucket; /* NULL: the first component of a path is the bucket */
	char *project; /* whose buckets the top lists; or NULL */
	char *storage_class; /* of new objects, or NULL */
	char *ca; /* or NULL */
	enum gcs_uploads uploads; /* how large objects are written */
	struct resumable_sessions sessions;
};

extern const struct oauth_service gcs_oauth;
extern const struct cloud_field gcs_fields[];
int gcs_open(struct account *, const json_t *credentials, struct err *);
void gcs_close(struct account *);

static inline const struct gcs_account *
gcs_account(const struct cloud_op *op)
{
	return op->account->data;
}

/* Where a path is: bucket "" is the top of an account without a bucket, key "" is a bucket. */
struct gcs_place {
	char bucket[GCS_BUCKET_MAX + 1];
	const char *key; /* inside the path */
};
/* False if the first component cannot be a bucket's name. */
bool gcs_locate(struct gcs_place *out, const struct gcs_account *, const char *path);
/* Can an object have such a name?  "Object name requirements": no line ends, and "." and ".." are
   none; neither is what servers of certificates are asked for. */
bool gcs_is_name(const char *key);
