/*
 * s3_bench: driver_bench.h for the s3 driver.
 */
#pragma once
#include "tests/unit/driver_bench.h"

#define KEYS                                                                                       \
	"\"accessKeyId\":\"AKIAIOSFODNN7EXAMPLE\","                                                \
	"\"secretAccessKey\":\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\""
#define AMAZON "{\"bucket\":\"examplebucket\"," KEYS "}"
#define OWN    "{\"endpoint\":\"http://127.0.0.1:7480\",\"bucket\":\"box\"," KEYS "}"
#define SWIFT  "{\"service\":\"swift\",\"endpoint\":\"http://h\",\"bucket\":\"box\"," KEYS "}"
#define ALL    "{\"endpoint\":\"http://127.0.0.1:7480\"," KEYS "}"

#define SERVICE(name)                                                                              \
	"{\"service\":\"" name                                                                     \
	"\",\"endpoint\":\"http://127.0.0.1:7480\",\"bucket\":\"box\"," KEYS "}"

static inline void
bench_open(struct bench *b, const char *credentials)
{
	bench_open_driver(b, &s3_driver, credentials);
}

#define ERROR_BODY(code, message)                                                                  \
	"<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>" message "</Message></Error>"
