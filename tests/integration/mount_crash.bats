#!/usr/bin/env bats
# kill -9 of the mount, of the daemon, of both, and unmounting: a command that has returned success is
# carried out, one that has failed left nothing or all of it, nothing of ours stays behind.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	from=$mounts/from to=$mounts/to
	mkdir "$home/from" "$home/to" "$home/seed"
	if [ -n "${SKYFERRY_TEST_FULL:-}" ]; then
		kills=20 passes="1 2 3 5 8 13 21"
	else
		kills=4 passes="1 4"
	fi
	# The mount is given up soon after it is gone; what it wrote waits for that.
	export SKYFERRY_MOUNT_LEASE=1s
	daemon_start
	skyferry account add from local "$home/from" >/dev/null
	skyferry account add to local "$home/to" >/dev/null
}

teardown()
{
	home_remove
}

# Of each kind of command one, over and over.
kinds=(echo redirect dd in copy move both rename)
sizes=(1 4096 0 65537 300001 17 131072 900000 5000 33 2000000 70000 512)

# What command number I writes.
seed()
{
	echo "$home/seed/$(($1 % ${#sizes[@]}))"
}

# What the first N commands work on, put there before anything is mounted.
sources_make()
{
	local i
	for i in "${!sizes[@]}"; do
		content "seed $i" "${sizes[$i]}" >"$home/seed/$i"
	done
	for ((i = 0; i < $1; i++)); do
		case ${kinds[i % ${#kinds[@]}]} in
		copy | move) cp "$(seed $i)" "$home/from/$i" ;;
		esac
	done
}

# Programs that look at what close() returns: a shell does not.
command_run() # I
{
	local i=$1
	case ${kinds[i % ${#kinds[@]}]} in
	echo) env echo "$i" >"$to/$i" ;;
	redirect) cat "$(seed "$i")" >"$to/$i" ;;
	dd) dd if="$(seed "$i")" of="$to/$i" bs=7000 status=none ;;
	in) cp "$(seed "$i")" "$to/$i" ;;
	copy) cp "$from/$i" "$to/$i" ;;
	move) mv "$from/$i" "$to/$i" ;;
	both) dd if="$(seed "$i")" of="$from/$i" bs=40000 status=none && cp "$from/$i" "$to/$i" ;;
	rename) cp "$(seed "$i")" "$to/$i.part" && mv "$to/$i.part" "$to/$i" ;;
	esac
}

# Commands A to B, until one fails.
commands_run()
{
	local i
	for ((i = $1; i < $2; i++)); do
		echo "$i" >>"$home/begun"
		command_run "$i" 2>>"$home/errors" || return 0
		echo "$i" >>"$home/acknowledged"
	done
}

# All of what command I writes, in FILE?
is_whole() # I FILE
{
	if [ "${kinds[$1 % ${#kinds[@]}]}" = echo ]; then
		[ "$(cat "$2")" = "$1" ]
	else
		cmp -s "$(seed "$1")" "$2"
	fi
}

wrong()
{
	echo "command $1 (${kinds[$1 % ${#kinds[@]}]}): $2"
	tail -n 5 "$home/errors"
	return 1
}

# What command I has left below DIR, a mount or the accounts' directories; SUCCESS: yes or no.
command_check() # I SUCCESS DIR
{
	local i=$1 success=$2 a=$3/from b=$3/to kind=${kinds[$1 % ${#kinds[@]}]} name
	for name in "$b/$i" "$b/$i.part" "$a/$i"; do
		[ ! -e "$name" ] || is_whole "$i" "$name" ||
			# A shell, and dd, close a copy of the descriptor before anything is written: that is a
			# state of the file too, and was durable.
			{ [ "$success" = no ] && [ ! -s "$name" ] && [[ $kind =~ ^(echo|redirect|dd|both)$ ]]; } ||
			wrong "$i" "$name is not whole" || return 1
	done
	if [ "$success" = yes ]; then
		[ -e "$b/$i" ] || wrong "$i" "its destination is missing" || return 1
		[ ! -e "$b/$i.part" ] || wrong "$i" "the old name is still there" || return 1
	fi
	case $kind in
	copy) [ -e "$a/$i" ] || wrong "$i" "the source of a copy is gone" ;;
	move)
		if [ -e "$b/$i" ]; then
			[ ! -e "$a/$i" ] || wrong "$i" "the source was moved and is still there"
		else
			[ -e "$a/$i" ] || wrong "$i" "neither source nor destination is there"
		fi ;;
	rename) [ ! -e "$b/$i" ] || [ ! -e "$b/$i.part" ] || wrong "$i" "it is there by both names" ;;
	both) [ "$success" = no ] || [ -e "$a/$i" ] || wrong "$i" "the source of a copy is gone" ;;
	esac
}

