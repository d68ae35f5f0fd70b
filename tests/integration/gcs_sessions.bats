#!/usr/bin/env bats
# Google Cloud Storage (its fake, tests/fakes/gcs.mjs) by uploads in one resumable session: of an account that asks for
# them, and of a server that has no uploads in parts; kill -9 in the middle, answers that are lost, sessions that are gone.
bats_require_minimum_version 1.5.0
load helpers
load fakes

size=33654432       # of the large file: two parts of 16 MiB and a small one, which is the end that the commit sends
puts='^PUT .*upload_id' # requests to a session: what is there?; part 1; part 2; is it still there?; the end

setup_file()
{
	fake_start fake gcs.mjs
	content 1 $size >"$BATS_FILE_TMPDIR/large"
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
	ln "$BATS_FILE_TMPDIR/large" "$home/from/f"
	add all
	skyferry mkdir all:box
	add auto bucket=box
	add gcs bucket=box uploads=resumable
}

teardown()
{
	home_remove
}

start()
{
	daemon_start --set transfer.backoff=20ms --set transfer.backoff_max=200ms --set transfer.retries=20 "$@"
}

# add NAME [FIELD...]: an account of the fake's.
add()
{
	SKYFERRY_CREDENTIAL_SERVICE_ACCOUNT=$(field serviceAccount) \
	    skyferry account add "$1" gcs "endpoint=$url" "tokenEndpoint=$url/token" "${@:2}" >/dev/null
}

# upload PATH [MORE]: the large file there; the transfer's id.
upload()
{
	api POST /api/transfers "$(jq -n --arg path "$1" --argjson more "${2:-{\}}" \
	    '{sourceAccountId: "from", sourcePath: "f", destinationAccountId: "gcs", destinationPath: $path} + $more')" | jq -r .id
}

# arrived PATH: whole, and nothing of it is left.
arrived()
{
	has ".objects[\"box/$1\"].size == $size and .sessions == [] and .unplayed == []"
	skyferry cp -q "gcs:$1" back:
	cmp "$home/from/f" "$home/back/$1"
}

# begun N: so many sessions were.
begun() { has ".requests[\"POST /upload/storage/v1/b/box/o\"] == $1"; }

@test "a server without uploads in parts: found out once, then large files go in sessions" {
	local status
	for status in 404 405 400 501; do
		daemon_stop
		control reset
		start
		control server "{\"multipart\":$status}"
		skyferry mkdir all:box
		skyferry cp -q from:f auto:f
		skyferry cp -q from:f auto:g
		api GET '/api/transfers?limit=1' | jq -e '.transfers[0].verified | test("crc32c")'
		# A loop looks once.
		has ".requests[\"GET /box\"] <= $(nproc) and .received == 2 * $size and .sessions == []"
		has ".objects[\"box/f\"] | .size == $size and .md5 != null" # it was not made of parts
	done
	skyferry cp -q auto:g back:
	cmp "$home/from/f" "$home/back/g"
}

@test "an account may ask for sessions: nothing goes by the XML API, and attributes are kept" {
	local id
	touch -d '2001-02-03 04:05:06.789' "$home/from/f"
	id=$(upload f)
	skyferry transfer wait "$id" --timeout 60
	has '[.requests | keys[] | select(test(" /box"))] == []'
	has '.objects["box/f"].metadata.mtime == "2001-02-03T04:05:06.789000000Z"'
	has ".received == $size"
	begun 1
	arrived f
}

@test "what must not be replaced is not, also if it comes while the end is sent" {
	local id
	control faults "[{\"match\":\"$puts\",\"after\":4,\"do\":[\"/-/put\",{\"path\":\"box/f\",\"text\":\"theirs\"}]}]"
	id=$(upload f '{"overwrite":false}')
	run ! skyferry transfer wait "$id" --timeout 60
	[[ $output == *"exists already"* ]]
	has '.objects["box/f"].size == 6 and .unplayed == [] and .sessions == []'
}

