#!/bin/bash
# The documents against the tree, both ways.  docs/semantics.md names a test for each row (`FILE.bats:
# NAME`, `FILE.bats`, or `FILE.c: FUNCTION`): each must be there, and each test of the mount must be
# named, there or below with the reason.  Every route of the API has its row in docs/api.md, every option
# of skyferryd and mount.skyferry its place in their manual pages.
set -u
build=$(cd "${top_builddir:-$(dirname "$0")/../build}" && pwd) || exit 1
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

# Tests of the mount that show no promise to programs; what each shows, or where it is promised.
elsewhere='
mount_crash.bats: unmount --wait waits, and tells of failures
	the command line: skyferry(1)
mount_users.bats: two users of one daemon: neither sees or touches what is the other'"'"'s
	the API: docs/api.md
mount_users.bats: a root inside a mount that does not answer is refused over TCP too, at once
	the API: docs/api.md
'
excused() { grep -qxF "$1" <<<"$elsewhere"; }
tests=$(for file in tests/integration/mount*.bats; do
	sed -n "s/^@test \"\(.*\)\" {\$/${file##*/}: \1/p" "$file"
done)
unnamed=$(while IFS= read -r test; do
	printf '%s\n' "${named[@]}" | grep -qxF "$test" || excused "$test" || echo "docs/semantics.md does not name '$test'"
done <<<"$tests")
[ "$(wc -l <<<"$tests")" = "$(cat tests/integration/mount*.bats | grep -c '^@test')" ] || unnamed="not every @test could be read"
unnamed+=$(grep '^mount' <<<"$elsewhere" | grep -vxF "$tests" | sed 's/^/there is no test to excuse: /')
report "semantics.md: every test of the mount is named" "$unnamed"

rows=$(awk -F'|' '!/^\|/ { table = 0 } /shown by/ { table = 1; next }
	table && !/^\|-/ && $(NF - 1) !~ /`[a-z0-9_]+\.(bats|c)/ { print $2 }' docs/semantics.md)
report "semantics.md: every row names a test" "$rows"

routes=$(sed -n 's/^[[:space:]]*{\([A-Z]*\), "\([^"]*\)".*/\1 \2/p' daemon/router.c | while read -r method path; do
	grep -qF "$method $path" docs/api.md || echo "docs/api.md has no '$method $path'"
done)
[ "$(grep -cE '^[[:space:]]*\{(GET|POST|PUT|DELETE), "' daemon/router.c)" -gt 0 ] || routes="no route was found in daemon/router.c"
report "api.md: every route has its row" "$routes"

# Both ways: names of options, and of the values of -o, which --help has indented.
helped() # PROGRAM
{
	"$build/$1" --help | sed -nE 's/^ {2,6}(-.*)/\1/p' | grep -oE -- '(^|[ ,])--?[A-Za-z][a-z-]*' | tr -d ' ,'
	"$build/$1" --help | sed -nE 's/^ {7}([a-z_]+(=[A-Z]+)?( [a-z_]+=[A-Z]+)*)  .*/\1/p' | tr ' ' '\n' | sed 's/=.*//'
}
described() # PAGE: .It Fl f , Fl -foreground, and .It Cm uid Ns = Ns Ar uid , Cm gid
{
	awk '/^\.It (Fl|Cm) / {
		for (i = 2; i < NF; i++) {
			if ($i == "Fl") print "-" $(i + 1)
			if ($i == "Cm") print $(i + 1)
		}
	}' "$1"
}
for program in skyferryd mount.skyferry; do
	page=man/$program.8
	options=$(helped $program | sort -u)
	differ=$(diff <(described "$page" | sort -u) <(echo "$options") |
	    sed -n "s|^< \(.*\)|$page has \1, which $program --help has not|p; s|^> \(.*\)|$program --help has \1, which $page has not|p")
	grep -qx -- --help <<<"$options" && grep -qx -- --set <<<"$options" || differ+="the options of $program could not be read"
	report "$page: has the options of $program --help, and no others" "$differ"
done

echo "1..$number"
exit $status
