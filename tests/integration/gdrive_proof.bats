#!/usr/bin/env bats
# Is the fake of Google Drive like the real one, as far as the real one's clients can tell?  The official SDK
# (SKYFERRY_TEST_SDK has it in node_modules, from tests/fakes/sdk) and rclone, both unmodified.
bats_require_minimum_version 1.5.0

setup()
{
	fakes=$BATS_TEST_DIRNAME/../fakes
	hosts="www.googleapis.com oauth2.googleapis.com accounts.google.com"
	[ "$(id -u)" = 0 ] || skip "namespaces need root"
	dir=$(mktemp -d "${TMPDIR:-/tmp}/skyferry-test.XXXXXX")
}

teardown()
{
	rm -rf "$dir"
}

as_cloud()
{
	"$fakes/as-cloud.sh" "$fakes/gdrive.mjs" "$hosts" "$@" 3>&- 4>&-
}

@test "the official SDK lists, uploads in one piece and in chunks, reads ranges, copies, moves and deletes" {
	[ -d "${SKYFERRY_TEST_SDK:-/nowhere}/node_modules/@googleapis/drive" ] || skip "SKYFERRY_TEST_SDK has no SDK"
	as_cloud node "$fakes/gdrive_sdk.mjs"
}

@test "rclone copies a tree there and back, in chunks, moves, copies, finds no difference and deletes" {
	command -v rclone >/dev/null || skip "no rclone"
	cat >"$dir/proof.sh" <<'SCRIPT'
set -euo pipefail
cd "$(dirname "$0")"
export RCLONE_CONFIG=$PWD/rclone.conf
cat >"$RCLONE_CONFIG" <<CONF
[drive]
type = drive
client_id = $(jq -r .clientId <<<"$FAKE")
client_secret = $(jq -r .clientSecret <<<"$FAKE")
scope = drive
token = {"access_token":"old","token_type":"Bearer","refresh_token":"$(jq -r .refreshToken <<<"$FAKE")","expiry":"2001-01-01T00:00:00Z"}
CONF
rc() { rclone --retries 1 --low-level-retries 3 --drive-pacer-min-sleep 1ms --drive-chunk-size 256k --drive-upload-cutoff 300k "$@"; }
mkdir -p from/sub from/empty
echo hello >from/small
: >from/nothing
head -c 1000000 /dev/urandom >from/sub/large
echo odd >"from/it's odd"
touch -d '2001-02-03 04:05:06.789' from/small
rc copy --create-empty-src-dirs from drive:top
rc check --download from drive:top
rc copy --create-empty-src-dirs drive:top back
diff -r from back
[ "$(stat -c %y back/small | cut -c 1-23)" = "2001-02-03 04:05:06.789" ]
[ "$(rc cat --offset 10 --count 5 drive:top/sub/large | md5sum)" = "$(tail -c +11 from/sub/large | head -c 5 | md5sum)" ]
rc moveto drive:top/small drive:top/sub/renamed
rc copyto drive:top/sub/large drive:top/copied
rc lsf -R drive:top | sort >list
grep -qx sub/renamed list && grep -qx copied list && ! grep -qx small list
rc hashsum MD5 drive:top/copied | grep -q "$(md5sum <from/sub/large | cut -c 1-32)"
head -c 400000 /dev/urandom >large
rc copyto large drive:top/copied # replaces it in place
[ "$(rc lsf drive:top | grep -c copied)" = 1 ]
rc backend drives drive: | jq -e '. == []' >/dev/null
rc about --json drive: | jq -e '.total > .used' >/dev/null
# A chunk is lost on the way, and another one answered with an error: rclone asks the session and goes on.
curl -sS --fail-with-body -d '[{"match":"(PUT|POST) .*upload_id","after":1,"status":503},{"match":"(PUT|POST) .*upload_id","after":1,"reset":true}]' "$FAKE_URL/-/faults" >/dev/null
rc copyto from/sub/large drive:top/again
[ "$(rc cat drive:top/again | md5sum)" = "$(md5sum <from/sub/large)" ]
curl -sS "$FAKE_URL/-/state" | jq -e '.unplayed == []' >/dev/null
rc deletefile drive:top/copied
rc purge drive:top
[ -z "$(rc lsf drive:)" ]
SCRIPT
	as_cloud bash "$dir/proof.sh"
}
