# Shared by start-*.sh and stop-*.sh (bash).  Every process is remembered in $STATE/NAME.pid as
# "<pid> <start time in clock ticks>"; it is only ever signalled by that pid, and only while its
# start time still matches, so that a recycled pid is never hit.
# shellcheck shell=bash

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

server_args() {	# STATE_DIR [PORT]: sets STATE and PORT
	[ -n "${1:-}" ] || die "usage: $(basename "$0") STATE_DIR PORT"
	mkdir -p "$1" || die "cannot make $1"
	STATE=$(cd "$1" && pwd)
	PORT=${2:-0}
	case $PORT in *[!0-9]*) die "bad port '$PORT'" ;; esac
}

server_start_time() {	# PID
	sed -e 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

server_alive() {	# NAME: is the process that we started still there?  Zombies do not count.
	local pid started
	[ -s "$STATE/$1.pid" ] || return 1
	read -r pid started <"$STATE/$1.pid" || return 1
	[ "$(server_start_time "$pid")" = "$started" ] || return 1
	! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

server_spawn() {	# NAME COMMAND...: in a session of its own, output to $STATE/NAME.out
	local name=$1 pid
	shift
	setsid "$@" </dev/null >>"$STATE/$name.out" 2>&1 &
	pid=$!
	echo "$pid $(server_start_time $pid)" >"$STATE/$name.pid"
}

server_wait() {	# SECONDS NAME COMMAND...: until COMMAND succeeds; fails if NAME dies or time is up
	local end=$((SECONDS + $1)) name=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ! server_alive "$name" || [ $SECONDS -ge $end ]; then
			echo "$name died, or does not answer:" >&2
			tail -n 15 "$STATE/$name.out" >&2
			return 1
		fi
		sleep 0.05
	done
}

server_answers() {	# URL: any HTTP answer will do
	curl -s --noproxy '*' --max-time 5 -o /dev/null "$1"
}

server_port_is_free() {	# PORT
	! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

server_signal() {	# NAME SIGNAL SECONDS: sends it, then waits for the end
	local pid started end=$((SECONDS + $3))
	server_alive "$1" || return 0
	read -r pid started <"$STATE/$1.pid"
	kill "-$2" "$pid" 2>/dev/null
	while server_alive "$1" && [ $SECONDS -lt $end ]; do
		sleep 0.05
	done
}

server_stop() {	# NAME [SECONDS]: TERM, wait, then KILL; by pid only
	server_signal "$1" TERM "${2:-15}"
	server_signal "$1" KILL 5
	if server_alive "$1"; then
		echo "$1 would not end" >&2
		return 1
	fi
	rm -f "$STATE/$1.pid"
}

# server_npm LIST_DIR [DIR]: installs the packages of LIST_DIR/package-lock.json, once for each such list, in DIR, or in a
# directory of its own in ~/.cache/skyferry; some have a Node with them, since Debian's is too old.  Sets PACKAGES and NODE.
# All or nothing; whoever else does so at the same time may be first.
server_npm() {
	local new list=$1/package-lock.json name
	name=$(basename "$1")
	command -v npm >/dev/null || die "no npm: apt-get install npm"
	PACKAGES=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/skyferry/$name-$(sha256sum "$list" | cut -c 1-16)}
	if [ ! -d "$PACKAGES" ]; then
		mkdir -p "$(dirname "$PACKAGES")"
		new=$(mktemp -d "$PACKAGES.XXXXXX") || die "cannot make $PACKAGES"
		cp "$1/package.json" "$list" "$new/" &&
		    (cd "$new" && npm ci --no-audit --no-fund --omit=dev --ignore-scripts) >"$STATE/npm.out" 2>&1 &&
		    mv -T "$new" "$PACKAGES" 2>/dev/null
		rm -rf "$new"
		[ -d "$PACKAGES" ] || die "npm could not install $name: $(tail -n 5 "$STATE/npm.out")"
	fi
	# shellcheck disable=SC2034 # used by those that source it
	NODE=$(compgen -G "$PACKAGES/node_modules/node-linux-*/bin/node" || echo node)
}
