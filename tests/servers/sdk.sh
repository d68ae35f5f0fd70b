#!/bin/bash
# sdk.sh STATE_DIR: installs the clouds' own SDKs (tests/fakes/sdk), once for each list of them; prints where they are.
#   SDK_DIR  where; default: a directory of its own in ~/.cache/skyferry
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$1"
server_npm "$(cd "$(dirname "$0")/../fakes/sdk" && pwd)" "${SDK_DIR:-}"
echo "$PACKAGES"
