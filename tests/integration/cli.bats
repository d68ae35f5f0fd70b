#!/usr/bin/env bats
# The command line, with a real daemon: every command, what it prints where nobody looks, JSON, exit
# statuses, the live display and the prompts on a terminal, completion, and the manual.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	mkdir "$home/a" "$home/b"
	uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
}

teardown()
{
	# what a test that failed left in the background
	jobs -p | grep -vx "${daemon:-none}" | xargs -r kill 2>/dev/null || :
	home_remove
}

start()
{
	daemon_start "$@"
	skyferry account add a local "$home/a" >/dev/null
	skyferry account add b local "$home/b" >/dev/null
}

# terminal_start SCRIPT: sh runs it on a pseudo-terminal of 100 columns.  What it shows, escapes and all, goes
# to the file $out; what is written to descriptor 9 is typed.  The shell gets a typed ^C too, and may end by
# it: a SCRIPT of one command replaces the shell ("exec ..."), another one traps INT.
terminal_start()
{
	out=$home/out
	: >"$out"
	mkfifo "$home/keys"
	# what runs in the background has SIGINT ignored, and what it starts too
	timeout --foreground 60 env --default-signal=INT SHELL=/bin/sh script -qec "stty cols 100 rows 30; $1" /dev/null <"$home/keys" >"$out" 3>&- &
	terminal=$!
	exec 9>"$home/keys"
}

terminal_end()
{
	local status=0
	wait "$terminal" || status=$?
	exec 9>&-
	return $status
}

# await FILE PATTERN: until a line of the file matches.
await()
{
	timeout 20 tail -n +1 -f "$1" 2>/dev/null | grep -aqEm1 -- "$2"
}

# The commands of --help, a line each.
commands()
{
	skyferry --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z-]*\)\{0,1\}\)  *.*$/\1/p' | sed 's/ *$//'
}

# await_prompt FILE TEXT: until the file has the text, which no newline need follow.
await_prompt()
{
	local seen='' byte
	while IFS= read -rN1 byte; do
		seen+=$byte
		[[ $seen == *"$2"* ]] && return 0
	done < <(timeout 20 tail -n +1 -f "$1" 2>/dev/null)
	echo "there is no '$2' in: $seen"
	return 1
}

@test "help, version, and what is typed wrong" {
	run -0 skyferry --version
	[[ $output =~ ^skyferry\ [0-9]+\.[0-9]+ ]]
	run -0 skyferry --help
	[[ $output == *"account add"*"transfers"*"--config"* ]]
	run -0 skyferry cp --help
	[[ $output == "Usage: skyferry cp "* && $output == *"--priority N"* ]]
	run -0 skyferry --help cp
	[[ $output == "Usage: skyferry cp "* ]]
	run -0 skyferry account --help
	[[ $output == *"account add"* && $output != *"transfer"* ]]
	run -2 skyferry
	run -2 skyferry acount list
	[[ $output == *"did you mean 'account list'?"* ]]
	run -2 skyferry moutn "$home"
	[[ $output == *"did you mean 'mount'?"* ]]
	run -2 skyferry account
	[[ $output == *"account remove"* ]]
	run -2 skyferry cp one
	[[ $output == *"an argument is missing"*"Try 'skyferry cp --help'."* ]]
	run -2 skyferry ls --nope
	[[ $output == *"there is no option --nope"* ]]
	run -2 skyferry cp --priority 11 a:x b:y
	[[ $output == *"--priority takes a number from 0 to 10"* ]]
	run -2 skyferry transfers --status nope
	[[ $output == *"there is no status 'nope'"* ]]
	run -1 skyferry --set no.such=1 status
	[[ $output == *"no.such"* ]]
}

