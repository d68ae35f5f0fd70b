#!/bin/bash
# start-azurite.sh STATE_DIR PORT: Azurite, Microsoft's emulator of Azure Blob Storage, on 127.0.0.1:PORT.
# Prints one line of JSON: endpoint, account, key, pids.  Starting it again is harmless; its data is still
# there.
#
# Needs npm.  Azurite and the Node that it runs on (Debian's is too old for it) are npm packages of the
# versions in azurite/package-lock.json.  They are 550 MB, and installed once for each such list:
#   AZURITE_DIR     where; default: a directory of its own in ~/.cache/skyferry
#   AZURITE_MEMORY  1: data in RAM (gone after every stop), which is faster
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
server_args "$@"
[ "$PORT" -gt 0 ] || die "a port is needed"
account=skyferrytest
key=$(printf 'skyferry-test-key-%046d' 1 | base64 -w0)	# 64 bytes, as Azure's

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
server_npm "$here/azurite" "${AZURITE_DIR:-}"
program=$PACKAGES/node_modules/azurite/dist/src/blob/main.js
stop_unless_well() {
	[ "$1" = 0 ] || server_stop azurite
}
trap 'stop_unless_well $?' EXIT
mkdir -p "$STATE/data"
where=(--location "$STATE/data")
[ -z "${AZURITE_MEMORY:-}" ] || where=(--inMemoryPersistence)
# It would report home by default, and look for newer versions of the protocol.
AZURITE_ACCOUNTS="$account:$key" server_spawn azurite "$NODE" "$program" --silent --disableTelemetry \
    --skipApiVersionCheck --disableProductStyleUrl --blobHost 127.0.0.1 --blobPort "$PORT" "${where[@]}"
server_wait 60 azurite server_answers "$url" || exit 1
report
