#!/usr/bin/env bats
# Trees: one job for a directory.  Everything arrives, once; what fails is named and can be tried
# again; a cancel, a kill and a file that appears meanwhile leave nothing half done.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	mkdir "$home/a" "$home/b"
	if [ -n "${SKYFERRY_TEST_FULL:-}" ]; then
		files=4000 kills=20
	else
		files=1500 kills=3
	fi
}

teardown()
{
	home_remove
}

# Without flushes: what a disk's cost is is not what is tested here.
start()
{
	daemon_start "$@"
	skyferry account add a local "$home/a" fsync=no >/dev/null
	skyferry account add b local "$home/b" fsync=no >/dev/null
}

# tree FROM TO [MEMBERS]: submits it; its id.
tree()
{
	api POST /api/transfers "{\"sourceAccountId\":\"a\",\"sourcePath\":\"$1\",\"destinationAccountId\":\"b\",
	    \"destinationPath\":\"$2\",\"recursive\":true${3:+,$3}}" | jq -r .id
}

# change ID FILTER
change()
{
	api GET "/api/transfers/$1" | jq -r "$2"
}

# events_begin [QUERY]: the events go to descriptor 8.
events_begin()
{
	exec 8< <(exec timeout 60 curl -sSN --unix-socket "$socket" "http://skyferry/api/events?$1" 3>&-)
	reader=$!
}

events_end()
{
	kill "$reader"
	exec 8<&-
}

# until_true FILTER ID: waits until it is true of the change, looking at each of its events.
until_true()
{
	events_begin "transfer=$2"
	while read -r _ <&8; do
		[ "$(change "$2" "$1")" = true ] && break
	done
	events_end
	[ "$(change "$2" "$1")" = true ]
}

# files_make DIR N: about 1 KiB each, in directories of 50: d0/f00000 ...
files_make()
{
	local i
	for ((i = 0; i < $2; i += 50)); do echo "$1/d$((i / 50))"; done | xargs mkdir -p
	awk -v dir="$1" -v n="$2" 'BEGIN { for (i = 0; i < n; i++) {
		file = sprintf("%s/d%d/f%05d", dir, i / 50, i)
		for (j = 0; j < 20; j++) print file, j > file
		close(file) } }'
}

@test "a tree of headers, empty directories and odd names arrives as it was" {
	local id
	mkdir "$home/a/tree"
	cp -rL /usr/include/linux "$home/a/tree/linux"
	mkdir -p "$home/a/tree/empty/inner" "$home/a/tree/d e/ü" "$home/a/tree/x" "$home/a/tree/x-y"
	touch "$home/a/tree/none" "$home/a/tree/x/1" "$home/a/tree/x-y/1" "$home/a/tree/x.1"
	echo x >"$home/a/tree/100% \"quoted\" 'name' & ?#+=ü漢"
	printf y >"$home/a/tree/d e/ü/new
line"
	start
	run -0 skyferry cp -r a:tree b:
	[[ $output =~ ^[0-9,]+\ copied ]]
	diff -r "$home/a/tree" "$home/b/tree"
	id=$(api GET '/api/transfers?kind=tree' | jq -r '.transfers[0].id')
	[ "$(change "$id" '.children.total')" = "$(find "$home/a/tree" \( -type f -o -type d -empty \) -printf x | wc -c)" ]
	[ "$(change "$id" '[.status, .children.listed, .children.live, .children.failed, .children.done == .children.total, .bytesDone == .bytesTotal] | map(tostring) | join(" ")')" = "completed true 0 0 true true" ]
	# None of its children is kept, or shown one by one.
	[ "$(api GET "/api/transfers?parent=$id" | jq .total)" = 0 ]
	[ "$(api GET /api/transfers | jq .total)" = 1 ]
	run -0 skyferry transfer show "$id"
	[[ $output == *"a:tree/ -> b:tree/"*"Entries      "*" done, 0 failed"* ]]
	# An account as a whole.
	run -0 skyferry cp -r a: b:whole
	diff -r "$home/a" "$home/b/whole"
	# What exists is kept, if that is asked for, and all else arrives.
	mkdir "$home/a/small"
	echo 1 | tee "$home/a/small/old" "$home/a/small/new" >"$home/a/small/empty"
	run -0 skyferry cp -r a:small b:
	rm "$home/b/small/new"
	echo 2 >"$home/a/small/old"
	run -1 skyferry cp -rn a:small b:
	[[ $output == *"a:small/old: "*exists* ]]
	[ "$(cat "$home/b/small/old" "$home/b/small/new")" = $'1\n1' ]
}

