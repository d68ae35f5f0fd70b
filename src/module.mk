# The base library: everything that knows no cloud and no program.
noinst_LIBRARIES += libskyferry.a
libskyferry_a_SOURCES = \
	src/attempt.c src/attempt.h src/attempt_copy.c src/attempt_private.h src/attempt_rename.c \
	src/attempt_single.c src/attempt_sweep.c src/attempt_tree.c \
	src/await.c src/await.h \
	src/bucket.c src/bucket.h \
	src/budget.h \
	src/buf.c src/buf.h \
	src/change.c src/change.h \
	src/change_json.c \
	src/checkpoint.c src/checkpoint.h \
	src/client.c src/client.h \
	src/clock.c src/clock.h \
	src/cloud.c src/cloud_batch.c src/cloud.h \
	src/cloud_op.c src/cloud_private.h \
	src/cloud_sign_in.c \
	src/copy.c src/copy.h src/copy_check.c src/copy_private.h src/copy_write.c \
	src/crash.c src/crash.h \
	src/crc32c.c \
	src/crc64.c \
	src/disk.c src/disk.h \
	src/disk_copy.c \
	src/disk_names.c \
	src/disk_path.c \
	src/disk_private.h \
	src/disk_root.c src/disk_root.h \
	src/disk_upload.c \
	src/disk_work.c \
	src/endpoint.c src/endpoint.h \
	src/entry.c src/entry.h \
	src/err.c src/err.h \
	src/field.c src/field.h \
	src/hash.c src/hash.h \
	src/http.c src/http.h \
	src/http_call.c src/http_private.h \
	src/http_error.c \
	src/http_framing.c src/http_framing.h \
	src/http_message.c \
	src/http_proxy.c \
	src/log.c src/log.h \
	src/loop.c src/loop.h \
	src/mem.c src/mem.h \
	src/memory.c src/memory.h \
	src/memory_private.h \
	src/memory_server.c src/memory_server.h \
	src/memory_upload.c \
	src/mount_line.c src/mount_line.h \
	src/path.c src/path.h \
	src/paths.c src/paths.h \
	src/pool.c src/pool.h \
	src/relay.c src/relay.h \
	src/ring.c src/ring.h \
	src/route.c src/route.h \
	src/seal.c src/seal.h \
	src/settings.c src/settings.h \
	src/settings_table.c \
	src/source.c src/source.h \
	src/sse.c src/sse.h \
	src/throttle.c src/throttle.h \
	src/tree.c src/tree.h \
	src/walk.c src/walk.h \
	src/upload.c src/upload.h src/upload_commit.c src/upload_lost.c src/upload_part.c src/upload_private.h

# What every program is linked with, in this order.
SKY_LIBS = libproviders.a libskyferry.a \
	$(CURL_LIBS) $(XML_LIBS) $(SSL_LIBS) $(JANSSON_LIBS) $(EVENT_LIBS) $(JWT_LIBS) $(UUID_LIBS) $(INIH_LIBS)
