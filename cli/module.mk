# skyferry: the command line.  All but main.c is a library, for the unit tests.
noinst_LIBRARIES += libcli.a
libcli_a_CPPFLAGS = $(AM_CPPFLAGS) -DSBINDIR='"$(sbindir)"'
libcli_a_SOURCES = \
	cli/args.c cli/args.h \
	cli/batch.c cli/batch.h \
	cli/changes.c cli/changes.h \
	cli/cli.c cli/cli.h \
	cli/cmd-account.c \
	cli/cmd-cp.c \
	cli/cmd-login.c \
	cli/cmd-ls.c \
	cli/cmd-mkdir.c \
	cli/cmd-mount.c \
	cli/cmd-provider.c \
	cli/cmd-rm.c \
	cli/cmd-status.c \
	cli/cmd-transfer.c \
	cli/cmd-transfers.c \
	cli/cmd-unmount.c \
	cli/cmd-user.c \
	cli/display.c cli/display.h \
	cli/follow.c cli/follow.h \
	cli/format.c cli/format.h \
	cli/idle.c cli/idle.h \
	cli/mountinfo.c cli/mountinfo.h \
	cli/providers.c cli/providers.h \
	cli/remote.c cli/remote.h \
	cli/secret.c cli/secret.h \
	cli/sign_in.c cli/sign_in.h \
	cli/text.c cli/text.h \
	cli/watch.c cli/watch.h

bin_PROGRAMS += skyferry
skyferry_SOURCES = cli/main.c
skyferry_LDADD = libcli.a $(SKY_LIBS)
