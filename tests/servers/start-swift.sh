#!/bin/bash
# start-swift.sh STATE_DIR PORT: OpenStack Swift with its S3 API (s3api, tempauth) on
# 127.0.0.1:PORT, one replica.  Prints one line of JSON: endpoint, keys, pids.  Starting it again is
# harmless; its data is still there.
#
# Needs the Debian packages swift-proxy, swift-account, swift-container, swift-object, memcached and
# curl.  STATE_DIR must be on a file system with user xattrs.  Nothing runs in the background:
# there are no replicators, updaters or reapers.
# Ports: PORT (proxy), PORT+1 account, PORT+2 container, PORT+3 object, PORT+4 memcached.
#   SWIFT_SECRET_KEY
#   SWIFT_DISK      a size (96m): a disk in memory for the objects alone, so that it can be filled;
#                   "disk" is where others find it.  It ends with the object server.  Needs root.
#                   When it was full, the proxy asks it again after a second, not after a minute.
set -u
# shellcheck source=tests/servers/lib.sh
. "$(dirname "$0")/lib.sh"
server_args "$@"
[ "$PORT" -gt 0 ] || die "a port is needed"
access=test:tester
secret=${SWIFT_SECRET_KEY:-testing0123456789}
disk=${SWIFT_DISK:-}
servers="memcached account container object proxy"
etc=$STATE/etc
export PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
for program in swift-proxy-server swift-account-server swift-container-server swift-object-server \
	swift-ring-builder memcached curl; do
	command -v $program >/dev/null ||
		die "no $program: apt-get install swift-proxy swift-account swift-container" \
			"swift-object memcached"
done

report() {
	local pids
	pids=$(for name in $servers; do cut -d' ' -f1 "$STATE/$name.pid"; done | paste -sd,)
	printf '{"kind":"s3","service":"swift","endpoint":"http://127.0.0.1:%s","region":"us-east-1"' \
		"$PORT"
	printf ',"access_key":"%s","secret_key":"%s","path_style":true,"pids":[%s]' "$access" "$secret" "$pids"
	[ -z "$disk" ] || printf ',"disk":"/proc/%s/root%s/disk"' "$(cut -d' ' -f1 "$STATE/object.pid")" "$STATE"
	printf '}\n'
}

write_common() {	# PORT [DEVICES]
	cat <<-END
		[DEFAULT]
		bind_ip = 127.0.0.1
		bind_port = $1
		workers = 2
		user = $(id -un)
		swift_dir = $etc
		devices = ${2:-$STATE/dev}
		mount_check = false
		log_level = WARNING
	END
}

write_store() {	# NAME PORT [DEVICES]: its configuration, and a ring of one device, one replica, 2^4 partitions
	local builder=$etc/$1.builder
	{
		write_common "$2" "${3:-}"
		cat <<-END
			[pipeline:main]
			pipeline = $1-server
			[app:$1-server]
			use = egg:swift#$1
			recon_cache_path = $STATE/recon
		END
	} >"$etc/$1.conf"
	! grep -qs "^$2\$" "$etc/$1.port" || return 0
	rm -f "$builder" "$etc/$1.ring.gz"
	{
		swift-ring-builder "$builder" create 4 1 0
		swift-ring-builder "$builder" add "r1z1-127.0.0.1:$2/d1" 100
		swift-ring-builder "$builder" rebalance
	} >>"$STATE/rings.out" 2>&1
	[ -s "$etc/$1.ring.gz" ] || die "swift-ring-builder: $(tail -n 2 "$STATE/rings.out")"
	echo "$2" >"$etc/$1.port"
}

write_proxy() {	# s3api does not work without a cache, nor versioning without symlinks
	{
		write_common "$PORT"
		cat <<-END
			[pipeline:main]
			pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
			[app:proxy-server]
			use = egg:swift#proxy
			account_autocreate = true
			allow_account_management = true
			${disk:+error_suppression_interval = 1}
			[filter:catch_errors]
			use = egg:swift#catch_errors
			[filter:gatekeeper]
			use = egg:swift#gatekeeper
			[filter:healthcheck]
			use = egg:swift#healthcheck
			[filter:cache]
			use = egg:swift#memcache
			memcache_servers = 127.0.0.1:$((PORT + 4))
			[filter:listing_formats]
			use = egg:swift#listing_formats
			[filter:bulk]
			use = egg:swift#bulk
			[filter:s3api]
			use = egg:swift#s3api
			s3_acl = false
			location = us-east-1
			min_segment_size = 5242880
			[filter:tempauth]
			use = egg:swift#tempauth
			user_test_tester = $secret .admin
			[filter:copy]
			use = egg:swift#copy
			[filter:slo]
			use = egg:swift#slo
			[filter:dlo]
			use = egg:swift#dlo
			[filter:symlink]
			use = egg:swift#symlink
			[filter:versioned_writes]
			use = egg:swift#versioned_writes
			allow_object_versioning = true
		END
	} >"$etc/proxy.conf"
}

all_alive() {
	for name in $servers; do server_alive "$name" || return 1; done
}

if all_alive && server_answers "http://127.0.0.1:$PORT/healthcheck"; then
	report
	exit 0
fi
for name in $servers; do server_stop "$name" || exit 1; done
for i in 0 1 2 3 4; do
	server_port_is_free $((PORT + i)) || die "port $((PORT + i)) is taken"
done
stop_unless_well() {
	[ "$1" = 0 ] || for name in $servers; do server_stop "$name"; done
}
trap 'stop_unless_well $?' EXIT

mkdir -p "$etc" "$STATE/dev/d1" "$STATE/disk" "$STATE/recon"
cat >"$etc/swift.conf" <<-END
	[swift-hash]
	swift_hash_path_suffix = tests
	swift_hash_path_prefix = tests
	[storage-policy:0]
	name = one
	default = yes
	[swift-constraints]
	max_file_size = 53687091200
END
write_store account $((PORT + 1))
write_store container $((PORT + 2))
write_store object $((PORT + 3)) "${disk:+$STATE/disk}"
write_proxy
# Mounted in a name space of its own: nothing is left, however the server ends.
# shellcheck disable=SC2016 # the inner shell's
on_disk=(unshare --mount sh -c 'mount -t tmpfs -o "size=$1" disk "$2" && mkdir "$2/d1" && shift 2 && exec "$@"'
	sh "$disk" "$STATE/disk")
server_spawn memcached memcached -l 127.0.0.1 -p $((PORT + 4)) -U 0 -m 64 -u "$(id -un)"
for name in account container object proxy; do
	server=("swift-$name-server" "$etc/$name.conf" -v)
	[ $name != object ] || [ -z "$disk" ] || server=("${on_disk[@]}" "${server[@]}")
	server_spawn $name "${server[@]}"
done
i=1
for name in account container object; do
	server_wait 30 $name server_answers "http://127.0.0.1:$((PORT + i))/" || exit 1
	i=$((i + 1))
done
healthy() {
	curl -sf --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$PORT/healthcheck"
}
server_wait 30 proxy healthy || die "the proxy did not start"
report
