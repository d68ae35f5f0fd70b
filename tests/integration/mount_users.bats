#!/usr/bin/env bats
# Who may do what: a mount of an ordinary user, two users of one daemon, accounts and mounts that lie in
# each other, processes that wait in a mount, and many at once.
bats_require_minimum_version 1.5.0
load helpers

setup()
{
	home_make
	a=$mounts/a b=$mounts/b
	mkdir "$home/a" "$home/b"
	cd "$home"
}

teardown()
{
	local pid
	[ -z "${origin:-}" ] || kill -CONT "$origin"
	home_remove
	for pid in ${keeper:-} ${origin:-} "${loops[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

accounts_add()
{
	"${as[@]}" skyferry account add a local "$home/a" >/dev/null
	"${as[@]}" skyferry account add b local "$home/b" >/dev/null
}

# The home becomes that of nobody, who has the programs there and may open /dev/fuse as it is usual; where it
# is not, in a mount namespace of its own, which ends with its processes.  $as: whom, $inside: where.
ordinary_user()
{
	[ "$(id -u)" = 0 ] || skip "needs root, to become another user"
	mkdir "$home/bin"
	cp "$build/skyferry" "$build/skyferryd" "$build/mount.skyferry" "$home/bin"
	PATH=$home/bin:$PATH
	export HOME=$home
	chown -R nobody "$home"
	mkfifo "$home/ready"
	mkdir "$home/fuse"
	unshare --mount sh -ec '
	    if ! setpriv --reuid nobody --clear-groups test -w /dev/fuse; then
		mount -t tmpfs -o mode=755 skyferry-test "$1/fuse"
		mknod -m 666 "$1/fuse/fuse" c 10 229
		mount --bind "$1/fuse/fuse" /dev/fuse
	    fi
	    echo yes >"$1/ready"
	    exec tail -f /dev/null' sh "$home" 3>&- &
	keeper=$!
	[ "$(timeout 10 cat "$home/ready")" = yes ] || skip "cannot give another user /dev/fuse here"
	inside=(nsenter --mount="/proc/$keeper/ns/mnt" --wdns="$home")
	as=("${inside[@]}" setpriv --reuid nobody --regid nogroup --clear-groups)
}

@test "an ordinary user runs a daemon of its own, mounts, copies and unmounts" {
	ordinary_user
	daemon_start
	[ "$(stat -c %U "/proc/$daemon")" = nobody ]
	mkdir "$home/seed"
	content 1 500000 >"$home/seed/one"
	content 2 70000 >"$home/seed/two"
	cp "$home/seed/one" "$home/seed/two" "$home/a"
	chown nobody "$home/a/one" "$home/a/two"
	accounts_add
	"${as[@]}" skyferry mount "$mounts" 3>&- 4>&-
	"${inside[@]}" grep -q " $mounts .* fuse.skyferry .*user_id=$(id -u nobody)" /proc/self/mountinfo
	"${as[@]}" cp -p "$a/one" "$b/one"
	"${as[@]}" mv "$a/two" "$b/two"
	"${as[@]}" sh -c "echo new >'$b/new' && cat '$b/new' && ls '$b'" >"$home/seen"
	[ "$(cat "$home/seen")" = "new
new
one
two" ]
	# Not even root looks into it: nobody has asked for allow_other.
	run -2 "${inside[@]}" ls "$mounts"
	[[ $output == *"Permission denied"* ]]
	run ! "${inside[@]}" cat "$b/one"
	"${as[@]}" skyferry unmount --wait "$mounts"
	! "${inside[@]}" grep -q " $mounts " /proc/self/mountinfo
	cmp "$home/seed/one" "$home/b/one"
	cmp "$home/seed/one" "$home/a/one"
	cmp "$home/seed/two" "$home/b/two"
	[ ! -e "$home/a/two" ]
	[ "$(stat -c %U "$home/b/one" "$home/b/new" | sort -u)" = nobody ]
	[ -z "$(find "$state/spool" -type f)" ]
	daemon_stop
}

@test "an ordinary user is told what it may not do" {
	ordinary_user
	daemon_start
	accounts_add
	mkdir -m 755 "$home/roots"
	run ! "${as[@]}" skyferry mount "$home/roots"
	echo "$output"
	[[ $output == *"$home/roots"* ]]
	! "${inside[@]}" grep -q " $home/roots " /proc/self/mountinfo
	if ! grep -q '^user_allow_other' /etc/fuse.conf 2>/dev/null; then
		run ! "${as[@]}" mount.skyferry -o allow_other "$mounts"
		echo "$output"
		[[ $output == *user_allow_other*/etc/fuse.conf* ]]
	fi
	# What only root may read is not in an account of its own either.
	mkdir "$home/secret" && echo x >"$home/secret/x" && chmod 700 "$home/secret"
	"${as[@]}" skyferry account add s local "$home/secret" >/dev/null 2>&1 || true
	run ! "${as[@]}" skyferry ls s:
}

# caller UID METHOD PATH [JSON]: $status is the HTTP status, $output the body.
caller()
{
	local uid=$1
	shift
	run -0 setpriv --reuid "$uid" --regid "$uid" --clear-groups \
	    curl -sS --max-time 30 --unix-socket "$socket" -w '\n%{http_code}' -X "$1" "http://skyferry$2" \
	    ${3:+-H 'Content-Type: application/json' -d "$3"}
	status=${lines[-1]}
	output=${output%$'\n'*}
}

# answers UID STATUS METHOD PATH [JSON]
answers()
{
	local uid=$1 wanted=$2
	shift 2
	caller "$uid" "$@"
	[ "$status" = "$wanted" ] && return 0
	echo "uid $uid: $*: $status $output, not $wanted"
	return 1
}

field() { jq -r "$1" <<<"$output"; }

@test "two users of one daemon: neither sees or touches what is the other's" {
	[ "$(id -u)" = 0 ] || skip "needs root, to call as others"
	local first=65534 second=65533 root=0 account done waiting missing mount pending who path reader
	mkdir -m 755 "$home/open" "$home/data" "$home/data/1" "$home/data/2" "$home/data/3"
	chmod 711 "$home"
	: >"$home/none.conf"
	export SKYFERRY_SYSTEM=1 SKYFERRY_CONFIG=$home/none.conf SKYFERRY_STATE_DIR=$home/s \
	    SKYFERRY_RUNTIME_DIR=$home/open SKYFERRY_USERS_AUTO=yes SKYFERRY_LOCAL_ROOTS=$home/data \
	    SKYFERRY_TRANSFER_RETRIES=0
	socket=$home/open/skyferryd.sock
	echo secret >"$home/data/1/file"
	daemon_start

	# The first has everything there is.
	answers $first 201 POST /api/accounts "{\"name\":\"a\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/data/1\"}}"
	account=$(field .id)
	answers $first 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"file","destinationAccountId":"a","destinationPath":"copy"}'
	done=$(field .id)
	answers $first 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"none","destinationAccountId":"a","destinationPath":"failed"}'
	missing=$(field .id)
	answers $first 201 POST /api/transfers '{"sourceAccountId":"a","sourcePath":"file","destinationAccountId":"a","destinationPath":"later","notBefore":"2099-01-01T00:00:00Z"}'
	waiting=$(field .id)
	answers $first 201 POST /api/mounts '{"directory":"/home/first/Clouds"}'
	mount=$(field .id)
	pending=00000000-0000-4000-8000-000000000001
	answers $first 200 PUT /api/pending/$pending "{\"mountId\":\"$mount\",\"accountId\":\"a\",\"path\":\"written\",\"segments\":[{\"zero\":true,\"offset\":0,\"length\":10}]}"
	as=(setpriv --reuid $first --regid $first --clear-groups)
	timeout 20 sh -c "until ${as[*]} curl -sS --unix-socket '$socket' 'http://skyferry/api/transfers?status=failed' | jq -e '.total == 1' >/dev/null; do :; done"

	# The second, and the administrator, whose these are not either.
	: >"$home/events.0"
	: >"$home/events.$second"
	curl -sSN --unix-socket "$socket" http://skyferry/api/events >"$home/events.0" 3>&- &
	loops+=($!)
	setpriv --reuid $second --regid $second --clear-groups curl -sSN --unix-socket "$socket" http://skyferry/api/events >"$home/events.$second" 3>&- &
	loops+=($!)
	for who in $second $root; do
		timeout 10 tail -n +1 -f "$home/events.$who" | grep -q '^event: hello'
		answers $who 200 GET /api/accounts
		[ "$(field '.accounts | length')" = 0 ]
		answers $who 200 GET /api/transfers
		[ "$(field .total)" = 0 ]
		answers $who 200 GET /api/mounts
		[ "$(field '.mounts | length')" = 0 ]
		for path in "" "/files?path=" "/file?path=file" /usage; do
			answers $who 404 GET "/api/accounts/$account$path"
			answers $who 404 GET "/api/accounts/a$path"
		done
		answers $who 404 PUT "/api/accounts/$account" '{"name":"mine"}'
		answers $who 404 DELETE "/api/accounts/$account"
		answers $who 404 DELETE "/api/accounts/$account/file?path=file"
		answers $who 404 POST "/api/accounts/$account/test"
		answers $who 404 GET "/api/overlay?accountId=$account&dir="
		answers $who 404 POST /api/transfers "{\"sourceAccountId\":\"$account\",\"sourcePath\":\"file\",\"destinationAccountId\":\"$account\",\"destinationPath\":\"stolen\"}"
		answers $who 404 POST /api/changes "{\"kind\":\"remove\",\"accountId\":\"$account\",\"path\":\"file\"}"
		for path in "$done" "$missing" "$waiting" "$pending"; do
			answers $who 404 GET "/api/transfers/$path"
			answers $who 404 POST "/api/transfers/$path/cancel"
			answers $who 404 POST "/api/transfers/$path/retry"
		done
		answers $who 404 DELETE "/api/mounts/$mount"
		answers $who 404 GET "/api/events?mount=$mount"
		answers $who 404 PUT "/api/pending/00000000-0000-4000-8000-00000000000$((who % 7 + 2))" "{\"mountId\":\"$mount\",\"accountId\":\"$account\",\"path\":\"x\",\"segments\":[]}"
		answers $who 404 POST "/api/pending/$pending/commit" '{}'
		answers $who 404 DELETE "/api/pending/$pending"
		answers $who 201 POST /api/mounts '{"directory":"/mine"}'
		path=$(field .id)
		answers $who 404 POST "/api/pending/$pending/hold" "{\"mountId\":\"$path\"}"
		# Its own account may have the same name; a transfer of its own is all that it is told of.
		answers $who 201 POST /api/accounts "{\"name\":\"a\",\"provider\":\"local\",\"credentials\":{\"root\":\"$home/data/$((who == root ? 3 : 2))\"}}"
		caller $who PUT "/api/pending/$pending" "{\"mountId\":\"$path\",\"accountId\":\"a\",\"path\":\"x\",\"segments\":[]}"
		[ "$status" -ge 400 ] && [[ $output != *written* ]]
		# An id that is another's tells nothing of it.
		caller $who POST /api/transfers "{\"id\":\"$done\",\"sourceAccountId\":\"a\",\"sourcePath\":\"x\",\"destinationAccountId\":\"a\",\"destinationPath\":\"y\"}"
		[ "$status" -ge 400 ] && [[ $output != *copy* ]]
		answers $who 201 POST /api/changes '{"kind":"mkdir","accountId":"a","path":"directory"}'
		# While the first goes on.
		answers $first 201 POST /api/changes "{\"kind\":\"mkdir\",\"accountId\":\"a\",\"path\":\"first-$who\"}"
		timeout 20 tail -n +1 -f "$home/events.$who" | grep -q '"status":"completed"'
		timeout 20 sh -c "until [ -d '$home/data/1/first-$who' ]; do :; done"
		answers $who 201 POST /api/changes '{"kind":"mkdir","accountId":"a","path":"last"}'
		timeout 20 tail -n +1 -f "$home/events.$who" | grep -q '"destinationPath":"last".*"completed"\|"completed".*"destinationPath":"last"'
		! grep -qE "first-|$account|$pending|$done" "$home/events.$who"
	done

	# Credentials are for the mounts of the daemon's user, also those of one's own accounts.
	answers $first 403 GET "/api/accounts/$account/credentials"
	answers $second 403 GET "/api/accounts/$account/credentials"
	answers $second 403 GET /api/accounts/a/credentials
	answers $root 404 GET "/api/accounts/$account/credentials"
	answers $second 403 GET /api/users

	# Nothing of the first has changed.
	answers $first 200 GET "/api/transfers/$waiting"
	[ "$(field .status)" = queued ]
	answers $first 200 GET "/api/transfers/$pending"
	[ "$(field .destinationPath)" = written ]
	answers $first 200 GET /api/accounts
	[ "$(field '[.accounts[].name] | join(" ")')" = a ]
	[ "$(ls "$home/data/2" | tr '\n' ' ')" = "directory last " ]
	[ ! -e "$home/data/1/stolen" ] && [ "$(cat "$home/data/1/file")" = secret ]
}

