#!/usr/bin/env bats
# Every driver with every other, and with itself: a tree is copied through the mount and compared by its checksums, a file is
# moved.  With SKYFERRY_TEST_FULL the tree is larger, and the daemon is killed in the middle of its largest file: what is read
# of the source again is counted.  A line of a table ("# pair") in this test's log tells of each.
#
# S3 and Azure are real servers where SKYFERRY_TEST_S3 and SKYFERRY_TEST_AZURE name them, else fakes as the other clouds are.
# The full test from Azure needs the real one: the fake reads what it copies through the meter, as if we had read it.
# The daemon sees each through a meter (tests/fakes/meter.mjs), which tells what passed, and stops it where it is told to.
bats_require_minimum_version 1.5.0
load helpers
load fakes

drivers="local s3 azure gcs gdrive dropbox"
large=$((64 << 20))
little=$((2 << 20)) # what passes besides content: lists, headers, the daemon's own files

setup_file()
{
	local cloud n=0
	export tree=$BATS_FILE_TMPDIR/tree moves=$BATS_FILE_TMPDIR/moves
	for cloud in ${drivers#local }; do
		server_start "$cloud"
		meter_start "$cloud"
	done
	mkdir "$tree" "$moves"
	tree_make
	sums "$tree" >"$BATS_FILE_TMPDIR/sums"
	for cloud in $drivers; do
		content "$cloud" $((300000 + n++)) >"$moves/$cloud"
	done
}

teardown_file()
{
	local file
	for file in "$BATS_FILE_TMPDIR"/*.pid; do
		kill "$(cat "$file")"
	done
}

setup()
{
	local cloud
	home_make
	mkdir "$home/from" "$home/to"
	for cloud in ${drivers#local }; do
		meter_reset "$cloud"
		[ -n "$(real "$cloud")" ] || server_control "$cloud" "$([ "$cloud" = s3 ] && echo play || echo reset)"
	done
	start
}

teardown()
{
	home_remove
}

start()
{
	daemon_start --set transfer.backoff=50ms --set transfer.backoff_max=500ms --set transfer.retries=20 \
	    --set mount.settle=50ms --set pull.private=yes
}

# -- the content

# Twelve files in directories of odd names, too; in the full test 200.
tree_make()
{
	local i=0 name sizes=(0 1 17 1000 4096 5000 65536 70000 100000 262144 1048577 9437184)
	for name in plain 'with space' 'ümläut-日本' "quote'd \"name\"" '100%' 'not%20a blank' 'a b/a+b&c=d?e#f' 'a b/semi;colon' \
	    'dé/per%cent/~tilde' "dé/it's/[x]{y}" 'dé/a,b@c$d!' 'dé/10 MB'; do
		mkdir -p "$tree/$(dirname "$name")"
		content "$i" "${sizes[i++]}" >"$tree/$name"
	done
	[ -n "${SKYFERRY_TEST_FULL:-}" ] || return 0
	content large "$large" >"$tree/large"
	for ((i = 1; i <= 5; i++)); do
		content "$i" $((i * 1500000 + 1)) >"$tree/dé/middle $i"
	done
	mkdir "$tree/many 'small' ones"
	for ((i = 1; i <= 182; i++)); do
		content "$i" $((i * 97)) >"$tree/many 'small' ones/№ $i"
	done
}

# -- servers

# started NAME FILE [ARG...]: one of tests/fakes.
started()
{
	local line
	fake_start line "${@:2}"
	jq .pid <<<"$line" >"$BATS_FILE_TMPDIR/$1.pid"
	echo "$line" >"$BATS_FILE_TMPDIR/$1.json"
}

# real CLOUD: the line of its real server, if there is one.
real()
{
	case $1 in
	s3) echo "${SKYFERRY_TEST_S3:-}" ;;
	azure) echo "${SKYFERRY_TEST_AZURE:-}" ;;
	esac
}

server_start()
{
	if [ -n "$(real "$1")" ]; then
		real "$1" >"$BATS_FILE_TMPDIR/$1.json"
	elif [ "$1" = s3 ]; then
		started s3 s3.py
	else
		started "$1" "$1.mjs"
	fi
}

meter_start()
{
	local port
	port=$(server_field "$1" endpoint | sed -E 's|.*:([0-9]+).*|\1|')
	started "$1-meter" meter.mjs --to "$port"
}

# server_field SERVER NAME [DEFAULT]: of its line.
server_field() { jq -r --arg d "${3:-}" ".$2 // \$d" "$BATS_FILE_TMPDIR/$1.json"; }

# server_control SERVER REQUEST [JSON]
server_control() { curl -sS --fail-with-body -o /dev/null "$(server_field "$1" endpoint)/-/$2" -d "${3:-}"; }

# metered CLOUD: its endpoint, as the daemon has it.
metered() { server_field "$1" endpoint | sed -E "s|:[0-9]+|:$(server_field "$1-meter" port)|"; }

# passed CLOUD FILTER: of the meter's counts.
passed() { curl -sS --fail-with-body "$(server_field "$1-meter" endpoint)/-/state" | jq "$2"; }

# -- accounts

# account_add NAME DRIVER [FIELD...]: what all accounts of a driver have.
account_add()
{
	local url credentials
	[ "$2" = local ] || url=$(metered "$2")
	case $2 in
	local) credentials=() ;;
	s3)
		export SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY
		SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=$(server_field s3 secret_key secret)
		credentials=("service=$(server_field s3 service other)" "region=$(server_field s3 region us-east-1)" "accessKeyId=$(server_field s3 access_key id)")
		;;
	azure)
		export SKYFERRY_CREDENTIAL_ACCOUNT_KEY
		SKYFERRY_CREDENTIAL_ACCOUNT_KEY=$(server_field azure key a2V5)
		credentials=("accountName=$(server_field azure account account)")
		[ -n "$(server_field azure account)" ] || url=$url/account
		;;
	gcs)
		export SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT
		SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT=$(server_field gcs serviceAccount)
		credentials=("tokenEndpoint=$url/token")
		;;
	gdrive | dropbox)
		export SKYFERRY_CREDENTIAL_REFRESH_TOKEN SKYFERRY_CREDENTIAL_CLIENT_SECRET
		SKYFERRY_CREDENTIAL_REFRESH_TOKEN=$(server_field "$2" refreshToken)
		SKYFERRY_CREDENTIAL_CLIENT_SECRET=$(server_field "$2" clientSecret)
		credentials=("tokenEndpoint=$url$(server_field "$2" tokenPath)" "clientId=$(server_field "$2" clientId)")
		;;
	esac
	skyferry account add --no-test "$1" "$2" ${url:+"endpoint=$url"} "${credentials[@]}" "${@:3}" >/dev/null
	unset "${!SKYFERRY_CREDENTIAL_@}"
}

# place_add from|to DRIVER: an account SIDE-DRIVER, of a bucket of its own where the cloud has such.
place_add()
{
	local bucket=sky-pairs-$$-$BATS_TEST_NUMBER-$1 word=bucket
	case $2 in
	local) account_add "$1-$2" local "root=$home/$1" ;;
	s3 | azure | gcs)
		[ "$2" != azure ] || word=container
		if [ "$2" = gcs ] || [ -n "$(real "$2")" ]; then # elsewhere it is there when it is named
			account_add "$1-all-$2" "$2"
			skyferry mkdir "$1-all-$2:$bucket"
		fi
		account_add "$1-$2" "$2" "$word=$bucket"
		;;
	*) account_add "$1-$2" "$2" ;;
	esac
}

# -- a pair

# pairs_from DRIVER: its tree to all of them.
pairs_from()
{
	local to
	account_add tree local "root=$BATS_FILE_TMPDIR"
	place_add from "$1"
	for to in $drivers; do
		place_add to "$to"
	done
	skyferry cp -q -r tree:tree tree:moves "from-$1:"
	mount_start
	for to in $drivers; do
		pair "$1" "$to"
	done
	mount_stop
}

# pair FROM TO
pair()
{
	local there=$mounts/to-$2/from-$1
	echo "from $1 to $2:"
	mkdir "$there"
	cp -r "$mounts/from-$1/tree" "$there/"
	settled
	sums "$there/tree" | diff "$BATS_FILE_TMPDIR/sums" -
	mv "$mounts/from-$1/moves/$2" "$there/moved"
	settled
	cmp "$moves/$2" "$there/moved"
	[ ! -e "$mounts/from-$1/moves/$2" ]
	run ! skyferry ls "from-$1:moves/$2"
	if [ -z "${SKYFERRY_TEST_FULL:-}" ]; then
		echo "# pair $1 $2 $(routes "to-$2")" >&3
	else
		killed "$1" "$2"
	fi
	skyferry rm -r "to-$2:from-$1" >"$home/removed"
}

# killed FROM TO: kill -9 in the middle of the largest file, which was copied once already.  Told are that copy's route and
# MB/s, and of this one the bytes that were read of the source again; of a copy by the cloud, those that passed through us.
killed()
{
	local copied route rate
	copied=$(transfers "to-$2" | jq '.[] | select(.destinationPath | endswith("/large"))')
	route=$(jq -r .route <<<"$copied")
	rate=$(jq -r --argjson size "$large" 'def ms: (.[:19] + "Z" | fromdate) * 1000 + (.[20:23] | tonumber);
	    $size / ([(.finishedAt | ms) - (.startedAt | ms), 1] | max) / 1000 | floor' <<<"$copied")
	printf '# pair %-8s %-8s %-7s %5d MB/s, ' "$1" "$2" "$route" "$rate" >&3
	if [ "$route" = native ]; then
		killed_native "$1" "$2" >&3
	else
		killed_midway "$1" "$2" >&3
	fi
	cmp "$tree/large" "$mounts/to-$2/from-$1/killed"
}

begin() # FROM TO NAME
{
	api POST /api/transfers "{\"sourceAccountId\":\"from-$1\",\"sourcePath\":\"tree/large\",\"destinationAccountId\":\"to-$2\",
	    \"destinationPath\":\"from-$1/$3\"}" | jq -r .id
}

# Its cloud copies it so fast that only a crash point is in the middle of that.  What follows may be a copy through us: Google
# Drive copies into new files only, and there is one then.
killed_native()
{
	local id through=none
	if [ "$1" != local ]; then
		meter_reset "$1"
		skyferry transfer wait "$(begin "$1" "$2" native)" --timeout 120 >"$home/wait"
		through=$(passed "$1" '.sent + .received')
		[ "$through" -lt "$little" ]
	fi
	daemon_stop
	SKYFERRY_CRASH=attempt.before_verified start
	id=$(begin "$1" "$2" killed)
	daemon_dies
	start
	skyferry transfer wait "$id" --timeout 120 >"$home/wait"
	echo "$through of $large bytes through us"
}

# A meter holds it back: the source's, or (of a directory) the destination's.
killed_midway()
{
	local id first again at parts=0 size=$large
	local cloud=$1 way=sent
	[ "$1" != local ] || cloud=$2 way=received
	meter_reset "$cloud"
	first=$(( - $(source_read "$1")))
	id=$(begin "$1" "$2" killed)
	# As far as it takes until a part is there.
	for at in 24 40 56; do
		meter_hold "$cloud" "$way" $((at << 20))
		until_held "$cloud"
		part_is_there "$id" || continue
		break
	done
	api GET "/api/transfers/$id" >"$home/held"
	jq -e '.status != "completed"' "$home/held" >/dev/null
	first=$((first + $(source_read "$1")))
	daemon_kill
	meter_reset "$cloud"
	start
	again=$(( - $(source_read "$1")))
	skyferry transfer wait "$id" --timeout 120 >"$home/wait"
	again=$((again + $(source_read "$1")))
	again=$((first + again - large))
	[ "$again" -ge 0 ] || again=0
	# What was in flight, and no more; one more part may have been begun since.  What is not written in parts is in flight
	# as a whole.
	size=$(jq "if .parts then (.parts.atOnce + 1) * ($large / .parts.total | ceil) else $large end" "$home/held")
	echo "$again bytes read again, $size in flight, $(jq '.parts.done // 0' "$home/held") parts were there"
	[ "$again" -le $((size + little)) ]
}

meter_reset() { curl -sS --fail-with-body -o /dev/null "$(server_field "$1-meter" endpoint)/-/reset" -d ''; }

meter_hold() { curl -sS --fail-with-body -o /dev/null "$(server_field "$1-meter" endpoint)/-/hold" -d "{\"$2\":$3}"; }

until_held()
{
	for _ in {1..1200}; do
		[ "$(passed "$1" .held)" != true ] || return 0
		read -r -t 0.05 <> <(:) || true
	done
	return 1
}

# Of an upload in parts; it is noted a moment after it was sent.
part_is_there()
{
	for _ in {1..60}; do
		api GET "/api/transfers/$1" | jq -e '(.parts.done // 0) == 0' >/dev/null || return 0
		read -r -t 0.05 <> <(:) || true
	done
	return 1
}

# source_read DRIVER: bytes of files there that were read: by the daemon, or from the cloud.
source_read()
{
	if [ "$1" = local ]; then
		awk '/^rchar/ { print $2 }' "/proc/$daemon/io"
	else
		passed "$1" .sent
	fi
}

# transfers ACCOUNT: those of files there.
transfers()
{
	api GET '/api/transfers?limit=1000' | jq --arg to "$(api GET "/api/accounts/$1" | jq -r .id)" \
	    '[.transfers[] | select(.kind == "transfer" and .destinationAccountId == $to)]'
}

# routes ACCOUNT: by which its files came there.
routes()
{
	transfers "$1" | jq -r 'map(.route) | unique | join("+")'
}

@test "from a directory to every driver" {
	pairs_from local
}

@test "from S3 to every driver" {
	pairs_from s3
}

@test "from Azure to every driver" {
	pairs_from azure
}

@test "from Google Cloud Storage to every driver" {
	pairs_from gcs
}

@test "from Google Drive to every driver" {
	pairs_from gdrive
}

@test "from Dropbox to every driver" {
	pairs_from dropbox
}
