#include "cli/changes.h"
#include "cli/format.h"
#include "src/change.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE          1000
#define RESOLVE_PAGES 10 /* a beginning of an id is looked for among the newest 10,000 */

struct names {
	json_t *by_id;
};

int
names_load(struct names **out, struct cli *cli, struct err *err)
{
	json_t *answer = NULL, *account;
	struct names *names;
	size_t i;
	int code = cli_call(cli, &answer, "GET", NULL, err, "/api/accounts");

	if (code < 0)
		return code;
	names = xcalloc(1, sizeof(*names));
	names->by_id = json_object();
	json_array_foreach (json_object_get(answer, "accounts"), i, account)
		json_object_set(
		    names->by_id, json_str(account, "id"), json_object_get(account, "name"));
	json_decref(answer);
	*out = names;
	return 0;
}

void
names_free(struct names *names)
{
	if (names == NULL)
		return;
	json_decref(names->by_id);
	free(names);
}

const char *
names_get(const struct names *names, const char *account_id)
{
	const char *name = json_str(names->by_id, account_id);

	return name[0] != '\0' ? name : account_id;
}

char *
change_label(const struct names *names, const json_t *change)
{
	const char *kind = json_str(change, "kind");
	const char *from = names_get(names, json_str(change, "sourceAccountId"));
	const char *from_path = json_str(change, "sourcePath");
	const char *to = names_get(names, json_str(change, "destinationAccountId"));
	const char *to_path = json_str(change, "destinationPath");

	if (strcmp(kind, "transfer") == 0 && from[0] == '\0')
		return xasprintf("write %s:%s", to, to_path);
	if (strcmp(kind, "transfer") == 0)
		return xasprintf("%s%s:%s -> %s:%s", json_flag(change, "move") ? "move " : "", from,
		    from_path, to, to_path);
	if (strcmp(kind, "tree") == 0)
		return xasprintf("%s%s:%s/ -> %s:%s/", json_flag(change, "move") ? "move " : "",
		    from, from_path, to, to_path);
	if (strcmp(kind, "rename") == 0)
		return xasprintf("rename %s:%s -> %s:%s", from, from_path, to, to_path);
	return xasprintf("%s %s:%s", kind, to, to_path);
}

char *
change_children(const json_t *change)
{
	const json_t *c = json_object_get(change, "children");
	char ended[FORMAT_MAX], total[FORMAT_MAX], failed[FORMAT_MAX];
	uint64_t bad = json_num(c, "failed");

	if (c == NULL)
		return xstrdup("");
	return xasprintf(" (%s of %s%s%s%s%s)", format_count(ended, json_num(c, "done") + bad),
	    format_count(total, json_num(c, "total")), json_flag(c, "listed") ? "" : " so far",
	    bad > 0 ? ", " : "", bad > 0 ? format_count(failed, bad) : "",
	    bad > 0 ? " failed" : "");
}

bool
status_is_live(const char *status)
{
	return strcmp(status, "pending") == 0 || strcmp(status, "queued") == 0 ||
	    strcmp(status, "running") == 0;
}

char *
change_line(const struct names *names, const json_t *change, size_t id_columns)
{
	CLEANUP(cleanup_free) char *label = change_label(names, change);
	CLEANUP(cleanup_free) char *children = change_children(change);
	const char *status = json_str(change, "status");
	const char *message = json_str(json_object_get(change, "error"), "message");
	uint64_t total = json_num_or_unknown(change, "bytesTotal");
	uint64_t done = json_num(change, "bytesDone");
	char size[FORMAT_MAX] = "", percent[16] = "", rate[FORMAT_MAX] = "", left[FORMAT_MAX] = "";
	bool running = strcmp(status, "running") == 0;
	uint64_t eta = json_num_or_unknown(change, "etaSeconds");

	if (total != UINT64_MAX)
		format_bytes(size, total);
	else if (done > 0)
		format_bytes(size, done);
	if (running && format_percent(done, total) >= 0)
		snprintf(percent, sizeof(percent), "%d%%", format_percent(done, total));
	if (running && json_num(change, "rate") > 0)
		format_rate(rate, json_num(change, "rate"));
	if (running && eta != UINT64_MAX)
		format_duration(left, eta);
	return xasprintf("%-*.*s  %-9s %4s %9s  %s%s%s%s%s%s%s%s", (int)id_columns, (int)id_columns,
	    json_str(change, "id"), status, percent, size, label, children,
	    rate[0] != '\0' ? "  " : "", rate, left[0] != '\0' ? "  " : "", left,
	    message[0] != '\0' ? ": " : "", message);
}