refused() # PATTERN COMMAND...
{
	local pattern=$1
	shift
	run timeout 20 "$@"
	echo "$output"
	[ "$status" -ne 0 ] || return 1
	[ "$status" -ne 124 ] || return 1
	[[ $output =~ $pattern ]]
}

@test "an account is not made of what is mounted, nor of what contains a mount" {
	mkdir "$home/a/sub"
	daemon_start
	accounts_add
	mount_here
	ls "$a" >/dev/null
	refused "'$a/sub' lies inside the Skyferry mount '$mounts'" skyferry account add x local "$a/sub"
	refused "inside the Skyferry mount" skyferry account add x local "$mounts"
	refused "inside the Skyferry mount" skyferry account add x local "$a/sub/none"
	refused "'$home' contains the Skyferry mount '$mounts'" skyferry account add x local "$home"
	refused "contains the Skyferry mount" skyferry account add x local /
	# By detours; the daemon must not wait for the mount, which waits for the daemon.
	ln -s "$a/sub" "$home/link"
	refused "inside the Skyferry mount" skyferry account add x local "$home/link"
	refused "inside the Skyferry mount" skyferry account add x local "$home/b/../Clouds/b"
	if [ "$(id -u)" = 0 ]; then
		mkdir "$home/bound"
		mount --bind "$a/sub" "$home/bound"
		refused "inside the Skyferry mount" skyferry account add x local "$home/bound" || { umount "$home/bound"; return 1; }
		umount "$home/bound"
	fi
	[ "$(api GET /api/accounts | jq '.accounts | length')" = 2 ]
	ls "$a/sub"
}

