#include "providers/resumable.h"
#include "providers/object.h"
#include <inttypes.h>
#include <string.h>

enum { PART_ASK, PART_SEND, PART_TAIL };

/* Sessions */

void
resumable_sessions_fini(struct resumable_sessions *all)
{
	for (size_t i = 0; i < RESUMABLE_SESSIONS_MAX; i++)
		buf_free(&all->items[i].tail);
}

struct resumable_session *
resumable_session_get(struct resumable_sessions *all, const char *token, bool make)
{
	struct resumable_session *oldest = &all->items[0];

	for (size_t i = 0; i < RESUMABLE_SESSIONS_MAX; i++) {
		struct resumable_session *s = &all->items[i];

		if (strcmp(s->token, token) == 0) {
			s->used = ++all->uses;
			return s;
		}
		if (s->used < oldest->used)
			oldest = s;
	}
	if (!make)
		return NULL;
	buf_free(&oldest->tail);
	*oldest = (struct resumable_session){.used = ++all->uses};
	snprintf(oldest->token, sizeof oldest->token, "%s", token);
	return oldest;
}

void
resumable_session_drop(struct resumable_sessions *all, const char *token)
{
	struct resumable_session *s = resumable_session_get(all, token, false);

	if (s == NULL)
		return;
	buf_free(&s->tail);
	*s = (struct resumable_session){.used = 0};
}

static struct resumable_session *
session_of(struct resumable_sessions *all, const struct resumable *up)
{
	return resumable_session_get(all, up->token, true);
}

static void
session_take(struct resumable_session *session, uint64_t there)
{
	session->there = there;
	session->asked = true;
}

/* Ids */

