# mount.skyferry: the FUSE file system.  All but main.c is a library, for the tests.
noinst_LIBRARIES += libmount_skyferry.a
libmount_skyferry_a_SOURCES = \
	fs/api_change.c fs/api_change.h \
	fs/change.c \
	fs/daemon.c fs/daemon.h \
	fs/dir.c \
	fs/export.c fs/export.h \
	fs/extent.c fs/extent.h \
	fs/feed.c fs/feed.h \
	fs/fiber.c fs/fiber.h \
	fs/file.c fs/file.h \
	fs/file_copy.c fs/file_copy.h \
	fs/files.c fs/files.h \
	fs/fs.h \
	fs/kernel.c fs/kernel.h \
	fs/listing.c fs/listing.h \
	fs/lookup.c \
	fs/node.c fs/node.h \
	fs/notify.c fs/notify.h \
	fs/ops.h \
	fs/options.c fs/options.h \
	fs/outcome.c fs/outcome.h \
	fs/overlay.c fs/overlay.h \
	fs/pending.c fs/pending.h \
	fs/read.c \
	fs/remote.c fs/remote.h \
	fs/rename.c \
	fs/session.c fs/session.h \
	fs/spool.c fs/spool.h \
	fs/stream.c fs/stream.h \
	fs/table.c fs/table.h \
	fs/task.c fs/task.h \
	fs/watchdog.c fs/watchdog.h \
	fs/window.c fs/window.h \
	fs/write.c \
	fs/xattr.c

sbin_PROGRAMS += mount.skyferry
mount_skyferry_SOURCES = fs/main.c
mount_skyferry_LDADD = libmount_skyferry.a $(SKY_LIBS) $(FUSE_LIBS)
