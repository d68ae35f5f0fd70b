/* One call: its options, what curl's callbacks do with it, its end. */
#include "src/clock.h"
#include "src/endpoint.h"
#include "src/http_private.h"
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CURL_HAS_PROTOCOLS_STR (LIBCURL_VERSION_NUM >= 0x075500)
#define CURL_HAS_QUICK_EXIT    (LIBCURL_VERSION_NUM >= 0x075700)

/* Rings: hooks record a fact and wake the call. */

/* Is it worth a resumption?  Of a slow source many small pieces would cost more than they bring;
   what it held at the last tick is sent at this one, so that no server waits long. */
bool
http_call_may_send(const struct http_call *call)
{
	size_t held = ring_held(call->source);

	return held >= MIN(HTTP_SEND_MIN, call->source_left) || ring_is_ended(call->source) ||
	    (held > 0 && (call->overdue || !ring_wants_input(call->source)));
}

static void
source_on_input(void *arg)
{
	struct http_call *call = arg;

	if (call->send_paused && http_call_may_send(call))
		http_call_wake(call);
}

static void
sink_on_output(void *arg)
{
	struct http_call *call = arg;

	if (call->recv_paused)
		http_call_wake(call);
}

void
http_call_wake(struct http_call *call)
{
	struct http_client *client = call->client;

	if (call->is_woken)
		return;
	call->is_woken = true;
	TAILQ_INSERT_TAIL(&client->woken, call, next_woken);
	if (client->woken_len++ == 0)
		event_active(client->wake, EV_TIMEOUT, 0);
}

int
http_call_resume(struct http_call *call)
{
	bool recv = call->recv_paused && ring_room(call->sink) >= HTTP_SINK_MIN;
	bool send = call->send_paused && http_call_may_send(call);
	int mask, code;

	if (call->failed) /* it has stalled */
		return CURLE_ABORTED_BY_CALLBACK;
	if (!recv && !send)
		return CURLE_OK;
	call->recv_paused &= !recv;
	call->send_paused &= !send;
	call->overdue &= !send;
	mask = (call->recv_paused ? CURLPAUSE_RECV : 0) | (call->send_paused ? CURLPAUSE_SEND : 0);
	call->client->in_curl++;
	code = curl_easy_pause(call->easy, mask);
	call->client->in_curl--;
	return code;
}

/* curl's callbacks */

/* The next bytes of the body; 0: none are there, or it is complete (*whole). */
static size_t
call_next_bytes(struct http_call *call, char *out, size_t max, bool *whole)
{
	size_t held = ring_held(call->source), len;

	if (!call->req->crc32c_trailer) {
		len = ring_get(call->source, out, MIN(max, call->source_left));
		call->source_left -= len;
		*whole = call->source_left == 0;
		return len;
	}
	len = http_framing_read(&call->framing, call->source, out, max);
	call->source_left -= held - ring_held(call->source);
	*whole = http_framing_is_done(&call->framing);
	return len;
}

