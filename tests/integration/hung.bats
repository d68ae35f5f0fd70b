#!/usr/bin/env bats
# A directory that hangs, as that of an NFS server which is away: it stops what is done with its own
# account, and nothing else.  hangfs is stopped for that.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	mkdir "$home/a" "$home/b" "$home/net"
	net=$home/net
	"$build/tests/tools/hangfs" "$net" 2>"$home/hangfs.log" 3>&- 4>&- &
	hangfs=$!
	timeout 20 sh -c "until [ -e '$net/one/file' ]; do kill -0 $hangfs || exit 1; done"
}

teardown()
{
	# First: whatever looks into the home would hang too.
	hang_end
	home_remove
}

hang_begin()
{
	kill -STOP "$hangfs"
}

hang_end()
{
	[ -n "$hangfs" ] || return 0
	kill -CONT "$hangfs"
	kill -TERM "$hangfs"
	wait "$hangfs" || true
	hangfs=
	! grep -q " $net " /proc/self/mountinfo || fusermount3 -u -z "$net"
}

accounts_add()
{
	skyferry account add a local "$home/a" >/dev/null
	skyferry account add b local "$home/b" >/dev/null
	skyferry account add net local "$net/one" >/dev/null
	account=$(api GET /api/accounts | jq -r '.accounts[] | select(.name == "net") | .id')
}

# More than any pool has threads.
ask_hung()
{
	local i
	asking=()
	for i in {1..12}; do
		api GET /api/accounts/net/files >"$home/asked.$i" 2>&1 3>&- &
		asking+=($!)
		transfer net file a "from-net-$i"
		transfer a file net "from-a-$i"
	done
}

# transfer ACCOUNT PATH ACCOUNT PATH: queued, without a look at either.
transfer()
{
	timeout 20 curl -sSf --unix-socket "$socket" -o "$home/accepted" -H 'Content-Type: application/json' \
	    -d "{\"sourceAccountId\":\"$1\",\"sourcePath\":\"$2\",\"destinationAccountId\":\"$3\",\"destinationPath\":\"$4\"}" \
	    http://skyferry/api/transfers
}

@test "a hung directory stops neither the API nor other accounts, and goes on when it answers" {
	local pid
	daemon_start --set local.timeout=1s --set pool.threads=2 --set drain.timeout=1s
	accounts_add
	[ "$(skyferry ls net:)" = file ]
	content 1 100000 >"$home/a/file"
	hang_begin
	ask_hung
	for _ in {1..20}; do
		timeout 5 curl -sSf --unix-socket "$socket" http://skyferry/health >/dev/null
	done
	timeout 20 skyferry cp a:file b:file
	cmp "$home/a/file" "$home/b/file"
	timeout 20 skyferry mv b:file a:moved
	[ "$(timeout 20 skyferry ls a: | sort | tr '\n' ' ')" = "file moved " ]
	mkdir "$home/c"
	timeout 20 skyferry account add c local "$home/c"
	for pid in "${asking[@]}"; do
		kill "$pid" && wait "$pid" || true
	done
	kill -CONT "$hangfs"
	timeout 60 sh -c 'until cmp -s "$1/one/file" "$2/a/from-net-12"; do :; done' - "$net" "$home"
	skyferry transfer cancel --all >/dev/null 2>&1 || true # hangfs is read-only
}

@test "an account is not made of a directory that does not answer, which is said in time" {
	local from to
	daemon_start --set local.timeout=1s
	skyferry account add net local "$net/one" >/dev/null
	hang_begin
	from=$(date +%s%N)
	run timeout 20 skyferry account add x local "$net/two"
	to=$(date +%s%N)
	[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
	[[ $output == *"the directory '$net/two' did not answer within 1 s"* ]]
	[ $((to - from)) -ge 1000000000 ] && [ $((to - from)) -lt 10000000000 ]
	# The same for one that is changed.
	run curl -sS --max-time 20 --unix-socket "$socket" -o "$home/body" -w '%{http_code}' -X PUT \
	    -H 'Content-Type: application/json' -d "{\"credentials\":{\"root\":\"$net/two\"}}" http://skyferry/api/accounts/net
	[ "$output" = 504 ]
	[ "$(jq -r .code "$home/body")" = timeout ]
	# Whoever goes on trying holds no more than so much; another directory is looked at all the same.
	for _ in {1..6}; do
		run timeout 20 skyferry account add x local "$net/two"
		[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
	done
	[[ $output == *"who looked at it before has no answer yet"* ]]
	run timeout 20 skyferry account add x local "$net/two"
	[[ $output == *"have not answered yet"* ]]
	kill -CONT "$hangfs"
	timeout 20 sh -c "until skyferry account add x local '$net/two' >/dev/null 2>&1; do :; done"
	[ "$(skyferry ls x:)" = file ]
}

@test "a daemon starts and ends beside a directory that hangs" {
	daemon_start --set drain.timeout=100ms
	accounts_add
	hang_begin
	ask_hung
	status=0
	daemon_stop || status=$?
	[ "$status" = 1 ]
	grep -q "a disk does not answer: leaving without waiting for it" "$log"
	daemon_start --set drain.timeout=100ms
	content 1 100000 >"$home/a/file"
	timeout 20 skyferry cp a:file b:file
	kill -CONT "$hangfs"
}

@test "in the mount a hung account stops no other" {
	local i
	daemon_start --set mount.settle=0s
	accounts_add
	for i in {1..6}; do # of one directory, which is one place to the pool
		skyferry account add "net$i" local "$net/one" >/dev/null
	done
	mount_here
	hang_begin
	for i in {1..6}; do
		ls "$mounts/net$i" >/dev/null 2>&1 3>&- &
	done
	content 1 300000 >"$home/content"
	timeout 20 cp "$home/content" "$mounts/a/file"
	timeout 20 cp "$mounts/a/file" "$mounts/b/file"
	timeout 20 cmp "$home/content" "$mounts/b/file"
	settled
	cmp "$home/content" "$home/b/file"
	kill -CONT "$hangfs"
	wait $(jobs -p | grep -vx "$hangfs\|$daemon\|$mounter") || true
}
