#!/usr/bin/env bats
# The API as docs/api.md says it, over its two doors, with curl: statuses, messages, who may do what,
# and what never comes out.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	mkdir "$home/a" "$home/b"
	events=
	uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
}

teardown()
{
	[ -z "$events" ] || kill "$events" 2>/dev/null || true
	[ -z "${stalled:-}" ] || kill "$stalled" 2>/dev/null || true
	home_remove
}

# start [ARG…]: both doors open, accounts a and b; $url is the TCP one.
start()
{
	daemon_start --set api.listen=127.0.0.1:0 "$@"
	url=$(sed -n 's/.*api: \(http:.*\)/\1/p' "$log" | tail -n 1)
	account a "$home/a"
	account b "$home/b"
}

account()
{
	api POST /api/accounts "{\"name\":\"$1\",\"provider\":\"local\",\"credentials\":{\"root\":\"$2\"}}" >/dev/null
}

# ask STATUS METHOD PATH [JSON]: over the socket; the answer's body is in $body, its head in $head.
ask()
{
	ask_curl "$1" "$2" "http://skyferry$3" "${4-}" --unix-socket "$socket"
}

# ask_tcp TOKEN STATUS METHOD PATH [JSON]
ask_tcp()
{
	ask_curl "$2" "$3" "$url$4" "${5-}" ${1:+-H "Authorization: Bearer $1"}
}

ask_curl()
{
	local want=$1 method=$2 where=$3 json=$4 status
	shift 4
	[ -z "$json" ] || set -- "$@" -H 'Content-Type: application/json' --data-binary "$json"
	status=$(curl -sS --max-time 60 -X "$method" -D "$home/head" -o "$home/body" -w '%{http_code}' "$@" "$where")
	body=$(cat "$home/body") head=$(cat "$home/head")
	rm -f "$home/body" "$home/head"
	[ "$status" = "$want" ] && return 0
	echo "$method $where $json: $status, not $want: $body"
	return 1
}

# get FILTER: what jq finds in $body.
get()
{
	jq -er "$1" <<<"$body"
}

# is FILTER: jq says true of $body.
is()
{
	jq -e "$1" <<<"$body" >/dev/null && return 0
	echo "not $1: $body"
	return 1
}

# events_open [QUERY]: reads the stream on descriptor 7.
events_open()
{
	mkfifo "$home/events"
	curl -sSN --unix-socket "$socket" "http://skyferry/api/events${1-}" >"$home/events" 3>&- &
	events=$!
	exec 7<"$home/events"
	rm "$home/events"
	events_until hello .
}

# events_until NAME FILTER: reads until an event of that name of which jq says true; its data is in $body.
events_until()
{
	local line name='' until=$((SECONDS + 60))
	while ((SECONDS < until)) && IFS= read -r -t 60 -u 7 line; do
		case $line in
		event:*) name=${line#event: } ;;
		data:*)
			body=${line#data: }
			[ "$name" != "$1" ] || ! jq -e "$2" <<<"$body" >/dev/null || return 0
			;;
		esac
	done
	echo "no event '$1' with $2"
	return 1
}

events_close()
{
	exec 7<&-
	kill "$events" 2>/dev/null || true
	wait "$events" || true
	events=
}

# transfer_await STATUS JSON: submits it and waits, through the events, until it has that status.
transfer_await()
{
	events_open
	ask 201 POST /api/transfers "$2"
	id=$(get .id)
	events_until change ".id == \"$id\" and (.status == \"completed\" or .status == \"failed\" or .status == \"cancelled\")"
	is ".status == \"$1\""
	events_close
}

# later PATH: a transfer that will not run by itself.
later()
{
	ask 201 POST /api/transfers "{\"sourceAccountId\":\"a\",\"sourcePath\":\"f\",\"destinationAccountId\":\"b\",\"destinationPath\":\"$1\",\"notBefore\":\"2100-01-01T00:00:00Z\"${2:+,$2}}"
	id=$(get .id)
}

# stall: a server at 127.0.0.1:$stall_port that takes connections and never answers.
stall()
{
	mkfifo "$home/port"
	python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(16)
open(sys.argv[1], "w").write("%d\n" % s.getsockname()[1])
time.sleep(300)' "$home/port" 3>&- &
	stalled=$!
	read -r stall_port <"$home/port"
	rm "$home/port"
}

@test "health, and the version" {
	start
	ask 200 GET /health
	is '.status == "ok" and (.version | test("^[0-9]+[.]")) and .uptime >= 0'
	is '.changes == {"pending":0,"queued":0,"running":0,"failed":0}'
	is '.store.commits > 0 and .store.mapSize > .store.mapUsed'
	ask_tcp '' 200 GET /health
	run -0 curl -sS --unix-socket "$socket" -I http://skyferry/health
	[[ $output == *"200 OK"*Content-Length* ]]
}

@test "no such path, the wrong method, and what a path takes" {
	start
	ask 404 GET /api/nothing
	is '.statusCode == 404 and .error == "Not Found" and .code == "not_found"'
	is '.message == "there is no '\''/api/nothing'\'' in this API"'
	ask 404 GET /api/accounts/
	ask 404 GET /api/accounts/a%00b
	ask 405 PUT /api/transfers '{}'
	[[ $head == *$'\nAllow: POST, GET, HEAD\r'* ]]
	is '.code == "method_not_allowed"'
	run -0 curl -sS --unix-socket "$socket" -I http://skyferry/api/events
	[[ $output == *" 405 "* ]] # it has no end to wait for
	ask 204 OPTIONS /api/accounts/a
	[[ $head == *"Allow: GET, HEAD, PUT, DELETE"* ]]
}

@test "over the socket the caller is known by its uid" {
	start
	ask 200 GET /api/auth/me
	is ".username == \"local\" and .admin and .uid == $(id -u)"
	# A token is not looked at here.
	run -0 curl -sS --unix-socket "$socket" -H 'Authorization: Bearer x' http://skyferry/api/auth/me
	[[ $output == *'"local"'* ]]
	[ "$(stat -c %a "$socket")" = 600 ]
	[ "$(stat -c %a "$(dirname "$socket")")" = 700 ]
}

@test "a uid of its own, in system mode" {
	[ "$(id -u)" = 0 ] || skip "needs root, to call as somebody else"
	chmod 711 "$home" && mkdir -m 755 "$home/open"
	export SKYFERRY_SYSTEM=1
	local where="--set state.dir=$home/s --set runtime.dir=$home/open" caller
	caller="setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS --unix-socket $home/open/skyferryd.sock"
	socket=$home/open/skyferryd.sock
	# shellcheck disable=SC2086 # words
	daemon_start $where
	[ "$(stat -c %a "$socket")" = 666 ]
	run -0 $caller http://skyferry/api/auth/me
	[[ $output == *'"statusCode":401'*users.auto* ]]
	daemon_stop
	# shellcheck disable=SC2086
	daemon_start $where --set users.auto=yes
	run -0 $caller http://skyferry/api/auth/me
	[[ $output == *'"username":"nobody","admin":false,"uid":65534'* ]]
	run -0 $caller http://skyferry/api/users
	[[ $output == *'"statusCode":403'*administrators* ]]
	# Credentials are for mounts, and those run as the daemon's user.
	run -0 $caller http://skyferry/api/accounts/a/credentials
	[[ $output == *'"statusCode":403'* ]]
	ask 200 GET /api/users
	is '[.users[].username] | sort == ["local","nobody"]'
}

