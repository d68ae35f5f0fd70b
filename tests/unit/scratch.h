/*
 * scratch: a directory of a unit test's own, removed with all that is in it.
 */
#pragma once
#include "src/mem.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A real path, without symlinks.  Caller gives it to scratch_remove(). */
static inline char *
scratch_make(void)
{
	char *real;
	const char *tmp = getenv("TMPDIR");
	char *dir =
	    xasprintf("%s/skyferry-test.XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");

	if (mkdtemp(dir) == NULL) {
		perror(dir);
		exit(99); /* Automake: the test could not be set up */
	}
	real = realpath(dir, NULL);
	free(dir);
	return real;
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void
scratch_remove(char *dir)
{
	nftw(dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

static inline void
scratch_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
		perror(path);
		exit(99);
	}
}
