#!/bin/bash
# The documents against the tree, both ways.  docs/semantics.md names a test for each row (`FILE.bats:
# NAME`, `FILE.bats`, or `FILE.c: FUNCTION`): each must be there, and each test of the mount must be
# named.  Every route of the API has its row in docs/api.md.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
number=0 status=0

report() # NAME WORDS: passed if there are no words
{
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		printf '# %s\n' "${2//$'\n'/$'\n'# }"
		status=1
	fi
}

# shellcheck disable=SC2016 # the back quotes are the document's
mapfile -t named < <(grep -oE '`[a-z0-9_]+\.(bats|c)(: [^`]*)?`' docs/semantics.md | tr -d '`' | sort -u)

missing=$(for test in "${named[@]}"; do
	file=${test%%:*}
	name=${test#*: }
	case $test in
	*.bats:*) grep -qF "@test \"$name\"" "tests/integration/$file" 2>/dev/null ;;
	*.bats) [ -e "tests/integration/$test" ] ;;
	*.c:*) grep -qE "^$name\(" "tests/unit/$file" 2>/dev/null ;;
	*.c) [ -e "tests/unit/$test" ] ;;
	esac || echo "docs/semantics.md names '$test', which there is not"
done)
[ ${#named[@]} -gt 0 ] || missing="docs/semantics.md names no test at all"
report "semantics.md: every test that it names is there" "$missing"

unnamed=$(for file in mount mount_limits; do
	sed -n 's/^@test "\(.*\)" {$/\1/p' tests/integration/$file.bats | while IFS= read -r name; do
		printf '%s\n' "${named[@]}" | grep -qxF "$file.bats: $name" || echo "docs/semantics.md does not name '$file.bats: $name'"
	done
done)
report "semantics.md: every test of the mount is named" "$unnamed"

rows=$(awk -F'|' '!/^\|/ { table = 0 } /shown by/ { table = 1; next }
	table && !/^\|-/ && $(NF - 1) !~ /`[a-z0-9_]+\.(bats|c)/ { print $2 }' docs/semantics.md)
report "semantics.md: every row names a test" "$rows"

routes=$(sed -n 's/^[[:space:]]*{\([A-Z]*\), "\([^"]*\)".*/\1 \2/p' daemon/router.c | while read -r method path; do
	grep -qF "$method $path" docs/api.md || echo "docs/api.md has no '$method $path'"
done)
[ "$(grep -cE '^[[:space:]]*\{(GET|POST|PUT|DELETE), "' daemon/router.c)" -gt 0 ] || routes="no route was found in daemon/router.c"
report "api.md: every route has its row" "$routes"

echo "1..$number"
exit $status
