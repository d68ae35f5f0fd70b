#include "daemon/notify.h"
#include "src/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static char *address;

void
notify_init(void)
{
	address = xstrdup_null(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
}

static void
notify_send(const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	CLEANUP(cleanup_close) int fd = -1;
	size_t len;

	if (address == NULL || (address[0] != '/' && address[0] != '@'))
		return;
	len = strlen(address);
	if (len >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, address, len);
	if (to.sun_path[0] == '@') /* the abstract namespace */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
		    offsetof(struct sockaddr_un, sun_path) + len);
}

void
notify_ready(void)
{
	notify_send("READY=1");
}

void
notify_reloading(void)
{
	struct timespec now;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	notify_send(text);
}

void
notify_stopping(void)
{
	notify_send("STOPPING=1");
}
