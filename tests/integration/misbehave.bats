#!/usr/bin/env bats
# Clouds that misbehave (their fakes, tests/fakes/CLOUD.mjs, with the faults of lib.mjs): the same list for every driver,
# from the cloud and to it, small and in parts.  Each transfer ends in success or in a failure that says why; what is at the
# destination is right, or is not there; a moved source is gone only if it is.  What it is for S3: fakes.bats.
#
# A test goes through all clouds at once, each with files of its own.  Cloud Storage is two: in parts, and (sessions) in one
# session.
bats_require_minimum_version 1.5.0
load helpers
load fakes

clouds=${SKYFERRY_TEST_CLOUDS:-azure gcs sessions gdrive dropbox}

# What a request is for, and how it is known.  A cloud that has no such request is not asked for one.
kinds='
azure    stat   ^HEAD /account/box/
azure    list   comp=list&delimiter
azure    read   ^GET /account/box/[^?]*$
azure    put    ^PUT /account/box/[^?]*$
azure    mkdir  ^PUT /account/box/[^?]*-dir$
azure    part   comp=block$
azure    commit comp=blocklist$
azure    delete ^DELETE
gcs      token  ^POST /token
gcs      stat   ^GET /storage/v1/b/box/o/[^?]*[?]fields
gcs      list   ^GET /storage/v1/b/box/o[?]delimiter
gcs      read   ^GET /box/[^?]*([?]generation.*)?$
gcs      put    ^PUT /box/[^?]*$
gcs      mkdir  ^PUT /box/[^?]*-dir/$
gcs      begin  ^POST /box/[^?]*[?]uploads
gcs      part   ^PUT /box/[^?]*[?]partNumber
gcs      commit ^POST /box/[^?]*[?]uploadId
gcs      delete ^DELETE /storage
sessions token  ^POST /token
sessions stat   ^GET /storage/v1/b/box/o/[^?]*[?]fields
sessions list   ^GET /storage/v1/b/box/o[?]delimiter
sessions read   ^GET /box/[^?]*([?]generation.*)?$
sessions put    ^PUT /box/[^?]*$
sessions mkdir  ^PUT /box/[^?]*-dir/$
sessions begin  ^POST /upload/
sessions part   ^PUT /upload/
sessions delete ^DELETE /storage
gdrive   token  ^POST /token
gdrive   stat   ^GET /drive/v3/files/[^?/]{20,}[?]fields
gdrive   list   ^GET /drive/v3/files[?]
gdrive   read   alt=media
gdrive   mkdir  ^POST /drive/v3/files[?]
gdrive   begin  ^POST /upload/
gdrive   part   ^PUT /upload/
gdrive   delete ^PATCH /drive/v3/files/
dropbox  token  /oauth2/token
dropbox  stat   files/get_metadata
dropbox  list   files/list_folder
dropbox  read   files/download
dropbox  put    files/upload$
dropbox  mkdir  files/create_folder_v2
dropbox  begin  upload_session/start
dropbox  part   upload_session/append_v2
dropbox  commit upload_session/finish
dropbox  delete files/delete_v2
'

provider() { echo "${cloud/sessions/gcs}"; }

kind() { sed -n "s/^$cloud *$1  *//p" <<<"$kinds"; }

setup_file()
{
	local cloud
	for cloud in $clouds; do
		fake_start "fake_$cloud" "$(provider).mjs"
	done
	content 1 1000000 >"$BATS_FILE_TMPDIR/small"
	content 2 20000000 >"$BATS_FILE_TMPDIR/large" # 3, 2 and 5 parts
	content 3 $(((32 << 20) + 100000)) >"$BATS_FILE_TMPDIR/large.gcs" # 3
	ln "$BATS_FILE_TMPDIR/large.gcs" "$BATS_FILE_TMPDIR/large.sessions"
}

teardown_file()
{
	local cloud
	for cloud in $clouds; do
		kill "$(field pid)"
	done
}

