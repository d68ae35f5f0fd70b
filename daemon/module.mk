# The daemon's parts; skyferryd and its tests are linked with them.
noinst_LIBRARIES += libdaemon.a
libdaemon_a_SOURCES = \
	daemon/sched.c daemon/sched.h \
	daemon/store.c daemon/store.h daemon/store_private.h \
	daemon/store_account.c \
	daemon/store_change.c \
	daemon/store_check.c \
	daemon/store_checkpoint.c \
	daemon/store_history.c \
	daemon/store_index.c \
	daemon/store_list.c \
	daemon/store_lmdb.c daemon/store_lmdb.h \
	daemon/store_note.c \
	daemon/store_open.c \
	daemon/store_path.c daemon/store_path.h \
	daemon/store_pending.c \
	daemon/store_queue.c \
	daemon/store_record.c \
	daemon/store_retake.c \
	daemon/store_tree.c \
	daemon/store_user.c \
	daemon/store_wait.c
libdaemon_a_SOURCES += \
	daemon/api.h \
	daemon/api_accounts.c \
	daemon/api_changes.c \
	daemon/api_files.c \
	daemon/api_health.c \
	daemon/api_pending.c \
	daemon/api_transfers.c \
	daemon/api_users.c \
	daemon/auth.c daemon/auth.h \
	daemon/call.c daemon/call.h \
	daemon/check.c daemon/check.h \
	daemon/events.c daemon/events.h \
	daemon/mounts.c daemon/mounts.h \
	daemon/router.c daemon/router.h \
	daemon/server.c daemon/server.h \
	daemon/submit.c daemon/submit.h \
	daemon/view.c daemon/view.h
libdaemon_a_SOURCES += \
	daemon/accounts.c daemon/accounts.h \
	daemon/daemon.c daemon/daemon.h \
	daemon/idmap.c daemon/idmap.h \
	daemon/notify.c daemon/notify.h \
	daemon/pairs.c daemon/pairs.h \
	daemon/pair.c daemon/pair.h \
	daemon/queue.c daemon/queue.h daemon/queue_end.c daemon/queue_private.h daemon/queue_worker.c \
	daemon/refusal.c daemon/refusal.h \
	daemon/retry.c daemon/retry.h \
	daemon/root_check.c daemon/root_check.h \
	daemon/sign_in.c daemon/sign_in.h \
	daemon/spool.c daemon/spool.h \
	daemon/tokens.c daemon/tokens.h \
	daemon/upload_seal.c daemon/upload_seal.h \
	daemon/worker.c daemon/worker.h

bin_PROGRAMS += skyferryd
skyferryd_SOURCES = daemon/main.c
skyferryd_LDADD = libdaemon.a $(SKY_LIBS) $(LMDB_LIBS) $(CRYPT_LIBS)