@test "every command has help, and none needs the daemon or sound settings for it" {
	local name
	while read -r name; do
		# shellcheck disable=SC2086
		SKYFERRY_NO_SUCH=1 run -0 skyferry $name --help
		[[ ${lines[0]} == "Usage: skyferry $name"* ]]
	done < <(commands)
	[ "$(commands | wc -l)" -ge 25 ]
	SKYFERRY_NO_SUCH=1 run -0 mount.skyferry --help
	[[ ${lines[0]} == "Usage: mount.skyferry"* ]]
	SKYFERRY_NO_SUCH=1 run -0 mount.skyferry --version
	SKYFERRY_NO_SUCH=1 run -1 mount.skyferry "$home/Clouds"
	[[ $output == *SKYFERRY_NO_SUCH* ]]
	SKYFERRY_NO_SUCH=1 run -0 skyferryd --help
}

@test "every command and option is in the manual, and nothing else" {
	local page=$BATS_TEST_DIRNAME/../../man/skyferry.1 name option section
	while read -r name; do
		# The part of the page about this command: up to the next command or section.
		section=$(awk -v want=".It Ic $name" '
			/^\.It Ic / { inside = index($0 " ", want " ") == 1 }
			/^\.S[hs] / { inside = 0 }
			inside' "$page")
		[ -n "$section" ] || { echo "'$name' is not in the manual" && false; }
		# shellcheck disable=SC2086
		while read -r option; do
			[ "$option" = -h ] || [ "$option" = --help ] && continue
			grep -qE -- "(Fl|,) ${option#-}( |$)" <<<"$section" ||
			    { echo "'$name' has $option, which is not in the manual" && false; }
		done < <(skyferry $name --help | sed -n '/^Options:/,$p' | grep -oE '^  -[A-Za-z]|--[a-z-]+' | tr -d ' ')
	done < <(commands)
	while read -r option; do
		grep -qE -- "^\.It .*Fl ${option#-}( |$)" "$page"
	done < <(skyferry --help | sed -n '/^Options:/,/^$/p' | grep -oE '^  -[A-Za-z]|--[a-z-]+' | tr -d ' ')
	while read -r name; do
		commands | grep -qx -- "$name" || { echo "the manual has '$name', which there is not" && false; }
	done < <(sed -n 's/^\.It Ic \([a-z]*\( [a-z-]*\)\{0,1\}\).*/\1/p' "$page" | sed 's/ *$//')
	if command -v mandoc >/dev/null; then
		mandoc -Tlint -Wwarning "$page" "$BATS_TEST_DIRNAME/../../man/mount.skyferry.8"
	fi
}

@test "without a daemon: a clear error that says what to do" {
	run -1 skyferry status
	[[ $output == skyferry:*skyferryd* ]]
	run -1 skyferry cp a:x b:y
	[[ $output == skyferry:*skyferryd* ]]
	run -1 skyferry transfers --watch
	[[ $output == skyferry:*skyferryd* ]]
	run -1 skyferry mount "$home/Clouds"
	[[ $output == skyferry:*skyferryd* ]]
}

@test "accounts: add, list, show, test, rename, remove" {
	daemon_start
	cd "$home"
	run -0 skyferry account add a local a
	[[ $output == *"a: added"*"a: works"* ]]
	[ "$(skyferry account show --json a | jq -r .settings.root)" = "$home/a" ]
	run -0 skyferry account add --no-test b local root="$home/b"
	[[ $output == "b: added" ]]
	run -0 skyferry account list
	[[ ${lines[0]} == NAME* && ${lines[1]} =~ ^a\ +local\ +ok && ${lines[2]} =~ ^b\ +local\ +ok ]]
	skyferry account list --json | jq -e '.accounts | length == 2'
	run -0 skyferry account show a
	[[ $output == *"$home/a"* ]]
	run -0 skyferry account test a b
	[[ $output == *"a: works"*"b: works"* ]]
	run -0 skyferry account rename b c
	run -1 skyferry account show b
	[[ $output == *"'b'"* ]]
	run -1 skyferry account add a local "$home/b"
	run -2 skyferry account add bad/name local "$home/b"
	run -2 skyferry account add d nope
	[[ $output == *"there is no provider 'nope'; there are"*local* ]]
	run -2 skyferry account add d local root="$home/b" colour=red
	[[ $output == *"no field 'colour'"*root* ]]
	run -1 skyferry account add d local "$home/missing"
	[[ $output == *"$home/missing"* ]]
	run -0 skyferry account remove c
	[ "$(skyferry ls)" = a: ]
	run -1 skyferry account remove c
	# Nobody listens there: it is kept, and said so.
	SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=x run -1 skyferry account add far s3 endpoint=http://127.0.0.1:1 accessKeyId=AKIA
	[[ $output == *"far was added, but does not work: "* ]]
	run -1 skyferry account test a far
	[[ $output == *"a: works"*"skyferry: far: "* ]]
}

@test "secrets: never from arguments; from a file, the environment, standard input" {
	daemon_start
	run -2 skyferry account add s s3 bucket=x accessKeyId=AKIA secretAccessKey=hunter2
	[[ $output == *"'secretAccessKey' is a secret"*SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY* ]]
	[[ $output != *hunter2* ]]
	run -2 skyferry account add l local </dev/null
	[[ $output == *"a local account needs root"* ]]
	run -1 skyferry account add s s3 bucket=xyz accessKeyId=AKIA </dev/null
	[[ $output == *secretAccessKey* ]]
	printf 'accessKeyId = AKIA\n[s]\nsecretAccessKey = hunter2\n[other]\nsecretAccessKey = wrong\n' >"$home/secrets"
	chmod 644 "$home/secrets"
	run -0 skyferry account add --no-test --secrets "$home/secrets" s s3 bucket=xyz
	[[ $output == *"can be read by others"* && $output != *hunter2* ]]
	chmod 600 "$home/secrets"
	SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=hunter2 run -0 skyferry account add --no-test t s3 accessKeyId=AKIA
	[ "$output" = "t: added" ]
	run -0 bash -c "echo '{\"accessKeyId\":\"AKIA\",\"secretAccessKey\":\"hunter2\"}' |
	    skyferry account add --no-test --secrets - u s3"
	run -0 skyferry account list --json
	[[ $output != *hunter2* ]]
	run ! grep -rq hunter2 "$state" "$log"
}

@test "a secret is asked for on the terminal, and not echoed" {
	daemon_start
	terminal_start "exec skyferry account add --no-test s s3 accessKeyId=AKIA"
	await_prompt "$out" 'Secret access key (empty: none): '
	echo hunter2 >&9
	await_prompt "$out" 'Session token (empty: none): '
	echo >&9
	await_prompt "$out" 'Customer key (empty: none): '
	echo >&9
	terminal_end
	grep -q 's: added' "$out"
	run ! grep -q hunter2 "$out"
	skyferry account list --json | jq -e '.accounts[0].name == "s"'
}

@test "an interrupted prompt leaves the terminal as it was" {
	daemon_start
	terminal_start "trap : INT; stty -g >$home/before; skyferry account add --no-test s s3 accessKeyId=AKIA
	    echo status \$?; stty -g >$home/after"
	await_prompt "$out" 'Secret access key (empty: none): '
	printf '\003' >&9
	terminal_end
	grep -q 'status 130' "$out"
	cmp "$home/before" "$home/after"
	[ "$(skyferry account list --json | jq '.accounts | length')" = 0 ]
}

@test "providers" {
	daemon_start
	run -0 skyferry provider list
	[[ $output == *"local: "*root*required* && $output == *"s3: "*secretAccessKey*secret* ]]
	skyferry provider list --json | jq -e 'map(.name) | index("local") != null and index("s3") != null'
}

@test "cp: files, into directories, several, and what cannot be meant" {
	start
	content 1 100000 >"$home/a/one"
	content 2 10 >"$home/a/two words"
	: >"$home/a/empty"
	run -0 --separate-stderr skyferry cp a:one b:uno
	[[ $output == "1 copied, 97.7 KiB in "* && -z $stderr ]]
	cmp "$home/a/one" "$home/b/uno"
	run -0 skyferry cp -q a:one 'a:two words' a:empty b:dir
	[ -z "$output" ]
	cmp "$home/a/one" "$home/b/dir/one"
	cmp "$home/a/two words" "$home/b/dir/two words"
	[ -f "$home/b/dir/empty" ] && [ ! -s "$home/b/dir/empty" ]
	run -0 skyferry cp a:one b:dir2/
	cmp "$home/a/one" "$home/b/dir2/one"
	run -0 skyferry cp a:two\ words b:
	cmp "$home/a/two words" "$home/b/two words"

	run -1 skyferry cp a:missing b:x
	[[ $output == *"a:missing: "* ]]
	run -1 skyferry cp a:missing a:one b:dir3/
	cmp "$home/a/one" "$home/b/dir3/one"
	run -1 skyferry cp nope:x b:x
	[[ $output == *nope* ]]
	run -1 skyferry cp a:one nope:x
	[[ $output == *nope* ]]
	run -1 skyferry cp a:one a:one
	[[ $output == *"are the same"* ]]
	run -1 skyferry cp a:one b:uno/
	[[ $output == *"not a directory"* ]]
	run -2 skyferry cp one b:x
	run -1 skyferry cp -n 'a:two words' b:uno
	[[ $output == *"a:two words: "* ]]
	cmp "$home/a/one" "$home/b/uno"
	run -0 skyferry cp -f 'a:two words' b:uno
	cmp "$home/a/two words" "$home/b/uno"
}

@test "cp -r: a tree with empty directories and odd names" {
	local i
	start
	mkdir -p "$home/a/tree/sub/deep" "$home/a/tree/empty/inner"
	for ((i = 0; i < 150; i++)); do
		content $i $((i * 37)) >"$home/a/tree/sub/f$i"
	done
	echo x >"$home/a/tree/100% \"quoted\" 'name' & ?#+=ü漢"
	printf y >"$home/a/tree/sub/deep/new
line"
	run -1 skyferry cp a:tree b:
	[[ $output == *"-r copies directories"* ]]
	run -0 skyferry cp -r a:tree b:
	diff -r "$home/a/tree" "$home/b/tree"
	run -0 skyferry cp -r a: b:whole
	diff -r "$home/a" "$home/b/whole"
	run -0 skyferry cp -r a: b:whole/
	diff -r "$home/a" "$home/b/whole/a"
	run -1 skyferry cp -r a:tree a:tree/sub
	[[ $output == *"cannot go into itself"* ]]
}

@test "mv: files, trees between accounts and within one" {
	start
	mkdir -p "$home/a/tree/sub" "$home/a/tree/empty"
	content 1 5000 >"$home/a/tree/x"
	content 2 6000 >"$home/a/tree/sub/y"
	content 3 7000 >"$home/a/file"
	cp -r "$home/a" "$home/original"
	run -0 skyferry mv a:file b:moved
	cmp "$home/original/file" "$home/b/moved"
	[ ! -e "$home/a/file" ]
	run -0 skyferry mv a:tree a:renamed
	diff -r "$home/original/tree" "$home/a/renamed"
	[ ! -e "$home/a/tree" ]
	run -0 skyferry mv a:renamed b:
	diff -r "$home/original/tree" "$home/b/renamed"
	[ ! -e "$home/a/renamed" ]
	run -1 skyferry mv a: b:x
	[[ $output == *"cannot be moved"* ]]
	# Where a file is, no directory can be: said once, with nothing submitted.
	mkdir -p "$home/a/dir/sub"
	content 4 100 | tee "$home/a/dir/1" "$home/a/dir/sub/2" >"$home/b/dir"
	cp -r "$home/a/dir" "$home/dir"
	for run in 'cp -r a:dir b:moved' 'cp -r a:dir b:' 'mv a:dir b:moved' 'mv a:dir b:'; do
		# shellcheck disable=SC2086
		run -1 skyferry $run
		[[ ${lines[0]} == *"a:dir: cannot replace the file b:"*"with a directory"* ]]
		[[ $output != *"a:dir/"* ]]
	done
	diff -r "$home/dir" "$home/a/dir"
	cmp "$home/original/file" "$home/b/moved"
	[ "$(api GET '/api/transfers?limit=1&status=failed' | jq .total)" = 0 ]
	# Two of one name would become one.
	mkdir "$home/a/one" "$home/a/two"
	echo 1 >"$home/a/one/same"
	echo 2 >"$home/a/two/same"
	run -1 skyferry mv a:one/same a:two/same b:
	[[ $output == *"a:two/same: would replace an earlier source, at b:same"* ]]
	[ "$(cat "$home/b/same" "$home/a/two/same")" = $'1\n2' ]
}

@test "cp --detach prints ids; wait, show, list" {
	local id
	start
	content 1 200000 >"$home/a/one"
	run -0 skyferry cp --detach --priority 9 a:one b:one
	[[ $output =~ ^$uuid$ ]]
	id=$output
	run -0 skyferry transfer wait "$id"
	cmp "$home/a/one" "$home/b/one"
	run -0 skyferry transfer show "${id:0:8}"
	[[ $output == *"$id"* && $output == *completed* && $output == *"a:one -> b:one"* && $output == *"Priority     9"* ]]
	[ "$(skyferry transfer show --json "$id" | jq -r '.status, .bytesDone')" = "$(printf 'completed\n200000')" ]
	run -0 skyferry transfers
	[[ $output =~ ^$uuid\ \ completed.*a:one\ -\>\ b:one ]]
	run -0 skyferry changes --status completed --limit 1
	[ "${#lines[@]}" = 1 ]
	run -0 skyferry transfers --status failed,cancelled
	[ -z "$output" ]
	skyferry transfers --json | jq -e ".total == 1 and .transfers[0].id == \"$id\""
	run -1 skyferry transfer show 00000000-0000-0000-0000-000000000000
	run -1 skyferry transfer show "${id:0:3}"
	[[ $output == *"too short"* ]]
	run -1 skyferry transfer show zzzz
	run -0 skyferry transfer wait --all --timeout 20
}

@test "failed transfers: wait fails, retry, cancel, status counts them" {
	local id other
	start --set transfer.retries=0
	content 1 1000 >"$home/a/one"
	id=$(skyferry cp --detach a:one b:one)
	skyferry transfer wait "$id"
	rm "$home/b/one"
	id=$(api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"two","destinationAccountId":"b","destinationPath":"one"}' | jq -r .id)
	run -1 skyferry transfer wait "$id"
	[[ $output == *"$id: "* ]]
	run -0 skyferry status
	[[ $output == *"1 FAILED"*"transfer retry"* ]]
	skyferry status --json | jq -e '.changes.failed == 1 and .daemon.status == "ok" and .accounts.ok == 2'
	mv "$home/a/one" "$home/a/two"
	run -0 skyferry transfer retry "$id"
	run -0 skyferry transfer wait "$id"
	cmp "$home/a/two" "$home/b/one"
	mv "$home/a/two" "$home/a/one"
	run -1 skyferry transfer cancel "$id"
	# One that is not before tomorrow waits; it can be cancelled, and queued again.
	other=$(api POST /api/transfers "{\"sourceAccountId\":\"a\",\"sourcePath\":\"one\",\"destinationAccountId\":\"b\",
	    \"destinationPath\":\"later\",\"notBefore\":\"$(date -u -d tomorrow +%Y-%m-%dT%H:%M:%SZ)\"}" | jq -r .id)
	run -1 skyferry transfer wait --timeout 0 "$other"
	[[ $output == *"has not ended after 0 s"* ]]
	run -1 skyferry transfer wait --all --timeout 0
	run -0 skyferry transfer cancel --all
	[[ $output == "$other  cancelled" ]]
	run -0 skyferry transfer wait --all --timeout 20
	run -1 skyferry transfer wait "$other"
	[[ $output == *cancelled* ]]
	run -2 skyferry transfer cancel
	run -2 skyferry transfer wait --all "$id"
}

@test "ls, stat, mkdir, rm" {
	start
	mkdir "$home/a/dir"
	content 1 1234 >"$home/a/dir/file"
	printf x >"$home/a/dir/$(printf 'esc\033[31m')"
	touch -d '2024-05-06 07:08:09 UTC' "$home/a/dir/file"
	[ "$(skyferry ls)" = "$(printf 'a:\nb:')" ]
	[ "$(skyferry ls a:)" = dir/ ]
	run -0 skyferry ls a:dir
	[ "${lines[0]}" = 'esc\x1b[31m' ] && [ "${lines[1]}" = file ]
	TZ=UTC run -0 skyferry ls -l a:dir
	[[ ${lines[1]} =~ ^-\ +1234\ \ 2024-05-06\ 07:08:09\ \ file$ ]]
	[ "$(skyferry ls --json a:dir | jq -r '.entries[0].name')" = "$(printf 'esc\033[31m')" ]
	[ "$(skyferry ls a:dir/file)" = file ]
	run -1 skyferry ls a:dir/file/
	run -1 skyferry ls a:missing b:
	[[ $output == *"a:missing: "* ]]
	TZ=UTC run -0 skyferry stat a:dir/file
	[[ $output == *"1234 (1.2 KiB)"*"2024-05-06 07:08:09"* ]]
	skyferry stat --json a:dir/file | jq -e '.size == 1234 and .kind == "file"'
	run -1 skyferry stat a:missing

	run -0 skyferry mkdir b:new b:new/sub
	[ -d "$home/b/new/sub" ]
	run -1 skyferry mkdir b:new
	run -0 skyferry mkdir -p b:new
	run -1 skyferry rm a:dir
	[[ $output == *"-r removes directories"* ]]
	for options in '' -f -r; do
		run -1 skyferry rm $options a:dir/file/
		[[ $output == *"a:dir/file/: is a file, not a directory"* ]]
	done
	run -0 skyferry rm a:dir/file
	[ ! -e "$home/a/dir/file" ]
	run -1 skyferry rm a:dir/file
	run -0 skyferry rm -f a:dir/file
	run -0 skyferry rm -r a:dir b:new
	[ -z "$(find "$home/a" "$home/b" -mindepth 1)" ]
	run -1 skyferry rm -r a:
	[[ $output == *"whole account"* ]]
}

@test "--watch without a terminal: plain lines, JSON lines, across a restart of the daemon" {
	local plain json
	start
	content 1 1000 >"$home/a/one"
	: >"$home/plain"
	: >"$home/json" # whoever follows them may be first
	skyferry transfers --watch >"$home/plain" 3>&- &
	plain=$!
	skyferry transfers --watch --json >"$home/json" 3>&- &
	json=$!
	await "$home/json" '"hello"'
	skyferry cp -q a:one b:one
	await "$home/plain" "^$uuid  completed .*a:one -> b:one"
	await "$home/json" '"completed"'
	jq -es 'map(.event) | index("hello") == 0 and index("change") > 0' "$home/json"
	run ! grep -q $'\033' "$home/plain"
	daemon_stop
	daemon_start
	skyferry cp -q a:one b:two
	await "$home/plain" 'completed .*a:one -> b:two'
	kill -TERM $plain $json
	wait $plain
	wait $json
}

@test "--watch on a terminal: bars in place, rate, totals, fitted to its width" {
	start
	truncate -s 1G "$home/a/big"
	terminal_start "exec skyferry transfers --watch"
	await_prompt "$out" '0 running, 0 queued'
	api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"big","destinationAccountId":"b",
	    "destinationPath":"a long directory/and another one/with a long name/copy of the big file"}' >/dev/null
	skyferry transfer wait --all --quiet
	await "$out" 'completed +1\.0 GiB +a:big -> b:a long directory'
	printf '\003' >&9
	terminal_end
	# Redrawn: it is taken off the screen before.
	grep -q $'\033\[J' "$out"
	# Nothing of the live part is as wide as the screen, which would spoil the redrawing.
	sed 's/\x1b\[[0-9]*[A-Z]/\n/g; s/\r/\n/g' "$out" | awk 'length($0) >= 100 && !/completed/ { print; bad = 1 } END { exit bad }'
}

