/*
 * options: what mount.skyferry was asked for on its command line, in the form of mount(8) helpers.
 */
#pragma once
#include "fs/fs.h"

/* 0; 1: --help or --version was answered; or an error.  Settings given with --set are applied. */
int options_parse(struct fs_options *, struct settings *, int argc, char **argv, struct err *);
/* One -o string. */
int options_parse_mount(struct fs_options *, const char *list, struct err *);
void options_fini(struct fs_options *);
