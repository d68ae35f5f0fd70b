#!/usr/bin/env bats
# Real transfers to and from a server that misbehaves as a scenario says (tests/fakes).  Each ends in success or in a
# failure that says why; what is at the destination is right, or is not there; a moved source is gone only if it is.
load helpers
load fakes

setup_file()
{
	fake_start fake s3.py
	content 1 1000000 >"$BATS_FILE_TMPDIR/small"
	content 2 $(((32 << 20) + 100000)) >"$BATS_FILE_TMPDIR/large" # three parts
}

teardown_file()
{
	fake_stop "$fake"
}

setup()
{
	home_make
	mkdir "$home/from" "$home/to"
	url=$(field endpoint)
	daemon_start --set transfer.backoff=10ms --set transfer.backoff_max=50ms --set http.stall_timeout=5s
	api POST /api/accounts "{\"name\":\"from\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/from\"}}" >/dev/null
	api POST /api/accounts "{\"name\":\"to\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/to\"}}" >/dev/null
	account_add s3 "$url"
	account_add other "$(field other)"
	first=$(peak)
	scenario=''
}

teardown()
{
	local status=0
	[ -z "$scenario" ] || left_nothing || status=1
	home_remove || status=1
	return $status
}

account_add()
{
	api POST /api/accounts "{\"name\":\"$1\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"$2\",\"bucket\":\"fake\"}}" >/dev/null
}

peak()
{
	awk '/VmHWM/ { print $2 }' "/proc/$daemon/status"
}