bool
resumable_word(char *out, size_t size, const char **at)
{
	size_t len = strcspn(*at, " ");

	if (len == 0 || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len;
	*at += **at == ' ';
	return true;
}

bool
resumable_number(uint64_t *out, const char **at)
{
	char text[21];

	return resumable_word(text, sizeof text, at) && (*out = object_size(text)) != UINT64_MAX &&
	    *out > 0;
}

void
resumable_name(char token[RESUMABLE_TOKEN_MAX], const struct cloud_op *op)
{
	CLEANUP(buf_free) struct buf hex = BUF_INIT(RESUMABLE_TOKEN_MAX);

	buf_put_hex(&hex, op->random, sizeof op->random);
	snprintf(token, RESUMABLE_TOKEN_MAX, "%s", buf_str(&hex));
}

/* Of the last part: so many bytes that what is before them is whole chunks, and at least one. */
static uint64_t
upload_tail(const struct resumable *up)
{
	return (up->size - 1) % RESUMABLE_CHUNK + 1;
}

static uint64_t
upload_parts(const struct resumable *up)
{
	return (up->size - 1) / up->part + 1;
}

static uint64_t
part_end(const struct resumable *up, uint64_t number)
{
	return MIN(number * up->part, up->size);
}

static void
part_name(struct upload_part *part, const struct resumable *up, uint64_t number)
{
	part->number = (unsigned)number;
	part->length = part_end(up, number) - (number - 1) * up->part;
	snprintf(part->tag, sizeof part->tag, "%" PRIu64, part_end(up, number));
}

/* Requests and answers of a session */

void
resumable_ask(struct http_request *req, const char *url, const char *ca, uint64_t from, uint64_t to,
    uint64_t size)
{
	req->method = "PUT";
	req->ca_file = ca;
	req->url.secret = true;
	buf_puts(&req->url, url);
	req->body = HTTP_BODY_BYTES;
	if (from == to)
		http_request_header(req, "Content-Range", "bytes */%" PRIu64, size);
	else
		http_request_header(req, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		    from, to - 1, size);
}

static void
ask_what_is_there(struct http_request *req, const struct resumable *up)
{
	resumable_ask(req, up->url, up->ca, 0, 0, up->size);
}

void
resumable_ask_abort(struct http_request *req, const struct resumable *up)
{
	ask_what_is_there(req, up);
	http_headers_free(&req->headers);
	req->method = "DELETE";
}

int
resumable_read(uint64_t *there, bool *made, const struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	const char *range = http_header_get(&res->headers, "Range");
	uint64_t last;

	*there = 0;
	*made = res->status == 200 || res->status == 201;
	if (*made)
		return 0;
	if (res->status != 308 && (res->status < 200 || res->status >= 300))
		return 1;
	if (res->status != 308)
		return err_set(err, -EPROTO, "'%s': the session answered %d, which is no answer",
		    op->path, res->status);
	if (range == NULL)
		return 0;
	if (strncmp(range, "bytes=0-", 8) != 0 || (last = object_size(range + 8)) == UINT64_MAX)
		return err_set(
		    err, -EPROTO, "'%s': the session does not say what it has", op->path);
	*there = last + 1;
	return 0;
}

const char *
resumable_location(const struct http_response *res)
{
	const char *url = http_header_get(&res->headers, "Location");

	return url == NULL || strlen(url) >= RESUMABLE_URL_MAX || strpbrk(url, " \t") != NULL ? NULL
											      : url;
}

/* Parts */

/* What of the part is for the session, and what is kept for COMMIT. */
static uint64_t
part_body_end(const struct resumable *up, const struct cloud_op *op)
{
	return op->part.number == upload_parts(up) ? up->size - upload_tail(up)
						   : part_end(up, op->part.number);
}

static enum cloud_step
put_part_bytes(struct cloud_op *op, struct cloud_request *request, const struct resumable *up,
    struct resumable_session *session, unsigned *step, struct err *err)
{
	uint64_t end = part_body_end(up, op), from = MIN(session->there, end);

	if (from < op->offset) {
		err_set(err, -ENOENT, "'%s': the session has not what comes before part %u",
		    op->path, op->part.number);
		return CLOUD_STEP_FAIL;
	}
	if (end == op->offset) { /* all of it is kept */
		*step = PART_TAIL;
		return CLOUD_STEP_SEND;
	}
	request->take = from - op->offset;
	resumable_ask(&request->http, up->url, up->ca, from, end, up->size);
	if (from < end) {
		request->http.body = HTTP_BODY_STREAM;
		request->http.length = end - from;
		session->asked = false; /* until it has answered: the answer may be lost */
	}
	return CLOUD_STEP_SEND;
}

enum cloud_step
resumable_put_part(struct cloud_op *op, struct cloud_request *request, const struct resumable *up,
    struct resumable_sessions *all, unsigned *step, struct err *err)
{
	struct resumable_session *session = session_of(all, up);
	enum cloud_step send;

	if (op->part.number == 0 || op->part.number > upload_parts(up) ||
	    op->offset != (op->part.number - 1) * up->part ||
	    op->length != part_end(up, op->part.number) - op->offset)
		return object_refuse(err, -EINVAL, op->path, "the upload has no such part");
	if (*step == PART_ASK && session->asked)
		*step = PART_SEND;
	if (*step == PART_ASK) {
		ask_what_is_there(&request->http, up);
		return CLOUD_STEP_SEND;
	}
	if (*step == PART_SEND) {
		send = put_part_bytes(op, request, up, session, step, err);
		if (send != CLOUD_STEP_SEND || *step == PART_SEND)
			return send;
	}
	request->take = upload_tail(up);
	buf_free(&op->taken);
	op->taken = (struct buf)BUF_INIT(RESUMABLE_CHUNK);
	ask_what_is_there(&request->http, up);
	return CLOUD_STEP_SEND;
}

enum cloud_step
resumable_part_response(struct cloud_op *op, const struct resumable *up,
    struct resumable_sessions *all, unsigned *step, uint64_t there, struct err *err)
{
	struct resumable_session *session = session_of(all, up);

	session_take(session, there);
	switch (*step) {
	case PART_ASK: *step = PART_SEND; return CLOUD_STEP_NEXT;
	case PART_SEND:
		if (there < part_body_end(up, op)) {
			err_set(err, -EIO, "'%s': of part %u a piece did not arrive", op->path,
			    op->part.number);
			return CLOUD_STEP_RETRY;
		}
		if (op->part.number == upload_parts(up)) {
			*step = PART_TAIL;
			return CLOUD_STEP_NEXT;
		}
		break;
	default:
		buf_free(&session->tail);
		session->tail = op->taken;
		op->taken = (struct buf)BUF_INIT(0);
		break;
	}
	part_name(&op->part, up, op->part.number);
	op->part.has_crc32c = false;
	return CLOUD_STEP_DONE;
}

void
resumable_take_status(
    struct cloud_op *op, const struct resumable *up, struct resumable_sessions *all, uint64_t there)
{
	struct resumable_session *session = session_of(all, up);
	uint64_t parts = upload_parts(up);

	session_take(session, there);
	for (uint64_t n = 1; n <= parts; n++) {
		bool last = n == parts;
		uint64_t end = last ? up->size - upload_tail(up) : part_end(up, n);

		if (there < end || (last && session->tail.len != upload_tail(up)))
			break;
		part_name(upload_parts_add(&op->parts), up, n);
	}
}

/* COMMIT */

bool
resumable_is_whole(const struct cloud_op *op, const struct resumable *up)
{
	if (op->parts.len != upload_parts(up))
		return false;
	for (size_t i = 0; i < op->parts.len; i++) {
		const struct upload_part *have = &op->parts.items[i];
		struct upload_part want;

		part_name(&want, up, i + 1);
		if (have->number != want.number || have->length != want.length ||
		    strcmp(have->tag, want.tag) != 0)
			return false;
	}
	return true;
}

bool
resumable_has_end(struct resumable_sessions *all, const struct resumable *up)
{
	const struct resumable_session *session = resumable_session_get(all, up->token, false);

	return session != NULL && session->tail.len == upload_tail(up);
}

void
resumable_put_end(
    struct http_request *req, const struct resumable *up, struct resumable_sessions *all)
{
	struct resumable_session *session = session_of(all, up);

	resumable_ask(req, up->url, up->ca, up->size - session->tail.len, up->size, up->size);
	buf_add(&req->bytes, session->tail.data, session->tail.len);
}
