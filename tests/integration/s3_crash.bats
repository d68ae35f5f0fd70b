#!/usr/bin/env bats
# Large objects between two real S3 servers (SKYFERRY_TEST_S3 and SKYFERRY_TEST_S3_OTHER; with one,
# between a directory and it), and kill -9: every destination right by checksum, every moved source
# gone and no other, no upload left at a server.
bats_require_minimum_version 1.5.0
load helpers
load s3

setup()
{
	[ -n "${SKYFERRY_TEST_S3:-}" ] || skip "SKYFERRY_TEST_S3 names no server"
	home_make
	mkdir "$home/original" "$home/back"
	if [ -n "${SKYFERRY_TEST_FULL:-}" ]; then
		kills=50 sizes="2147483648 1073741824 300000000 70000000 70000001 33554432 5000000 1000 0"
	else
		kills=5 sizes="150000000 70000000 33554432 5000000 1000 0"
	fi
	to=$SKYFERRY_TEST_S3
	from=${SKYFERRY_TEST_S3_OTHER:-}
	bucket=sky-crash-$BATS_TEST_NUMBER-$$
	start
	skyferry account add original local "$home/original" >/dev/null
	skyferry account add back local "$home/back" >/dev/null
	s3_add to "$to"
	if [ -n "$from" ]; then
		s3_add from "$from"
	else
		mkdir "$home/from"
		skyferry account add from local "$home/from" >/dev/null
	fi
}

teardown()
{
	home_remove
}

start()
{
	daemon_start --set transfer.backoff=100ms --set transfer.backoff_max=1s --set transfer.retries=50
}

originals_make()
{
	local i=0 size names=()
	for size in $sizes; do
		content "$i" "$size" >"$home/original/f$i"
		names+=("original:f$((i++))")
	done
	files=$i
	sums "$home/original" >"$home/before"
	skyferry cp -q "${names[@]}" from:
}

submit() # FIRST END: copies, every third moved
{
	local i move
	for ((i = $1; i < $2; i++)); do
		move=false
		[ $((i % 3)) != 0 ] || move=true
		api POST /api/transfers "{\"id\":\"$(printf '00000000-0000-4000-8000-%012d' "$i")\",\"sourceAccountId\":\"from\",
		    \"sourcePath\":\"f$i\",\"destinationAccountId\":\"to\",\"destinationPath\":\"d/f$i\",\"move\":$move}" >/dev/null || return 1
	done
}

outcome_check()
{
	local i
	skyferry transfer wait --all --timeout 900 >"$home/wait" 2>&1 || { cat "$home/wait"; tail -n 30 "$log"; return 1; }
	[ "$(api GET '/api/transfers?limit=1&status=failed' | jq .total)" = 0 ]
	rm -rf "$home/back/d"
	skyferry cp -q -r to:d back:
	(cd "$home/back/d" && sha256sum --quiet -c "$home/before")
	for ((i = 0; i < files; i++)); do
		if [ $((i % 3)) = 0 ]; then
			! skyferry ls "from:f$i" >/dev/null 2>&1 || { echo "f$i was moved and is still there"; return 1; }
		else
			skyferry ls "from:f$i" >/dev/null
		fi
	done
	[ "$(uploads_left "$to")" = 0 ]
	[ -z "$from" ] || [ "$(uploads_left "$from")" = 0 ]
}

@test "kill -9 at random instants while large objects are copied and moved" {
	local n instant
	originals_make
	submit 0 "$files"
	for ((n = 0; n < kills; n++)); do
		# A random instant is what is tested: nothing tells when it has come.
		printf -v instant '0.%03d' $((RANDOM % 900))
		read -r -t "$instant" <> <(:) || true
		daemon_kill
		start
	done
	submit 0 "$files"
	outcome_check
}

@test "kill -9 at every crash point of an upload" {
	local point pass
	sizes="90000000 70000000"
	originals_make
	for point in $(sed -n 's/^[[:space:]]*"\(upload\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		for pass in 1 3; do
			[ "$pass" = 1 ] || [ "$point" = upload.after_part ] || continue
			echo "# $point:$pass"
			daemon_stop
			SKYFERRY_CRASH=$point:$pass start
			id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f1","destinationAccountId":"to",
			    "destinationPath":"'"$point-$pass"'"}' | jq -r .id)
			daemon_dies || { echo "$point: the daemon never came there"; return 1; }
			start
			skyferry transfer wait "$id" --timeout 120
			skyferry cp -q "to:$point-$pass" back:got
			cmp "$home/original/f1" "$home/back/got"
			[ "$(uploads_left "$to")" = 0 ]
		done
	done
}

@test "a cancel aborts the upload; so does the next start if the daemon died in between" {
	sizes="150000000 150000000"
	originals_make
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f1","destinationAccountId":"to","destinationPath":"x"}' | jq -r .id)
	timeout 60 bash -c 'until [ "$(curl -sS --unix-socket "$1" "http://skyferry/api/transfers/$2" | jq ".parts.done // 0")" -gt 0 ]; do :; done' \
	    _ "$socket" "$id"
	daemon_kill
	start
	skyferry transfer cancel "$id" >/dev/null
	run skyferry transfer wait "$id" --timeout 60
	[ "$(api GET "/api/transfers/$id" | jq -r .status)" = cancelled ]
	[ "$(uploads_left "$to")" = 0 ]
	run ! skyferry ls to:x
}

@test "somebody else's upload to the same key is left alone" {
	local url user
	sizes="70000000 70000000"
	originals_make
	user="$(jq -r .access_key <<<"$to"):$(jq -r .secret_key <<<"$to")"
	url=$(jq -r .endpoint <<<"$to")/$bucket/shared
	curl -sS --fail-with-body -X POST --aws-sigv4 "aws:amz:$(jq -r .region <<<"$to"):s3" --user "$user" \
	    -H x-amz-content-sha256:UNSIGNED-PAYLOAD "$url?uploads=" >/dev/null
	daemon_stop
	SKYFERRY_CRASH=upload.after_begin start
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f1","destinationAccountId":"to","destinationPath":"shared"}' | jq -r .id)
	daemon_dies
	[ "$(uploads_left "$to")" = 2 ]
	start
	skyferry transfer wait "$id" --timeout 120
	[ "$(uploads_left "$to")" = 1 ]
}