@test "Ctrl-C while cp waits: the transfers go on" {
	start
	content 1 1000 >"$home/a/one"
	# One that cannot start: its path waits behind a change of tomorrow.
	api POST /api/transfers "{\"sourceAccountId\":\"a\",\"sourcePath\":\"one\",\"destinationAccountId\":\"b\",
	    \"destinationPath\":\"x\",\"notBefore\":\"$(date -u -d tomorrow +%Y-%m-%dT%H:%M:%SZ)\"}" >/dev/null
	bash -c "trap - INT; exec skyferry cp a:one b:x" 2>"$home/err" 3>&- &
	timeout 20 bash -c 'until [ "$(skyferry transfers --json | jq .total)" = 2 ]; do :; done'
	kill -INT $!
	status=0
	wait $! || status=$?
	[ $status = 130 ]
	grep -q 'goes on in the daemon; to cancel: skyferry transfer cancel' "$home/err"
	eval "$(grep -o 'skyferry transfer cancel .*' "$home/err")"
	skyferry transfer cancel --all
	[ "$(skyferry transfers --status cancelled --json | jq .total)" = 2 ]
}

@test "cp goes on across a restart of the daemon" {
	local i copier
	start
	mkdir "$home/a/tree"
	for ((i = 0; i < 300; i++)); do content $i 20000 >"$home/a/tree/f$i"; done
	skyferry cp -r a:tree b: 2>"$home/err" 3>&- &
	timeout 20 bash -c 'until [ "$(skyferry transfers --json | jq ".transfers[0].children.done // 0")" -ge 20 ]; do :; done'
	copier=$!
	daemon_kill || :
	daemon_start
	wait $copier
	diff -r "$home/a/tree" "$home/b/tree"
}

