#!/usr/bin/env bats
# Dropbox (a fake of it: tests/fakes/dropbox.mjs), as a person would use it: the mount, copies and moves, names in any case,
# uploads in sessions that nobody can ask and kill -9 in the middle of them, tokens that expire, and refusals.
bats_require_minimum_version 1.5.0
load helpers
load fakes

setup()
{
	home_make
	fake_start fake dropbox.mjs
	start
	local_add from back
	add dropbox refreshToken
}

teardown()
{
	home_remove
	fake_stop "${fake:-}"
}

start()
{
	daemon_start --set transfer.backoff=100ms --set transfer.backoff_max=1s --set transfer.retries=20 "$@"
}

# add NAME TOKEN [FIELD...]: an account of that person of the fake's.
add()
{
	SKYFERRY_CREDENTIAL_REFRESH_TOKEN=$(field "$2") SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(field clientSecret) \
	    skyferry account add "$1" dropbox "endpoint=$(field endpoint)" "tokenEndpoint=$(field endpoint)$(field tokenPath)" \
	    "clientId=$(field clientId)" "${@:3}" >/dev/null
}

# fault MATCH STATUS TAGS [MORE]: requests are refused as Dropbox would.
fault()
{
	control faults "$(jq -n --arg match "$1" --arg status "$2" --arg tags "$3" --argjson more "${4:-{\}}" \
	    '[{match: $match, status: ($status | tonumber), body: ({error_summary: $tags,
	    error: ($tags | split("/") | reverse | reduce .[] as $t (null; {".tag": $t} + if . == null then {} else {($t): .} end))}
	    | tojson)} + $more]')" >/dev/null
}

# dated SECONDS FILE: its time, as the mount shows it a moment after its transfer has ended.
dated() { [ "$(stat -c %Y "$2")" = "$1" ]; }

# last FILTER: of the newest transfer.
last() { api GET '/api/transfers?limit=1' | jq -e ".transfers[0] | $1"; }

@test "cp -r of a real tree to Dropbox and back through the mount is the same, and mv moves" {
	cp -rL /usr/share/doc/libc6 /usr/share/doc/bats /usr/share/doc/curl "$home/from/" 2>/dev/null || true
	mkdir "$home/from/empty"
	content 2 100000 >"$home/from/here"
	touch -d '2001-02-03 04:05:06.789' "$home/from/here"
	mount_start
	cp -r "$mounts/from/." "$mounts/dropbox/"
	settled
	cp -r "$mounts/dropbox/." "$mounts/back/"
	settled
	diff -r "$home/from" "$home/back"
	mv "$mounts/from/here" "$mounts/dropbox/there"
	settled
	[ ! -e "$home/from/here" ]
	mv "$mounts/dropbox/there" "$mounts/back/again"
	settled
	content 2 100000 | cmp - "$home/back/again"
	[ "$(stat -c %y "$home/back/again" | cut -c 1-23)" = "2001-02-03 04:05:06.000" ] # seconds are kept
	run ! skyferry ls dropbox:there
	mount_stop
}

@test "names that need care arrive as they are, those that Dropbox has not are refused" {
	for name in 'with space' 'ümläut-日本-🐟' "quote'd \"name\"" '100%' 'a+b&c=d?e#f' $'new\nline' 'ends in a dot.'; do
		printf '%s' "$name" >"$home/from/$name"
	done
	skyferry cp -q -r from: dropbox:d
	skyferry cp -q -r dropbox:d back:
	diff -r "$home/from" "$home/back/d"
	for name in 'back\slash' 'ends in a blank '; do
		echo x >"$home/from/$name"
		run ! skyferry cp "from:$name" dropbox:
		[[ $output == *"Dropbox has no names"* ]]
	done
	echo x >"$home/from/desktop.ini"
	run ! skyferry cp from:desktop.ini dropbox:
	[[ $output == *disallowed_name* ]]
	[ "$(skyferry ls dropbox: | wc -l)" = 1 ]
}

