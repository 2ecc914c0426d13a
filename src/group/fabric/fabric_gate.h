/* fabric_gate.h — the door of the fabric's port: shut while nobody's call is awaited.
 *
 *   shut  =>  whoever calls gets no connection: the kernel drops what he sends, and we hear nothing of it
 *
 * The tcp provider (libfabric 1.17) keeps the socket of a caller that says nothing it knows, for ever, and looks at it
 * again in every turn. Members call only while a view forms or a joiner has a seat, so the port
 * need not answer else. It stays bound: cards name it.
 * Failure  a provider without a listening TCP socket, or a kernel without socket filters, has no gate: always open
 * Source   ours; socket(7), SO_ATTACH_FILTER */
#ifndef NX_GROUP_FABRIC_GATE_H
#define NX_GROUP_FABRIC_GATE_H

#include <stdbool.h>
#include <stddef.h>

/* Our listening socket of this name, which the provider owns; -1: there is none. `address` is a struct sockaddr_in. */
int nx_gate_find(const void *address, size_t bytes);
/* True if it is so now. -1: open only. */
bool nx_gate_set(int fd, bool open);

#endif
