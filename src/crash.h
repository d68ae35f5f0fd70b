/*
 * crash: named points at which the tests end the process as kill -9 would.  SKYFERRY_CRASH="name"
 * or "name:N" (the N-th pass) in the environment; without it crash_point() is one load and a
 * branch. The names are listed in crash.c; an unknown one in the environment is a fatal error.
 */
#pragma once

void crash_init(void); /* reads the environment; once, before threads */
void crash_point(const char *name); /* asserted to be in the table; any thread */
const char *crash_table(unsigned i); /* NULL ends it */
