# unit tests: engine
unit_programs += tests/unit/test_attempt
tests_unit_test_attempt_SOURCES = \
	tests/unit/attempt_fixture.c \
	tests/unit/attempt_fixture.h \
	tests/unit/test_attempt.c
tests_unit_test_attempt_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_daemon_parts
tests_unit_test_daemon_parts_SOURCES = tests/unit/test_daemon_parts.c
tests_unit_test_daemon_parts_LDADD = $(DAEMON_LIBS)
unit_programs += tests/unit/test_upload
tests_unit_test_upload_SOURCES = \
	tests/unit/attempt_fixture.c \
	tests/unit/attempt_fixture.h \
	tests/unit/test_upload.c
tests_unit_test_upload_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_pair
tests_unit_test_pair_SOURCES = tests/unit/test_pair.c
tests_unit_test_pair_LDADD = $(DAEMON_LIBS)
unit_programs += tests/unit/test_throttle
tests_unit_test_throttle_SOURCES = tests/unit/test_throttle.c
tests_unit_test_throttle_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_unsized
tests_unit_test_unsized_SOURCES = \
	tests/unit/attempt_fixture.c \
	tests/unit/attempt_fixture.h \
	tests/unit/test_unsized.c
tests_unit_test_unsized_LDADD = $(UNIT_LIBS)
unit_programs += tests/unit/test_walk
tests_unit_test_walk_SOURCES = \
	tests/unit/attempt_fixture.c \
	tests/unit/attempt_fixture.h \
	tests/unit/test_walk.c
tests_unit_test_walk_LDADD = $(UNIT_LIBS)
