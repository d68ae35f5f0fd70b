#!/usr/bin/env bats
# Requests that meet each other in the mount, and what changes behind its back.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	a=$mounts/a b=$mounts/b
	mkdir "$home/a" "$home/b"
	daemon_start
	skyferry account add a local "$home/a" >/dev/null
	skyferry account add b local "$home/b" >/dev/null
}

teardown()
{
	[ -z "${relay:-}" ] || kill "$relay" 2>/dev/null || true # also when the test fails
	home_remove
}

failures() { api GET '/api/transfers?limit=1&status=failed' | jq .total; }

needs_root() { [ "$(id -u)" = 0 ] || skip "needs root, to see who waits"; }

@test "in a directory that somebody else has removed, no name means one elsewhere" {
	mkdir -p "$home/a/x/photos" "$home/a/photos"
	echo mine >"$home/a/x/photos/one"
	echo precious >"$home/a/photos/one"
	mount_here --set mount.entry_timeout=1s
	ls -lR "$a" >/dev/null
	cd "$a/x/photos"
	exec 7>>one
	rm -r "$home/a/x"
	timeout 20 sh -c "while [ -e '$a/x' ]; do :; done"
	rm one || true
	echo other >one || true
	mkdir new || true
	echo more >&7
	exec 7>&- || true
	cd /
	settled || true
	[ "$(cat "$home/a/photos/one")" = precious ]
	[ ! -e "$home/a/photos/new" ]
}

# writer FILE: a program that has appended to FILE, and closes it when it is told to by its end of input.
writer()
{
	mkfifo "$home/go"
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
go = open(sys.argv[2])
os.write(fd, sys.argv[3].encode())
go.read()
os.write(fd, sys.argv[4].encode())
os.close(fd)' "$1" "$home/go" "$2" "$3" 3>&- &
	writer=$!
	exec 7>"$home/go"
}

@test "a file that is cut while it is renamed is empty" {
	local renamer cutter
	needs_root
	content 1 5000 >"$home/a/one"
	mount_here
	ls -l "$a" >/dev/null
	kill -STOP "$daemon"
	mv "$a/one" "$a/renamed" 3>&- &
	renamer=$!
	requests_held 1
	# Without O_CREAT, for which the kernel would wait until the directory is free.
	python3 -c 'import os, sys; os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC))' "$a/one" 3>&- &
	cutter=$!
	requests_held 2
	kill -CONT "$daemon"
	wait "$renamer"
	wait "$cutter"
	settled
	[ -e "$home/a/renamed" ] && [ ! -s "$home/a/renamed" ]
	[ ! -s "$a/renamed" ]
}

# Between the mount and the daemon: holds the first request that has the words, until it is let on by
# the end of its input.
relay()
{
	cat >"$home/relay.py" <<-'END'
	import os, select, socket, sys, threading
	at, to, words = sys.argv[1], sys.argv[2], sys.argv[3].encode()
	turn = threading.Lock()
	def serve(near):
	    far = socket.socket(socket.AF_UNIX)
	    far.connect(to)
	    while True:
	        for one in select.select([near, far], [], [])[0]:
	            data = one.recv(65536)
	            if not data:
	                near.close()
	                far.close()
	                return
	            if one is near and words in data and turn.acquire(False):
	                print("holds", flush=True)
	                sys.stdin.read()
	            (far if one is near else near).sendall(data)
	listener = socket.socket(socket.AF_UNIX)
	listener.bind(at)
	listener.listen(64)
	print("listens", flush=True)
	while True:
	    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
	END
	mkfifo "$home/go"
	coproc RELAY { exec python3 "$home/relay.py" "$home/relay" "$socket" "$1" <"$home/go" 3>&-; }
	relay=$RELAY_PID
	exec 4>"$home/go" # which the mount does not inherit
	read -r -t 60 <&"${RELAY[0]}"
}

@test "a rename that is interrupted when it has happened says that it has" {
	local renamer
	echo old >"$home/a/one"
	relay '"kind":"remove"'
	mount_here --set api.socket="$home/relay"
	exec 7>>"$a/one"
	echo new >&7
	# shellcheck disable=SC2016
	python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: None)
try:
    os.rename(sys.argv[1], sys.argv[2])
    print("renamed")
except InterruptedError:
    print("interrupted")' "$a/one" "$a/two" >"$home/said" 3>&- 7>&- 4>&- &
	renamer=$!
	# No program is started meanwhile: it would have the file open, and not end before the rename.
	read -r -t 60 <&"${RELAY[0]}"
	kill -INT "$renamer"
	[ ! -e "$mounts/absent" ] # the mount answers behind the interrupt
	exec 4>&-
	wait "$renamer"
	exec 7>&-
	[ "$(cat "$home/said")" = renamed ]
	[ ! -e "$a/one" ]
	settled
	[ ! -e "$home/a/one" ]
	[ "$(cat "$home/a/two")" = "$(printf 'old\nnew')" ]
}

