/*
 * What a driver makes of any answer.  The input is a conversation, as text:
 *
 *     OP                     of the table below; "pull-OP": with a link
 *     STATUS                 "batch-OP": several, which have one answer
 *     Header: value
 *
 *     body
 *     ----                   and the next answer
 *
 * With -DFUZZER a target of libFuzzer, for the driver that SKYFERRY_FUZZ_DRIVER names
 * (contrib/fuzz).  Else the program replays files: fuzz_driver DIR, which has a directory for each
 * driver, and says how that went, as TAP.
 *
 * Beside what the sanitizers find, this has to hold: an op ends within bounds, an error says what
 * it is, and the entries of a list lie in the directory that was listed.
 */
#include "providers/providers.h"
#include "src/path.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NOW_MS    1369353600000 /* 20130524T000000Z */
#define STEPS_MAX 200
#define INPUT_MAX (1 << 20)
#define ITEMS     3 /* of a batch */

/* A name is a directory of the corpus; a part is all of its upload. */
static const struct {
	const char *name, *driver, *credentials, *upload;
	const char *pulled; /* an upload begun with a link; NULL: there are none */
	const char *batched; /* the op whose first request others can share; NULL: there is none */
	const char *tag; /* of the part */
	uint64_t length; /* of it, and of what is read and written */
} drivers[] = {
    {"s3", "s3",
	"{\"endpoint\":\"https://s3.example.com\",\"bucket\":\"bucket\",\"accessKeyId\":\"id\","
	"\"secretAccessKey\":\"key\"}",
	"upload", NULL, "remove", "some", 100},
    {"azure", "azure",
	"{\"accountName\":\"account\",\"accountKey\":\"a2V5\",\"container\":\"container\"}",
	"0123456789abcdef012345", NULL, NULL, "some", 100},
    {"gcs", "gcs", "{\"bucket\":\"bucket\"}", "upload", NULL, NULL, "some", 100},
    {"gcs-auto", "gcs", "{\"bucket\":\"bucket\",\"endpoint\":\"https://gcs.example.com\"}",
	"session 600000 600000 token https://gcs.example.com/upload?upload_id=1", NULL, NULL,
	"600000", 600000},
    {"dropbox", "dropbox", "{\"clientId\":\"app\",\"refreshToken\":\"token\"}", "100 session",
	"pull 100 1369353600000 job .skyferry-pull-temp", "commit", "some", 100},
    {"gdrive", "gdrive", "{\"clientId\":\"app\",\"refreshToken\":\"token\"}",
	"1 100 262144 0123456789abcdef0123456789abcdef file new https://www.googleapis.com/upload",
	NULL, NULL, "some", 100},
};

static const char *const ops[CLOUD_OP_KINDS] = {
    [CLOUD_LIST] = "list",
    [CLOUD_STAT] = "stat",
    [CLOUD_READ] = "read",
    [CLOUD_PUT] = "put",
    [CLOUD_COPY] = "copy",
    [CLOUD_MOVE] = "move",
    [CLOUD_REMOVE] = "remove",
    [CLOUD_RMDIR] = "rmdir",
    [CLOUD_MKDIR] = "mkdir",
    [CLOUD_SETATTR] = "setattr",
    [CLOUD_USAGE] = "usage",
    [CLOUD_LINK] = "link",
    [CLOUD_SWEEP] = "sweep",
    [CLOUD_UPLOAD_BEGIN] = "begin",
    [CLOUD_UPLOAD_PART] = "part",
    [CLOUD_COPY_PART] = "copy-part",
    [CLOUD_UPLOAD_STATUS] = "status",
    [CLOUD_UPLOAD_COMMIT] = "commit",
    [CLOUD_UPLOAD_ABORT] = "abort",
    [CLOUD_UPLOAD_FIND] = "find",
    [CLOUD_CHANGES] = "changes",
};

static void
demand(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_driver: this does not hold: %s\n", what);
	abort();
}

static struct account *
account_open(size_t which)
{
	json_t *credentials = json_loads(drivers[which].credentials, 0, NULL);
	struct account *account = NULL;
	struct err err = ERR_INIT;
	int code = cloud_account_open(
	    &account, provider_find(drivers[which].driver), "id", "fuzzed", credentials, &err);

	if (code != 0)
		fprintf(stderr, "fuzz_driver: %s\n", err_text(&err));
	demand(code == 0, "the account can be opened");
	json_decref(credentials);
	return account;
}

/* The next line of the input, without its newline. */
static char *
take_line(const char **at, const char *end)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	size_t len = (size_t)((newline != NULL ? newline : end) - *at);
	char *line = xstrndup(*at, len);

	*at = newline != NULL ? newline + 1 : end;
	return line;
}

