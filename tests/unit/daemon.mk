# unit tests: daemon
DAEMON_LIBS = libdaemon.a $(SKY_LIBS) $(LMDB_LIBS) $(CRYPT_LIBS) $(CMOCKA_LIBS)

unit_programs += tests/unit/test_sched
tests_unit_test_sched_SOURCES = tests/unit/test_sched.c
tests_unit_test_sched_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_store
tests_unit_test_store_SOURCES = tests/unit/test_store.c tests/unit/store_fixture.c tests/unit/store_fixture.h
tests_unit_test_store_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_store_order
tests_unit_test_store_order_SOURCES = tests/unit/test_store_order.c tests/unit/store_fixture.c \
	tests/unit/store_fixture.h
tests_unit_test_store_order_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_store_tree
tests_unit_test_store_tree_SOURCES = tests/unit/test_store_tree.c tests/unit/store_fixture.c \
	tests/unit/store_fixture.h
tests_unit_test_store_tree_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_store_faults
tests_unit_test_store_faults_SOURCES = tests/unit/test_store_faults.c tests/unit/store_fixture.c \
	tests/unit/store_fixture.h
tests_unit_test_store_faults_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_spool
tests_unit_test_spool_SOURCES = tests/unit/test_spool.c tests/unit/store_fixture.c tests/unit/store_fixture.h
tests_unit_test_spool_LDADD = $(DAEMON_LIBS)
unit_programs += tests/unit/test_sweep
tests_unit_test_sweep_SOURCES = tests/unit/test_sweep.c tests/unit/store_fixture.c tests/unit/store_fixture.h
tests_unit_test_sweep_LDADD = $(DAEMON_LIBS)

# The daemon has a server_port() too.
unit_programs += tests/unit/test_tokens
tests_unit_test_tokens_CPPFLAGS = $(AM_CPPFLAGS) -Dserver_port=unit_server_port
tests_unit_test_tokens_SOURCES = tests/unit/test_tokens.c tests/unit/store_fixture.c tests/unit/store_fixture.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_tokens_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_api
tests_unit_test_api_SOURCES = tests/unit/test_api.c
tests_unit_test_api_LDADD = $(DAEMON_LIBS)

unit_programs += tests/unit/test_checkpoint
tests_unit_test_checkpoint_SOURCES = tests/unit/test_checkpoint.c tests/unit/store_fixture.c \
	tests/unit/store_fixture.h
tests_unit_test_checkpoint_LDADD = $(DAEMON_LIBS)
