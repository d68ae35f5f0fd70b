#!/usr/bin/env bats
# Google Drive (a fake of it: tests/fakes/gdrive.mjs), as a person would use it: the mount, copies and moves, names that a
# file system has not, uploads in sessions and kill -9 in the middle of them, what others change meanwhile, and refusals.
bats_require_minimum_version 1.5.0
load helpers
load fakes

setup()
{
	home_make
	fake_start fake gdrive.mjs
	start
	local_add from back
	add drive
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

# add NAME [FIELD...]: an account of the fake's.
add()
{
	SKYFERRY_CREDENTIAL_REFRESH_TOKEN=$(field refreshToken) SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(field clientSecret) \
	    skyferry account add "$1" gdrive "endpoint=$(field endpoint)" "tokenEndpoint=$(field endpoint)$(field tokenPath)" \
	    "clientId=$(field clientId)" "${@:2}" >/dev/null
}

# files NAME FILTER: of the files of that name that are not in the trash.
files() { told "[.files[] | select(.name == \"$1\" and (.trashed | not))] | $2"; }

# drive METHOD PATH [JSON]: as somebody else, with another program.
drive()
{
	curl -sS --fail-with-body -X "$1" "$(field endpoint)/drive/v3/$2" -H "Authorization: Bearer $(field token)" ${3:+-d "$3"}
}

# make NAME PARENT CREATED [CONTENT]: somebody else's file; its id.
make()
{
	local id
	id=$(drive POST files "$(jq -nc --arg n "$1" --arg p "$2" --arg c "$3" '{name: $n, parents: [$p], createdTime: $c, mimeType: "text/plain"}')" | jq -r .id)
	curl -sS --fail-with-body -X PATCH "$(field endpoint)/upload/drive/v3/files/$id?uploadType=media" \
	    -H "Authorization: Bearer $(field token)" -H 'Content-Type: text/plain' -d "${4:-$1}" >/dev/null
	echo "$id"
}

folder() { drive POST files "$(jq -nc --arg n "$1" --arg p "${2:-root}" '{name: $n, parents: [$p], mimeType: "application/vnd.google-apps.folder"}')" | jq -r .id; }

# document NAME TYPE [PARENT]: of Google's editors; its id.
document() { drive POST files "$(jq -nc --arg n "$1" --arg t "$2" --arg p "${3:-root}" '{name: $n, parents: [$p], mimeType: ("application/vnd.google-apps." + $t)}')" | jq -r .id; }

# edit NAME TEXT [SIZE]: somebody writes the document.
edit() { control edit "$(jq -nc --arg n "$1" --arg t "$2" --argjson s "${3:-0}" '{name: $n, text: $t, size: $s}')" >/dev/null; }

# exported FILE NAME TEXT: it is a whole export of the document.
exported()
{
	[ "$(wc -l <"$1")" = 2 ] && head -n 1 "$1" | grep -q "^$2 as application/.*: $3\$" && tail -n 1 "$1" | grep -q '^export [0-9]*!*$'
}

# refused MATCH STATUS REASON [MORE]: requests are refused as Drive would.
refused()
{
	control faults "$(jq -n --arg match "$1" --argjson status "$2" --arg reason "$3" --argjson more "${4:-{\}}" \
	    '[{match: $match, status: $status, body: ({error: {code: $status, message: "a test wanted it so",
	    errors: [{message: "a test wanted it so", domain: "usageLimits", reason: $reason}]}} | tojson)} + $more]')" >/dev/null
}

# last FILTER: of the newest transfer.
last() { api GET '/api/transfers?limit=1' | jq -e ".transfers[0] | $1"; }

@test "cp -r of a real tree to Drive and back through the mount is the same, and mv moves" {
	cp -rL /usr/share/doc/libc6 /usr/share/doc/bats "$home/from/" 2>/dev/null || true
	mkdir "$home/from/empty"
	content 2 100000 >"$home/from/here"
	touch -d '2001-02-03 04:05:06.789' "$home/from/here"
	mount_start
	cp -r "$mounts/from/." "$mounts/drive/"
	settled
	cp -r "$mounts/drive/." "$mounts/back/"
	settled
	diff -r "$home/from" "$home/back"
	mv "$mounts/from/here" "$mounts/drive/there"
	settled
	[ ! -e "$home/from/here" ]
	mv "$mounts/drive/there" "$mounts/drive/empty/moved"
	mv "$mounts/drive/empty" "$mounts/drive/full"
	settled
	mv "$mounts/drive/full/moved" "$mounts/back/again"
	settled
	content 2 100000 | cmp - "$home/back/again"
	[ "$(stat -c %y "$home/back/again" | cut -c 1-23)" = "2001-02-03 04:05:06.789" ]
	run ! skyferry ls drive:there
	mount_stop
}

