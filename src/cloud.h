/*
 * cloud: the driver contract, and the runner that carries a driver's op to its end.
 *
 * A driver does no I/O: for an op it says which request to send next (`request`), what to do with
 * the answer's body once its head is there (`head`), and what the answer meant (`response`).  The
 * runner sends it (HTTP, or disk operations for directories), streams bodies, retries, limits
 * rates.  Time and randomness reach the driver as fields of the op.
 *
 * An upload is a large file written in parts.  BEGIN gives it an id, PARTs are written (or copied
 * natively: COPY_PART) in any order and several at once (limits.in_order: one behind the other),
 * COMMIT makes the file, whole and atomic.
 * The id and the parts' tags are all there is to know of it: they belong to the caller, who keeps
 * them across restarts.  A driver without uploads (limits.part_max 0) never sees these ops.  To
 * some clouds an upload is nothing but its parts: then BEGIN leaves nothing that FIND could tell,
 * STATUS of an unknown one has no parts, and ABORT leaves parts that vanish by themselves.
 *
 * A runner belongs to one loop, and so do its accounts and ops.
 */
#pragma once
#include "src/bucket.h"
#include "src/disk.h"
#include "src/entry.h"
#include "src/http.h"
#include "src/throttle.h"

struct cloud_op;
struct account;
struct oauth_service;

enum cloud_op_kind {
	CLOUD_LIST, /* path: one directory level, op->list gets its entries: all, or with op->max
		       those that come first behind op->after */
	CLOUD_STAT, /* path -> op->entry; a directory is found too; -ENOENT */
	CLOUD_READ, /* path, offset, length, version -> sink; op->entry: what the answer says of the
		       whole */
	CLOUD_PUT, /* source, length -> path, whole and atomic; attributes in op->put -> op->entry
		    */
	CLOUD_COPY, /* path2's account `from`: from->path -> path natively -> op->entry; or from
		       op->link, which the destination's cloud reads itself: then
		       op->version is an ETag */
	CLOUD_MOVE, /* path -> path2 within the account, file or directory, natively */
	CLOUD_REMOVE, /* a file; version: only if it is still that (-ESTALE); -ENOENT if it is gone
		       */
	CLOUD_RMDIR, /* an empty directory; -ENOTEMPTY */
	CLOUD_MKDIR,
	CLOUD_SETATTR, /* op->put's mtime_ns, mode */
	CLOUD_USAGE, /* -> op->usage */
	CLOUD_LINK, /* path, version -> op->link: a URL whose GET gives the file, and ranges of it,
		       to whoever has it, for CLOUD_LINK_S */
	CLOUD_SWEEP, /* removes what an unfinished PUT or COPY of op->put.temp_id to path left, but
			nothing of op->upload (NULL: none); never fails -ENOENT */
	CLOUD_UPLOAD_BEGIN, /* path, length: of the whole; part.length: of all parts but the last;
			       attributes in op->put, the same as in COMMIT -> op->upload.  With
			       op->link: see CLOUD_PULLS_WHOLE */
	CLOUD_UPLOAD_PART, /* source, offset in the whole, length -> op->part of op->upload;
			      op->entry: its digests as the cloud has them, tag in op->part */
	CLOUD_COPY_PART, /* as UPLOAD_PART; content: path2 of `from`, or op->link, offset, length,
			    version */
	CLOUD_UPLOAD_STATUS, /* op->upload -> op->parts: what the cloud has; -ENOENT: it knows no
				such upload */
	CLOUD_UPLOAD_COMMIT, /* op->upload of op->parts -> op->entry; length: of the whole; -ENOENT
				as above; -EINVAL: a part is not there, not that, or too small;
				put.no_replace: -EEXIST, and the upload stays */
	CLOUD_UPLOAD_ABORT, /* op->upload; never fails -ENOENT */
	CLOUD_UPLOAD_FIND, /* path -> op->uploads: ids of the uploads to it that are under way,
			      whoever began them, at most CLOUD_UPLOADS_MAX */
	CLOUD_CHANGES, /* op->cursor (NULL: from now on) -> op->cursor, and op->changed: what has
			  changed since, whoever did it.  With op->may_wait a driver that can waits
			  for a change */
	CLOUD_OP_KINDS
};

