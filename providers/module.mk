# Drivers: one line in providers.c each, one entry in the conformance suite.
noinst_LIBRARIES += libproviders.a
libproviders_a_SOURCES = \
	providers/content_type.c providers/content_type.h \
	providers/local.c \
	providers/memory.c \
	providers/providers.c providers/providers.h \
	providers/s3.c providers/s3_private.h \
	providers/s3_account.c providers/s3_account.h \
	providers/s3_answer.c providers/s3_answer.h \
	providers/s3_copy.c \
	providers/s3_request.c providers/s3_request.h \
	providers/s3_service.c providers/s3_service.h \
	providers/s3_stage.c \
	providers/s3_upload.c \
	providers/s3_xml.c providers/s3_xml.h \
	providers/s3_xml_upload.c \
	providers/sigv4.c providers/sigv4.h \
	providers/xml.c providers/xml.h