@test "a copy within Drive is native, one onto a file that is there gives it new content" {
	content 3 3000000 >"$home/from/f"
	echo old >"$home/from/old"
	skyferry cp -q from:f drive:one
	skyferry cp -q from:old drive:two
	id=$(files two '.[0].id')
	skyferry cp -q drive:one drive:sub/three
	last '.route == "native"'
	skyferry cp -q drive:one drive:two
	[ "$(files two '.[] | "\(.id) \(.revisions)"')" = "$id 2" ]
	skyferry cp -q drive:two drive:sub/three back:
	cmp "$home/from/f" "$home/back/two"
	cmp "$home/from/f" "$home/back/three"
}

@test "a large file goes in order, in chunks of one session" {
	content 4 40000000 >"$home/from/f" # three parts
	skyferry cp -q from:f drive:f
	skyferry cp -q drive:f back:
	cmp "$home/from/f" "$home/back/f"
	[ "$(told .received)" = 40000000 ]
	[ "$(told '.requests["POST /upload/drive/v3/files"]')" = 1 ]
	last '.verified | test("md5")'
	# Somewhat more than is read in one go.
	head -c 16777217 "$home/from/f" >"$home/from/g"
	skyferry cp -q from:g drive:g
	[ "$(files g '.[0].sha256')" = "$(sha256sum <"$home/from/g" | cut -d' ' -f1)" ]
}

@test "kill -9 at every crash point of an upload: it goes on inside the file, and sends nothing twice" {
	local point pass
	content 5 40000000 >"$home/from/f" # three parts
	for point in $(sed -n 's/^[[:space:]]*"\(upload\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		for pass in 1 3; do
			[ "$pass" = 1 ] || [ "$point" = upload.after_part ] || continue
			echo "# $point:$pass"
			daemon_stop
			control reset >/dev/null
			SKYFERRY_CRASH=$point:$pass start
			id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"drive",
			    "destinationPath":"'"$point-$pass"'"}' | jq -r .id)
			daemon_dies || { echo "$point: the daemon never came there"; return 1; }
			# Who has the session's URL may write to it: it lies nowhere for others to read.
			run ! grep -rqa upload_id "$state"
			start
			skyferry transfer wait "$id" --timeout 60
			[ "$(files "$point-$pass" '.[] | "\(.revisions) \(.sha256)"')" = "1 $(sha256sum <"$home/from/f" | cut -d' ' -f1)" ]
			[ "$(told .received)" = 40000000 ]
		done
	done
}

@test "a connection that breaks within a part, a session that is forgotten" {
	content 6 40000000 >"$home/from/f"
	control faults '[{"match":"PUT .*upload_id","after":1,"lost":true},{"match":"PUT .*upload_id","after":1,"status":500}]' >/dev/null
	skyferry cp -q from:f drive:f
	[ "$(files f '.[] | .sha256')" = "$(sha256sum <"$home/from/f" | cut -d' ' -f1)" ]
	[ "$(told '.unplayed | length')" = 0 ]
	daemon_stop
	SKYFERRY_CRASH=upload.after_part:2 start
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"drive","destinationPath":"g"}' | jq -r .id)
	daemon_dies
	control forget >/dev/null
	start
	skyferry transfer wait "$id" --timeout 60
	[ "$(files g '.[] | .sha256')" = "$(sha256sum <"$home/from/f" | cut -d' ' -f1)" ]
}

@test "answers that are lost make no twins" {
	echo content >"$home/from/f"
	control faults '[{"match":"POST /drive/v3/files","lost":true},{"match":"POST /upload","lost":true},{"match":"PUT .*upload_id","lost":true},
	    {"match":"POST .*/copy","lost":true},{"match":"PATCH /drive","lost":true,"times":2}]' >/dev/null
	skyferry mkdir drive:d
	skyferry cp -q from:f drive:d/f
	skyferry cp -q drive:d/f drive:d/g
	skyferry mv -q drive:d/g drive:d/h
	skyferry rm drive:d/f
	[ "$(told '.unplayed | length')" = 0 ]
	[ "$(files d length)" = 1 ]
	[ "$(skyferry ls drive:d)" = h ]
}

