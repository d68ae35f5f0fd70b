#!/usr/bin/env bats
# The route `pull`: the destination's cloud reads a link to the source by itself.  From the S3 of tests/fakes, whose links lead
# to this machine, to stand-ins for Azure and Dropbox that really read what they are told to.
load helpers
load fakes

setup_file()
{
	fake_start s3 s3.py
	fake_start azure azure.mjs
	fake_start dropbox dropbox.mjs
	content 1 1000000 >"$BATS_FILE_TMPDIR/small"
	content 2 $(((300 << 20) + 100000)) >"$BATS_FILE_TMPDIR/large" # more than one request copies
	content 3 17000000 >"$BATS_FILE_TMPDIR/medium" # Dropbox is not asked to read less than 16 MiB
	content 4 17000000 >"$BATS_FILE_TMPDIR/other"
}

teardown_file()
{
	fake_stop "$s3" "$azure" "$dropbox"
}

setup()
{
	home_make
	source=$(jq -r .endpoint <<<"$s3")
	target=$(jq -r .endpoint <<<"$azure")
	curl -sS -X POST "$source/-/play" -d '' >/dev/null
	box=$(jq -r .endpoint <<<"$dropbox")
	curl -sS -X POST "$target/-/reset" >/dev/null
	curl -sS -X POST "$box/-/reset" >/dev/null
}

teardown()
{
	home_remove
}

accounts()
{
	daemon_start --set transfer.backoff=10ms --set transfer.backoff_max=50ms "$@"
	api POST /api/accounts "{\"name\":\"s3\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"$source\",\"bucket\":\"fake\",\"accessKeyId\":\"id\",\"secretAccessKey\":\"key\"}}" >/dev/null
	api POST /api/accounts "{\"name\":\"azure\",\"provider\":\"azure\",\"credentials\":{\"endpoint\":\"$target/account\",\"accountName\":\"account\",\"accountKey\":\"a2V5\",\"container\":\"fake\"}}" >/dev/null
}

object()
{
	curl -sS --fail-with-body -T "$BATS_FILE_TMPDIR/$2" "$source/-/object/$1"
}

faults()
{
	curl -sS --fail-with-body -X POST "$target/-/faults" -d "$1" >/dev/null
}

begin() # FROM TO
{
	api POST /api/transfers "{\"sourceAccountId\":\"s3\",\"sourcePath\":\"$1\",\"destinationAccountId\":\"azure\",\"destinationPath\":\"$2\"}" | jq -r .id
}

# carry FROM TO: to its end; what became of it is in $record, what the destination saw in $seen.
carry()
{
	local id
	id=$(begin "$@")
	skyferry transfer wait "$id" --timeout 60 >/dev/null 2>&1 || true
	record=$(api GET "/api/transfers/$id")
	seen=$(curl -sS "$target/-/state")
}

is() # JSON FILTER
{
	jq -e "$2" <<<"$1" >/dev/null || { echo "not $2: $1"; tail -n 5 "$log"; return 1; }
}

there() # NAME FILE
{
	is "$seen" ".blobs[\"fake/$1\"].md5 == \"$(openssl dgst -md5 -binary "$BATS_FILE_TMPDIR/$2" | base64)\""
}

@test "a small file is pulled: its bytes are none of ours, and its time is kept" {
	accounts --set pull.private=yes
	object small small
	carry small copy
	is "$record" '.status == "completed" and .route == "pull" and (.routeReason | test("azure cannot copy from s3"))'
	is "$record" '.verified | test("size")'
	is "$seen" '.received == 0 and .pulled == 1000000 and (.blobs["fake/copy"].meta["x-ms-meta-mtime"] | test("^20"))'
	there copy small
}

@test "a large file is pulled in parts, and goes on after kill -9 with those that are there" {
	accounts --set pull.private=yes
	object large large
	faults '[{"match":"PUT .*comp=block&|PUT .*comp=block$","after":3,"times":1000,"status":503,"headers":{"Retry-After":"1"}}]'
	id=$(begin large copy)
	timeout 60 bash -c "until [ \"\$(curl -sS '$target/-/state' | jq .pulled)\" -ge 16777216 ]; do read -r -t 0.05 <> <(:); done; true"
	daemon_kill
	faults '[]'
	before=$(curl -sS "$target/-/state" | jq .pulled)
	[ "$before" -gt 0 ]
	daemon_start --set transfer.backoff=10ms --set pull.private=yes
	skyferry transfer wait "$id" --timeout 60
	record=$(api GET "/api/transfers/$id")
	seen=$(curl -sS "$target/-/state")
	is "$record" '.status == "completed" and .route == "pull"'
	is "$seen" '.received == 0'
	# What two requests had pulled was not pulled again; what was under way may have been.
	is "$seen" ".pulled < $(stat -c %s "$BATS_FILE_TMPDIR/large") + $before"
	there copy large
}

@test "a link to a private address is not given away unless that is allowed" {
	accounts
	object small small
	carry small copy
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("private"))'
	is "$seen" '.received == 1000000 and .pulled == 0'
	there copy small
}

