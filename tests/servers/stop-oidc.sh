#!/bin/bash
# stop-oidc.sh STATE_DIR: ends what start-oidc.sh started.
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$@"
server_stop oidc
