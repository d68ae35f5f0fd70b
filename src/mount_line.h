/*
 * mount_line: one line of /proc/self/mountinfo (proc(5)): a mount as the kernel lists it.  Nothing
 * is asked of the mount itself, which may be stuck.
 */
#pragma once
#include <stdbool.h>

struct mount_line {
	int id;
	unsigned major, minor;
	const char *point; /* decoded; it lies inside the line */
	bool is_ours; /* a Skyferry mount */
};

/* Writes into the line.  False: it is none, and *out says nothing. */
bool mount_line_parse(struct mount_line *out, char *line);