enum cloud_feature {
	CLOUD_CAN_COPY = 1 << 0, /* native copy within the driver (subject to .copies_from) */
	CLOUD_CAN_MOVE = 1 << 1, /* native rename of files */
	CLOUD_CAN_MOVE_DIR = 1 << 2,
	CLOUD_HAS_DIRECTORIES = 1 << 3, /* real ones; else prefixes with markers */
	CLOUD_KEEPS_MTIME = 1 << 4, /* PUT stores op->put.mtime_ns exactly enough to compare */
	CLOUD_KEEPS_MODE = 1 << 5,
	CLOUD_CAN_SETATTR = 1 << 6, /* without rewriting the content */
	CLOUD_TEST_ONLY = 1 << 7, /* not offered to users */
	CLOUD_CHECKS_PUT =
	    1 << 8, /* PUT: the cloud refuses content that is not what put.digests says */
	CLOUD_CAN_LINK = 1 << 9,
	CLOUD_CAN_PULL = 1 << 10, /* COPY and COPY_PART from a link */
	CLOUD_UPLOADS_UNTOLD =
	    1 << 11, /* an upload cannot be asked for its parts: STATUS tells only whether it is
		       there, and parts that were answered for are there.  The cloud says nothing of
		       their content either: if it tells hashes of files at all, the caller makes
		       the SHA-256 of what it sent their tag, in hex.  The part with
		       the end of the file is sent when all others are there
		       */
	CLOUD_VERSIONS_UNIQUE = 1 << 12, /* no two objects ever have one version */
	CLOUD_KEEPS_METADATA = 1 << 13, /* put.metadata, as far as it has room for it */
	CLOUD_HAS_UNSIZED = 1 << 18, /* entries may be unsized (entry.h) */
	CLOUD_HAS_KEYS = 1 << 14, /* a path is the beginning of keys: op->hidden, and the path of a
				     STAT, READ, REMOVE or LINK, and path2 of a copy, may be any key
				     (path_is_key()) */
	CLOUD_PULLS_WHOLE = 1 << 15, /* a link is read as a whole: BEGIN of an upload of one part
					begins that, its COPY_PART ends when it has ended, and COPY
					is not for links */
	CLOUD_PULLS_TIMELESS = 1 << 16, /* what is pulled has the time when it was, and no other */
	CLOUD_HAS_CHANGES = 1 << 17, /* else it never sees CLOUD_CHANGES */
};

enum cloud_step {
	CLOUD_STEP_SEND, /* request: it is filled in */
	CLOUD_STEP_NEXT, /* response: ask `request` for the next one */
	CLOUD_STEP_WAIT, /* response: the same, op->wait_ms later; the driver says when it has been
			    enough */
	CLOUD_STEP_STREAM, /* head: the body is content, into the sink */
	CLOUD_STEP_COLLECT, /* head: collect the body (CLOUD_COLLECT_MAX), then `response` */
	CLOUD_STEP_DONE, /* the op is complete */
	CLOUD_STEP_RETRY, /* err set: the same again after backoff (err.wait_ms honoured) */
	CLOUD_STEP_REFRESH, /* err set: credentials are stale; refresh once, then the same again */
	CLOUD_STEP_FAIL, /* err set */
};

enum cloud_transport { CLOUD_HTTP, CLOUD_DISK, CLOUD_MEMORY };

#define CLOUD_COLLECT_MAX                                                                          \
	(16 * 1024 * 1024) /* a list page of 1,000 keys of 1,024 bytes, XML-escaped, is < 8 MiB */

#define CLOUD_LINK_S                                                                               \
	(4 * 3600) /* how long links live: as long as Dropbox's, which cannot be told otherwise */

