#!/usr/bin/env bats
# A real S3 server (SKYFERRY_TEST_S3: the line that a tests/servers/start-*.sh printed), used
# through the mount as a person would.
load helpers

setup()
{
	[ -n "${SKYFERRY_TEST_S3:-}" ] || skip "SKYFERRY_TEST_S3 names no server"
	home_make
	mkdir "$home/from" "$home/back"
	bucket=sky-$BATS_TEST_NUMBER-$$
	field() { jq -r ".$1" <<<"$SKYFERRY_TEST_S3"; }
	daemon_start
	skyferry account add from local "$home/from"
	skyferry account add back local "$home/back"
	SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=$(field secret_key) skyferry account add --no-test cloud s3 \
	    "service=$(field service)" "endpoint=$(field endpoint)" "region=$(field region)" "accessKeyId=$(field access_key)"
	# A bucket is a top-level directory of an account without one.
	skyferry mkdir "cloud:$bucket"
	SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=$(field secret_key) skyferry account add s3 s3 \
	    "service=$(field service)" "endpoint=$(field endpoint)" "region=$(field region)" "accessKeyId=$(field access_key)" "bucket=$bucket"
	mount_start
}

teardown()
{
	home_remove
}

settled()
{
	skyferry transfer wait --all --timeout 600 >"$home/wait" 2>&1 || { tail -n 20 "$home/wait"; tail -n 20 "$log"; return 1; }
}

@test "cp -r of real trees, local to S3 and back through the mount, is the same" {
	if [ -n "${SKYFERRY_TEST_FULL:-}" ]; then
		cp -rL /usr/include "$home/from/include" 2>/dev/null || true
		cp -rL /usr/share/doc "$home/from/doc" 2>/dev/null || true
	else
		cp -rL /usr/include/linux "$home/from/include"
		cp -rL /usr/share/doc/libc6 /usr/share/doc/bats /usr/share/doc/curl "$home/from/" 2>/dev/null || true
	fi
	cp -r "$mounts/from/." "$mounts/s3/"
	settled
	cp -r "$mounts/s3/." "$mounts/back/"
	settled
	diff -r "$home/from" "$home/back"
}

@test "cp of a file to S3 passes no content through cp" {
	content 1 $((32 << 20)) >"$home/from/big"
	strace -f -o "$home/trace" -e trace=read,write,copy_file_range,sendfile,splice,pread64,pwrite64 \
	    cp "$mounts/from/big" "$mounts/s3/big"
	grep -q 'copy_file_range' "$home/trace"
	# After the first copy_file_range nothing but more of them.
	sed -n '/copy_file_range/,$p' "$home/trace" | grep -vE 'copy_file_range|\+\+\+' | grep -E '(read|write|sendfile|splice|pread64|pwrite64)\(' && false
	settled
	cmp "$home/from/big" "$mounts/s3/big"
}

@test "mv between S3 and local moves, and the source is gone" {
	content 2 100000 >"$home/from/here"
	mv "$mounts/from/here" "$mounts/s3/there"
	[ ! -e "$mounts/from/here" ]
	settled
	[ ! -e "$home/from/here" ]
	mv "$mounts/s3/there" "$mounts/back/again"
	settled
	content 2 100000 | cmp - "$home/back/again"
	run skyferry ls s3:
	[ "$status" = 0 ]
	[[ $output != *there* ]]
}

@test "a directory is moved within the account, which cannot rename: waiting, and with --detach" {
	mkdir -p "$home/from/tree/sub"
	content 3 70000 >"$home/from/tree/one"
	content 4 10 >"$home/from/tree/sub/two"
	skyferry cp -r from:tree s3:
	skyferry mv s3:tree s3:renamed
	skyferry mv --detach s3:renamed s3:again
	settled
	[ "$(skyferry ls s3:)" = again/ ]
	skyferry cp -r s3:again back:
	diff -r "$home/from/tree" "$home/back/again"
}

@test "names that need care arrive as they are" {
	local long
	printf -v long '%0.sx' {1..255}
	for name in 'with space' 'ümläut-日本' "quote'd \"name\"" $'new\nline' '100%' 'a+b&c=d?e#f' "$long" '~tilde' 'semi;colon' 'back\slash'; do
		printf '%s' "$name" >"$home/from/$name"
	done
	cp -r "$mounts/from/." "$mounts/s3/"
	settled
	cp -r "$mounts/s3/." "$mounts/back/"
	settled
	diff -r "$home/from" "$home/back"
}

@test "empty files, writes, appends and truncations arrive" {
	: >"$mounts/s3/empty"
	echo one >"$mounts/s3/file"
	settled
	echo two >>"$mounts/s3/file"
	settled
	truncate -s 4 "$mounts/s3/file"
	settled
	skyferry cp s3:file back:file
	[ "$(cat "$home/back/file")" = one ]
	skyferry cp s3:empty back:empty
	[ -e "$home/back/empty" ] && [ ! -s "$home/back/empty" ]
}

@test "a server that is down: the transfer waits and the reason is said" {
	skyferry account add --no-test gone s3 endpoint=http://127.0.0.1:1 bucket=none
	echo x >"$home/from/x"
	# Its state is queued again, with the reason, after the first attempt.
	: >"$home/events" # whoever follows it may be first
	curl -sN --max-time 30 --unix-socket "$socket" "http://skyferry/api/events?kinds=change" >"$home/events" 3>&- &
	reader=$!
	timeout 30 tail -n +1 -f --pid=$reader "$home/events" 2>/dev/null | grep -q 'event: hello'
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"x","destinationAccountId":"gone","destinationPath":"x"}'
	timeout 30 tail -n +1 -f "$home/events" | grep -q '"status":"queued".*127.0.0.1'
	kill "$reader"
	skyferry transfers --json >"$home/list"
	jq -e '.transfers[0].error.message | test("127.0.0.1")' "$home/list"
	id=$(jq -r '.transfers[0].id' "$home/list")
	skyferry transfer cancel "$id"
}