/* As http.c would give it: a status, names and values without control characters. */
static bool
take_answer(struct http_response *res, const char **at, const char *end)
{
	static const char separator[] = "----\n";
	const char *body;
	char *line, *colon;

	if (*at == end)
		return false;
	line = take_line(at, end);
	res->status = (int)(strtoul(line, NULL, 10) % 600);
	res->answered = true;
	free(line);
	for (;;) {
		line = take_line(at, end);
		colon = strchr(line, ':');
		if (colon == NULL)
			break;
		*colon = '\0';
		colon += 1 + strspn(colon + 1, " ");
		if (strpbrk(colon, "\r\n") == NULL)
			http_headers_add(&res->headers, line, colon);
		free(line);
	}
	free(line);
	body = *at;
	*at = memmem(body, (size_t)(end - body), separator, sizeof separator - 1);
	if (*at == NULL)
		*at = end;
	res->body = (struct buf)BUF_INIT(CLOUD_COLLECT_MAX);
	buf_add(&res->body, body, (size_t)(*at - body));
	*at += *at == end ? 0 : sizeof separator - 1;
	return true;
}

static struct cloud_op *
op_new(struct account *account, enum cloud_op_kind kind, size_t which, bool pulls)
{
	const char *upload =
	    pulls && drivers[which].pulled != NULL ? drivers[which].pulled : drivers[which].upload;
	struct cloud_op *op = cloud_op_new(account, kind, kind == CLOUD_LIST ? "dir" : "dir/file");

	op->path2 = xstrdup("dir/other");
	op->from = pulls ? NULL : account;
	op->link = pulls ? xstrdup("https://cloud.example/f?secret") : NULL;
	op->length = drivers[which].length;
	op->now_ms = NOW_MS;
	op->upload = xstrdup(upload);
	op->resume = xstrdup("resume");
	op->cursor = xstrdup("cursor");
	op->part.number = 1;
	op->put.temp_id = xstrdup("temp");
	op->data = xcalloc(1, MAX(account->driver->op_size, 1));
	if (kind == CLOUD_UPLOAD_COMMIT) {
		struct upload_part *part = upload_parts_add(&op->parts);

		part->number = 1;
		part->length = op->length;
		snprintf(part->tag, sizeof part->tag, "%s", drivers[which].tag);
	}
	return op;
}

static void
check_end(const struct cloud_op *op, enum cloud_step step, const struct err *err)
{
	if (step == CLOUD_STEP_FAIL || step == CLOUD_STEP_RETRY || step == CLOUD_STEP_REFRESH)
		demand(err->code < 0 && err->msg[0] != '\0', "an error has a code and words");
	/* One that is not at its end is nobody's yet. */
	for (size_t i = 0; step == CLOUD_STEP_DONE && i < op->list.len; i++) {
		const char *path = op->list.items[i].path;

		demand(path_is_inside(path, "dir") && strcmp(path, "dir") != 0,
		    "an entry is in its directory");
		demand(strchr(path + 4, '/') == NULL, "and in none below it");
		demand(path_is_canonical(path), "and has a name");
	}
	demand(op->changed.len <= CLOUD_CHANGED_MAX, "what has changed is bounded");
	for (size_t i = 0; i < op->changed.len; i++)
		demand(path_is_canonical(op->changed.items[i].path), "and has paths");
	demand(op->cursor != NULL, "there is a cursor to go on with");
}

/* As the runner does from the ring. */
static void
take_content(struct cloud_op *op, uint64_t bytes)
{
	static const char content[1 << 18];

	demand(op->taken.max == 0 || bytes <= sizeof content, "what is kept is bounded");
	if (op->taken.max > 0)
		demand(buf_add(&op->taken, content, bytes), "and fits");
}

/* One request and one answer. */
static enum cloud_step
step_once(struct cloud_op *op, const char **at, const char *end, struct err *err)
{
	const struct cloud_driver *driver = op->account->driver;
	struct cloud_request request;
	struct http_response res;
	enum cloud_step step;

	http_request_init(&request.http);
	request.take = 0;
	step = driver->request(op, &request, err);
	http_request_fini(&request.http);
	take_content(op, step == CLOUD_STEP_SEND ? request.take : 0);
	if (step != CLOUD_STEP_SEND)
		return step;
	http_response_init(&res);
	step = CLOUD_STEP_DONE;
	if (take_answer(&res, at, end)) {
		step = driver->head == NULL ? CLOUD_STEP_COLLECT : driver->head(op, &res, err);
		if (step == CLOUD_STEP_COLLECT)
			step = driver->response(op, &res, err);
	}
	http_response_fini(&res);
	return step;
}

/* Each with its part of the answer, which is asked for once. */
static void
converse_together(
    struct account *account, enum cloud_op_kind kind, size_t which, const char *at, const char *end)
{
	static const char *const paths[ITEMS] = {"dir/a", "dir/b", "dir/c"};
	const struct cloud_batch *batch = account->driver->batch;
	struct cloud_op *items[ITEMS];
	struct http_response res, parts[ITEMS];
	struct cloud_request request;
	struct err err = ERR_INIT;
	bool shared;

