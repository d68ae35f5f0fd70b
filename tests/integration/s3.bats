#!/usr/bin/env bats
# A real S3 server (SKYFERRY_TEST_S3: the line that a tests/servers/start-*.sh printed), used
# through the mount as a person would.
bats_require_minimum_version 1.5.0
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

# object_put KEY CONTENT: what no path can express, by another program
object_put()
{
	local key user
	key=$(jq -rn --arg key "$1" '$key | @uri | gsub("%2F"; "/")')
	user=$(jq -r '(.access_key | @uri) + ":" + (.secret_key | @uri) + "@"' <<<"$SKYFERRY_TEST_S3") # --user ends the name at a colon
	curl -sS --fail-with-body --path-as-is --aws-sigv4 "aws:amz:$(field region):s3" -H x-amz-content-sha256:UNSIGNED-PAYLOAD \
	    -X PUT --data-binary "$2" "$(field endpoint | sed "s|//|//$user|")/$bucket/$key"
}

@test "keys that no path can express are listed, copied, moved and removed by their keys" {
	local long key
	printf -v long 'dir/%0300d' 0
	for key in /top dir//a dir//sub/b dir/./c dir/marker/ "$long"; do
		object_put "$key" "content of $key"
	done
	echo named >"$home/from/named"
	skyferry cp from:named s3:dir/named
	run --separate-stderr -0 skyferry ls s3:dir
	[ "$output" = $'marker/\nnamed' ]
	[[ $stderr == *"names left out, because no path can express them: 3"* ]]
	[ "$(skyferry ls --hidden s3:)" = / ]
	[ "$(skyferry ls --hidden s3:/)" = /top ]
	[ "$(skyferry ls --hidden s3:dir)" = "$(printf '%s\n' dir/./ dir// "$long")" ]
	[ "$(skyferry ls --hidden s3:dir//)" = $'dir//a\ndir//sub/' ]
	[ "$(skyferry ls --hidden --json "cloud:$bucket/dir/marker" | jq -c '[.prefix, .hidden, .keys[0].key, .keys[0].size]')" = \
	    "[\"$bucket/dir/marker/\",0,\"$bucket/dir/marker/\",22]" ]

	# mkdir leaves a marker's content.
	mkdir "$mounts/s3/dir/other"
	skyferry mkdir -p s3:dir/marker
	skyferry cp --key s3:dir/marker/ back:marker
	[ "$(cat "$home/back/marker")" = "content of dir/marker/" ]
	skyferry cp --key s3:dir//a s3:dir/a
	[ "$(cat "$mounts/s3/dir/a")" = "content of dir//a" ]
	run -1 skyferry cp --key s3:dir//a back:
	[[ $output == *"name the file that it becomes"* ]]
	run -1 skyferry cp --key s3:dir//none back:none
	skyferry mv --key "s3:$long" back:long
	[ "$(cat "$home/back/long")" = "content of $long" ]
	skyferry mv --key "cloud:$bucket//top" s3:top
	[ "$(cat "$mounts/s3/top")" = "content of /top" ]
	[ -z "$(skyferry ls --hidden s3:)" ]

	run -1 skyferry rm --key s3:dir//none
	run -1 skyferry rm --key s3:dir//
	run -1 skyferry rm --key s3:dir
	[[ $output == *"s3:dir: is no key; keys begin with it"* ]]
	[ "$(api GET "/api/accounts/s3/file?key=dir//a" | jq -c '[.key, .kind, .size]')" = '["dir//a","file",17]' ]
	skyferry rm --key s3:dir/./c s3:dir/marker/
	[ "$(skyferry ls --hidden s3:dir)" = dir// ]
	skyferry rm -r --key s3:dir//
	run --separate-stderr -0 skyferry ls s3:dir
	[ "$output" = $'other/\na\nnamed' ] && [ -z "$stderr" ]
	# The mount heard of all that, and of what is accepted while it is away.
	[ "$(ls "$mounts/s3/dir")" = $'a\nnamed\nother' ]
	[ -z "$(skyferry transfers --status failed)" ] || skyferry transfers --status failed
	daemon_stop
	skyferryd --check-store
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

@test "one bucket by two host names: a move to the same name removes nothing" {
	local host
	host=$(field endpoint)
	[[ $host == *127.0.0.1* ]] || skip "the server is not at 127.0.0.1"
	SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=$(field secret_key) skyferry account add twin s3 "service=$(field service)" \
	    "endpoint=${host/127.0.0.1/127.1}" "region=$(field region)" "accessKeyId=$(field access_key)" "bucket=$bucket"
	echo content >"$home/from/f"
	skyferry cp from:f s3:f
	sleep 1.1 # servers tell when it was written in seconds
	run -1 skyferry mv s3:f twin:f
	echo "$output"
	[ "$(cat "$mounts/s3/f")" = content ]
}
