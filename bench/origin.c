/*
 * origin: an object server that is never the bottleneck of a benchmark.  It speaks as much S3 as a
 * relay needs and stores nothing: an object's size is the number after the last '-' of its name
 * ("/bucket/big-4294967296"), its content repeats a pattern that GET sends by sendfile(2) from
 * memory, and what PUT brings is dropped inside the kernel (MSG_TRUNC).  Uploads in parts are taken
 * like that; copies are refused, since a relay is what is measured.  A list of the bucket has
 * "many/" and "small/" with 10,000 objects each, and two to be read.  Whoever asks gets CRC32Cs, as
 * from Amazon: that of the content from GET and HEAD, and from PUT what its trailer says.  One
 * thread, one epoll.
 *
 *   origin [--port N] [--rate BYTES [--tick MS]] [--delay MS] [--refuse N] [--reset N]
 *
 * Prints the port it listens on (127.0.0.1).  --rate limits each connection, in both directions:
 * every MS (50) it may move its share, so that longer ticks mean larger pieces.  --delay answers
 * each request so much later, as if it were far away.  --refuse answers so many of 1,000 requests
 * with 503, once their body has come; --reset breaks the connection of so many of 1,000 instead of
 * answering.  It ends on SIGTERM and prints what it did:
 * requests, bytes sent and taken, CPU seconds.
 */
#include "src/hash.h"
#include "src/mem.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PATTERN   (64u << 20)
#define HEAD_MAX  16384
#define SLICE     (1u << 20) /* bytes a connection moves before the next has its turn */
#define LIST_PAGE 1000ul /* as S3 does */
#define LIST_MANY 10000ul
#define TAIL      64 /* of a body, kept: an aws-chunked one ends with its trailer */

struct connection {
	int fd;
	char head[HEAD_MAX];
	size_t head_len;
	uint64_t take; /* of a PUT's body, still to come */
	uint64_t send; /* of a GET's body, still to go */
	uint64_t offset;
	uint64_t allowance;
	char tail[TAIL + 1]; /* the last bytes that came of the body */
	size_t tail_len;
	bool waiting; /* for its share of the rate */
	const char *answer; /* due when the request's body has come */
	uint64_t due_ms; /* when the request is looked at; 0: none waits */
	char *list; /* an answer that is larger than a socket's buffer */
	size_t list_len, list_at;
	struct connection *next;
};

