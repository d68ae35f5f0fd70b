#include "cli/sign_in.h"
#include "cli/follow.h"
#include "cli/secret.h"
#include "src/buf.h"
#include "src/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The daemon's own limit of a visit ("expiresAt"), and a little. */
#define SIGN_IN_MAX_MS (16 * 60 * 1000)

extern char **environ;

struct sign_in {
	struct cli *cli;
	char *id; /* the account's */
	char *state;
	bool changed; /* the account has */
	char *failed; /* why a visit came to nothing */
};

bool
sign_in_has_browser(void)
{
	static const char *const displays[] = {"BROWSER", "WAYLAND_DISPLAY", "DISPLAY"};

	for (size_t i = 0; i < ARRAY_LEN(displays); i++) {
		const char *value = getenv(displays[i]);

		if (value != NULL && value[0] != '\0')
			return true;
	}
	return false;
}

/* $BROWSER, or what the desktop takes.  What it says is not ours to show. */
static int
open_browser(const char *url, struct err *err)
{
	const char *own = getenv("BROWSER");
	const char *program = own != NULL && own[0] != '\0' ? own : "xdg-open";
	char *argv[] = {(char *)program, (char *)url, NULL};
	posix_spawn_file_actions_t files;
	int status, code;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	code = -posix_spawnp(&pid, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (code != 0)
		return err_sys(err, code, "cannot start '%s'", program);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -EIO, "'%s' could not open a browser", program);
	return 0;
}

static void
sign_in_on_event(void *arg, const char *event, json_t *data)
{
	struct sign_in *s = arg;

	if (strcmp(event, "account") != 0 || strcmp(json_str(data, "id"), s->id) != 0)
		return;
	s->changed = true;
	if (strcmp(json_str(data, "event"), "sign-in failed") == 0)
		xstrset(&s->failed, json_str(data, "message"));
	cli_wake(s->cli);
}

/* 0: it was; -EACCES: not, and why. */
static int
sign_in_check(struct sign_in *s, struct err *err)
{
	json_t *account = NULL;
	int code = cli_call(s->cli, &account, "GET", NULL, err, "/api/accounts/%s", s->id);

	if (code == 0 && json_flag(account, "held"))
		code = err_set(err, -EACCES, "%s", json_str(account, "message"));
	json_decref(account);
	return code;
}

static int
sign_in_wait(struct sign_in *s, struct follow *f, struct err *err)
{
	uint64_t until = clock_mono_ms() + SIGN_IN_MAX_MS, now;

	cli_catch_signals(s->cli, NULL, NULL);
	while ((now = clock_mono_ms()) < until && !s->cli->interrupted) {
		if (follow_failed(f) != NULL) {
			*err = *follow_failed(f);
			return err->code;
		}
		if (s->failed != NULL)
			return err_set(err, -EACCES, "%s", s->failed);
		/* After a lost connection what happened meanwhile was missed. */
		if ((s->changed || follow_take_fresh(f)) && sign_in_check(s, err) == 0)
			return 0;
		s->changed = false;
		cli_wait(s->cli, until - now);
	}
	return s->cli->interrupted
	    ? err_set(err, -ECANCELED, "interrupted")
	    : err_set(err, -ETIMEDOUT, "nobody signed in: try again, also with --no-browser");
}

static int
sign_in_by_browser(struct sign_in *s, const char *url, struct err *err)
{
	struct follow *f = follow_new(s->cli, FOLLOW_PATIENCE_MS, sign_in_on_event, s);
	int code = follow_ready(f, err);

	follow_take_fresh(f);
	if (code == 0) {
		printf(
		    "Sign in with the browser that opens now, or at this address:\n\n%s\n\n", url);
		fflush(stdout);
		if (open_browser(url, err) != 0)
			cli_warn(
			    "%s: open the address yourself, or use --no-browser", err_text(err));
		code = sign_in_wait(s, f, err);
	}
	follow_free(f);
	return code;
}

/* The code in the address that the browser ended at, or that the page showed. */
static char *
code_from(const char *line)
{
	const char *query = strchr(line, '?'), *at;
	char *code;

	line += strspn(line, " \t");
	at = query == NULL ? NULL : strstr(query, "code=");
	while (at != NULL && at[-1] != '?' && at[-1] != '&')
		at = strstr(at + 1, "code=");
	if (at == NULL)
		return xstrndup(line, strcspn(line, " \t\r\n"));
	at += strlen("code=");
	code = xstrndup(at, strcspn(at, "&# \t\r\n"));
	uri_decode(code);
	return code;
}

static int
sign_in_by_paste(struct sign_in *s, const char *url, struct err *err)
{
	CLEANUP(cleanup_free) char *code = NULL;
	CLEANUP(cleanup_free) char *encoded = NULL;
	char *line = NULL;
	int result;

	printf("Open this address with any browser and sign in:\n\n%s\n\n"
	       "The browser ends at a page that shows a code, or that it cannot open.\n",
	    url);
	fflush(stdout);
	result = secret_can_ask()
	    ? secret_ask(&line, "The code, or that page's address", false, err)
	    : secret_read_line(&line, "-", err);
	if (result != 0)
		return result;
	code = code_from(line);
	mem_wipe_free(line);
	if (code[0] == '\0')
		return err_set(err, -EINVAL, "no code was given: nobody is signed in");
	encoded = uri_encode(code);
	return cli_call(s->cli, NULL, "GET", NULL, err, "/api/oauth/callback?state=%s&code=%s",
	    s->state, encoded);
}

int
sign_in_run(struct cli *cli, const char *name, bool browser, struct err *err)
{
	CLEANUP(cleanup_free) char *encoded = uri_encode(name);
	struct sign_in s = {.cli = cli};
	json_t *account = NULL, *start = NULL;
	int code = cli_call(cli, &account, "GET", NULL, err, "/api/accounts/%s", encoded);

	if (code == 0)
		code = cli_call(cli, &start, "POST", NULL, err, "/api/accounts/%s/oauth/start",
		    json_str(account, "id"));
	if (code == 0) {
		s.id = xstrdup(json_str(account, "id"));
		s.state = xstrdup(json_str(start, "state"));
		code = browser ? sign_in_by_browser(&s, json_str(start, "url"), err)
			       : sign_in_by_paste(&s, json_str(start, "url"), err);
	}
	if (code == 0)
		printf("%s: signed in\n", name);
	json_decref(account);
	json_decref(start);
	free(s.id);
	free(s.state);
	free(s.failed);
	return code;
}