#define CLOUD_RESUME_MAX  4096
#define CLOUD_TAG_MAX     72 /* with its NUL: an etag, quoted hash and part count of any service */
#define CLOUD_UPLOADS_MAX 1000 /* uploads of one path that FIND tells: a page of S3's list */
#define CLOUD_CHANGED_MAX 1000 /* directories that CHANGES tells: more are all */

/* One value an account needs: feeds API validation, command-line prompts and the web form. */
struct cloud_field {
	const char *name; /* camelCase: "accessKeyId" */
	const char *title; /* "Access key id" */
	const char *help;
	const char *value; /* default, or NULL */
	bool required;
	bool secret; /* never returned, asked for without echo */
};

struct cloud_limits {
	uint64_t put_max; /* largest single PUT */
	uint64_t part_min,
	    part_max; /* of an upload's parts, the last may be smaller; 0: no uploads */
	uint64_t part_size; /* of a part where nothing asks for larger ones */
	uint64_t upload_from; /* files of this size on are written as uploads */
	unsigned parts_max; /* parts of one upload */
	bool in_order; /* a part is sent when the one before it is there; what was sent cannot be
			  replaced; STATUS tells parts from the first one on */
	uint64_t copy_max; /* largest COPY, larger ones go by COPY_PART; 0: no limit */
	uint64_t pull_min, pull_max; /* of the files that are pulled; 0: no limit.  An account's
					change with what its driver learns */
	unsigned concurrency; /* ops at once on one account, in each lane, where neither the
				 account nor the runner's config says */
	unsigned rate; /* requests a second, where the account does not say; 0: no limit */
};

struct cloud_request { /* which of http, disk is used: driver->transport */
	struct http_request http; /* also for CLOUD_MEMORY */
	struct disk_request disk;
	uint64_t take; /* HTTP: so many bytes are taken from op->ring before it is sent: into
			  op->taken if that has a maximum, else they are dropped */
};

/*
 * The access token that another server grants (OAuth), of accounts whose requests carry one.  The
 * runner gets it with one request for all ops of the account: before the first, when it is about to
 * expire, and when a `response` says REFRESH.  Ops wait meanwhile; what they are in the middle of
 * goes on with the new token.  A runner whose config has `sign_in` sends no such request, but asks
 * there: only one may use a refresh token that is replaced with each use.
 */
struct cloud_sign_in {
	bool (*is_needed)(const struct account *, uint64_t now_ms); /* no token, or not for long */
	int (*request)(struct account *, uint64_t now_ms, struct http_request *,
	    struct err *); /* fills it in */
	/* Takes the token.  -EKEYEXPIRED: there will be none, a person must sign in again;
	   transient errors are tried again. */
	int (*response)(
	    struct account *, uint64_t now_ms, const struct http_response *, struct err *);
	void (*forget)(struct account *); /* the token was refused */
	/* Has nobody signed in yet?  Then `request` says -EKEYEXPIRED. */
	bool (*is_open)(const struct account *);
	/* The token, or NULL, and until when it is good, by our clock; borrowed. */
	const char *(*token)(const struct account *, uint64_t *good_until_ms);
	/* It is this one: another account of the same credentials got it. */
	void (*put_token)(struct account *, const char *token, uint64_t good_until_ms);
	/* `response` brought another refresh token, which is used from then on, and the one before
	   is good for nothing (RFC 6749, 6).  Told once; caller wipes both. */
	bool (*rotated)(struct account *, char **was, char **now);
};

/*
 * One request that does what several ops of an account want (S3's DeleteObjects).  The part of an
 * op that can go so is an item.  None is held back in the hope of more: the first one goes at once,
 * in its own request, and what comes while as many requests are under way as may be goes in the
 * next. Each op keeps its own outcome, retries and cancel.  Items hold no lane of their account.
 */