int
status_check(const char *list, struct err *err)
{
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		CLEANUP(cleanup_free) char *name = xstrndup(list, len);

		if (change_state_parse(name) < 0)
			return err_set(err, -EINVAL,
			    "there is no status '%s'; there are pending, queued, running, "
			    "completed, failed and cancelled",
			    name);
		list += len + (list[len] == ',');
	}
	return 0;
}

int
changes_page(struct cli *cli, json_t **out, const char *status, const char *parent, unsigned page,
    unsigned limit, struct err *err)
{
	return cli_call(cli, out, "GET", NULL, err, "/api/transfers?page=%u&limit=%u%s%s%s%s", page,
	    limit, status != NULL ? "&status=" : "", status != NULL ? status : "",
	    parent != NULL ? "&parent=" : "", parent != NULL ? parent : "");
}

int
changes_count(struct cli *cli, uint64_t *out, const char *status, struct err *err)
{
	json_t *answer = NULL;
	int code = changes_page(cli, &answer, status, NULL, 1, 1, err);

	if (code == 0)
		*out = json_num(answer, "total");
	json_decref(answer);
	return code;
}

/* Counts the ids of the page that begin so, and remembers the last one. */
static unsigned
resolve_in_page(char out[ID_LEN + 1], const json_t *changes, const char *prefix)
{
	const json_t *change;
	unsigned found = 0;
	size_t i;

	json_array_foreach (changes, i, change) {
		const char *id = json_str(change, "id");

		if (strncmp(id, prefix, strlen(prefix)) != 0)
			continue;
		/* a page can shift while it is read: the same one again is no second one */
		if (strncmp(out, id, ID_LEN) != 0)
			found++;
		snprintf(out, ID_LEN + 1, "%s", id);
	}
	return found;
}

int
change_resolve(struct cli *cli, char out[ID_LEN + 1], const char *prefix, struct err *err)
{
	unsigned found = 0;
	uint64_t pages = 1;

	if (strspn(prefix, "0123456789abcdef-") != strlen(prefix) || strlen(prefix) > ID_LEN)
		return err_set(err, -EINVAL, "'%s' is no id of a change", prefix);
	if (strlen(prefix) < ID_PREFIX_MIN)
		return err_set(err, -EINVAL, "'%s' is too short: at least %d characters of the id",
		    prefix, ID_PREFIX_MIN);
	out[0] = '\0';
	if (strlen(prefix) == ID_LEN) {
		snprintf(out, ID_LEN + 1, "%s", prefix);
		return 0;
	}
	for (unsigned page = 1; page <= RESOLVE_PAGES && page <= pages; page++) {
		json_t *answer = NULL;
		int code = changes_page(cli, &answer, NULL, NULL, page, PAGE, err);

		if (code < 0)
			return code;
		pages = json_num(answer, "pages");
		found += resolve_in_page(out, json_object_get(answer, "transfers"), prefix);
		json_decref(answer);
	}
	if (found == 0)
		return err_set(err, -ENOENT,
		    "no change has an id that begins with '%s' ('skyferry transfers --all' lists "
		    "them)",
		    prefix);
	if (found > 1)
		return err_set(
		    err, -EINVAL, "'%s' fits %u changes: more of the id is needed", prefix, found);
	return 0;
}
