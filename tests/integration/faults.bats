#!/usr/bin/env bats
# What goes wrong around the daemon: each ends in a clear error that names the remedy, and nothing is lost.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	mkdir "$home/from" "$home/to"
}

teardown()
{
	if [ -n "${small:-}" ]; then
		daemon_stop || true
		umount "$small" || umount -l "$small"
	fi
	home_remove
}

accounts_add()
{
	skyferry account add from local "$home/from" >/dev/null
	skyferry account add to local "$home/to" >/dev/null
}

# refused PATTERN ARGUMENT...: the daemon does not start and says why.
refused()
{
	local pattern=$1
	shift
	run timeout 30 skyferryd --set api.listen=none "$@"
	echo "$output"
	[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
	grep -qE "$pattern" <<<"$output"
}

small_state() # a file system of its own below the state directory
{
	[ "$(id -u)" = 0 ] || skip "needs root to mount a small file system"
	small=$state
	mkdir -p "$small"
	mount -t tmpfs -o "size=$1,mode=700" skyferry-test "$small"
}

@test "a second daemon on the same state is refused, by name and pid" {
	daemon_start
	refused "another daemon.*$daemon" --set "runtime.dir=$home/other"
}

@test "a port in use is named, with the setting" {
	local port
	daemon_start
	for port in $(shuf -i 20000-30000 -n 20); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	daemon_stop
	skyferryd --set "api.listen=127.0.0.1:$port" 2>>"$log" &
	daemon=$!
	timeout 30 tail -n +1 -f --pid="$daemon" "$log" | grep -q "listening on.*$port"
	XDG_STATE_HOME=$home/other run timeout 30 skyferryd --set "api.listen=127.0.0.1:$port" --set "runtime.dir=$home/other-run"
	echo "$output"
	[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
	grep -q "api.listen" <<<"$output"
	grep -q "$port" <<<"$output"
}

@test "a wrong master key is refused, and the right one opens everything again" {
	daemon_start
	accounts_add
	daemon_stop
	mv "$state/master.key" "$home/right.key"
	head -c 32 /dev/urandom >"$state/master.key"
	chmod 600 "$state/master.key"
	refused 'key'
	cp "$home/right.key" "$state/master.key"
	chmod 600 "$state/master.key"
	daemon_start
	skyferry account list | grep -q from
}

@test "a master key that others can read is refused" {
	daemon_start
	daemon_stop
	chmod 644 "$state/master.key"
	refused 'master.key.*(0600|others)'
}

@test "a missing master key beside a store is not replaced in silence" {
	daemon_start
	accounts_add
	daemon_stop
	mv "$state/master.key" "$home/right.key"
	refused 'key'
	rm -f "$state/master.key"
	mv "$home/right.key" "$state/master.key"
	daemon_start
	skyferry account test from
}

@test "a truncated database is refused before it can crash the daemon" {
	daemon_start
	accounts_add
	for n in {1..50}; do
		echo "$n" >"$home/from/$n"
	done
	skyferry cp from:1 from:2 from:3 to: >/dev/null
	daemon_stop
	truncate -s 8192 "$state/store/data.mdb"
	refused 'truncated|damaged|shorter'
}

@test "a damaged database is found by --check-store and nothing else is lost" {
	local size
	daemon_start
	accounts_add
	echo x >"$home/from/x"
	skyferry cp from:x to:x >/dev/null
	skyferryd --backup-store "$home/backup"
	daemon_stop
	skyferryd --check-store
	size=$(stat -c %s "$state/store/data.mdb")
	# All but the two meta pages.
	head -c $((size - 8192)) /dev/urandom | dd of="$state/store/data.mdb" bs=4096 seek=2 conv=notrunc status=none
	run skyferryd --check-store
	echo "$output"
	[ "$status" -ne 0 ]
	rm -rf "$state/store"
	cp -r "$home/backup" "$state/store"
	daemon_start
	skyferry account list | grep -q from
}

@test "a read-only state directory is named" {
	small_state 16M
	mount -o remount,ro "$small"
	refused "$state.*(read-only|Read-only|cannot)"
	mount -o remount,rw "$small"
}

@test "no space in the state directory: what was acknowledged stays, what was not is refused" {
	small_state 24M
	daemon_start
	accounts_add
	for n in {1..20}; do
		echo "$n" >"$home/from/$n"
	done
	dd if=/dev/zero of="$small/filler" bs=64K status=none 2>/dev/null || true
	: >"$home/refused"
	for n in {1..20}; do
		api POST /api/transfers "{\"sourceAccountId\":\"from\",\"sourcePath\":\"$n\",\"destinationAccountId\":\"to\",\"destinationPath\":\"$n\"}" \
		    >>"$home/answers" 2>&1 || echo "$n" >>"$home/refused"
	done
	[ -s "$home/refused" ]
	grep -q 'no_space' "$home/answers"
	kill -0 "$daemon"
	rm "$small/filler"
	for n in {1..20}; do
		api POST /api/transfers "{\"sourceAccountId\":\"from\",\"sourcePath\":\"$n\",\"destinationAccountId\":\"to\",\"destinationPath\":\"$n\"}" >/dev/null
	done
	skyferry transfer wait --all --timeout 120
	[ "$(ls "$home/to" | wc -l)" = 20 ]
}

@test "pending writes whose mount ends while nothing can be written are queued when it can" {
	local mount lease p=00000000-0000-4000-8000-000000000001
	trap '' XFSZ # a write beyond the limit below shall fail, not kill
	daemon_start --set mount.lease=1s
	trap - XFSZ
	accounts_add
	mount=$(api POST /api/mounts '{"directory":"/mnt/x"}' | jq -r .id)
	mkfifo "$home/lease"
	curl -sSN --unix-socket "$socket" "http://skyferry/api/events?mount=$mount" >"$home/lease" 3>&- &
	lease=$!
	exec 8<"$home/lease"
	read -r -u 8 _
	api PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"to\",\"path\":\"w\",\"segments\":[]}" >/dev/null
	prlimit --pid "$daemon" --fsize=0:
	kill "$lease"
	exec 8<&-
	wait "$lease" || true
	for _ in {1..200}; do
		[ "$(api GET /api/mounts | jq '.mounts | length')" != 0 ] || break
		read -r -t 0.05 <> <(:) || true
	done
	# Behind the release in the store's line: when this is refused, that was too.
	run ! api POST /api/changes '{"kind":"mkdir","accountId":"to","path":"d"}'
	[ "$(api GET "/api/transfers/$p" | jq -r .status)" = pending ]
	prlimit --pid "$daemon" --fsize=unlimited:
	skyferry transfer wait "$p" --timeout 60
	[ -e "$home/to/w" ]
}

@test "no space in the spool: write fails with ENOSPC, earlier files arrive" {
	small_state 32M
	daemon_start
	accounts_add
	mount_start
	echo kept >"$mounts/to/kept"
	run dd if=/dev/zero of="$mounts/to/large" bs=1M count=64
	echo "$output"
	[ "$status" -ne 0 ]
	grep -qi 'no space left' <<<"$output"
	# The kernel gives a closed file back behind close(2), and its space is free only then: until then nothing is taken on.
	timeout 60 bash -c 'until rm -f "$1"; do :; done' _ "$mounts/to/large" 2>/dev/null
	timeout 60 bash -c 'until echo after >"$1"; do :; done' _ "$mounts/to/after" 2>/dev/null
	skyferry transfer wait --all --timeout 120 || true
	[ "$(cat "$home/to/kept")" = kept ]
	[ "$(cat "$home/to/after")" = after ]
	mount_stop
}

@test "a map that is full grows" {
	local n
	daemon_start --set store.map_size=1M
	accounts_add
	for n in {1..1500}; do
		printf 'next\nurl = "http://skyferry/api/transfers"\nunix-socket = "%s"\noutput = "/dev/null"\nfail\ndata = "{\\"sourceAccountId\\":\\"from\\",\\"sourcePath\\":\\"none\\",\\"destinationAccountId\\":\\"to\\",\\"destinationPath\\":\\"%s\\",\\"notBefore\\":\\"2099-01-01T00:00:00.000Z\\"}"\nheader = "Content-Type: application/json"\n' "$socket" "$n"
	done >"$home/requests"
	curl -sS -K "$home/requests"
	[ "$(api GET '/api/transfers?limit=1' | jq .total)" = 1500 ]
	daemon_kill
	daemon_start --set store.map_size=1M
	[ "$(api GET '/api/transfers?limit=1' | jq .total)" = 1500 ]
}

@test "a full disk in the account's directory fails the transfer with the reason, and a retry completes it" {
	[ "$(id -u)" = 0 ] || skip "needs root to mount a small file system"
	small=$home/to
	mount -t tmpfs -o size=4M skyferry-test "$small"
	daemon_start --set transfer.retries=0
	accounts_add
	content 1 $((8 << 20)) >"$home/from/big"
	run skyferry cp from:big to:big
	echo "$output"
	[ "$status" = 1 ]
	grep -qi 'no space' <<<"$output"
	[ -z "$(find "$home/to" -type f)" ]
	[ -e "$home/from/big" ]
	mount -o remount,size=64M "$small"
	id=$(api GET '/api/transfers?status=failed' | jq -r '.transfers[0].id')
	skyferry transfer retry "$id"
	skyferry transfer wait "$id" --timeout 60
	cmp "$home/from/big" "$home/to/big"
}