struct cloud_batch {
	unsigned items; /* in a request, at most */
	unsigned at_once; /* requests of an account, from all loops */
	bool (*takes)(const struct cloud_op *); /* is what it does next an item? */
	/* May the two be in one?  NULL: any. */
	bool (*together)(const struct cloud_op *, const struct cloud_op *);
	/* Of two items or more; one alone goes by driver->request.  SEND, or err is of each. */
	enum cloud_step (*request)(
	    struct cloud_op *const *items, size_t len, struct cloud_request *, struct err *);
	/* A good answer (2xx) to that: what each item would have been answered with alone, into
	   parts, which are init'ed; the runner asks driver->response what that means.  NULL among
	   the items: it was cancelled.  0, or it makes no sense, and err is of each. */
	int (*response)(struct cloud_op *const *items, size_t len, const struct http_response *,
	    struct http_response *parts, struct err *);
};

struct cloud_driver {
	const char *name; /* "s3" */
	const char *title; /* "Amazon S3 and compatible" */
	enum cloud_transport transport;
	unsigned features;
	struct cloud_limits limits;
	const struct cloud_field *fields; /* ended by a NULL name */
	unsigned hashes; /* HASH_BIT()s it can report for what it stored; see account.hashes */
	size_t account_size, op_size; /* private parts, zeroed; see account_data, op_data */

	/* Validates credentials and prepares account->data.  No I/O. */
	int (*open)(struct account *, const json_t *credentials, struct err *);
	void (*close)(struct account *);
	enum cloud_step (*request)(struct cloud_op *, struct cloud_request *, struct err *);
	/* HTTP only; NULL: everything is collected. */
	enum cloud_step (*head)(struct cloud_op *, const struct http_response *, struct err *);
	/* Exactly one of the two, by transport.  res->code / the transport's failure is handled
	   before: http answers that never came do not reach the driver. */
	enum cloud_step (*response)(struct cloud_op *, const struct http_response *, struct err *);
	enum cloud_step (*disk_response)(struct cloud_op *, struct disk_response *, struct err *);
	const struct cloud_batch *batch; /* HTTP only; NULL: each op has its own requests */
	const struct cloud_sign_in *sign_in; /* HTTP only; NULL: requests need no token */
	const struct oauth_service *oauth; /* where people sign in (providers/oauth.h); or NULL */
	/* Can `to` copy natively from `from` (both of this driver)?  NULL: only if they are the
	 * same account. */
	bool (*copies_from)(const struct account *to, const struct account *from);
	/* Where the object at a path really is, equal for every account that reaches it there, of
	   another driver too: "s3://host/bucket/key".  No I/O; caller frees.  NULL (also as the
	   answer): not known. */
	char *(*identity)(const struct account *, const char *path);
};

struct account {
	const struct cloud_driver *driver;
	char *id; /* uuid */
	char *name;
	void *data; /* driver->account_size bytes */
	unsigned hashes; /* HASH_BIT()s that PUT and parts are answered with; the driver's, unless
			    open() knows better */
	struct bucket *bandwidth; /* limits what passes through us; a reference, set by whoever
				     opened it; or NULL */
	struct throttle *throttle; /* its own, or cloud_account_share()'s; a reference */
	struct cloud_limits limits; /* the driver's, which its open() may narrow */
	/* runner's: */
	unsigned running; /* ops under way on this loop */
	unsigned refs;
};

struct cloud_put {
	int64_t mtime_ns; /* ENTRY_NO_TIME: none */
	bool mtime_optional; /* COPY: where it can have no other time, the source's will do */
	unsigned mode; /* 0: none */
	char *content_type; /* NULL: the driver guesses from the name, or leaves it out */
	json_t *metadata; /* as an entry's; what the cloud cannot hold is left out; owned, or NULL
			   */
	bool no_replace; /* -EEXIST if the path exists */
	struct digests digests; /* PUT: what is known of the content beforehand; have 0: nothing */
	char *temp_id; /* unique to the change: names temporaries and upload sessions */
};

