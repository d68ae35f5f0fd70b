/*
 * content_type: what a file is, guessed from its name, for clouds that want to be told.
 */
#pragma once

/* Never NULL: "application/octet-stream" when nothing is known. */
const char *content_type_guess(const char *path);
