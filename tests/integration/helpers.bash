# Loaded by every bats file: a home of its own for each test, the real programs from the build
# directory, and an end that leaves nothing: no process, no mount, no file.
#
#   home_make            a throw-away home: $home, the XDG directories below it, $socket
#   daemon_start [ARG…]  skyferryd with these arguments; returns when it listens; $daemon is its pid
#   daemon_stop          SIGTERM, and its exit status
#   daemon_kill          kill -9
#   daemon_dies          waits until it has ended by itself, at a crash point
#   api METHOD PATH [JSON]     over the socket; the answer's body; fails on a status >= 400
#   answers PATH FILTER  succeeds if that is so of what the API answers
#   local_add NAME…      directories of $home, and accounts of that name in them
#   mount_start [ARG…]   mounts $home/Clouds
#   mount_stop
#   mount_here [ARG…]    mounts it with a child of the test, which can be stopped and killed: $mounter; its log: mount.log
#   mount_kill           kill -9
#   requests_held N      root: waits until the mount has N requests that it has not answered, and somebody waits for each
#   until_so COMMAND…    waits until it succeeds, a minute at most, after which what it says is shown; of these: shows FILE TEXT,
#                        lists DIR NAMES, has_not FILE LINE, answers PATH FILTER
#   settled              waits until all that is queued has been carried out
#   home_remove          ends what is left and removes the home; fails if a temporary was left behind

# shellcheck shell=bash disable=SC2034,SC2154 # bats sets and reads variables of its own

build=$(cd "${top_builddir:-$BATS_TEST_DIRNAME/../../build}" && pwd) # tests change the directory
PATH=$build:$PATH
unset SKYFERRY_URL SKYFERRY_TOKEN SKYFERRY_CONFIG

home_make()
{
	home=$(mktemp -d "${TMPDIR:-/tmp}/skyferry-test.XXXXXX")
	export XDG_CONFIG_HOME=$home/config XDG_STATE_HOME=$home/state XDG_RUNTIME_DIR=$home/run
	mkdir -m 700 "$XDG_RUNTIME_DIR" "$home/Clouds"
	socket=$XDG_RUNTIME_DIR/skyferry/skyferryd.sock
	state=$XDG_STATE_HOME/skyferry
	log=$home/daemon.log
	mounts=$home/Clouds
	daemon='' mounter=''
	as=()
	: >"$log"
}

# As whom the daemon and the mount are started: the words of $as come before theirs.
# The log is followed until the daemon says that it listens, or has died.
daemon_start()
{
	local from
	from=$(($(wc -l <"$log") + 1))
	"${as[@]}" skyferryd --set api.listen=none "$@" 2>>"$log" 3>&- 4>&- &
	daemon=$!
	timeout 60 tail -n "+$from" -f --pid="$daemon" "$log" 2>/dev/null | grep -q 'is ready' && return 0
	echo "the daemon did not start:"
	tail -n 20 "$log"
	return 1
}

daemon_stop()
{
	local pid=$daemon
	daemon=
	[ -z "$pid" ] && return 0
	kill -TERM "$pid" 2>/dev/null
	wait "$pid"
}

daemon_kill()
{
	kill -KILL "$daemon" 2>/dev/null || true
	wait "$daemon" 2>/dev/null || true
	daemon=
}

daemon_dies()
{
	timeout 60 tail -s 0.05 --pid="$daemon" -f /dev/null && daemon_kill
}

api()
{
	curl -sS --fail-with-body --max-time 60 --unix-socket "$socket" -X "$1" "http://skyferry$2" \
	    ${3:+-H 'Content-Type: application/json' -d "$3"}
}

answers()
{
	local answer
	answer=$(api GET "$1") && jq -e "$2" <<<"$answer" >/dev/null || { echo "not $2: $answer"; return 1; }
}

local_add()
{
	local name
	for name; do
		mkdir "$home/$name"
		skyferry account add "$name" local "$home/$name" >/dev/null
	done
}

mount_start()
{
	skyferry mount "$@" "$mounts" 3>&- 4>&-
}

mount_stop()
{
	skyferry unmount "$mounts"
}

mount_here()
{
	: >"$home/mount.log"
	"${as[@]}" mount.skyferry -f "$@" "$mounts" 2>>"$home/mount.log" 3>&- 4>&- &
	mounter=$!
	timeout 30 tail -n +1 -f --pid="$mounter" "$home/mount.log" 2>/dev/null | grep -q 'info: mounted at' && return 0
	cat "$home/mount.log"
	return 1
}

mount_kill()
{
	kill -KILL "$mounter" 2>/dev/null || true
	wait "$mounter" 2>/dev/null || true
	mounter=
}

# The kernel's count (fusectl).
requests_held()
{
	local connection
	[ -d "$home/fusectl" ] || { mkdir "$home/fusectl" && mount -t fusectl fusectl "$home/fusectl"; }
	connection=$(awk -v at="$mounts" '$5 == at { sub(/.*:/, "", $3); print $3 }' /proc/self/mountinfo)
	for _ in {1..200}; do
		[ "$(cat "$home/fusectl/$connection/waiting")" -lt "$1" ] || return 0
		read -r -t 0.05 <> <(:) || true
	done
	echo "the mount has only $(cat "$home/fusectl/$connection/waiting") requests, not $1"
	return 1
}

settled()
{
	"${as[@]}" skyferry transfer wait --all --timeout 120 >"$home/wait" 2>&1 && return 0
	cat "$home/wait"
	tail -n 20 "$log" "$home/mount.log"
	return 1
}

home_remove()
{
	local status=0 left
	# What a test has stopped goes on, so that it can end.
	[ -z "$daemon" ] || kill -CONT "$daemon" 2>/dev/null || true
	[ -z "$mounter" ] || mount_kill
	if mountpoint -q "$mounts" 2>/dev/null || grep -q " $mounts " /proc/self/mountinfo; then
		fusermount3 -u "$mounts" 2>/dev/null || umount -l "$mounts"
	fi
	if [ -n "$daemon" ] && ! daemon_stop; then
		echo "# the daemon did not end well:" && tail -n 20 "$log"
		status=1
	fi
	[ ! -d "$home/fusectl" ] || umount "$home/fusectl"
	# Whoever still has the home open would outlive the test.
	left=$(find "$home" -name '.skyferry-*' 2>/dev/null)
	if [ -n "$left" ]; then
		echo "# temporaries were left: $left"
		status=1
	fi
	rm -rf --one-file-system "$home"
	return $status
}

# content SEED BYTES: reproducible bytes that do not compress.
content()
{
	openssl enc -aes-128-ctr -pbkdf2 -iter 1 -nosalt -pass "pass:$1" -in /dev/zero 2>/dev/null | head -c "$2"
}

# sums DIR: the checksums of all files below it, sorted by name.
sums()
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

until_so()
{
	for _ in {1..600}; do
		"$@" >/dev/null 2>&1 && return 0
		read -r -t 0.1 <> <(:) || true
	done
	echo "never: $*"
	"$@" || true
	return 1
}

shows() { [ "$(cat "$1")" = "$2" ]; }
has_not() { ! grep -qx "$2" "$1"; }
# shellcheck disable=SC2012 # these names are harmless, and in order
lists() { [ "$(ls "$1" | tr '\n' ' ')" = "$2" ]; }