@test "register, log in, and a token" {
	daemon_start --set api.listen=127.0.0.1:0
	url=$(sed -n 's/.*api: \(http:.*\)/\1/p' "$log")
	ask_tcp '' 401 GET /api/accounts
	is '.code == "sign_in"'
	[[ $head == *"WWW-Authenticate: Bearer"* ]]
	ask_tcp '' 201 POST /api/auth/register '{"username":"Anna","password":"correct horse"}'
	is '.user.username == "anna" and .user.admin and .expiresIn == 43200' # the first one
	local token
	token=$(get .token)
	ask_tcp "$token" 200 GET /api/auth/me
	is '.username == "anna"'
	ask_tcp '' 201 POST /api/auth/register '{"username":"bert","password":"correct horse"}'
	is '.user.admin | not' # the second
	ask_tcp "$(get .token)" 403 GET /api/users
	ask_tcp '' 409 POST /api/auth/register '{"username":"anna","password":"correct horse"}'
	ask_tcp '' 409 POST /api/auth/register '{"username":"local","password":"correct horse"}'
	ask_tcp '' 200 POST /api/auth/login '{"username":"anna","password":"correct horse"}'
	ask_tcp "$(get .token)" 200 GET /api/users
	is '.users | length == 2'
	! grep -q horse "$log"
	# A token that was tampered with, one without a signature, one by another key.
	ask_tcp "${token%????}AAAA" 401 GET /api/auth/me
	ask_tcp "$(printf '{"alg":"none","typ":"JWT"}' | base64 -w0 | tr -d =).$(cut -d. -f2 <<<"$token")." 401 GET /api/auth/me
	local signed
	signed=$(printf '{"alg":"HS256","typ":"JWT"}' | base64 -w0 | tr -d =).$(cut -d. -f2 <<<"$token")
	ask_tcp "$signed.$(printf %s "$signed" | openssl dgst -sha256 -hmac guess -binary | base64 -w0 | tr '+/' '-_' | tr -d =)" 401 GET /api/auth/me
}

@test "a name from elsewhere does not count as local" {
	daemon_start --set api.listen=127.0.0.1:0
	url=$(sed -n 's/.*api: \(http:.*\)/\1/p' "$log")
	run -0 curl -sS -H 'Host: rebound.example' -H 'Content-Type: application/json' -d '{"username":"eve","password":"12345678"}' "$url/api/auth/register"
	[[ $output == *'"statusCode":403'* ]]
	# What a form of another site can send is no request.
	run -0 curl -sS -d '{"username":"eve","password":"12345678"}' "$url/api/auth/register"
	[[ $output == *'"statusCode":400'*"Content-Type: application/json"* ]]
	daemon_stop
	daemon_start --set api.listen=127.0.0.1:0 --set users.register=no
	ask 403 POST /api/auth/register '{"username":"eve","password":"12345678"}'
}

@test "a wrong password, and the brake" {
	start
	ask 201 POST /api/users '{"username":"carl","password":"correct horse"}'
	local i
	for i in 1 2 3 4 5; do
		ask_tcp '' 401 POST /api/auth/login '{"username":"carl","password":"wrong horse"}'
		is '.message == "wrong name or password"'
	done
	ask_tcp '' 429 POST /api/auth/login '{"username":"carl","password":"correct horse"}'
	[[ $head =~ Retry-After:\ ([0-9]+) ]]
	((BASH_REMATCH[1] > 30 && BASH_REMATCH[1] <= 60))
	# Others are not held up, and a name that does not exist is answered the same.
	for i in 1 2 3 4 5; do ask_tcp '' 401 POST /api/auth/login '{"username":"nobody","password":"wrong horse"}'; done
	ask_tcp '' 429 POST /api/auth/login '{"username":"nobody","password":"wrong horse"}'
	ask 201 POST /api/users '{"username":"dora","password":"correct horse"}'
	ask_tcp '' 200 POST /api/auth/login '{"username":"dora","password":"correct horse"}'
}

# logins NAME PASSWORD N: at once; their statuses, sorted and counted.
logins()
{
	local i pids=()
	for ((i = 0; i < $3; i++)); do
		curl -sS --max-time 60 -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' \
		    -d "{\"username\":\"$1\",\"password\":\"$2\"}" "$url/api/auth/login" >"$home/login.$i" 3>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	sort "$home"/login.* | uniq -c | awk '{ printf "%s%s:%s", sep, $2, $1; sep = " " }'
	rm "$home"/login.*
}

@test "many sign-ins at once: all of the right ones, and five of the wrong ones" {
	start
	ask 201 POST /api/users '{"username":"carl","password":"correct horse"}'
	[ "$(logins carl 'correct horse' 16)" = 200:16 ]
	run logins carl 'wrong horse' 16
	[ "$output" = "401:5 429:11" ]
	ask_tcp '' 429 POST /api/auth/login '{"username":"carl","password":"correct horse"}'
	# Another's are not counted with them.
	ask 201 POST /api/users '{"username":"dora","password":"correct horse"}'
	[ "$(logins dora 'correct horse' 16)" = 200:16 ]
}

@test "a server in the daemon's own network: refused when it is named, and when a name leads there" {
	local account='{"name":"s","provider":"s3","credentials":{"endpoint":"http://127.0.0.1:9","bucket":"bucket","accessKeyId":"a","secretAccessKey":"b"}}'
	daemon_start --set endpoints.private=no
	ask 403 POST /api/accounts "$account"
	is '.code == "forbidden" and (.message | contains("endpoints.private"))'
	daemon_stop
	daemon_start --set endpoints.private=yes
	ask 201 POST /api/accounts "$account"
	daemon_stop
	# As one that was named when its name meant another address.
	daemon_start --set endpoints.private=no
	ask 403 POST /api/accounts/s/test
	is '.code == "forbidden" and (.message | contains("127.0.0.1") and contains("endpoints.private"))'
}

@test "passwords are changed by who knows them, or an administrator" {
	start
	local long token
	long=$(printf '%01024d' 7)
	ask 201 POST /api/users '{"username":"carl","password":"correct horse"}'
	ask_tcp '' 200 POST /api/auth/login '{"username":"carl","password":"correct horse"}'
	token=$(get .token)
	ask_tcp "$token" 400 PUT /api/auth/password '{"password":"another horse"}'
	ask_tcp "$token" 403 PUT /api/auth/password '{"password":"another horse","currentPassword":"wrong"}'
	ask_tcp "$token" 204 PUT /api/auth/password '{"password":"another horse","currentPassword":"correct horse"}'
	ask_tcp '' 401 POST /api/auth/login '{"username":"carl","password":"correct horse"}'
	# What was signed in with the old one is signed out.
	ask_tcp "$token" 401 GET /api/auth/me
	is '.message | contains("password has changed")'
	ask_tcp '' 200 POST /api/auth/login '{"username":"carl","password":"another horse"}'
	token=$(get .token)
	ask_tcp "$token" 200 GET /api/auth/me
	# Every byte of a long one counts.
	ask 204 PUT /api/users/carl/password "{\"password\":\"$long\"}"
	ask_tcp '' 401 POST /api/auth/login "{\"username\":\"carl\",\"password\":\"${long%7}8\"}"
	ask_tcp '' 200 POST /api/auth/login "{\"username\":\"carl\",\"password\":\"$long\"}"
	ask 400 PUT /api/users/carl/password "{\"password\":\"${long}x\"}"
	is '.message == "'\''password'\'' must have from 8 to 1024 bytes"'
	ask 404 PUT /api/users/nobody/password '{"password":"12345678"}'
}

