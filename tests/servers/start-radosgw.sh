#!/bin/bash
# start-radosgw.sh STATE_DIR PORT: one-node Ceph (a monitor and one OSD) and a RADOS Gateway, an S3
# server, on 127.0.0.1:PORT.  Prints one line of JSON: endpoint, keys, state, pids.  Starting it again is
# harmless; a gateway that was killed is started alone, and its data is still there.
#
# Needs the Debian packages ceph-mon, ceph-osd, ceph-common, radosgw and curl.  No manager, no cephx.
# Ports: PORT (http), PORT+1 (monitor), PORT+2 to PORT+9 (OSD).
#   RGW_STORE=bluestore|memstore  a sparse file in STATE_DIR, or RAM (empty after every stop)
#   RGW_DISK_GB                   its size; default 40, memstore 8
#   RGW_TLS_PORT                  adds an https listener with a certificate of its own
#   RGW_ACCESS_KEY RGW_SECRET_KEY
#   RGW_DNS_NAME                  for virtual-host style (bucket.NAME)
#   RGW_ADDRESS                   the gateway listens at this address too (ADDRESS:PORT)
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$@"
[ "$PORT" -gt 0 ] || die "a port is needed"
access=${RGW_ACCESS_KEY:-TESTACCESSKEY}
secret=${RGW_SECRET_KEY:-TESTSECRETKEY0123456789}
tls=${RGW_TLS_PORT:-}
monitor=$((PORT + 1))
conf=$STATE/ceph.conf
export CEPH_CONF=$conf CEPH_ARGS="-c $conf"
unset CEPH_KEYRING
PATH=$PATH:/usr/sbin:/sbin
for program in ceph-mon ceph-osd ceph radosgw radosgw-admin monmaptool curl; do
	command -v $program >/dev/null ||
		die "no $program: apt-get install ceph-mon ceph-osd ceph-common radosgw curl"
done

report() {
	local pids
	pids=$(for name in mon osd rgw; do cut -d' ' -f1 "$STATE/$name.pid"; done | paste -sd,)
	printf '{"kind":"s3","service":"ceph","endpoint":"http://127.0.0.1:%s"' "$PORT"
	[ -z "$tls" ] ||
		printf ',"tls_endpoint":"https://127.0.0.1:%s","ca":"%s"' "$tls" "$STATE/tls-cert.pem"
	printf ',"region":"us-east-1","access_key":"%s","secret_key":"%s","path_style":true' \
		"$access" "$secret"
	printf ',"state":"%s","pids":[%s]}\n' "$STATE" "$pids"
}

make_certificate() {
	local names=DNS:localhost,IP:127.0.0.1
	[ -s "$STATE/tls.pem" ] && return
	[ -z "${RGW_DNS_NAME:-}" ] || names="$names,DNS:$RGW_DNS_NAME,DNS:*.$RGW_DNS_NAME"
	openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
		-addext "subjectAltName=$names" -keyout "$STATE/tls-key.pem" \
		-out "$STATE/tls-cert.pem" 2>/dev/null || die "openssl could not make a certificate"
	cat "$STATE/tls-key.pem" "$STATE/tls-cert.pem" >"$STATE/tls.pem"
}

write_conf() {	# STORE
	local disk=40 front="beast endpoint=127.0.0.1:$PORT tcp_nodelay=1"
	[ "$1" = memstore ] && disk=8
	disk=${RGW_DISK_GB:-$disk}
	[ -z "${RGW_ADDRESS:-}" ] || front="$front endpoint=$RGW_ADDRESS:$PORT"
	if [ -n "$tls" ]; then
		make_certificate
		front="$front ssl_endpoint=127.0.0.1:$tls ssl_certificate=$STATE/tls.pem"
	fi
	cat >"$conf" <<-END
		[global]
		fsid = $(cat "$STATE/fsid")
		mon host = v2:127.0.0.1:$monitor
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		ms bind ipv4 = true
		ms bind ipv6 = false
		ms bind msgr1 = false
		ms bind msgr2 = true
		ms bind port min = $((PORT + 2))
		ms bind port max = $((PORT + 9))
		# The gateway asks for a "secure" connection by default, which needs cephx.
		ms mon client mode = crc
		auth cluster required = none
		auth service required = none
		auth client required = none
		keyring = $STATE/keyring
		run dir = $STATE/run
		pid file = $STATE/run/\$name.pid
		admin socket = $STATE/run/\$name.asok
		log file = $STATE/log/\$name.log
		log to stderr = false
		err to stderr = true
		mon cluster log file = $STATE/log/cluster.log
		crash dir = $STATE/crash
		# A quick start: proposals take 1 s by default, and the gateway makes its pools one by one.
		paxos propose interval = 0.02
		paxos min wait = 0.01
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 4
		osd pool default pgp num = 4
		osd pool default pg autoscale mode = off
		rgw rados pool pg num min = 4
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		mon max pg per osd = 4000
		mon data avail crit = 1
		mon data avail warn = 2
		[mon]
		mon data = $STATE/mon
		[osd]
		osd data = $STATE/osd
		osd objectstore = $1
		memstore device bytes = $((disk << 30))
		bluestore block size = $((disk << 30))
		bluestore block create = true
		osd memory target = 939524096
		[client]
		rgw data = $STATE/rgw
		rgw frontends = $front
		rgw crypt require ssl = false
		rgw enable usage log = false
		rgw enable gc threads = true
		rgw gc obj min wait = 5
		rgw gc processor period = 10
		rgw gc processor max time = 10
		${RGW_DNS_NAME:+rgw dns name = $RGW_DNS_NAME}
	END
}

