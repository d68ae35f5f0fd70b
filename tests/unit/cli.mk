# unit tests: the command line
unit_programs += tests/unit/test_args
tests_unit_test_args_SOURCES = tests/unit/test_args.c
tests_unit_test_args_LDADD = libcli.a $(UNIT_LIBS)

unit_programs += tests/unit/test_format
tests_unit_test_format_SOURCES = tests/unit/test_format.c
tests_unit_test_format_LDADD = libcli.a $(UNIT_LIBS)

unit_programs += tests/unit/test_mountinfo
tests_unit_test_mountinfo_SOURCES = tests/unit/test_mountinfo.c
tests_unit_test_mountinfo_LDADD = libcli.a $(UNIT_LIBS)

unit_programs += tests/unit/test_secret
tests_unit_test_secret_SOURCES = tests/unit/test_secret.c
tests_unit_test_secret_LDADD = libcli.a $(UNIT_LIBS)
