#!/usr/bin/env bats
# Signing in with a real OAuth provider (SKYFERRY_TEST_OAUTH: what tests/servers/start-oidc.sh prints), and a person with a
# browser (browser.py).  Its access tokens are for the fake of Dropbox, which asks the provider whether they are good.
bats_require_minimum_version 1.5.0
load helpers
load fakes

setup_file()
{
	[ -n "${SKYFERRY_TEST_OAUTH:-}" ] || return 0
	fake_start fake dropbox.mjs --introspect "$(provider introspect)" --client "$(provider client)" --secret "$(provider secret)"
}

teardown_file()
{
	fake_stop "${fake:-}"
}

setup()
{
	[ -n "${SKYFERRY_TEST_OAUTH:-}" ] || skip "SKYFERRY_TEST_OAUTH is not set"
	home_make
	mkdir "$home/from" "$home/to"
	url=$(field endpoint)
	curl -sS -X POST "$url/-/reset" >/dev/null
	# Without a TCP port there would be nowhere for a browser to come back to.
	start
	api POST /api/accounts "{\"name\":\"from\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/from\"}}" >/dev/null
}

teardown()
{
	home_remove
}

start()
{
	daemon_start --set api.listen=127.0.0.1:0 --set transfer.backoff=50ms --set transfer.backoff_max=200ms --set account.recheck=1h "$@"
}

provider()
{
	jq -r ".$1" <<<"$SKYFERRY_TEST_OAUTH"
}

# add ARGUMENT...: an account that nobody has signed in to, of the provider, by its client $client.
add()
{
	SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(provider secret) skyferry account add "$@" dropbox "endpoint=$url" \
	    "clientId=$(provider "${client:-client}")" "tokenEndpoint=$(provider token)" "authorizeEndpoint=$(provider authorize)?prompt=consent" </dev/null
}

browser()
{
	"$BATS_TEST_DIRNAME/../servers/browser.py" "$@"
}

# begun: the address of the page, of the sign-in that the program in "$home/said" waits for.
begun()
{
	timeout 30 tail -n +1 -f "$home/said" | grep -m 1 -o 'http://127[^ ]*/auth?.*'
}

is_ok()
{
	api GET "/api/accounts/$1" | jq -e '.status == "ok" and (.held | not)'
}

# needs_person TRANSFER: it waits, with the account mine, until somebody has signed in.
needs_person()
{
	timeout 60 sh -c "until curl -sS --unix-socket '$socket' http://skyferry/api/accounts/mine | jq -e .held >/dev/null; do :; done"
	api GET /api/accounts/mine | jq -e '.message | test("must be signed in again: skyferry account sign-in mine")'
	api GET "/api/transfers/$1" | jq -e '.status == "queued"'
	browser "$(api POST /api/accounts/mine/oauth/start | jq -r .url)"
	skyferry transfer wait "$1" --timeout 60
	is_ok mine
}

@test "account add opens a browser, and the person who signs in with it is all that is needed" {
	cat >"$home/browser" <<-SCRIPT
		#!/bin/sh
		exec "$BATS_TEST_DIRNAME/../servers/browser.py" "\$1" >"$home/seen"
	SCRIPT
	chmod +x "$home/browser"
	BROWSER=$home/browser add mine >"$home/said" 2>&1 || { cat "$home/said"; false; }
	grep -q 'mine: signed in' "$home/said"
	grep -q 'mine: works' "$home/said"
	grep -q 'Signed in' "$home/seen"
	is_ok mine
	echo x >"$home/from/f"
	skyferry cp -q from:f mine:f
	[ "$(skyferry ls mine:)" = f ]
}

@test "without a browser the address is printed, and that of the page it ends at is asked for" {
	local page
	mkfifo "$home/paste"
	: >"$home/said" # whoever follows it may be first
	SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(provider secret) skyferry account add mine --no-browser dropbox "endpoint=$url" \
	    "clientId=$(provider client)" "tokenEndpoint=$(provider token)" \
	    "authorizeEndpoint=$(provider authorize)?prompt=consent" <"$home/paste" >"$home/said" 2>&1 3>&- &
	exec 6>"$home/paste"
	page=$(begun)
	browser --stop "$page" >&6
	exec 6>&-
	wait $! || { cat "$home/said"; false; }
	is_ok mine
}

