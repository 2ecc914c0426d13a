/* tls_memory.h — where OpenSSL gets its memory from. Internal to TLS.
 *
 *     a connection's state (SSL)  ─► its room, if one is named: it folds while the connection idles (room.h)
 *     record buffers, 16 KiB on   ─► slots: they come and go with each record, and would tear the heap to pieces
 *     everything else             ─► the heap
 *
 * A state is looked at by nobody but the functions of OpenSSL that get it as their argument: the
 * library has no threads and no list of connections. So it may be folded between two of these
 * calls.
 * Bounds   SLOTS_MAX slots of SLOT_BYTES; what finds none free comes from the heap
 * Thread   any; a room is named for the calling thread alone. Failure  NULL: no memory.
 * Source   CRYPTO_set_mem_functions(3), SSL_CTX_set_mode(3) on SSL_MODE_RELEASE_BUFFERS. */
#ifndef NX_FUNCTION_TIER_TLS_MEMORY_H
#define NX_FUNCTION_TIER_TLS_MEMORY_H

#include "common/room.h"

enum { NX_TLS_ROOM_BYTES = 8 << 10, NX_TLS_STATE_BYTES = 4 << 10 };

/* Once, before anything in the process uses OpenSSL; afterwards it does nothing. If something
 * did use it, all stays on the heap and no room is filled. */
void nx_tls_memory_init(void);

/* The first block of NX_TLS_STATE_BYTES and more that this thread's OpenSSL asks for lies in the
 * room, and those that lie in it are given back with it; until the end. */
void nx_tls_memory_begin(struct nx_room *room);
void nx_tls_memory_end(void);

#endif
