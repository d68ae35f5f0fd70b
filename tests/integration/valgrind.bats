#!/usr/bin/env bats
# The programs under valgrind's memcheck: no error from the first instruction to the last, nothing lost at the end.
bats_require_minimum_version 1.5.0
load helpers
load fakes

setup_file()
{
	command -v valgrind >/dev/null || skip "valgrind is not installed"
	! grep -q __asan_init "$(command -v skyferryd)" || skip "a program with a sanitizer in it cannot run under valgrind"
	fake_start fake s3.py
}

teardown_file()
{
	fake_stop "${fake:-}"
}

setup()
{
	home_make
	mkdir "$home/valgrind" "$home/from" "$home/to"
	# Loss is what no pointer leads to any more; libraries keep the rest until the end on purpose.
	memcheck=(valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=97 "--log-file=$home/valgrind/%p")
	# What the mount writes is read by the daemon with openat2(2), which valgrind may not know.
	[[ $BATS_TEST_DESCRIPTION == mount* ]] || as=("${memcheck[@]}")
	# Its shadow leaves no room for the default of 1 TiB.
	daemon_start --set store.map_size=1G --set drivers.test=yes --set transfer.backoff=10ms
	as=("${memcheck[@]}")
	api POST /api/accounts '{"name":"memory","provider":"memory","credentials":{"server":"m"}}' >/dev/null
	api POST /api/accounts "{\"name\":\"s3\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"$(field endpoint)\",\"bucket\":\"fake\"}}" >/dev/null
}

teardown()
{
	home_remove
}

# nothing_found: in what valgrind has said of all programs that have ended.
nothing_found()
{
	# A system call that it does not know fails for the program: that is no finding.
	if sed '/WARNING: unhandled\|You may be able\|Read the file\|Nevertheless we\|it at http/d' "$home"/valgrind/* | grep .; then
		return 1
	fi
}

# The daemon has ended well, of itself, and valgrind was there.
daemon_clean()
{
	local pid=$daemon
	daemon_stop || { echo "skyferryd: $?"; tail -n 40 "$home/valgrind/$pid" "$log"; return 1; }
	[ -e "$home/valgrind/$pid" ]
	nothing_found
}

# play SCENARIO SIZE: the server has an object of so many bytes, and misbehaves.
play()
{
	curl -sS --fail-with-body --data-binary "@$BATS_TEST_DIRNAME/../fakes/scenarios/$1.txt" "$(field endpoint)/-/play"
	content 1 "$2" >"$home/object"
	curl -sS --fail-with-body -T "$home/object" "$(field endpoint)/-/object/object"
}

carry() # SOURCE DESTINATION MOVE
{
	skyferry transfer wait "$(api POST /api/transfers "{\"sourceAccountId\":\"${1%%:*}\",\"sourcePath\":\"${1#*:}\",
	    \"destinationAccountId\":\"${2%%:*}\",\"destinationPath\":\"${2#*:}\",\"move\":$3}" | jq -r .id)" --timeout 300
}

@test "skyferryd: transfers both ways, whole and in parts, with retries and failures" {
	play storm 40000000
	carry s3:object memory:object false
	carry memory:object s3:back true
	play reset-request 1000000
	carry s3:object memory:small false
	carry memory:small s3:small false
	play storm-without-end 40000000
	run carry s3:object memory:never true
	[ "$status" = 1 ]
	daemon_clean
}

@test "skyferryd: what is under way when it is told to stop" {
	play storm 40000000
	skyferry account limit s3 100000
	api POST /api/transfers '{"sourceAccountId":"s3","sourcePath":"object","destinationAccountId":"memory","destinationPath":"x"}' >/dev/null
	timeout 60 curl -sSN --unix-socket "$socket" http://skyferry/api/events | grep -q -m 1 '^event: progress'
	daemon_clean
}

@test "skyferryd: a directory" {
	skyferry account add from local "$home/from" >"$home/answer" 2>&1 || {
		! grep -q 'Function not implemented' "$home/answer" || skip "this valgrind does not know openat2(2)"
		cat "$home/answer"
		return 1
	}
	content 2 1000000 >"$home/from/file"
	carry from:file memory:file true
	carry memory:file from:back false
	content 2 1000000 | cmp - "$home/from/back"
	daemon_clean
}

@test "skyferry: commands that work, and some that do not" {
	play storm 1000000
	"${as[@]}" skyferry account list
	"${as[@]}" skyferry account test s3
	"${as[@]}" skyferry cp s3:object memory:copy
	"${as[@]}" skyferry mv memory:copy s3:moved
	"${as[@]}" skyferry ls -l s3:
	"${as[@]}" skyferry mkdir memory:directory
	"${as[@]}" skyferry transfers
	"${as[@]}" skyferry transfers --json
	"${as[@]}" skyferry rm s3:moved
	run "${as[@]}" skyferry ls nowhere:
	[ "$status" = 1 ]
	run "${as[@]}" skyferry cp
	[ "$status" = 2 ]
	daemon_clean
}

@test "mount.skyferry: files are read, written and copied, and it is unmounted" {
	local pid
	mount_here
	pid=$mounter
	play reset-answer 1000000
	echo text >"$mounts/s3/text"
	ls -l "$mounts/s3" "$mounts/memory"
	cmp "$mounts/s3/object" "$home/object"
	cp "$mounts/s3/object" "$mounts/memory/copy"
	settled
	mv "$mounts/memory/copy" "$mounts/s3/moved"
	mkdir "$mounts/memory/directory"
	run ! cat "$mounts/s3/none"
	settled
	cmp "$mounts/s3/moved" "$home/object"
	fusermount3 -u "$mounts"
	timeout 60 tail --pid="$mounter" -f /dev/null
	wait "$mounter"
	mounter=
	[ -e "$home/valgrind/$pid" ]
	nothing_found
}