setup()
{
	home_make
	round=0
	for cloud in $clouds; do
		mkdir -p "$home/from/$cloud" "$home/to/$cloud"
		control reset >/dev/null
	done
	start
	api POST /api/accounts "{\"name\":\"from\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/from\"}}" >/dev/null
	api POST /api/accounts "{\"name\":\"to\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/to\"}}" >/dev/null
	for cloud in $clouds; do
		api POST /api/accounts "{\"name\":\"$cloud\",\"provider\":\"$(provider)\",\"credentials\":$(credentials)}" >/dev/null
	done
}

teardown()
{
	home_remove
}

# start [ARG...]: a daemon that does not wait long, in place of the one that runs.
start()
{
	daemon_stop
	daemon_start --set transfer.backoff=10ms --set transfer.backoff_max=50ms "$@"
	first=$(peak)
}

peak() { awk '/VmHWM/ { print $2 }' "/proc/$daemon/status"; }

# field NAME: of the fake of $cloud, since each has its own.
field()
{
	local fake=fake_$cloud
	jq -r ".$1" <<<"${!fake}"
}

credentials()
{
	local fake=fake_$cloud
	case $cloud in
	azure) jq -c '{endpoint: (.endpoint + "/account"), accountName: "account", container: "box", accountKey: "a2V5"}' ;;
	gcs) jq -c '{endpoint, tokenEndpoint: (.endpoint + "/token"), bucket: "box", serviceAccount}' ;;
	sessions) jq -c '{endpoint, tokenEndpoint: (.endpoint + "/token"), bucket: "box", serviceAccount, uploads: "resumable"}' ;;
	*) jq -c '{endpoint, tokenEndpoint: (.endpoint + .tokenPath), clientId, clientSecret, refreshToken}' ;;
	esac <<<"${!fake}"
}

# everywhere COMMAND...: for each cloud, all at once.
everywhere()
{
	local cloud status=0
	local -A running
	round=$((round + 10)) # so that no two have files of one name
	for cloud in $clouds; do
		(set -e && "$@") >"$home/$cloud.out" 2>&1 3>&- &
		running[$cloud]=$!
	done
	for cloud in $clouds; do
		wait "${running[$cloud]}" && continue
		status=1
		echo "--- $cloud:"
		tail -n 20 "$home/$cloud.out"
	done
	# Sanitizers have a memory of their own.
	grep -q __asan_init "$(command -v skyferryd)" || [ $(($(peak) - first)) -lt 150000 ] ||
	    { echo "the daemon has had $(peak) KiB, $first at first"; status=1; }
	return $status
}

# bytes FILE: what is in it.
bytes()
{
	local file=$BATS_FILE_TMPDIR/$1
	if [ -e "$file.$cloud" ]; then echo "$file.$cloud"; else echo "$file"; fi
}

# play 'KIND[ KIND...] JSON'...: what goes wrong from now on, in files of their own: $n-NAME.
play()
{
	local rule word all=()
	round=$((round + 1))
	n=r$round
	mkdir -p "$home/from/$cloud"
	for word in small large; do
		cp "$(bytes "$word")" "$home/from/$cloud/$n-$word"
	done
	for rule; do
		for word in ${rule%%\{*}; do
			[ -z "$(kind "$word")" ] || all+=("$(jq -nc --arg match "$(kind "$word")" "{match: \$match} + $(worded "$word" "{${rule#*\{}")")")
		done
	done
	control faults "[$(IFS=, && echo "${all[*]}")]" >/dev/null
}

# worded KIND JSON: an error with the words that the cloud would use.
worded()
{
	local text
	case $cloud-$1-$2 in
	azure-*401*) text='<?xml version="1.0"?><Error><Code>ExpiredAuthenticationToken</Code><Message>a test wanted it so</Message></Error>' ;;
	azure-*) text='<?xml version="1.0"?><Error><Code>Refused</Code><Message>a test wanted it so</Message></Error>' ;;
	sessions-put-* | sessions-mkdir-* | gcs-put-* | gcs-mkdir-* | gcs-begin-* | gcs-part-* | gcs-commit-*) text='<?xml version="1.0"?><Error><Code>Refused</Code><Message>a test wanted it so</Message></Error>' ;;
	gcs-*401* | sessions-*401* | gdrive-*401*) text='{"error":{"code":401,"message":"a test wanted it so","errors":[{"reason":"authError","message":"a test wanted it so"}]}}' ;;
	dropbox-*) text='{"error_summary":"other/..","error":{".tag":"other"},"user_message":{"text":"a test wanted it so"}}' ;;
	*) text='{"error":{"code":500,"message":"a test wanted it so","errors":[{"reason":"backendError","message":"a test wanted it so"}]}}' ;;
	esac
	jq -nc --arg text "$text" "$2 | if .status != null and .status >= 300 and .body == null then .body = \$text else . end"
}

