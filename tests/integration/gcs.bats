#!/usr/bin/env bats
# Google Cloud Storage by its fake (tests/fakes/gcs.mjs): through commands and the mount as a person would use them, kill
# -9 in the middle of an upload in parts, tokens that expire and grants that are revoked.
bats_require_minimum_version 1.5.0
load helpers
load fakes

setup_file()
{
	fake_start fake gcs.mjs
	content 1 $(((32 << 20) + 100000)) >"$BATS_FILE_TMPDIR/large" # three parts
}

teardown_file()
{
	fake_stop "$fake"
}

setup()
{
	home_make
	url=$(field endpoint)
	control reset
	start
	local_add from back
	export SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT
	SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT=$(field serviceAccount)
	# A bucket is a top-level directory of an account without one.
	account_add all
	skyferry mkdir all:box
	account_add gcs bucket=box
	unset SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT
}

teardown()
{
	home_remove
}

start()
{
	daemon_start --set transfer.backoff=20ms --set transfer.backoff_max=200ms --set transfer.retries=20 "$@"
}

account_add()
{
	skyferry account add "$1" gcs "endpoint=$url" "tokenEndpoint=$url/token" "${@:2}" >/dev/null
}

# A token of somebody who uses another program.
bearer()
{
	curl -sS --fail -d grant_type=refresh_token -d "client_id=$(field client.clientId)" -d "client_secret=$(field client.clientSecret)" \
	    --data-urlencode "refresh_token=$(field client.refreshToken)" "$url/token" | jq -r .access_token
}

@test "cp -r of a real tree there and back through the mount is the same, and mv moves; chmod and touch stay" {
	cp -rL /usr/share/doc/bats "$home/from/"
	mkdir "$home/from/empty"
	content 2 100000 >"$home/from/here"
	touch -d '2001-02-03 04:05:06.789' "$home/from/here"
	mount_start
	cp -r "$mounts/from/." "$mounts/gcs/"
	settled
	cp -r "$mounts/gcs/." "$mounts/back/"
	settled
	diff -r "$home/from" "$home/back"
	mv "$mounts/from/here" "$mounts/gcs/there"
	settled
	[ ! -e "$home/from/here" ]
	chmod 640 "$mounts/gcs/there"
	touch -d '2002-02-03 04:05:06' "$mounts/gcs/there"
	settled
	has '.objects["box/there"].metadata | .mode == "0640" and (.mtime | startswith("2002-02-0"))'
	mv "$mounts/gcs/there" "$mounts/gcs/elsewhere"
	settled
	mv "$mounts/gcs/elsewhere" "$mounts/back/again"
	settled
	content 2 100000 | cmp - "$home/back/again"
	[ "$(stat -c '%y %a' "$home/back/again" | cut -c 1-19)" = "2002-02-03 04:05:06" ]
	run ! skyferry ls gcs:there
	mount_stop
}

@test "names that need care arrive as they are, those that Google has not are refused" {
	for name in 'with space' 'ümläut-日本' "quote'd \"name\"" '100%' 'a+b&c=d?e#f' '~tilde' 'semi;colon' 'back\slash'; do
		printf '%s' "$name" >"$home/from/$name"
	done
	skyferry cp -q -r from: gcs:d
	skyferry cp -q -r gcs:d back:
	diff -r "$home/from" "$home/back/d"
	echo x >"$home/from/"$'new\nline'
	run ! skyferry cp $'from:new\nline' gcs:
	[[ $output == *"Google has no names"* ]]
}

@test "a large file goes in parts and arrives verified; one token serves them all" {
	ln "$BATS_FILE_TMPDIR/large" "$home/from/f"
	skyferry cp -q from:f gcs:f
	api GET '/api/transfers?limit=1' | jq -e '.transfers[0].verified | test("crc32c")'
	has '.objects["box/f"].md5 == null and .uploads == []' # it was an upload in parts
	has '.grants <= 6'                                     # an account's on each loop, not one an operation
	skyferry cp -q gcs:f back:
	cmp "$home/from/f" "$home/back/f"
}

