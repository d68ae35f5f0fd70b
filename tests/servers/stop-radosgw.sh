#!/bin/bash
# stop-radosgw.sh STATE_DIR: ends the three processes that start-radosgw.sh started, by pid.  Data
# stays in STATE_DIR (but for memstore's).
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$1"
rc=0
# A gateway often hangs in its own shutdown; it holds no state, so it is not waited for long.
server_stop rgw 3 || rc=1
for name in osd mon; do server_stop $name 20 || rc=1; done
exit $rc
