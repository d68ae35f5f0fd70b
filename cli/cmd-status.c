#include "cli/changes.h"
#include "cli/format.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* {"daemon":{…}, "accounts":{"ok","error"}, "changes":{…}, "mounts":[…]} */
static int
status_read(struct cli *cli, json_t **out, struct err *err)
{
	static const char *states[] = {"pending", "queued", "running", "failed"};
	json_t *health = NULL, *accounts = NULL, *mounts = NULL, *changes = json_object();
	json_t *account;
	uint64_t count = 0, ok = 0, bad = 0;
	size_t i;
	int code = cli_call(cli, &health, "GET", NULL, err, "/health");

	if (code == 0)
		code = cli_call(cli, &accounts, "GET", NULL, err, "/api/accounts");
	if (code == 0)
		code = cli_call(cli, &mounts, "GET", NULL, err, "/api/mounts");
	/* over TCP mounts are nobody's business */
	if (code == -EPERM || code == -EACCES) {
		mounts = json_pack("{s:[]}", "mounts");
		code = 0;
	}
	for (i = 0; code == 0 && i < ARRAY_LEN(states); i++) {
		code = changes_count(cli, &count, states[i], err);
		json_object_set_new(changes, states[i], json_integer((json_int_t)count));
	}
	json_array_foreach (json_object_get(accounts, "accounts"), i, account) {
		if (strcmp(json_str(account, "status"), "ok") == 0)
			ok++;
		else
			bad++;
	}
	if (code == 0)
		*out = json_pack("{s:{s:s, s:s, s:I, s:s}, s:{s:I, s:I}, s:O, s:O}", "daemon",
		    "status", json_str(health, "status"), "version", json_str(health, "version"),
		    "uptime", (json_int_t)json_num(health, "uptime"), "where",
		    client_where(cli->client), "accounts", "ok", (json_int_t)ok, "error",
		    (json_int_t)bad, "changes", changes, "mounts",
		    json_object_get(mounts, "mounts"));
	json_decref(health);
	json_decref(accounts);
	json_decref(mounts);
	json_decref(changes);
	if (code == 0 && *out == NULL)
		code = err_set(err, -EPROTO, "the daemon's answers make no sense");
	return code;
}

static void
status_print(const json_t *status)
{
	const json_t *daemon = json_object_get(status, "daemon");
	const json_t *accounts = json_object_get(status, "accounts");
	const json_t *changes = json_object_get(status, "changes"), *mount;
	char a[FORMAT_MAX], b[FORMAT_MAX];
	uint64_t failed = json_num(changes, "failed");
	size_t i;

	printf("Daemon    %s, version %s, up %s, at %s\n", json_str(daemon, "status"),
	    json_str(daemon, "version"), format_duration(a, json_num(daemon, "uptime")),
	    json_str(daemon, "where"));
	printf("Accounts  %" PRIu64 " ok", json_num(accounts, "ok"));
	if (json_num(accounts, "error") > 0)
		printf(", %" PRIu64 " with errors: 'skyferry account list' says which",
		    json_num(accounts, "error"));
	printf("\nChanges   %s running, %s queued", format_count(a, json_num(changes, "running")),
	    format_count(b, json_num(changes, "queued")));
	if (json_num(changes, "pending") > 0)
		printf(", %s being written", format_count(a, json_num(changes, "pending")));
	putchar('\n');
	if (failed > 0)
		printf(
		    "          %s FAILED: see 'skyferry transfers --status failed', then 'skyferry "
		    "transfer retry ID'\n",
		    format_count(a, failed));
	json_array_foreach (json_object_get(status, "mounts"), i, mount) {
		printf("Mount     ");
		cli_puts(json_str(mount, "directory"));
		if (json_num(mount, "pending") > 0)
			printf(", %" PRIu64 " files being written", json_num(mount, "pending"));
		puts(json_flag(mount, "connected") ? "" : ", not connected");
	}
}

int
cmd_status(struct cli *cli, struct args *args)
{
	struct err err = ERR_INIT;
	json_t *status = NULL;

	if (status_read(cli, &status, &err) < 0)
		return cli_fail(&err);
	if (args_has(args, "json")) {
		cli_print_json(status);
		return EXIT_OK;
	}
	status_print(status);
	json_decref(status);
	return EXIT_OK;
}
