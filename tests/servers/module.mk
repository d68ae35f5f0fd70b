# Real servers that tests run against: start-X.sh STATE_DIR PORT, stop-X.sh STATE_DIR.
dist_noinst_SCRIPTS += \
	tests/servers/azure-request.py \
	tests/servers/browser.py \
	tests/servers/sdk.sh \
	tests/servers/start-azurite.sh \
	tests/servers/start-fake.sh \
	tests/servers/start-oidc.sh \
	tests/servers/start-radosgw.sh \
	tests/servers/start-swift.sh \
	tests/servers/stop-azurite.sh \
	tests/servers/stop-fake.sh \
	tests/servers/stop-oidc.sh \
	tests/servers/stop-radosgw.sh \
	tests/servers/stop-swift.sh
EXTRA_DIST += tests/servers/lib.sh tests/servers/azurite/package.json tests/servers/azurite/package-lock.json \
	tests/servers/oidc.mjs tests/servers/oidc/package.json tests/servers/oidc/package-lock.json