@test "accounts: add, list, rename, test, remove" {
	start
	ask 200 GET /api/providers
	is '[.[].name] | index("local") != null and index("s3") != null and index("memory") == null'
	is '.[] | select(.name == "s3").fields[] | select(.name == "secretAccessKey").secret'
	ask 200 GET /api/accounts
	is '[.accounts[].name] | sort == ["a","b"]'
	is ".accounts[] | select(.name == \"a\") | .provider == \"local\" and .settings.root == \"$home/a\" and .status == \"ok\""
	local id
	id=$(get '.accounts[] | select(.name == "a").id')
	[[ $id =~ ^$uuid$ ]]
	ask 200 GET "/api/accounts/$id"
	ask 200 PUT "/api/accounts/$id" '{"name":"first"}'
	is '.name == "first"'
	ask 200 GET /api/accounts/first
	is ".id == \"$id\" and .settings.root == \"$home/a\""
	ask 404 GET /api/accounts/a
	is '.message == "there is no account '\''a'\''"'
	ask 409 PUT /api/accounts/first '{"name":"b"}'
	ask 409 POST /api/accounts "{\"name\":\"b\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/a\"}}"
	is '.code == "exists"'
	ask 200 POST /api/accounts/first/test
	is '.ok and .ms >= 0'
	ask 200 PUT /api/accounts/first "{\"credentials\":{\"root\":\"$home/b\"}}"
	ask 200 GET /api/accounts/first
	is ".settings.root == \"$home/b\""
	rmdir "$home/b"
	ask 502 POST /api/accounts/first/test # the account is there, its directory is not
	is '.code == "io"'
	ask 204 DELETE /api/accounts/first
	ask 404 GET /api/accounts/first
}

@test "an account in use stays" {
	start
	echo x >"$home/a/f"
	later d
	ask 409 DELETE /api/accounts/b
	is '.code == "busy"'
	ask 200 POST "/api/transfers/$id/cancel"
	ask 204 DELETE /api/accounts/b
}

@test "no secret comes out" {
	start
	local secret=wJalrXUtnFEMIK7MDENGbPxRfiCY session=FwoGZXIvYXdzEXAMPLE
	ask 201 POST /api/accounts "{\"name\":\"cloud\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"http://127.0.0.1:1\",\"bucket\":\"pail\",\"accessKeyId\":\"AKIDEXAMPLE\",\"secretAccessKey\":\"$secret\",\"sessionToken\":\"$session\"}}"
	is '.settings.bucket == "pail" and (.settings | has("secretAccessKey") | not)'
	local said=$body path
	for path in /api/accounts /api/accounts/cloud '/api/accounts/cloud/files?path=' /api/transfers /api/users /api/auth/me /health /api/providers; do
		said+=$(curl -sS --unix-socket "$socket" "http://skyferry$path")
	done
	said+=$(curl -sS -X POST --unix-socket "$socket" http://skyferry/api/accounts/cloud/test)
	[[ $said == *'"refused"'* ]] # the account was really tried
	[[ $said != *"$secret"* && $said != *"$session"* ]]
	! grep -qF -e "$secret" -e "$session" "$log"
	! grep -rqF -e "$secret" -e "$session" "$state"
	# The one exception: a mount, on the socket, with the daemon's uid.
	ask 200 GET /api/accounts/cloud/credentials
	is ".provider == \"s3\" and .credentials.secretAccessKey == \"$secret\" and .revision >= 1"
	ask 201 POST /api/auth/register '{"username":"anna","password":"correct horse"}'
	ask_tcp "$(get .token)" 403 GET /api/accounts/cloud/credentials
}

@test "local roots: over TCP only where the administrator allows" {
	start --set "local.roots=$home/b"
	ask 201 POST /api/auth/register '{"username":"anna","password":"correct horse"}'
	local token
	token=$(get .token)
	ask_tcp "$token" 403 POST /api/accounts "{\"name\":\"x\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/a\"}}"
	[[ $(get .message) == *local.roots* ]]
	ask_tcp "$token" 201 POST /api/accounts "{\"name\":\"x\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/b\"}}"
	# A symlink leads out neither when the account is made nor when it takes the place of its root.
	ln -s ../a "$home/b/link"
	mkdir "$home/b/own"
	echo secret >"$home/a/f"
	ask_tcp "$token" 403 POST /api/accounts "{\"name\":\"y\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/b/link\"}}"
	ask_tcp "$token" 201 POST /api/accounts "{\"name\":\"y\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/b/own\"}}"
	mv -T "$home/b/own" "$home/b/other" && mv -T "$home/b/link" "$home/b/own"
	ask_tcp "$token" 403 GET /api/accounts/y/files
	[[ $(get .message) == *symlink* ]]
}

@test "what another user has does not exist" {
	start --set "local.roots=$home"
	echo x >"$home/a/f"
	ask 201 POST /api/auth/register '{"username":"anna","password":"correct horse"}'
	local token account path
	token=$(get .token)
	later d
	ask 200 GET /api/accounts/a
	account=$(get .id)
	for path in "/accounts/$account" /accounts/a "/accounts/$account/files" "/accounts/$account/keys" "/accounts/$account/file?path=f" "/accounts/$account/usage" "/transfers/$id" "/overlay?accountId=$account"; do
		ask_tcp "$token" 404 GET "/api$path"
	done
	ask_tcp "$token" 404 DELETE "/api/accounts/$account"
	ask_tcp "$token" 404 PUT "/api/accounts/$account" '{"name":"mine"}'
	ask_tcp "$token" 404 POST "/api/accounts/$account/test"
	ask_tcp "$token" 404 DELETE "/api/accounts/$account/file?path=f"
	ask_tcp "$token" 404 DELETE "/api/accounts/$account/file?key=f"
	ask_tcp "$token" 404 POST "/api/transfers/$id/cancel"
	ask_tcp "$token" 404 POST "/api/transfers/$id/retry"
	ask_tcp "$token" 404 POST /api/transfers "{\"sourceAccountId\":\"$account\",\"sourcePath\":\"f\",\"destinationAccountId\":\"$account\",\"destinationPath\":\"g\"}"
	ask_tcp "$token" 404 POST /api/changes "{\"kind\":\"remove\",\"accountId\":\"$account\",\"path\":\"f\"}"
	ask_tcp "$token" 404 POST /api/changes "{\"kind\":\"remove\",\"accountId\":\"$account\",\"key\":\"f\"}"
	ask_tcp "$token" 404 POST /api/transfers "{\"sourceAccountId\":\"$account\",\"sourceKey\":\"f\",\"destinationAccountId\":\"$account\",\"destinationPath\":\"g\"}"
	ask_tcp "$token" 200 GET /api/transfers
	is '.total == 0 and .transfers == []'
	ask_tcp "$token" 200 GET /api/accounts
	is '.accounts == []'
	# The same names are free for others, an id is not.
	ask_tcp "$token" 201 POST /api/accounts "{\"name\":\"a\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/a\"}}"
	ask_tcp "$token" 409 POST /api/transfers "{\"id\":\"$id\",\"sourceAccountId\":\"a\",\"sourcePath\":\"f\",\"destinationAccountId\":\"a\",\"destinationPath\":\"g\"}"
	# Nor do events cross.
	events_open
	ask_tcp "$token" 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"f","destinationAccountId":"a","destinationPath":"theirs"}'
	ask 200 POST "/api/transfers/$id/cancel"
	events_until change .
	is ".id == \"$id\""
	events_close
}

