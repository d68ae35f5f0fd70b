#!/usr/bin/env bats
# What becomes of large objects on their way when a real S3 server (the RADOS Gateway of
# tests/servers/start-radosgw.sh, named by SKYFERRY_TEST_S3) cannot be reached for a while, dies, or is full.
# Nobody else may use the server meanwhile: it is killed and started again.
bats_require_minimum_version 1.5.0
load helpers
load s3

setup()
{
	[ -n "${SKYFERRY_TEST_S3:-}" ] || skip "SKYFERRY_TEST_S3 names no server"
	[ "$(jq -r '.state // ""' <<<"$SKYFERRY_TEST_S3")" != '' ] || skip "the server is not one of start-radosgw.sh"
	home_make
	mkdir "$home/from" "$home/back"
	if [ -n "${SKYFERRY_TEST_FULL:-}" ]; then
		size=$((1 << 30)) away=30 patience=10s
	else
		size=150000000 away=5 patience=2s
	fi
	server=$SKYFERRY_TEST_S3
	bucket=sky-faults-$BATS_TEST_NUMBER-$$
	network='' killed=''
}

teardown()
{
	local status=0
	home_remove || status=1
	[ -z "$network" ] || ip netns delete "$network" || status=1 # and with it both ends of the wire
	[ -z "$killed" ] || gateway_start || status=1
	return $status
}

