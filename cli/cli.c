#include "cli/cli.h"
#include "cli/text.h"
#include "src/settings.h"
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URI_MAX (4 * 4096 + 64) /* a path of PATH_BYTES_MAX, each byte as %XX */

const struct option_def json_options[] = {
    {0, "json", NULL, "print JSON"},
    {0},
};

int
cli_init(struct cli *cli, struct err *err)
{
	cli->loop = loop_new("main", err);
	return cli->loop == NULL ? err->code : 0;
}

static void
cli_free_event(struct event **event)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
}

void
cli_fini(struct cli *cli)
{
	client_free(cli->client);
	cli_free_event(&cli->timer);
	cli_free_event(&cli->sigint);
	cli_free_event(&cli->sigterm);
	if (cli->loop != NULL)
		loop_free(cli->loop);
	settings_free(cli->settings);
	*cli = (struct cli){0};
}

int
cli_connect(struct cli *cli, struct err *err)
{
	if (cli->client == NULL)
		cli->client = client_new(cli->loop, cli->settings, err);
	return cli->client == NULL ? err->code : 0;
}

int
cli_call(struct cli *cli, json_t **out, const char *method, json_t *body, struct err *err,
    const char *path, ...)
{
	CLEANUP(cleanup_free) char *text = NULL;
	va_list ap;
	int code = cli_connect(cli, err);

	if (code < 0) {
		json_decref(body);
		return code;
	}
	va_start(ap, path);
	text = xvasprintf(path, ap);
	va_end(ap);
	return client_call(cli->client, out, method, text, body, err);
}

static void
cli_on_timeout(evutil_socket_t fd, short what, void *arg)
{
	cli_wake(arg);
}

void
cli_wait(struct cli *cli, uint64_t ms)
{
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	if (cli->woken) {
		cli->woken = false;
		return;
	}
	if (ms != UINT64_MAX) {
		if (cli->timer == NULL)
			cli->timer = evtimer_new(loop_base(cli->loop), cli_on_timeout, cli);
		evtimer_add(cli->timer, &tv);
	}
	cli->waiting = true;
	loop_run(cli->loop);
	cli->waiting = false;
	if (ms != UINT64_MAX)
		evtimer_del(cli->timer);
}

void
cli_wake(struct cli *cli)
{
	if (!cli->waiting) {
		cli->woken = true;
		return;
	}
	/* once: a second stop would end the next run before it began */
	cli->waiting = false;
	loop_stop(cli->loop);
}

static void
cli_on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct cli *cli = arg;

	if (cli->interrupted) {
		if (cli->on_second_signal != NULL)
			cli->on_second_signal(cli->signal_arg);
		_exit(128 + (int)sig);
	}
	cli->interrupted = true;
	cli_wake(cli);
}

void
cli_catch_signals(struct cli *cli, void (*second)(void *arg), void *arg)
{
	struct event_base *base = loop_base(cli->loop);

	cli->on_second_signal = second;
	cli->signal_arg = arg;
	if (cli->sigint != NULL)
		return;
	cli->sigint = evsignal_new(base, SIGINT, cli_on_signal, cli);
	cli->sigterm = evsignal_new(base, SIGTERM, cli_on_signal, cli);
	event_add(cli->sigint, NULL);
	event_add(cli->sigterm, NULL);
}

PRINTF(1, 0)
static void
cli_vwarn(const char *fmt, va_list ap)
{
	CLEANUP(cleanup_free) char *text = xvasprintf(fmt, ap);
	CLEANUP(cleanup_free) char *safe = text_escape(text);

	fflush(stdout);
	fprintf(stderr, "skyferry: %s\n", safe);
}

void
cli_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_vwarn(fmt, ap);
	va_end(ap);
}

int
cli_fail(const struct err *err)
{
	cli_warn("%s", err_text(err));
	return EXIT_FAILED;
}

int
cli_usage(const struct cli *cli, const char *fmt, ...)
{
	const char *name = cli->command != NULL ? cli->command->name : NULL;
	va_list ap;

	va_start(ap, fmt);
	cli_vwarn(fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try 'skyferry %s%s--help'.\n", name != NULL ? name : "",
	    name != NULL ? " " : "");
	return EXIT_USAGE;
}

void
cli_puts(const char *s)
{
	CLEANUP(cleanup_free) char *safe = text_escape(s);

	fputs(safe, stdout);
}

void
cli_print_json(json_t *value)
{
	/* \u escapes keep a terminal safe; a program reads both forms */
	json_dumpf(value, stdout, JSON_INDENT(2) | (isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0));
	putchar('\n');
	json_decref(value);
}

const char *
json_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

uint64_t
json_num_or_unknown(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_number(value) || json_number_value(value) < 0)
		return UINT64_MAX;
	return json_is_integer(value) ? (uint64_t)json_integer_value(value)
				      : (uint64_t)json_real_value(value);
}

uint64_t
json_num(const json_t *object, const char *key)
{
	uint64_t n = json_num_or_unknown(object, key);

	return n == UINT64_MAX ? 0 : n;
}

bool
json_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

char *
uri_encode(const char *s)
{
	struct buf out = BUF_INIT(URI_MAX);

	buf_puts(&out, "");
	buf_put_uri(&out, s, NULL);
	return out.data != NULL ? buf_take(&out) : xstrdup("");
}
