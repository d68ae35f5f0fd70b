#!/usr/bin/env bats
# The mount: what programs do in it, and what the clouds then have.
load helpers
bats_require_minimum_version 1.5.0

setup()
{
	home_make
	a=$mounts/a b=$mounts/b
	mkdir "$home/a" "$home/b"
	daemon_start
	skyferry account add a local "$home/a"
	skyferry account add b local "$home/b"
}

teardown()
{
	if [ -n "${mounter:-}" ]; then
		kill -CONT "$mounter" 2>/dev/null || true
		kill -TERM "$mounter" 2>/dev/null || true
		wait "$mounter" 2>/dev/null || true
	fi
	[ -z "$daemon" ] || kill -CONT "$daemon"
	[ -z "${small:-}" ] || umount -l "$small"
	home_remove
}

# The mount as a child of the test, so that it can be stopped and killed; returns when it is there.
mount_here()
{
	: >"$home/mount.log"
	mount.skyferry -f "$@" "$mounts" 2>>"$home/mount.log" 3>&- 4>&- &
	mounter=$!
	timeout 30 tail -n +1 -f --pid="$mounter" "$home/mount.log" 2>/dev/null | grep -q 'mounted at' && return 0
	cat "$home/mount.log"
	return 1
}

# All that is queued has been carried out.
settled()
{
	skyferry transfer wait --all --timeout 120 >"$home/wait" 2>&1 || { cat "$home/wait" "$home/mount.log"; return 1; }
}

failures() { api GET '/api/transfers?limit=1&status=failed' | jq .total; }

pending() { api GET /health | jq '.changes.pending + .changes.queued + .changes.running'; }

# traced OUT COMMAND...: the system calls that move content.
traced()
{
	local out=$1
	shift
	strace -f -qq -e trace=read,write,pread64,pwrite64,sendfile,splice,copy_file_range,openat -e signal=none -o "$out" "$@"
}

