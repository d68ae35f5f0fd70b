#!/usr/bin/env bats
# A real server of Azure Blob Storage (SKYFERRY_TEST_AZURE: the line that tests/servers/start-azurite.sh printed):
# through the mount as a person would use it, and kill -9 in the middle of an upload in blocks.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	[ -n "${SKYFERRY_TEST_AZURE:-}" ] || skip "SKYFERRY_TEST_AZURE names no server"
	home_make
	box=sky-$BATS_TEST_NUMBER-$$
	start
	local_add from back
	export SKYFERRY_CREDENTIAL_ACCOUNT_KEY
	SKYFERRY_CREDENTIAL_ACCOUNT_KEY=$(field key)
	skyferry account add --no-test all azure "endpoint=$(field endpoint)" "accountName=$(field account)" >/dev/null
	# A container is a top-level directory of an account without one.
	skyferry mkdir "all:$box"
	skyferry account add azure azure "endpoint=$(field endpoint)" "accountName=$(field account)" "container=$box" >/dev/null
	unset SKYFERRY_CREDENTIAL_ACCOUNT_KEY
}

teardown()
{
	home_remove
}

field() { jq -r ".$1" <<<"$SKYFERRY_TEST_AZURE"; }

start()
{
	daemon_start --set transfer.backoff=100ms --set transfer.backoff_max=1s --set transfer.retries=20
}

# request METHOD PATH?QUERY [HEADER...]: as somebody else.
request()
{
	"$BATS_TEST_DIRNAME/../servers/azure-request.py" "$SKYFERRY_TEST_AZURE" "$1" "$box/$2" "${@:3}"
}

# blocks WHICH PATH: the names of the blocks.
blocks()
{
	request GET "$2?blocklisttype=$1&comp=blocklist" | grep -oE '<Name>[^<]*' | cut -c 7- | while read -r name; do
		base64 -d <<<"$name"
		echo
	done
}

@test "cp -r of a real tree to Azure and back through the mount is the same, and mv moves" {
	cp -rL /usr/share/doc/libc6 /usr/share/doc/bats /usr/share/doc/curl "$home/from/" 2>/dev/null || true
	mkdir "$home/from/empty"
	content 2 100000 >"$home/from/here"
	touch -d '2001-02-03 04:05:06.789' "$home/from/here"
	mount_start
	cp -r "$mounts/from/." "$mounts/azure/"
	settled
	cp -r "$mounts/azure/." "$mounts/back/"
	settled
	diff -r "$home/from" "$home/back"
	mv "$mounts/from/here" "$mounts/azure/there"
	settled
	[ ! -e "$home/from/here" ]
	mv "$mounts/azure/there" "$mounts/back/again"
	settled
	content 2 100000 | cmp - "$home/back/again"
	[ "$(stat -c %y "$home/back/again" | cut -c 1-23)" = "2001-02-03 04:05:06.789" ]
	run ! skyferry ls azure:there
	mount_stop
}

@test "names that need care arrive as they are, those that Azure has not are refused" {
	for name in 'with space' 'ümläut-日本' "quote'd \"name\"" '100%' 'a+b&c=d?e#f' '~tilde' 'semi;colon'; do
		printf '%s' "$name" >"$home/from/$name"
	done
	skyferry cp -q -r from: azure:d
	skyferry cp -q -r azure:d back:
	diff -r "$home/from" "$home/back/d"
	for name in 'back\slash' $'new\nline' 'ends in a dot.'; do
		echo x >"$home/from/$name"
		run ! skyferry cp "from:$name" azure:
		[[ $output == *"Azure has no names"* ]]
	done
	[ "$(skyferry ls azure: | wc -l)" = 1 ]
}

@test "a copy within the cloud passes no content through the daemon, also between containers" {
	content 3 3000000 >"$home/from/f"
	skyferry cp -q from:f azure:one
	for to in azure:two "all:$box/three"; do
		skyferry cp -q azure:one "$to"
		api GET '/api/transfers?limit=1' | jq -e '.transfers[0].route == "native"'
	done
	skyferry cp -q azure:two "all:$box/three" back:
	cmp "$home/from/f" "$home/back/two"
	cmp "$home/from/f" "$home/back/three"
	# Azure says nothing of others' content than what it was told: the source's hash stays with its copies.
	request GET '?comp=list&restype=container' | grep -o '<Content-MD5>[^<]*' | sort | uniq -c | grep -q ' 3 '
}