@test "what cannot be meant is refused, and says what to do" {
	local id
	mkdir -p "$home/a/tree/in"
	echo 1 >"$home/a/tree/file"
	start --set transfer.retries=0
	skyferry account add in local "$home/a/tree/in" >/dev/null
	id=$(api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"tree","destinationAccountId":"b","destinationPath":"x"}' | jq -r .id)
	run -1 skyferry transfer wait "$id"
	[[ $output == *"is a directory: 'recursive' (cp -r) copies it"* ]]
	run -1 skyferry cp a:tree b:
	[[ $output == *"-r copies directories"* ]]
	id=$(tree tree/file x)
	run -1 skyferry transfer wait "$id"
	[[ $output == *"is a file: it is copied without 'recursive'"* ]]
	echo 2 >"$home/b/taken"
	id=$(tree tree taken)
	run -1 skyferry transfer wait "$id"
	[[ $output == *"cannot replace the file 'taken' with a directory"* ]]
	# Into itself, by its name and by another account's.
	run api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"tree","destinationAccountId":"a","destinationPath":"tree/in/x","recursive":true}'
	[[ $output == *'one lies in the other'*'"code":"invalid"'* ]]
	id=$(api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"tree","destinationAccountId":"in","destinationPath":"x","recursive":true}' | jq -r .id)
	run -1 skyferry transfer wait "$id"
	[[ $output == *"lies in the directory that is to be copied there"* ]]
	[ ! -e "$home/a/tree/in/x" ]
	run api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"","destinationAccountId":"b","destinationPath":"x","recursive":true,"move":true}'
	[[ $output == *'"code":"invalid"'* ]]
	run api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"tree","destinationAccountId":"b","destinationPath":"x","recursive":true,"sourceVersion":"1"}'
	[[ $output == *"'sourceVersion' means nothing"* ]]
}