# play SCENARIO: the server forgets everything else.
play()
{
	[ -z "$scenario" ] || left_nothing
	scenario=$1
	rm -rf "$home/to"/* "$home/from"/*
	ln "$BATS_FILE_TMPDIR/small" "$BATS_FILE_TMPDIR/large" "$home/from/"
	curl -sS --fail-with-body --data-binary "@$BATS_TEST_DIRNAME/../fakes/scenarios/$1.txt" "$url/-/play"
}

# Every rule was met; no upload is left at the server, and no memory was filled with what it said.
left_nothing()
{
	local state
	state=$(curl -sS "$url/-/state")
	jq -e '.unplayed == [] and .uploads == {}' <<<"$state" >/dev/null || { echo "$scenario: left: $state"; return 1; }
	# Sanitizers have a memory of their own.
	grep -q __asan_init "$(command -v skyferryd)" || [ $(($(peak) - first)) -lt 100000 ] ||
	    { echo "$scenario: the daemon has had $(peak) KiB, $first at first"; return 1; }
}

# The server has time enough to answer, and no more.
impatient()
{
	daemon_stop
	daemon_start --set transfer.backoff=10ms --set transfer.backoff_max=50ms --set http.stall_timeout=700ms
	first=$(peak)
}

# object KEY FILE: an object of the server, without the daemon.
object()
{
	curl -sS --fail-with-body -T "$BATS_FILE_TMPDIR/$2" "$url/-/object/$1"
}

# carry ACCOUNT:PATH ACCOUNT:PATH [JSON]: to its end; what became of it is in $record.
carry()
{
	local id
	id=$(api POST /api/transfers "$(jq -nc --arg a "${1%%:*}" --arg b "${1#*:}" --arg c "${2%%:*}" --arg d "${2#*:}" \
	    "{sourceAccountId:\$a,sourcePath:\$b,destinationAccountId:\$c,destinationPath:\$d} + ${3:-{\}}")" | jq -r .id)
	ended "$id"
}

ended()
{
	skyferry transfer wait "$1" --timeout 60 >"$home/wait" 2>&1 || true
	record=$(api GET "/api/transfers/$1")
	jq -e '.status | IN("completed", "failed", "cancelled")' <<<"$record" >/dev/null || { echo "$scenario: it hangs: $record"; return 1; }
}

completed()
{
	carry "$@"
	jq -e '.status == "completed"' <<<"$record" >/dev/null || { echo "$scenario: $record"; tail -n 5 "$log"; return 1; }
}

# failed PATTERN SOURCE DESTINATION [JSON]: and the reason is told.  The one retry is there to go wrong too.
failed()
{
	carry "$2" "$3" "{maxRetries:1} + ${4:-{\}}"
	jq -e '.status == "failed"' <<<"$record" >/dev/null || { echo "$scenario: not failed: $record"; return 1; }
	jq -r .error.message <<<"$record" | grep -qE "$1" || { echo "$scenario: $1 is not in: $record"; return 1; }
}

# there KEY FILE: the server has it, and it is right.
there()
{
	local sum
	sum=$(curl -sS "$url/-/state" | jq -r --arg key "$1" '.objects[$key].sha256')
	[ "$sum" = "$(sha256sum <"$BATS_FILE_TMPDIR/$2" | cut -d' ' -f1)" ] || { echo "$scenario: '$1' is not '$2' but $sum"; return 1; }
}

absent() # KEY...
{
	local key
	for key; do
		curl -sS "$url/-/state" | jq -e --arg key "$key" '.objects[$key] == null' >/dev/null || { echo "$scenario: '$key' is there"; return 1; }
	done
}

here() # NAME FILE: in the local destination
{
	cmp "$home/to/$1" "$BATS_FILE_TMPDIR/$2"
}

counted() # FILTER: of the server's state
{
	curl -sS "$url/-/state" | jq -e "$1" >/dev/null || { echo "$scenario: not $1: $(curl -sS "$url/-/state")"; return 1; }
}

up() # small and large, to the server, and right
{
	completed from:small s3:small
	completed from:large s3:large
	there small small
	there large large
}

down()
{
	object source small
	completed s3:source to:source "${1:-{\}}"
	here source small
}

@test "a storm of 503, without Retry-After, passes" {
	play storm
	up
	down
}

@test "Retry-After is kept to" {
	local before=${EPOCHREALTIME/./}
	play storm-retry-after
	completed from:small s3:small
	[ $((${EPOCHREALTIME/./} - before)) -ge 1000000 ]
	before=${EPOCHREALTIME/./}
	completed from:large s3:large
	[ $((${EPOCHREALTIME/./} - before)) -ge 1000000 ]
	there small small
	there large large
	down
}

@test "a storm without end fails in the server's words, and nothing is made" {
	daemon_stop
	daemon_start --set transfer.backoff=10ms --set transfer.backoff_max=50ms --set transfer.patience=500ms
	first=$(peak)
	play storm-without-end
	object source small
	failed 'SlowDown: a test wanted it so|must be asked less' from:small s3:small '{move:true}'
	failed 'SlowDown: a test wanted it so|must be asked less' from:large s3:large '{move:true,maxRetries:0}'
	failed 'SlowDown: a test wanted it so|must be asked less' s3:source to:source '{move:true}'
	absent small large
	there source small
	[ -e "$home/from/small" ] && [ -e "$home/from/large" ] && [ ! -e "$home/to/source" ]
	# What could not be aborted in the storm is when it is over, at the next start at the latest.
	rules ''
	daemon_stop
	daemon_start
	first=$(peak)
	timeout 60 bash -c 'until curl -sS "$1/-/state" | jq -e ".uploads == {}" >/dev/null; do :; done' _ "$url"
}

# rules TEXT: they take the place of those that were; all else stays.
rules()
{
	curl -sS --fail-with-body --data-binary "$1" "$url/-/rules"
}

keys_of() # ACCOUNT KEY [ENDPOINT]
{
	api PUT "/api/accounts/$1" "$(jq -nc --arg url "${3:-$url}" --arg key "$2" \
	    '{credentials:{endpoint:$url,bucket:"fake",accessKeyId:$key,secretAccessKey:"secret"}}')" >/dev/null
}

@test "a storm over many transfers: none fails, few are sent into it, and they come back one after the other" {
	local count=120 i
	play storm-of-all
	for ((i = 0; i < count; i++)); do
		printf '{"id":"%08x-0000-4000-8000-000000000000","sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"f%d"}\n' $i $i
	done >"$home/requests"
	rm -f "$home/from/large" && printf x >"$home/tiny" && rm "$home/from/small" && mv "$home/tiny" "$home/from/small"
	while read -r i; do
		api POST /api/transfers "$i" >/dev/null
	done <"$home/requests"
	skyferry transfer wait --all --timeout 60
	# None was given up, and none had to begin again in the queue.
	api GET "/api/transfers?limit=1000" | jq -e 'all(.transfers[]; .status == "completed" and .attempts == 1)'
	# What was under way at once when it began, and a look now and then.
	counted '.storm.refused <= 64 + 30'
	# After it: one, two, four ... in each 50 ms.  All at once would be 60 and more in the first 100.
	counted '(.storm.after | map(select(. > 0))[0]) <= 12'
	counted '.storm.after | add >= 120'
}

@test "keys that are refused: the transfers wait, and go on with new ones" {
	play keys
	keys_of s3 old
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"put"}' >/dev/null
	object source small
	api POST /api/transfers '{"sourceAccountId":"s3","sourcePath":"source","destinationAccountId":"to","destinationPath":"read"}' >/dev/null
	until_so answers /api/accounts/s3 '.held and .status == "error" and (.message | contains("InvalidAccessKeyId"))'
	until_so answers /api/transfers '[.transfers[].status] == ["queued", "queued"]'
	api GET /api/transfers | jq -e 'all(.transfers[]; .attempts == 0)'
	skyferry account show s3 | grep -q 'wait until it has new credentials'
	# Others are not held up by it, and a restart changes nothing.
	completed from:small to:other
	daemon_stop
	daemon_start --set transfer.backoff=10ms --set transfer.backoff_max=50ms
	first=$(peak)
	until_so answers /api/transfers '[.transfers[].status] == ["completed", "queued", "queued"]'
	keys_of s3 new
	skyferry transfer wait --all --timeout 60
	there put small
	here read small
	api GET /api/accounts/s3 | jq -e '.status == "ok" and (has("held") | not)'
}

@test "keys that are good again: a test lets the transfers go" {
	play keys
	keys_of s3 old
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"put"}' >/dev/null
	until_so answers /api/accounts/s3 .held
	run skyferry account test s3
	[ "$status" != 0 ]
	until_so answers /api/accounts/s3 .held
	rules ''
	skyferry account test s3
	skyferry transfer wait --all --timeout 60
	there put small
}

@test "keys that are good again: the daemon finds out by itself, after a restart too" {
	play keys
	keys_of s3 old
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"put"}' >/dev/null
	until_so answers /api/accounts/s3 .held
	daemon_stop
	daemon_start --set account.recheck=10ms
	first=$(peak)
	until_so answers /api/accounts/s3 .held
	rules ''
	skyferry transfer wait --all --timeout 60
	there put small
	api GET /api/accounts/s3 | jq -e '.status == "ok" and (has("held") | not)'
	# And held anew, without one.
	rules 'every any: keys new'
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"again"}' >/dev/null
	until_so answers /api/accounts/s3 .held
	rules ''
	skyferry transfer wait --all --timeout 60
	there again small
}

@test "keys that are refused: a look that is never answered ends, and is not the last" {
	play keys
	daemon_stop
	# The look's own limit (15 s) is to end it.
	daemon_start --set account.recheck=10ms --set http.stall_timeout=60s
	first=$(peak)
	keys_of s3 old
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"put"}' >/dev/null
	until_so answers /api/accounts/s3 .held
	rules 'any: stall'
	skyferry transfer wait --all --timeout 60
	there put small
}

@test "keys that are refused: what waits can be cancelled, and the account removed" {
	local id
	play keys
	keys_of s3 old
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"small","destinationAccountId":"s3","destinationPath":"put"}' | jq -r .id)
	until_so answers /api/accounts/s3 .held
	until_so answers "/api/transfers/$id" '.status == "queued"'
	skyferry transfer cancel "$id"
	ended "$id"
	jq -e '.status == "cancelled"' <<<"$record"
	skyferry account remove s3
	run api GET /api/accounts/s3
	[ "$status" != 0 ]
	account_add s3 "$url"
}

@test "one object that is denied does not hold the account" {
	play keys
	keys_of s3 new
	rules 'every put, of denied*: status 403 InvalidAccessKeyId'
	failed 'InvalidAccessKeyId' from:small s3:denied
	api GET /api/accounts/s3 | jq -e '.status == "ok" and (has("held") | not)'
	completed from:small s3:other
}

@test "keys and endpoint change while an upload runs: it goes on where it was" {
	local id
	play keys
	keys_of s3 new
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"large","destinationAccountId":"s3","destinationPath":"large","bandwidth":5000000}' | jq -r .id)
	until_so answers "/api/transfers/$id" '.bytesDone > 2000000'
	rules 'every any: keys newer ExpiredToken'
	until_so answers /api/accounts/s3 .held
	until_so answers "/api/transfers/$id" '.status == "queued"'
	api PUT "/api/transfers/$id" '{"bandwidth":0}' >/dev/null
	keys_of s3 newer "$(field other)"
	ended "$id"
	jq -e '.status == "completed"' <<<"$record"
	there large large
	counted '.requests.begin == 1 and .requests.commit == 1'
	# Renewed without having been refused: what runs does not notice.
	rules ''
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"large","destinationAccountId":"s3","destinationPath":"again","bandwidth":5000000}' | jq -r .id)
	until_so answers "/api/transfers/$id" '.bytesDone > 2000000'
	keys_of s3 newest
	rules 'every any: keys newest ExpiredToken'
	api PUT "/api/transfers/$id" '{"bandwidth":0}' >/dev/null
	ended "$id"
	jq -e '.status == "completed" and .attempts == 1' <<<"$record"
	there again large
}

@test "connections reset in requests: sent again" {
	play reset-request
	up
	# What had arrived stays: only the parts that broke are sent again.
	counted '.received.part < 33654432 + 3 * 16777216'
}

@test "connections reset in answers: read on from there" {
	play reset-answer
	down '{overwrite:false}' # asks first what is there
	counted '.sent.get < 1500000'
	object large large
	play close-answer
	down '{move:true}'
	absent source
	counted '.sent.get < 1500000'
}

@test "stalls end, and what stalled is done again" {
	impatient
	play stall
	up
	down
}

@test "stalls without end fail, and say it" {
	impatient
	play stall-without-end
	object source small
	failed 'stalled|no byte|timed out' from:small s3:small '{maxRetries:0}'
	failed 'stalled|no byte|timed out' from:large s3:large '{maxRetries:0}'
	failed 'stalled|no byte|timed out' s3:source to:source '{move:true,maxRetries:0}'
	absent small large
	there source small
	[ ! -e "$home/to/source" ]
}

@test "bytes beyond an answer's end are not another answer" {
	play long-answer
	completed from:small s3:small
	down '{overwrite:false}'
	object again small
	completed s3:again to:again '{overwrite:false}'
	here again small
	there small small
}

@test "an object that is shorter or longer than its size never arrives" {
	local wrong
	for wrong in short-object long-object; do
		play $wrong
		object source small
		failed source s3:source to:source '{move:true}'
		[ ! -e "$home/to/source" ]
		failed 'source|BadDigest' other:source s3:copy '{move:true}' # whoever sees it first
		failed 'source' other:source s3:copy '{move:true,overwrite:false}'
		absent copy
		there source small
	done
}

@test "a range that was not asked for never arrives" {
	local wrong
	for wrong in wrong-range no-range; do
		play $wrong
		object source small
		failed 'range|which' s3:source to:source '{move:true,overwrite:false}' # so that each read is of a range
		[ ! -e "$home/to/source" ]
		there source small
	done
}

@test "an ETag that is not the MD5: written again" {
	play wrong-etag
	completed from:small s3:small '{move:true}'
	completed from:large s3:large '{move:true}'
	there small small
	there large large
	[ ! -e "$home/from/small" ] && [ ! -e "$home/from/large" ]
	counted '.requests.put == 2 and .requests.part == 4'
}

@test "a server that damages what it is sent: written again" {
	play damage-write
	up
}

@test "a server that damages everything: failed, and a move removes nothing" {
	play damage-write-without-end
	failed 'md5' from:small s3:small '{move:true}'
	failed 'md5' from:large s3:large '{move:true}'
	absent small large
	[ -e "$home/from/small" ] && [ -e "$home/from/large" ]
}

@test "a source that arrives damaged is read again, and never completes a write" {
	play damage-read
	down
	play damage-read
	object source small
	completed other:source s3:copy '{move:true}'
	there copy small
	absent source
	play damage-read-without-end
	object source small
	failed 'md5' s3:source to:source '{move:true}'
	failed 'md5|MD5' other:source s3:copy '{move:true}'
	[ ! -e "$home/to/source" ]
	absent copy
	there source small
}

@test "an error inside 200 is an error" {
	play error-in-200
	object source small
	completed s3:source s3:copy '{move:true}'
	completed from:large s3:large '{move:true}'
	there copy small
	there large large
	absent source
	play error-in-200-without-end
	object source small
	failed 'InternalError: a test wanted it so' s3:source s3:copy '{move:true}'
	failed 'InternalError: a test wanted it so' from:large s3:large '{move:true}'
	failed 'InternalError: a test wanted it so' from:small s3:small '{move:true}'
	absent copy large small
	there source small
	[ -e "$home/from/large" ]
}

@test "XML that ends in the middle" {
	play cut-xml
	failed 'XML makes no sense' from:large s3:one '{move:true}'
	carry from:large s3:two '{maxRetries:1}' # it is there: only the answer was half
	[ "$(jq -r .status <<<"$record")" = failed ] || there two large
	failed 'XML makes no sense' from:large s3:three
	run skyferry ls s3:
	[ "$status" != 0 ]
	[[ $output == *'XML makes no sense'* ]]
	absent one three
	[ -e "$home/from/large" ]
}

@test "answers that are garbled once: asked again, and the third time is the last" {
	play garbled-once
	skyferry ls s3:
	completed from:small s3:small
	there small small
	completed s3:small to:copy
	here copy small
	completed from:large s3:large '{move:true}'
	there large large
	[ ! -e "$home/from/large" ]
	carry from:small s3:never '{move:true,maxRetries:8}'
	jq -e '.status == "failed" and .error.code == "bad_answer" and .attempts == 3' <<<"$record"
	absent never
	[ -e "$home/from/small" ]
}

@test "XML that is meant to exhaust who reads it" {
	local what
	for what in bomb deep name text endless; do
		play hostile-$what
		failed 'XML makes no sense|larger than' from:large s3:one
		failed 'XML makes no sense|larger than' from:large s3:two
		case $what in
		bomb | endless) failed 'XML makes no sense|larger than' from:large s3:three '{move:true}' ;;
		esac
		run skyferry ls s3:
		[ "$status" != 0 ]
		[[ $output =~ 'XML makes no sense'|'larger than' ]]
		absent one two three
		[ -e "$home/from/large" ]
	done
}

@test "headers without end, redirects in circles, no HTTP at all" {
	local what words
	while read -r what words; do
		play "$what"
		object source small
		failed "$words" from:small s3:small '{move:true}'
		failed "$words" from:large s3:large '{move:true}'
		failed "$words" s3:source to:source '{move:true}'
		absent small large
		there source small
		[ -e "$home/from/small" ] && [ -e "$home/from/large" ] && [ ! -e "$home/to/source" ]
	done <<-'END'
		headers headers are larger|too large|headers
		redirect not at this endpoint
		babble HTTP|answer
	END
}

@test "a source that changes while its parts are read: failed, nothing is made of two" {
	play source-changes
	object source large
	failed 'has changed|changed' other:source s3:copy '{move:true}'
	absent copy
	counted '.objects.source != null'
	play source-changes-midway
	object source small
	failed 'has changed|changed' s3:source to:source '{move:true}'
	[ ! -e "$home/to/source" ]
	counted '.objects.source != null'
	play source-goes
	object source large
	failed 'NoSuchKey|no such|not found' other:source s3:copy
	absent copy
}

@test "a server that forgets the upload: it begins again" {
	play forget
	completed from:large s3:large '{move:true}'
	there large large
	[ ! -e "$home/from/large" ]
	play forget-at-end
	completed from:large s3:large
	there large large
	play forget-always
	failed 'lost the upload' from:large s3:large '{move:true}'
	absent large
	[ -e "$home/from/large" ]
}

@test "answers are lost to what was done" {
	local how
	for how in lost-answer lost-answer-error; do
		play $how
		completed from:small s3:small '{overwrite:false}'
		completed from:large s3:large '{move:true,overwrite:false}'
		there small small
		there large large
		[ ! -e "$home/from/large" ]
		completed s3:small s3:copy
		there copy small
		completed s3:copy to:moved '{move:true}'
		here moved small
		absent copy
	done
	impatient
	play lost-answer-stall
	up
}

@test "uploads whose names were never learned are found and aborted" {
	play lost-begin-without-end
	failed 'reset|lost|closed' from:large s3:large '{move:true}'
	absent large
	counted '.requests.begin > 1'
}

@test "a cancelled upload is aborted, also when the first answer to that is lost" {
	local id
	play cancel
	: >"$home/events" # whoever follows it may be first
	curl -sN --max-time 60 --unix-socket "$socket" "http://skyferry/api/events?kinds=progress" >"$home/events" 3>&- &
	reader=$!
	timeout 30 tail -n +1 -f --pid=$reader "$home/events" 2>/dev/null | grep -q 'event: hello'
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"large","destinationAccountId":"s3","destinationPath":"large"}' | jq -r .id)
	timeout 30 tail -n +1 -f --pid=$reader "$home/events" 2>/dev/null | grep -q '"done":2'
	kill "$reader"
	skyferry transfer cancel "$id"
	ended "$id"
	[ "$(jq -r .status <<<"$record")" = cancelled ]
	absent large
}

# emptied: d has 60 files, and then none; most went in company.
emptied()
{
	curl -sS --fail-with-body -X PUT --data-binary x "$url/-/object/d/[1-60]<&>"
	skyferry rm -r s3:d
	counted '.objects == {}'
}

@test "many removals go together, and each has an end of its own" {
	play removals
	emptied
	counted '.requests.remove >= 1 and .requests.delete < 30'

	# What the server will not remove with the others is asked for alone.
	play removals-spared
	emptied
	counted '.requests.remove >= 1 and .requests.delete >= 11'

	play removals-lost
	emptied

	# A server that does not know such requests is asked for few: until an object alone is gone.
	play removals-unknown
	emptied
	counted ".requests.remove <= 8 * $(nproc) and .requests.delete >= 60"
	play removals
	emptied
	counted '.requests.remove == null'
}
