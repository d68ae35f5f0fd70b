#!/bin/bash
# start-fake.sh STATE_DIR PORT CLOUD [ARGUMENT...]: tests/fakes/CLOUD.mjs on 127.0.0.1:PORT; prints its line of JSON.
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
server_args "$@"
[ "$PORT" -gt 0 ] || die "a port is needed"
cloud=${3:?which cloud}
shift 3
if ! server_alive "$cloud"; then
	server_port_is_free "$PORT" || die "port $PORT is taken"
	rm -f "$STATE/$cloud.out"
	server_spawn "$cloud" node "$here/../fakes/$cloud.mjs" --port "$PORT" --stay "$@"
	server_wait 30 "$cloud" grep -q endpoint "$STATE/$cloud.out" || exit 1
fi
head -n 1 "$STATE/$cloud.out"
