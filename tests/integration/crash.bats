#!/usr/bin/env bats
# What is left after kill -9: every destination right by checksum, every moved source gone and no
# other, no temporary.
load helpers

setup()
{
	home_make
	mkdir "$home/from" "$home/to"
	if [ -n "${SKYFERRY_TEST_FULL:-}" ]; then
		files=500 largest=$((50 << 20)) kills=30 passes="1 2 5"
	else
		files=80 largest=$((4 << 20)) kills=6 passes="1 3"
	fi
}

teardown()
{
	home_remove
}

# Files of 1 KiB up to the largest, few of them large; every third is to be moved.
tree_make()
{
	local i size
	RANDOM=$1
	for ((i = 0; i < files; i++)); do
		size=$((1024 + (RANDOM * 32768 + RANDOM) % (largest >> (i % 8))))
		content "$i" $size >"$home/from/f$i"
	done
	sums "$home/from" >"$home/before"
}

# One request a transfer, ids made here: repeating it after a crash is harmless.
submit()
{
	local i move id
	for ((i = $1; i < $2; i++)); do
		move=false
		[ $((i % 3)) != 0 ] || move=true
		id=$(printf '00000000-0000-4000-8000-%012d' "$i")
		api POST /api/transfers "{\"id\":\"$id\",\"sourceAccountId\":\"from\",\"sourcePath\":\"f$i\",\"destinationAccountId\":\"to\",\"destinationPath\":\"f$i\",\"move\":$move}" \
		    >/dev/null 2>&1 || return 1
	done
}

submit_again() # after a restart: all that may not have been acknowledged
{
	submit 0 "$files"
}

outcome_check()
{
	local i
	skyferry transfer wait --all --timeout 300 >"$home/wait" 2>&1 || { cat "$home/wait"; tail -n 30 "$log"; return 1; }
	[ "$(api GET '/api/transfers?limit=1&status=failed' | jq .total)" = 0 ]
	(cd "$home/to" && sha256sum --quiet -c "$home/before")
	for ((i = 0; i < files; i++)); do
		if [ $((i % 3)) = 0 ]; then
			[ ! -e "$home/from/f$i" ] || { echo "f$i was moved and is still there"; return 1; }
		else
			[ -e "$home/from/f$i" ] || { echo "f$i was copied and is gone"; return 1; }
		fi
	done
	[ "$(find "$home/to" -type f | wc -l)" = "$files" ]
	[ -z "$(find "$home/from" "$home/to" -name '.skyferry-*')" ]
	[ -z "$(find "$state/spool" -type f 2>/dev/null)" ]
}

accounts_add()
{
	skyferry account add from local "$home/from" >/dev/null
	skyferry account add to local "$home/to" >/dev/null
}

@test "kill -9 at random instants loses nothing and doubles nothing" {
	local n instant
	tree_make 4711
	daemon_start
	accounts_add
	for ((n = 0; n < kills; n++)); do
		submit $((n * files / kills)) $(((n + 1) * files / kills)) || true
		# A random instant is what is tested: nothing tells when it has come.
		printf -v instant '0.%03d' $((RANDOM % 400))
		read -r -t "$instant" <> <(:) || true
		daemon_kill
		daemon_start
	done
	submit_again
	outcome_check
}

@test "kill -9 at every crash point of the daemon loses nothing and doubles nothing" {
	local point pass
	files=12 largest=$((1 << 20))
	for point in $(sed -n 's/^[[:space:]]*"\([a-z]*\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c" | grep -vE '^(mount|tokens|upload)\.'); do
		for pass in $passes; do
			echo "# $point:$pass"
			home_remove
			home_make
			mkdir "$home/from" "$home/to"
			tree_make 42
			daemon_start
			accounts_add
			daemon_stop
			# Some points come while it starts; then it is the start that dies.
			SKYFERRY_CRASH=$point:$pass daemon_start || true
			submit 0 "$files" || true
			# Until it has died, or its work is done and the point did not come that often.
			skyferry transfer wait --all --timeout 60 >/dev/null 2>&1 || true
			# Each does come once: where nobody is killed, nothing is shown.
			if [ "$pass" = 1 ] && kill -0 "$daemon" 2>/dev/null; then
				echo "$point: the daemon never came there"
				return 1
			fi
			daemon_kill
			daemon_start
			submit_again
			outcome_check
		done
	done
}
