# What drivers make of any answer: `make check` replays the corpus; contrib/fuzz makes more of it.
unit_programs += tests/fuzz/fuzz_driver
tests_fuzz_fuzz_driver_SOURCES = tests/fuzz/fuzz_driver.c
tests_fuzz_fuzz_driver_LDADD = $(SKY_LIBS)
EXTRA_PROGRAMS += tests/fuzz/fuzz_target
tests_fuzz_fuzz_target_SOURCES = tests/fuzz/fuzz_driver.c
tests_fuzz_fuzz_target_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZER
tests_fuzz_fuzz_target_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_target_LDADD = $(SKY_LIBS)
EXTRA_DIST += tests/fuzz/corpus
