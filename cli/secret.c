#include "cli/secret.h"
#include "cli/cli.h"
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SECRETS_MAX 65536 /* of a file: a service account's key is 3 KiB */
#define LINE_BYTES  8192
#define ENV_PREFIX  "SKYFERRY_CREDENTIAL_"

static volatile sig_atomic_t caught; /* the last signal while a secret was asked for */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

static void
on_signal(int sig)
{
	caught = sig;
}

bool
secret_can_ask(void)
{
	return isatty(STDIN_FILENO);
}

/* One line, into a buf that is wiped.  -EINTR: a signal came. */
static int
read_line(struct buf *out, int fd)
{
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0)
			return -errno;
		if (n == 0)
			return out->len > 0 ? 0 : -ENODATA;
		if (c == '\n')
			return 0;
		if (!buf_putc(out, c))
			return -EMSGSIZE;
	}
}

/* Once: with the signals caught, so that the terminal is put right before they do their work. */
static int
ask_once(struct buf *out, int fd, const char *prompt, bool hide)
{
	struct sigaction action = {.sa_handler = on_signal}, old[ARRAY_LEN(signals)];
	struct termios was, quiet;
	bool hidden = hide && tcgetattr(fd, &was) == 0;
	int code;

	caught = 0;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &action, &old[i]);
	if (hidden) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
		quiet.c_lflag |= ECHONL;
		tcsetattr(fd, TCSAFLUSH, &quiet);
	}
	dprintf(fd, "%s: ", prompt);
	code = caught != 0 ? -EINTR : read_line(out, fd);
	if (hidden)
		tcsetattr(fd, TCSAFLUSH, &was);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	return code;
}

int
secret_ask(char **out, const char *prompt, bool hide, struct err *err)
{
	CLEANUP(cleanup_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct buf line = {.max = LINE_BYTES, .secret = true};
	int code;

	if (fd < 0)
		return err_sys(err, -errno, "cannot open the terminal to ask for '%s'", prompt);
	do {
		buf_free(&line);
		line = (struct buf){.max = LINE_BYTES, .secret = true};
		code = ask_once(&line, fd, prompt, hide);
		if (code == -EINTR && caught != 0) {
			dprintf(fd, "\n");
			/* ends the program or stops it, as it would have; after a stop: ask again
			 */
			raise(caught);
		}
	} while (code == -EINTR);
	if (code < 0) {
		buf_free(&line);
		if (code == -ENODATA)
			return err_set(err, -EINVAL, "nothing was entered for '%s'", prompt);
		return err_sys(err, code, "cannot read '%s' from the terminal", prompt);
	}
	buf_puts(&line, "");
	*out = xstrdup(buf_str(&line));
	buf_free(&line);
	return 0;
}

int
secret_ask_new(char **out, const char *prompt, struct err *err)
{
	CLEANUP(cleanup_free) char *again_prompt = xasprintf("%s again", prompt);
	char *first = NULL, *second = NULL;
	int code = secret_ask(&first, prompt, true, err);

	if (code == 0)
		code = secret_ask(&second, again_prompt, true, err);
	if (code == 0 && strcmp(first, second) != 0)
		code = err_set(err, -EINVAL, "the two were not the same");
	mem_wipe_free(second);
	if (code == 0)
		*out = first;
	else
		mem_wipe_free(first);
	return code;
}

static int
read_all(struct buf *out, const char *file, struct err *err)
{
	bool is_stdin = strcmp(file, "-") == 0;
	CLEANUP(cleanup_close) int opened = is_stdin ? -1 : open(file, O_RDONLY | O_CLOEXEC);
	int fd = is_stdin ? STDIN_FILENO : opened;
	struct stat st;
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return err_sys(err, -errno, "cannot open '%s'", file);
	if (!is_stdin && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		cli_warn("'%s' can be read by others: chmod 600 '%s', and consider new secrets",
		    file, file);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "cannot read '%s'", file);
		if (!buf_add(out, chunk, (size_t)n))
			break;
	}
	mem_wipe(chunk, sizeof(chunk));
	if (out->failed)
		return err_set(err, -EFBIG, "'%s' has more than %d bytes", file, SECRETS_MAX);
	return 0;
}

