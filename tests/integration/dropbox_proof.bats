#!/usr/bin/env bats
# The proof that the fake of Dropbox (tests/fakes/dropbox.mjs) is one: Dropbox's own SDK and rclone, both unmodified, work
# with it under Dropbox's own host names (tests/fakes/as-cloud.sh: needs root).  SKYFERRY_TEST_SDK: where
# tests/fakes/sdk/package.json is installed.
bats_require_minimum_version 1.5.0
load helpers

hosts='api.dropboxapi.com content.dropboxapi.com notify.dropboxapi.com www.dropbox.com'
fakes=$BATS_TEST_DIRNAME/../fakes

setup()
{
	[ "$(id -u)" = 0 ] || skip "namespaces need root"
	home_make
}

teardown()
{
	[ -z "${home:-}" ] || home_remove
}

as_dropbox()
{
	"$fakes/as-cloud.sh" "$fakes/dropbox.mjs" "$hosts" "$@"
}

@test "the official SDK: lists, uploads, sessions, downloads, copies, moves, tokens" {
	[ -n "${SKYFERRY_TEST_SDK:-}" ] || skip "SKYFERRY_TEST_SDK is not set"
	run -0 as_dropbox node "$fakes/dropbox_sdk.mjs"
	[ "$(grep -c '^ok' <<<"$output")" = "$(grep -c '^	async ' "$fakes/dropbox_sdk.mjs")" ]
}

# In as-cloud's world; $1: a directory.
with_rclone()
{
	set -eu
	cd "$1"
	field() { jq -r ".$1" <<<"$FAKE"; }
	dropbox() { rclone --config rclone.conf --retries 1 --low-level-retries 2 "$@"; }
	cat >rclone.conf <<-END
		[d]
		type = dropbox
		client_id = $(field clientId)
		client_secret = $(field clientSecret)
		token = {"access_token":"old","token_type":"bearer","refresh_token":"$(field refreshToken)","expiry":"2020-01-01T00:00:00Z"}
	END
	dropbox copy --dropbox-chunk-size 4M --dropbox-batch-mode off from d:top # a session in chunks
	dropbox copy --dropbox-batch-mode sync from d:batch                      # sessions finished in one batch
	dropbox check from d:top
	dropbox copy d:batch back
	diff -r from back
	dropbox cat --offset 10 --count 5 d:top/large | cmp - <(tail -c +11 from/large | head -c 5)
	dropbox moveto d:top/small d:top/moved
	dropbox copyto d:top/moved d:top/again
	[ "$(dropbox lsf d:top | tr '\n' ' ')" = 'again d ü/ empty large moved ' ]
	dropbox delete d:top/again
	dropbox purge d:batch
	[ "$(dropbox lsf d:)" = top/ ]
	dropbox about d: | grep Total
}
export -f with_rclone

@test "rclone: uploads in chunks and batches, lists, ranges, copies, moves, deletes" {
	command -v rclone >/dev/null || skip "rclone is not installed"
	mkdir "$home/from" "$home/from/d ü" "$home/back"
	content 1 3000000 >"$home/from/small"
	content 2 9500000 >"$home/from/large"
	: >"$home/from/empty"
	echo x >"$home/from/d ü/🐟"
	as_dropbox bash -c "with_rclone '$home'"
}