static size_t
call_on_read(char *out, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	bool whole;
	size_t len;

	if (call->cancelled)
		return CURL_READFUNC_ABORT;
	len = call_next_bytes(call, out, size * n, &whole);
	if (len == 0 && whole)
		return 0;
	if (len == 0 && ring_is_ended(call->source)) {
		http_call_fail(call, -EPROTO, "the body ended %llu bytes early",
		    (unsigned long long)call->source_left);
		return CURL_READFUNC_ABORT;
	}
	if (len == 0) {
		call->send_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	return len;
}

static size_t
call_on_write(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n;

	if (call->cancelled || call->failed)
		return CURL_WRITEFUNC_ERROR;
	assert(call->head_done);
	if (call->take == HTTP_COLLECT) {
		if (buf_add(&call->res.body, data, len))
			return len;
		http_call_fail(
		    call, -EFBIG, "the answer is larger than %zu bytes", call->res.body.max);
		return CURL_WRITEFUNC_ERROR;
	}
	if (ring_room(call->sink) < len) {
		call->recv_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	/* Counted before: the ring's hooks may look. */
	call->res.streamed += len;
	if (!ring_put(call->sink, data, len)) {
		call->res.streamed -= len;
		http_call_fail(call, -EPROTO, "the body goes on after its sink was ended");
		return CURL_WRITEFUNC_ERROR;
	}
	/* Before the next piece comes: libcurl would keep a copy of one that is refused.  (Of a
	   larger buffer it would keep the rest in any case.) */
	if (call->buffer <= CURL_MAX_WRITE_SIZE && ring_room(call->sink) < HTTP_SINK_MIN &&
	    curl_easy_pause(call->easy, CURLPAUSE_RECV) == CURLE_OK)
		call->recv_paused = true;
	return len;
}

/* The blank line: all headers are there. */
static bool
call_head(struct http_call *call)
{
	size_t collect_max = 0;

	if (call->res.status >= 100 && call->res.status < 200 && call->res.status != 101)
		return true; /* the real answer follows */
	call->head_done = true;
	call->take = call->handler.head(call->arg, &call->res, &call->sink, &collect_max);
	if (call->cancelled)
		return false;
	switch (call->take) {
	case HTTP_STREAM:
		/* Else it could wait for ever: curl gives its pieces whole. */
		assert(call->sink != NULL && ring_size(call->sink) >= HTTP_SINK_MIN);
		ring_on_output(call->sink, sink_on_output, call);
		return true;
	case HTTP_COLLECT:
		call->sink = NULL;
		call->res.body.max = collect_max;
		return true;
	case HTTP_ABORT: break;
	}
	call->sink = NULL;
	http_call_fail(call, -ECANCELED, "the answer (status %d) was not wanted", call->res.status);
	return false;
}

static bool
call_status_line(struct http_call *call, const char *line)
{
	const char *at = strchr(line, ' ');
	unsigned long status = at == NULL ? 0 : strtoul(at + 1, NULL, 10);

	if (status < 100 || status > 999) {
		http_call_fail(call, -EPROTO, "the answer has no status");
		return false;
	}
	http_headers_free(&call->res.headers);
	call->res.status = (int)status;
	call->res.answered = true;
	return true;
}

/* line: without its end */
static bool
call_header_line(struct http_call *call, char *line)
{
	char *colon, *value, *end;

	if (strncmp(line, "HTTP/", 5) == 0)
		return call_status_line(call, line);
	if (*line == '\0')
		return call_head(call);
	colon = strchr(line, ':');
	if (colon == NULL)
		return true;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	http_headers_add(&call->res.headers, line, value);
	return true;
}

static size_t
call_on_header(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n, trimmed = len;
	char *line;
	bool good;

	if (call->cancelled || call->failed)
		return CURL_WRITEFUNC_ERROR;
	call->header_bytes += len;
	if (call->header_bytes > HTTP_HEADERS_MAX) {
		http_call_fail(call, -EPROTO, "the answer's headers are larger than %d bytes",
		    HTTP_HEADERS_MAX);
		return CURL_WRITEFUNC_ERROR;
	}
	call->active_ms = clock_mono_ms();
	if (call->head_done)
		return len; /* a trailer */
	while (trimmed > 0 && (data[trimmed - 1] == '\n' || data[trimmed - 1] == '\r'))
		trimmed--;
	line = xstrndup(data, trimmed);
	good = call_header_line(call, line);
	free(line);
	return good ? len : CURL_WRITEFUNC_ERROR;
}

/*
 * Bytes beyond an answer's end would be taken for the next answer on that connection.  libcurl (at
 * least until 7.88) notices only those that come together with the end, and has no way to ask for
 * the socket of a connection that is used again: so sockets are noted as they are opened.  With TLS
 * there may be other bytes.
 */

/* public_only, of what is about to be connected to. */
static bool
call_may_connect(struct http_call *call, const struct curl_sockaddr *addr)
{
	const struct sockaddr *to = &addr->addr;

	if (!call->client->limits.public_only || call->proxied || addr->family == AF_UNIX ||
	    !address_is_local(to))
		return true;
	if (getnameinfo(to, addr->addrlen, call->refused, sizeof call->refused, NULL, 0,
		NI_NUMERICHOST) != 0)
		snprintf(call->refused, sizeof call->refused, "an unknown address");
	return false;
}

static curl_socket_t
call_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct http_call *call = arg;
	int fd;

	if (!call_may_connect(call, addr))
		return CURL_SOCKET_BAD;
	fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
	if (fd >= 0 && call->opened_len < HTTP_OPENED_MAX)
		call->opened[call->opened_len++] = fd;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static bool
socket_has_port(int fd, int port)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;

	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		return false;
	if (addr.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&addr)->sin6_port) == port;
	return addr.ss_family == AF_INET && ntohs(((struct sockaddr_in *)&addr)->sin_port) == port;
}