@test "a root inside a mount that does not answer is refused over TCP too, at once" {
	local url token
	mkdir "$home/a/sub"
	daemon_start --set api.listen=127.0.0.1:0 --set "local.roots=$home"
	accounts_add
	mount_here
	url=$(sed -n 's/.*api: \(http:.*\)/\1/p' "$log" | tail -n 1)
	token=$(curl -sS -H 'Content-Type: application/json' -d '{"username":"anna","password":"correct horse"}' "$url/api/auth/register" | jq -r .token)
	kill -STOP "$mounter"
	refused "" curl -sS --max-time 10 -f -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
	    -d "{\"name\":\"x\",\"provider\":\"local\",\"credentials\":{\"root\":\"$a/sub\"}}" "$url/api/accounts"
	[ "$status" = 22 ] # an answer, not silence
	kill -CONT "$mounter"
}

@test "a mount is refused where it and an account would lie in each other" {
	mkdir -p "$home/a/sub/deep"
	daemon_start
	accounts_add
	refused "account 'a' \($home/a\) and the mount at $home/a/sub contain each other" mount.skyferry "$home/a/sub"
	refused "contain each other" skyferry mount "$home/a/sub/deep"
	refused "contain each other" skyferry mount "$home/a"
	refused "contain each other" skyferry mount "$home"
	ln -s "$home/a/sub" "$home/link"
	refused "contain each other" skyferry mount "$home/link"
	! grep -q " $home" /proc/self/mountinfo
	# A root that leads into the mount only when that is there: neither may look.
	mkdir "$home/c"
	skyferry account add later local "$home/c" >/dev/null
	mount_here
	rmdir "$home/c"
	ln -s "$a/sub" "$home/c"
	# It does not even look: nobody has the other side in a cache, so it would ask itself.
	refused "" ls "$mounts/later"
	daemon_stop
	daemon_start
	refused "behind a symlink" skyferry ls later:
	timeout 20 ls "$a/sub"
	kill -0 "$mounter" "$daemon"
}

