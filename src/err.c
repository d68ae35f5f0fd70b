#include "src/err.h"
#include "src/buf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The order is that of the documentation: what the caller did, what the cloud has, what is
 * transient. */
static const struct err_info table[] = {
    {-ENOENT, "not_found", 404, ERR_RETRY_NEVER, "not found"},
    {-EEXIST, "exists", 409, ERR_RETRY_NEVER, "exists already"},
    {-ESTALE, "changed", 409, ERR_RETRY_NEVER, "changed underneath"},
    {-EACCES, "denied", 403, ERR_RETRY_NEVER, "access denied"},
    {-EPERM, "forbidden", 403, ERR_RETRY_NEVER, "not allowed"},
    {-EROFS, "read_only", 403, ERR_RETRY_NEVER, "read-only"},
    {-EKEYEXPIRED, "sign_in_again", 403, ERR_RETRY_REFRESH, "credentials have expired"},
    {-EDQUOT, "quota", 507, ERR_RETRY_NEVER, "quota exceeded"},
    {-ENOSPC, "no_space", 507, ERR_RETRY_NEVER, "no space left"},
    {-EFBIG, "too_large", 413, ERR_RETRY_NEVER, "too large"},
    {-E2BIG, "too_many", 413, ERR_RETRY_NEVER, "too many"},
    {-EILSEQ, "bad_name", 400, ERR_RETRY_NEVER, "name not possible here"},
    {-ENAMETOOLONG, "name_too_long", 400, ERR_RETRY_NEVER, "name too long"},
    {-EINVAL, "invalid", 400, ERR_RETRY_NEVER, "invalid"},
    {-EXDEV, "cross_account", 400, ERR_RETRY_NEVER, "not within one account"},
    {-EBUSY, "busy", 409, ERR_RETRY_NEVER, "in use"},
    {-EALREADY, "already", 409, ERR_RETRY_NEVER, "already done"},
    {-ENOTEMPTY, "not_empty", 409, ERR_RETRY_NEVER, "directory not empty"},
    {-ENOTDIR, "not_a_directory", 409, ERR_RETRY_NEVER, "not a directory"},
    {-EISDIR, "is_a_directory", 409, ERR_RETRY_NEVER, "is a directory"},
    {-ECANCELED, "cancelled", 409, ERR_RETRY_NEVER, "cancelled"},
    {-ENODATA, "predecessor_failed", 409, ERR_RETRY_NEVER, "an earlier change failed"},
    {-EKEYREJECTED, "wrong_key", 500, ERR_RETRY_NEVER, "wrong master key"},
    {-EOPNOTSUPP, "unsupported", 501, ERR_RETRY_NEVER, "not supported"},
    /* Cut off or damaged on the way, or what a broken server always says. */
    {-EPROTO, "bad_answer", 502, ERR_RETRY_FEW, "answer makes no sense"},
    /* A retry reads and writes the bytes anew: damage on the way does not come twice. */
    {-EBADMSG, "checksum_mismatch", 502, ERR_RETRY_BACKOFF, "checksum mismatch"},
    {-EAGAIN, "throttled", 429, ERR_RETRY_BACKOFF, "asked to slow down"},
    {-ETIMEDOUT, "timeout", 504, ERR_RETRY_BACKOFF, "timed out"},
    {-ECONNRESET, "connection_lost", 502, ERR_RETRY_BACKOFF, "connection lost"},
    {-ECONNREFUSED, "refused", 502, ERR_RETRY_BACKOFF, "connection refused"},
    {-EHOSTUNREACH, "unreachable", 502, ERR_RETRY_BACKOFF, "cannot be reached"},
    {-EIO, "io", 502, ERR_RETRY_BACKOFF, "input/output error"},
    {-ESHUTDOWN, "stopping", 503, ERR_RETRY_BACKOFF, "the daemon is stopping"},
    {-ENOMEM, "out_of_memory", 503, ERR_RETRY_BACKOFF, "out of memory"},
    {-EMFILE, "too_many_open", 503, ERR_RETRY_BACKOFF, "too many open files"},
    {-ENFILE, "system_too_many_open", 503, ERR_RETRY_BACKOFF, "too many open files in the system"},
};

/* Messages become JSON and terminal lines: one line, valid UTF-8, whatever the other side sent. */
static void
err_clean(char *msg)
{
	size_t len = strlen(msg), good = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (msg[i] == '\n' || msg[i] == '\r' || msg[i] == '\t')
			msg[i] = ' ';
		else if ((unsigned char)msg[i] < 0x20 || msg[i] == 0x7f)
			msg[i] = '?';
	}
	while ((good += utf8_valid_len(msg + good, len - good)) < len)
		msg[good] = '?';
}

int
err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	err->code = code;
	err->wait_ms = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	err_clean(err->msg);
	return code;
}

int
err_sys(struct err *err, int code, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	size_t len;

	if (err == NULL)
		return code;
	err->code = code;
	err->wait_ms = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(
	    err->msg + len, sizeof err->msg - len, ": %s", strerror_r(-code, text, sizeof text));
	err_clean(err->msg);
	return code;
}

void
err_clear(struct err *err)
{
	if (err == NULL)
		return;
	err->code = 0;
	err->wait_ms = 0;
	err->msg[0] = '\0';
}

void
err_keep(struct err **kept, const struct err *err)
{
	struct err *was = *kept;

	*kept = err == NULL ? NULL : xmemdup(err, sizeof *err);
	free(was);
}

const struct err_info *
err_info(int code)
{
	const struct err_info *io = NULL;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].code == code)
			return &table[i];
		if (table[i].code == -EIO)
			io = &table[i];
	}
	return io;
}

bool
err_is_transient(int code)
{
	enum err_retry retry = err_info(code)->retry;

	return retry == ERR_RETRY_BACKOFF || retry == ERR_RETRY_FEW;
}

bool
err_may_repeat(int code, unsigned tries)
{
	return err_is_transient(code) &&
	    (err_info(code)->retry != ERR_RETRY_FEW || tries < ERR_FEW);
}

int
err_by_name(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name) == 0)
			return table[i].code;
	}
	return -EIO;
}

const char *
err_text(const struct err *err)
{
	return err->msg[0] != '\0' ? err->msg : err_info(err->code)->text;
}

const struct err_info *
err_table(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i] : NULL;
}
