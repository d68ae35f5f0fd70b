#!/bin/bash
# Reads the tree with every tool that reads C, shell and manuals.  TAP; run in a configured build directory.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$OLDPWD
number=0 status=0

# check NAME COMMAND...: one line of TAP; the command's words follow when it fails.
check()
{
	local words options=(--quiet)
	# The analyzer takes ten times as long as all other checks together.
	[ -n "${SKYFERRY_TEST_FULL:-}" ] || options+=('--checks=-clang-analyzer-*')
	number=$((number + 1))
	if words=$("${@:2}" 2>&1); then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		printf '%s\n' "$words" | head -n 60 | sed 's/^/# /'
		status=1
	fi
}

mapfile -t c_files < <(find src providers daemon fs cli tests bench -name '*.c' | sort)
mapfile -t headers < <(find src providers daemon fs cli tests bench -name '*.h' | sort)
mapfile -t programs < <(find src providers daemon fs cli -name '*.c' | sort)
mapfile -t scripts < <(grep -rlE '^#!/bin/(ba)?sh|^# shellcheck shell=' contrib tests bench .ci 2>/dev/null | grep -v '\.bats$' | sort)
mapfile -t manuals < <(find man -name '*.[1-8]' | sort)
flags=(-std=gnu11 -D_GNU_SOURCE -I. -I"$build" -include "$build/config.h" -DSBINDIR=\"\")
read -r -a packages < <(pkg-config --cflags fuse3 libcurl jansson libevent libxml-2.0)

formatted() { clang-format --dry-run --Werror "${c_files[@]}" "${headers[@]}"; }

banned()
{
	# strcpy strcat sprintf strtok gmtime atoi: each has a safe sibling here.
	! grep -nE '(^|[^a-z_])(strcpy|strcat|sprintf|vsprintf|strtok|gmtime|localtime|atoi|gets)[[:space:]]*\(' "${c_files[@]}" "${headers[@]}"
}

once() # every header has its guard
{
	! grep -L '^#pragma once' "${headers[@]}" | grep .
}

directions() # cli, fs and daemon never include each other; src never names a driver
{
	! {
		grep -nE '#include "(cli|fs|daemon)/' src/*.[ch] providers/*.[ch]
		grep -nE '#include "(cli|daemon)/' fs/*.[ch]
		grep -nE '#include "(fs|daemon)/' cli/*.[ch]
		grep -nE '#include "(fs|cli)/' daemon/*.[ch]
		grep -nE '#include "providers/' src/*.[ch]
	}
}

markers() { ! grep -rnE 'TODO|FIXME|\bXXX\b' --include='*.[ch]' --include='*.bats' --include='*.sh' src providers daemon fs cli bench contrib; }

checked_by_cppcheck()
{
	# The macros that are statements must be known; the rest of the system's headers need not.
	cppcheck --quiet --std=c11 --language=c -D_GNU_SOURCE -I. \
	    --include="/usr/include/$(gcc -print-multiarch)/sys/queue.h" --include=/usr/include/jansson.h --error-exitcode=1 --inline-suppr --suppressions-list=tests/cppcheck.supp \
	    --enable=warning,portability,performance -j"$(nproc)" "${programs[@]}"
}

checked_by_tidy()
{
	local words
	# shellcheck disable=SC2016 # the inner shell expands them
	words=$(printf '%s\n' "${programs[@]}" | xargs -P"$(nproc)" -n 8 sh -c \
	    'flags=$1; shift; clang-tidy "$@" -- $flags 2>/dev/null' sh "${flags[*]} ${packages[*]}" "${options[@]}")
	# Findings only: each has a place and a name.
	! grep -E '(warning|error): .*\[' <<<"$words"
}

check "formatted by clang-format" formatted
check "no banned functions" banned
check "headers have #pragma once" once
check "dependencies point one way" directions
check "nothing is left open" markers
check "shellcheck" shellcheck -e SC2015,SC1091,SC2317 "${scripts[@]}"
check "manuals" mandoc -Tlint -Wwarning "${manuals[@]}"
check "cppcheck" checked_by_cppcheck
check "clang-tidy" checked_by_tidy
echo "1..$number"
exit $status
