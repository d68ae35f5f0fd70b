# Loaded by the bats files that use real S3 servers beside helpers.bash.  A server is the line of JSON that a
# tests/servers/start-*.sh printed.
#
#   s3_add NAME SERVER     an account of the bucket $bucket there, which is new
#   uploads_left SERVER    how many are under way in the bucket

# shellcheck shell=bash disable=SC2154 # tests set the bucket

s3_add()
{
	local server=$2
	field() { jq -r ".$1" <<<"$server"; }
	export SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY
	SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY=$(field secret_key)
	skyferry account add --no-test "top-$1" s3 "service=$(field service)" "endpoint=$(field endpoint)" \
	    "region=$(field region)" "accessKeyId=$(field access_key)" >/dev/null
	skyferry mkdir "top-$1:$bucket"
	skyferry account add "$1" s3 "service=$(field service)" "endpoint=$(field endpoint)" "region=$(field region)" \
	    "accessKeyId=$(field access_key)" "bucket=$bucket" >/dev/null
	unset SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY
}

uploads_left()
{
	local answer user
	user=$(jq -r '(.access_key | @uri) + ":" + (.secret_key | @uri) + "@"' <<<"$1") # --user ends the name at a colon
	answer=$(curl -sS --fail-with-body --max-time 60 --aws-sigv4 "aws:amz:$(jq -r .region <<<"$1"):s3" \
	    -H x-amz-content-sha256:UNSIGNED-PAYLOAD "$(jq -r .endpoint <<<"$1" | sed "s|//|//$user|")/$bucket?uploads=") ||
	    { echo "$answer" >&2; return 1; }
	grep -o '<Upload>' <<<"$answer" | wc -l
}