@test "an account that nobody has signed in to holds its transfers until somebody does" {
	local id start
	add --no-test mine
	api GET /api/accounts/mine | jq -e '.status == "error" and .held and (.message | test("sign-in mine"))'
	run ! skyferry ls mine:
	[[ $output == *"skyferry account sign-in mine"* ]]
	echo x >"$home/from/f"
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"mine","destinationPath":"f"}' | jq -r .id)
	start=$(api POST /api/accounts/mine/oauth/start)
	browser "$(jq -r .url <<<"$start")" | grep 'Signed in'
	skyferry transfer wait "$id" --timeout 60
	# Its state is used up.
	run api GET "/api/oauth/callback?code=x&state=$(jq -r .state <<<"$start")"
	[[ $output == *"begin again"* ]]
}

# tells_nothing VALUE...: none of them is in the log, in the store, or in what the API answers to those who are no mount.
tells_nothing()
{
	local value path told=$home/told
	for path in accounts accounts/mine transfers providers mounts; do
		api GET "/api/$path"
	done >"$told"
	# What is no secret is found, so a secret would be.
	grep -qF '"name":"mine"' "$told"
	grep -qF "account 'mine' added" "$log"
	grep -qrF '"driver":"dropbox"' "$home/state/skyferry/store"
	for value; do
		[ ${#value} -gt 8 ]
		! grep -rlF -e "$value" "$log" "$told" "$home/state/skyferry/store" || { echo "$value was told"; return 1; }
	done
}

@test "no secret is told: not in the log, the store, or the API" {
	local page code state refresh access
	daemon_stop
	start --set log.level=debug
	add --no-test mine
	page=$(browser --stop "$(api POST /api/accounts/mine/oauth/start | jq -r .url)")
	code=$(grep -o 'code=[^& ]*' <<<"$page")
	state=$(grep -o 'state=[^& ]*' <<<"$page")
	api GET "/api/oauth/callback?$code&$state" >/dev/null
	echo x >"$home/from/f"
	skyferry cp -q from:f mine:f
	refresh=$(api GET /api/accounts/mine/credentials | jq -r .credentials.refreshToken)
	access=$(api POST /api/accounts/mine/token '{}' | jq -r .token)
	tells_nothing "$(provider secret)" "${code#code=}" "${state#state=}" "$refresh" "$access"
	# Nor when it is refused.
	curl -sS --fail "$(provider revoke)" -d token="$refresh" -d client_id="$(provider client)" -d client_secret="$(provider secret)"
	daemon_stop
	start --set log.level=debug
	run ! timeout 60 skyferry ls mine:
	[[ $output == *"must be signed in again"* ]]
	tells_nothing "$(provider secret)" "${code#code=}" "${state#state=}" "$refresh" "$access"
}

@test "a revoked grant: transfers wait instead of failing, and go on when somebody has signed in again" {
	local id token
	add --no-test mine
	browser "$(api POST /api/accounts/mine/oauth/start | jq -r .url)"
	is_ok mine
	token=$(api GET /api/accounts/mine/credentials | jq -r .credentials.refreshToken)
	curl -sS --fail "$(provider revoke)" -d token="$token" -d client_id="$(provider client)" -d client_secret="$(provider secret)"
	echo x >"$home/from/f"
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"mine","destinationPath":"f"}' | jq -r .id)
	needs_person "$id"
}

@test "access tokens that expire under way are renewed: an upload goes on" {
	local before
	add --no-test mine
	browser "$(api POST /api/accounts/mine/oauth/start | jq -r .url)"
	content 1 30000000 >"$home/from/large"
	# Every token that is used is soon refused, as one whose clock the cloud sees otherwise.
	curl -sS -X POST "$url/-/faults" -d '[{"match":"POST /2/files/upload","after":1,"times":3,"status":401,
	    "body":"{\"error_summary\":\"expired_access_token/..\",\"error\":{\".tag\":\"expired_access_token\"}}","headers":{"Content-Type":"application/json"}}]' >/dev/null
	skyferry cp -q from:large mine:large
	skyferry cp -q mine:large from:back
	cmp "$home/from/large" "$home/from/back"
}