/* A part of an upload. */
struct upload_part {
	unsigned number; /* from 1, in the order of the content */
	uint64_t length;
	char tag[CLOUD_TAG_MAX]; /* what the cloud calls its content; COMMIT names it */
	uint32_t crc32c; /* of its content, if has_crc32c */
	bool has_crc32c;
	unsigned compared; /* HASH_BIT()s: of what was sent with what the cloud says; not by drivers
			    */
};
struct upload_parts { /* by number, each once */
	struct upload_part *items;
	size_t len, cap;
};
struct upload_part *upload_parts_add(struct upload_parts *); /* zeroed; valid until the next */
/* Replaces the one of its number, or adds it in its place. */
void upload_parts_put(struct upload_parts *, const struct upload_part *);
const struct upload_part *
upload_parts_get(const struct upload_parts *, unsigned number); /* or NULL */
void upload_parts_fini(struct upload_parts *);

/* A directory whose list is not what it was. */
struct cloud_changed {
	char *path;
	bool is_tree; /* nor is that of any directory beneath it; with path "": forget everything */
};
struct cloud_changed_list { /* zeroed: empty */
	struct cloud_changed *items;
	size_t len;
};
/* Told twice, or beneath a tree that was told, is told once; too many become all. */
void cloud_changed_add(struct cloud_changed_list *, const char *path, bool is_tree);
void cloud_changed_all(struct cloud_changed_list *); /* it cannot be said: forget everything */
void cloud_changed_fini(struct cloud_changed_list *);

typedef void (*cloud_done_fn)(void *arg, struct cloud_op *op, int code, const struct err *err);
typedef void (*cloud_progress_fn)(void *progress_arg, struct cloud_op *op, uint64_t bytes);

struct cloud_op {
	/* filled in by the caller, after cloud_op_new() */
	enum cloud_op_kind kind;
	struct account *account;
	char *path, *path2; /* canonical, owned */
	struct account *from; /* COPY, COPY_PART: the source's account, its path in path2 */
	char *link; /* COPY, COPY_PART: the source, if `from` is NULL; LINK's result; owned, secret
		     */
	bool only_this; /* COPY: it is -EOPNOTSUPP for this file; others may be copied; the result
			 */
	bool is_pinned; /* LINK: the link leads to op->version and to no other; the result */
	bool is_etag; /* LINK: op->version is the ETag of what the link gives; the result */
	uint64_t offset, length; /* READ, PUT, UPLOAD_*, COPY_PART (offset: in the source); READ:
				    UINT64_MAX is "to the end" */
	char *version; /* READ, COPY, COPY_PART, REMOVE, MOVE: pinned; owned, NULL: any */
	int64_t written_ns; /* REMOVE: pinned too, as in struct entry; 0: any */
	struct cloud_put put;
	struct ring *ring; /* READ: sink, ended by the runner on success; PUT, UPLOAD_PART: source;
			      borrowed */
	bool keep_open; /* READ: the sink is not ended: more will follow from elsewhere */
	bool goes_on; /* READ: for a PUT that holds a lane already: it does not wait for one */
	char *upload; /* the upload's id; BEGIN's result; owned */
	struct upload_part part; /* UPLOAD_PART, COPY_PART: its number; the rest is the result */
	struct upload_parts parts; /* COMMIT: all of them; STATUS: the result; owned */
	char *resume; /* COPY that takes several requests: what an earlier op of the same copy had
			 to go on with, or NULL; before each `progress`, what this one has; opaque,
			 no longer than CLOUD_RESUME_MAX; owned */
	cloud_progress_fn progress; /* COPY only; may be NULL */
	void *progress_arg;
	/* READ over HTTP: op->entry says what the whole is, and no byte of it is in the ring yet.
	   Once; it may neither free nor cancel the op.  NULL: nobody is told. */
	void (*head)(void *head_arg, const struct cloud_op *);
	void *head_arg;
	size_t max; /* LIST: entries wanted; 0: all.  More may come, and such that are not behind
		       `after`: all, from a driver that cannot choose */
	char *after; /* LIST with max: a name, with a '/' behind a directory's; NULL: from the
			start.  The order is that of these names as bytes; owned */
	bool more; /* LIST with max: there is more; the result */
	bool hidden; /* LIST of a driver with keys: of those that begin with `path` ("", or
			something that ends in '/') and have no '/' behind it but at their end, what
			no path can express, and nothing else; keys take the place of paths */
	bool gone_is_fine; /* REMOVE without a version: whether it was there need not be told, which
			      costs some a request */
	bool no_follow; /* LIST: -ENOTDIR if the path is a link to a directory, where there are such
			 */
	bool soon; /* UPLOAD_ABORT: it is not waited for what runs and cannot be stopped: -EAGAIN */
	char *cursor; /* CHANGES: what the one before was answered with, by this account as it is
			 open; the result; owned */
	bool may_wait; /* CHANGES: the answer may come late, if there is none sooner */
	unsigned attempts_max; /* requests in a row that may fail, refusals too; 0: the default */
	/* results */
	struct entry entry;
	struct entry_list list;
	struct disk_usage usage;
	char **uploads; /* FIND; owned, like its strings */
	size_t uploads_len;
	struct cloud_changed_list changed; /* CHANGES; owned */
	uint64_t again_ms; /* CHANGES that may wait: to be asked again after so long, since it does;
			      0: it does not, and the caller chooses */
	/* for the driver */
	void *data; /* driver->op_size bytes, zeroed at start */
	char *page; /* lists: what its next page is asked for with; NULL at start; owned */
	uint64_t now_ms; /* time of this request */
	unsigned char random[16]; /* of this request */
	struct buf taken; /* see cloud_request; owned */
	uint64_t streamed; /* READ: bytes delivered so far: go on from offset + streamed */
	uint64_t wait_ms; /* with CLOUD_STEP_WAIT */
	uint64_t copied; /* COPY over HTTP: bytes so far, the driver's to say when it takes several
			    requests: the runner tells `progress` */
	/* the runner's own part follows in cloud.c */
};