# start [SETTING=VALUE...]
start()
{
	local sets=()
	[ $# = 0 ] || sets=("${@/#/--set=}")
	daemon_start --set transfer.backoff=100ms --set transfer.backoff_max=1s --set transfer.retries=50 "${sets[@]}"
	skyferry account add from local "$home/from" >/dev/null
	skyferry account add back local "$home/back" >/dev/null
	s3_add to "$server"
}

gateway_kill()
{
	local pid
	killed=yes
	read -r pid _ <"$(jq -r .state <<<"$server")/rgw.pid"
	kill -KILL "$pid"
	timeout 30 tail --pid="$pid" -f /dev/null
}

# At the port that it had.
gateway_start()
{
	local endpoint
	endpoint=$(jq -r .endpoint <<<"$SKYFERRY_TEST_S3")
	"$BATS_TEST_DIRNAME/../servers/start-radosgw.sh" "$(jq -r .state <<<"$server")" "${endpoint##*:}" >/dev/null 3>&- 4>&- &&
	    killed=''
}

gateway_admin()
{
	timeout 60 radosgw-admin -c "$(jq -r .state <<<"$server")/ceph.conf" "$@" >/dev/null
}

# A network of the daemon's own, and one wire from there to the host, where the gateway listens as well.
network_make()
{
	local n=$(($$ % 16384)) at # one of the /30 of 198.18.0.0/16, which is for tests (RFC 2544)
	[ "$(id -u)" = 0 ] || skip "needs root to make a network namespace"
	at=198.18.$((n / 64)).$((n % 64 * 4))
	host=${at%.*}.$((${at##*.} + 1))
	ip netns add "sky$$" || skip "no network namespaces here"
	network=sky$$
	ip link add "$network" type veth peer name wire netns "$network" || skip "no veth devices here"
	ip address add "$host/30" dev "$network"
	ip -n "$network" address add "${at%.*}.$((${at##*.} + 2))/30" dev wire
	ip link set "$network" up
	ip -n "$network" link set wire up
	gateway_kill
	RGW_ADDRESS=$host gateway_start
	server=$(jq -c --arg host "$host" '.endpoint |= sub("127.0.0.1"; $host)' <<<"$server")
	as=(ip netns exec "$network")
}

# carried rx|tx: bytes that have come over the wire from the daemon, or have gone there, frames and all.
carried()
{
	cat "/sys/class/net/$network/statistics/$1_bytes"
}

# submit SOURCE DESTINATION [JSON]: prints the id.
submit()
{
	api POST /api/transfers "$(jq -nc --arg a "${1%%:*}" --arg b "${1#*:}" --arg c "${2%%:*}" --arg d "${2#*:}" \
	    "{sourceAccountId:\$a,sourcePath:\$b,destinationAccountId:\$c,destinationPath:\$d} + ${3:-{\}}")" | jq -r .id
}

# reaches ID CONDITION: until jq says that it holds; $record is the transfer as it is then.
reaches()
{
	for _ in {1..1200}; do
		record=$(api GET "/api/transfers/$1")
		! jq -e "$2" <<<"$record" >/dev/null || return 0
		read -r -t 0.05 <> <(:) || true
	done
	echo "it is not so: $2 in $record"
	tail -n 20 "$log"
	return 1
}

completes() # ID
{
	skyferry transfer wait "$1" --timeout 300 >"$home/wait" 2>&1 || { cat "$home/wait"; tail -n 20 "$log"; return 1; }
}

@test "the network is cut while a large object is sent: it goes on where it was" {
	local id parts_left
	network_make
	start "http.stall_timeout=$patience" http.connect_timeout=1s "transfer.bandwidth=$((size / 10))"
	content 1 "$size" >"$home/from/big"
	id=$(submit from:big to:big)
	reaches "$id" '.parts != null and .parts.done >= .parts.total / 2'
	ip link set "$network" down
	# A time without the network is what is tested.
	read -r -t "$away" <> <(:) || true
	[ "$(api GET "/api/transfers/$id" | jq -r '.status | IN("queued", "running")')" = true ]
	ip link set "$network" up
	completes "$id"
	# What had arrived was not sent again: of the parts only those that were in flight, and of the frames their heads.
	echo "parts: $(jq -c .parts <<<"$record"); $(carried rx) bytes for $size"
	[ "$(carried rx)" -lt $((size + size / 20 + ($(jq .parts.atOnce <<<"$record") + 1) * (16 << 20))) ]
	skyferry cp -q to:big back:big
	cmp "$home/from/big" "$home/back/big"
	[ "$(uploads_left "$server")" = 0 ]
}

@test "the network is cut while a large object is read: it goes on where it was" {
	local id before
	network_make
	start "http.stall_timeout=$patience" http.connect_timeout=1s
	content 2 "$size" >"$home/from/big"
	skyferry cp -q from:big to:big
	before=$(carried tx)
	id=$(submit to:big back:big "{bandwidth:$((size / 10))}")
	reaches "$id" '.bytesDone >= .bytesTotal / 4'
	ip link set "$network" down
	read -r -t "$away" <> <(:) || true
	[ ! -e "$home/back/big" ]
	ip link set "$network" up
	completes "$id"
	cmp "$home/from/big" "$home/back/big"
	echo "$(($(carried tx) - before)) bytes for $size"
	[ $(($(carried tx) - before)) -lt $((size + size / 5)) ]
}

@test "the server is killed while parts are sent, and comes back: the move is carried out" {
	local id
	start "transfer.bandwidth=$((size / 5))"
	content 3 "$size" >"$home/from/big"
	cp "$home/from/big" "$home/original"
	id=$(submit from:big to:big '{move:true}')
	reaches "$id" '.parts.done >= 1'
	gateway_kill
	reaches "$id" '.error != null'
	[ -e "$home/from/big" ]
	gateway_start
	completes "$id"
	[ ! -e "$home/from/big" ]
	skyferry cp -q to:big back:big
	cmp "$home/original" "$home/back/big"
	[ "$(uploads_left "$server")" = 0 ]
}

@test "the server has no room: the move fails with its words, and is carried out when there is some" {
	local id
	start
	content 4 30000000 >"$home/from/other"
	content 5 60000000 >"$home/from/big"
	cp "$home/from/big" "$home/original"
	skyferry cp -q from:other to:other
	gateway_admin quota set --quota-scope=bucket --bucket="$bucket" --max-size=70000000
	gateway_admin quota enable --quota-scope=bucket --bucket="$bucket"
	id=$(submit from:big to:big '{move:true}')
	reaches "$id" '.status == "failed"'
	echo "$record"
	jq -e '.error.code == "quota" and (.error.message | test("QuotaExceeded"))' <<<"$record"
	cmp "$home/original" "$home/from/big"
	run ! skyferry ls to:big
	[ "$(uploads_left "$server")" = 0 ]
	skyferry rm to:other
	skyferry transfer retry "$id"
	completes "$id"
	[ ! -e "$home/from/big" ]
	skyferry cp -q to:big back:big
	cmp "$home/original" "$home/back/big"
	[ "$(uploads_left "$server")" = 0 ]
}