static bool
call_has_stray_bytes(struct http_call *call, int port)
{
	struct http_client *client = call->client;
	char byte;

	if (strncmp(buf_str(&call->req->url), "http://", 7) != 0 || port <= 0 || port > UINT16_MAX)
		return false;
	if (client->sockets == NULL)
		client->sockets = xcalloc(UINT16_MAX + 1, sizeof *client->sockets);
	for (unsigned i = 0; i < call->opened_len; i++) {
		if (socket_has_port(call->opened[i], port)) {
			client->sockets[port] = call->opened[i];
			return false; /* nothing was asked there yet */
		}
	}
	return client->sockets[port] > 0 && socket_has_port(client->sockets[port], port) &&
	    recv(client->sockets[port], &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* The connection is there, the request goes out now. */
static int
call_on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct http_call *call = arg;

	call->connected = true;
	call->active_ms = clock_mono_ms();
	if (call_has_stray_bytes(call, local_port)) {
		http_call_fail(call, -ECONNRESET,
		    "the connection had bytes beyond its last answer, and is not used again");
		return CURL_PREREQFUNC_ABORT;
	}
	return CURL_PREREQFUNC_OK;
}

bool
http_call_has_stalled(struct http_call *call, uint64_t now_ms)
{
	const struct http_limits *limits = &call->client->limits;
	curl_off_t up = 0, down = 0;

	if (call->multi == NULL)
		return false;
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	if ((uint64_t)(up + down) != call->moved || call->recv_paused || call->send_paused) {
		call->moved = (uint64_t)(up + down);
		call->active_ms = now_ms;
	}
	/* Until it is connected curl's own limit counts; this one is for what it might miss. */
	return now_ms - call->active_ms >= limits->stall_timeout_ms + call->req->patience_ms +
	    (call->connected ? 0 : limits->connect_timeout_ms);
}

/* The request, as curl wants it */

static bool
text_is_line(const char *s)
{
	for (; *s != '\0'; s++) {
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	}
	return true;
}

static void
call_add_line(struct http_call *call, const char *line)
{
	struct curl_slist *list = curl_slist_append(call->headers, line);

	if (list == NULL)
		abort();
	call->headers = list;
}

static int
call_setup_headers(struct http_call *call)
{
	const struct http_header *header;
	char *line;

	/* No waiting for "100 Continue"; no type that nobody gave. */
	call_add_line(call, "Expect:");
	if (http_header_get(&call->req->headers, "Content-Type") == NULL)
		call_add_line(call, "Content-Type:");
	TAILQ_FOREACH (header, &call->req->headers, next) {
		if (!text_is_line(header->name) || !text_is_line(header->value))
			return http_call_fail(call, -EINVAL,
			    "the header '%s' has a control character, which cannot be sent",
			    header->name);
		/* To curl "name:" and blanks mean that it is not to be sent. */
		line = header->value[strspn(header->value, " \t")] == '\0'
		    ? xasprintf("%s;", header->name)
		    : xasprintf("%s: %s", header->name, header->value);
		call_add_line(call, line);
		mem_wipe_free(line);
	}
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	return 0;
}

static bool
method_has_body(const char *method)
{
	return strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0 ||
	    strcmp(method, "PATCH") == 0;
}

static void
call_setup_body(struct http_call *call, CURL *easy)
{
	struct http_request *req = call->req;

	if (req->body == HTTP_BODY_STREAM && req->length > 0) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)(req->crc32c_trailer ? http_framing_length(req->length)
						     : req->length));
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, call_on_read);
		curl_easy_setopt(easy, CURLOPT_READDATA, call);
		ring_on_input(call->source, source_on_input, call);
	} else if (req->body != HTTP_BODY_NONE || method_has_body(req->method)) {
		bool bytes = req->body == HTTP_BODY_BYTES;

		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(
		    easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(bytes ? req->bytes.len : 0));
		/* A copy: a call that is cancelled inside a curl callback outlives its request. */
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes ? buf_str(&req->bytes) : "");
	} else if (strcmp(req->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	}
	if (strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method);
}

