# Manual pages, in mdoc(7); tests/lint.sh and tests/integration/cli.bats read them.
dist_man_MANS += \
	man/mount.skyferry.8 \
	man/skyferry.1 \
	man/skyferry.conf.5 \
	man/skyferryd.8
