/*
 * creates: how many durable changes a second the API accepts.  CLIENTS keep-alive connections over
 * the Unix socket each post one transfer after the other; every answer is checked to be 201.
 *
 *   creates SOCKET CLIENTS COUNT SOURCE_ACCOUNT DESTINATION_ACCOUNT [SOURCE_PATH SUFFIX]
 *
 * The transfers are for a day ahead, so that nothing but acceptance is measured; with SOURCE_PATH
 * they are of that object, due now, and the destinations' names end in SUFFIX.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct client {
	CURL *easy;
	char body[512];
};

static const char *source, *destination, *source_path = "source", *suffix = "";
static char not_before[60];
static long left, failed, number;

static size_t
drop(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

static void
client_post(CURLM *multi, struct client *c)
{
	snprintf(c->body, sizeof(c->body),
	    "{\"sourceAccountId\":\"%s\",\"sourcePath\":\"%s\",\"destinationAccountId\":\"%s\","
	    "\"destinationPath\":\"d%ld/f%ld%s\"%s}",
	    source, source_path, destination, number / 1000, number, suffix, not_before);
	number++;
	left--;
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
	curl_multi_add_handle(multi, c->easy);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct client *clients;
	time_t tomorrow = time(NULL) + 86400;
	long n_clients, count, done = 0, status;
	double began;
	struct tm tm;
	CURLM *multi;
	CURLMsg *msg;
	int running, queued;

	if (argc != 6 && argc != 8) {
		fprintf(stderr,
		    "usage: creates SOCKET CLIENTS COUNT SOURCE_ACCOUNT DESTINATION_ACCOUNT "
		    "[SOURCE_PATH SUFFIX]\n");
		return 2;
	}
	n_clients = strtol(argv[2], NULL, 10);
	left = count = strtol(argv[3], NULL, 10);
	source = argv[4];
	destination = argv[5];
	if (argc == 8) {
		source_path = argv[6];
		suffix = argv[7];
	} else {
		strftime(not_before, sizeof(not_before),
		    ",\"notBefore\":\"%Y-%m-%dT%H:%M:%S.000Z\"", gmtime_r(&tomorrow, &tm));
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, n_clients + 1);
	clients = calloc((size_t)n_clients, sizeof(*clients));
	began = now();
	for (long i = 0; i < n_clients; i++) {
		clients[i].easy = curl_easy_init();
		curl_easy_setopt(clients[i].easy, CURLOPT_URL, "http://skyferry/api/transfers");
		curl_easy_setopt(clients[i].easy, CURLOPT_UNIX_SOCKET_PATH, argv[1]);
		curl_easy_setopt(clients[i].easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(clients[i].easy, CURLOPT_WRITEFUNCTION, drop);
		curl_easy_setopt(clients[i].easy, CURLOPT_PRIVATE, &clients[i]);
		if (left > 0)
			client_post(multi, &clients[i]);
	}
	while (done < count) {
		curl_multi_perform(multi, &running);
		while ((msg = curl_multi_info_read(multi, &queued)) != NULL) {
			struct client *c;

			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &c);
			curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
			if (msg->data.result != CURLE_OK || status != 201)
				failed++;
			done++;
			curl_multi_remove_handle(multi, c->easy);
			if (left > 0)
				client_post(multi, c);
		}
		if (done < count)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("clients %ld requests %ld failed %ld seconds %.2f requests/s %.0f\n", n_clients,
	    count, failed, now() - began, (double)count / (now() - began));
	for (long i = 0; i < n_clients; i++)
		curl_easy_cleanup(clients[i].easy);
	curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	free(clients);
	return failed == 0 ? 0 : 1;
}