# What the commands from A to B had been told is done is seen in the mount.
mount_check()
{
	local i
	while read -r i; do
		[ "$i" -lt "$1" ] || [ "$i" -ge "$2" ] || command_check "$i" yes "$mounts" || return 1
	done <"$home/acknowledged"
}

# At the end of all: every command that was begun, and nothing beside them.
outcome_check()
{
	local i
	local -A success
	settled
	api GET '/api/transfers?limit=10&status=failed' | jq -r '.transfers[] | "\(.sourcePath) -> \(.destinationPath): \(.error.message)"' >"$home/failed"
	[ ! -s "$home/failed" ] || { cat "$home/failed"; return 1; }
	while read -r i; do
		success[$i]=yes
	done <"$home/acknowledged"
	while read -r i; do
		command_check "$i" "${success[$i]:-no}" "$home" || return 1
	done <"$home/begun"
	# Commands fail only because the mount is gone, or is going.
	! grep -vE 'not connected|connection abort|No such device| Killed ' "$home/errors" || return 1
	[ "$(find "$home/from" "$home/to" -type f | grep -cvE '/[0-9]+(\.part)?$')" = 0 ]
	[ -z "$(find "$home/from" "$home/to" -name '.skyferry-*')" ]
	spool_check
}

# A file that was being written when the mount died, and that nothing names, goes with the lease.
spool_check()
{
	local left
	for _ in {1..600}; do
		left=$(find "$state/spool" -type f)
		[ -n "$left" ] || return 0
		read -r -t 0.1 <> <(:) || true
	done
	echo "left in the spool: $left"
	return 1
}

instant() # a random one is what is tested: nothing tells when it has come
{
	local seconds
	printf -v seconds '0.%03d' $((50 + RANDOM % 700))
	read -r -t "$seconds" <> <(:) || true
}

remount()
{
	fusermount3 -u -z "$mounts"
	mount_here -o settle=200ms
}

@test "a mount takes a dead one at its place away" {
	mount_here
	echo 1 >"$to/1"
	mount_kill
	mount_here # while the kernel still has answers of the dead one
	[ "$(cat "$to/1")" = 1 ]
	mount_kill
	skyferry mount "$mounts" 3>&- 4>&-
	[ "$(cat "$to/1")" = 1 ]
	[ "$(grep -c " $mounts " /proc/self/mountinfo)" = 1 ]
	skyferry unmount "$mounts"
}

@test "chmod and utimens of a file that is open for writing are durable when they return" {
	mount_here
	exec 6>"$to/open"
	echo content >&6 # and durable when the next program has closed its copy of the descriptor
	python3 -c 'import os, sys; os.utime(sys.argv[1], (7, 981173106)); os.chmod(sys.argv[1], 0o640)' "$to/open" 6>&-
	mount_kill
	! exec 6>&-
	fusermount3 -u -z "$mounts"
	outcome=$(timeout 60 sh -c "until [ -e '$home/to/open' ]; do :; done" && stat -c %a:%Y "$home/to/open")
	[ "$outcome" = 640:981173106 ]
	[ "$(cat "$home/to/open")" = content ]
	spool_check
}

@test "kill -9 of the mount at random instants" {
	local n each=100 worker
	RANDOM=4711
	sources_make $((kills * each))
	: >"$home/acknowledged"
	mount_here -o settle=200ms
	for ((n = 0; n < kills; n++)); do
		commands_run $((n * each)) $((n * each + each)) 3>&- &
		worker=$!
		instant
		mount_kill
		wait "$worker"
		remount
		mount_check $((n * each)) $((n * each + each))
	done
	[ -s "$home/acknowledged" ]
	[ -s "$home/errors" ]
	outcome_check
}

@test "kill -9 of the daemon and the mount together" {
	local n each=100 worker
	RANDOM=815
	sources_make $((kills * each))
	: >"$home/acknowledged"
	mount_here -o settle=200ms
	for ((n = 0; n < kills; n++)); do
		commands_run $((n * each)) $((n * each + each)) 3>&- &
		worker=$!
		instant
		kill -KILL "$daemon" "$mounter"
		daemon_kill
		mount_kill
		wait "$worker"
		daemon_start
		remount
		mount_check $((n * each)) $((n * each + each))
	done
	[ -s "$home/acknowledged" ]
	[ -s "$home/errors" ]
	# A daemon that starts gives the mounts it knows time to come back.
	outcome_check
}