@test "a destination that cannot read the link gets the bytes, and is not asked again for a while" {
	accounts --set pull.private=yes
	object small small
	faults '[{"match":"PUT .*/copy","times":1,"status":403,"headers":{"x-ms-error-code":"CannotVerifyCopySource"}}]'
	carry small copy
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("could not pull: .*CannotVerifyCopySource"))'
	there copy small
	carry small again
	is "$record" '.status == "completed" and .route == "relay"'
	is "$seen" '.pulled == 0'
}

@test "a source that changes while it is pulled is told, and nothing wrong is left" {
	accounts --set pull.private=yes
	object small small
	curl -sS --fail-with-body --data-binary 'after 1 get, of small: change' "$source/-/rules"
	object large large
	faults '[]'
	curl -sS --fail-with-body --data-binary 'after 2 get, of large: change' "$source/-/rules"
	carry large copy
	is "$record" '.status == "failed" and (.error.message | test("changed"))'
	is "$seen" '.blobs["fake/copy"] == null'
}

@test "a link that is too long for the destination is none" {
	accounts --set pull.private=yes
	name=$(printf 'd%.0s' {1..200})
	name=$name/$name/$name/$name/$(printf 'e%.0s' {1..100})
	object "$name/%C3%A4" small
	carry "$name/$(printf '%s' ä)" copy
	is "$record" '.status == "completed"'
	there copy small
}

# -- Dropbox, whose jobs read a link as a whole

boxed()
{
	accounts "$@"
	jq -n --argjson fake "$dropbox" '{name: "dropbox", provider: "dropbox", credentials: {endpoint: $fake.endpoint,
	    tokenEndpoint: ($fake.endpoint + $fake.tokenPath), clientId: $fake.clientId, clientSecret: $fake.clientSecret,
	    refreshToken: $fake.refreshToken}}' >"$home/account"
	api POST /api/accounts "$(<"$home/account")" >/dev/null
	object medium medium
}

# box_begin FROM TO [MORE]: a transfer, from the account s3 unless MORE says so.
box_begin()
{
	local json
	json=$(jq -n --arg from "$1" --arg to "$2" --argjson more "${3:-{\}}" '{sourceAccountId: "s3", sourcePath: $from,
	    destinationAccountId: "dropbox", destinationPath: $to, preserveMetadata: false} + $more')
	api POST /api/transfers "$json" | jq -r .id
}

ended() # ID: as carry says
{
	skyferry transfer wait "$1" --timeout 60 >/dev/null 2>&1 || true
	record=$(api GET "/api/transfers/$1")
	seen=$(curl -sS "$box/-/state")
}

box() { curl -sS --fail-with-body "$box/-/$1" -d "$2" >/dev/null; } # PATH JSON

# until_box FILTER: until the fake has seen that.
until_box()
{
	timeout 60 bash -c "until curl -sS '$box/-/state' | jq -e '$1' >/dev/null; do read -r -t 0.05 <> <(:); done; true" ||
		{ curl -sS "$box/-/state"; return 1; }
}
polled='(.requests["POST /2/files/save_url/check_job_status"] // 0)'

# box_has NAME FILE...: these files and no others, no temporary either.
box_has()
{
	local want='{}'
	while [ $# -gt 0 ]; do
		want=$(jq --arg name "$1" --arg sum "$(sha256sum <"$BATS_FILE_TMPDIR/$2" | cut -d ' ' -f 1)" '.[$name] = $sum' <<<"$want")
		shift 2
	done
	is "$(curl -sS "$box/-/files" | jq --argjson want "$want" '. + {want: $want}')" '.files == .want'
}

@test "Dropbox pulls files of S3 and Azure, and replaces what is there: no byte is ours" {
	boxed --set pull.private=yes
	ended "$(box_begin medium dir/copy)"
	is "$record" '.status == "completed" and .route == "pull" and (.verified | test("size"))'
	is "$seen" '.pulled == 17000000 and .bytes == 0 and .requests["POST /2/files/upload"] == null'
	box_has dir/copy medium
	curl -sS --fail-with-body -X POST "$target/-/write?path=fake/other" --data-binary "@$BATS_FILE_TMPDIR/other"
	ended "$(box_begin other dir/copy '{"sourceAccountId":"azure"}')"
	is "$record" '.status == "completed" and .route == "pull"'
	is "$seen" '.pulled == 34000000 and .bytes == 0 and .requests["POST /2/files/upload"] == null'
	box_has dir/copy other
}

@test "Dropbox is not asked for what it cannot do: a time, a small file; and is told no private address" {
	boxed
	object small small
	ended "$(box_begin medium copy)"
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("private"))'
	daemon_stop
	daemon_start --set pull.private=yes
	ended "$(box_begin medium copy '{"preserveMetadata":true}')"
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("gives what it pulls no time"))'
	ended "$(box_begin small less)"
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("not worth"))'
	is "$seen" '.jobs == 0 and .pulled == 0'
	box_has copy medium less small
}