static int epoll_fd, pattern_fd;
static const unsigned char *pattern; /* PATTERN bytes */
static uint32_t pattern_crc;
static uint64_t rate, tick_ms = 50, delay_ms, requests, sent, taken, refused, broken;
static unsigned long refuse, reset; /* of 1,000 requests */
static struct connection *connections;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
connection_close(struct connection *c)
{
	struct connection **p = &connections;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	close(c->fd);
	free(c->list);
	free(c);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool
connection_say(struct connection *c, const char *text, int len)
{
	/* Heads are far smaller than a socket's buffer, and nothing else is under way. */
	return send(c->fd, text, (size_t)len, MSG_NOSIGNAL) == len;
}

static const char *
header_find(const char *head, const char *name)
{
	const char *p = strcasestr(head, name);

	return p == NULL ? NULL : p + strlen(name);
}

/* The object's size is in its name, before any query.  false: there is no such object. */
static bool
object_size(uint64_t *size, const char *path, size_t len)
{
	for (size_t i = len; i > 0 && path[i - 1] != '/'; i--) {
		if (path[i - 1] == '-') {
			*size = strtoull(path + i, NULL, 10);
			return true;
		}
	}
	return false;
}

#define ANSWER(status, headers, len)                                                               \
	"HTTP/1.1 " status "\r\nContent-Length: " len "\r\n" headers "\r\n"
#define WRITTEN "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"origin-put\"\r\n"
static const char written[] = WRITTEN "\r\n";
static const char slow_down[] =
    ANSWER("503 Slow Down", "", "56") "<Error><Code>SlowDown</Code><Message>a</Message></Error>";
static const char not_there[] = ANSWER("404 Not Found", "", "0");
static const char no_copies[] = ANSWER("501 Not Implemented", "", "0");
static const char uploads[] =
    ANSWER("200 OK", "", "57") "<ListMultipartUploadsResult></ListMultipartUploadsResult>";
static const char begun[] = ANSWER("200 OK", "",
    "86") "<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>";
static const char committed[] = ANSWER("200 OK", "",
    "82") "<CompleteMultipartUploadResult><ETag>origin</ETag></CompleteMultipartUploadResult>";

/* What comes with a body, or needs none: the answer, or NULL. */
static const char *
request_answer(const char *head, const char *query)
{
	if (strncmp(head, "PUT ", 4) == 0)
		return header_find(head, "\r\nx-amz-copy-source:") != NULL ? no_copies : written;
	if (strncmp(head, "POST ", 5) == 0)
		return strncmp(query, "?uploads", 8) == 0 ? begun : committed;
	if (strncmp(head, "DELETE ", 7) == 0)
		return "HTTP/1.1 204 No Content\r\n\r\n";
	return strncmp(query, "?uploads", 8) == 0 ? uploads : NULL;
}

/* Of the first `size` bytes of the pattern, again and again. */
static uint32_t
content_crc(uint64_t size)
{
	static uint64_t known_size;
	static uint32_t known;
	uint64_t i;

	if (size == known_size)
		return known;
	known = 0;
	for (i = 0; i < size / PATTERN; i++)
		known = crc32c_combine(known, pattern_crc, PATTERN);
	known = crc32c(known, pattern, size % PATTERN);
	known_size = size;
	return known;
}

static int
put_crc(char *out, size_t size, uint32_t crc)
{
	const unsigned char sum[4] = {crc >> 24, crc >> 16, crc >> 8, crc};
	unsigned char text[9];

	EVP_EncodeBlock(text, sum, sizeof sum);
	return snprintf(out, size, "x-amz-checksum-crc32c: %s\r\n", text);
}

/* The same sequence in each run. */
static bool
chance(unsigned long of_1000)
{
	static uint32_t x = 2463534242u; /* xorshift32 (Marsaglia 2003) */

	if (of_1000 == 0)
		return false;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % 1000 < of_1000;
}

/* The other side gets ECONNRESET. */
static bool
connection_break(struct connection *c)
{
	const struct linger now = {.l_onoff = 1};

	broken++;
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	return false;
}

/* -- lists */

static bool
is_bucket(const char *path, size_t len)
{
	const char *slash = memchr(path + 1, '/', len - 1);

	return slash == NULL || slash == path + len - 1;
}

/* The value of an argument of the query, as far as these lists need it; "": there is none. */
static void
query_get(char *out, size_t size, const char *query, const char *name)
{
	const char *p = strstr(query, name);
	size_t len;

	snprintf(out, size, "%s", p == NULL ? "" : p + strlen(name));
	len = strcspn(out, "& ");
	out[len] = '\0';
	if (len >= 3 && strcasecmp(out + len - 3, "%2F") == 0)
		snprintf(out + len - 3, 2, "/");
}

static void
list_object(FILE *out, const char *key, uint64_t size)
{
	fprintf(out,
	    "<Contents><Key>%s</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
	    "<ETag>&quot;origin-%" PRIu64 "&quot;</ETag><Size>%" PRIu64
	    "</Size><StorageClass>STANDARD</StorageClass></Contents>",
	    key, size, size);
}

static const struct {
	const char *name;
	uint64_t size; /* of each of its objects */
} directories[] = {{"many/", 4096}, {"small/", 65536}};

/* Behind which object a page begins: by its token, or its name ("small/00999-65536", also encoded).
 */
static unsigned long
page_first(const char *query)
{
	char token[64], name[64];
	const char *number;

	query_get(token, sizeof token, query, "continuation-token=");
	query_get(name, sizeof name, query, "start-after=");
	if (name[0] == '\0')
		query_get(
		    name, sizeof name, query, "marker="); /* ListObjects of the first version */
	number = strpbrk(name, "0123456789");
	if (number == NULL)
		return strtoul(token, NULL, 10);
	if (number[0] == '2' && toupper((unsigned char)number[1]) == 'F')
		number += 2; /* of "%2F" */
	return strtoul(number, NULL, 10) + 1;
}

/* A page of a directory: the root has two directories and two objects, these LIST_MANY each. */
static void
list_page(FILE *out, const char *query)
{
	char prefix[64], max[64], key[128];
	unsigned long first = page_first(query), count = 0, end;

	query_get(prefix, sizeof prefix, query, "prefix=");
	query_get(max, sizeof max, query, "max-keys=");
	fprintf(out,
	    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    "<Name>bench</Name><Prefix>%s</Prefix><Delimiter>/</Delimiter>",
	    prefix);
	if (prefix[0] == '\0') {
		list_object(out, "read-1073741824", UINT64_C(1) << 30);
		list_object(out, "read-4294967296", UINT64_C(4) << 30);
	}
	for (size_t d = 0; d < ARRAY_LEN(directories); d++) {
		if (prefix[0] == '\0')
			fprintf(out, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>",
			    directories[d].name);
		if (strcmp(prefix, directories[d].name) != 0)
			continue;
		count = max[0] != '\0' ? MIN(strtoul(max, NULL, 10), LIST_PAGE) : LIST_PAGE;
		count = MIN(count, LIST_MANY - MIN(first, LIST_MANY));
		for (unsigned long i = first; i < first + count; i++) {
			snprintf(
			    key, sizeof key, "%s%05lu-%" PRIu64, prefix, i, directories[d].size);
			list_object(out, key, directories[d].size);
		}
	}
	end = first + count;
	if (count > 0 && end < LIST_MANY)
		fprintf(out,
		    "<NextContinuationToken>%lu</NextContinuationToken><NextMarker>%s</NextMarker>",
		    end, key);
	fprintf(out, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
	    count > 0 && end < LIST_MANY ? "true" : "false");
}

static bool
connection_list(struct connection *c, const char *query)
{
	char *page = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&page, &len);

	if (out == NULL)
		die("list");
	list_page(out, query);
	fclose(out);
	c->list_len = (size_t)asprintf(
	    &c->list, ANSWER("200 OK", "Content-Type: application/xml\r\n", "%zu") "%s", len, page);
	c->list_at = 0;
	free(page);
	return true;
}

