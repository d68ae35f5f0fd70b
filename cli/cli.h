/*
 * cli: what the commands of `skyferry` share: the call's context, how they talk to the daemon, how
 * they report, and how they wait.
 *
 * A command is a function: it gets the context and its parsed arguments and returns the exit
 * status. It is written top down: client_call() for answers, and cli_wait() for what events bring.
 * Callbacks (events, answers of client_start, timers, signals) record facts and cli_wake(); they
 * never wait.
 */
#pragma once
#include "cli/args.h"
#include "src/client.h"
#include "src/loop.h"
#include <jansson.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct cli;
struct command {
	const char *name; /* "account add" */
	const char *alias; /* or NULL */
	const char *usage; /* what follows the name: "NAME PROVIDER [FIELD=VALUE...]" */
	const char *help; /* one line */
	const char *details; /* more lines for --help, or NULL */
	const struct option_def *options; /* NULL: none */
	size_t min, max; /* operands */
	int (*run)(struct cli *, struct args *);
};
#define OPERANDS_ANY SIZE_MAX

struct cli {
	const struct command *command;
	struct settings *settings;
	struct loop *loop;
	struct client *client; /* cli_connect() makes it */
	bool interrupted; /* SIGINT or SIGTERM, once cli_catch_signals() was called */

	/* cli.c's own */
	bool waiting, woken;
	struct event *timer, *sigint, *sigterm;
	void (*on_second_signal)(void *arg);
	void *signal_arg;
};

int cli_init(struct cli *, struct err *);
void cli_fini(struct cli *);
/* Makes the client; nothing is sent.  Every call through cli_call() does it where needed. */
int cli_connect(struct cli *, struct err *);
/* client_call(); *out (may be NULL): caller decrefs.  body is stolen. */
int cli_call(struct cli *, json_t **out, const char *method, json_t *body, struct err *,
    const char *path, ...) PRINTF(6, 7);

/* Runs the loop until cli_wake() or so many ms (UINT64_MAX: no limit). */
void cli_wait(struct cli *, uint64_t ms);
void cli_wake(struct cli *); /* from callbacks; remembered if nobody waits */
/* From now on SIGINT and SIGTERM set `interrupted` and wake; the second one ends the program after
   `second` (may be NULL) has put the terminal right. */
void cli_catch_signals(struct cli *, void (*second)(void *arg), void *arg);

/* "skyferry: ..." to stderr, escaped for the terminal. */
void cli_warn(const char *fmt, ...) PRINTF(1, 2);
int cli_fail(const struct err *); /* the same from an err; EXIT_FAILED */
int cli_usage(const struct cli *, const char *fmt, ...)
    PRINTF(2, 3); /* and how to get help; EXIT_USAGE */
/* s escaped, to stdout. */
void cli_puts(const char *s);
void cli_print_json(json_t *value); /* to stdout; steals the reference */

/* Members of an answer; what is missing is "" or 0. */
const char *json_str(const json_t *object, const char *key);
uint64_t json_num(const json_t *object, const char *key);
/* Missing: UINT64_MAX. */
uint64_t json_num_or_unknown(const json_t *object, const char *key);
bool json_flag(const json_t *object, const char *key);
/* Percent-encoded as one segment of a path, or the value of a query.  Caller frees. */
char *uri_encode(const char *s);

/* The commands: one file each. */
int cmd_account_add(struct cli *, struct args *);
int cmd_account_list(struct cli *, struct args *);
int cmd_account_show(struct cli *, struct args *);
int cmd_account_sign_in(struct cli *, struct args *);
int cmd_account_test(struct cli *, struct args *);
int cmd_account_rename(struct cli *, struct args *);
int cmd_account_remove(struct cli *, struct args *);
int cmd_provider_list(struct cli *, struct args *);
int cmd_cp(struct cli *, struct args *);
int cmd_mv(struct cli *, struct args *);
int cmd_rm(struct cli *, struct args *);
int cmd_mkdir(struct cli *, struct args *);
int cmd_ls(struct cli *, struct args *);
int cmd_stat(struct cli *, struct args *);
int cmd_transfers(struct cli *, struct args *);
int cmd_transfer_show(struct cli *, struct args *);
int cmd_transfer_cancel(struct cli *, struct args *);
int cmd_transfer_retry(struct cli *, struct args *);
int cmd_transfer_wait(struct cli *, struct args *);
int cmd_transfer_limit(struct cli *, struct args *);
int cmd_account_limit(struct cli *, struct args *);
int cmd_mount(struct cli *, struct args *);
int cmd_unmount(struct cli *, struct args *);
int cmd_user_add(struct cli *, struct args *);
int cmd_user_passwd(struct cli *, struct args *);
int cmd_user_list(struct cli *, struct args *);
int cmd_login(struct cli *, struct args *);
int cmd_status(struct cli *, struct args *);

/* Their options; each ends with an empty entry. */
extern const struct option_def account_add_options[], account_limit_options[], sign_in_options[],
    copy_options[], rm_options[], mkdir_options[], ls_options[], stat_options[],
    transfers_options[], transfer_all_options[], transfer_wait_options[], mount_options[],
    unmount_options[], user_add_options[], user_passwd_options[], login_options[], json_options[];
