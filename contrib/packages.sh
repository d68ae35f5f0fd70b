# shellcheck shell=sh disable=SC2034 # used by those that source it
# Sourced by quickstart and check: which Debian packages are needed for what, and how to get the missing ones.

PACKAGES_BUILD="gcc make autoconf automake pkg-config libfuse3-dev libcurl4-openssl-dev libssl-dev liblmdb-dev
libjansson-dev libevent-dev libxml2-dev libjwt-dev libcrypt-dev uuid-dev libinih-dev"
PACKAGES_RUN="fuse3 ca-certificates"
PACKAGES_TEST="libcmocka-dev bats curl jq strace attr bsdutils procps util-linux python3 clang clang-format
clang-tidy libclang-rt-14-dev cppcheck shellcheck mandoc xz-utils iproute2 git zsh valgrind openssl rclone"
PACKAGES_SERVERS="ceph-mon ceph-osd radosgw ceph-common
swift-proxy swift-account swift-container swift-object memcached"
# It comes with other Nodes than Debian's too, which would have to go for it.
command -v npm >/dev/null || PACKAGES_SERVERS="$PACKAGES_SERVERS npm"
PACKAGES_POLICY=${PACKAGES_POLICY:-/usr/sbin/policy-rc.d}

# packages_need PACKAGE...: installs those that are missing (root), or names them (anybody else).
packages_need()
{
	packages_missing=
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
		    packages_missing="$packages_missing $package"
	done
	[ -n "$packages_missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "these packages are missing; as root: apt-get install --no-install-recommends$packages_missing" >&2
		return 1
	fi
	echo "installing:$packages_missing"
	# The word list is meant to be split.
	# shellcheck disable=SC2086
	packages_install $packages_missing && return 0
	echo "apt-get could not install:$packages_missing" >&2
	return 1
}

# What apt-get says is shown if it fails.  No service is started by an installation: policy-rc.d says no while it
# lasts, and goes with this subshell, also when it is interrupted.
packages_install()
(
	log=$(mktemp) policy=
	trap 'rm -f "$log" $policy' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if [ ! -e "$PACKAGES_POLICY" ]; then
		policy=$PACKAGES_POLICY
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get -qq update && apt-get -qq -y --no-install-recommends install "$@"; } >"$log" 2>&1 && exit 0
	cat "$log" >&2
	exit 1
)