@test "a copy within the cloud passes no content through the daemon, also between accounts" {
	content 3 3000000 >"$home/from/f"
	skyferry cp -q from:f gcs:one
	skyferry mkdir all:other
	for to in gcs:two all:other/three; do
		skyferry cp -q gcs:one "$to"
		api GET '/api/transfers?limit=1' | jq -e '.transfers[0].route == "native"'
	done
	has '[.requests | to_entries[] | select(.key == "GET /box/one")] == []'
	has '.requests["POST /storage/v1/b/box/o/one/rewriteTo/b/other/o/three"] == 3' # of 1 MiB each
	skyferry mv -q gcs:two all:other/four
	skyferry cp -q all:other/three all:other/four back:
	cmp "$home/from/f" "$home/back/three"
	cmp "$home/from/f" "$home/back/four"
	has '.objects | has("box/two") | not'
}

@test "how far a copy within the cloud is" {
	local id
	content 3 3000000 >"$home/from/f"
	skyferry cp -q from:f gcs:one
	# The second request waits a while, since progress is told a few times a second; the third waits for the end of this.
	control faults '[{"match":"rewriteTo","after":1,"status":503,"headers":{"Retry-After":"1"},"body":"later"},
	    {"match":"rewriteTo","after":2,"times":1000000,"status":503,"headers":{"Retry-After":"1"},"body":"later"}]'
	id=$(api POST /api/transfers '{"sourceAccountId":"gcs","sourcePath":"one","destinationAccountId":"all","destinationPath":"box/two"}' | jq -r .id)
	until_so answers "/api/transfers/$id" '.bytesDone == 2097152'
	control faults '[]'
	skyferry transfer wait "$id" --timeout 60
	skyferry cp -q gcs:two back:
	cmp "$home/from/f" "$home/back/two"
}

# A copy of 5 MiB that is killed behind the third of its requests, which carry 1 MiB each.
rewrite_killed()
{
	[ -e "$home/from/f" ] || content 3 5242880 >"$home/from/f"
	skyferry cp -q from:f gcs:one
	control faults '[{"match":"rewriteTo","after":3,"times":1000000,"status":503,"headers":{"Retry-After":"1"},"body":"later"}]'
	rewrite=$(api POST /api/transfers '{"sourceAccountId":"gcs","sourcePath":"one","destinationAccountId":"all","destinationPath":"box/two"}' | jq -r .id)
	# It has asked for more, so it has the third answer; what is acknowledged behind that is on disk, and so is that.
	until_so has '.requests["POST /storage/v1/b/box/o/one/rewriteTo/b/box/o/two"] >= 4'
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"back","destinationPath":"f"}' >/dev/null
	daemon_kill
	has '.rewritten == 3145728'
	control faults '[]'
	asked=$(rewrites)
}

# rewrites: requests for a copy of one to two, so far.
rewrites() { curl -sS --fail "$url/-/state" | jq '.requests["POST /storage/v1/b/box/o/one/rewriteTo/b/box/o/two"]'; }

@test "kill -9 in the middle of a copy within the cloud: it goes on from there" {
	local rewrite asked
	rewrite_killed
	start
	skyferry transfer wait "$rewrite" --timeout 60
	[ "$(rewrites)" = $((asked + 2)) ]
	has '.rewritten == 5242880 and .objects["box/two"].size == 5242880'
	api GET "/api/transfers/$rewrite" | jq -e '.route == "native"'
	skyferry cp -q gcs:two back:
	cmp "$home/from/f" "$home/back/two"
}

