#!/bin/bash
# contrib/check with a build that is only acted: what it counts, and what it shows of that which failed.
set -u
source=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
dir=$(mktemp -d "${TMPDIR:-/tmp}/skyferry-test.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
number=0 status=0

# expect NAME COMMAND...: one line of TAP; what check has said follows when it fails.
expect()
{
	number=$((number + 1))
	if "${@:2}"; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		sed 's/^/# /' "$dir/out"
		status=1
	fi
}

has() { grep -qE -- "$1" "$dir/out"; }
last() { [ "$(tail -n 1 "$dir/out")" = "$1" ]; }

# stub NAME: the script on the standard input, as a program that check finds first (or in its tree: /PATH).
stub()
{
	local file=$dir/bin/$1
	[ "${1#/}" = "$1" ] || file=$dir/tree$1
	{ echo '#!/bin/bash' && cat; } >"$file" && chmod 755 "$file"
}

# check STEP: runs the steps build and this one; make's stub runs $dir/tests for `make check`.
check()
{
	PATH=$dir/bin:$PATH TMPDIR=$dir DIR=$dir "$dir/tree/contrib/check" "$1" >"$dir/out" 2>&1
}

mkdir -p "$dir/bin" "$dir/tree/contrib" "$dir/tree/tests/servers"
cp "$source/contrib/check" "$source/contrib/packages.sh" "$dir/tree/contrib/"
stub dpkg-query <<<'echo "install ok installed"'
# shellcheck disable=SC2016 # the stub expands it
stub autoreconf <<<'ln -sf "$DIR/bin/configure" configure'
stub configure <<<': >Makefile'
stub make <<'END'
case " $* " in
*" print-s3 "* | *" print-s3-pair "* | *" print-s3-faults "* | *" print-azure "*) echo tests/unit/test_one ;;
*" print-unit "*) echo tests/unit/test_one tests/unit/test_two tests/unit/three.sh ;;
*" install "*)
	for root; do :; done # the last word
	root=${root#DESTDIR=}/usr/local
	mkdir -p "$root/bin" "$root/sbin" && touch "$root/bin/skyferry" "$root/bin/skyferryd" "$root/sbin/mount.skyferry" &&
	    chmod 755 "$root"/*/*
	;;
*" check "*) mkdir -p tests/unit && . "$DIR/tests" ;;
esac
END

cat >"$dir/tests" <<'END'
echo 'PASS: tests/unit/test_one 1 - alpha'
echo 'PASS: tests/unit/test_one 2 - beta'
echo 'SKIP: tests/unit/three.sh 1 - gamma'
echo '# PASS:  2'
END
expect "passes when all passed" check unit
expect "the build's TAP and the driver's results are counted" last "5 passed, 0 failed"
expect "what was skipped is named" has '^unit +2 passed, 0 failed, 1 skipped'

# One fails, one dies, one fails and therefore ends with 1; what they have logged looks like results.
cat >"$dir/tests" <<'END'
printf 'ok 1 - alpha\nnot ok 2 - beta\n# one.c:7: beta differs\nok 3 - gamma\nPASS: x\n' >tests/unit/test_one.log
printf 'ok 1 - alpha\n==7==ERROR: AddressSanitizer: heap-use-after-free\n' >tests/unit/test_two.log
{ echo 'not ok 1 - delta' && echo '# delta says why' && seq -f '# line %g' 500; } >tests/unit/three.log
echo 'PASS: tests/unit/test_one 1 - alpha'
echo 'FAIL: tests/unit/test_one 2 - beta'
echo 'PASS: tests/unit/test_one 3 - gamma'
echo 'PASS: tests/unit/test_two 1 - alpha'
echo 'ERROR: tests/unit/test_two - too few tests run (expected 2, got 1)'
echo 'ERROR: tests/unit/test_two - exited with status 1'
echo 'FAIL: tests/unit/three.sh 1 - delta'
echo 'ERROR: tests/unit/three.sh - exited with status 1'
exit 2
END
fails() { ! check unit; }
expect "fails when a test failed" fails
expect "each test is counted once, and nothing of what it logged" last "6 passed, 3 failed"
tail -n 100 "$dir/out" >"$dir/end" && mv "$dir/end" "$dir/out"
expect "the end names the test that failed, and why" has '^--- unit: tests/unit/test_one: not ok 2 - beta'
expect "the end has its diagnostics" has 'one.c:7: beta differs'
expect "the end names the program that died" has '^--- unit: tests/unit/test_two'
expect "the end has what the sanitizer said" has 'heap-use-after-free'
expect "a long log does not push its test out" has '^--- unit: tests/unit/three.sh: not ok 1 - delta'
expect "nor what the test said first" has 'delta says why'

echo 'exit 2' >"$dir/tests"
expect "fails when a step dies without a word" fails
expect "that is one failure" last "3 passed, 1 failed"
echo : >"$dir/tests"
expect "fails when a step shows nothing" fails

# A lane is a background job, which the terminal's ^C does not reach.
# shellcheck disable=SC2016 # the stub expands it
echo 'echo $$ >"$DIR/waits" && exec tail -f /dev/null' >"$dir/tests"
stopped()
{
	local check waits=
	mkfifo "$dir/waits"
	PATH=$dir/bin:$PATH TMPDIR=$dir DIR=$dir "$dir/tree/contrib/check" unit >"$dir/out" 2>&1 &
	check=$!
	read -r -t 60 waits <>"$dir/waits"
	kill "$check" && wait "$check"
	[ -n "$waits" ] && ! readlink -q "/proc/$waits/exe" && [ -z "$(compgen -G "$dir/skyferry-check.*")" ]
}
expect "a run that is told to end leaves no process and no file" stopped

echo "echo 'PASS: tests/unit/test_one 1 - alpha'" >"$dir/tests"
for server in radosgw swift azurite; do
	stub /tests/servers/start-$server.sh <<<"mkdir -p \"\$1\" && echo '{}' && touch \"\$DIR/running.$server\""
	stub /tests/servers/stop-$server.sh <<<"[ -d \"\$1\" ] && rm \"\$DIR/running.$server\""
done
expect "runs the tests with each server, with both, and those of faults" check s3
expect "and those with the Azure server" check azure
expect "no server goes on" [ -z "$(compgen -G "$dir/running.*")" ]

# Somebody listens at the fourth of the first ten ports.
coproc { python3 -c 'import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()'; }
read -r -u "${COPROC[0]}" busy
stub shuf <<<"printf '%s\n' $((busy - 3)) $((busy < 40000 ? busy + 100 : busy - 100))"
# shellcheck disable=SC2016 # the stub expands it
stub /tests/servers/start-radosgw.sh <<<'echo "$2" >"$DIR/port" && mkdir -p "$1" && touch "$DIR/running.radosgw" && echo "{}"'
free_port() { check s3 && [ "$(cat "$dir/port")" != $((busy - 3)) ]; }
expect "a server gets ports of which all ten are free" free_port
server=$COPROC_PID # bash forgets it when it ends
kill "$server" && wait "$server" 2>/dev/null

# Only root's own checkouts are trusted by git; here the checkout is somebody else's.
# shellcheck disable=SC2016 # the stub expands it
stub /contrib/quickstart <<<'[ -e "${0%/contrib/*}/word with space" ] && ! [ -e "${0%/contrib/*}/unknown" ]'
touch "$dir/tree/word with space"
if command -v git >/dev/null; then
	git init -q "$dir/tree" && git -C "$dir/tree" add . && touch "$dir/tree/unknown"
	export GIT_TEST_ASSUME_DIFFERENT_OWNER=1
	expect "the quickstart of a checkout that is somebody else's is tried" check quickstart
	rm -rf "$dir/tree/.git" "$dir/tree/unknown"
else
	number=$((number + 1))
	echo "ok $number - the quickstart of a checkout # SKIP there is no git"
fi
expect "and that of an unpacked tarball" check quickstart

# An installation that fails, and one that ^C ends: apt-get gets it too.
install()
{
	# shellcheck disable=SC2016 # the inner shell expands it
	PATH=$dir/bin:$PATH TMPDIR=$dir DIR=$dir PACKAGES_POLICY=$dir/policy timeout 60 \
	    bash -c '. "$1" && packages_need no-such-package' bash "$source/contrib/packages.sh" >"$dir/out" 2>&1
}
left() { find "$dir" -maxdepth 1 -name 'tmp.*' -o -maxdepth 1 -name policy | grep .; }
install_fails() { ! install && has "there is no such package" && has "could not install: no-such-package" && ! left; }
install_stops() { ! install && [ -e "$dir/policy-was-there" ] && ! left; }
stub dpkg-query <<<'exit 1'
stub id <<<'echo 0'
stub apt-get <<<'echo "there is no such package" && exit 100'
expect "packages that cannot be installed are named" install_fails
# shellcheck disable=SC2016 # the stub expands it
stub apt-get <<<'cp "$DIR/policy" "$DIR/policy-was-there" && kill -INT $PPID && kill -INT $$'
expect "an interrupted installation lets services start again" install_stops

echo "1..$number"
exit $status
