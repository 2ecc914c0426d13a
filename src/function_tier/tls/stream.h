/* stream.h — the bytes of one connection: as they are on the socket, or through TLS.
 *
 *     socket ◄─► [ TLS ] ◄─► nx_stream_recv, nx_stream_send ◄─► HTTP/2, HTTP/1.1
 *
 * A value: whoever holds it owns socket and session; handing a connection over is a copy.
 * The handshake is a part of the first calls: until it is through, recv and send say 0.
 *
 *   nothing that came is kept inside: after a recv that says 0, or that left NX_STREAM_ROOM bytes of room,
 *   whatever is unread is in the socket, so that a level-triggered epoll tells of all of it
 *
 * Thread   the server's. SIGPIPE must be ignored by the process: TLS writes with write(2).
 * Failure  -1: the connection is over, by the peer or by an error; nothing more can be read or sent. */
#ifndef NX_FUNCTION_TIER_STREAM_H
#define NX_FUNCTION_TIER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_st;
struct nx_room;

enum { NX_STREAM_ROOM = 16 << 10 }; /* one TLS record's text at most */

struct nx_stream {
    int fd;               /* non-blocking; -1: none */
    struct ssl_st *tls;   /* NULL: plain */
    struct nx_room *room; /* where the state of TLS lies, if it can be folded; owned */
    /* a recv waits until the socket can be written: watch EPOLLOUT, not EPOLLIN, then recv */
    bool recv_blocked;
};

static inline struct nx_stream nx_stream_plain(int fd)
{
    return (struct nx_stream){.fd = fd};
}

/* How many bytes came; 0: none now. cap >= NX_STREAM_ROOM. Does not say whether a plain peer has more to say. */
ssize_t nx_stream_recv(struct nx_stream *stream, void *dst, size_t cap);

/* How many bytes were taken, maybe 0. What was not taken must be sent next, from its first byte, with nothing cut off
 * its end: TLS may have sealed it already. */
ssize_t nx_stream_send(struct nx_stream *stream, const void *bytes, size_t len);

/* Gives the memory of an idle stream's TLS back, but for what it must know to go on; the next call of the others takes it
 * again. Does nothing to a plain one, during a handshake, or without memory. */
void nx_stream_fold(struct nx_stream *stream);

/* Says that nothing more will be sent; what comes can still be read. Never blocks. */
void nx_stream_shut(struct nx_stream *stream);

/* Ends it, politely if that costs no wait. The value is empty (fd -1) afterwards; closing an empty one does nothing. */
void nx_stream_close(struct nx_stream *stream);

#endif
