#!/bin/bash
# as-cloud.sh FAKE "HOST..." COMMAND...: runs COMMAND in a world where the hosts are a fake: it listens on port 443 of the
# loopback of a network of its own, with a certificate of an authority that exists for this once, which programs that
# heed SSL_CERT_FILE or NODE_EXTRA_CA_CERTS trust.  Clients that know only the real cloud meet the fake so, unchanged.
# Needs root (namespaces), node and openssl.  FAKE_URL is the fake's own address, for control requests.
set -u
if [ "${AS_CLOUD_DIR:-}" = "" ]; then
	AS_CLOUD_DIR=$(mktemp -d "${TMPDIR:-/tmp}/as-cloud.XXXXXX") || exit 1
	export AS_CLOUD_DIR
	trap 'rm -rf "$AS_CLOUD_DIR"' EXIT
	unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
	exit
fi
fake=$1 hosts=$2 dir=$AS_CLOUD_DIR
shift 2
ip link set lo up || exit 1
echo "127.0.0.1 localhost $hosts" >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts || exit 1
names=
for host in $hosts; do names="$names,DNS:$host"; done
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=the authority of as-cloud.sh" \
    -addext basicConstraints=critical,CA:TRUE -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null &&
    openssl req -newkey rsa:2048 -nodes -subj /CN=fake -keyout "$dir/fake.key" -out "$dir/fake.csr" 2>/dev/null &&
    openssl x509 -req -in "$dir/fake.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
	-extfile <(echo "subjectAltName=IP:127.0.0.1$names") -out "$dir/fake.pem" 2>/dev/null || exit 1
coproc SERVER { exec node "$fake" --port 443 --cert "$dir/fake.pem" --key "$dir/fake.key"; }
read -r -t 30 hello <&"${SERVER[0]}" || { echo "$fake did not start" >&2; exit 1; }
export FAKE=$hello FAKE_URL=https://127.0.0.1
export SSL_CERT_FILE=$dir/ca.pem CURL_CA_BUNDLE=$dir/ca.pem NODE_EXTRA_CA_CERTS=$dir/ca.pem
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
"$@"
