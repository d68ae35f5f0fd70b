#!/bin/bash
# stop-swift.sh STATE_DIR: ends the five servers that start-swift.sh started, by pid.  Data stays in
# STATE_DIR.
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$1"
rc=0
for name in proxy object container account memcached; do server_stop $name || rc=1; done
exit $rc