@test "messages say what is wrong" {
	start
	local base='"sourceAccountId":"a","sourcePath":"f","destinationAccountId":"b","destinationPath":"g"'
	refused()
	{
		ask 400 "$1" "$2" "$3"
		[ "$(get .message)" = "$4" ] && is '.code == "invalid"' && return 0
		echo "said: $(get .message)"
		return 1
	}
	refused POST /api/transfers "{$base,\"priority\":11}" "'priority' must be a whole number from 0 to 10"
	refused POST /api/transfers "{$base,\"priority\":1.5}" "'priority' must be a whole number from 0 to 10"
	refused POST /api/transfers "{$base,\"move\":\"yes\"}" "'move' must be true or false"
	refused POST /api/transfers "{$base,\"notBefore\":\"tomorrow\"}" "'notBefore' must be a time such as \"2026-11-23T07:00:00Z\""
	refused POST /api/transfers "{$base,\"id\":\"1\"}" "'id' must be a UUID"
	refused POST /api/transfers "{$base,\"colour\":1}" "unknown field 'colour'"
	refused POST /api/transfers "{\"sourceAccountId\":\"a\"}" "'sourcePath' is required"
	refused POST /api/transfers '' "'sourceAccountId' is required"
	refused POST /api/transfers '{"sourceAccountId":"a","sourcePath":"/","destinationAccountId":"b","destinationPath":"g"}' "'sourcePath' must not be the account's root"
	refused POST /api/transfers '{"sourceAccountId":"a","sourcePath":"/x/y/","destinationAccountId":"a","destinationPath":"x/y"}' "source and destination are the same: 'x/y'"
	ask 400 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"x/../y","destinationAccountId":"b","destinationPath":"g"}'
	ask 404 POST /api/transfers '{"sourceAccountId":"z","sourcePath":"f","destinationAccountId":"b","destinationPath":"g"}'
	is '.message == "there is no account '\''z'\''"'
	refused POST /api/accounts '{"name":"-x","provider":"local","credentials":{}}' "'name' must be 1 to 64 characters of A-Z a-z 0-9 . _ -, not starting with . or -"
	ask 400 POST /api/accounts '{"name":"x","provider":"floppy","credentials":{}}'
	ask 400 POST /api/accounts '{"name":"x","provider":"local","credentials":{}}'
	[[ $(get .message) == *root* ]]
	ask 400 POST /api/accounts "{\"name\":\"x\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/none\"}}"
	ask 400 POST /api/accounts "{\"name\":\"x\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/a\",\"colour\":\"x\"}}"
	[[ $(get .message) == *colour* ]]
	refused PUT /api/accounts/a '{}' "give a new 'name', 'bandwidth', 'requestRate', 'concurrency' or new 'credentials'"
	refused POST /api/auth/register '{"username":"a b","password":"12345678"}' "'username' must be 1 to 64 characters of a-z 0-9 . _ - @"
	refused POST /api/auth/register '{"username":"x","password":"1234567"}' "'password' must have from 8 to 1024 bytes"
	refused POST /api/changes '{"kind":"transfer","accountId":"a","path":"x"}' "'kind' must be remove, rmdir, mkdir, rename or setattr, not 'transfer' (transfers go to /api/transfers)"
	refused POST /api/changes '{"kind":"mkdir","accountId":"a","path":"x","tree":true}' "'tree' means nothing for 'mkdir'"
	refused POST /api/changes '{"kind":"rename","accountId":"a","path":"x"}' "'newPath' is required for 'rename'"
	refused POST /api/changes '{"kind":"rename","accountId":"a","path":"x","newPath":"x/y","tree":true}' "'x' cannot be moved into itself"
	refused GET '/api/transfers?limit=1001' '' "'limit' must be a whole number from 1 to 1000"
	refused GET '/api/transfers?limit=ten' '' "'limit' must be a whole number from 1 to 1000"
	refused GET '/api/transfers?status=done' '' "'status': there is no 'done'"
	refused GET '/api/transfers?sortBy=size' '' "'sortBy' must be createdAt, priority, status or finishedAt"
	refused GET '/api/transfers?colour=1' '' "unknown field 'colour'"
	refused GET '/api/transfers?page=1&page=2' '' "the query's 'page' is there twice"
	refused GET '/api/events?kinds=all' '' "'kinds' must be some of change, progress, account, joined by commas"
	ask 200 GET /api/transfers
	is '.total == 0' # nothing of this was accepted
}

@test "what is no JSON, too deep or too large" {
	start
	ask 400 POST /api/transfers '{"sourceAccountId":'
	[[ $(get .message) == "the body is no JSON object: line 1, "* ]]
	ask 400 POST /api/transfers '[]'
	ask 400 POST /api/transfers '{"move":true,"move":false}'
	[[ $(get .message) == *duplicate* ]]
	ask 400 POST /api/transfers "$(printf '{"a":%0200d}' 0 | sed 's/0/[/g')"
	is '.message == "the body nests deeper than 16 levels"'
	ask 400 POST /api/transfers $'{"sourcePath":"\xff"}'
	ask 400 GET '/api/accounts/a/files?path=%FF'
	ask 400 GET '/api/accounts/a/files?path=x%00y'
	head -c 1100000 /dev/zero | tr '\0' ' ' >"$home/large"
	run -0 curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$socket" --data-binary "@$home/large" http://skyferry/api/transfers
	[ "$output" = 413 ]
	run -0 curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$socket" -H "X-Large: $(printf '%020000d' 0)" http://skyferry/health
	[ "$output" = 400 ]
	ask 200 GET /health
}

@test "a transfer completes and is verified" {
	start
	content 1 3000000 >"$home/a/f"
	transfer_await completed '{"sourceAccountId":"a","sourcePath":"/f","destinationAccountId":"b","destinationPath":"deep/down/g"}'
	cmp "$home/a/f" "$home/b/deep/down/g"
	ask 200 GET "/api/transfers/$id"
	is '.status == "completed" and .bytesTotal == 3000000 and .bytesDone == 3000000 and .attempts == 1'
	is '(.route | length > 0) and (.verified | length > 0) and .sourcePath == "f" and .destinationPath == "deep/down/g"'
	is '(.startedAt | endswith("Z")) and .finishedAt >= .startedAt and .startedAt >= .createdAt and (has("error") | not)'
	ask 200 GET '/api/accounts/b/files?path=deep'
	is '.entries == [{"name":"down","path":"deep/down","kind":"directory","size":0} + (.entries[0] | {mtime, version} | with_entries(select(.value != null)))]'
	ask 200 GET '/api/accounts/b/file?path=deep/down/g'
	is '.name == "g" and .kind == "file" and .size == 3000000 and (.version | length > 0)'
	ask 200 GET /api/accounts/b/usage
	is '.total > .available'
	# Its end does not come back.
	ask 409 POST "/api/transfers/$id/cancel"
	is '.code == "already"'
	ask 409 POST "/api/transfers/$id/retry"
}

