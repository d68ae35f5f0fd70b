dist_noinst_SCRIPTS += contrib/check contrib/fuzz contrib/quickstart
EXTRA_DIST += contrib/packages.sh

dist_bashcomp_DATA = contrib/completions/skyferry.bash
dist_zshcomp_DATA = contrib/completions/_skyferry