@test "a signal that ends nothing ends no wait either" {
	local writer
	relay '"segments"'
	mount_here --set api.socket="$home/relay"
	# As a shell does, whose child ends beside its own write: what it does not ask for is not EINTR.
	# shellcheck disable=SC2016
	python3 -c 'import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGCHLD, lambda *_: None)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"all of it")
# Python itself says nothing of an interrupted close().
print("closed" if libc.close(fd) == 0 else os.strerror(ctypes.get_errno()))' "$a/file" >"$home/said" 3>&- 4>&- &
	writer=$!
	read -r -t 60 <&"${RELAY[0]}"
	kill -CHLD "$writer"
	[ ! -e "$mounts/absent" ] # the mount answers behind the interrupt
	exec 4>&-
	wait "$writer"
	[ "$(cat "$home/said")" = closed ] || { cat "$home/said"; return 1; }
	settled
	[ "$(cat "$home/a/file")" = "all of it" ]
}

@test "what is written in a directory while it is renamed is in the renamed one" {
	local renamer
	needs_root
	mkdir -p "$home/a/d/e"
	printf 1 >"$home/a/d/e/log"
	mount_here
	ls -lR "$a" >/dev/null
	writer "$a/d/e/log" "" 2
	kill -STOP "$daemon"
	mv "$a/d" "$a/f" 3>&- 7>&- &
	renamer=$!
	requests_held 1
	exec 7>&-
	requests_held 2
	kill -CONT "$daemon"
	wait "$renamer"
	wait "$writer"
	[ "$(cat "$a/f/e/log")" = 12 ]
	settled
	[ "$(cat "$home/a/f/e/log")" = 12 ]
	[ ! -e "$home/a/d" ]
	[ "$(failures)" = 0 ]
}

@test "files that hold each other's ranges in a circle" {
	local i
	for i in 1 2 3; do content "$i" 20000 >"$home/a/$i"; cp "$home/a/$i" "$home/$i"; done
	mount_here
	ls -l "$a" >/dev/null
	cat >"$home/circle" <<-'END'
	import os, sys
	fds = [os.open(name, os.O_RDWR) for name in sys.argv[1:]]
	for at in range(len(fds)):
	    os.copy_file_range(fds[at - 1], fds[at], 10000, 10000, 0)
	for fd in fds:
	    os.close(fd)
	END
	python3 "$home/circle" "$home/1" "$home/2" "$home/3"
	python3 "$home/circle" "$a/1" "$a/2" "$a/3"
	settled
	for i in 1 2 3; do cmp "$home/$i" "$home/a/$i"; done
	[ "$(failures)" = 0 ]
}

@test "more files wait for the cloud than a process may have open by default" {
	local i
	as=(prlimit --nofile=40:4096)
	mount_here -o settle=3s
	as=()
	for i in {1..60}; do
		echo "$i" >"$a/$i"
	done
	skyferry unmount "$mounts"
	wait "$mounter"
	mounter=
	settled
	for i in {1..60}; do
		[ "$(cat "$home/a/$i")" = "$i" ]
	done
}

@test "a file of so many large pieces that no request could name them is closed" {
	local deep=. i
	# The longer the source's path, the fewer pieces are needed; in JSON these take six times as much.
	for i in {1..11}; do deep=$deep/$(printf '\1%.0s' {1..250}); done
	mkdir -p "$home/a/$deep"
	cd "$home/a/$deep"
	truncate -s 170M source
	cp --sparse=always source "$home/expected"
	cd /
	mount_here -o settle=0
	cat >"$home/pieces" <<-'END'
	import os, sys
	if sys.argv[1] != "-":
	    os.chdir(sys.argv[1])
	    source = os.open("source", os.O_RDONLY)
	    to = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
	    size = os.fstat(source).st_size
	    done = 0
	    while done < size:
	        done += os.copy_file_range(source, to, size - done)
	else:
	    to = os.open(sys.argv[2], os.O_WRONLY)
	for at in range(0, 170 << 20, (2 << 20) + 50000):
	    os.pwrite(to, b"piece %d" % at, at)
	os.close(to)
	END
	python3 "$home/pieces" "$a/$deep" "$b/pieces"
	python3 "$home/pieces" - "$home/expected"
	cmp "$home/expected" "$b/pieces"
	settled
	cmp "$home/expected" "$home/b/pieces"
	[ "$(failures)" = 0 ]
}
