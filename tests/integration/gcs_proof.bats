#!/usr/bin/env bats
# The proof that the fake of Google Cloud Storage (tests/fakes/gcs.mjs) is one: Google's own SDK and rclone, both unmodified,
# work with it under Google's own host names (tests/fakes/as-cloud.sh: needs root).  SKYFERRY_TEST_SDK: where
# tests/fakes/sdk/package.json is installed.
bats_require_minimum_version 1.5.0
load helpers

hosts='storage.googleapis.com box.storage.googleapis.com www.googleapis.com oauth2.googleapis.com accounts.google.com'
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

as_google()
{
	"$fakes/as-cloud.sh" "$fakes/gcs.mjs" "$hosts" "$@" 3>&- 4>&-
}

@test "the official SDK: buckets, uploads in one request, in chunks and in parts, ranges, lists, copies, tokens" {
	[ -n "${SKYFERRY_TEST_SDK:-}" ] || skip "SKYFERRY_TEST_SDK is not set"
	run -0 as_google node "$fakes/gcs_sdk.mjs"
	[ "$(grep -c '^ok' <<<"$output")" = "$(grep -c '^	async ' "$fakes/gcs_sdk.mjs")" ]
}

# In as-cloud's world; $1: a directory.
with_rclone()
{
	set -eu
	cd "$1"
	jq -r .serviceAccount <<<"$FAKE" >key.json
	cat >rclone.conf <<-END
		[g]
		type = google cloud storage
		project_number = sky-project
		service_account_file = $PWD/key.json
	END
	gcs() { rclone --config rclone.conf --retries 1 --low-level-retries 2 "$@"; }
	gcs mkdir g:box
	gcs copy from g:box/top
	gcs check from g:box/top
	gcs copy g:box/top back
	diff -r from back
	[ "$(stat -c %y back/small | cut -c 1-23)" = "2001-02-03 04:05:06.789" ]
	gcs cat --offset 10 --count 5 g:box/top/large | cmp - <(tail -c +11 from/large | head -c 5)
	gcs moveto g:box/top/small g:box/top/moved
	gcs copyto g:box/top/moved g:box/top/again
	[ "$(gcs lsf g:box/top | tr '\n' ' ')" = 'again d ü/ empty large moved ' ]
	[ "$(gcs lsf g:)" = box/ ]
	gcs delete g:box/top/again
	gcs purge g:box/top
	gcs rmdir g:box
	[ -z "$(gcs lsf g:)" ]
}
export -f with_rclone

@test "rclone: uploads in one request and in chunks, lists, ranges, copies, moves, deletes" {
	command -v rclone >/dev/null || skip "rclone is not installed"
	mkdir "$home/from" "$home/from/d ü" "$home/back"
	content 1 3000000 >"$home/from/small"
	content 2 20000000 >"$home/from/large" # more than its chunk of 16 MiB
	touch -d '2001-02-03 04:05:06.789' "$home/from/small"
	: >"$home/from/empty"
	echo x >"$home/from/d ü/🐟"
	as_google bash -c "with_rclone '$home'"
}

# What rclone leaves Skyferry reads as it is, and the other way round.
with_both()
{
	set -eu
	cd "$1"
	jq -r .serviceAccount <<<"$FAKE" >key.json
	printf '[g]\ntype = google cloud storage\nproject_number = sky-project\nservice_account_file = %s\n' "$PWD/key.json" >rclone.conf
	rclone --config rclone.conf --retries 1 mkdir g:box
	rclone --config rclone.conf --retries 1 copy from g:box/rclone
	: >daemon.log # whoever follows it may be first
	skyferryd --set api.listen=none 2>daemon.log &
	timeout 60 tail -n +1 -f --pid=$! daemon.log | grep -q 'is ready'
	skyferry account add from local "$PWD/from" >/dev/null
	skyferry account add back local "$PWD/back" >/dev/null
	SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT=$(cat key.json) skyferry account add gcs gcs bucket=box "ca=$SSL_CERT_FILE" >/dev/null
	skyferry cp -q -r gcs:rclone back:
	skyferry cp -q -r from: gcs:sky
	kill %1 && wait %1
	diff -r from back/rclone
	[ "$(stat -c %y back/rclone/small | cut -c 1-23)" = "2001-02-03 04:05:06.789" ]
	rclone --config rclone.conf --retries 1 check from g:box/sky
	[ "$(rclone --config rclone.conf lsl g:box/sky/small | awk '{ print $2, substr($3, 1, 12) }')" = "2001-02-03 04:05:06.789" ]
}
export -f with_both

@test "Skyferry under Google's own names, beside rclone: each reads what the other wrote" {
	command -v rclone >/dev/null || skip "rclone is not installed"
	mkdir "$home/from" "$home/from/d ü" "$home/back"
	content 1 3000000 >"$home/from/small"
	content 2 40000000 >"$home/from/large" # three parts
	touch -d '2001-02-03 04:05:06.789' "$home/from/small"
	echo x >"$home/from/d ü/🐟"
	as_google bash -c "with_both '$home'"
}
