# Drivers: one line in providers.c each, one entry in the conformance suite.
noinst_LIBRARIES += libproviders.a
libproviders_a_SOURCES = \
	providers/azure.c providers/azure_private.h \
	providers/azure_account.c providers/azure_account.h \
	providers/azure_answer.c providers/azure_answer.h \
	providers/azure_blocks.c \
	providers/azure_request.c providers/azure_request.h \
	providers/azure_xml.c providers/azure_xml.h \
	providers/content_type.c providers/content_type.h \
	providers/credential.c providers/credential.h \
	providers/dropbox.c providers/dropbox_private.h \
	providers/dropbox_account.c providers/dropbox_account.h \
	providers/dropbox_answer.c providers/dropbox_answer.h \
	providers/dropbox_batch.c \
	providers/dropbox_changes.c \
	providers/dropbox_move.c \
	providers/dropbox_names.c \
	providers/dropbox_pull.c \
	providers/dropbox_request.c providers/dropbox_request.h \
	providers/dropbox_upload.c \
	providers/dropbox_write.c \
	providers/endpoint.c providers/endpoint.h \
	providers/gcs.c providers/gcs_private.h \
	providers/gcs_account.c providers/gcs_account.h \
	providers/gcs_answer.c providers/gcs_answer.h \
	providers/gcs_copy.c \
	providers/gcs_json.c providers/gcs_json.h \
	providers/gcs_request.c providers/gcs_request.h \
	providers/gcs_session.c \
	providers/gcs_sign.c providers/gcs_sign.h \
	providers/gcs_upload.c \
	providers/gdrive.c providers/gdrive_private.h \
	providers/gdrive_account.c providers/gdrive_account.h \
	providers/gdrive_changes.c \
	providers/gdrive_copy.c \
	providers/gdrive_export.c providers/gdrive_export.h \
	providers/gdrive_file.c providers/gdrive_file.h \
	providers/gdrive_list.c \
	providers/gdrive_request.c \
	providers/gdrive_upload.c \
	providers/gdrive_walk.c \
	providers/listing.c providers/listing.h \
	providers/local.c \
	providers/memory.c \
	providers/oauth.c providers/oauth.h \
	providers/object.c providers/object.h \
	providers/providers.c providers/providers.h \
	providers/resumable.c providers/resumable.h \
	providers/s3.c providers/s3_private.h \
	providers/s3_account.c providers/s3_account.h \
	providers/s3_answer.c providers/s3_answer.h \
	providers/s3_copy.c \
	providers/s3_multipart.c providers/s3_multipart.h \
	providers/s3_remove.c \
	providers/s3_request.c providers/s3_request.h \
	providers/s3_service.c providers/s3_service.h \
	providers/s3_stage.c \
	providers/s3_upload.c \
	providers/s3_xml.c providers/s3_xml.h \
	providers/s3_xml_upload.c \
	providers/sharedkey.c providers/sharedkey.h \
	providers/sigv4.c providers/sigv4.h \
	providers/xml.c providers/xml.h