int
secret_read_line(char **out, const char *file, struct err *err)
{
	CLEANUP(buf_free) struct buf text = {.max = SECRETS_MAX, .secret = true};
	int code = read_all(&text, file, err);
	size_t len;

	if (code < 0)
		return code;
	len = strcspn(buf_str(&text), "\r\n");
	if (len == 0)
		return err_set(err, -EINVAL, "the first line of '%s' is empty", file);
	*out = xstrndup(buf_str(&text), len);
	return 0;
}

static int
parse_json(json_t **out, const char *text, const char *name, struct err *err)
{
	json_error_t why;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why), *value;
	const char *key;
	void *next;

	/* why.text could quote what stands there: only the place is told */
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(err, -EINVAL, "'%s' is no JSON object (line %d)", name, why.line);
	}
	/* a value that is JSON itself (a key file pasted in) is handed on as text */
	json_object_foreach_safe(root, next, key, value)
	{
		char *dump;

		if (json_is_string(value))
			continue;
		dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		json_object_set_new(root, key, json_string(dump != NULL ? dump : ""));
		mem_wipe_free(dump);
	}
	*out = root;
	return 0;
}

/* [from, *len) without blanks around it. */
static const char *
trim(const char *from, size_t *len)
{
	while (*len > 0 && isspace((unsigned char)*from)) {
		from++;
		(*len)--;
	}
	while (*len > 0 && isspace((unsigned char)from[*len - 1]))
		(*len)--;
	return from;
}

/* Not through inih, which cuts values at " ;" and lines at 200 bytes. */
static int
parse_lines(json_t **out, const char *text, const char *account, const char *name, struct err *err)
{
	json_t *root = json_object();
	bool ours = true;
	unsigned number = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, "\n"), key_len, value_len;
		const char *line = text, *equals, *value;
		CLEANUP(cleanup_free) char *key = NULL;

		text += len + (text[len] == '\n');
		number++;
		line = trim(line, &len);
		if (len == 0 || line[0] == '#' || line[0] == ';')
			continue;
		if (line[0] == '[' && line[len - 1] == ']') {
			ours =
			    strlen(account) == len - 2 && strncmp(line + 1, account, len - 2) == 0;
			continue;
		}
		equals = memchr(line, '=', len);
		if (equals == NULL || equals == line) {
			json_decref(root);
			return err_set(err, -EINVAL, "'%s', line %u: 'name = value' is expected",
			    name, number);
		}
		if (!ours)
			continue;
		key_len = (size_t)(equals - line);
		value_len = len - key_len - 1;
		line = trim(line, &key_len);
		value = trim(equals + 1, &value_len);
		key = xstrndup(line, key_len);
		if (json_object_set_new(root, key, json_stringn(value, value_len)) < 0) {
			json_decref(root);
			return err_set(err, -EINVAL, "'%s', line %u: not UTF-8", name, number);
		}
	}
	*out = root;
	return 0;
}

int
secret_parse(json_t **out, const char *text, const char *account, const char *name, struct err *err)
{
	size_t len = strlen(text);

	if (*trim(text, &len) == '{')
		return parse_json(out, text, name, err);
	return parse_lines(out, text, account, name, err);
}

int
secret_read_file(json_t **out, const char *file, const char *account, struct err *err)
{
	CLEANUP(buf_free) struct buf text = {.max = SECRETS_MAX, .secret = true};
	int code = read_all(&text, file, err);

	if (code < 0)
		return code;
	return secret_parse(out, buf_str(&text), account, file, err);
}

void
secret_env_name(char *out, size_t size, const char *field)
{
	struct buf name = BUF_INIT(256);

	buf_puts(&name, ENV_PREFIX);
	for (; *field != '\0'; field++) {
		if (isupper((unsigned char)*field))
			buf_putc(&name, '_');
		buf_putc(&name, (char)toupper((unsigned char)*field));
	}
	snprintf(out, size, "%s", buf_str(&name));
	buf_free(&name);
}

const char *
secret_from_env(const char *field)
{
	char name[256];

	secret_env_name(name, sizeof(name), field);
	return getenv(name);
}