@test "from S3, with the checksum that it tells" {
	coproc FAKE { exec "$BATS_TEST_DIRNAME/../fakes/s3.py" 3>&- 4>&-; }
	read -r -t 30 fake <&"${FAKE[0]}"
	skyferry account add --no-test s3 s3 "endpoint=$(jq -r .endpoint <<<"$fake")" bucket=fake >/dev/null
	content 4 1000000 >"$home/from/f"
	skyferry cp -q from:f s3:f
	skyferry cp -q s3:f azure:f
	api GET '/api/transfers?limit=1' | jq -e '.transfers[0].verified | test("md5")'
	skyferry mv -q azure:f s3:g
	skyferry cp -q s3:g back:
	cmp "$home/from/f" "$home/back/g"
	run ! skyferry ls azure:f
	kill "$(jq .pid <<<"$fake")"
}

@test "kill -9 at every crash point of an upload in blocks: it goes on inside the file" {
	local point pass before
	content 5 16800000 >"$home/from/f" # three blocks, two of them at once
	for point in $(sed -n 's/^[[:space:]]*"\(upload\.[a-z_]*\)".*/\1/p' "$BATS_TEST_DIRNAME/../../src/crash.c"); do
		for pass in 1 3; do
			[ "$pass" = 1 ] || [ "$point" = upload.after_part ] || continue
			echo "# $point:$pass"
			daemon_stop
			SKYFERRY_CRASH=$point:$pass start
			id=$(api POST /api/transfers '{"sourceAccountId":"from","sourcePath":"f","destinationAccountId":"azure",
			    "destinationPath":"'"$point-$pass"'"}' | jq -r .id)
			daemon_dies || { echo "$point: the daemon never came there"; return 1; }
			before=$(printf '%012x' $(($(date +%s%3N))))
			start
			skyferry transfer wait "$id" --timeout 60
			blocks committed "$point-$pass" >"$home/blocks"
			[ "$(wc -l <"$home/blocks")" = 3 ]
			# Of one upload; a name ends in the time when the block was written.
			[ "$(cut -d- -f1 "$home/blocks" | sort -u | wc -l)" = 1 ]
			[ "$point-$pass" != upload.after_part-3 ] || [ "$(awk -F- -v t="$before" '$3 "" < t ""' "$home/blocks" | wc -l)" -ge 1 ]
			[ -z "$(blocks uncommitted "$point-$pass")" ]
		done
	done
	skyferry cp -q -r azure: back:all
	for got in "$home"/back/all/*; do
		cmp "$home/from/f" "$got"
	done
	[ "$(ls "$home/back/all" | wc -l)" = 6 ]
}

@test "blocks of somebody else at the same name are neither committed nor in the way" {
	content 6 16800000 >"$home/from/f"
	# The length of a name that most programs use, ours as well.
	theirs=$(printf '%048d' 1 | base64 -w0)
	printf theirs | request PUT "shared?blockid=${theirs//=/%3D}&comp=block"
	skyferry cp -q from:f azure:shared
	skyferry cp -q azure:shared back:
	cmp "$home/from/f" "$home/back/shared"
	# Of another length the service refuses to mix them: that is said.
	printf theirs | request PUT "other?blockid=MDAx&comp=block"
	run ! skyferry cp -q from:f azure:other
	[[ $output == *"never finished"* ]]
	[ "$(blocks uncommitted other)" = 001 ]
	run ! skyferry ls azure:other
}

@test "what others have put there: leases, page and append blobs" {
	echo ours >"$home/from/f"
	request PUT append x-ms-blob-type:AppendBlob </dev/null
	printf 'append' | request PUT 'append?comp=appendblock'
	skyferry cp -q azure:append back:
	[ "$(cat "$home/back/append")" = append ]
	skyferry cp -q from:f azure:append # a whole new blob takes its place
	skyferry cp -q azure:append back:
	cmp "$home/from/f" "$home/back/append"
	request PUT 'append?comp=lease' x-ms-lease-action:acquire x-ms-lease-duration:-1 </dev/null
	run ! skyferry rm azure:append
	[[ $output == *"holds a lease"* ]]
	run ! skyferry cp from:f azure:append
	[[ $output == *"holds a lease"* ]]
}

@test "a wrong key, and an account by connection string" {
	SKYFERRY_CREDENTIAL_ACCOUNT_KEY=Z3Vlc3NlZA== run -1 --separate-stderr \
	    skyferry account add wrong azure "endpoint=$(field endpoint)" "accountName=$(field account)"
	[[ $stderr == *Authorization* ]]
	[[ $stderr != *Z3Vlc3NlZA* ]]
	SKYFERRY_CREDENTIAL_CONNECTION_STRING="AccountName=$(field account);AccountKey=$(field key);BlobEndpoint=$(field endpoint)" \
	    skyferry account add string azure "container=$box"
	echo x >"$home/from/x"
	skyferry cp -q from:x string:x
	[ "$(skyferry ls azure:)" = x ]
	skyferry account show --json string >"$home/shown"
	run ! grep -q "$(field key)" "$home/shown"
}
