# Loaded by the bats files that use the fakes of clouds (tests/fakes) beside helpers.bash.  A fake is the line of JSON that it
# says when it listens.
#
#   fake_start NAME FILE [ARG…]   one of tests/fakes, which is $NAME from now on, in the tests of a setup_file too
#   fake_stop FAKE…            ends these; an empty one was not started
#   field NAME                 of $fake
#   control NAME [JSON]        what $fake is told, or tells
#   told FILTER                of what $fake has seen
#   has FILTER                 succeeds if that is so of what $fake has seen

# shellcheck shell=bash disable=SC2154 # tests set the fake

# The fake ends with its standard input, and that with this shell, also if nobody ends it.
fake_start()
{
	local out runs=()
	[[ $2 != *.mjs ]] || runs=(node)
	exec {out}< <(exec "${runs[@]}" "$BATS_TEST_DIRNAME/../fakes/$2" "${@:3}" < <(exec tail -f --pid=$$ /dev/null 3>&- 4>&-) 3>&- 4>&-)
	read -r -t 30 "$1" <&"$out"
	exec {out}<&-
	export "${1?}"
}

fake_stop()
{
	local line
	for line; do
		[ -z "$line" ] || kill "$(jq .pid <<<"$line")"
	done
}

field() { jq -r ".$1" <<<"$fake"; }

control() { curl -sS --fail-with-body "$(field endpoint)/-/$1" --data-binary "${2:-}"; }

told() { control state | jq -r "$1"; }

has()
{
	local state
	state=$(control state) && jq -e "$1" <<<"$state" >/dev/null || { echo "not $1: $state"; return 1; }
}
