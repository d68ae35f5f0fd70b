# Real servers that tests run against: start-X.sh STATE_DIR PORT, stop-X.sh STATE_DIR.
dist_noinst_SCRIPTS += \
	tests/servers/start-radosgw.sh \
	tests/servers/start-swift.sh \
	tests/servers/stop-radosgw.sh \
	tests/servers/stop-swift.sh
EXTRA_DIST += tests/servers/lib.sh
