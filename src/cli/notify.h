/* notify.h — tells the service manager how the node is, if one asked to be told (systemd's Type=notify).
 *
 * A datagram of lines such as "READY=1" to the socket that NOTIFY_SOCKET names. Without that variable, or where nobody
 * listens, nothing happens: a node does not depend on who started it.
 * Source  sd_notify(3), the section on the protocol. */
#ifndef NX_CLI_NOTIFY_H
#define NX_CLI_NOTIFY_H

void nx_notify(const char *state);

#endif