@test "the mount dies at each of its crash points" {
	local point pass each=48 n=0 status
	set -- $passes
	sources_make $((4 * $# * each))
	: >"$home/acknowledged"
	for point in $(sed -n 's/^[[:space:]]*"\(mount\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		for pass in $passes; do
			echo "# $point:$pass"
			SKYFERRY_CRASH=$point:$pass mount_here -o settle=200ms
			commands_run "$n" $((n + each))
			status=0
			timeout 20 tail -s 0.05 -f --pid="$mounter" /dev/null # what is closed is queued a moment later
			wait "$mounter" || status=$?
			mounter=
			[ "$status" = 137 ]
			remount
			mount_check "$n" $((n + each))
			skyferry unmount "$mounts"
			wait "$mounter"
			mounter=
			n=$((n + each))
		done
	done
	outcome_check
}

@test "the daemon stops, or dies, and comes back while files are open for writing" {
	local n how pids=() pid
	mount_here -o settle=200ms
	content opened 400000 >"$home/seed/opened"
	for how in stop kill; do
		pids=()
		for n in 1 2 3; do
			mkfifo "$home/$how$n"
			dd if="$home/$how$n" of="$to/$how$n" bs=8192 status=none 3>&- &
			pids+=($!)
		done
		exec 6>"$home/${how}1" 7>"$home/${how}2" 8>"$home/${how}3"
		for n in 6 7 8; do
			head -c 100000 "$home/seed/opened" >&$n
		done
		"daemon_$how"
		# Two are written to the end and closed while it is away, the third when it is back.
		for n in 6 7; do
			tail -c +100001 "$home/seed/opened" >&$n
		done
		exec 6>&- 7>&-
		[ "$(id -u)" != 0 ] || requests_held 2
		daemon_start 8>&-
		tail -c +100001 "$home/seed/opened" >&8
		exec 8>&-
		for pid in "${pids[@]}"; do
			wait "$pid"
		done
	done
	settled
	for how in stop kill; do
		for n in 1 2 3; do
			cmp "$home/seed/opened" "$home/to/$how$n"
		done
	done
	spool_check
}

@test "unmounting returns at once and loses nothing, also with the daemon stopped" {
	local i
	mount_here -o settle=60s # they wait here, however slow the machine is
	for i in {1..20}; do
		content "$i" $((i * 4000)) >"$to/$i"
	done
	content moved 70000 >"$home/from/moved"
	content copied 70000 >"$home/from/copied"
	cp "$from/copied" "$to/copied"
	[ ! -e "$home/to/1" ]
	kill -STOP "$daemon"
	timeout 10 skyferry unmount "$mounts"
	! grep -q " $mounts " /proc/self/mountinfo
	kill -CONT "$daemon"
	wait "$mounter"
	mounter=
	settled
	for i in {1..20}; do
		content "$i" $((i * 4000)) | cmp - "$home/to/$i"
	done
	cmp "$home/from/copied" "$home/to/copied"
	spool_check
}

@test "unmount --wait waits, and tells of failures" {
	local i
	mount_here -o settle=1s
	for i in {1..20}; do
		content "$i" 50000 >"$to/$i"
	done
	[ ! -e "$home/to/20" ]
	timeout 60 skyferry unmount --wait "$mounts"
	wait "$mounter"
	mounter=
	for i in {1..20}; do
		content "$i" 50000 | cmp - "$home/to/$i"
	done
	# A copy whose source somebody takes away before it is carried out.
	echo here >"$home/from/gone"
	mount_here -o settle=1s
	cp "$from/gone" "$to/gone"
	rm "$home/from/gone"
	run timeout 60 skyferry unmount --wait "$mounts"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *gone* ]]
	wait "$mounter"
	mounter=
	[ ! -e "$home/to/gone" ]
}

@test "unmount --wait does not wait until what was written has settled" {
	mount_here -o settle=1h
	content 1 50000 >"$to/one"
	timeout 20 skyferry unmount --wait "$mounts"
	wait "$mounter"
	mounter=
	content 1 50000 | cmp - "$home/to/one"
}

@test "a mount that is in use is not unmounted, a lazy unmount ends when it is not any more" {
	mount_here -o settle=200ms
	exec 6>"$to/open"
	content 1 30000 >&6
	run timeout 20 skyferry unmount "$mounts"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *--lazy* ]]
	content 2 30000 >&6
	timeout 20 skyferry unmount --lazy "$mounts"
	! grep -q " $mounts " /proc/self/mountinfo
	content 3 30000 >&6
	exec 6>&-
	wait "$mounter"
	mounter=
	settled
	{ content 1 30000; content 2 30000; content 3 30000; } | cmp - "$home/to/open"
}