struct cloud_runner;
struct cloud_runner_config {
	struct http_limits http;
	unsigned backoff_base_ms, backoff_max_ms; /* 0: 200 and 30,000 */
	unsigned concurrency; /* ops at once on one account, in each of its lanes, where the account
				 does not say; 0: what its driver says */
	uint64_t patience_ms; /* for so long refusals (-EAGAIN) are no failures: there is nobody who
				 waits.  0: they count as others */
	bool pulls_private; /* links to private addresses may be given to clouds */
	/* Asks for fresh credentials; when they are there, cloud_account_refreshed() goes on. NULL:
	 * REFRESH fails. */
	void (*refresh)(void *arg, struct account *, const struct err *why);
	/* Asks somebody else for the account's token, other than `refused` if that is not NULL;
	   cloud_account_signed_in() answers with the ticket, at once if it likes.  NULL: the
	   token's server is asked from here. */
	void (*sign_in)(void *arg, struct account *, unsigned ticket, const char *refused);
	void *arg;
};
struct cloud_runner *
cloud_runner_new(struct loop *, struct pool *, const struct cloud_runner_config *, struct err *);
/* No op may be under way; its accounts go before it. */
void cloud_runner_free(struct cloud_runner *);
void
cloud_runner_set_concurrency(struct cloud_runner *, unsigned); /* ops that are under way go on */
struct loop *cloud_runner_loop(struct cloud_runner *);
struct pool *cloud_runner_pool(struct cloud_runner *);
bool cloud_runner_pulls_private(const struct cloud_runner *);

/* The driver's fields are checked: required ones present, no unknown ones, strings. */
int cloud_account_open(struct account **out, const struct cloud_driver *, const char *id,
    const char *name, const json_t *credentials, struct err *);
