#!/usr/bin/env bats
# What the mount refuses, and how it tells of what went wrong.
load helpers

setup()
{
	home_make
	mkdir "$home/a" "$home/b"
}

teardown()
{
	local status=0
	home_remove || status=1
	# Detached: the mount may still be about to close its last descriptor there.
	[ -z "${small:-}" ] || umount -l "$small"
	return $status
}

begin() # SETTING...: the daemon and the mount, with accounts a and b
{
	daemon_start "$@"
	skyferry account add a local "$home/a"
	skyferry account add b local "$home/b"
	mount_start
}

small_account() # BYTES: a file system of its own for account b
{
	[ "$(id -u)" = 0 ] || skip "needs root to mount a small file system"
	small=$BATS_TEST_TMPDIR/small
	mkdir "$small"
	mount -t tmpfs -o "size=$1,mode=755" skyferry-test "$small"
	rmdir "$home/b"
	ln -s "$small" "$home/b"
}

@test "space is not reserved: fallocate is refused" {
	begin
	run fallocate -l 4096 "$mounts/a/file"
	[ "$status" -ne 0 ]
	[[ $output == *"not supported"* ]]
	[ "$(stat -c %s "$mounts/a/file")" = 0 ]
}

@test "locks hold between processes of this machine" {
	begin
	: >"$mounts/a/lock"
	exec 7<"$mounts/a/lock"
	flock -n 7
	run flock -n "$mounts/a/lock" true
	[ "$status" -eq 1 ]
	exec 7<&-
	flock -w 10 "$mounts/a/lock" true
}

@test "what was written here stays readable after it was removed" {
	begin
	# One descriptor to write by, one whose offset is still at the beginning.
	exec 7>"$mounts/a/file" 8<"$mounts/a/file"
	content 1 20000 >&7
	rm "$mounts/a/file"
	[ ! -e "$mounts/a/file" ]
	content 1 20000 | cmp - <(cat <&8)
	exec 7>&- 8<&-
	skyferry transfer wait --all --timeout 60
	[ -z "$(ls "$home/a")" ]
}

@test "a change that fails for good is told everywhere, keeps what was written, and can be retried" {
	small_account 4M
	begin --set transfer.retries=0
	content 2 $((3 << 20)) >"$mounts/b/one"
	skyferry transfer wait --all --timeout 60
	content 3 $((3 << 20)) >"$mounts/b/two"
	run skyferry transfer wait --all --timeout 60
	id=$(api GET '/api/transfers?status=failed' | jq -r '.transfers[0].id')
	[ -n "$id" ] && [ "$id" != null ]
	api GET "/api/transfers/$id" | jq -e '.error.code == "no_space"'
	skyferry status | grep -q '1 FAILED'
	skyferry transfers | grep -q failed
	grep -q "$id.*no space" "$log"
	[ "$(getfattr --only-values -n user.skyferry.status "$mounts/b/two")" = failed ]
	content 3 $((3 << 20)) | cmp - "$mounts/b/two"
	mount -o remount,size=64M "$small"
	skyferry transfer retry "$id"
	skyferry transfer wait "$id" --timeout 60
	content 3 $((3 << 20)) | cmp - "$small/two"
}

@test "spool.quota bounds what is written, and loses nothing" {
	begin --set spool.quota=3M
	# A file that is being written stays in the spool.
	exec 7>"$mounts/b/kept"
	content 4 $((2 << 20)) >&7
	run dd if=/dev/zero of="$mounts/a/large" bs=64k count=64
	[ "$status" -ne 0 ]
	[[ $output == *"quota exceeded"* ]]
	[ "$(cat "$state"/spool/*/*.data | wc -c)" -le $((3 << 20)) ]
	rm "$mounts/a/large"
	content 5 $((512 << 10)) >"$mounts/a/fits"
	exec 7>&-
	settled
	content 4 $((2 << 20)) | cmp - "$home/b/kept"
	content 5 $((512 << 10)) | cmp - "$home/a/fits"
	# What was uploaded counts no more.
	content 6 $((2560 << 10)) >"$mounts/a/again"
	settled
	content 6 $((2560 << 10)) | cmp - "$home/a/again"
}