static bool
connection_send_list(struct connection *c)
{
	ssize_t n = send(
	    c->fd, c->list + c->list_at, c->list_len - c->list_at, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	c->list_at += (size_t)n;
	if (c->list_at == c->list_len)
		free(TAKE(c->list));
	return true;
}

static bool
connection_request(struct connection *c)
{
	char answer[1024], *path, *end;
	const char *range, *length;
	uint64_t size = 0, first = 0, last;
	bool is_there;
	int n;

	requests++;
	path = strchr(c->head, ' ');
	end = path == NULL ? NULL : strpbrk(++path, " ?");
	if (end == NULL)
		return false;
	is_there = object_size(&size, path, (size_t)(end - path));
	if (chance(reset))
		return connection_break(c);
	c->answer = request_answer(c->head, end);
	if (chance(refuse)) {
		refused++;
		/* HEAD has no body. */
		c->answer = strncmp(c->head, "HEAD ", 5) == 0
		    ? "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
		    : slow_down;
	}
	if (c->answer != NULL) {
		length = header_find(c->head, "\r\nContent-Length:");
		c->take = length == NULL ? 0 : strtoull(length, NULL, 10);
		return true;
	}
	if (is_bucket(path, (size_t)(end - path)))
		return connection_list(c, end);
	if (!is_there)
		return connection_say(c, not_there, (int)sizeof not_there - 1);
	last = size == 0 ? 0 : size - 1;
	range = header_find(c->head, "\r\nRange: bytes=");
	if (range != NULL) {
		first = strtoull(range, &end, 10);
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			last = MIN(last, strtoull(end + 1, NULL, 10));
		n = snprintf(answer, sizeof(answer),
		    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64
		    "/%" PRIu64 "\r\n",
		    first, last, size);
	} else {
		n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n");
	}
	n += snprintf(answer + n, sizeof(answer) - (size_t)n,
	    "Content-Length: %" PRIu64 "\r\nETag: \"origin-%" PRIu64 "\"\r\n"
	    "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n",
	    size == 0 ? 0 : last - first + 1, size);
	if (range == NULL && header_find(c->head, "\r\nx-amz-checksum-mode:") != NULL)
		n += put_crc(answer + n, sizeof(answer) - (size_t)n, content_crc(size));
	n += snprintf(answer + n, sizeof(answer) - (size_t)n, "\r\n");
	if (strncmp(c->head, "GET ", 4) == 0 && size > 0) {
		c->offset = first;
		c->send = last - first + 1;
	}
	return connection_say(c, answer, n);
}

/* How much may move now; 0: wait for the next tick. */
static size_t
connection_share(struct connection *c, uint64_t wanted)
{
	uint64_t n = MIN(wanted, (uint64_t)SLICE);

	if (rate != 0)
		n = MIN(n, c->allowance);
	c->waiting = n == 0;
	return (size_t)n;
}

static void
connection_moved(struct connection *c, uint64_t n)
{
	if (rate != 0)
		c->allowance -= n;
}

/* The last bytes of what has come. */
static void
connection_keep_tail(struct connection *c, const char *bytes, size_t len)
{
	size_t new = MIN(len, (size_t)TAIL), old = MIN(c->tail_len, TAIL - new);

	memmove(c->tail, c->tail + c->tail_len - old, old);
	memcpy(c->tail + old, bytes + len - new, new);
	c->tail_len = old + new;
	c->tail[c->tail_len] = '\0';
}

/* The body has come: the answer that was due, with what the trailer says of the body. */
static bool
connection_answer(struct connection *c)
{
	const char *due = c->answer, *trailer = strcasestr(c->tail, "x-amz-checksum-crc32c:");
	char answer[256];
	int n;

	c->answer = NULL;
	c->tail_len = 0;
	c->tail[0] = '\0';
	if (due != written || trailer == NULL)
		return connection_say(c, due, (int)strlen(due));
	n = snprintf(
	    answer, sizeof(answer), WRITTEN "%.*s\r\n\r\n", (int)strcspn(trailer, "\r\n"), trailer);
	return connection_say(c, answer, n);
}

/* false: close it. */
static bool
connection_send(struct connection *c)
{
	size_t n = connection_share(c, c->send);
	off_t at = (off_t)(c->offset % PATTERN);
	ssize_t moved;

	n = MIN(n, PATTERN - (size_t)at);
	if (n == 0)
		return true;
	moved = sendfile(c->fd, pattern_fd, &at, n);
	if (moved < 0)
		return errno == EAGAIN;
	c->offset += (uint64_t)moved;
	c->send -= (uint64_t)moved;
	sent += (uint64_t)moved;
	connection_moved(c, (uint64_t)moved);
	return true;
}

static bool
connection_take(struct connection *c)
{
	static char sink[SLICE]; /* never touched: MSG_TRUNC drops the bytes in the kernel */
	size_t n = connection_share(c, c->take);
	ssize_t moved;

	if (n == 0)
		return true;
	if (c->take > TAIL)
		moved = recv(c->fd, sink, MIN(n, c->take - TAIL), MSG_TRUNC | MSG_DONTWAIT);
	else
		moved = recv(c->fd, sink, n, MSG_DONTWAIT);
	if (moved == 0)
		return false;
	if (moved < 0)
		return errno == EAGAIN;
	if (c->take <= TAIL)
		connection_keep_tail(c, sink, (size_t)moved);
	c->take -= (uint64_t)moved;
	taken += (uint64_t)moved;
	connection_moved(c, (uint64_t)moved);
	return true;
}

static bool
connection_read_head(struct connection *c)
{
	char *end;
	size_t rest, kept;
	ssize_t n;

	if (c->due_ms == 0) {
		n = recv(c->fd, c->head + c->head_len, HEAD_MAX - 1 - c->head_len, MSG_DONTWAIT);
		if (n == 0)
			return false;
		if (n < 0)
			return errno == EAGAIN;
		c->head_len += (size_t)n;
		c->head[c->head_len] = '\0';
	}
	end = strstr(c->head, "\r\n\r\n");
	if (end == NULL)
		return c->head_len < HEAD_MAX - 1;
	if (delay_ms != 0 && c->due_ms == 0)
		c->due_ms = now_ms() + delay_ms;
	c->waiting = now_ms() < c->due_ms;
	if (c->waiting)
		return true;
	c->due_ms = 0;
	rest = c->head_len - (size_t)(end + 4 - c->head);
	*end = '\0';
	if (!connection_request(c))
		return false;
	kept = (size_t)MIN((uint64_t)rest, c->take); /* the body's first bytes came with the head */
	connection_keep_tail(c, end + 4, kept);
	c->take -= kept;
	taken += kept;
	c->head_len = 0;
	return rest == kept; /* no pipelining */
}

static bool
connection_step(struct connection *c)
{
	if (c->list != NULL)
		return connection_send_list(c);
	if (c->send > 0)
		return connection_send(c);
	if (c->take == 0 && c->answer == NULL && !connection_read_head(c))
		return false;
	if (c->take > 0 && !connection_take(c))
		return false;
	return c->answer == NULL || c->take > 0 || connection_answer(c);
}

static void
connection_watch(struct connection *c, int how)
{
	struct epoll_event e = {.data.ptr = c};

	if (!c->waiting)
		e.events = c->send > 0 || c->list != NULL ? EPOLLOUT : EPOLLIN;
	if (epoll_ctl(epoll_fd, how, c->fd, &e) != 0)
		die("epoll_ctl");
}

static void
listener_accept(int listener)
{
	struct connection *c;
	int one = 1, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c = xcalloc(1, sizeof(*c));
		c->fd = fd;
		c->next = connections;
		connections = c;
		connection_watch(c, EPOLL_CTL_ADD);
	}
}