/* libcurl takes the one for what is sent only if something is; an upload's answer is short. */
static void
call_setup_buffers(struct http_call *call, CURL *easy)
{
	struct http_client *client = call->client;
	size_t most = client->limits.buffer, left, share;

	if (most == 0)
		return;
	/* A part of what is left: the sum has a limit, and who comes late still gets something. */
	left = client->buffers < HTTP_BUFFERS_MAX ? HTTP_BUFFERS_MAX - client->buffers : 0;
	share = MIN(MAX(left / HTTP_BUFFERS_PART, HTTP_BUFFER_MIN), most);
	call->buffer = share;
	client->buffers += share;
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
	    (long)(call->source != NULL ? MIN(share, HTTP_BUFFER_ANSWER) : share));
	if (call->source != NULL)
		curl_easy_setopt(
		    easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)MAX(share, HTTP_BUFFER_SEND_MIN));
}

/* libcurl does not say whether an address is the proxy's: so it is told which to use. */
static void
call_setup_proxy(struct http_call *call, CURL *easy)
{
	const char *proxy = http_proxy_for(buf_str(&call->req->url));

	call->proxied = proxy != NULL;
	curl_easy_setopt(easy, CURLOPT_PROXY, proxy != NULL ? proxy : "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
}

static void
call_setup_connection(struct http_call *call, CURL *easy)
{
	const struct http_limits *limits = &call->client->limits;
	const struct http_request *req = call->req;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if CURL_HAS_QUICK_EXIT
	curl_easy_setopt(
	    easy, CURLOPT_QUICK_EXIT, 1L); /* cancelling never waits for the resolver's thread */
#endif
	/* A paused HTTP/2 stream would make libcurl buffer up to its window. */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)limits->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)req->total_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	call_setup_buffers(call, easy);
	/* A CA directory would be read anew for each connection: 900 KiB and 30 ms. */
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(
	    easy, CURLOPT_CAINFO, req->ca_file != NULL ? req->ca_file : call->client->ca_file);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	/* A proxy is the environment's, and so is who vouches for it. */
	curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, call->client->ca_file);
	if (req->unix_socket != NULL) {
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	} else if (limits->public_only) {
		call_setup_proxy(call, easy);
	}
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if CURL_HAS_PROTOCOLS_STR
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* 0, or a negative errno with call->err set. */
int
http_call_setup(struct http_call *call, CURL *easy)
{
	struct http_request *req = call->req;

	if (req->url.failed || req->bytes.failed)
		return http_call_fail(call, -ENAMETOOLONG, "the request is too large");
	if (!text_is_line(buf_str(&req->url)))
		return http_call_fail(call, -EINVAL, "the URL has a control character");
	if (call_setup_headers(call) != 0)
		return call->code;
	call_setup_connection(call, easy);
	curl_easy_setopt(easy, CURLOPT_URL, buf_str(&req->url));
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* ".." may be part of a key */
	curl_easy_setopt(easy, CURLOPT_USERAGENT, call->client->user_agent);
	curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L); /* bytes as they are stored */
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->detail);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, call_on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, call_on_connected);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, call_on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	/* When a connection that is used again breaks off, libcurl sends the request anew by
	   itself. For POST that is not its to decide (RFC 9110, 9.2.2): it would begin two uploads.
	 */
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, strcmp(req->method, "POST") == 0 ? 1L : 0L);
	call_setup_body(call, easy);
	return 0;
}