@test "a root that leads into the mount does not keep the mount from being killed" {
	mkdir -p "$home/a/sub"
	daemon_start
	accounts_add
	mkdir -p "$home/c/deep"
	mount_here --set mount.daemon_timeout=600s
	skyferry account add later local "$home/c/deep" >/dev/null
	timeout 20 sh -c "until [ -d '$mounts/later' ]; do :; done"
	rm -r "$home/c"
	ln -s "$a/sub" "$home/c"
	kill -STOP "$daemon" # whoever looked into the mount for the root would stay there
	ls "$mounts/later" >"$home/out" 2>&1 3>&- &
	waiting=$!
	[ "$(id -u)" != 0 ] || requests_held 1
	dies mount "$mounter"
	wait "$mounter" || true
	mounter=
	wait "$waiting" || true
}

# Is it gone, or a zombie, within 5 s?  Waits in the mount end 2 s after a signal (TASK_DEFER_MS).
dies() # WHAT PID
{
	local n
	kill -KILL "$2" 2>/dev/null || true
	for ((n = 0; n < 250; n++)); do
		grep -q '^State:[[:space:]]*Z' "/proc/$2/status" 2>/dev/null && return 0
		[ -e "/proc/$2" ] || return 0
		read -r -t 0.02 <> <(:) || true
	done
	echo "$1 lives: $(grep ^State "/proc/$2/status") $(cat "/proc/$2/syscall")"
	return 1
}