@test "users, passwords, login" {
	daemon_start --set api.listen=127.0.0.1:0
	url=$(grep -oE 'http://127\.0\.0\.1:[0-9]+' "$log")
	printf 'correct horse\n' >"$home/pw"
	run -0 skyferry user add --password-file "$home/pw" ann
	SKYFERRY_PASSWORD='battery staple' run -0 skyferry user add --admin bob
	run -1 skyferry user add --password-file "$home/pw" ann
	run -1 skyferry user add carl </dev/null
	[[ $output == *"a password is needed"* ]]
	run -0 skyferry user list
	[[ $output == *ann* && $output == *admin*bob* ]]
	skyferry user list --json | jq -e 'map(select(.username == "bob"))[0].admin'
	run -1 env SKYFERRY_PASSWORD=wrong-password skyferry login -u ann "$url"
	run -0 skyferry login -u ann --password-file "$home/pw" "$url"
	[ "$(stat -c %a "$XDG_CONFIG_HOME/skyferry/token")" = 600 ]
	SKYFERRY_URL=$url run -0 skyferry account list --json
	SKYFERRY_URL=$url run -0 skyferry status
	SKYFERRY_URL=$url/ run -0 skyferry status
	SKYFERRY_URL=$url run -1 skyferry user list
	# The token is for that URL: the same daemon by another name does not see it.
	SKYFERRY_URL=http://localhost:${url##*:} run -1 skyferry account list
	[[ $output == *"sign in first"* ]]
	SKYFERRY_URL=$url/x/.. run -1 skyferry account list
	SKYFERRY_PASSWORD='something new' run -0 skyferry user passwd ann
	run -1 skyferry login -u ann --password-file "$home/pw" "$url"
	SKYFERRY_PASSWORD='something new' run -0 skyferry login -u ann "$url"
	run -2 skyferry login -u ann --password-file "$home/pw"
}