@test "many at once into directories that are not there yet: each is made once" {
	local i
	for i in {1..24}; do
		echo "$i" >"$home/from/$i"
		api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"'"$i"'","destinationAccountId":"drive","destinationPath":"new/deep/'"$i"'"}' >/dev/null
	done
	skyferry transfer wait --all --timeout 60
	[ "$(files new length) $(files deep length)" = "1 1" ]
	skyferry cp -q -r drive:new/deep back:
	diff -r "$home/from" "$home/back/deep"
}

@test "lists that are behind make no twins either" {
	echo one >"$home/from/f"
	control lag '{"names":["f","d"]}' >/dev/null
	skyferry cp -q from:f drive:d/f
	echo two >"$home/from/f"
	skyferry cp -q from:f drive:d/f
	[ "$(files d length) $(files f length)" = "1 1" ]
	skyferry cp -q drive:d/f back:
	[ "$(cat "$home/back/f")" = two ]
	control lag '{"names":[]}' >/dev/null
	[ "$(skyferry ls drive:d)" = f ]
}

@test "files of one name are all there, each under a name that stays" {
	local d second third
	d=$(folder d)
	second=$(make f.txt "$d" 2002-01-01T00:00:00Z second)
	third=$(make f.txt "$d" 2003-01-01T00:00:00Z third)
	make f.txt "$d" 2001-01-01T00:00:00Z first
	[ "$(skyferry ls drive:d | wc -l)" = 3 ]
	skyferry cp -q -r drive:d back:
	[ "$(cat "$home/back/d/f.txt")" = first ]
	[ "$(cat "$home/back/d/f (${second: -8}).txt")" = second ]
	[ "$(cat "$home/back/d/f (${third: -8}).txt")" = third ]
	# What is done to one is not done to another.
	echo new >"$home/from/new"
	skyferry cp -q from:new "drive:d/f (${second: -8}).txt"
	skyferry rm drive:d/f.txt
	[ "$(skyferry ls drive:d)" = "$(printf 'f (%s).txt\nf.txt' "${third: -8}")" ]
	skyferry cp -q "drive:d/f (${third: -8}).txt" drive:d/f.txt "drive:d/f (${second: -8}).txt" back:
	[ "$(cat "$home/back/f (${third: -8}).txt")" = third ]
	[ "$(cat "$home/back/f.txt")" = new ]
	[ "$(cat "$home/back/f (${second: -8}).txt")" = new ]
}

