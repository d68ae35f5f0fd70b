/*
 * azure_bench: driver_bench.h for the azure driver.
 */
#pragma once
#include "tests/unit/driver_bench.h"

#define KEY                                                                                        \
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define CLOUD "{\"accountName\":\"myaccount\",\"container\":\"box\",\"accountKey\":\"" KEY "\"}"
#define OWN                                                                                        \
	"{\"accountName\":\"acct\",\"endpoint\":\"http://127.0.0.1:10000/acct\","                  \
	"\"container\":\"box\",\"accountKey\":\"" KEY "\"}"
#define ALL                                                                                        \
	"{\"accountName\":\"acct\",\"endpoint\":\"http://127.0.0.1:10000/acct\","                  \
	"\"accountKey\":\"" KEY "\"}"
#define BOX "http://127.0.0.1:10000/acct/box"
#define XML                                                                                        \
	"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>" /* with Azure's mark in front */

static inline void
bench_open(struct bench *b, const char *credentials)
{
	bench_open_driver(b, &azure_driver, credentials);
}

#define ERROR_BODY(code, message)                                                                  \
	XML "<Error><Code>" code "</Code><Message>" message                                        \
	    "\nRequestId:1\nTime:2\n</Message></Error>"
