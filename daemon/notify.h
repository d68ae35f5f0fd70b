/*
 * notify: tells the service manager how the daemon is doing (sd_notify(3)'s protocol, over the
 * datagram socket named by NOTIFY_SOCKET).  Without one it does nothing.
 */
#pragma once

void notify_init(void); /* takes NOTIFY_SOCKET out of the environment; once, before threads */
void notify_ready(void);
void notify_reloading(void); /* notify_ready() when it is done */
void notify_stopping(void);
