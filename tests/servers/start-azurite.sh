#!/bin/bash
# start-azurite.sh STATE_DIR PORT: Azurite, Microsoft's emulator of Azure Blob Storage, on 127.0.0.1:PORT.
# Prints one line of JSON: endpoint, account, key, pids.  Starting it again is harmless; its data is still
# there.
#
# Needs Node 20 or newer, curl, and the npm package azurite: in AZURITE_DIR (node_modules/azurite), else
# installed into STATE_DIR/npm, of the versions in azurite/package-lock.json, by npm.
#   AZURITE_DIR  AZURITE_NODE (the program)
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
server_args "$@"
[ "$PORT" -gt 0 ] || die "a port is needed"
node=${AZURITE_NODE:-node}
command -v curl >/dev/null || die "no curl: apt-get install curl"
command -v "$node" >/dev/null || die "no node: apt-get install nodejs npm"
account=skyferrytest
key=$(printf 'skyferry-test-key-%046d' 1 | base64 -w0)	# 64 bytes, as Azure's

install() {	# into STATE_DIR/npm, once
	local packages=$STATE/npm
	[ ! -e "$packages/node_modules/.package-lock.json" ] || return 0
	mkdir -p "$packages" && cp "$here/azurite/package.json" "$here/azurite/package-lock.json" "$packages/" &&
	    (cd "$packages" && npm ci --no-audit --no-fund --omit=dev --ignore-scripts) >"$STATE/npm.out" 2>&1
}

report() {
	printf '{"kind":"azure","endpoint":"http://127.0.0.1:%s/%s","account":"%s","key":"%s","pids":[%s]}\n' \
	    "$PORT" "$account" "$account" "$key" "$(cut -d' ' -f1 "$STATE/azurite.pid")"
}

url=http://127.0.0.1:$PORT/
if server_alive azurite && server_answers "$url"; then
	report
	exit 0
fi
server_stop azurite || exit 1
server_port_is_free "$PORT" || die "port $PORT is taken"
if [ -z "${AZURITE_DIR:-}" ]; then
	install || die "npm could not install azurite: $(tail -n 5 "$STATE/npm.out")"
	AZURITE_DIR=$STATE/npm
fi
program=$AZURITE_DIR/node_modules/azurite/dist/src/blob/main.js
[ -e "$program" ] || die "there is no azurite in $AZURITE_DIR"
stop_unless_well() {
	[ "$1" = 0 ] || server_stop azurite
}
trap 'stop_unless_well $?' EXIT
mkdir -p "$STATE/data"
# It would report home by default, and look for newer versions of the protocol.
AZURITE_ACCOUNTS="$account:$key" server_spawn azurite "$node" "$program" --silent --disableTelemetry \
    --skipApiVersionCheck --disableProductStyleUrl --blobHost 127.0.0.1 --blobPort "$PORT" --location "$STATE/data"
server_wait 60 azurite server_answers "$url" || exit 1
report