@test "a repeated id is one transfer; overwrite=false is looked after" {
	start
	echo one >"$home/a/f"
	local body_json='{"id":"00000000-0000-4000-8000-00000000000A","sourceAccountId":"a","sourcePath":"f","destinationAccountId":"b","destinationPath":"g","overwrite":false}'
	transfer_await completed "$body_json"
	[ "$id" = 00000000-0000-4000-8000-00000000000a ]
	ask 201 POST /api/transfers "$body_json"
	is '.status == "completed"'
	ask 200 GET /api/transfers
	is '.total == 1'
	ask 409 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"f","destinationAccountId":"b","destinationPath":"g","overwrite":false}'
	is '.code == "exists" and .message == "'\''g'\'' exists in the account '\''b'\'', and '\''overwrite'\'' is false"'
}

@test "overwrite=false does not wait long for a cloud that is stalled" {
	start
	stall
	ask 201 POST /api/accounts "{\"name\":\"slow\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"http://127.0.0.1:$stall_port\",\"bucket\":\"pail\",\"accessKeyId\":\"k\",\"secretAccessKey\":\"s\"}}"
	local began=$SECONDS
	ask 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"f","destinationAccountId":"slow","destinationPath":"g","overwrite":false,"notBefore":"2100-01-01T00:00:00Z"}'
	((SECONDS - began < 10))
	# Somebody hangs up meanwhile: nothing comes of it.
	run ! curl -sS --max-time 0.3 --unix-socket "$socket" -X POST http://skyferry/api/accounts/slow/test
	run ! curl -sS --max-time 0.3 --unix-socket "$socket" http://skyferry/api/accounts/slow/files
	ask 200 GET /health
	# And one that runs can be cancelled.
	events_open
	ask 201 POST /api/transfers '{"sourceAccountId":"slow","sourcePath":"f","destinationAccountId":"b","destinationPath":"h"}'
	id=$(get .id)
	events_until change ".id == \"$id\" and .status == \"running\""
	ask 200 POST "/api/transfers/$id/cancel"
	is '.status == "cancelled" or (.status == "running" and .cancelRequested)'
	events_until change ".id == \"$id\" and .status == \"cancelled\""
	events_close
}

@test "files: list, and remove through the queue" {
	start
	mkdir "$home/a/z" "$home/a/ä"
	touch "$home/a/b" "$home/a/a b" "$home/a/100%"
	ask 200 GET /api/accounts/a/files
	is '[.entries[].name] == ["z","ä","100%","a b","b"] and .path == ""'
	ask 404 GET '/api/accounts/a/files?path=none'
	ask 400 GET /api/accounts/a/file
	events_open
	ask 202 DELETE '/api/accounts/a/file?path=a%20b'
	is '.kind == "remove" and .destinationPath == "a b"'
	id=$(get .id)
	events_until change ".id == \"$id\" and .status == \"completed\""
	events_close
	[ ! -e "$home/a/a b" ]
}

@test "keys: only of stores that have them, and where they can be meant" {
	start
	skyferry account add --no-test s3 s3 endpoint=http://127.0.0.1:1 bucket=none
	ask 501 GET /api/accounts/a/keys
	[[ $(get .message) == "the account 'a' has paths, but no keys"* ]]
	ask 501 DELETE '/api/accounts/a/file?key=x'
	ask 501 POST /api/changes '{"kind":"remove","accountId":"a","key":"../x"}'
	ask 501 POST /api/transfers '{"sourceAccountId":"a","sourceKey":"../x","destinationAccountId":"b","destinationPath":"g"}'
	ask 400 DELETE /api/accounts/s3/file
	is ".message == \"'path' is required\""
	ask 400 DELETE '/api/accounts/s3/file?path=x&key=y'
	is ".message == \"give 'path' or 'key', not both\""
	ask 400 DELETE '/api/accounts/s3/file?key='
	ask 400 POST /api/changes '{"kind":"mkdir","accountId":"s3","key":"d/"}'
	is ".message == \"'key' means nothing for 'mkdir'\""
	ask 400 POST /api/changes '{"kind":"remove","accountId":"s3"}'
	ask 400 POST /api/transfers '{"sourceAccountId":"s3","sourceKey":"d/","destinationAccountId":"b","destinationPath":"g","recursive":true}'
	is ".message == \"'sourceKey' means nothing for a directory ('recursive')\""
	ask 400 POST /api/transfers '{"sourceAccountId":"s3","sourcePath":"d//x","destinationAccountId":"b","destinationPath":"g"}'
	ask 201 POST /api/changes '{"kind":"remove","accountId":"s3","key":"d//x"}'
	is '.byKey and .destinationPath == "d//x"'
	ask 201 POST /api/transfers '{"sourceAccountId":"s3","sourceKey":"/d/../x/","destinationAccountId":"b","destinationPath":"g"}'
	is '.byKey and .sourcePath == "/d/../x/"'
	# A mount that begins now is told of them, and they are no names in it.
	ask 200 GET "/api/overlay?accountId=s3&dir="
}

@test "changes: mkdir, rename, setattr, rmdir" {
	start
	events_open
	done_with()
	{
		ask 201 POST /api/changes "$1"
		id=$(get .id)
		events_until change ".id == \"$id\" and .status == \"completed\""
	}
	done_with '{"kind":"mkdir","accountId":"a","path":"d"}'
	[ -d "$home/a/d" ]
	echo x >"$home/a/d/f"
	done_with '{"kind":"rename","accountId":"a","path":"d","newPath":"e","tree":true}'
	[ -f "$home/a/e/f" ] && [ ! -e "$home/a/d" ]
	is '.sourcePath == "d" and .destinationPath == "e" and .tree and .sourceAccountId == .destinationAccountId'
	done_with '{"kind":"setattr","accountId":"a","path":"e/f","mtimeNs":1000000000123456789}'
	[ "$(stat -c %Y "$home/a/e/f")" = 1000000000 ]
	done_with '{"kind":"remove","accountId":"a","path":"e/f"}'
	done_with '{"kind":"rmdir","accountId":"a","path":"e"}'
	[ ! -e "$home/a/e" ]
	events_close
}