# Whoever waits ($pids, and $whats it does) can be killed.
all_die()
{
	local i status=0
	kill -KILL "${pids[@]}" 2>/dev/null || true
	for i in "${!pids[@]}"; do
		dies "${whats[$i]}" "${pids[$i]}" || status=1
		wait "${pids[$i]}" || true
	done
	return $status
}

@test "whoever waits in the mount for a daemon that is stopped can be killed" {
	[ "$(id -u)" = 0 ] || skip "needs root, to see who waits"
	local dir status=0 whats=() pids=() dirs="write create fsync cp mv rm mkdir rmdir rename truncate chmod"
	for dir in $dirs; do
		mkdir "$home/a/$dir" "$home/b/$dir"
		content $dir 20000 >"$home/a/$dir/file"
	done
	mkdir -p "$home/a/unseen/deep" "$home/a/unknown/deep" "$home/a/rmdir/empty"
	daemon_start
	accounts_add
	mount_here
	for dir in $dirs; do
		ls -l "$a/$dir" "$b/$dir" >/dev/null
	done
	mkfifo "$home/go"
	dd if="$home/go" of="$a/write/new" status=none 3>&- & whats+=(write) pids+=($!)
	exec 6>"$home/go"
	echo begun >&6
	timeout 20 sh -c "until [ -e '$a/write/new' ]; do :; done" # dd has opened it
	kill -STOP "$daemon"
	# One in each directory: whoever needs one that another works in waits for the kernel.
	exec 6>&-
	cp /etc/passwd "$a/create/new" 3>&- & whats+=(create) pids+=($!)
	dd if=/etc/passwd of="$a/fsync/new" conv=fsync status=none 3>&- & whats+=(fsync) pids+=($!)
	cp "$a/cp/file" "$b/cp/file" 3>&- & whats+=(cp) pids+=($!)
	mv "$a/mv/file" "$b/mv/file" 3>&- & whats+=(mv) pids+=($!)
	rm "$a/rm/file" 3>&- & whats+=(rm) pids+=($!)
	mkdir "$a/mkdir/new" 3>&- & whats+=(mkdir) pids+=($!)
	rmdir "$a/rmdir/empty" 3>&- & whats+=(rmdir) pids+=($!)
	mv "$a/rename/file" "$a/rename/other" 3>&- & whats+=(rename) pids+=($!)
	truncate -s 100 "$a/truncate/file" 3>&- & whats+=(truncate) pids+=($!)
	chmod 600 "$a/chmod/file" 3>&- & whats+=(chmod) pids+=($!)
	ls "$a/unseen" 3>&- & whats+=(ls) pids+=($!)
	stat "$a/unknown/deep" 3>&- & whats+=(stat) pids+=($!)
	requests_held 13
	all_die || status=1
	kill -CONT "$daemon"
	[ "$status" = 0 ]
	# All works again, and what was interrupted is done or not.
	kill -0 "$mounter"
	[ "$(timeout 20 ls "$a/unseen" "$a/unknown" | grep -c '^deep')" = 2 ]
	for dir in $dirs; do
		timeout 20 ls -l "$a/$dir" "$b/$dir" >/dev/null
		echo after | timeout 20 dd of="$b/$dir/after" status=none
	done
	timeout 20 rm -r "$a/mkdir"
	settled
	[ "$(cat "$home"/b/*/after | sort -u)" = after ]
	[ ! -e "$home/a/mkdir" ]
	[ -e "$home/b/mv/file" ] || [ -e "$home/a/mv/file" ]
	[ ! -e "$home/b/mv/file" ] || [ ! -e "$home/a/mv/file" ]
	cmp "$home/a/cp/file" <(content cp 20000)
	[ "$(api GET '/api/transfers?limit=1&status=failed' | jq .total)" = 0 ]
	timeout 20 skyferry unmount "$mounts"
	wait "$mounter"
	mounter=
}

