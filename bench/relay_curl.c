/*
 * relay_curl: the least that a relay over libcurl can cost, as a measure for ours: one GET's write
 * callback fills a buffer that one PUT's read callback empties, pausing both ways.  No hashes, no
 * checks, no queue.
 *
 *   relay_curl SOURCE_URL DESTINATION_URL BYTES
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAY_BUFFER (512 * 1024) /* curl's largest: measured to be the cheapest */

struct relay {
	char data[2 * RELAY_BUFFER];
	size_t head, len; /* what is held: data[head .. head + len) */
	bool source_waits, sink_waits;
};

static size_t
relay_take(char *from, size_t size, size_t n, void *arg)
{
	struct relay *r = arg;

	n *= size;
	if (r->len + n > sizeof(r->data)) {
		r->source_waits = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (r->head + r->len + n > sizeof(r->data)) {
		memmove(r->data, r->data + r->head, r->len);
		r->head = 0;
	}
	memcpy(r->data + r->head + r->len, from, n);
	r->len += n;
	return n;
}

static size_t
relay_give(char *to, size_t size, size_t n, void *arg)
{
	struct relay *r = arg;

	n *= size;
	if (r->len == 0) {
		r->sink_waits = true;
		return CURL_READFUNC_PAUSE;
	}
	if (n > r->len)
		n = r->len;
	memcpy(to, r->data + r->head, n);
	r->head += n;
	r->len -= n;
	if (r->len == 0)
		r->head = 0;
	return n;
}

static CURL *
relay_leg(CURLM *multi, const char *url, struct relay *r)
{
	CURL *c = curl_easy_init();

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RELAY_BUFFER);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)RELAY_BUFFER);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, relay_take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
	curl_multi_add_handle(multi, c);
	return c;
}

int
main(int argc, char **argv)
{
	struct relay *r = calloc(1, sizeof(*r));
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	CURLM *multi;
	CURL *source, *sink;
	CURLMsg *msg;
	int running = 1, left, status = 0;

	if (argc != 4 || r == NULL)
		return 2;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	source = relay_leg(multi, argv[1], r);
	sink = relay_leg(multi, argv[2], r);
	curl_easy_setopt(sink, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(sink, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(sink, CURLOPT_INFILESIZE_LARGE, (curl_off_t)strtoll(argv[3], NULL, 10));
	curl_easy_setopt(sink, CURLOPT_READFUNCTION, relay_give);
	curl_easy_setopt(sink, CURLOPT_READDATA, r);
	while (running > 0) {
		curl_multi_perform(multi, &running);
		if (r->sink_waits && r->len > 0) {
			r->sink_waits = false;
			curl_easy_pause(sink, CURLPAUSE_CONT);
		}
		if (r->source_waits && r->len <= sizeof(r->data) / 2) {
			r->source_waits = false;
			curl_easy_pause(source, CURLPAUSE_CONT);
		}
		while ((msg = curl_multi_info_read(multi, &left)) != NULL) {
			if (msg->msg == CURLMSG_DONE && msg->data.result != CURLE_OK) {
				fprintf(stderr, "relay_curl: %s\n",
				    curl_easy_strerror(msg->data.result));
				status = 1;
				running = 0;
			}
		}
		if (running > 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	curl_multi_remove_handle(multi, source);
	curl_multi_remove_handle(multi, sink);
	curl_easy_cleanup(source);
	curl_easy_cleanup(sink);
	curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	free(r);
	return status;
}