struct account *cloud_account_ref(struct account *);
void cloud_account_unref(struct account *); /* NULL is a no-op; ops hold a reference */
/* Its throttle is this one from now on (referenced); before its first op. */
void cloud_account_share(struct account *, struct throttle *);
/* New credentials take the place of the old ones, for the next request of every op that is under
   way too.  What the old ones hold stays until nobody but the caller has a reference.  On failure
   they stay as they were. */
int cloud_account_renew(struct account *, const json_t *credentials, struct err *);
/* code 0: credentials were renewed; -EACCES: the account is not refused, so that only those ops
   fail that were; else all ops that waited fail with it. */
void cloud_account_refreshed(struct cloud_runner *, struct account *, int code, const struct err *);
bool
cloud_account_is_refreshing(struct account *); /* somebody owes it a cloud_account_refreshed() */
/* Answers config.sign_in().  code 0: it is this token; else its ops fail, as if its server had said
   so.  Nobody waits for this ticket any more: nothing happens.  Ticket 0: any. */
void cloud_account_signed_in(struct account *, unsigned ticket, int code, const char *token,
    uint64_t good_until_ms, const struct err *);
typedef void (*cloud_signed_in_fn)(void *arg, int code, const struct err *);
/* For whoever answers config.sign_in() elsewhere: sees to it that an account that has no ops has a
   token, other than `refused`.  done comes once, also before this returns; none if the account goes
   first. */
void cloud_account_sign_in(struct cloud_runner *, struct account *, const char *refused,
    cloud_signed_in_fn done, void *arg);
/* Its token's server was asked, and has not answered. */
bool cloud_account_is_asking(const struct account *);
/* Was it refused a token?  Then it is the account that is refused, not an object of it. */
bool cloud_account_is_signed_out(const struct account *);
bool cloud_copies_from(const struct account *to, const struct account *from);
/* Can `to` read a link of `from`?  Also not if it was refused lately. */
bool cloud_pulls_from(const struct account *to, const struct account *from);
/* It tried to copy or pull, and was refused: for some minutes it is not tried again. */
void cloud_refuse_copies(struct account *to, const struct account *from);
/* The driver's identity of the path (cloud_driver); caller frees.  NULL: not known. */
char *cloud_where(const struct account *, const char *path);
/* Are the two paths one object, by all that the driver can tell? */
bool
cloud_is_same(const struct account *, const char *path, const struct account *, const char *path2);

/* Is the first path the second, or somewhere in it? */
bool
cloud_is_inside(const struct account *, const char *path, const struct account *, const char *dir);

struct cloud_op *cloud_op_new(struct account *, enum cloud_op_kind, const char *path);
void cloud_op_free(struct cloud_op *); /* not while under way; NULL is a no-op */
/* Exactly one done comes, from the loop, never before this returns; the op stays the caller's.
   READ: transient failures go on inside the runner from offset + streamed, but of an unsized entry
   not when bytes have come: then its reader starts again.
   PUT with a ring is sent once: when it fails after bytes were taken, the caller starts again. */
void cloud_op_start(struct cloud_runner *, struct cloud_op *, cloud_done_fn, void *arg);
/* Something that may fail in passing and is tried again. */
struct cloud_tries {
	unsigned failures; /* in a row */
	unsigned refusals; /* in a row: the cloud asked to slow down */
	uint64_t refused_ms; /* since then; monotonic */
};
#define CLOUD_ENOUGH UINT64_MAX
/* It failed so, transiently: how long to wait before it is tried again, in ms, exponential with
   full jitter, and what the other side asked for; CLOUD_ENOUGH: it has failed `max` times, or (if
   it is patient: else refusals are failures) was refused for longer than the runner's patience. */
uint64_t cloud_tries_next(struct cloud_tries *, const struct cloud_runner *, unsigned max,
    bool is_patient, const struct err *);
void cloud_op_cancel(struct cloud_op *); /* no callback comes any more; then free it */
