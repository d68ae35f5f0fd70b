#include "src/mount_line.h"
#include "src/mem.h"
#include <stdlib.h>
#include <string.h>

#define SKYFERRY_FSTYPE "fuse.skyferry"

/* "36 35 0:42 / /mount/point rw,noatime master:1 - fuse.skyferry skyferry rw,user_id=0" */
enum { FIELD_ID = 0, FIELD_DEVICE = 2, FIELD_POINT = 4 };

/* In place: "\040" and the like stand for blanks, tabs, newlines and backslashes. */
static void
mount_line_decode(char *s)
{
	char *out = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

bool
mount_line_parse(struct mount_line *out, char *line)
{
	char *field[FIELD_POINT + 1], *type = strstr(line, " - "), *end;
	size_t i;

	if (type == NULL)
		return false;
	*type = '\0';
	type += strlen(" - ");
	type[strcspn(type, " \n")] = '\0';
	for (i = 0; i < ARRAY_LEN(field); i++) {
		field[i] = strsep(&line, " ");
		if (field[i] == NULL)
			return false;
	}
	out->id = (int)strtol(field[FIELD_ID], NULL, 10);
	out->major = (unsigned)strtoul(field[FIELD_DEVICE], &end, 10);
	if (*end != ':')
		return false;
	out->minor = (unsigned)strtoul(end + 1, &end, 10);
	if (*end != '\0')
		return false;
	mount_line_decode(field[FIELD_POINT]);
	out->point = field[FIELD_POINT];
	out->is_ours = strcmp(type, SKYFERRY_FSTYPE) == 0;
	return true;
}