@test "a name in another case finds the file, and does not replace it; a rename to another case is one" {
	local name
	echo one >"$home/from/f"
	skyferry cp -q from:f dropbox:File
	skyferry cp -q from:f dropbox:Dir/in
	echo two >"$home/from/g"
	content 4 20000000 >"$home/from/large"
	# Also not on purpose: by a name that is not shown nothing is written, small or large, by us or by Dropbox.
	for name in from:g from:large dropbox:Dir/in; do
		run ! skyferry cp "$name" dropbox:FILE
		[[ $output == *"'FILE' and 'File', which is there, are one name"* ]]
		run ! skyferry cp "$name" dropbox:dir/new
		[[ $output == *"'dir/new': to Dropbox 'dir' and 'Dir', which is there, are one name"* ]]
		[ "$name" = dropbox:Dir/in ] || run ! skyferry cp "$name" dropbox:dir/in
	done
	run ! skyferry mkdir -p dropbox:dir
	[[ $output == *"'dir' and 'Dir', which is there, are one name"* ]]
	skyferry mkdir -p dropbox:Dir
	run ! skyferry cp from:g dropbox:file/below
	# Before anything is made or sent.
	run ! skyferry mkdir -p dropbox:dir/below/it
	[[ $output == *"'dir' and 'Dir', which is there, are one name"* ]]
	[ "$(told .bytes)" = 0 ]
	skyferry mkdir -p dropbox:Empty
	run ! skyferry rm -r dropbox:empty
	[[ $output == *"'empty' and 'Empty', which is there, are one name"* ]]
	skyferry rm -r dropbox:Empty
	[ "$(skyferry ls dropbox: | tr '\n' ' ')" = 'Dir/ File ' ]
	[ "$(skyferry ls dropbox:Dir)" = in ]
	skyferry cp -q dropbox:file back:f
	cmp "$home/from/f" "$home/back/f"
	# By the name that is shown it is replaced.
	for name in from:g from:large dropbox:Dir/in from:large from:g; do
		skyferry cp -q "$name" dropbox:File
		skyferry cp -q dropbox:FILE back:f
		cmp "$home/from/$([ "$name" = dropbox:Dir/in ] && echo f || echo "${name#*:}")" "$home/back/f"
	done
	run ! skyferry mv dropbox:File dropbox:file # by the command it would be a copy onto itself, and a removal
	skyferry cp -q dropbox:file back:f
	cmp "$home/from/g" "$home/back/f"
	mount_start
	mv "$mounts/dropbox/File" "$mounts/dropbox/file"
	settled
	[ "$(skyferry ls dropbox: | tr '\n' ' ')" = 'Dir/ file ' ]
	skyferry cp -q dropbox:file back:f
	cmp "$home/from/g" "$home/back/f"
	mount_stop
}

# twins: a tree with files and directories whose names differ only in case; of each two one can be in Dropbox.
twins()
{
	mkdir -p "$home/from/t/"{D,d,E,e,Both}
	printf upper >"$home/from/t/A"
	printf lower >"$home/from/t/a"
	printf upper >"$home/from/t/D/x"
	printf lower >"$home/from/t/d/x"
}

# one_of_each: what is in Dropbox of the twins is what it was, and the others have failed by both their names.
one_of_each()
{
	local name found there=()
	mapfile -t there < <(skyferry ls dropbox:t)
	[ "${#there[@]}" = 4 ]
	skyferry cp -q -r dropbox:t back:
	for name in A a D/x d/x; do
		found=$(find "$home/back/t" -ipath "*/t/$name" -print -quit)
		[ -f "$found" ]
		[ "${found#"$home/back/t/"}" != "$name" ] || cmp "$home/from/t/$name" "$found"
	done
	for name in a d e; do
		jq -e --arg name "$name" '[.transfers[].error.message | select(test("/\($name)'"'"'.*one name"; "i"))]
		    | length > 0 and all(test("/\($name)'"'"'") and test("/\($name | ascii_upcase)'"'"'"))' "$1" >/dev/null
	done
}

@test "two of a tree whose names differ only in case: one of them is there, the other fails by both names" {
	local id before written='[.requests | to_entries[] | select(.key | test("/2/files/(upload|get_metadata)")) | .value] | add'
	twins
	run ! skyferry cp -q -r from:t dropbox:
	id=$(api GET '/api/transfers?kind=tree&limit=1' | jq -r '.transfers[0].id')
	api GET "/api/transfers?parent=$id&status=failed" >"$home/failed"
	jq -e '.transfers | length == 3' "$home/failed"
	one_of_each "$home/failed"
	# In little company a new file costs one request, one that is replaced three.
	api PUT /api/accounts/dropbox '{"concurrency": 4}' >/dev/null
	mkdir "$home/from/new"
	for id in {1..9}; do echo "$id" >"$home/from/new/$id"; done
	before=$(told "$written")
	skyferry cp -q -r from:new dropbox:
	[ $(($(told "$written") - before)) = 11 ] # and two looks at the directory
	[ "$(told '.requests["POST /2/files/upload_session/finish"]')" = null ]
	for id in {1..9}; do echo "new $id" >"$home/from/new/$id"; done
	skyferry cp -q -r from:new dropbox:
	[ "$(told '.requests["POST /2/files/upload_session/finish"]')" = 9 ]
	skyferry cp -q -r dropbox:new back:
	diff -r "$home/from/new" "$home/back/new"
}

@test "two whose names differ only in case through the mount: one of them is there, the other fails by both names" {
	local name gone=0
	twins
	mount_start
	cp -r "$home/from/t" "$mounts/dropbox/" || true # where one is there already when the other comes, it may be seen
	run ! skyferry transfer wait --all --timeout 60
	api GET '/api/transfers?status=failed&limit=100' >"$home/failed"
	one_of_each "$home/failed"
	# What failed is shown as it was written; who removes that does not remove the other.
	for name in A a D/x d/x; do
		[ ! -e "$home/back/t/$name" ] || continue
		cmp "$home/from/t/$name" "$mounts/dropbox/t/$name"
		rm "$mounts/dropbox/t/$name"
		gone=$((gone + 1))
	done
	[ "$gone" = 2 ]
	skyferry transfer wait --all --timeout 60 || true # it may be found by its name in another case
	rm -r "$home/back/t"
	one_of_each "$home/failed"
	mount_stop
}

@test "within Dropbox, and between people of one app, nothing passes through the daemon" {
	content 3 3000000 >"$home/from/f"
	skyferry cp -q from:f dropbox:one
	skyferry cp -q dropbox:one dropbox:two
	last '.route == "native" and (.verified | test("dropbox"))'
	skyferry cp -q from:f dropbox:two # there is something to be replaced
	echo other >"$home/from/g"
	skyferry cp -q from:g dropbox:one
	skyferry cp -q dropbox:one dropbox:two
	last '.route == "native"'
	add other otherRefreshToken
	skyferry cp -q dropbox:two other:three
	last '.route == "native"'
	skyferry cp -q other:three back:
	cmp "$home/from/g" "$home/back/three"
	mount_start
	mkdir "$mounts/dropbox/dir"
	mv "$mounts/dropbox/one" "$mounts/dropbox/dir/one"
	mv "$mounts/dropbox/dir" "$mounts/dropbox/renamed"
	settled
	[ "$(skyferry ls dropbox:renamed)" = one ]
	[ "$(told '.requests["POST /2/files/move_v2"]')" -ge 2 ]
	mount_stop
}

@test "a copy whose time nobody has set is Dropbox's own and has its source's; one that is to have another goes through the daemon" {
	local name
	add other otherRefreshToken
	echo x >"$home/from/f"
	touch -d '2001-02-03 04:05:06' "$home/from/f"
	skyferry cp -q from:f dropbox:f
	mount_start
	for name in dropbox/twin other/f; do
		cp "$mounts/dropbox/f" "$mounts/$name"
		settled
		last '.route == "native" and .mtimeSet == false and .mtimeNs == 981173106000000000'
		# What is shown is what the cloud has, now and after the directory was listed again.
		until_so dated 981173106 "$mounts/$name"
		api GET "/api/accounts/${name%/*}/file?path=${name#*/}" | jq -e '.mtime == "2001-02-03T04:05:06.000Z"'
	done
	cp -p "$mounts/dropbox/f" "$mounts/other/g"
	settled
	last '.route == "native" and .mtimeSet == null'
	until_so dated 981173106 "$mounts/other/g"
	mv "$mounts/dropbox/f" "$mounts/other/h"
	settled
	last '.route == "native"'
	until_so dated 981173106 "$mounts/other/h"
	# Its time is meant: set before it is closed, and after that.
	exec {copy}>"$mounts/other/i"
	cp "$mounts/other/h" "$mounts/other/i"
	touch -d '2011-12-13 14:15:16' "$mounts/other/i"
	exec {copy}>&-
	settled
	last '.route == "relay" and (.routeReason | test("no other time")) and .mtimeNs == 1323785716000000000'
	until_so dated 1323785716 "$mounts/other/i"
	api GET /api/accounts/other/file?path=i | jq -e '.mtime == "2011-12-13T14:15:16.000Z"'
	cp "$mounts/other/h" "$mounts/other/j" && touch "$mounts/other/j"
	settled
	last '.route == "relay"'
	[ "$(stat -c %Y "$mounts/other/j")" -gt 1323785716 ]
	mount_stop
	mount_start # nothing of it was remembered
	until_so dated 981173106 "$mounts/other/f"
	until_so dated 1323785716 "$mounts/other/i"
	mount_stop
}

@test "one person's Dropbox by two accounts: a move to itself removes nothing" {
	add same pkceRefreshToken
	echo only >"$home/from/f"
	skyferry cp -q from:f dropbox:f
	run ! skyferry mv dropbox:f same:f
	[[ $output == *"the source itself"* ]]
	# Where the service does not copy, its answer to the write tells.
	fault copy_reference/get 409 path/access_restricted
	run ! skyferry mv dropbox:f same:f
	[[ $output == *"the same object"* ]]
	[ "$(told '.unplayed | length')" = 0 ]
	# What an earlier attempt of an exclusive move seems to have written is not what it made, but the source.
	fault get_metadata 500 internal_error '{"times": 8}'
	id=$(api POST /api/transfers '{"sourceAccountId":"dropbox","sourcePath":"f","destinationAccountId":"same",
	    "destinationPath":"f","move":true,"overwrite":false}' | jq -r .id)
	run ! skyferry transfer wait "$id" --timeout 60
	[[ $output == *"exists already"* ]]
	[ "$(told '.unplayed | length')" = 0 ]
	skyferry cp -q dropbox:f back:f
	cmp "$home/from/f" "$home/back/f"
}

@test "a folder or a team's namespace as an account" {
	echo x >"$home/from/f"
	skyferry cp -q from:f dropbox:top/sub/f
	add sub refreshToken rootFolder=/Top/sub
	[ "$(skyferry ls sub:)" = f ]
	skyferry cp -q from:f sub:g
	[ "$(skyferry ls dropbox:top/sub | wc -l)" = 2 ]
	add team refreshToken "namespace=$(field teamNamespace)"
	add others otherRefreshToken "namespace=$(field teamNamespace)"
	skyferry cp -q from:f team:shared
	[ "$(skyferry ls others:)" = shared ]
	run ! skyferry ls dropbox:shared
	run ! add stranger refreshToken namespace=1002
	[[ $output == *no_permission* ]]
}

@test "kill -9 at every crash point of an upload in a session: it goes on inside the file" {
	local point pass before
	content 5 20000000 >"$home/from/f" # five parts, some of them at once
	for point in $(sed -n 's/^[[:space:]]*"\(upload\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		for pass in 1 4; do
			[ "$pass" = 1 ] || [ "$point" = upload.after_part ] || continue
			echo "# $point:$pass"
			daemon_stop
			SKYFERRY_CRASH=$point:$pass start
			before=$(told .bytes)
			id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"dropbox",
			    "destinationPath":"'"$point-$pass"'"}' | jq -r .id)
			daemon_dies || { echo "$point: the daemon never came there"; return 1; }
			start
			skyferry transfer wait "$id" --timeout 60
			last '.verified | test("dropbox")'
			# At the most the parts that were under way, which nobody had noted, come twice.
			[ $(($(told .bytes) - before)) -le $((20000000 + 4 * 4194304)) ]
			case $point-$pass in
			*part-4) [ $(($(told .bytes) - before)) -lt $((2 * 20000000 - 2 * 4194304)) ] ;;
			*commit*) [ $(($(told .bytes) - before)) = 20000000 ] ;;
			esac
		done
	done
	skyferry cp -q -r dropbox: back:all
	for got in "$home"/back/all/*; do
		cmp "$home/from/f" "$got"
	done
	[ "$(ls "$home/back/all" | wc -l)" = 6 ]
}

@test "a session that is gone after a restart begins again, once" {
	content 6 20000000 >"$home/from/f"
	daemon_stop
	SKYFERRY_CRASH=upload.after_part:3 start
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"dropbox",
	    "destinationPath":"f"}' | jq -r .id)
	daemon_dies
	control forget-sessions
	start
	skyferry transfer wait "$id" --timeout 60
	[ "$(told '.requests["POST /2/files/upload_session/start"]')" = 2 ]
	skyferry cp -q dropbox:f back:
	cmp "$home/from/f" "$home/back/f"
}

@test "lost answers, damaged parts and cut connections: what arrives is what was sent" {
	content 7 20000000 >"$home/from/f"
	control faults '[{"match": "append_v2", "lost": true, "times": 2, "after": 1}, {"match": "session/finish", "lost": true}]'
	skyferry cp -q from:f dropbox:f
	last '.verified | test("dropbox")'
	[ "$(told '.unplayed | length')" = 0 ]
	control faults '[{"match": "files/download", "cut": 3000000, "times": 2}]'
	skyferry cp -q dropbox:f back:
	cmp "$home/from/f" "$home/back/f"
	control damage # the next part is kept with another content
	skyferry cp -q from:f dropbox:g
	skyferry cp -q dropbox:g back:
	cmp "$home/from/f" "$home/back/g"
}

@test "asked to slow down: it waits, as long as it is told" {
	echo x >"$home/from/f"
	fault 'files/upload$' 429 too_many_requests '{"headers": {"Retry-After": "1"}, "times": 2}'
	skyferry cp -q from:f dropbox:f
	fault 'files/delete_v2' 409 path_write/too_many_write_operations '{"times": 2}'
	skyferry rm dropbox:f
	[ "$(told '.unplayed | length')" = 0 ]
	[ -z "$(skyferry ls dropbox:)" ]
}

# many DIR N: so many small files of different content and time; one is empty.
many()
{
	local i
	mkdir "$home/from/$1"
	for ((i = 1; i <= $2; i++)); do
		content "$1-$i" $(((i - 1) * 97)) >"$home/from/$1/$i"
		touch -d "@$((1000000000 + i))" "$home/from/$1/$i"
	done
}

# asked ROUTE: so many requests of it ("upload", "upload_session/start") were sent.
asked() { told '.requests["POST /2/files/'"$1"'"] // 0'; }

# same DIR: what is in Dropbox is what is in `from`, with its times.
same()
{
	skyferry cp -q -r "dropbox:$1" "back:$1"
	diff -r "$home/from/$1" "$home/back/$1"
	diff <(cd "$home/from/$1" && stat -c '%n %Y' -- *) <(cd "$home/back/$1" && stat -c '%n %Y' -- *)
}

@test "many small files at once are finished by few requests, and none is refused for the namespace's lock" {
	many d 200
	daemon_stop
	start --set transfer.loops=8 # each has few of them, and no more than one finishes at a time
	control lock '{"ms": 50, "waits": 4}'
	skyferry cp -q -r from:d dropbox:d
	[ "$(told .locked)" = 0 ]
	[ $(($(asked upload) + $(asked upload_session/start))) = 200 ] # each is sent once
	[ $(($(asked upload) + $(asked upload_session/finish) + $(asked upload_session/finish_batch_v2))) -lt 70 ]
	same d
	# One alone is one request.
	echo x >"$home/from/f"
	before=$(asked upload_session/start)
	skyferry cp -q from:f dropbox:f
	[ "$(asked upload_session/start)" = "$before" ]
	# Where others hold the lock all the time nobody fails; it is waited for.
	control lock '{"ms": 1, "waits": -1}'
	many e 30
	skyferry cp -q -r from:e dropbox:e &
	copying=$!
	until_so lock_was_met 3
	control lock '{"ms": 0}'
	wait "$copying"
	same e
}

lock_was_met() { [ "$(told .locked)" -ge "$1" ]; }

@test "of files that are finished together each has its own outcome" {
	local i
	many d 60
	echo old >"$home/from/old"
	skyferry mkdir -p dropbox:d
	for ((i = 1; i <= 60; i += 3)); do # a folder is in the way, a file, nothing
		skyferry mkdir "dropbox:d/$i"
		skyferry cp -q from:old "dropbox:d/$((i + 1))"
	done
	before=$(asked upload_session/start)
	control lock '{"ms": 50, "waits": 4}'
	run ! skyferry cp -q -r from:d dropbox:
	[ "$(asked upload_session/finish_batch_v2)" -gt 0 ]
	[ $(($(asked upload_session/start) - before)) -gt 20 ]
	for ((i = 1; i <= 60; i += 3)); do
		[ -z "$(skyferry ls "dropbox:d/$i")" ]
		rm "$home/from/d/$i"
		skyferry rm -r "dropbox:d/$i"
	done
	same d
}

@test "the answer for many files is lost, or makes no sense: each is looked for by itself, and none is sent again" {
	local fault
	many d 60
	for fault in '"lost": true' '"reset": true' '"status": 200, "body": "{\"entries\":[]}"' '"cut": 20'; do
		rm -rf "$home/back/d"
		control reset
		control lock '{"ms": 50, "waits": 4}'
		control faults '[{"match": "finish_batch_v2", "times": 2, '"$fault"'}]'
		skyferry cp -q -r from:d dropbox:d
		[ "$(told '.unplayed | length')" = 0 ]
		[ $(($(asked upload) + $(asked upload_session/start))) = 60 ]
		same d
	done
}

@test "kill -9 while many files are being finished, before and after it is done: all of them are there" {
	local fault
	many d 60
	for fault in '"stall": true' '"cut": 0, "stall": true'; do
		rm -rf "$home/back/d"
		control reset
		control lock '{"ms": 50, "waits": 4}'
		control faults '[{"match": "finish_batch_v2", "after": 1, '"$fault"'}]'
		id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"d","destinationAccountId":"dropbox",
		    "destinationPath":"d","recursive":true}' | jq -r .id)
		until_so all_played
		daemon_kill
		start
		skyferry transfer wait "$id" --timeout 60
		same d
	done
}

all_played() { [ "$(told '.unplayed | length')" = 0 ]; }

@test "tokens expire: one new one for all that is under way" {
	content 8 20000000 >"$home/from/f"
	for i in {1..10}; do echo "$i" >"$home/from/small$i"; done
	before=$(told .tokens)
	control expire
	skyferry cp -q -r from: dropbox:all
	[ $(($(told .tokens) - before)) -lt 8 ] # one a loop, not one a file
	# In the middle of an upload.
	fault append_v2 401 expired_access_token '{"after": 2}'
	skyferry cp -q from:f dropbox:again
	[ "$(told '.unplayed | length')" = 0 ]
	skyferry cp -q -r dropbox:all back:
	diff -r "$home/from" "$home/back/all"
	skyferry cp -q dropbox:again back:
	cmp "$home/from/f" "$home/back/again"
}

@test "a grant that is taken back holds the account; signing in again goes on" {
	echo x >"$home/from/f"
	control revoke '{"refreshToken": "'"$(field refreshToken)"'"}'
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"dropbox","destinationPath":"f"}'
	until_so answers /api/accounts/dropbox '.held and (.message | test("signed in again"))'
	api PUT /api/accounts/dropbox "$(jq '{credentials: {endpoint, tokenEndpoint: (.endpoint + .tokenPath), clientId,
	    refreshToken: .pkceRefreshToken}}' <<<"$fake")" >/dev/null
	settled
	skyferry cp -q dropbox:f back:
	cmp "$home/from/f" "$home/back/f"
}

@test "signing in with a browser: with PKCE, and no secret" {
	local back
	skyferry account add --no-test visited dropbox "endpoint=$(field endpoint)" "clientId=$(field clientId)" \
	    "tokenEndpoint=$(field endpoint)$(field tokenPath)" "authorizeEndpoint=$(field endpoint)/oauth2/authorize"
	run ! skyferry ls visited:
	back=$(curl -sS -o /dev/null -w '%{redirect_url}' "$(api POST /api/accounts/visited/oauth/start | jq -r .url)")
	api GET "/api/oauth/callback?${back#*\?}" | jq -e '.name == "visited"'
	echo x >"$home/from/f"
	skyferry cp -q from:f visited:f
	[ "$(skyferry ls dropbox:)" = f ]
}

@test "a cloud that can reads a link to the file by itself" {
	local azure other
	exec {other}< <(exec node "$BATS_TEST_DIRNAME/../fakes/azure.mjs" < <(timeout 120 tail -f /dev/null) 3>&- 4>&-)
	read -r -t 30 azure <&"$other"
	daemon_stop
	daemon_start --set transfer.backoff=100ms --set pull.private=yes
	SKYFERRY_CREDENTIAL_ACCOUNT_KEY=a2V5 skyferry account add --no-test azure azure \
	    "endpoint=$(jq -r .endpoint <<<"$azure")/account" accountName=account container=fake >/dev/null
	content 9 3000000 >"$home/from/f"
	skyferry cp -q from:f dropbox:f
	skyferry cp -q dropbox:f azure:f
	kill "$(jq .pid <<<"$azure")"
	last '.route == "pull"'
	[ "$(told '[.requests | to_entries[] | select(.key | test("fake-link")) | .value] | add')" -ge 1 ]
}

@test "refusals are said in Dropbox's words" {
	echo x >"$home/from/f"
	control quota '{"allocated": 1}'
	run ! skyferry cp from:f dropbox:f
	[[ $output == *insufficient_space* ]]
	control quota '{"allocated": 1000000}'
	skyferry cp -q from:f dropbox:f
	fault files/download 409 path/restricted_content
	run ! skyferry cp dropbox:f back:
	[[ $output == *"for legal reasons"* ]]
	fault 'files/upload$' 401 missing_scope
	run ! skyferry cp from:f dropbox:g
	[[ $output == *"app console"* ]]
}

@test "rmdir leaves what is not empty, though Dropbox would remove all of it" {
	echo x >"$home/from/f"
	skyferry cp -q from:f dropbox:d/f
	mount_start
	run ! rmdir "$mounts/dropbox/d"
	api POST /api/changes '{"kind":"rmdir","accountId":"dropbox","path":"d"}' >"$home/change"
	run ! skyferry transfer wait "$(jq -r .id "$home/change")" --timeout 60
	[ "$(skyferry ls dropbox:d)" = f ]
	rm "$mounts/dropbox/d/f"
	rmdir "$mounts/dropbox/d"
	settled
	[ -z "$(skyferry ls dropbox:)" ]
	mount_stop
}

@test "a list whose cursor is not valid any more begins again" {
	mkdir "$home/from/many"
	(cd "$home/from/many" && seq 2100 | xargs touch)
	skyferry cp -q -r from:many dropbox:
	fault list_folder/continue 409 reset
	skyferry ls dropbox:many >"$home/listed"
	diff <(sort "$home/listed") <(ls "$home/from/many" | sort)
	[ "$(told '.unplayed | length')" = 0 ]
}

# dbx ROUTE JSON: as another program of the same person.
dbx()
{
	[ -n "${token:-}" ] || token=$(curl -sS --fail-with-body "$(field endpoint)$(field tokenPath)" -d grant_type=refresh_token \
	    -d "refresh_token=$(field refreshToken)" -d "client_id=$(field clientId)" -d "client_secret=$(field clientSecret)" | jq -r .access_token)
	curl -sS --fail-with-body "$(field endpoint)/2/$1" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "$2"
}

# write PATH CONTENT: somebody else's.
write() { curl -sS --fail-with-body "$(field endpoint)/-/write?path=$1" -d "$2" >/dev/null; }

tells() { [ "$(told "$1")" = "$2" ]; }
asked() { told "[.requests | to_entries[] | select(.key | endswith(\"$1\")) | .value] | add // 0"; }
asked_more() { [ "$(asked "$1")" -gt "$2" ]; }

@test "what others change is in the mount as soon as Dropbox says so, and it is not asked before" {
	local asked
	write Dir/f one
	write Dir/sub/g g
	# An hour between two looks: what is noticed, Dropbox has told by itself.
	mount_here --set mount.entry_timeout=1h --set mount.changes=1h
	ls -R "$mounts/dropbox" >/dev/null
	[ "$(cat "$mounts/dropbox/Dir/f")" = one ]
	until_so tells .waiting 1
	write Dir/f three
	until_so shows "$mounts/dropbox/Dir/f" three
	until_so tells .waiting 1
	[ ! -e "$mounts/dropbox/Dir/new" ]
	write Dir/new new
	until_so [ -e "$mounts/dropbox/Dir/new" ]
	until_so lists "$mounts/dropbox/Dir" 'f new sub '
	# A directory with another name, and another one with the old name.
	dbx files/move_v2 '{"from_path": "/Dir", "to_path": "/Renamed"}' >/dev/null
	write Dir/sub/other other
	until_so lists "$mounts/dropbox" 'Dir Renamed '
	until_so lists "$mounts/dropbox/Dir/sub" 'other '
	lists "$mounts/dropbox/Renamed/sub" 'g '
	dbx files/delete_v2 '{"path": "/Renamed"}' >/dev/null
	until_so lists "$mounts/dropbox" 'Dir '
	until_so tells .waiting 1
	# Nothing happens: nobody asks.
	asked=$(asked list_folder/continue)
	[ "$asked" -le 6 ]
	lists "$mounts/dropbox/Dir/sub" 'other '
	[ "$(asked list_folder/continue)" = "$asked" ]
	mount_stop
	until_so tells .waiting 0
}

@test "changes whose cursor is reset, or that cannot be waited for: what is missed is not missed for long" {
	local waited looked
	write dir/one one
	mount_here --set mount.entry_timeout=1h --set mount.changes=100ms
	lists "$mounts/dropbox/dir" 'one '
	until_so tells .waiting 1
	# What happens before there is a new cursor is seen, since everything is listed anew.
	[ "$(cat "$mounts/dropbox/dir/one")" = one ]
	control faults '[{"match": "get_latest_cursor", "do": ["/-/change", {"path": "dir/one"}]}]' >/dev/null
	control reset-cursors {} >/dev/null
	until_so has_not "$mounts/dropbox/dir/one" one
	until_so tells .waiting 1
	# Waiting is not possible (a proxy cuts it): it looks instead.
	waited=$(asked list_folder/longpoll)
	control faults '[{"match": "longpoll", "times": -1, "reset": true}]' >/dev/null
	write dir/three three
	until_so lists "$mounts/dropbox/dir" 'one three '
	until_so asked_more list_folder/longpoll "$waited"
	write dir/four four
	until_so lists "$mounts/dropbox/dir" 'four one three '
	# All of it fails: the mount works as ever, and what was missed is told afterwards.
	looked=$(asked list_folder/continue)
	until_so asked_more list_folder/continue $((looked + 1)) # all is told
	lists "$mounts/dropbox/dir" 'four one three '
	looked=$(asked list_folder/continue)
	control faults '[{"match": "longpoll|continue", "times": -1, "status": 503}]' >/dev/null
	write dir/five five
	until_so asked_more list_folder/continue $((looked + 1)) # one of them may have been before
	lists "$mounts/dropbox/dir" 'four one three '
	[ "$(cat "$mounts/dropbox/dir/four")" = four ]
	control faults '[]' >/dev/null
	until_so lists "$mounts/dropbox/dir" 'five four one three '
	mount_stop
}
