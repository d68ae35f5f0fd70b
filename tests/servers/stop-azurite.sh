#!/bin/bash
# stop-azurite.sh STATE_DIR: ends the server that start-azurite.sh started, by pid.  Data stays in STATE_DIR.
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$1"
server_stop azurite