logged() {	# WHAT COMMAND...: output to mkfs.out; its end explains a failure
	local what=$1
	shift
	"$@" >>"$STATE/mkfs.out" 2>&1 || die "$what: $(tail -n 3 "$STATE/mkfs.out")"
}

make_monitor_map() {
	logged monmaptool monmaptool --create --clobber --fsid "$(cat "$STATE/fsid")" \
		--addv a "[v2:127.0.0.1:$monitor]" "$STATE/monmap"
}

start_new() {
	local id
	rm -rf "$STATE/mon" "$STATE/osd"
	mkdir -p "$STATE/mon" "$STATE/osd"
	make_monitor_map
	logged "ceph-mon --mkfs" ceph-mon --mkfs -i a --monmap "$STATE/monmap"
	server_spawn mon ceph-mon -f -i a
	id=$(cat /proc/sys/kernel/random/uuid)
	server_wait 30 mon timeout 10 ceph --connect-timeout 5 osd new "$id" 0 ||
		die "the monitor did not start"
	logged "ceph-osd --mkfs" ceph-osd --mkfs -i 0 --osd-uuid "$id"
	server_spawn osd ceph-osd -f -i 0
	# This waits until the OSD is up: it makes the gateway's pools.
	logged "radosgw-admin" timeout 90 radosgw-admin user create --uid tester \
		--display-name tester --access-key "$access" --secret "$secret" --max-buckets 100000
	: >"$STATE/formatted"
}

start_again() {	# the monitor's address is in its map, and the port may be another one
	make_monitor_map
	logged "ceph-mon --inject-monmap" ceph-mon -i a --inject-monmap "$STATE/monmap"
	server_spawn mon ceph-mon -f -i a
	server_spawn osd ceph-osd -f -i 0
}

if server_alive mon && server_alive osd && server_alive rgw &&
	server_answers "http://127.0.0.1:$PORT/"; then
	report
	exit 0
fi
# A gateway alone may be gone: then the monitor and the OSD keep running with their data.
server_stop rgw 3 || exit 1
core=
if server_alive mon && server_alive osd && [ -e "$STATE/formatted" ]; then
	core=up
else
	for name in osd mon; do server_stop $name || exit 1; done
fi
for port in "$PORT" $tls; do server_port_is_free "$port" || die "port $port is taken"; done
[ -n "$core" ] || server_port_is_free $monitor || die "port $monitor is taken"
stop_unless_well() {
	[ "$1" = 0 ] || for name in rgw osd mon; do server_stop $name; done
}
trap 'stop_unless_well $?' EXIT

mkdir -p "$STATE"/run "$STATE"/log "$STATE"/rgw "$STATE"/crash
[ -s "$STATE/fsid" ] || cat /proc/sys/kernel/random/uuid >"$STATE/fsid"
[ -s "$STATE/store" ] || echo "${RGW_STORE:-bluestore}" >"$STATE/store"
store=$(cat "$STATE/store")
write_conf "$store"
if [ -z "$core" ]; then
	[ "$store" != memstore ] || rm -f "$STATE/formatted"	# it comes back empty
	if [ -e "$STATE/formatted" ]; then start_again; else start_new; fi
fi
server_spawn rgw radosgw -f -n client.rgw
server_wait 60 rgw server_answers "http://127.0.0.1:$PORT/" || die "the gateway did not start"
report