# Bytes that the traced program itself read from or wrote to files of the mount.
carried()
{
	awk -v mounts="$mounts" '
	    /openat\(/ && $NF ~ /^[0-9]+$/ { open[$1, $NF] = index($0, mounts) > 0 }
	    /[^_](read|write|pread64|pwrite64|sendfile|splice)\(/ {
		split($2, call, /[(,]/)
		if (open[$1, call[2]] && $NF > 0) sum += $NF
	    }
	    END { print sum + 0 }' "$1"
}

@test "names are those of the accounts and their directories" {
	mkdir -p "$home/a/dir/sub"
	content 1 5000 >"$home/a/dir/file"
	: >"$home/a/empty"
	mount_here
	[ "$(ls "$mounts")" = "a
b" ]
	[ "$(ls "$a" "$a/dir")" = "$a:
dir
empty

$a/dir:
file
sub" ]
	cmp "$home/a/dir/file" "$a/dir/file"
	[ "$(stat -c %s:%b "$a/dir/file")" = 5000:10 ]
	[ "$(stat -c %b "$a/empty")" = 0 ]
	[ ! -e "$a/none" ]
	run ! mkdir "$mounts/new"
	run ! touch "$mounts/new"
	run ! rmdir "$b"
	run ! mv "$a" "$mounts/c"
}

@test "names of every kind" {
	local name names=("a b" "x'y\"z" $'new\nline' "100%" "über/straße" "$(printf 'n%.0s' $(seq 255))" "-dash" "*?[" 'back\slash')
	mount_here
	mkdir "$a/über"
	for name in "${names[@]}"; do
		printf '%s' "$name" >"$a/$name"
		cp -- "$a/$name" "$b/${name##*/}"
	done
	settled
	for name in "${names[@]}"; do
		[ "$(cat -- "$home/a/$name")" = "$name" ]
		[ "$(cat -- "$home/b/${name##*/}")" = "$name" ]
	done
	run ! touch "$a/$(printf 'n%.0s' $(seq 256))"
	run ! touch "$a/"$'\xff\xfe'
	run ! touch "$a/.skyferry-x"
}

@test "cp is intercepted: no content passes through it" {
	content 2 3000001 >"$home/a/big"
	: >"$home/a/empty"
	mount_here
	traced "$home/trace" cp "$a/big" "$b/big"
	grep -q 'copy_file_range(' "$home/trace"
	[ "$(carried "$home/trace")" = 0 ]
	cmp "$home/a/big" "$b/big" # at once, before it is in the cloud
	cp "$a/empty" "$b/empty"
	settled
	cmp "$home/a/big" "$home/b/big"
	[ -e "$home/b/empty" ] && [ ! -s "$home/b/empty" ]
	[ "$(api GET '/api/transfers?limit=1&sortBy=createdAt' | jq .total)" = 2 ]
}

@test "cp -r of a tree, there and on" {
	cp -rL /usr/include/linux "$home/a/tree"
	mount_here
	cp -r "$a/tree" "$b/tree"
	diff -r "$home/a/tree" "$b/tree"
	settled
	diff -r "$home/a/tree" "$home/b/tree"
	[ "$(failures)" = 0 ]
}

@test "a sparse file of 2^32 + 5 bytes is intercepted" {
	truncate -s 4294967296 "$home/a/sparse"
	printf 12345 >>"$home/a/sparse"
	mount_here
	traced "$home/trace" cp "$a/sparse" "$b/sparse"
	[ "$(carried "$home/trace")" = 0 ]
	[ "$(stat -c %s "$b/sparse")" = 4294967301 ]
	settled
	[ "$(stat -c %s "$home/b/sparse")" = 4294967301 ]
	[ "$(tail -c 5 "$home/b/sparse")" = 12345 ]
}

@test "mv of a file between accounts: visible at once, the source goes when it is safe" {
	content 3 200000 >"$home/a/one"
	cp "$home/a/one" "$home/one"
	mount_here
	traced "$home/trace" mv "$a/one" "$b/two"
	[ "$(carried "$home/trace")" = 0 ]
	[ ! -e "$a/one" ]
	cmp "$home/one" "$b/two"
	settled
	[ ! -e "$home/a/one" ]
	cmp "$home/one" "$home/b/two"
}

@test "mv of a directory within an account and between accounts" {
	mkdir -p "$home/a/d/e"
	echo 1 >"$home/a/d/1"
	echo 2 >"$home/a/d/e/2"
	mount_here
	mv "$a/d" "$a/f"
	[ ! -e "$home/a/d" ]
	[ "$(cat "$home/a/f/e/2")" = 2 ]
	[ "$(cat "$a/f/e/2")" = 2 ]
	mv "$a/f" "$b/"
	[ ! -e "$a/f" ]
	[ "$(cat "$b/f/1" "$b/f/e/2")" = "1
2" ]
	settled
	[ ! -e "$home/a/f" ]
	[ "$(cat "$home/b/f/1" "$home/b/f/e/2")" = "1
2" ]
}

@test "a directory in which a file is being written is not renamed" {
	mount_here
	mkdir "$a/d"
	exec 7>"$a/d/file"
	echo begun >&7
	run ! mv "$a/d" "$a/e"
	[[ $output == *busy* ]]
	exec 7>&-
	mv "$a/d" "$a/e"
	[ "$(cat "$home/a/e/file")" = begun ]
}

@test "rename does not replace where it must not" {
	echo a >"$home/a/a"
	echo b >"$home/a/b"
	mkdir "$home/a/d"
	mount_here
	mv -n "$a/a" "$a/b"
	[ "$(cat "$a/b")" = b ]
	run ! mv -T "$a/a" "$a/d"
	mv "$a/a" "$a/b"
	[ "$(cat "$a/b")" = a ]
	settled
	[ "$(cat "$home/a/b")" = a ] && [ ! -e "$home/a/a" ]
}

@test "cat, concatenation, install, and copies by descriptor are intercepted" {
	content 4 300000 >"$home/a/one"
	content 5 200000 >"$home/a/two"
	cat "$home/a/one" "$home/a/two" >"$home/both"
	mount_here
	traced "$home/trace1" bash -c "cat '$a/one' >'$b/cat'"
	traced "$home/trace2" bash -c "{ cat '$a/one'; cat '$a/two'; } >'$b/both'"
	traced "$home/trace3" install -m 600 "$a/one" "$b/install"
	[ "$(carried "$home/trace1")$(carried "$home/trace2")$(carried "$home/trace3")" = 000 ]
	settled
	cmp "$home/a/one" "$home/b/cat"
	cmp "$home/both" "$home/b/both"
	cmp "$home/a/one" "$home/b/install"
	[ "$(stat -c %a "$home/b/install")" = 600 ]
}

@test "a descriptor that a child inherits does not end a copy" {
	content 6 900000 >"$home/a/one"
	mount_here
	python3 - "$a/one" "$b/one" <<-'END'
	import os, sys
	i = os.open(sys.argv[1], os.O_RDONLY)
	o = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
	os.copy_file_range(i, o, 500000)
	if os.fork() == 0:
	    os._exit(0)
	os.wait()
	while os.copy_file_range(i, o, 1 << 30):
	    pass
	END
	settled
	cmp "$home/a/one" "$home/b/one"
	[ "$(failures)" = 0 ]
}

@test "pages written through mmap after close are not lost" {
	mount_here
	python3 - "$b/mapped" <<-'END'
	import mmap, os, sys
	f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	os.write(f, b'a' * 10000)
	m = mmap.mmap(f, 10000)
	os.close(f)
	m[5000:5005] = b'HELLO'
	m.close()
	END
	settled
	[ "$(tr -d a <"$home/b/mapped")" = HELLO ]
	[ "$(stat -c %s "$home/b/mapped")" = 10000 ]
}

@test "a mixture of copied and written ranges is uploaded without being downloaded" {
	content 7 500000 >"$home/a/one"
	mount_here
	cp "$a/one" "$b/mixed"
	printf NEW | dd of="$b/mixed" bs=1 seek=1000 conv=notrunc status=none
	cp "$home/a/one" "$home/expected"
	printf NEW | dd of="$home/expected" bs=1 seek=1000 conv=notrunc status=none
	cmp "$home/expected" "$b/mixed"
	settled
	cmp "$home/expected" "$home/b/mixed"
	echo more >>"$b/mixed" # of what the cloud has now, only this is written
	echo more >>"$home/expected"
	settled
	cmp "$home/expected" "$home/b/mixed"
}

@test "editors write a temporary file and rename it: one upload" {
	echo old >"$home/a/doc"
	mount_here
	echo new >"$a/.doc.tmp"
	mv "$a/.doc.tmp" "$a/doc"
	[ "$(cat "$a/doc")" = new ]
	settled
	[ "$(cat "$home/a/doc")" = new ]
	[ ! -e "$home/a/.doc.tmp" ]
	[ "$(api GET '/api/transfers?status=completed' | jq .total)" = 1 ]
}

@test "append, truncate, times and modes" {
	echo 1 >"$home/a/log"
	mount_here
	for i in 2 3 4; do echo $i >>"$a/log"; done
	[ "$(tr '\n' ' ' <"$a/log")" = "1 2 3 4 " ]
	truncate -s 4 "$a/log"
	settled
	[ "$(tr '\n' ' ' <"$home/a/log")" = "1 2 " ]
	touch -d @981173106 "$a/log"
	chmod 640 "$a/log"
	[ "$(stat -c %Y:%a "$a/log")" = 981173106:640 ]
	settled
	[ "$(stat -c %Y:%a "$home/a/log")" = 981173106:640 ]
	cp -p "$a/log" "$b/log"
	settled
	[ "$(stat -c %Y:%a "$home/b/log")" = 981173106:640 ]
	chown "$(id -u)" "$b/log"
}

@test "rm, rm -r and rmdir: gone at once" {
	mkdir -p "$home/a/d/e"
	for i in $(seq 50); do echo $i >"$home/a/d/$i"; echo $i >"$home/a/d/e/$i"; done
	mount_here
	run ! rmdir "$a/d"
	rm -r "$a/d"
	[ ! -e "$a/d" ]
	[ -z "$(ls "$a")" ]
	settled
	[ -z "$(ls "$home/a")" ]
	echo x >"$a/never" && rm "$a/never" # before it was uploaded
	settled
	[ -z "$(ls "$home/a")" ]
	[ "$(failures)" = 0 ]
}

@test "unlink after copy: the source goes only when the copy is safe" {
	content 8 400000 >"$home/a/one"
	cp "$home/a/one" "$home/one"
	mount_here
	cp "$a/one" "$b/one" && rm "$a/one" # as mv does between bind mounts
	settled
	cmp "$home/one" "$home/b/one"
	[ ! -e "$home/a/one" ]
	python3 - "$b/one" "$a/two" <<-'END' # the source goes while the copy is still open
	import os, sys
	i = os.open(sys.argv[1], os.O_RDONLY)
	o = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
	while os.copy_file_range(i, o, 1 << 30):
	    pass
	os.unlink(sys.argv[1])
	os.close(o)
	END
	settled
	cmp "$home/one" "$home/a/two"
	[ ! -e "$home/b/one" ]
}

@test "fsync waits for the cloud, with fsync=spool for the disk" {
	mount_here
	python3 -c 'import os,sys; f=os.open(sys.argv[1],os.O_WRONLY|os.O_CREAT); os.write(f,b"x"*1000); os.fsync(f); assert os.stat(sys.argv[2]).st_size == 1000; os.write(f,b"y"); os.close(f)' "$a/f" "$home/a/f"
	settled
	[ "$(stat -c %s "$home/a/f")" = 1001 ]
	skyferry unmount "$mounts"
	wait "$mounter"
	mount_here -o fsync=spool,settle=1h
	python3 -c 'import os,sys; f=os.open(sys.argv[1],os.O_WRONLY|os.O_CREAT); os.write(f,b"x"*1000); os.fsync(f); os.close(f)' "$a/g"
	[ ! -e "$home/a/g" ]
}

@test "with -o sync, close waits for the cloud" {
	content 9 100000 >"$home/a/one"
	mount_here -o sync
	cp "$a/one" "$b/one"
	cmp "$home/a/one" "$home/b/one"
	echo x >"$b/two"
	[ "$(cat "$home/b/two")" = x ]
}

@test "a read-only mount changes nothing" {
	echo x >"$home/a/x"
	mount_here -o ro
	[ "$(cat "$a/x")" = x ]
	run ! touch "$a/y"
	run ! rm "$a/x"
	[ -e "$home/a/x" ]
}

@test "what others do is seen: pending changes at once, events, new and removed accounts" {
	echo x >"$home/a/x"
	mount_here
	[ "$(ls "$a")" = x ]
	[ -z "$(ls "$b")" ]
	skyferry cp a:x b:y
	timeout 20 sh -c "until [ -e '$b/y' ]; do :; done"
	[ "$(cat "$b/y")" = x ]
	mkdir "$home/c"
	skyferry account add c local "$home/c"
	timeout 20 sh -c "until [ -d '$mounts/c' ]; do :; done"
	echo z >"$mounts/c/z"
	settled
	[ "$(cat "$home/c/z")" = z ]
	skyferry account remove --yes c 2>/dev/null || skyferry account remove c
	timeout 20 sh -c "while [ -e '$mounts/c' ]; do :; done"
}

@test "extended attributes tell of the transfer" {
	mount_here
	echo x >"$a/x"
	id=$(getfattr --only-values -n user.skyferry.transfer "$a/x")
	[ "$(api GET "/api/transfers/$id" | jq -r .destinationPath)" = x ]
	settled
	timeout 20 sh -c "until [ \"\$(getfattr --only-values -n user.skyferry.status '$a/x')\" = completed ]; do :; done"
	[ -n "$(getfattr --only-values -n user.skyferry.etag "$a/x")" ]
	run ! setfattr -n user.other -v 1 "$a/x"
}

@test "df shows the account's room" {
	mount_here
	[ "$(df --output=avail "$a" | tail -1)" -gt 1000 ]
	[ "$(df --output=size "$a" | tail -1)" = "$(df --output=size "$home/a" | tail -1)" ]
	[ "$(stat -f -c %a "$mounts")" -gt 1000 ]
}

@test "links and special files are refused" {
	echo x >"$home/a/x"
	mount_here
	run ! ln -s x "$a/l"
	run ! ln "$a/x" "$a/l"
	run ! mkfifo "$a/p"
	[ "$(ls "$a")" = x ]
}

@test "an account that contains the mount is refused" {
	skyferry account add home local "$home" || skip "the daemon refuses it"
	run ! mount_here
	[[ $output == *"contain each other"* ]]
}

@test "without a daemon, or at a wrong place, mounting says why" {
	daemon_stop
	run ! mount.skyferry "$mounts"
	[[ $output == *"daemon"* ]]
	daemon_start
	run ! mount.skyferry "$home/none"
	[[ $output == *"none"* ]]
	run ! mount.skyferry -o bogus "$mounts"
	[[ $output == *"bogus"* ]]
	mount_here
	run ! mount.skyferry "$mounts"
	[[ $output == *"already"* ]]
}

@test "in the background: the exit status tells the truth, and unmounting ends it" {
	mount.skyferry "$mounts" 3>&- 4>&-
	echo x >"$a/x"
	skyferry unmount "$mounts"
	settled
	[ "$(cat "$home/a/x")" = x ]
}

@test "unmounting loses nothing that is pending" {
	mount_here -o settle=3s
	content 10 100000 >"$home/one"
	cp "$home/one" "$a/one"
	[ "$(pending)" = 1 ]
	kill -TERM "$mounter"
	wait "$mounter"
	mounter=
	settled
	cmp "$home/one" "$home/a/one"
}

@test "kill -9 of the mount: nothing acknowledged is lost" {
	local i
	content 11 300000 >"$home/b/source"
	mount_here
	(
		for i in $(seq 200); do
			content "$i" 3000 >"$a/w$i" 2>/dev/null && cp "$b/source" "$a/c$i" 2>/dev/null || break
			echo "$i" >>"$home/acknowledged"
		done
	) 3>&- &
	timeout 60 sh -c "until [ -e '$home/acknowledged' ] && [ \$(wc -l <'$home/acknowledged') -ge 20 ]; do :; done"
	kill -KILL "$mounter"
	wait "$mounter" || true
	mounter=
	wait $!
	fusermount3 -u -z "$mounts"
	timeout 60 sh -c "while curl -s --unix-socket '$socket' http://skyferry/health | jq -e '.changes.pending > 0' >/dev/null; do :; done"
	settled
	while read -r i; do
		content "$i" 3000 | cmp - "$home/a/w$i"
		cmp "$home/b/source" "$home/a/c$i"
	done <"$home/acknowledged"
	[ "$(failures)" = 0 ]
}

@test "the mount crashes at each of its points: what was acknowledged is there" {
	local point
	content 12 50000 >"$home/b/source"
	for point in mount.before_pending mount.after_pending mount.before_commit mount.after_commit; do
		SKYFERRY_CRASH=$point:3 mount_here
		rm -f "$home/acknowledged"
		for i in 1 2 3 4 5; do
			cp "$b/source" "$a/$point.$i" 2>/dev/null || break
			echo "$i" >>"$home/acknowledged"
		done
		wait "$mounter" || true
		mounter=
		fusermount3 -u -z "$mounts" || true
		timeout 60 sh -c "while curl -s --unix-socket '$socket' http://skyferry/health | jq -e '.changes.pending > 0' >/dev/null; do :; done"
		settled
		while read -r i; do
			cmp "$home/b/source" "$home/a/$point.$i"
		done <"$home/acknowledged"
	done
	[ "$(failures)" = 0 ]
}

@test "with the daemon stopped, whoever waits can be killed, and reading goes on" {
	local pids=() pid
	echo x >"$home/a/x"
	content 13 100000 >"$home/a/y"
	cp "$home/a/y" "$home/a/z"
	cp "$home/a/y" "$home/a/w"
	mount_here
	cat "$a/x"
	ls "$b"
	kill -STOP "$daemon"
	cmp "$home/a/y" "$a/y"
	ls -l "$a" >/dev/null
	(echo new >"$a/new") 3>&- & pids+=($!)
	rm "$a/x" 3>&- & pids+=($!)
	mv "$a/y" "$b/y" 3>&- & pids+=($!)
	mkdir "$b/d" 3>&- & pids+=($!)
	chmod 600 "$a/w" 3>&- & pids+=($!)
	cp "$a/z" "$b/z" 3>&- & pids+=($!)
	ls -R "$mounts" >/dev/null 3>&- & pids+=($!)
	# Each is in the call that waits for the daemon (openat close unlink unlinkat rename... mkdir fchmodat), or had its answer.
	for pid in "${pids[@]}"; do
		timeout 20 sh -c "until grep -qsE '^(3|82|83|87|257|258|263|264|268|316) ' /proc/$pid/syscall || ! grep -qs '^State:.[RSD]' /proc/$pid/status; do :; done" || true
	done
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	timeout 20 sh -c "for p in ${pids[*]}; do while [ -e /proc/\$p ] && ! grep -q '^State:.Z' /proc/\$p/status 2>/dev/null; do :; done; done"
	kill -CONT "$daemon"
	kill -0 "$mounter"
	settled
	echo after >"$a/after"
	settled
	[ "$(cat "$home/a/after")" = after ]
}

@test "a daemon that is away for a while is waited for; for too long, it is an error and nothing is lost" {
	mount_here --set mount.daemon_timeout=1s
	exec 7>"$a/kept"
	daemon_stop
	echo content >&7 # into the spool
	run ! mkdir "$a/d"
	run ! /usr/bin/python3 -c 'import os; os.close(7)' # a FLUSH that fails
	exec 7>&-
	daemon_start
	timeout 60 sh -c "until [ -e '$home/a/kept' ]; do :; done"
	settled
	[ "$(cat "$home/a/kept")" = content ]
	mkdir "$a/d"
	settled
	[ -d "$home/a/d" ]
}

@test "the daemon restarts while files are written: nothing is lost" {
	local i
	mount_here
	for i in $(seq 30); do
		content "$i" 5000 >"$a/f$i"
		if [ $((i % 10)) = 5 ]; then
			daemon_kill
			daemon_start
		fi
	done
	settled
	for i in $(seq 30); do
		content "$i" 5000 | cmp - "$home/a/f$i"
	done
}

@test "kernel notifications never hang the mount" {
	mkdir "$home/a/d"
	for i in $(seq 40); do echo $i >"$home/a/d/$i"; done
	mount_here
	ls -l "$a/d" >/dev/null
	# Others change names and contents that are being looked up, read, created, renamed and changed here.
	(for i in $(seq 40); do skyferry cp --detach "a:d/$i" "a:d/c$i"; skyferry rm "a:d/$i" 2>/dev/null || true; done) 3>&- &
	other=$!
	for i in $(seq 200); do
		ls -l "$a/d" >/dev/null 2>&1 || true
		cat "$a/d/$((i % 40 + 1))" >/dev/null 2>&1 || true
		echo x >"$a/d/n$i" || true
		touch "$a/d/n$((i - 1))" 2>/dev/null || true
		mv "$a/d/n$i" "$a/d/m$i" 2>/dev/null || true
	done
	wait $other
	settled
	[ "$(ls "$a/d" | grep -c '^m')" = 200 ]
}

@test "ENOSPC in the spool is an error, not a loss" {
	[ "$(id -u)" = 0 ] || skip "needs root for a small file system"
	mount_here
	spool=$(api GET /api/mounts | jq -r '.mounts[0].id' >/dev/null && find "$state/spool" -mindepth 1 -maxdepth 1 -type d | head -1)
	mount -t tmpfs -o size=1m,mode=700 tmpfs "$spool" || skip "no tmpfs"
	small=$spool
	run ! dd if=/dev/zero of="$a/large" bs=64k count=64
	[[ $output == *"No space left"* ]]
	umount -l "$spool"
	small=
	rm -f "$a/large"
	echo fits >"$a/small"
	settled
	[ "$(cat "$home/a/small")" = fits ]
}

@test "a second user sees nothing of the first one's mount" {
	[ "$(id -u)" = 0 ] || skip "needs root to become another user"
	echo x >"$home/a/x"
	chmod 755 "$home"
	mount_here
	run ! setpriv --reuid=65534 --regid=65534 --clear-groups ls "$mounts"
	[[ $output == *denied* ]]
}

@test "the model: random operations against images in memory" {
	local seed n=1500
	[ -z "${SKYFERRY_TEST_FULL:-}" ] || n=50000 # for each of the seeds
	mount_here
	for seed in 1 2; do
		mkdir "$a/$seed" "$b/$seed"
		"$build/tests/tools/fsmodel" -n "$n" -s "$seed" "$a/$seed" "$b/$seed"
		settled
		diff -r "$a/$seed" "$home/a/$seed"
		diff -r "$b/$seed" "$home/b/$seed"
	done
	[ "$(failures)" = 0 ]
}

@test "the model, with uploads forced and pages dropped between" {
	local n=1500
	[ -z "${SKYFERRY_TEST_FULL:-}" ] || n=100000
	mount_here
	mkdir "$a/m" "$b/m"
	"$build/tests/tools/fsmodel" -u -n "$n" -s 3 "$a/m" "$b/m"
	settled
	diff -r "$a/m" "$home/a/m"
	diff -r "$b/m" "$home/b/m"
	[ "$(failures)" = 0 ]
}