@test "mount and unmount" {
	start
	mounts="$home/New mount point"
	echo hello >"$home/a/file"
	run -0 skyferry mount "$mounts"
	[ "$(cat "$mounts/a/file")" = hello ]
	skyferry status --json | jq -e '.mounts | length == 1'
	cp "$mounts/a/file" "$mounts/b/"
	run -0 skyferry umount --wait "$mounts"
	cmp "$home/a/file" "$home/b/file"
	run -1 skyferry unmount "$mounts"
	[[ $output == *"is not a Skyferry mount"* ]]
	: >"$home/plain file"
	run -1 skyferry mount "$home/plain file"
	[[ $output == *"is not a directory"* ]]
	run ! skyferry mount -o nonsense "$mounts"
	[[ $output == *nonsense* ]]
}

@test "output that cannot be written is an error" {
	start
	[ -c /dev/full ] || skip "no /dev/full"
	run -1 bash -c 'skyferry account list >/dev/full'
	[[ $output == *"cannot write the output"* ]]
	# A reader who leaves ends a watch, quietly.
	content 1 10 >"$home/a/one"
	skyferry transfers --watch > >(head -n 1 >/dev/null) 2>"$home/err" 3>&- &
	until skyferry cp -q a:one b:one && ! kill -0 $! 2>/dev/null; do :; done
	[ ! -s "$home/err" ]
}