@test "a job of Dropbox that fails leads to the relay, and is not asked for again for a while" {
	boxed --set pull.private=yes
	curl -sS --fail-with-body --data-binary 'get, of medium: status 403 AccessDenied' "$source/-/rules"
	ended "$(box_begin medium copy)"
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("could not pull: .*download_failed"))'
	ended "$(box_begin medium again)"
	is "$record" '.status == "completed" and .route == "relay"'
	is "$seen" '.jobs == 1'
	box_has copy medium again medium
	daemon_stop # which has forgotten it then
	daemon_start --set pull.private=yes
	box faults '[{"match":"files/save_url$","status":409,"body":"{\"error\":{\".tag\":\"invalid_url\"}}"}]'
	ended "$(box_begin medium third)"
	is "$record" '.status == "completed" and .route == "relay" and (.routeReason | test("could not pull: .*invalid_url"))'
	box_has copy medium again medium third medium
}

@test "kill -9 while Dropbox reads a link: the job is gone on with" {
	boxed --set pull.private=yes
	box jobs '{"hold":true}'
	id=$(box_begin medium copy)
	until_box "$polled >= 3"
	daemon_kill
	daemon_start --set transfer.backoff=10ms --set pull.private=yes
	until_box "$polled >= 5"
	box jobs '{"hold":false}'
	ended "$id"
	is "$record" '.status == "completed" and .route == "pull"'
	is "$seen" '.jobs == 1 and .pulled == 17000000 and .bytes == 0'
	box_has copy medium
}

@test "kill -9 around the moment at which what Dropbox has read gets its name" {
	local point
	boxed --set pull.private=yes
	ended "$(box_begin medium copy)" # which is replaced then
	for point in upload.after_begin upload.after_part upload.before_commit upload.after_commit; do
		daemon_stop
		SKYFERRY_CRASH=$point daemon_start --set transfer.backoff=10ms --set pull.private=yes
		curl -sS --fail-with-body --data-binary "@$BATS_FILE_TMPDIR/other" "$box/-/write?path=copy"
		id=$(box_begin medium copy)
		daemon_dies
		daemon_start --set transfer.backoff=10ms --set pull.private=yes
		ended "$id"
		is "$record" '.status == "completed" and .route == "pull"'
		box_has copy medium
	done
	is "$seen" '.jobs == 6' # only the one whose id was lost was begun anew
}

@test "what is at the destination of a pull to Dropbox is not replaced unless that was asked for" {
	boxed --set pull.private=yes
	box jobs '{"hold":true}'
	id=$(box_begin medium copy '{"overwrite":false}')
	until_box '.reads == 1'
	curl -sS --fail-with-body --data-binary "@$BATS_FILE_TMPDIR/other" "$box/-/write?path=copy"
	box jobs '{"hold":false}'
	ended "$id"
	is "$record" '.status == "failed" and .error.code == "exists"'
	box_has copy other
}

@test "a source that changes while Dropbox reads it is told, and nothing wrong is left" {
	boxed --set pull.private=yes
	box jobs '{"hold":true}'
	id=$(box_begin medium copy)
	until_box '.reads == 1'
	object medium other
	box jobs '{"hold":false}'
	ended "$id"
	is "$record" '.status == "failed" and (.error.message | test("changed"))'
	is "$seen" '.jobs == 1'
	box_has
}

@test "a pull to Dropbox that is cancelled leaves nothing, though the job cannot be stopped" {
	boxed --set pull.private=yes
	box jobs '{"hold":true}'
	id=$(box_begin medium copy)
	until_box "$polled >= 2"
	api POST "/api/transfers/$id/cancel" '{}' >/dev/null
	ended "$id"
	is "$record" '.status == "cancelled"'
	box jobs '{"hold":false}'
	daemon_stop
	daemon_start --set pull.private=yes # which looks for what is left
	until_box '.requests["POST /2/files/delete_v2"] == 1'
	box_has
}

@test "a job of Dropbox that nobody knows any more is begun anew, and what it leaves goes" {
	boxed --set pull.private=yes
	box jobs '{"hold":true}'
	id=$(box_begin medium copy)
	until_box "$polled >= 1 and .reads == 1" # so that it ends before the other
	box jobs '{"forget":true}'
	until_box '.reads == 2'
	box jobs '{"hold":false}'
	ended "$id"
	is "$record" '.status == "completed" and .route == "pull"'
	box_has copy medium
}

@test "cp in the mount without the file's time is left to Dropbox, with it not" {
	boxed --set pull.private=yes
	mount_start
	cp "$mounts/s3/medium" "$mounts/dropbox/copy"
	settled
	is "$(api GET '/api/transfers?limit=1')" '.transfers[0].route == "pull" and .transfers[0].status == "completed"'
	cp -p "$mounts/s3/medium" "$mounts/dropbox/kept"
	settled
	is "$(api GET '/api/transfers?limit=1')" '.transfers[0].route == "relay" and (.transfers[0].routeReason | test("no time"))'
	[ "$(stat -c %Y "$mounts/dropbox/kept")" = "$(stat -c %Y "$mounts/s3/medium")" ]
	box_has copy medium kept medium
	mount_stop
}
