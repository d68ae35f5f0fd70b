# unit tests: net
unit_programs += tests/unit/test_client
tests_unit_test_client_SOURCES = tests/unit/test_client.c tests/unit/check.h tests/unit/scratch.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_client_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_cloud
tests_unit_test_cloud_SOURCES = tests/unit/test_cloud.c tests/unit/check.h \
	tests/unit/runner_fixture.c tests/unit/runner_fixture.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_cloud_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_cloud_batch
tests_unit_test_cloud_batch_SOURCES = tests/unit/test_cloud_batch.c tests/unit/check.h \
	tests/unit/runner_fixture.c tests/unit/runner_fixture.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_cloud_batch_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_disk
tests_unit_test_disk_SOURCES = tests/unit/test_disk.c tests/unit/check.h tests/unit/scratch.h
tests_unit_test_disk_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_http
tests_unit_test_http_SOURCES = tests/unit/test_http.c tests/unit/check.h tests/unit/scratch.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_http_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_http_framing
tests_unit_test_http_framing_SOURCES = tests/unit/test_http_framing.c tests/unit/check.h
tests_unit_test_http_framing_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_loop
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c tests/unit/check.h
tests_unit_test_loop_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_tls
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c tests/unit/check.h tests/unit/scratch.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_tls_LDADD = $(UNIT_LIBS)