# origin_start KEY...: account s, with these objects of 20,000 bytes, of a server that can be stopped: $origin.
# The mount is there, and hears of it.
origin_start()
{
	local fake url key
	mkfifo "$home/origin"
	python3 "$BATS_TEST_DIRNAME/../fakes/s3.py" >"$home/origin" 2>"$home/origin.log" < <(exec tail -f --pid=$$ /dev/null 3>&-) 3>&- &
	origin=$!
	read -r -t 20 fake <"$home/origin"
	url=$(jq -r .endpoint <<<"$fake")
	content origin 20000 >"$home/object"
	for key; do
		curl -sSf -T "$home/object" "$url/-/object/$key"
	done
	api POST /api/accounts "{\"name\":\"s\",\"provider\":\"s3\",\"credentials\":{\"endpoint\":\"$url\",\"bucket\":\"fake\"}}" >/dev/null
	timeout 20 sh -c "until [ -d '$mounts/s' ]; do :; done"
}

@test "whoever waits in the mount for a cloud that does not answer can be killed" {
	[ "$(id -u)" = 0 ] || skip "needs root, to see who waits"
	local whats=() pids=() s=$mounts/s
	content 1 20000 >"$home/a/file"
	daemon_start
	accounts_add
	mount_here
	origin_start read/file copy/file rename/dir/file fsync/file unseen/deep unknown/deep create/deep
	ls -l "$s" >/dev/null
	ls -lR "$s/read" "$s/copy" "$s/rename" "$s/fsync" "$a" "$b" >/dev/null
	kill -STOP "$origin"
	cat "$s/read/file" >/dev/null 3>&- & whats+=(cat) pids+=($!)
	dd if=/etc/passwd of="$s/fsync/new" conv=fsync status=none 3>&- & whats+=(fsync) pids+=($!)
	mv "$s/rename/dir" "$s/rename/other" 3>&- & whats+=(rename) pids+=($!)
	ls "$s/unseen" 3>&- & whats+=(ls) pids+=($!)
	stat "$s/unknown/deep" 3>&- & whats+=(stat) pids+=($!)
	cp /etc/passwd "$s/create/new" 3>&- & whats+=(create) pids+=($!)
	requests_held 6
	# An upload that runs, and who wants to go on from what it makes.
	cp "$s/copy/file" "$b/copied"
	timeout 30 sh -c "until curl -s --unix-socket '$socket' 'http://skyferry/api/transfers?status=running' | jq -e '.transfers[] | select(.destinationPath == \"copied\")' >/dev/null; do :; done"
	dd if=/etc/passwd of="$b/copied" conv=notrunc status=none 3>&- & whats+=(write) pids+=($!)
	requests_held 7
	all_die
	kill -0 "$mounter"
	# What does not need that cloud has gone on.
	cmp "$home/a/file" "$a/file"
	kill -CONT "$origin"
	[ "$(timeout 60 ls "$s/unseen")" = deep ]
	[ "$(timeout 60 cat "$s/read/file" | wc -c)" = 20000 ]
	settled
	timeout 20 skyferry unmount "$mounts"
	wait "$mounter"
	mounter=
}

