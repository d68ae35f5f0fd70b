# Tests speak TAP; Automake's driver reads it.  Unit tests: cmocka, one program a module.  Integration
# tests: bats, with the real programs, a real mount and real servers.
#
# unit_programs        every unit test
# script_tests         what is tested of the tree itself
# integration_tests    bats files; part of make check
# sanitized_tests      the bats files that the build with ASan and UBSan runs as well
# sanitized_full_tests and, with `contrib/check --full`, these
# thread_tests         those that the build with TSan runs as well
# thread_full_tests    and, with `contrib/check --full`, these
# fakes_tests         with a server that misbehaves, and whatever else would take make check too long
# full_tests           what only `contrib/check --full` runs
# s3_tests             what needs SKYFERRY_TEST_S3 (see tests/servers); not part of make check
# azure_tests          what needs SKYFERRY_TEST_AZURE; neither
# clouds_tests        what meets a cloud's fake (tests/fakes), or a client that knows the cloud and meets it too
# s3_pair_tests        what needs SKYFERRY_TEST_S3_OTHER as well
# s3_fault_tests       what needs SKYFERRY_TEST_S3, and kills it: nothing else may use it meanwhile; or fills one of its own
TEST_EXTENSIONS = .bats .sh
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
BATS_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_DRIVER = $(LOG_DRIVER)
BATS_LOG_COMPILER = $(BATS)
AM_BATS_LOG_FLAGS = --tap
AM_TESTS_ENVIRONMENT = CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir;

UNIT_LIBS = $(SKY_LIBS) $(CMOCKA_LIBS)
unit_programs =
script_tests = tests/documents.sh tests/check.sh
integration_tests =
sanitized_tests =
sanitized_full_tests =
thread_tests =
thread_full_tests =
fakes_tests =
full_tests =
s3_tests =
azure_tests =
clouds_tests = tests/integration/pull.bats
s3_pair_tests =
s3_fault_tests =
include tests/unit/base.mk
include tests/unit/net.mk
include tests/unit/drivers.mk
include tests/unit/engine.mk
include tests/unit/daemon.mk
include tests/unit/mount.mk
include tests/unit/cli.mk
include tests/integration/module.mk
include tests/fakes/module.mk
include tests/fuzz/module.mk
if HAVE_CMOCKA
check_PROGRAMS += $(unit_programs)
TESTS += $(unit_programs)
endif
TESTS += $(script_tests)
dist_check_SCRIPTS += $(script_tests)
if HAVE_BATS
TESTS += $(integration_tests)
endif
EXTRA_DIST += $(integration_tests) $(fakes_tests) $(clouds_tests) $(full_tests) tests/integration/s3.bats tests/integration/azure.bats $(s3_pair_tests) $(s3_fault_tests) tests/integration/s3.bash tests/integration/helpers.bash tests/integration/fakes.bash tests/lint.sh tests/cppcheck.supp tests/tsan.supp

# For contrib/check.
.PHONY: check-programs print-unit print-integration print-sanitized print-sanitized-full print-thread print-thread-full print-fakes print-full print-s3 print-s3-pair print-s3-faults print-azure print-clouds
check-programs: $(check_PROGRAMS)
print-unit:
	@echo $(unit_programs) $(script_tests)
print-integration:
	@echo $(integration_tests)
print-sanitized:
	@echo $(sanitized_tests)
print-sanitized-full:
	@echo $(sanitized_full_tests)
print-thread:
	@echo $(thread_tests)
print-thread-full:
	@echo $(thread_full_tests)
print-fakes:
	@echo $(fakes_tests)
print-full:
	@echo $(full_tests)
print-s3:
	@echo $(s3_tests)
print-s3-pair:
	@echo $(s3_pair_tests)
print-azure:
	@echo $(azure_tests)
print-s3-faults:
	@echo $(s3_fault_tests)
print-clouds:
	@echo $(clouds_tests)
