/* The one table of settings.  Each is in the manual page skyferry.conf(5); a test compares the two.
 */
#include "src/settings.h"

#define KIB    (INT64_C(1) << 10)
#define MIB    (INT64_C(1) << 20)
#define GIB    (INT64_C(1) << 30)
#define TIB    (INT64_C(1) << 40)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const struct setting table[] = {
    {"state.dir", SETTING_PATH, "", .help = "where the daemon keeps its store, key and spool"},
    {"runtime.dir", SETTING_PATH, "", .help = "where the daemon's socket and lock are"},

    {"api.listen", SETTING_STRING, "127.0.0.1:3000",
	.help = "address and port of the API over TCP, or none"},
    {"api.socket", SETTING_PATH, "",
	.help = "the API's Unix socket; empty: skyferryd.sock in runtime.dir"},
    {"api.public", SETTING_BOOL, "no", .help = "allows listening beyond loopback without TLS"},

    {"log.level", SETTING_ENUM, "info", .choices = "error|warning|info|debug", .reload = true,
	.help = "how much is logged"},

    {"users.auto", SETTING_BOOL, "no",
	.help = "a uid without a user gets one at its first call on the socket"},
    {"users.register", SETTING_ENUM, "local", .choices = "no|local|yes",
	.help = "who may register: nobody, callers on the socket and loopback, everybody"},
    {"token.lifetime", SETTING_TIME, "12h", MINUTE, 365 * DAY, .help = "how long a login lasts"},
    {"key.file", SETTING_PATH, "",
	.help = "the master key that seals credentials; empty: master.key in state.dir"},

    {"transfer.loops", SETTING_INT, "0", 0, 64,
	.help = "threads that carry transfers; 0: one per core"},
    {"transfer.max", SETTING_INT, "0", 0, 100000, .reload = true,
	.help =
	    "changes that run at once; 0: as many as open files and a quarter of the memory allow"},
    {"transfer.ring", SETTING_SIZE, "1M", 64 * KIB, 16 * MIB,
	.help =
	    "buffer between the source and the destination of a transfer; many at once have smaller ones"},
    {"transfer.memory", SETTING_SIZE, "0", 0, TIB,
	.help =
	    "memory of all those buffers; 0: a quarter of the machine's, and not more than 256M"},
    {"transfer.bandwidth", SETTING_SIZE, "0", 0, TIB, .reload = true,
	.help = "bytes a second of all transfers together; 0: no limit"},
    {"transfer.retries", SETTING_INT, "8", 0, 100,
	.help = "attempts after the first one, unless a change says otherwise"},
    {"transfer.backoff", SETTING_TIME, "1s", 1, HOUR,
	.help = "wait before the first retry; it doubles each time"},
    {"transfer.backoff_max", SETTING_TIME, "5m", 1, DAY, .help = "longest wait before a retry"},
    {"transfer.patience", SETTING_TIME, "10m", 0, DAY,
	.help = "for so long a cloud may ask to slow down before an attempt counts as failed"},
    {"account.concurrency", SETTING_INT, "0", 0, 100000, .reload = true,
	.help = "changes that run at once on one account that does not say; 0: no limit"},
    {"account.recheck", SETTING_TIME, "1m", 1, DAY, .reload = true,
	.help = "an account whose keys are refused is tried again after this, then more seldom"},
    {"schedule.age", SETTING_TIME, "60s", SECOND, DAY, .reload = true,
	.help = "waiting this long is worth one step of priority"},

    {"store.map_size", SETTING_SIZE, "1T", MIB, 64 * TIB,
	.help = "largest size of the store; the file grows only as needed"},
    {"history.days", SETTING_INT, "30", 0, 36500, .help = "days for which ended changes are kept"},
    {"history.max", SETTING_INT, "100000", 0, 100000000,
	.help = "ended changes that are kept for each user"},
    {"claim.lease", SETTING_TIME, "60s", SECOND, DAY,
	.help = "a claim that is not renewed for so long is free again"},
    {"drain.timeout", SETTING_TIME, "10s", 0, HOUR,
	.help = "how long a stopping daemon waits for what is under way"},

    {"http.connect_timeout", SETTING_TIME, "15s", 1, HOUR,
	.help = "longest time to connect, DNS and TLS included"},
    {"http.stall_timeout", SETTING_TIME, "60s", 1, DAY, .help = "longest time without a byte"},
    {"http.buffer", SETTING_SIZE, "512K", 16 * KIB, 512 * KIB,
	.help = "buffer of a connection; many at once have smaller ones"},
    {"pool.threads", SETTING_INT, "4", 1, 64,
	.help = "threads for the disk operations of a directory"},

    {"local.roots", SETTING_LIST, "", .help = "directories under which local accounts may lie"},
    {"local.fsync", SETTING_BOOL, "yes",
	.help = "files in local accounts are on disk before they count as done"},
    {"local.timeout", SETTING_TIME, "10s", 1, HOUR, .reload = true,
	.help = "how long a directory may take to answer when an account is made of it"},
    {"endpoints.private", SETTING_ENUM, "auto", .choices = "auto|yes|no",
	.help = "may accounts name private and link-local addresses; auto: in personal mode"},
    {"oauth.redirect", SETTING_STRING, "", .reload = true,
	.help =
	    "where a browser comes back to after signing in to a cloud; empty: /api/oauth/callback "
	    "of api.listen"},
    {"pull.private", SETTING_BOOL, "no",
	.help = "links to files at private addresses may be given to clouds, which then read them"},
    {"drivers.test", SETTING_BOOL, "no", .help = "offers the memory driver, for tests"},

    {"mount.settle", SETTING_TIME, "1s", 0, HOUR,
	.help = "how long a closed file may still change before it is uploaded"},
    {"mount.lease", SETTING_TIME, "10s", SECOND, HOUR,
	.help = "a mount that is gone for so long has its pending writes queued"},
    {"mount.fsync", SETTING_ENUM, "cloud", .choices = "cloud|spool",
	.help = "what fsync(2) waits for: the cloud has it, or the spool has it"},
    {"mount.daemon_timeout", SETTING_TIME, "30s", 0, HOUR,
	.help = "how long changes wait for a daemon that is away before EIO"},
    {"mount.entry_timeout", SETTING_TIME, "60s", 0, DAY,
	.help = "age at which a cached listing is read anew"},
    {"mount.changes", SETTING_TIME, "10s", 0, HOUR,
	.help = "how often a cloud is asked for what others have changed; 0: never"},
    {"mount.read_ahead", SETTING_SIZE, "16M", 0, GIB,
	.help = "largest window of read-ahead of one open file"},
    {"mount.memory", SETTING_SIZE, "256M", MIB, TIB,
	.help = "read buffers of all open files together"},
    {"spool.quota", SETTING_SIZE, "0", 0, 1024 * TIB,
	.help = "spool space of each user; 0: no limit"},
};

const struct setting *
settings_table(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i] : NULL;
}