@test "a mount that is told to end does not wait for a cloud that does not answer" {
	[ "$(id -u)" = 0 ] || skip "needs root, to see who waits"
	local whats=(write) pids=() s=$mounts/s
	daemon_start
	accounts_add
	mount_here
	origin_start copy/file
	ls -l "$s/copy" >/dev/null
	kill -STOP "$origin"
	cp "$s/copy/file" "$b/copied"
	timeout 30 sh -c "until curl -s --unix-socket '$socket' 'http://skyferry/api/transfers?status=running' | jq -e '.total > 0' >/dev/null; do :; done"
	dd if=/etc/passwd of="$b/copied" conv=notrunc status=none 3>&- & pids+=($!)
	requests_held 1
	echo kept >"$b/kept"
	kill -TERM "$mounter"
	timeout 20 tail -s 0.1 -f --pid="$mounter" /dev/null
	wait "$mounter"
	mounter=
	all_die
	kill -CONT "$origin"
	settled
	[ "$(cat "$home/b/kept")" = kept ]
	[ "$(wc -c <"$home/b/copied")" = 20000 ]
}

@test "notifications of an inode and its parent while requests for both are held" {
	[ "$(id -u)" = 0 ] || skip "needs root, to see who waits"
	local whats=() pids=() s=$mounts/s account from name dir
	content 1 20000 >"$home/a/file"
	daemon_start
	accounts_add
	mount_here
	origin_start read/file set/dir/file rename/file lookup/file create/file
	ls -l "$s" >/dev/null
	ls -lR "$s/read" "$s/set" "$s/rename" "$a" "$b" >/dev/null
	account=$(api GET /api/accounts | jq -r '.accounts[] | select(.name == "s").id')
	from=$(api GET /api/accounts | jq -r '.accounts[] | select(.name == "a").id')
	# It holds what is in set/dir while that is renamed; opened before.
	mkfifo "$home/go"
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
open(sys.argv[2]).read()
os.fchmod(fd, 0o600)' "$s/set/dir/file" "$home/go" 3>&- & whats+=(setattr) pids+=($!)
	exec 6>"$home/go"
	kill -STOP "$origin"
	mv "$s/set/dir" "$s/set/other" 3>&- 6>&- & whats+=(rename) pids+=($!)
	requests_held 1
	cat "$s/read/file" >/dev/null 3>&- 6>&- & whats+=(read) pids+=($!)
	stat "$s/lookup/file" 3>&- 6>&- & whats+=(lookup) pids+=($!)
	cp /etc/passwd "$s/create/new" 3>&- 6>&- & whats+=(create) pids+=($!)
	exec 6>&- # and now fchmod
	requests_held 5
	# With the mount stopped the kernel has not even delivered these, when the events come.
	[ ! -e "$b/new" ] # the kernel remembers that: CREATE, not LOOKUP
	kill -STOP "$mounter"
	mv "$s/rename/file" "$s/rename/other" 3>&- & whats+=(rename) pids+=($!)
	chmod 600 "$a/file" 3>&- & whats+=(setattr) pids+=($!)
	touch "$b/new" 3>&- & whats+=(create) pids+=($!)
	requests_held 8
	for name in read/file set/dir/file lookup/file create/new create/file rename/file rename/other; do
		api POST /api/transfers "{\"sourceAccountId\":\"$from\",\"sourcePath\":\"file\",\"destinationAccountId\":\"$account\",\"destinationPath\":\"$name\"}" >/dev/null
	done
	for dir in set/dir read create lookup rename; do
		api POST /api/changes "{\"kind\":\"mkdir\",\"accountId\":\"$account\",\"path\":\"$dir/told\"}" >/dev/null
	done
	kill -CONT "$mounter"
	# The events are in: they are shown, though their cloud has not answered.
	timeout 20 sh -c "until [ -d '$s/read/told' ]; do :; done"
	timeout 20 sh -c "until [ -e '$b/new' ]; do :; done"
	echo after >"$b/after"
	all_die
	kill -CONT "$origin"
	timeout 60 ls "$s/lookup" >"$home/seen"
	diff "$home/seen" <(printf "file\ntold\n")
	# It ends only when the thread that notifies has.
	timeout 20 skyferry unmount "$mounts"
	wait "$mounter"
	mounter=
}