# complete_line LINE: what bash would offer for its last word.
complete_line()
{
	bash -c '
		source "$1"
		compopt() { :; }
		COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$3
		read -ra COMP_WORDS <<<"${2//:/ : }"
		[[ $2 == *" " ]] && COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_skyferry
		printf "%s\n" "${COMPREPLY[@]}"' bash \
	    "$BATS_TEST_DIRNAME/../../contrib/completions/skyferry.bash" "$1" $' \t\n"\'><=;|&(:'
}

@test "completion in bash: commands, options, accounts, paths" {
	start
	mkdir "$home/a/photos"
	: >"$home/a/photos/beach.jpg"
	run -0 bash -c '. "$1" && complete -p skyferry' bash "$BATS_TEST_DIRNAME/../../contrib/completions/skyferry.bash"
	[ "$output" = 'complete -F _skyferry skyferry' ]
	run complete_line 'skyferry '
	[[ $'\n'$output$'\n' == *$'\naccount\n'* && $output == *transfers* && $output == *unmount* ]]
	run complete_line 'skyferry transfer '
	[ "$(sort <<<"$output" | xargs)" = 'cancel limit retry show wait' ]
	run complete_line 'skyferry cp --pr'
	[ "$output" = --priority ]
	run complete_line 'skyferry --c'
	[ "$output" = --config ]
	run complete_line 'skyferry account show '
	[ "$(xargs <<<"$output")" = 'a b' ]
	run complete_line 'skyferry ls '
	[ "$(xargs <<<"$output")" = 'a: b:' ]
	run complete_line 'skyferry ls a:ph'
	[ "$output" = photos/ ]
	run complete_line 'skyferry cp -r a:photos/be'
	[ "$output" = photos/beach.jpg ]
	run complete_line 'skyferry account add x '
	[[ $output == *local* && $output == *s3* ]]
	run complete_line 'skyferry transfers --status fa'
	[ "$output" = failed ]
}

@test "completion in zsh parses" {
	command -v zsh >/dev/null || skip "zsh is not installed"
	zsh -n "$BATS_TEST_DIRNAME/../../contrib/completions/_skyferry"
}