@test "cancel, retry, and a failure that says why" {
	start
	transfer_await failed '{"sourceAccountId":"a","sourcePath":"none","destinationAccountId":"b","destinationPath":"g"}'
	ask 200 GET "/api/transfers/$id"
	is '.error.code == "not_found" and (.error.message | contains("none"))'
	ask 200 GET /health
	is '.changes.failed == 1'
	echo x >"$home/a/none"
	events_open "?transfer=$id"
	ask 200 POST "/api/transfers/$id/retry"
	is '.status == "queued"'
	events_until change '.status == "completed"'
	events_close
	later d
	ask 200 POST "/api/transfers/$id/cancel"
	is '.status == "cancelled"'
	ask 409 POST "/api/transfers/$id/cancel"
	# A failed one is dismissed.
	transfer_await failed '{"sourceAccountId":"a","sourcePath":"gone","destinationAccountId":"b","destinationPath":"h"}'
	ask 200 POST "/api/transfers/$id/cancel"
	is '.status == "cancelled"'
	ask 409 POST "/api/transfers/$id/cancel"
	ask 200 GET /health
	is '.changes.failed == 0'
	# What a cancel takes along is told in the log.
	later e
	local first=$id
	ask 201 POST /api/transfers '{"sourceAccountId":"b","sourcePath":"e","destinationAccountId":"b","destinationPath":"f"}'
	id=$(get .id)
	ask 200 POST "/api/transfers/$first/cancel"
	ask 200 GET "/api/transfers/$id"
	is '.error.code == "predecessor_failed"'
	grep -q "$id: transfer of 'f' failed: .*was cancelled" "$log"
	ask 404 POST /api/transfers/00000000-0000-4000-8000-000000000000/cancel
	ask 404 POST /api/transfers/x/retry
}

@test "the list: pages, order, what is asked for" {
	start
	local i
	for i in 1 2 3 4 5 6 7; do later "d$i" "\"priority\":$((i % 3))"; done
	ask 200 POST "/api/transfers/$id/cancel"
	ask 200 GET '/api/transfers?limit=3'
	is '.total == 7 and .pages == 3 and .page == 1 and .limit == 3'
	is '[.transfers[].destinationPath] == ["d7","d6","d5"]'
	ask 200 GET '/api/transfers?limit=3&page=3'
	is '[.transfers[].destinationPath] == ["d1"]'
	ask 200 GET '/api/transfers?limit=3&page=4'
	is '.transfers == [] and .total == 7'
	ask 200 GET '/api/transfers?sortOrder=asc&limit=2'
	is '[.transfers[].destinationPath] == ["d1","d2"]'
	ask 200 GET '/api/transfers?status=cancelled'
	is '[.transfers[].destinationPath] == ["d7"] and .total == 1'
	ask 200 GET '/api/transfers?status=queued,cancelled'
	is '.total == 7'
	ask 200 GET '/api/transfers?kind=mkdir,remove'
	is '.total == 0'
	ask 200 GET '/api/transfers?sortBy=priority&sortOrder=desc&status=queued'
	is '[.transfers[].priority] == [2,2,1,1,0,0]'
	ask 200 GET '/api/transfers?sortBy=status&sortOrder=asc'
	is '[.transfers[].status] | unique | length == 2'
	ask 200 GET '/api/transfers?sortBy=finishedAt&sortOrder=desc&limit=1'
	is '.transfers[0].destinationPath == "d7"'
}

@test "one path, in order: who waits says so" {
	start
	echo x >"$home/a/f"
	later g
	local first=$id
	ask 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"f","destinationAccountId":"b","destinationPath":"g"}'
	is '.waiting and .status == "queued"'
	id=$(get .id)
	ask 200 GET "/api/transfers/$first"
	is '.waiting | not'
	ask 200 GET '/api/overlay?accountId=b'
	is '[.changes[].destinationPath] == ["g","g"] and .seq > 0 and .changes[0].segments[0].path == "f"'
	ask 200 GET '/api/overlay?accountId=b&dir=elsewhere'
	is '.changes == []'
}

@test "events: numbers that grow by one, what is asked for, and the end" {
	start
	echo x >"$home/a/f"
	mkfifo "$home/all"
	curl -sSN --unix-socket "$socket" http://skyferry/api/events >"$home/all" 3>&- &
	local all=$!
	exec 8<"$home/all"
	events_open '?kinds=account'
	ask 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"f","destinationAccountId":"b","destinationPath":"g"}'
	ask 200 PUT /api/accounts/b '{"name":"c"}'
	events_until account .
	is '.name == "c" and .event == "changed"'
	kill -TERM "$daemon"
	events_until bye .
	# The other reader has seen everything, in order, without a gap, to the end of its connection.
	cat <&8 >"$home/seen"
	exec 8<&-
	wait "$all"
	grep -q '^event: change' "$home/seen"
	sed -n 's/^id: //p' "$home/seen" | sort -nu | awk 'NR > 1 && $1 != last + 1 { exit 1 } { last = $1 }'
	sed -n 's/^id: //p' "$home/seen" | sort -nc
	[ "$(sed -n 's/^event: //p' "$home/seen" | tail -n 1)" = bye ]
	wait "$daemon"
	daemon=
	events_close
}