@test "a copy within the cloud that cannot go on, since a week has passed or the source has changed, begins anew" {
	local rewrite asked
	rewrite_killed
	control forget
	start
	skyferry transfer wait "$rewrite" --timeout 60
	[ "$(rewrites)" = $((asked + 1 + 5)) ]
	has '.rewritten == 3145728 + 5242880'
	control reset
	skyferry mkdir all:box
	rewrite_killed
	control change '{"path":"box/one"}'
	start
	skyferry transfer wait "$rewrite" --timeout 60
	[ "$(rewrites)" = $((asked + 5)) ]
	has '.rewritten == 3145728 + 5242880'
	has '.objects["box/two"].crc32c == .objects["box/one"].crc32c'
}

@test "a copy within the cloud that is cancelled after a restart leaves what others upload there" {
	local rewrite asked
	rewrite_killed
	curl -sS --fail -X POST -H "Authorization: Bearer $(bearer)" "$url/box/two?uploads" >/dev/null
	control faults '[{"match":"rewriteTo","times":1000000,"status":503,"headers":{"Retry-After":"1"},"body":"later"}]'
	start
	skyferry transfer cancel "$rewrite"
	until_so answers "/api/transfers/$rewrite" '.status == "cancelled"'
	has '.uploads == [{"name":"two","parts":0}] and (.objects | has("box/two") | not)'
}

@test "an account that may not read the source: it is copied through the daemon" {
	content 3 100000 >"$home/from/f"
	skyferry cp -q from:f gcs:f
	SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT=$(field stranger) account_add stranger
	skyferry mkdir stranger:theirs
	skyferry cp -q gcs:f stranger:theirs/f
	api GET '/api/transfers?limit=1' | jq -e '.transfers[0] | .route == "relay" and (.routeReason | test("refused"))'
	skyferry cp -q stranger:theirs/f back:
	cmp "$home/from/f" "$home/back/f"
	SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT=$(field stranger) run ! account_add nosy bucket=box
}

@test "one object through two accounts is one: it is not copied onto itself, nor moved" {
	echo x >"$home/from/f"
	skyferry cp -q from:f gcs:f
	for verb in cp mv; do
		run ! skyferry "$verb" gcs:f all:box/f
	done
	has '.objects | has("box/f")'
}