static void
tick(int timer)
{
	uint64_t n;
	struct connection *c;

	if (read(timer, &n, sizeof(n)) != sizeof(n))
		return;
	for (c = connections; c != NULL; c = c->next) {
		c->allowance = MIN(c->allowance + rate * n * tick_ms / 1000, rate);
		if (!c->waiting || now_ms() < c->due_ms)
			continue;
		c->waiting = false;
		if (c->due_ms == 0 || connection_step(c))
			connection_watch(c, EPOLL_CTL_MOD);
		else
			shutdown(c->fd, SHUT_RDWR); /* and its event closes it */
	}
}

static int
listener_open(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		die("listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void
pattern_make(void)
{
	uint64_t x =
	    88172645463325252u; /* xorshift64 (Marsaglia 2003): bytes that do not compress */
	uint64_t *p;

	pattern_fd = memfd_create("pattern", MFD_CLOEXEC);
	if (pattern_fd < 0 || ftruncate(pattern_fd, PATTERN) != 0)
		die("memfd");
	p = mmap(NULL, PATTERN, PROT_READ | PROT_WRITE, MAP_SHARED, pattern_fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < PATTERN / sizeof(*p); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
	pattern = (const unsigned char *)p;
	pattern_crc = crc32c(0, pattern, PATTERN);
}

static int
watch(int fd, void *tag)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = tag};

	if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll");
	return fd;
}

static void
report(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("requests %" PRIu64 " sent %" PRIu64 " taken %" PRIu64 " refused %" PRIu64
	       " broken %" PRIu64 " cpu %.2f\n",
	    requests, sent, taken, refused, broken,
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"port", required_argument, NULL, 'p'},
	    {"rate", required_argument, NULL, 'r'}, {"tick", required_argument, NULL, 't'},
	    {"delay", required_argument, NULL, 'd'}, {"refuse", required_argument, NULL, 'f'},
	    {"reset", required_argument, NULL, 'x'}, {NULL, 0, NULL, 0}};
	static char listener_tag, timer_tag, signal_tag;
	struct itimerspec every;
	struct rlimit files;
	struct epoll_event events[256];
	unsigned long port = 0;
	int listener, timer, signals, option, n;
	sigset_t set;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			port = strtoul(optarg, NULL, 10);
		else if (option == 'r')
			rate = strtoull(optarg, NULL, 10);
		else if (option == 't')
			tick_ms = strtoull(optarg, NULL, 10);
		else if (option == 'd')
			delay_ms = strtoull(optarg, NULL, 10);
		else if (option == 'f')
			refuse = strtoul(optarg, NULL, 10);
		else if (option == 'x')
			reset = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN); /* sendfile() to whoever has gone */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (delay_ms != 0)
		tick_ms = 1;
	pattern_make();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = watch(listener_open((uint16_t)port), &listener_tag);
	signals = watch(signalfd(-1, &set, SFD_CLOEXEC), &signal_tag);
	timer = watch(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), &timer_tag);
	every.it_value = every.it_interval = (struct timespec){
	    .tv_sec = (time_t)(tick_ms / 1000), .tv_nsec = (long)(tick_ms % 1000 * 1000000)};
	if (rate != 0 || delay_ms != 0)
		timerfd_settime(timer, 0, &every, NULL);
	for (;;) {
		n = epoll_wait(epoll_fd, events, ARRAY_LEN(events), -1);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (events[i].data.ptr == &listener_tag)
				listener_accept(listener);
			else if (events[i].data.ptr == &timer_tag)
				tick(timer);
			else if (events[i].data.ptr == &signal_tag) {
				report();
				close(signals);
				return 0;
			} else if (connection_step(c))
				connection_watch(c, EPOLL_CTL_MOD);
			else
				connection_close(c);
		}
	}
}
