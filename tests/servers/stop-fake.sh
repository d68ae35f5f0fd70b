#!/bin/bash
# stop-fake.sh STATE_DIR CLOUD: ends what start-fake.sh started.
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$1"
server_stop "${2:?which cloud}"