@test "kill -9 at every crash point of an upload: it goes on inside the file, and sends nothing twice" {
	local point pass id
	for point in $(sed -n 's/^[[:space:]]*"\(upload\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		for pass in 1 3; do
			[ "$pass" = 1 ] || [ "$point" = upload.after_part ] || continue
			echo "# $point:$pass"
			daemon_stop
			control reset
			start
			skyferry mkdir all:box
			daemon_stop
			SKYFERRY_CRASH=$point:$pass start
			id=$(upload "$point-$pass")
			daemon_dies || { echo "$point: the daemon never came there"; return 1; }
			# Who has the session's URL may write to it: it lies nowhere for others to read.
			run ! grep -rqa upload_id "$state"
			start
			skyferry transfer wait "$id" --timeout 60
			has ".received == $size"
			# One that was begun without anybody knowing where is left; it vanishes in a week.
			[ "$point" != upload.after_begin ] || control forget
			arrived "$point-$pass"
		done
	done
}

@test "kill -9 in the middle of a part: it goes on from what the session has, and reads no more than the part again" {
	local id
	control faults "[{\"match\":\"$puts\",\"after\":2,\"hold\":5000000}]" # of part 2
	id=$(upload f)
	until_so has '.received == 16777216 + 5000000'
	daemon_kill
	until_so has '.sessions[0].bytes == 16777216 + 19 * 262144'
	start
	skyferry transfer wait "$id" --timeout 60
	has ".received == $size + 5000000 - 19 * 262144"
	begun 1
	# The new daemon has read part 2 and the end of the source.
	[ "$(awk '/^rchar/ { print $2 }' "/proc/$daemon/io")" -lt $((18 << 20)) ]
	arrived f
}

@test "answers that are lost: of a part, of the end, of the beginning" {
	local id
	control faults "[{\"match\":\"$puts\",\"after\":1,\"lost\":true}]"
	id=$(upload part)
	skyferry transfer wait "$id" --timeout 60
	has ".received == $size" # it was asked what has come
	arrived part
	# A half answer is asked for again; one of which nothing has come, the HTTP library may have asked for with all of the end.
	control faults "[{\"match\":\"$puts\",\"after\":4,\"cut\":20}]"
	id=$(upload end)
	skyferry transfer wait "$id" --timeout 60
	has ".received == 2 * $size"
	has '(.objects["box/end"].generation | tonumber) == (.objects["box/part"].generation | tonumber) + 1'
	control faults "[{\"match\":\"$puts\",\"after\":4,\"lost\":true}]"
	id=$(upload nothing)
	skyferry transfer wait "$id" --timeout 60
	has '(.objects["box/nothing"].generation | tonumber) == (.objects["box/end"].generation | tonumber) + 1'
	begun 3
	arrived end
	arrived nothing
	control faults '[{"match":"^POST /upload","lost":true}]'
	id=$(upload begin)
	skyferry transfer wait "$id" --timeout 60
	begun 5
	control forget # the one whose address nobody was told
	arrived begin
}

@test "a session that has less than was sent to it, one that is refused for a while" {
	local id
	control faults "[{\"match\":\"$puts\",\"after\":1,\"alter\":{\"Range\":\"bytes=0-262143\"}}]"
	id=$(upload less)
	skyferry transfer wait "$id" --timeout 60
	has ".received == $size + 16777216 - 262144"
	arrived less
	control faults "[{\"match\":\"$puts\",\"after\":1,\"status\":503},{\"match\":\"$puts\",\"after\":2,\"status\":500},
	    {\"match\":\"$puts\",\"after\":3,\"status\":429},{\"match\":\"$puts\",\"after\":4,\"status\":408}]"
	id=$(upload refused)
	skyferry transfer wait "$id" --timeout 60
	begun 2
	arrived refused
}

@test "a session that is gone: it begins again" {
	local id status
	for status in 404 410; do
		control faults "[{\"match\":\"$puts\",\"after\":2,\"times\":2,\"status\":$status}]"
		id=$(upload "f$status")
		skyferry transfer wait "$id" --timeout 60
		has ".unplayed == [] and .objects[\"box/f$status\"].size == $size"
	done
	begun 4
	daemon_stop
	SKYFERRY_CRASH=upload.after_part:2 start
	id=$(upload g)
	daemon_dies
	control forget
	start
	skyferry transfer wait "$id" --timeout 60
	begun 6
	arrived g
}

@test "what is damaged on its way becomes no object: the service compares it before" {
	local id
	control faults "[{\"match\":\"$puts\",\"after\":1,\"harm\":true}]"
	id=$(upload f)
	skyferry transfer wait "$id" --timeout 60
	begun 2
	has '.requests | has("DELETE /storage/v1/b/box/o/f") | not' # nor had one to be removed
	api GET "/api/transfers/$id" | jq -e '.attempts == 2'
	arrived f
}

@test "a transfer that is cancelled ends its session" {
	local id
	control faults "[{\"match\":\"$puts\",\"after\":2,\"hold\":5000000}]"
	id=$(upload f)
	until_so has '.received == 16777216 + 5000000'
	skyferry transfer cancel "$id"
	until_so has '.sessions == [] and .requests["DELETE /upload/storage/v1/b/box/o"] == 1'
	has '.objects == {}'
}
