/*
 * daemon: the mount's connection to skyferryd: its record there (which holds the lease of what is
 * being written), and the stream of events.  When the stream breaks it is made again, with a pause
 * that grows to DAEMON_PAUSE_MAX_MS, and what was known from events is asked for afresh.
 */
#pragma once
#include "fs/fs.h"
#include "src/client.h"

struct daemon_link *daemon_new(struct fs *, struct err *);
void daemon_free(struct daemon_link *); /* NULL is a no-op */
struct client *daemon_client(struct daemon_link *);
/* Before mounting, and waiting for it: is the daemon there, and ours?  Fills fs->spool_dir and
 * settle_ms. */
int daemon_register(struct daemon_link *, struct err *);
void daemon_connect(struct daemon_link *); /* begins to listen to events */
/* Tells it that the mount has ended: its pending writes are queued. */
int daemon_unregister(struct task *, struct err *);
const char *daemon_mount_id(const struct daemon_link *);
bool daemon_is_connected(const struct daemon_link *);
bool daemon_is_away(int code); /* not an answer: trying again may help */
/* Waits until a change's event may have come, or the connection was made again. */
int daemon_wait_event(struct task *, uint64_t deadline);
/* Seconds since the connection was lost; 0 while there is one. */
uint64_t daemon_away_ms(const struct daemon_link *);
char *daemon_uuid(void); /* for a new change; caller frees */
