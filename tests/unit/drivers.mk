# unit tests: drivers
unit_programs += \
	tests/unit/test_azure \
	tests/unit/test_azure_blocks \
	tests/unit/test_conformance \
	tests/unit/test_gcs \
	tests/unit/test_gcs_session \
	tests/unit/test_gcs_sign \
	tests/unit/test_dropbox \
	tests/unit/test_dropbox_batch \
	tests/unit/test_dropbox_move \
	tests/unit/test_dropbox_pull \
	tests/unit/test_gdrive \
	tests/unit/test_gdrive_changes \
	tests/unit/test_gdrive_documents \
	tests/unit/test_gdrive_upload \
	tests/unit/test_local \
	tests/unit/test_memory \
	tests/unit/test_providers \
	tests/unit/test_s3 \
	tests/unit/test_s3_remove \
	tests/unit/test_s3_upload \
	tests/unit/test_sharedkey \
	tests/unit/test_sign_in \
	tests/unit/test_sigv4 \
	tests/unit/test_xml

# With SKYFERRY_TEST_S3 and SKYFERRY_TEST_AZURE (see tests/servers/start-*.sh) the suite runs against those as well.
tests_unit_test_conformance_SOURCES = \
	tests/unit/conformance.h \
	tests/unit/conformance_azure.c \
	tests/unit/conformance_cases.c \
	tests/unit/conformance_gcs.c \
	tests/unit/conformance_dropbox.c \
	tests/unit/conformance_ops.c \
	tests/unit/conformance_s3.c \
	tests/unit/conformance_upload.c \
	tests/unit/test_conformance.c
tests_unit_test_conformance_LDADD = $(UNIT_LIBS)
tests_unit_test_azure_SOURCES = \
	tests/unit/azure_bench.h \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/test_azure.c
tests_unit_test_azure_LDADD = $(UNIT_LIBS)
tests_unit_test_azure_blocks_SOURCES = \
	tests/unit/azure_bench.h \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/test_azure_blocks.c
tests_unit_test_azure_blocks_LDADD = $(UNIT_LIBS)
tests_unit_test_gcs_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/test_gcs.c
tests_unit_test_gcs_LDADD = $(UNIT_LIBS)
tests_unit_test_gcs_session_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/test_gcs_session.c
tests_unit_test_gcs_session_LDADD = $(UNIT_LIBS)
tests_unit_test_gcs_sign_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/test_gcs_sign.c
tests_unit_test_gcs_sign_LDADD = $(UNIT_LIBS)
tests_unit_test_dropbox_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/dropbox_bench.h \
	tests/unit/test_dropbox.c
tests_unit_test_dropbox_LDADD = $(UNIT_LIBS)
tests_unit_test_dropbox_batch_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/dropbox_bench.h \
	tests/unit/test_dropbox_batch.c
tests_unit_test_dropbox_batch_LDADD = $(UNIT_LIBS)
tests_unit_test_dropbox_move_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/dropbox_bench.h \
	tests/unit/test_dropbox_move.c
tests_unit_test_dropbox_move_LDADD = $(UNIT_LIBS)
tests_unit_test_dropbox_pull_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/dropbox_bench.h \
	tests/unit/test_dropbox_pull.c
tests_unit_test_dropbox_pull_LDADD = $(UNIT_LIBS)
tests_unit_test_gdrive_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/gdrive_bench.c tests/unit/gdrive_bench.h \
	tests/unit/test_gdrive.c
tests_unit_test_gdrive_LDADD = $(UNIT_LIBS)
tests_unit_test_gdrive_changes_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/gdrive_bench.c tests/unit/gdrive_bench.h \
	tests/unit/test_gdrive_changes.c
tests_unit_test_gdrive_changes_LDADD = $(UNIT_LIBS)
tests_unit_test_gdrive_documents_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/gdrive_bench.c tests/unit/gdrive_bench.h \
	tests/unit/test_gdrive_documents.c
tests_unit_test_gdrive_documents_LDADD = $(UNIT_LIBS)
tests_unit_test_gdrive_upload_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/gdrive_bench.c tests/unit/gdrive_bench.h \
	tests/unit/test_gdrive_upload.c
tests_unit_test_gdrive_upload_LDADD = $(UNIT_LIBS)
tests_unit_test_local_SOURCES = \
	tests/unit/conformance.h \
	tests/unit/conformance_ops.c \
	tests/unit/test_local.c
tests_unit_test_local_LDADD = $(UNIT_LIBS)
tests_unit_test_memory_SOURCES = tests/unit/test_memory.c
tests_unit_test_memory_LDADD = $(UNIT_LIBS)
tests_unit_test_providers_SOURCES = tests/unit/test_providers.c
tests_unit_test_providers_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/s3_bench.h \
	tests/unit/test_s3.c
tests_unit_test_s3_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_remove_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/s3_bench.h \
	tests/unit/test_s3_remove.c
tests_unit_test_s3_remove_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_upload_SOURCES = \
	tests/unit/driver_bench.c tests/unit/driver_bench.h \
	tests/unit/s3_bench.h \
	tests/unit/test_s3_upload.c
tests_unit_test_s3_upload_LDADD = $(UNIT_LIBS)
tests_unit_test_sharedkey_SOURCES = tests/unit/test_sharedkey.c
tests_unit_test_sharedkey_LDADD = $(UNIT_LIBS)
tests_unit_test_sign_in_SOURCES = tests/unit/test_sign_in.c \
	tests/unit/runner_fixture.c tests/unit/runner_fixture.h \
	tests/unit/server.c tests/unit/server.h
tests_unit_test_sign_in_LDADD = $(UNIT_LIBS)
tests_unit_test_sigv4_SOURCES = tests/unit/test_sigv4.c
tests_unit_test_sigv4_LDADD = $(UNIT_LIBS)
tests_unit_test_xml_SOURCES = tests/unit/test_xml.c
tests_unit_test_xml_LDADD = $(UNIT_LIBS)

include tests/servers/module.mk