@test "many at once: copies, listings and reads, as programs that make thumbnails do" {
	local i n=50 pid pids=()
	[ -z "${SKYFERRY_TEST_FULL:-}" ] || n=500
	mkdir "$home/a/in" "$home/b/out"
	for ((i = 0; i < n; i++)); do
		content "$i" $((i * 150 + 1)) >"$home/a/in/$i"
	done
	daemon_start
	accounts_add
	mount_here -o settle=100ms
	for i in 1 2; do
		(while [ ! -e "$home/done" ]; do ls -lR "$mounts" >/dev/null || echo "ls" >>"$home/trouble"; done) 2>>"$home/trouble" 3>&- &
		loops+=($!)
	done
	for ((i = 0; i < n; i++)); do
		(cp "$a/in/$i" "$b/out/$i" && cmp "$a/in/$i" "$b/out/$i" && head -c 100 "$b/out/$i" >"$b/out/$i.thumbnail.part" &&
		    mv "$b/out/$i.thumbnail.part" "$b/out/$i.thumbnail") 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	settled
	: >"$home/done"
	wait "${loops[@]}"
	loops=()
	# A name may go between being listed and being looked at.
	! grep -v 'cannot access.*thumbnail.part.*No such file' "$home/trouble" | grep -v '^ls$'
	[ "$(find "$home/b/out" -type f | wc -l)" = $((2 * n)) ]
	for ((i = 0; i < n; i++)); do
		cmp "$home/a/in/$i" "$home/b/out/$i"
		head -c 100 "$home/a/in/$i" | cmp - "$home/b/out/$i.thumbnail"
	done
	[ "$(api GET '/api/transfers?limit=1&status=failed' | jq .total)" = 0 ]
	timeout 20 skyferry unmount "$mounts"
	wait "$mounter"
	mounter=
}

@test "a copy of a file that is on its way itself, and changes to it meanwhile" {
	local i n=10
	content whole 6000000 >"$home/whole"
	content less 5000000 >"$home/less"
	daemon_start
	accounts_add
	mount_here -o settle=0
	for ((i = 0; i < n; i++)); do
		cp "$home/whole" "$a/$i"
		cp "$a/$i" "$b/$i"
		cp "$home/whole" "$a/more$i"
		echo more >>"$a/more$i"
		cp "$home/whole" "$a/less$i"
		dd if="$home/less" of="$a/less$i" bs=1M status=none
	done
	settled
	cp "$home/whole" "$home/more"
	echo more >>"$home/more"
	for ((i = 0; i < n; i++)); do
		cmp "$home/whole" "$home/a/$i"
		cmp "$home/whole" "$home/b/$i"
		cmp "$home/more" "$home/a/more$i"
		cmp "$home/less" "$home/a/less$i"
	done
	[ "$(api GET '/api/transfers?limit=1&status=failed' | jq .total)" = 0 ]
}
