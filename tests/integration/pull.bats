#!/usr/bin/env bats
# The route `pull`: the destination's cloud reads a link to the source by itself.  From the S3 of tests/fakes, whose links lead
# to this machine, to a stand-in for Azure that really reads what it is told to copy from.
load helpers

setup_file()
{
	local fakes=$BATS_TEST_DIRNAME/../fakes
	coproc S3 { exec "$fakes/s3.py" 3>&- 4>&-; }
	read -r -t 30 s3 <&"${S3[0]}"
	coproc AZURE { exec node "$fakes/azure.mjs" 3>&- 4>&-; } 2>/dev/null # bash warns of two
	read -r -t 30 azure <&"${AZURE[0]}"
	export s3 azure
	content 1 1000000 >"$BATS_FILE_TMPDIR/small"
	content 2 $(((300 << 20) + 100000)) >"$BATS_FILE_TMPDIR/large" # more than one request copies
}

teardown_file()
{
	kill "$(jq .pid <<<"$s3")" "$(jq .pid <<<"$azure")"
}

setup()
{
	home_make
	source=$(jq -r .endpoint <<<"$s3")
	target=$(jq -r .endpoint <<<"$azure")
	curl -sS -X POST "$source/-/play" -d '' >/dev/null
	curl -sS -X POST "$target/-/reset" >/dev/null
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