struct http_call *
http_call_new(struct http_client *client, struct http_request *req, struct ring *source,
    const struct http_handler *handler, void *arg)
{
	struct http_call *call = xcalloc(1, sizeof(*call));

	call->client = client;
	call->req = req;
	call->handler = *handler;
	call->arg = arg;
	if (req->body == HTTP_BODY_STREAM && req->length > 0) {
		call->source = source;
		call->source_left = req->length;
		http_framing_init(&call->framing, req->length);
	}
	call->active_ms = clock_mono_ms();
	http_response_init(&call->res);
	TAILQ_INSERT_TAIL(&client->calls, call, next);
	return call;
}

void
http_call_unhook(struct http_call *call)
{
	if (call->source != NULL)
		ring_on_input(call->source, NULL, NULL);
	if (call->sink != NULL)
		ring_on_output(call->sink, NULL, NULL);
	call->source = call->sink = NULL;
}

/* Out of curl: no callback of curl's comes any more. */
static void
http_call_detach(struct http_call *call)
{
	struct http_client *client = call->client;

	assert(client->in_curl == 0);
	http_call_unhook(call);
	if (call->multi != NULL) {
		client->in_curl++;
		curl_multi_remove_handle(call->multi->curl, call->easy);
		client->in_curl--;
		call->multi->calls--;
		call->multi = NULL;
	}
	if (call->easy != NULL) {
		curl_easy_reset(call->easy);
		if (client->spare_len < HTTP_SPARE_MAX)
			client->spare[client->spare_len++] = call->easy;
		else
			curl_easy_cleanup(call->easy);
		call->easy = NULL;
	}
	if (call->is_woken) {
		TAILQ_REMOVE(&client->woken, call, next_woken);
		client->woken_len--;
		call->is_woken = false;
	}
	TAILQ_REMOVE(&client->calls, call, next);
	client->buffers -= call->buffer;
}

static void
http_call_destroy(struct http_call *call)
{
	struct curl_slist *line;

	for (line = call->headers; line != NULL; line = line->next)
		mem_wipe(line->data, strlen(line->data));
	curl_slist_free_all(call->headers);
	http_response_fini(&call->res);
	free(call->err);
	free(call);
}

void
http_call_free(struct http_call *call)
{
	http_call_detach(call);
	http_call_destroy(call);
}

/* Is the whole refusal there, though the request's body was not taken to its end? */
static bool
http_call_was_answered_early(const struct http_call *call, CURLcode curl_code)
{
	const char *length = http_header_get(&call->res.headers, "Content-Length");
	uint64_t got = call->take == HTTP_STREAM ? call->res.streamed : call->res.body.len;

	return (curl_code == CURLE_SEND_ERROR || curl_code == CURLE_RECV_ERROR) &&
	    call->head_done && call->res.status >= 300 && call->req->body != HTTP_BODY_NONE &&
	    length != NULL && strtoull(length, NULL, 10) == got;
}

void
http_call_end(struct http_call *call, CURLcode curl_code)
{
	static const struct err none = ERR_INIT;
	int code;

	if (call->cancelled) {
		http_call_free(call);
		return;
	}
	/* Where another of its addresses was tried as well, that failure counts. */
	if (curl_code == CURLE_COULDNT_CONNECT && call->refused[0] != '\0' && call->opened_len == 0)
		http_call_fail(call, -EPERM,
		    "its address %s is in the daemon's own network; the administrator allows that by "
		    "the setting endpoints.private",
		    call->refused);
	code = call->failed ? 0 : http_errno(call->easy, curl_code);
	if (code != 0 && !http_call_was_answered_early(call, curl_code))
		http_call_fail(call, code, "%s",
		    call->detail[0] != '\0' ? call->detail : curl_easy_strerror(curl_code));
	else if (code == 0 && !call->failed && !call->head_done)
		http_call_fail(call, -EPROTO, "the answer has no end of headers");
	else if (code == 0 && !call->failed && call->source_left > 0 && call->res.status < 300)
		http_call_fail(call, -ECONNRESET, "success was claimed %llu bytes early",
		    (unsigned long long)call->source_left);
	http_call_detach(call);
	call->handler.done(
	    call->arg, call->code, &call->res, call->err != NULL ? call->err : &none);
	http_call_destroy(call);
}