# Every fault was met, no upload is left where a cloud lets one be ended.  (That the session in which a small file is sent
# to Drive at once is ended, is not asked for: Drive forgets it.  Nor is that of a session of Cloud Storage whose address was
# lost with the answer.)
left_nothing()
{
	local left
	left=$(curl -sS "$(field endpoint)/-/state" | jq -c .unplayed)
	[ "$left" = '[]' ] || { echo "not met: $left"; return 1; }
	[[ $cloud != @(gcs|gdrive) ]] || control files | jq -e '[.uploads[] | select(endswith("-large"))] == []' >/dev/null ||
	    { echo "uploads are left: $(control files)"; return 1; }
}

path() # NAME: as the fake has it
{
	case $cloud in azure | gcs | sessions) echo "box/$1" ;; *) echo "$1" ;; esac
}

# object NAME FILE: somebody else has put it there.
object()
{
	curl -sS --fail-with-body --data-binary "@$(bytes "$2")" "$(field endpoint)/-/write?path=$(path "$1")" >/dev/null
}

# carry FROM TO [JSON]: to its end; what became of it is in $record.
carry()
{
	local id
	id=$(api POST /api/transfers "$(jq -nc --arg a "${1%%:*}" --arg b "${1#*:}" --arg c "${2%%:*}" --arg d "${2#*:}" \
	    "{sourceAccountId:\$a,sourcePath:\$b,destinationAccountId:\$c,destinationPath:\$d} + ${3:-{\}}")" | jq -r .id)
	skyferry transfer wait "$id" --timeout 60 >/dev/null 2>&1 || true
	record=$(api GET "/api/transfers/$id")
	jq -e '.status | IN("completed", "failed", "cancelled")' <<<"$record" >/dev/null || { echo "$1 to $2: it hangs: $(brief)"; return 1; }
}

brief() { jq -c '{status, attempts, bytesDone, verified, error, message}' <<<"$record"; }

completed()
{
	carry "$@"
	jq -e '.status == "completed"' <<<"$record" >/dev/null || { echo "$1 to $2: not completed: $(brief)"; return 1; }
}

# failed PATTERN FROM TO [JSON]: and the reason is told.  The one retry is there to go wrong too.
failed()
{
	carry "$2" "$3" "{maxRetries:1} + ${4:-{\}}"
	jq -e '.status == "failed"' <<<"$record" >/dev/null || { echo "$2 to $3: not failed: $(brief)"; return 1; }
	jq -r .error.message <<<"$record" | grep -qE "$1" || { echo "$2 to $3: $1 is not in: $(brief)"; return 1; }
}

# sum NAME: of what the cloud has, or null.
sum() { control files | jq -r --arg path "$(path "$1")" '.files[$path]'; }

there() # NAME FILE
{
	[ "$(sum "$1")" = "$(sha256sum <"$(bytes "$2")" | cut -d' ' -f1)" ] || { echo "'$1' is not '$2': $(control files)"; return 1; }
}

absent() # NAME...
{
	local name
	for name; do
		[ "$(sum "$name")" = null ] || { echo "'$name' is there"; return 1; }
	done
}

# right_or_absent NAME FILE
right_or_absent() { [ "$(sum "$1")" = null ] || there "$1" "$2"; }

up() # [JSON]: small and large, to the cloud, and right
{
	completed "from:$cloud/$n-small" "$cloud:$n-small" "$@"
	completed "from:$cloud/$n-large" "$cloud:$n-large" "$@"
	there "$n-small" small
	there "$n-large" large
}

down() # [JSON]: and back, in files that somebody else has put there
{
	local file
	for file in small large; do
		object "$n-down-$file" "$file"
		completed "$cloud:$n-down-$file" "to:$cloud/$n-$file" "$@"
		cmp "$home/to/$cloud/$n-$file" "$(bytes "$file")"
	done
}

# up_fails PATTERN [JSON]: neither is made, and a move removes nothing.
up_fails()
{
	local file
	for file in small large; do
		failed "$1" "from:$cloud/$n-$file" "$cloud:$n-$file" "{move:true} + ${2:-{\}}"
		right_or_absent "$n-$file" "$file"
		[ -e "$home/from/$cloud/$n-$file" ]
	done
}

down_fails() # PATTERN [JSON]
{
	local file
	for file in small large; do
		object "$n-down-$file" "$file"
		failed "$1" "$cloud:$n-down-$file" "to:$cloud/$n-$file" "{move:true} + ${2:-{\}}"
		[ ! -e "$home/to/$cloud/$n-$file" ]
		there "$n-down-$file" "$file"
	done
}

every='token stat put begin part commit read delete'

# by_hand ARG...: whoever waits for an answer is told soon that there is none, and asks once more.
by_hand() { skyferry "$@" || skyferry "$@"; }

# all_of_it: each kind of request at least once.
all_of_it()
{
	object first small # the bucket is there
	up
	down
	completed "$cloud:$n-small" "to:$cloud/$n-moved" '{move:true}'
	cmp "$home/to/$cloud/$n-moved" "$BATS_FILE_TMPDIR/small"
	absent "$n-small"
	by_hand mkdir "$cloud:$n-dir"
	by_hand ls "$cloud:" >"$home/to/$cloud/listed"
	grep -q "^$n-dir" "$home/to/$cloud/listed"
	left_nothing
}

# What takes long is for SKYFERRY_TEST_FULL: a whole test, or the rest of one.
slow() { full || skip "takes long: SKYFERRY_TEST_FULL"; }
full() { [ -n "${SKYFERRY_TEST_FULL:-}" ]; }

once() # JSON: each kind of request meets it once
{
	play "$every mkdir list $1"
	all_of_it
}

@test "503 and 429, with Retry-After and without, at each request pass" {
	everywhere once '{status: 503}'
	full || return 0
	start # which has no tokens yet
	everywhere once '{status: 429, headers: {"Retry-After": "0"}}'
}

storm()
{
	play "stat begin {status: 503, times: 3}" 'put part read {status: 429, times: 3}' 'put read commit {status: 503, headers: {"Retry-After": "1"}}'
	all_of_it
}

@test "a storm passes" {
	slow
	everywhere storm
}

storm_without_end()
{
	object first small
	play 'put begin part {status: 503, times: -1}' 'read {status: 429, times: -1}'
	if full; then
		up_fails 'a test wanted it so|asked to slow down|must be asked less'
		down_fails 'a test wanted it so|asked to slow down|must be asked less'
	else # each wait for a cloud that asks for less is seconds
		failed 'a test wanted it so|asked to slow down|must be asked less' "from:$cloud/$n-small" "$cloud:$n-small" '{move: true, maxRetries: 0}'
		absent "$n-small"
		[ -e "$home/from/$cloud/$n-small" ]
	fi
	play
	up
	left_nothing
}

@test "a storm without end fails in the server's words, and nothing is made" {
	start --set transfer.patience=500ms
	everywhere storm_without_end
}

@test "500 at each request is asked again" {
	slow
	everywhere once '{status: 500}'
}

@test "connections reset before the answer, at each request" {
	everywhere once '{reset: true}'
}

in_mid_body()
{
	object first small
	play 'read {cut: 100000, reset: true, times: 2}'
	down
	left_nothing
	play 'read {cut: 300000, times: 2}'
	down '{overwrite: false}'
	left_nothing
}

@test "connections reset and closed in the middle of what is read: read on from there" {
	everywhere in_mid_body
}

lost()
{
	play 'put begin part commit delete mkdir {lost: true}' 'part {lost: true, after: 1}'
	all_of_it
	play 'put begin part commit {lost: true}'
	object first small
	up '{overwrite: false}'
	completed "from:$cloud/$n-small" "$cloud:$n-again" '{move: true, overwrite: false}'
	there "$n-again" small
	left_nothing
}

@test "answers are lost to what was done" {
	everywhere lost
}

@test "stalls end, and what stalled is done again" {
	slow
	start --set http.stall_timeout=700ms
	everywhere once '{stall: true}'
}

stall_in_mid_body()
{
	object first small
	play 'read {cut: 100000, stall: true, times: 2}'
	down
	left_nothing
}

@test "stalls in the middle of what is read" {
	start --set http.stall_timeout=700ms
	everywhere stall_in_mid_body
}

stall_without_end()
{
	object first small
	play 'put begin part read {stall: true, times: -1}'
	up_fails 'stalled|no byte|timed out' '{maxRetries: 0}'
	down_fails 'stalled|no byte|timed out' '{maxRetries: 0}'
}

@test "stalls without end fail, and say it" {
	slow
	start --set http.stall_timeout=300ms
	everywhere stall_without_end
}

another_length()
{
	object first small
	for by in -1 200000; do
		play "read {grow: $by, times: -1}"
		down_fails "$n-down|the source changed" '{overwrite: false}'
		! full || down_fails "$n-down|the source changed"
	done
}

@test "a body that is shorter or longer than the file never arrives" {
	everywhere another_length
}

trail()
{
	object first small
	play 'read put part commit {trail: "HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nxyz"}'
	up
	down
	left_nothing
}

@test "bytes beyond an answer's end are not another answer" {
	everywhere trail
}

another_range()
{
	object first small
	local file
	play 'read {cut: 100000, reset: true}' "read $1"
	for file in small large; do
		object "$n-down-$file" "$file"
		carry "$cloud:$n-down-$file" "to:$cloud/$n-$file" '{overwrite: false, move: true, maxRetries: 1}'
		if jq -e '.status == "failed" and (.error.message | test("range|which|changed|asked for"))' <<<"$record" >/dev/null; then
			[ ! -e "$home/to/$cloud/$n-$file" ]
			there "$n-down-$file" "$file"
		else
			# Where all was asked for anew all of it is a good answer.
			jq -e '.status == "completed"' <<<"$record" >/dev/null || { echo "$file: $(brief)"; return 1; }
			cmp "$home/to/$cloud/$n-$file" "$(bytes "$file")"
		fi
	done
}

@test "a range that was not asked for never arrives" {
	everywhere another_range '{alter: {"Content-Range": "bytes 5-9/10"}, times: -1}'
	everywhere another_range '{without: "range", times: -1}'
}

damaged()
{
	object first small
	play 'read {damage: true}'
	down '{move: true}'
	left_nothing
	play 'put part {harm: true}'
	up '{move: true}'
	left_nothing
}

@test "what is damaged on the way is read and written again" {
	everywhere damaged
}

damaged_without_end()
{
	object first small
	play 'read {damage: true, times: -1}'
	down_fails 'md5|MD5|crc|CRC|hash|dropbox'
	play 'put part {harm: true, times: -1}'
	up_fails 'md5|MD5|crc|CRC|hash|dropbox|Md5'
}

@test "what is always damaged fails, and a move removes nothing" {
	everywhere damaged_without_end
}

nonsense_once()
{
	play "${2:-} stat begin list {status: 200, body: \"$1\"}"
	all_of_it
}

@test "answers that are garbled once are asked for again" {
	everywhere nonsense_once '<html><body>Sign in to this network</body></html>' token
	! full || everywhere nonsense_once '{\"a\": [1, 2'
}

nonsense()
{
	object first small
	play "stat begin part commit put list read {status: 200, times: -1} + $1"
	up_fails .
	down_fails .
	run skyferry ls "$cloud:"
	[ "$status" != 0 ]
}

@test "answers that never make sense fail, and nothing is made of them" {
	everywhere nonsense '{body: "<html><body>Sign in</body></html>"}'
	full || return 0
	everywhere nonsense '{body: "{\"a\": [1, 2"}'
	everywhere nonsense '{body: ""}'
}

@test "answers that are meant to exhaust who reads them" {
	everywhere nonsense '{body: "[", repeat: 16777216}'
	full || return 0
	everywhere nonsense '{body: "x", repeat: 16777216}'
	everywhere nonsense '{body: "{\"a\":", repeat: 500000}'
	everywhere nonsense '{body: "<a>", repeat: 500000}'
	everywhere nonsense '{endless: "body"}'
}

no_answer()
{
	object first small
	play "stat put begin part read $1"
	up_fails "$2"
	down_fails "$2"
}

@test "headers without end, redirects in circles" {
	everywhere no_answer '{endless: "headers", times: -1}' 'headers|too large'
	everywhere no_answer '{redirect: true, times: -1}' .
}

@test "401 at each request: with a new token it goes on" {
	every=${every#token }
	clouds=${clouds/azure/} # it has a key, and no token
	everywhere once '{status: 401}'
}

refused_without_end()
{
	object first small
	before=$(tokens)
	play 'put begin part read {status: 401, times: -1}'
	up_fails 'a test wanted it so'
	down_fails 'a test wanted it so'
	[ $(($(tokens) - before)) -le 6 ] || { echo "$before tokens, and then $(tokens)"; return 1; }
	play
	up
	left_nothing
}

# tokens: how many were asked for.
tokens()
{
	control state | jq --arg path "$(field 'tokenPath // "/token"')" '[.requests | to_entries[] | select(.key == "POST " + $path).value] | add // 0'
}

@test "401 without end for some requests: they fail soon, few tokens are asked for, and it is over when it ends" {
	everywhere refused_without_end
}

held() { api GET "/api/accounts/$cloud" | jq -e '.held == true' >/dev/null; }

refused_altogether()
{
	local before id end=$((SECONDS + 30))
	object first small
	before=$(tokens)
	play "${every#token } list mkdir {status: 401, times: -1}"
	id=$(api POST /api/transfers "{\"sourceAccountId\":\"from\",\"sourcePath\":\"$cloud/$n-small\",\"destinationAccountId\":\"$cloud\",\"destinationPath\":\"$n-small\"}" | jq -r .id)
	until held; do
		[ $SECONDS -lt $end ] || { api GET "/api/transfers/$id"; return 1; }
	done
	api GET "/api/accounts/$cloud" | jq -e '.status == "error" and (.message | test("a test wanted it so"))'
	api GET "/api/transfers/$id" | jq -e '.status == "queued"'
	[ $(($(tokens) - before)) -le 6 ] || { echo "$before tokens, and then $(tokens)"; return 1; }
	play
	api POST "/api/accounts/$cloud/test"
	skyferry transfer wait "$id" --timeout 60
	there "$n-small" small || there "r$((round - 1))-small" small
}

@test "401 without end for all requests, with whatever token: transfers wait until the account is good again" {
	clouds=${clouds/azure/}
	everywhere refused_altogether
}

changes()
{
	local file
	object first small
	for file in small large; do
		play
		object "$n-down-$file" "$file"
		play "read {cut: 400000}" "read {do: [\"/-/change\", {path: \"$(path "$n-down-$file")\"}]}"
		carry "$cloud:r$((round - 1))-down-$file" "to:$cloud/$n-$file" '{move: true}'
		left_nothing
		jq -e '.status == "failed"' <<<"$record" >/dev/null || { echo "$record"; return 1; }
		jq -r .error.message <<<"$record" | grep -q changed || { echo "$record"; return 1; }
		# Of a version that can be read still there is a good copy; the source stays.
		[ ! -e "$home/to/$cloud/$n-$file" ] || cmp "$home/to/$cloud/$n-$file" "$(bytes "$file")"
		[ "$(sum "r$((round - 1))-down-$file")" != null ]
	done
}

@test "a source that changes while it is read: failed, nothing is made of two" {
	everywhere changes
}

forgotten()
{
	object first small
	play 'part {do: ["/-/forget"], after: 1}'
	up '{move: true}'
	left_nothing
	play 'commit {do: ["/-/forget"]}'
	up
	left_nothing
	play 'part {do: ["/-/forget"], after: 1, times: -1}' 'commit {do: ["/-/forget"], times: -1}'
	failed 'upload|session|block' "from:$cloud/$n-large" "$cloud:$n-large" '{move: true}'
	absent "$n-large"
	[ -e "$home/from/$cloud/$n-large" ]
}

@test "a server that forgets the upload: it begins again" {
	everywhere forgotten
}