@test "a person who refuses is told so, and one who never comes back is not waited for" {
	local state
	add --no-test mine
	state=$(api POST /api/accounts/mine/oauth/start | jq -r .state)
	run api GET "/api/oauth/callback?error=access_denied&error_description=No%20%3Cb%3Ethanks&state=$state"
	[[ $output == *"was not signed in: the cloud says No <b>thanks"* ]]
	state=$(api POST /api/accounts/mine/oauth/start | jq -r .state)
	run curl -sS --unix-socket "$socket" -H 'Accept: text/html' "http://skyferry/api/oauth/callback?error=access_denied&error_description=No%20%3Cb%3Ethanks&state=$state"
	[[ $output == *"No &lt;b&gt;thanks"* ]]
	run api GET "/api/oauth/callback?code=x&state=$(printf '0%.0s' {1..64})"
	[[ $output == *"not known"* ]]
	run api POST /api/accounts/from/oauth/start
	[[ $output == *"nobody signs in to an account of 'local'"* ]]
	# Nor does the command line wait.
	run -1 skyferry account sign-in mine --no-browser <<<""
	[[ $output == *"is empty"* ]]
	cat >"$home/browser" <<-SCRIPT
		#!/bin/sh
		state=\${1##*state=}
		curl -sS --unix-socket "$socket" "http://skyferry/api/oauth/callback?error=access_denied&state=\${state%%&*}"
	SCRIPT
	chmod +x "$home/browser"
	BROWSER=$home/browser run -1 timeout 60 skyferry account sign-in mine
	[[ $output == *"was not signed in: the cloud says access_denied"* ]]
}

refresh_token() { api GET /api/accounts/mine/credentials | jq -r .credentials.refreshToken; }

# renewed WAS: the account has another refresh token than before, and works.
renewed()
{
	local now
	now=$(refresh_token)
	[ "$now" != "$1" ]
	[ -n "$now" ]
	is_ok mine
}

@test "refresh tokens that are good for one use: the next one is kept, across restarts and kills" {
	local token all=()
	client=rotating add --no-test mine
	browser "$(api POST /api/accounts/mine/oauth/start | jq -r .url)"
	token=$(refresh_token)
	echo x >"$home/from/f"
	for round in 1 2 3 4; do
		all+=("$token")
		timeout 60 skyferry cp -q from:f "mine:f$round"
		renewed "$token"
		token=$(refresh_token)
		if [ $((round % 2)) = 1 ]; then daemon_stop; else daemon_kill; fi
		start
	done
	[ "$(skyferry ls mine: | wc -l)" = 4 ]
	# What somebody changes of the account is not about its credentials, and they stay.
	token=$(refresh_token)
	api PUT /api/accounts/mine '{"name":"mine","bandwidth":100000000}' >/dev/null
	skyferry ls mine: >/dev/null
	renewed "$token"
	daemon_stop
	run ! grep -rF -e "$(provider secret)" -e "${all[0]}" -e "${all[1]}" -e "$token" "$log" "$home/state/skyferry/store"
}

@test "refresh tokens that are good for one use: all loops, the API and a mount share what one of them got" {
	local n
	[ -w /dev/fuse ] || skip "needs FUSE"
	daemon_stop
	start --set transfer.loops=4 --set account.recheck=100ms
	client=rotating add --no-test mine
	browser "$(api POST /api/accounts/mine/oauth/start | jq -r .url)"
	mount_start
	for n in {1..40}; do
		content "$n" 20000 >"$home/from/$n"
	done
	# Every now and then a token is refused, wherever it is used.
	for n in upload download list_folder; do
		curl -sS -X POST "$url/-/faults" -d "[{\"match\":\"POST /2/files/$n\",\"after\":3,\"times\":2,\"status\":401,
		    \"body\":\"{\\\"error_summary\\\":\\\"expired_access_token/..\\\",\\\"error\\\":{\\\".tag\\\":\\\"expired_access_token\\\"}}\"}]" >/dev/null
		timeout 60 skyferry cp -r -q from: "mine:$n" &
		ls -R "$mounts/mine" >/dev/null || true
		api POST /api/accounts/mine/test >/dev/null || true
		cat "$mounts"/mine/upload/* >/dev/null 2>&1 || true
		wait $!
	done
	is_ok mine
	cmp "$home/from/7" "$mounts/mine/list_folder/7"
	mount_stop
}

@test "a refresh token that is lost with the daemon, between the provider's answer and the store, needs a person" {
	local id
	client=rotating add --no-test mine
	browser "$(api POST /api/accounts/mine/oauth/start | jq -r .url)"
	daemon_stop
	SKYFERRY_CRASH=tokens.rotated start
	echo x >"$home/from/f"
	id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"mine","destinationPath":"f"}' | jq -r .id)
	daemon_dies
	start
	needs_person "$id"
}
