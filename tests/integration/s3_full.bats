#!/usr/bin/env bats
# What becomes of transfers to a server whose disk fills up under them, and of those when there is room again.  The server
# is an OpenStack Swift of its own (tests/servers/start-swift.sh), whose objects have a small disk in memory: of a disk that
# is full (507) its proxy says only that it cannot now (503).
# To start it takes longer than the tests, so SKYFERRY_TEST_S3 has to ask for real servers.
bats_require_minimum_version 1.5.0
load helpers
load s3

setup_file()
{
	local port
	[ -n "${SKYFERRY_TEST_S3:-}" ] || skip "SKYFERRY_TEST_S3 asks for no real servers"
	[ "$(id -u)" = 0 ] && unshare --mount true || skip "needs root to mount a disk"
	swift=$(mktemp -d "${TMPDIR:-/tmp}/skyferry-swift.XXXXXX") # bats removes its own before the servers have ended
	export swift server disk
	for port in $(shuf -i 20000-29000 -n 3); do # one may be taken
		server=$(SWIFT_DISK=96m "$BATS_TEST_DIRNAME/../servers/start-swift.sh" "$swift" "$port" 3>&- 4>&-) && break
	done
	[ -n "$server" ]
	disk=$(jq -r .disk <<<"$server")
}

teardown_file()
{
	[ -n "${swift:-}" ] || return 0
	"$BATS_TEST_DIRNAME/../servers/stop-swift.sh" "$swift"
	rm -r "$swift"
}

setup()
{
	home_make
	bucket=sky-full-$BATS_TEST_NUMBER-$$
	start
	local_add from back
	s3_add to "$server"
}

teardown()
{
	rm -f "$disk/filler"
	home_remove
}

start()
{
	daemon_start --set transfer.backoff=100ms --set transfer.backoff_max=1s --set transfer.patience=1s --set transfer.retries=2
}

only_in_full()
{
	[ -n "${SKYFERRY_TEST_FULL:-}" ] || skip "takes long: SKYFERRY_TEST_FULL=1"
}

# room BYTES: so much is left on the server's disk.  It refuses what would leave less than a hundredth of it.
room()
{
	fallocate -l $(($(stat -f -c '%a * %S' "$disk") - $1)) "$disk/filler"
}

# The server has found its disk full, and says so where nobody but its owner looks.
was_full()
{
	grep -q 'Insufficient Storage' "$swift/proxy.out"
}

# submit SOURCE DESTINATION [JSON]: prints the id.
submit()
{
	api POST /api/transfers "$(jq -nc --arg a "${1%%:*}" --arg b "${1#*:}" --arg c "${2%%:*}" --arg d "${2#*:}" \
	    "{sourceAccountId:\$a,sourcePath:\$b,destinationAccountId:\$c,destinationPath:\$d} + ${3:-{\}}")" | jq -r .id
}

# fails ID: for good, with the server's words, and what they may mean.
fails()
{
	until_so answers "/api/transfers/$1" '.status == "failed"'
	record=$(api GET "/api/transfers/$1")
	echo "$record"
	jq -e '.error.code == "throttled" and (.error.message | test("ServiceUnavailable: Please reduce|answered 503") and
	    test("when its disks are full"))' <<<"$record"
}

uploads_are_gone()
{
	[ "$(uploads_left "$server")" = 0 ]
}

completes() # ID
{
	skyferry transfer wait "$1" --timeout 300 >"$home/wait" 2>&1 || { cat "$home/wait"; tail -n 20 "$log"; return 1; }
}

@test "the disk fills up under a move in parts: it fails with the server's words, others go on, a retry completes it" {
	local id other
	content 1 60000000 >"$home/from/big" # four parts, of which two have room
	cp "$home/from/big" "$home/original"
	echo small >"$home/from/small"
	room $((40 << 20))
	id=$(submit from:big to:big '{move:true,bandwidth:30000000}')
	until_so answers "/api/transfers/$id" '.parts.atOnce > 1'
	until_so answers "/api/transfers/$id" '.error != null'
	other=$(submit from:small back:small)
	completes "$other"
	fails "$id"
	was_full
	other=$(api GET "/api/transfers/$other" | jq .finishedAt)
	jq -e --argjson other "$other" '.finishedAt > $other' <<<"$record"
	cmp "$home/original" "$home/from/big"
	[ -z "$(skyferry ls to:)" ]
	rm "$disk/filler"
	daemon_stop # whatever could not be cleared away is at the next start, if not before
	start
	until_so uploads_are_gone
	skyferry transfer retry "$id"
	completes "$id"
	[ ! -e "$home/from/big" ]
	skyferry cp -q to:big back:big
	cmp "$home/original" "$home/back/big"
	uploads_are_gone
}

@test "no room for a small file: what it was to replace stays, and a retry replaces it" {
	local id
	only_in_full
	content 2 1000000 >"$home/from/old"
	content 3 1000000 >"$home/from/new"
	skyferry cp -q from:old to:file
	room 500000
	id=$(submit from:new to:file)
	fails "$id"
	skyferry cp -q to:file back:file
	cmp "$home/from/old" "$home/back/file"
	rm "$disk/filler"
	skyferry transfer retry "$id"
	completes "$id"
	skyferry cp -q to:file back:file
	cmp "$home/from/new" "$home/back/file"
}

@test "room comes while the server is still asked: the upload goes on by itself" {
	local id
	only_in_full
	content 4 1000000 >"$home/from/file"
	room 500000
	id=$(submit from:file to:file '{maxRetries:50}')
	until_so answers "/api/transfers/$id" '.error != null'
	rm "$disk/filler"
	completes "$id"
	skyferry cp -q to:file back:file
	cmp "$home/from/file" "$home/back/file"
}

@test "the disk fills up under the move of a tree: each file is here or there, a retry moves the rest" {
	local id i there
	only_in_full
	mkdir "$home/from/tree"
	for i in {1..16}; do
		content "$i" 1000000 >"$home/from/tree/$i"
	done
	sums "$home/from/tree" >"$home/original"
	room 8000000
	id=$(submit from:tree to:tree '{move:true,recursive:true}')
	until_so answers "/api/transfers/$id" '.status == "failed"'
	api GET "/api/transfers/$id" | tee "$home/record"
	jq -e '.error.message | test("of 16 entries failed")' "$home/record"
	api GET "/api/transfers?parent=$id&status=failed" | tee "$home/record"
	jq -e '[.transfers[].error] | length > 0 and all(.code == "throttled") and
	    any(.message | test("ServiceUnavailable: Please reduce"))' "$home/record"
	skyferry cp -qr to:tree back:
	there=$(find "$home/back/tree" -type f | wc -l)
	[ "$there" -gt 0 ]
	[ "$there" -lt 16 ]
	[ "$(find "$home/from/tree" -type f | wc -l)" = $((16 - there)) ]
	[ "$( (sums "$home/from/tree" && sums "$home/back/tree") | sort -k 2)" = "$(sort -k 2 "$home/original")" ]
	rm "$disk/filler"
	skyferry transfer retry "$id"
	completes "$id"
	[ ! -e "$home/from/tree" ]
	rm -r "$home/back/tree"
	skyferry cp -qr to:tree back:
	diff <(sums "$home/back/tree") "$home/original"
}