@test "names with slashes, and documents that have no bytes" {
	local d
	d=$(folder d)
	make 'a/b' "$d" 2001-01-01T00:00:00Z slash >/dev/null
	make "it's \\ odd" "$d" 2001-01-01T00:00:00Z quotes >/dev/null
	make '..' "$d" 2001-01-01T00:00:00Z dots >/dev/null
	document doc document "$d" >/dev/null
	skyferry cp -q 'drive:d/a／b' "drive:d/it's \\ odd" back:
	[ "$(cat "$home/back/a／b")" = slash ]
	[ "$(cat "$home/back/it's \\ odd")" = quotes ]
	# The document, if it is not exported, and ".." are not shown, but told of.
	add plain docsExport=none
	run skyferry ls drive:d
	[[ $output == *doc.docx* && $output == *1* ]]
	run skyferry ls plain:d
	[[ $output == *2* && $output != *doc* ]]
	run ! skyferry cp -q plain:d/doc.docx back:
	run ! skyferry mv -q -r plain:d back:all
	[ "$(files doc length)" = 1 ]
	run ! skyferry rm -r plain:d
	[ "$(files doc length) $(files .. length)" = "1 1" ]
}

@test "what others rename and remove is found out before anything is done to it" {
	local d e
	echo ours >"$home/from/ours"
	d=$(folder d)
	e=$(folder e "$d")
	make f "$e" 2001-01-01T00:00:00Z theirs >/dev/null
	skyferry cp -q drive:d/e/f back:
	drive PATCH "files/$e" '{"name":"renamed"}' >/dev/null
	# The file of that path is gone: nothing of the renamed directory is touched.  (How long a directory is believed,
	# test_gdrive.c shows.)
	daemon_stop
	start
	skyferry cp -q from:ours drive:d/e/f
	skyferry cp -q drive:d/renamed/f back:theirs
	[ "$(cat "$home/back/theirs")" = theirs ]
	skyferry cp -q drive:d/e/f back:ours
	cmp "$home/from/ours" "$home/back/ours"
	[ "$(files f length)" = 2 ]
}

@test "a shared drive, a folder as the top, and removing for good" {
	local team d f
	team=$(drive POST 'drives?requestId=1' '{"name":"team"}' | jq -r .id)
	d=$(folder d)
	f=$(make f "$d" 2001-01-01T00:00:00Z inner)
	add team "drive=$team"
	add top "rootFolder=$d" permanentDelete=yes
	content 7 20000000 >"$home/from/f"
	skyferry cp -q from:f team:sub/f
	skyferry cp -q team:sub/f back:
	cmp "$home/from/f" "$home/back/f"
	skyferry mv -q team:sub/f team:g
	skyferry rm team:g
	[ "$(told '[.files[] | select(.name == "g")][0].trashed')" = true ]
	[ "$(skyferry ls top:)" = f ]
	skyferry rm top:f
	[ "$(told "[.files[] | select(.id == \"$f\")] | length")" = 0 ]
	run ! add wrong rootFolder=1doesNotExist
}

@test "one file by two accounts: a move to itself removes nothing" {
	local d f id
	d=$(folder d)
	f=$(make f "$d" 2001-01-01T00:00:00Z only)
	add top "rootFolder=$d" permanentDelete=yes
	# It seems to have been written by an earlier attempt, which failed.
	control faults '[{"match": "GET /drive/v3/files", "status": 500, "times": 8}]' >/dev/null
	id=$(api POST /api/transfers '{"sourceAccountId":"drive","sourcePath":"d/f","destinationAccountId":"top",
	    "destinationPath":"f","move":true,"overwrite":false}' | jq -r .id)
	run ! skyferry transfer wait "$id" --timeout 60
	[[ $output == *"exists already"* ]]
	[ "$(told '.unplayed | length')" = 0 ]
	run ! skyferry mv drive:d/f top:f
	[ "$(told "[.files[] | select(.id == \"$f\")][0].trashed // false")" = false ]
	[ "$(skyferry ls top:)" = f ]
}

@test "files whose revisions may not be read are read, and a change meanwhile is noticed" {
	content 8 500000 >"$home/from/f"
	skyferry cp -q from:f drive:f
	control viewer '{"names":["f"]}' >/dev/null
	skyferry cp -q drive:f back:
	cmp "$home/from/f" "$home/back/f"
}

@test "limits of rate pass, a full drive is told, a token that has expired is got anew" {
	echo content >"$home/from/f"
	refused 'GET /drive/v3/files' 403 userRateLimitExceeded '{"times":2}'
	skyferry cp -q from:f drive:f
	refused 'PUT .*upload_id' 429 rateLimitExceeded
	skyferry cp -q from:f drive:g
	refused 'POST /upload' 403 storageQuotaExceeded
	run ! skyferry cp -q from:f drive:h
	[[ $output == *storageQuotaExceeded* ]]
	control expire >/dev/null
	skyferry cp -q drive:g back:
	cmp "$home/from/f" "$home/back/g"
}

@test "a grant that was revoked holds the account until somebody signs in again" {
	echo content >"$home/from/f"
	control revoke >/dev/null
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"drive","destinationPath":"f"}' | jq -r .id)
	until_so answers /api/accounts/drive '.held and .status == "error" and (.message | contains("revoked"))'
	api GET "/api/transfers/$id" | jq -e '.status == "queued" and .attempts == 0'
	control grant >/dev/null
	skyferry account test drive
	skyferry transfer wait "$id" --timeout 60
	[ "$(files f length)" = 1 ]
}

# followed DRIVE_REQUEST COUNT: the mount has asked for changes so often.
followed() { until_so has ".requests[\"GET /drive/v3/$1\"] >= $2"; }

# logs COUNT LINE: the mount has said so as often.
logs() { [ "$(grep -c "$2" "$home/mount.log")" = "$1" ]; }

@test "what others change is in the mount long before its listings are old: content, names, renames, removals" {
	local dir sub moved
	dir=$(folder dir)
	sub=$(folder sub "$dir")
	moved=$(make f "$dir" 2001-01-01T00:00:00Z one)
	make g "$sub" 2001-01-01T00:00:00Z g
	mount_here --set mount.entry_timeout=1h --set mount.changes=100ms
	ls -R "$mounts/drive" >/dev/null
	followed changes 1
	[ "$(cat "$mounts/drive/dir/f")" = one ]
	curl -sS --fail-with-body -X PATCH "$(field endpoint)/upload/drive/v3/files/$moved?uploadType=media" \
	    -H "Authorization: Bearer $(field token)" -d three >/dev/null
	until_so shows "$mounts/drive/dir/f" three
	[ ! -e "$mounts/drive/dir/new" ]
	make new "$dir" 2001-01-01T00:00:00Z >/dev/null
	until_so [ -e "$mounts/drive/dir/new" ]
	until_so lists "$mounts/drive/dir" 'f new sub '
	lists "$mounts/drive/dir/sub" 'g '
	drive PATCH "files/$moved?addParents=$sub&removeParents=$dir" '{}' >/dev/null
	until_so lists "$mounts/drive/dir" 'new sub '
	until_so lists "$mounts/drive/dir/sub" 'f g '
	drive DELETE "files/$moved" >/dev/null
	until_so lists "$mounts/drive/dir/sub" 'g '
	# A directory with another name, and then another one with the old name.
	drive PATCH "files/$dir" '{"name": "renamed"}' >/dev/null
	make other "$(folder sub "$(folder dir)")" 2001-01-01T00:00:00Z >/dev/null
	until_so lists "$mounts/drive" 'dir renamed '
	until_so lists "$mounts/drive/dir/sub" 'other '
	lists "$mounts/drive/renamed/sub" 'g '
	drive PATCH "files/$dir" '{"trashed": true}' >/dev/null
	until_so lists "$mounts/drive" 'dir '
	until_so [ ! -e "$mounts/drive/renamed/sub/g" ]
	mount_stop
}

@test "changes whose token is lost, or that cannot be asked for: what is missed is not missed for long" {
	local dir asked
	dir=$(folder dir)
	make one "$dir" 2001-01-01T00:00:00Z >/dev/null
	mount_here --set mount.entry_timeout=1h --set mount.changes=100ms
	lists "$mounts/drive/dir" 'one '
	followed changes 1
	[ "$(cat "$mounts/drive/dir/one")" = one ]
	# What happens before there is a new token is seen, since everything is listed anew.
	control faults '[{"match": "startPageToken", "do": ["/-/change", {"path": "dir/one"}]}]' >/dev/null
	control lose >/dev/null
	until_so has_not "$mounts/drive/dir/one" one
	make two "$dir" 2001-01-01T00:00:00Z >/dev/null
	until_so lists "$mounts/drive/dir" 'one two '
	# The mount works as ever while they are refused, and what was missed is told afterwards.
	asked=$(told '.requests["GET /drive/v3/changes"]')
	followed changes $((asked + 2)) # all is told
	lists "$mounts/drive/dir" 'one two '
	asked=$(told '.requests["GET /drive/v3/changes"]')
	refused 'GET /drive/v3/changes' 503 backendError '{"times": -1}'
	make three "$dir" 2001-01-01T00:00:00Z >/dev/null
	followed changes $((asked + 2)) # one of them may have been before
	lists "$mounts/drive/dir" 'one two '
	control faults '[]' >/dev/null
	until_so lists "$mounts/drive/dir" 'one three two '
	# Refused for good: they begin anew.
	asked=$(told '.requests["GET /drive/v3/changes/startPageToken"]')
	refused 'GET /drive/v3/changes' 403 forbidden '{"times": -1}'
	make four "$dir" 2001-01-01T00:00:00Z >/dev/null
	followed changes/startPageToken $((asked + 1))
	control faults '[]' >/dev/null
	until_so lists "$mounts/drive/dir" 'four one three two '
	mount_stop
}

@test "a mount that shows nothing any more asks for no changes; with mount.changes=0 none does" {
	local asked
	make one root 2001-01-01T00:00:00Z >/dev/null
	mount_here --set mount.entry_timeout=2s --set mount.changes=100ms --set log.level=debug
	ls "$mounts/drive" >/dev/null
	until_so logs 1 'drive: its changes are not followed any more'
	asked=$(told '.requests["GET /drive/v3/changes"]')
	[ "$asked" -gt 0 ]
	make two root 2001-01-01T00:00:00Z >/dev/null
	ls "$mounts/drive" >/dev/null
	followed changes $((asked + 1))
	logs 2 'drive: its changes are followed'
	[ "$(told '.requests["GET /drive/v3/changes/startPageToken"]')" = 2 ]
	mount_stop
	control reset >/dev/null
	mount_here --set mount.changes=0
	ls "$mounts/drive" >/dev/null
	mount_stop
	[ "$(told '[.requests | keys[] | select(contains("changes"))] | length')" = 0 ]
}

@test "documents are listed as what they are exported as, and copied whole by every way" {
	local n
	document doc document >/dev/null
	document sheet spreadsheet >/dev/null
	document slides presentation >/dev/null
	document picture drawing >/dev/null
	document questions form >/dev/null
	edit doc words
	run skyferry ls drive:
	echo "$output"
	[[ $output == *$'doc.docx\npicture.svg\nsheet.xlsx\nslides.pptx'* && $output == *1* ]]
	skyferry ls -l drive: | grep -q '^- *? .*doc\.docx$'
	skyferry stat drive:doc.docx | grep -q 'not known'
	skyferry cp -q drive:doc.docx back:one
	exported "$home/back/one" doc words
	last '.verified == "size" and .bytesTotal == '"$(stat -c %s "$home/back/one")"
	mount_start
	[ "$(stat -c %s "$mounts/drive/doc.docx")" = 12582912 ]
	[ -z "$(find "$mounts/drive" -type f -empty)" ]
	cat "$mounts/drive/doc.docx" >"$home/cat"
	exported "$home/cat" doc words
	cp "$mounts/drive/doc.docx" "$home/out"
	exported "$home/out" doc words
	# Between accounts it is the same export: the daemon makes no other.
	n=$(told .exported)
	cp "$mounts/drive/doc.docx" "$mounts/back/two"
	exported "$mounts/back/two" doc words
	settled
	exported "$home/back/two" doc words
	tail -n 1 "$home/back/two" | grep -q "^export $((n + 1))!*\$"
	[ "$(told .exported)" = $((n + 1)) ]
	# And to a cloud that tells a hash.
	cp "$mounts/drive/doc.docx" "$mounts/drive/copy"
	settled
	[ "$(files copy '.[0].mimeType')" = application/octet-stream ]
	last '.verified | test("md5")'
	mount_stop
	skyferry cp -q drive:doc.docx drive:other # it has not the suffix: a file
	last '.route == "relay" and (.verified | test("md5"))'
	[ "$(files other '.[0].revisions')" = 1 ]
}

@test "a document that is open has a size and stays as it was opened" {
	local size
	document doc document >/dev/null
	edit doc words 300000
	mount_start
	exec {doc}<"$mounts/drive/doc.docx"
	size=$(stat -L -c %s "/proc/self/fd/$doc")
	[ "$size" = 300000 ]
	[ "$(stat -c '%s %A' "$mounts/drive/doc.docx")" = "$size -r--r--r--" ]
	edit doc others
	head -c 5 <&"$doc" >"$home/head"
	# Who opens it too shares it; who does so later does not.
	cp "$mounts/drive/doc.docx" "$home/shared"
	cat <&"$doc" | cat "$home/head" - >"$home/all"
	exec {doc}<&-
	[ "$(stat -c %s "$home/all")" = "$size" ]
	grep -q words "$home/all"
	cmp "$home/all" "$home/shared"
	cp "$mounts/drive/doc.docx" "$mounts/back/new"
	# Through memory, with what is read at random, and in the middle.
	python3 -c '
import mmap, os, sys
with open(sys.argv[1], "rb") as f:
    size = os.fstat(f.fileno()).st_size
    whole = f.read()
    assert len(whole) == size, (len(whole), size)
    assert os.pread(f.fileno(), 10, 3) == whole[3:13] and os.pread(f.fileno(), 10, size) == b""
    with mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as m:
        assert m[:] == whole
' "$mounts/drive/doc.docx"
	settled
	grep -q others "$home/back/new"
	mount_stop
	# Programs that look at the size before they open it.
	mount_start
	tar -C "$mounts/drive" -cf - doc.docx | tar -xOf - >"$home/tar"
	exported "$home/tar" doc others || { wc -lc "$home/tar" && false; }
	mount_stop
}

@test "a tree with documents is copied with their exports, and a move leaves the documents" {
	local d
	d=$(folder d)
	document doc document "$d" >/dev/null
	make f "$d" 2001-01-01T00:00:00Z file >/dev/null
	edit doc words
	skyferry cp -q -r drive:d back:
	exported "$home/back/d/doc.docx" doc words
	[ "$(cat "$home/back/d/f")" = file ]
	mount_start
	cp -r "$mounts/drive/d" "$mounts/back/again"
	settled
	exported "$home/back/again/doc.docx" doc words
	run ! mv "$mounts/drive/d/doc.docx" "$mounts/back/moved"
	[[ $output == *"not permitted"* ]]
	[ ! -e "$mounts/back/moved" ]
	run ! mv "$mounts/drive/d" "$mounts/back/moved"
	[[ $output == *"not permitted"* ]]
	mkdir "$mounts/drive/above"
	mv "$mounts/drive/d" "$mounts/drive/above/d"
	run ! mv "$mounts/drive/above" "$mounts/back/moved"
	mv "$mounts/drive/above/d" "$mounts/drive/d"
	mv "$mounts/drive/above" "$mounts/back/moved"
	settled
	mount_stop
	[ "$(files doc length)" = 1 ]
	run ! skyferry mv -q drive:d/doc.docx back:moved.docx
	[[ $output == *"is a document"*"copy it"* ]]
	[ ! -e "$home/back/moved.docx" ]
	run ! skyferry mv -q -r drive:d back:tree
	[[ $output == *doc.docx*"is a document"* ]]
	[ "$(files doc length)" = 1 ]
}

@test "a document that is copied or moved within Drive stays one" {
	local id
	id=$(document doc document)
	folder d >/dev/null
	edit doc words
	skyferry mv -q drive:doc.docx drive:d/moved.docx
	[ "$(files moved '.[] | "\(.id) \(.mimeType)"')" = "$id application/vnd.google-apps.document" ]
	# The answer is lost, and then the daemon: it is made once.
	control faults '[{"match":"POST .*/copy","lost":true}]' >/dev/null
	skyferry cp -q drive:d/moved.docx drive:copy.docx
	last '.route == "native"'
	[ "$(told '.unplayed | length')" = 0 ]
	[ "$(files copy '.[] | .mimeType')" = application/vnd.google-apps.document ]
	mount_start
	mv "$mounts/drive/copy.docx" "$mounts/drive/d/again.docx"
	[ ! -e "$mounts/drive/copy.docx" ]
	exported "$mounts/drive/d/again.docx" again words
	[ "$(files again '.[] | .mimeType')" = application/vnd.google-apps.document ]
	run ! mv "$mounts/drive/d/again.docx" "$mounts/drive/d/again.txt"
	exported "$mounts/drive/d/again.docx" again words
	rm "$mounts/drive/d/again.docx"
	settled
	mount_stop
	[ "$(told '[.files[] | select(.name == "again")][0].trashed')" = true ]
	add short permanentDelete=yes
	skyferry rm short:d/moved.docx
	[ "$(told "[.files[] | select(.id == \"$id\")][0].trashed")" = true ]
}

@test "a document is not written, and nothing takes its place" {
	document doc document >/dev/null
	edit doc words
	echo new >"$home/from/new"
	run ! skyferry cp -q from:new drive:doc.docx
	[[ $output == *"Google's editors"* ]]
	run ! skyferry mv -q from:new drive:doc.docx
	cat "$home/from/new"
	mount_start
	run ! dd "if=$home/from/new" "of=$mounts/drive/doc.docx" conv=notrunc
	[[ $output == *denied* ]]
	run ! cp "$home/from/new" "$mounts/drive/doc.docx"
	run ! truncate -s 0 "$mounts/drive/doc.docx"
	cp "$home/from/new" "$mounts/drive/new"
	run ! mv -f "$mounts/drive/new" "$mounts/drive/doc.docx"
	[[ $output == *denied* ]]
	cat "$mounts/drive/doc.docx" >"$home/cat"
	exported "$home/cat" doc words
	settled
	mount_stop
	[ "$(files doc length) $(files doc.docx length)" = "1 0" ]
}

@test "an export that is too large, or breaks off, is an error and no shorter file" {
	document large document >/dev/null
	document doc document >/dev/null
	edit large words 11000000
	edit doc words
	run ! skyferry cp -q drive:large.docx back:
	[[ $output == *exportSizeLimitExceeded*docsExport* ]]
	mount_start
	run ! cat "$mounts/drive/large.docx"
	[[ $output == *"too large"* ]]
	run ! cp "$mounts/drive/large.docx" "$mounts/back/large.docx"
	[ ! -e "$home/back/large.docx" ]
	# The largest that there is.
	edit large words 10485760
	cp "$mounts/drive/large.docx" "$home/out"
	[ "$(stat -c %s "$home/out")" = 10485760 ]
	skyferry cp -q drive:large.docx drive:large
	[ "$(files large '[.[].size] | max')" = 10485760 ]
	# More than Google exports, and an end that cannot be told from a connection that broke.
	control faults '[{"match":"GET .*/export","grow":13000000,"times":2}]' >/dev/null
	run ! skyferry cp -q drive:doc.docx back:
	[[ $output == *"more than 12 MiB"* ]]
	run ! cat "$mounts/drive/doc.docx"
	[[ $output == *"too large"* ]]
	control faults '[{"match":"GET .*/export","endless":"body","times":-1}]' >/dev/null
	run ! cat "$mounts/drive/doc.docx"
	run ! skyferry cp -q drive:doc.docx back:
	[[ $output == *"where it ends"* ]]
	[ -z "$(ls "$home/back")" ]
	# It breaks off once, and then always.
	control faults '[{"match":"GET .*/export","cut":20}]' >/dev/null
	cat "$mounts/drive/doc.docx" >"$home/cat"
	exported "$home/cat" doc words
	control faults '[{"match":"GET .*/export","cut":20,"do":["/-/edit",{"name":"doc","text":"later"}]}]' >/dev/null
	skyferry cp -q drive:doc.docx back:
	exported "$home/back/doc.docx" doc later
	[ "$(told '.unplayed | length')" = 0 ]
	control faults '[{"match":"GET .*/export","cut":20,"times":-1}]' >/dev/null
	run ! cat "$mounts/drive/doc.docx"
	daemon_stop
	start --set transfer.retries=1
	run ! skyferry cp -q drive:doc.docx back:none
	[ ! -e "$home/back/none" ]
	control faults '[]' >/dev/null
	mount_stop
}

@test "the format of documents is a setting, and names that clash are told apart" {
	local id
	id=$(document doc document)
	document sheet spreadsheet >/dev/null
	document picture drawing >/dev/null
	make doc.docx root 2001-01-01T00:00:00Z file >/dev/null
	edit doc words
	[ "$(skyferry ls drive:)" = "$(printf '%s\n' "doc (${id: -8}).docx" doc.docx picture.svg sheet.xlsx)" ]
	skyferry cp -q drive:doc.docx "drive:doc (${id: -8}).docx" back:
	[ "$(cat "$home/back/doc.docx")" = file ]
	exported "$home/back/doc (${id: -8}).docx" doc words
	add open docsExport=opendocument
	[ "$(skyferry ls open:)" = "$(printf '%s\n' doc.docx doc.odt picture.svg sheet.ods)" ]
	add pdf docsExport=pdf
	[ "$(skyferry ls pdf:)" = "$(printf '%s\n' doc.docx doc.pdf picture.pdf sheet.pdf)" ]
	skyferry cp -q pdf:doc.pdf back:
	grep -q '^doc as application/pdf: words$' "$home/back/doc.pdf"
	run ! add wrong docsExport=word
	[[ $output == *docsExport*opendocument* ]]
}

@test "many documents at once share the memory; a copy that is under way is waited for" {
	local i
	for i in {1..12}; do
		document "doc$i" document >/dev/null
		edit "doc$i" "words$i" 1000000
	done
	daemon_stop
	start --set transfer.memory=16M # of one export and a bit
	mount_start
	id=$(api POST /api/transfers '{"sourceAccountId":"drive","sourcePath":"","destinationAccountId":"back","destinationPath":"all","recursive":true}' | jq -r .id)
	# What it will be is not known before it has come: then it is whole.
	refused 'GET .*/export' 503 backendError '{"times":3}'
	api POST /api/transfers '{"sourceAccountId":"drive","sourcePath":"doc1.docx","destinationAccountId":"back","destinationPath":"one"}' >/dev/null
	[ "$(stat -c %s "$mounts/back/one")" = 1000000 ]
	grep -q words1 "$mounts/back/one"
	skyferry transfer wait "$id" --timeout 60
	for i in {1..12}; do
		[ "$(stat -c %s "$home/back/all/doc$i.docx")" = 1000000 ]
		grep -q "words$i\$" "$home/back/all/doc$i.docx"
	done
	mount_stop
}