@test "a reader that falls behind is let go, and nobody else waits for it" {
	start
	# Two that take nothing: one is stopped, the other's output is not read.
	curl -sSN --unix-socket "$socket" http://skyferry/api/events >/dev/null 3>&- &
	local slow=$! i deep
	events_open
	kill -STOP "$slow"
	deep=$(printf "%0240d/" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
	for ((i = 0; i < 400; i++)); do
		printf 'next\nurl = "http://skyferry/api/transfers"\nunix-socket = "%s"\noutput = /dev/null\nheader = "Content-Type: application/json"\n' "$socket"
		printf 'data = "{\\"sourceAccountId\\":\\"a\\",\\"sourcePath\\":\\"%sf\\",\\"destinationAccountId\\":\\"b\\",\\"destinationPath\\":\\"%s%d\\",\\"notBefore\\":\\"2100-01-01T00:00:00Z\\"}"\n' "$deep" "$deep" "$i"
	done | sed 1d >"$home/many"
	curl -sS -K "$home/many" 7<&- 3>&-
	ask 200 GET '/api/transfers?limit=1'
	is '.total == 400'
	[ "$(grep -c 'a reader of events is more than 1 MiB behind' "$log")" = 2 ]
	kill -CONT "$slow"
	wait "$slow" || true # its connection has ended, so it does
	cat <&7 >/dev/null
	events_close
}

@test "accounts by the names of clouds' owners" {
	start
	ask 201 POST /api/accounts '{"name":"s","provider":"aws","credentials":{"region":"eu-west-1","bucket":"pail"}}'
	is '.provider == "s3"'
	ask 201 POST /api/accounts '{"name":"g","provider":"google","credentials":{"bucket":"pail"}}'
	is '.provider == "gcs"'
	ask 201 POST /api/accounts '{"name":"p","provider":"google","credentials":{"endpoint":"http://127.0.0.1:1","project":"proj"}}'
	is '.provider == "gcs"'
	ask 400 POST /api/accounts '{"name":"k","provider":"google","credentials":{"serviceAccount":"{}"}}'
	is '.message | contains("serviceAccount")'
	# Whatever else is Google's is Drive.
	run ! api POST /api/accounts '{"name":"d","provider":"google","credentials":{"nothing":"x"}}'
	! [[ $output == *gcs* ]]
	ask 200 GET /api/accounts
	is '[.accounts[].provider] | sort == ["gcs", "gcs", "local", "local", "s3"]'
}

@test "pending writes: made, replaced, committed, held, removed" {
	start --set mount.lease=10m # nobody is connected, and the machine may be slow
	local mount p=00000000-0000-4000-8000-000000000001 spool
	ask 201 POST /api/mounts '{"directory":"/mnt/x"}'
	mount=$(get .id) spool=$(get .spool)
	is '.settle == 1000'
	[[ $spool == "$state"/spool/* && $(stat -c %a "$spool") == 700 ]]
	printf 'hello world' >"$spool/s1"
	ask 200 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w\",\"segments\":[]}"
	is '.status == "pending" and .segments == [{"zero":true,"length":0}]' # an empty file
	ask 200 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w2\",\"segments\":[{\"spool\":\"s1\",\"offset\":0,\"length\":5},{\"zero\":true,\"length\":3}],\"mtimeNs\":1000000000000000000}"
	is '.destinationPath == "w2" and (.segments | length == 2) and .mtimeSet == null'
	ask 200 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w2\",\"segments\":[{\"spool\":\"s1\",\"offset\":0,\"length\":5},{\"zero\":true,\"length\":3}],\"mtimeNs\":1000000000000000000,\"mtimeSet\":false}"
	is '.mtimeSet == false and .mtimeNs == 1000000000000000000' # when it was written, and nobody's wish
	ask 200 GET /api/mounts
	is ".mounts == [{\"id\":\"$mount\",\"directory\":\"/mnt/x\",\"connected\":false,\"pending\":1}]"
	ask 200 GET '/api/overlay?accountId=a&dir='
	is '[.changes[] | [.destinationPath, .status]] == [["w2","pending"]]'
	# Refused: another's mount, a spool name that leads out, an account that is not there.
	ask 404 PUT "/api/pending/$p" "{\"mountId\":\"00000000-0000-4000-8000-0000000000ff\",\"accountId\":\"a\",\"path\":\"w\",\"segments\":[]}"
	ask 400 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w\",\"segments\":[{\"spool\":\"../master.key\",\"offset\":0,\"length\":5}]}"
	ask 404 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w\",\"segments\":[{\"account\":\"z\",\"path\":\"f\",\"offset\":0,\"length\":5}]}"
	[[ $(get .message) == "segment 0: "*"'z'"* ]]
	ask 400 PUT /api/pending/1 '{}'
	ask 200 POST "/api/pending/$p/commit" '{"settle":3600000}'
	is '.status == "queued" and (.notBefore | length > 0)'
	ask 409 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w\",\"segments\":[]}"
	is '.code == "busy"'
	ask 200 POST "/api/pending/$p/hold" "{\"mountId\":\"$mount\"}"
	is '.status == "pending"'
	events_open
	ask 200 POST "/api/pending/$p/commit" '{"settle":0}'
	events_until change ".id == \"$p\" and .status == \"completed\""
	events_close
	[ "$(od -An -c "$home/a/w2" | tr -d ' \n')" = 'hello\0\0\0' ]
	[ "$(stat -c %Y "$home/a/w2")" = 1000000000 ]
	ask 409 POST "/api/pending/$p/hold" "{\"mountId\":\"$mount\"}"
	# One that is given up.
	p=00000000-0000-4000-8000-000000000002
	ask 200 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"gone\",\"segments\":[]}"
	ask 204 DELETE "/api/pending/$p"
	ask 200 GET "/api/transfers/$p"
	is '.status == "cancelled"'
	# Unmounting queues what is left.
	p=00000000-0000-4000-8000-000000000003
	ask 200 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"left\",\"segments\":[]}"
	events_open
	ask 204 DELETE "/api/mounts/$mount"
	events_until change ".id == \"$p\" and .status == \"completed\""
	events_close
	[ -e "$home/a/left" ]
	ask 200 GET /api/mounts
	is '.mounts == []'
	ask 404 DELETE "/api/mounts/$mount"
	# None of this is for TCP.
	ask 201 POST /api/auth/register '{"username":"anna","password":"correct horse"}'
	ask_tcp "$(get .token)" 403 POST /api/mounts '{"directory":"/mnt/x"}'
}

@test "a mount's lease: held by its connection, ended without, kept over a restart" {
	start --set mount.lease=1s
	local mount lease p=00000000-0000-4000-8000-000000000001
	ask 201 POST /api/mounts '{"directory":"/mnt/x"}'
	mount=$(get .id)
	mkfifo "$home/lease"
	curl -sSN --unix-socket "$socket" "http://skyferry/api/events?mount=$mount" >"$home/lease" 3>&- &
	lease=$!
	exec 8<"$home/lease"
	read -r -u 8 _
	ask 200 PUT "/api/pending/$p" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w\",\"segments\":[]}"
	ask 200 GET /api/mounts
	is '.mounts[0].connected and .mounts[0].pending == 1'
	# The daemon is killed; the mount, its id and its pending write are there again.
	daemon_kill
	wait "$lease" || true
	daemon_start --set mount.lease=1s
	ask 200 GET /api/mounts
	is ".mounts == [{\"id\":\"$mount\",\"directory\":\"/mnt/x\",\"connected\":false,\"pending\":1}]"
	exec 8<&-
	rm "$home/lease" && mkfifo "$home/lease"
	curl -sSN --unix-socket "$socket" "http://skyferry/api/events?mount=$mount" >"$home/lease" 3>&- &
	lease=$!
	exec 8<"$home/lease"
	read -r -u 8 _
	ask 200 GET /api/mounts
	is '.mounts[0].connected'
	events_open
	kill "$lease"
	exec 8<&-
	wait "$lease" || true
	events_until change ".id == \"$p\" and .status == \"completed\""
	events_close
	[ -e "$home/a/w" ]
	ask 200 GET /api/mounts
	is '.mounts == []'
	# It comes back late, and goes on.
	ask 200 PUT "/api/pending/00000000-0000-4000-8000-000000000002" "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"w2\",\"segments\":[]}"
	ask 404 GET '/api/events?mount=00000000-0000-4000-8000-0000000000ff'
}

@test "where the API listens" {
	local port other
	fails()
	{
		run ! timeout 20 skyferryd --set api.listen=none "${@:2}"
		[[ $output == *"$1"* ]]
	}
	fails 'api.listen must be an address and a port' --set api.listen=3000
	fails 'api.listen must be an address and a port' --set api.listen=localhost:3000
	fails 'api.public' --set api.listen=0.0.0.0:0
	daemon_start --set api.listen=127.0.0.1:0
	url=$(sed -n 's/.*api: \(http:.*\)/\1/p' "$log")
	port=${url##*:}
	other=$home/other && mkdir -m 700 "$other"
	fails "the port of api.listen 127.0.0.1:$port is in use" --set "state.dir=$other/s" --set "runtime.dir=$other" --set "api.listen=127.0.0.1:$port"
	fails 'another daemon answers on api.socket' --set "state.dir=$other/s" --set "runtime.dir=$other" --set "api.socket=$socket"
	fails 'api.socket' --set "state.dir=$other/s" --set "runtime.dir=$other" --set "api.socket=$other/$(printf '%0120d' 0)"
	ask 200 GET /health # the first one has kept its socket
	# One that was killed leaves its socket; the next one takes the place.
	daemon_kill
	[ -S "$socket" ]
	daemon_start --set 'api.listen=[::1]:0' || daemon_start
	ask 200 GET /health
	daemon_stop
	[ ! -e "$socket" ]
}

@test "a daemon that stops takes no changes" {
	start
	stall
	ask 201 POST /api/accounts "{\"name\":\"slow\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"http://127.0.0.1:$stall_port\",\"bucket\":\"pail\",\"accessKeyId\":\"k\",\"secretAccessKey\":\"s\"}}"
	events_open
	ask 201 POST /api/transfers '{"sourceAccountId":"slow","sourcePath":"f","destinationAccountId":"b","destinationPath":"h"}'
	id=$(get .id)
	events_until change ".id == \"$id\" and .status == \"running\""
	# A connection that is there before goes on while the running one is waited for.
	run -0 python3 -c 'import http.client, os, signal, socket, sys
c = http.client.HTTPConnection("skyferry")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect(sys.argv[1])
def ask(method, path, body=None):
    c.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    r = c.getresponse()
    return r.status, r.read().decode(), r.getheader("Retry-After")
assert ask("GET", "/health")[0] == 200
os.kill(int(sys.argv[2]), signal.SIGTERM)
while ask("GET", "/health")[0] == 200: pass
print(*ask("GET", "/health"))
print(*ask("POST", "/api/changes", "{\"kind\":\"mkdir\",\"accountId\":\"a\",\"path\":\"d\"}"))
os.kill(int(sys.argv[2]), signal.SIGTERM)' "$socket" "$daemon"
	[[ ${lines[0]} == '503 {"status":"draining"'* ]]
	[[ ${lines[1]} == '503 {"statusCode":503'*'"code":"stopping"}'\ [1-9]* ]]
	events_until bye .
	events_close
	wait "$daemon"
	daemon=
	[ ! -e "$home/a/d" ]
}

@test "a test of an account becomes its status, and an account that is back works again" {
	start
	mkdir "$home/comes"
	api POST /api/accounts "{\"name\":\"comes\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/comes\"}}"
	api POST /api/accounts/comes/test
	# The status is there with the answer, not some time after it: it is asked for at once, on the same connection.
	run -0 python3 -c 'import http.client, json, os, socket, sys
c = http.client.HTTPConnection("skyferry")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect(sys.argv[1])
def ask(method, path):
    c.request(method, path)
    r = c.getresponse()
    return r.status, json.loads(r.read())
for _ in range(30):
    os.rmdir(sys.argv[2])
    assert ask("POST", "/api/accounts/comes/test")[0] >= 400
    account = ask("GET", "/api/accounts/comes")[1]
    assert account["status"] == "error" and account["message"], account
    os.mkdir(sys.argv[2])
    assert ask("POST", "/api/accounts/comes/test")[0] == 200
    account = ask("GET", "/api/accounts/comes")[1]
    assert account["status"] == "ok", account' "$socket" "$home/comes"
}

@test "limits of an account: given with it, changed, kept; and the pairs that it is in" {
	local id
	start --set drivers.test=yes
	ask 201 POST /api/accounts '{"name":"m","provider":"memory","credentials":{"server":"m"},"bandwidth":5000000,"requestRate":20,"concurrency":3}'
	jq -e '.bandwidth == 5000000 and .requestRate == 20 and .concurrency == 3 and .pairs == []' <<<"$body"
	ask 400 PUT /api/accounts/m '{"requestRate":-1}'
	ask 400 PUT /api/accounts/m '{"concurrency":100001}'
	ask 200 PUT /api/accounts/m '{"concurrency":2}'
	jq -e '.bandwidth == 5000000 and .requestRate == 20 and .concurrency == 2' <<<"$body"
	daemon_stop
	daemon_start --set drivers.test=yes
	api GET /api/accounts/m | jq -e '.bandwidth == 5000000 and .requestRate == 20 and .concurrency == 2'
	# Twelve requests and more: at 20 a second they take half a second.
	local before=${EPOCHREALTIME/./}
	for i in {1..12}; do
		printf x >"$home/a/f$i"
		api POST /api/transfers "{\"sourceAccountId\":\"a\",\"sourcePath\":\"f$i\",\"destinationAccountId\":\"m\",\"destinationPath\":\"f$i\"}" >/dev/null
	done
	skyferry transfer wait --all --timeout 60 --quiet
	[ $((${EPOCHREALTIME/./} - before)) -ge 500000 ]
	id=$(api GET /api/accounts/m | jq -r .id)
	api GET /api/accounts/m | jq -e --arg id "$id" '.pairs | length == 1 and .[0].destinationAccountId == $id
	    and (.[0].sourceAccountId | length == 36) and .[0].running == 0 and .[0].concurrency >= 1 and (.[0].reason | length > 0)'
	api GET /api/accounts/b | jq -e '.pairs == []'
	skyferry account limit m 10M --requests 0 --concurrency 0
	api GET /api/accounts/m | jq -e '.bandwidth == 10485760 and (has("requestRate") or has("concurrency") | not)'
	run -2 skyferry account limit m
	[[ $output == *"no limit is given"* ]]
	run -2 skyferry account limit m --requests many
	skyferry account add --no-test --bandwidth 1M --requests 7 --concurrency 5 n memory server=n
	run skyferry account show n
	[[ $output == *"Bandwidth        1048576"* && $output == *"Requests/s       7"* && $output == *"Concurrency      5"* ]]
}

@test "bandwidth: of all, of an account, of a transfer; changed while they run" {
	local id
	mkdir -p "$XDG_CONFIG_HOME/skyferry"
	printf '[transfer]\nbandwidth = 1K\n' >"$XDG_CONFIG_HOME/skyferry/skyferry.conf"
	start --set drivers.test=yes
	api POST /api/accounts '{"name":"m","provider":"memory","credentials":{"server":"m"}}' >/dev/null
	content 1 2000000 >"$home/a/large"

	id=$(slow '')
	printf '[transfer]\nbandwidth = 0\n' >"$XDG_CONFIG_HOME/skyferry/skyferry.conf"
	kill -HUP "$daemon"
	skyferry transfer wait "$id" --timeout 60 --quiet

	ask 200 PUT /api/accounts/m '{"bandwidth":1000}'
	[ "$(jq .bandwidth <<<"$body")" = 1000 ]
	id=$(slow '')
	skyferry account limit m 0
	skyferry transfer wait "$id" --timeout 60 --quiet

	id=$(slow ',"bandwidth":1000')
	[ "$(api GET "/api/transfers/$id" | jq .bandwidth)" = 1000 ]
	ask 400 PUT "/api/transfers/$id" '{"bandwidth":-1}'
	skyferry transfer limit "$id" 1G
	skyferry transfer wait "$id" --timeout 60 --quiet
	ask 409 PUT "/api/transfers/$id" '{"bandwidth":0}'
	run -2 skyferry transfer limit "$id" fast
	[[ $output == *"bytes a second"* ]]
}

# A transfer with a limit, which holds: others have come and gone, and it still runs.  Its id; MORE: members
# of the request.
slow()
{
	local id
	id=$(api POST /api/transfers '{"sourceAccountId":"a","sourcePath":"large","destinationAccountId":"m",
	    "destinationPath":"large"'"$1"'}' | jq -r .id)
	for _ in 1 2 3; do
		skyferry cp -q a:large b:large >&2
	done
	[ "$(api GET "/api/transfers/$id" | jq -r .status)" = running ]
	echo "$id"
}
