#!/bin/bash
# start-oidc.sh STATE_DIR PORT: oidc-provider, an OAuth 2.0 provider, on 127.0.0.1:PORT (see oidc.mjs).
# Prints one line of JSON: authorize, token, introspect, revoke (URLs), client, rotating (another
# client, whose refresh tokens are good for one use), secret, pids.  What it knows is in memory.
#   OIDC_DIR     where its npm packages are installed; default: a directory of its own in ~/.cache/skyferry
#   OIDC_TTL     seconds that an access token lives
#   OIDC_SCOPES  what may be asked for
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
server_args "$@"
[ "$PORT" -gt 0 ] || die "a port is needed"
url=http://127.0.0.1:$PORT

report() {
	printf '{"kind":"oauth","authorize":"%s/auth","token":"%s/token","introspect":"%s/token/introspection",' "$url" "$url" "$url"
	printf '"revoke":"%s/token/revocation","client":"test-client","rotating":"test-rotating","secret":"test-secret","pids":[%s]}\n' \
	    "$url" "$(cut -d' ' -f1 "$STATE/oidc.pid")"
}

if server_alive oidc && server_answers "$url/"; then
	report
	exit 0
fi
server_stop oidc || exit 1
server_port_is_free "$PORT" || die "port $PORT is taken"
server_npm "$here/oidc" "${OIDC_DIR:-}"
stop_unless_well() {
	[ "$1" = 0 ] || server_stop oidc
}
trap 'stop_unless_well $?' EXIT
server_spawn oidc "$NODE" "$here/oidc.mjs" "$PACKAGES/node_modules/oidc-provider" "$PORT"
server_wait 60 oidc server_answers "$url/" || exit 1
report
