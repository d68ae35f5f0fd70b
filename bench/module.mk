# Benchmarks: built by `make bench`, run by bench/run; not part of the tests.
bench_programs = bench/bench_store bench/creates bench/origin bench/relay_curl
EXTRA_PROGRAMS += $(bench_programs)
bench_bench_store_SOURCES = bench/bench_store.c
bench_bench_store_LDADD = libdaemon.a $(SKY_LIBS) $(LMDB_LIBS)
bench_creates_SOURCES = bench/creates.c
bench_creates_LDADD = $(CURL_LIBS)
bench_origin_SOURCES = bench/origin.c
bench_origin_LDADD = libskyferry.a $(SSL_LIBS)
bench_relay_curl_SOURCES = bench/relay_curl.c
bench_relay_curl_LDADD = $(CURL_LIBS)
dist_noinst_SCRIPTS += bench/run
CLEANFILES += $(bench_programs)

.PHONY: bench
bench: all $(bench_programs)