@test "what fails is named, kept, listed by its tree, and tried again with it" {
	local id child
	files_make "$home/a/tree" 120
	mkdir -p "$home/b/tree/d0/f00007/in" "$home/b/tree/d1/f00060/in"
	start --set transfer.retries=0
	run -1 --separate-stderr skyferry cp -r a:tree b:
	[[ $stderr == *"a:tree/d0/f00007: "*"a:tree/d1/f00060: "* ]]
	[ "$(grep -c 'skyferry: a:tree/' <<<"$stderr")" = 2 ]
	[[ $output == "118 copied, others not"* ]]
	id=$(api GET '/api/transfers?kind=tree' | jq -r '.transfers[0].id')
	[[ $(change "$id" '.status + ": " + .error.message') == "failed: 2 of 120 entries failed; the first: 'tree/d0/f00007': "* ]]
	[ "$(api GET "/api/transfers?parent=$id&status=failed" | jq -r '[.total, .transfers[].sourcePath] | join(" ")')" = "2 tree/d0/f00007 tree/d1/f00060" ]
	run -0 skyferry transfers --parent "$id"
	[[ ${#lines[@]} = 2 && $output == *failed*f00007* ]]
	child=$(api GET "/api/transfers?parent=$id" | jq -r '.transfers[0].id')
	run -1 skyferry transfer retry "$child"
	[[ $output == *"belongs to the tree $id"* ]]
	rmdir "$home/b/tree/d0/f00007/in" "$home/b/tree/d0/f00007" "$home/b/tree/d1/f00060/in" "$home/b/tree/d1/f00060"
	run -0 skyferry transfer retry "$id"
	run -0 skyferry transfer wait "$id"
	diff -r "$home/a/tree" "$home/b/tree"
	[ "$(change "$id" '[.status, .children.total, .children.done, .children.failed] | join(" ")')" = "completed 120 120 0" ]
	[ "$(api GET "/api/transfers?parent=$id" | jq .total)" = 0 ]
}

@test "names that no path can express are counted: a copy says so, and a move leaves them" {
	local odd=$home/a/tree/sub/$'\xff'
	files_make "$home/a/tree" 60
	mkdir -p "$home/a/tree/sub"
	echo odd >"$odd"
	start
	run -0 --separate-stderr skyferry ls a:tree/sub
	[[ $stderr == *"a:tree/sub: names left out, because no path can express them: 1"* ]]
	[ "$(api GET "/api/accounts/a/files?path=tree/sub" | jq -c '[.hidden, .entries]')" = '[1,[]]' ]
	run -1 --separate-stderr skyferry cp -r a:tree b:
	[[ $stderr == *"a:tree: 1 of 61 entries failed; no path can express their names"* ]]
	[ "$(find "$home/b/tree" -type f | wc -l)" = 60 ]
	run -1 --separate-stderr skyferry mv a:tree b:moved
	[[ $stderr == *"no path can express their names"* ]]
	[ "$(find "$home/a/tree" -type f)" = "$odd" ]
	[ "$(find "$home/b/moved" -type f | wc -l)" = 60 ]
}

@test "a move takes nothing from where a link leads, and says so" {
	mkdir -p "$home/a/tree/sub" "$home/a/elsewhere/empty"
	echo in >"$home/a/tree/sub/in"
	echo out >"$home/a/elsewhere/out"
	ln -s ../elsewhere "$home/a/tree/link"
	start
	run -0 skyferry cp -r a:tree b:
	[ "$(cat "$home/b/tree/sub/in" "$home/b/tree/link/out")" = $'in\nout' ]
	run -1 --separate-stderr skyferry mv a:tree b:moved
	[[ $stderr == *"a:tree/link: "*"is a link to a directory"* ]]
	[ "$(find "$home/b/moved" -type f)" = "$home/b/moved/sub/in" ]
	[ "$(find "$home/a/elsewhere" | sort | tr '\n' ' ')" = "$home/a/elsewhere $home/a/elsewhere/empty $home/a/elsewhere/out " ]
	[ -L "$home/a/tree/link" ]
	[ ! -e "$home/a/tree/sub/in" ]
	# Without it, the rest goes.
	rm "$home/a/tree/link"
	run -0 skyferry mv a:tree b:moved
	[ ! -e "$home/a/tree" ]
}

@test "a cancel in the middle leaves nothing live and nothing half-written" {
	local id before
	files_make "$home/a/tree" 600
	# One at a time: there is a middle.
	start --set account.concurrency=1
	id=$(tree tree tree)
	until_true '.children.done > 10' "$id"
	[ "$(change "$id" .status)" = running ]
	[ "$(change "$id" '.children.live > 100 and .children.live <= 2048')" = true ]
	run -0 skyferry transfer cancel "$id"
	run -1 skyferry transfer wait --timeout 20 "$id"
	[[ $output == *cancelled* ]]
	[ "$(change "$id" '[.status, .children.live] | join(" ")')" = "cancelled 0" ]
	[ "$(api GET "/api/transfers?parent=$id" | jq .total)" = 0 ]
	api GET /health | jq -e '.changes.queued + .changes.running == 0'
	[ "$(find "$home/b" -type f | wc -l)" -lt 600 ]
	[ -z "$(find "$home/b" -name '.skyferry-*')" ]
	# What arrived is whole.
	[ -z "$(diff -r "$home/a/tree" "$home/b/tree" | grep -v "^Only in $home/a/tree")" ]
}

@test "kill -9 at random instants: everything arrives, and nothing twice" {
	local id n instant
	files_make "$home/a/tree" "$files"
	mkdir -p "$home/a/tree/empty"
	start
	id=$(tree tree tree)
	for ((n = 0; n < kills; n++)); do
		# A random instant is what is tested: nothing tells when it has come.
		printf -v instant '0.%03d' $((RANDOM % 350))
		read -r -t "$instant" <> <(:) || true
		daemon_kill
		daemon_start
	done
	run -0 skyferry transfer wait --timeout 120 "$id"
	diff -r "$home/a/tree" "$home/b/tree"
	[ "$(change "$id" '[.children.total, .children.done, .children.failed, .children.live] | join(" ")')" = "$((files + 1)) $((files + 1)) 0 0" ]
	daemon_stop
	skyferryd --check-store
}

@test "a move takes the directories along, and nothing that appeared meanwhile" {
	local id
	files_make "$home/a/tree" 160
	mkdir -p "$home/a/tree/d0/empty/inner"
	cp -r "$home/a/tree" "$home/original"
	# So slow that there is time for one to appear where the listing has been.
	start --set account.concurrency=1
	api PUT /api/accounts/a '{"requestRate":50}' >/dev/null
	id=$(tree tree tree '"move":true')
	until_true '.children.done > 20' "$id"
	echo late >"$home/a/tree/d0/late"
	api PUT /api/accounts/a '{"requestRate":0}' >/dev/null
	run -1 skyferry transfer wait "$id"
	[[ $output == *"got new entries while it was moved"* ]]
	[ "$(find "$home/a/tree" | sort | tr '\n' ' ')" = "$home/a/tree $home/a/tree/d0 $home/a/tree/d0/late " ]
	diff -r "$home/original" "$home/b/tree"
	# Again: what is there now.
	run -0 skyferry transfer retry "$id"
	run -0 skyferry transfer wait "$id"
	[ ! -e "$home/a/tree" ]
	[ "$(cat "$home/b/tree/d0/late")" = late ]
	# And by mv.
	run -0 skyferry mv b:tree a:back
	[ ! -e "$home/b/tree" ]
	rm "$home/a/back/d0/late"
	diff -r "$home/original" "$home/a/back"
}

@test "events are about the tree, not about each of its files" {
	local id line
	files_make "$home/a/tree" 300
	start
	events_begin
	read -r _ <&8
	id=$(tree tree tree)
	while read -r line <&8; do
		echo "$line"
		[[ $line != *'"status":"completed"'* ]] || break
	done >"$home/events"
	events_end
	[ "$(grep -c '^event: change' "$home/events")" -lt 30 ]
	[ -z "$(grep '^data: {"id"' "$home/events" | grep -v "\"id\":\"$id\"")" ]
	grep -q '^data: .*"children":{"listed":' "$home/events"
}