	for (size_t i = 0; i < ITEMS; i++) {
		items[i] = op_new(account, kind, which, false);
		items[i]->gone_is_fine = true;
		xstrset(&items[i]->path, paths[i]);
		demand(batch->takes(items[i]), "it can be in a batch");
		http_response_init(&parts[i]);
	}
	http_request_init(&request.http);
	demand(batch->request(items, ITEMS, &request, &err) == CLOUD_STEP_SEND, "it is sent");
	http_request_fini(&request.http);
	http_response_init(&res);
	shared = take_answer(&res, &at, end) && res.status >= 200 && res.status < 300;
	if (shared && batch->response(items, ITEMS, &res, parts, &err) != 0) {
		check_end(items[0], CLOUD_STEP_FAIL, &err);
		shared = false;
	}
	for (size_t i = 0; i < ITEMS; i++) {
		err_clear(&err);
		if (shared)
			check_end(
			    items[i], account->driver->response(items[i], &parts[i], &err), &err);
		http_response_fini(&parts[i]);
		items[i]->from = NULL;
		cloud_op_free(items[i]);
	}
	http_response_fini(&res);
}

static void
converse(struct account *account, size_t which, const char *text, size_t len)
{
	static const char pull[] = "pull-", batch[] = "batch-";
	const char *at = text, *end = text + len;
	char *name = take_line(&at, end);
	bool pulls = strncmp(name, pull, sizeof pull - 1) == 0;
	bool together = strncmp(name, batch, sizeof batch - 1) == 0;
	unsigned features = account->driver->features;
	const char *kind_name = name + (pulls ? sizeof pull - 1 : together ? sizeof batch - 1 : 0);
	struct err err = ERR_INIT;
	struct cloud_op *op = NULL;
	enum cloud_step step = CLOUD_STEP_NEXT;

	for (int kind = 0; kind < CLOUD_OP_KINDS; kind++) {
		/* What is never asked of it. */
		if ((kind == CLOUD_CHANGES && !(features & CLOUD_HAS_CHANGES)) ||
		    (pulls && (kind == CLOUD_LINK || !(features & CLOUD_CAN_PULL))))
			continue;
		if (ops[kind] == NULL || strcmp(kind_name, ops[kind]) != 0)
			continue;
		if (!together)
			op = op_new(account, kind, which, pulls);
		else if (drivers[which].batched != NULL &&
		    strcmp(kind_name, drivers[which].batched) == 0)
			converse_together(account, kind, which, at, end);
	}
	free(name);
	if (op == NULL)
		return;
	for (int n = 0; n < STEPS_MAX &&
	     (step == CLOUD_STEP_NEXT || step == CLOUD_STEP_RETRY || step == CLOUD_STEP_WAIT);
	     n++) {
		if (at == end && n > 0)
			break;
		err_clear(&err);
		step = step_once(op, &at, end, &err);
	}
	check_end(op, step, &err);
	op->from = NULL;
	cloud_op_free(op);
}

#ifdef FUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct account *account;
	static size_t which;
	const char *name = getenv("SKYFERRY_FUZZ_DRIVER");

	while (account == NULL) {
		demand(which < ARRAY_LEN(drivers), "SKYFERRY_FUZZ_DRIVER names a driver");
		if (strcmp(drivers[which].name, name == NULL ? "" : name) == 0)
			account = account_open(which);
		else
			which++;
	}
	converse(account, which, (const char *)data, size);
	return 0;
}

#else

static size_t
replay(struct account *account, size_t which, const char *dir)
{
	struct dirent **files = NULL;
	int n = scandir(dir, &files, NULL, alphasort);
	size_t replayed = 0;

	for (int i = 0; i < n; i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", dir, files[i]->d_name);
		FILE *f = files[i]->d_name[0] == '.' ? NULL : fopen(path, "r");
		char *text = f == NULL ? NULL : xmalloc(INPUT_MAX);
		size_t len;

		free(files[i]);
		if (f == NULL)
			continue;
		len = fread(text, 1, INPUT_MAX, f);
		fclose(f);
		printf("# %s\n", path);
		fflush(stdout); /* it is the last one if this ends here */
		converse(account, which, text, len);
		free(text);
		replayed++;
	}
	free(files);
	return replayed;
}

int
main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir");
	CLEANUP(cleanup_free)
	char *corpus = argc > 1 ? xstrdup(argv[1])
				: xasprintf("%s/tests/fuzz/corpus", top == NULL ? "." : top);
	int status = 0;

	printf("1..%zu\n", ARRAY_LEN(drivers));
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		CLEANUP(cleanup_free) char *dir = xasprintf("%s/%s", corpus, drivers[i].name);
		struct account *account = account_open(i);
		size_t n = replay(account, i, dir);

		cloud_account_unref(account);
		printf("%sok %zu - %s: %zu conversations\n", n == 0 ? "not " : "", i + 1,
		    drivers[i].name, n);
		status |= n == 0;
	}
	return status;
}

#endif