@test "kill -9 at every crash point of an upload in parts: it goes on inside the file" {
	local point id
	ln "$BATS_FILE_TMPDIR/large" "$home/from/f"
	for point in $(sed -n 's/^[[:space:]]*"\(upload\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		echo "# $point"
		daemon_stop
		SKYFERRY_CRASH=$point:1 start
		id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"gcs",
		    "destinationPath":"'"$point"'"}' | jq -r .id)
		daemon_dies || { echo "$point: the daemon never came there"; return 1; }
		start
		skyferry transfer wait "$id" --timeout 60
		has ".objects[\"box/$point\"].size == $(stat -c %s "$home/from/f") and .uploads == []"
		# What was there was not sent again: three parts, and those that were under way.
		has "[.requests | to_entries[] | select(.key == \"PUT /box/$point\").value][0] <= 5"
	done
	skyferry cp -q -r gcs: back:all
	for got in "$home"/back/all/*; do
		cmp "$home/from/f" "$got"
	done
	[ "$(ls "$home/back/all" | wc -l)" = 5 ]
}

@test "kill -9 in the middle: the source is not read anew from its beginning" {
	local id
	ln "$BATS_FILE_TMPDIR/large" "$home/from/f"
	# Two parts get there, the third does not until the daemon is back.
	control faults '[{"match":"^PUT /box/f\\?partNumber=3","times":1000000,"status":503,"headers":{"Retry-After":"1"},
	    "body":"<Error><Code>ServiceUnavailable</Code><Message>later</Message></Error>"}]'
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"gcs","destinationPath":"f"}' | jq -r .id)
	until_so has '.uploads[0].parts == 2'
	until_so answers "/api/transfers/$id" '.bytesDone >= 33554432'
	daemon_kill
	control faults '[]'
	start
	skyferry transfer wait "$id" --timeout 60
	has '[.requests | to_entries[] | select(.key == "PUT /box/f").value][0] <= 40 and .uploads == []'
	# The new daemon has read less than one part of the source.
	[ "$(awk '/^rchar/ { print $2 }' "/proc/$daemon/io")" -lt $((16 << 20)) ]
	skyferry cp -q gcs:f back:
	cmp "$home/from/f" "$home/back/f"
}

@test "rates: 429, 403 rateLimitExceeded and 503 pass; a lost answer is no second copy" {
	content 4 100000 >"$home/from/f"
	control faults '[{"match":"^PUT /box/","times":2,"status":429,"headers":{"Retry-After":"0"},"body":"<Error><Code>SlowDown</Code><Message>rate</Message></Error>"},
	    {"match":"^PUT /box/","times":1,"status":503,"body":"<Error><Code>ServiceUnavailable</Code><Message>rate</Message></Error>"},
	    {"match":"^PUT /box/","times":1,"lost":true},
	    {"match":"rewriteTo","times":2,"status":403,
	     "body":"{\"error\":{\"code\":403,\"message\":\"slow\",\"errors\":[{\"reason\":\"rateLimitExceeded\",\"message\":\"slow\"}]}}"},
	    {"match":"^GET /storage/v1/b/box/o","times":2,"status":500,"body":"oops"}]'
	skyferry cp -q from:f gcs:f
	skyferry cp -q gcs:f gcs:g
	api GET '/api/transfers?limit=1' | jq -e '.transfers[0].route == "native"'
	skyferry cp -q gcs:g back:
	cmp "$home/from/f" "$home/back/g"
	has '.unplayed == []'
}

@test "the end of an upload whose answer is lost has happened" {
	ln "$BATS_FILE_TMPDIR/large" "$home/from/f"
	control faults '[{"match":"^POST /box/f\\?uploadId","lost":true}]'
	skyferry cp -q from:f gcs:f
	has '.unplayed == [] and .uploads == [] and .objects["box/f"].size == 33654432'
	has '[.requests | to_entries[] | select(.key == "PUT /box/f").value][0] == 3'
}

@test "a token that expires is renewed, also in the middle of an upload" {
	ln "$BATS_FILE_TMPDIR/large" "$home/from/f"
	control tokens '{"expire":true}'
	skyferry cp -q from:f gcs:f
	control faults '[{"match":"^PUT /box/g","after":1,"status":401,"body":"<Error><Code>AuthenticationRequired</Code><Message>Authentication required.</Message></Error>"}]'
	skyferry cp -q from:f gcs:g
	skyferry cp -q gcs:g back:
	cmp "$home/from/f" "$home/back/g"
	has '.unplayed == []'
}

@test "a grant that is revoked holds the account; its transfers go on when it is good again" {
	content 5 1000 >"$home/from/f"
	control tokens '{"revoked":true,"expire":true}'
	api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"gcs","destinationPath":"f"}' >/dev/null
	until_so answers /api/accounts/gcs '.held and .status == "error" and (.message | contains("revoked"))'
	until_so answers /api/transfers '[.transfers[] | select(.destinationPath == "f").status] == ["queued"]'
	control tokens '{"revoked":false}'
	skyferry account test gcs
	skyferry transfer wait --all --timeout 60
	has '.objects["box/f"].size == 1000'
}

@test "a person's refresh token, a wrong key, nobody: what each may" {
	echo x >"$home/from/f"
	skyferry cp -q from:f gcs:f
	SKYFERRY_CREDENTIAL_REFRESH_TOKEN=$(field client.refreshToken) SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(field client.clientSecret) \
	    account_add person bucket=box "clientId=$(field client.clientId)"
	skyferry cp -q person:f back:
	cmp "$home/from/f" "$home/back/f"
	SKYFERRY_CREDENTIAL_REFRESH_TOKEN=hush SKYFERRY_CREDENTIAL_CLIENT_SECRET=hush run ! account_add wrong bucket=box clientId=x
	[[ $output != *hush* ]]
	skyferry account add --no-test public gcs "endpoint=$url" bucket=box >/dev/null
	run ! skyferry account test public
	[[ $output == *"no credentials"* ]]
	control publish '{"bucket":"box"}'
	skyferry account test public
	[ "$(skyferry ls public:)" = f ]
	run ! skyferry cp from:f public:g
	[[ $output == *"no credentials"* ]]
	skyferry account show --json gcs >"$home/shown"
	run ! grep -q 'PRIVATE KEY' "$home/shown"
}

@test "signing in with a browser" {
	local there
	SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(field client.clientSecret) skyferry account add --no-test visited gcs "endpoint=$url" \
	    "tokenEndpoint=$url/token" "authorizeEndpoint=$url/o/oauth2/v2/auth" bucket=box "clientId=$(field client.clientId)" >/dev/null
	run ! skyferry ls visited:
	there=$(curl -sS -o /dev/null -w '%{redirect_url}' "$(api POST /api/accounts/visited/oauth/start | jq -r .url)")
	api GET "/api/oauth/callback?${there#*\?}" | jq -e '.name == "visited"'
	echo x >"$home/from/f"
	skyferry cp -q from:f visited:f
	[ "$(skyferry ls gcs:)" = f ]
}

@test "a cloud that can reads a link to the file by itself" {
	local azure other
	exec {other}< <(exec node "$BATS_TEST_DIRNAME/../fakes/azure.mjs" < <(timeout 120 tail -f /dev/null) 3>&- 4>&-)
	read -r -t 30 azure <&"$other"
	daemon_stop
	start --set pull.private=yes
	SKYFERRY_CREDENTIAL_ACCOUNT_KEY=a2V5 skyferry account add --no-test azure azure \
	    "endpoint=$(jq -r .endpoint <<<"$azure")/account" accountName=account container=fake >/dev/null
	content 9 3000000 >"$home/from/f"
	skyferry cp -q from:f 'gcs:f ü+'
	skyferry cp -q 'gcs:f ü+' azure:f
	api GET '/api/transfers?limit=1' | jq -e '.transfers[0].route == "pull"'
	has '[.requests | to_entries[] | select(.key | startswith("GET /box/f")).value] | add >= 1'
	# Who has only a token has nothing to sign a link with.
	SKYFERRY_CREDENTIAL_REFRESH_TOKEN=$(field client.refreshToken) SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(field client.clientSecret) \
	    account_add person bucket=box "clientId=$(field client.clientId)"
	skyferry cp -q 'person:f ü+' azure:g
	kill "$(jq .pid <<<"$azure")"
	api GET '/api/transfers?limit=1' | jq -e '.transfers[0] | .route == "relay" and (.routeReason | test("only a service account has a key to sign links"))'
}

@test "what others stored compressed is copied as it is stored" {
	local token
	token=$(bearer)
	content 6 50000 | base64 >"$home/text"
	gzip -n <"$home/text" >"$home/text.gz"
	curl -sS --fail -H "Authorization: Bearer $token" -H 'Content-Encoding: gzip' -H 'Content-Type: text/plain' -T "$home/text.gz" "$url/box/text"
	# Whoever does not say that it takes gzip gets something else.
	curl -sS --fail -H "Authorization: Bearer $token" "$url/box/text" | cmp - "$home/text"
	skyferry cp -q gcs:text back:
	cmp "$home/text.gz" "$home/back/text"
}

@test "pages: a directory of more entries than a page" {
	local i
	mkdir "$home/from/many"
	for i in {1..1100}; do echo "$i" >"$home/from/many/$i"; done
	skyferry cp -q -r from:many gcs:many
	[ "$(skyferry ls gcs:many | wc -l)" = 1100 ]
	skyferry cp -q -r gcs:many back:
	diff -r "$home/from/many" "$home/back/many"
	skyferry rm -r gcs:many
	has '.objects == {}'
}
