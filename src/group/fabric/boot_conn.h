/* boot_conn.h — one TCP connection that carries bootstrap frames, without blocking.
 *
 *   in_bytes <= NX_BOOT_FRAME_MAX: a peer that sends more than one whole frame ahead is not read from meanwhile
 *   a frame other than a refusal leaves, and is shown, only when boot_auth.h's handshake has settled
 *
 * The handshake is done inside peek; its frames are never shown. Sealing and checking seals too.
 *
 * Thread   the group's
 * Failure  a connection that ended or broke says so from nx_boot_conn_move; its owner closes it
 * Source   tcp(7), epoll(7) */
#ifndef NX_GROUP_BOOT_CONN_H
#define NX_GROUP_BOOT_CONN_H

#include "group/fabric/boot_secret.h"

struct nx_boot_conn {
    int fd;        /* -1: no connection */
    char peer[64]; /* its address, for log lines */
    uint8_t in[NX_BOOT_FRAME_MAX], out[NX_BOOT_FRAME_MAX];
    size_t in_bytes, out_bytes, out_sent;
    struct nx_boot_auth auth;
};

/* A numeric address and port; NX_INVALID names what is wrong. */
enum nx_status nx_boot_listen(const char *ip, uint16_t port, int *fd, struct nx_err *err);
enum nx_status nx_boot_call(struct nx_boot_conn *conn, const char *ip, uint16_t port,
                            const struct nx_boot_identity *self, struct nx_err *err);
/* An accepted descriptor, closed on failure: no random bytes for the challenge. */
enum nx_status nx_boot_conn_adopt(struct nx_boot_conn *conn, int fd,
                                  const struct nx_boot_identity *self, struct nx_err *err);
void nx_boot_conn_close(struct nx_boot_conn *conn);

/* The other end has proven that it knows the group's secret, or this node has none. */
bool nx_boot_conn_settled(const struct nx_boot_conn *conn);

/* Who said hello is who proved itself; true where nothing had to be proven. */
bool nx_boot_conn_speaks_for(const struct nx_boot_conn *conn, nx_node joiner, uint64_t layout_hash);

/* Queues one frame made by nx_boot_encode_*; false if the last one has not left yet. Until it is
 * settled only a refusal may be sent. */
bool nx_boot_conn_send(struct nx_boot_conn *conn, const uint8_t *frame, size_t bytes);
/* Writes what the socket takes now; an end of the connection is seen at the next move. */
void nx_boot_conn_flush(struct nx_boot_conn *conn);
bool nx_boot_conn_flushed(const struct nx_boot_conn *conn);

/* Reads and writes what the socket takes. NX_OK, or NX_PEER_DOWN when it ended or broke; frames
 * that came before the end are still there to take. *moved tells whether bytes went either way. */
enum nx_status nx_boot_conn_move(struct nx_boot_conn *conn, bool *moved, struct nx_err *err);

/* The oldest whole frame; its payload is valid until the drop. NX_AGAIN: none yet. NX_CORRUPT: hang
 * up. NX_DENIED: the other end does not belong to this group; the sentence may be sent to it. */
enum nx_status nx_boot_conn_peek(struct nx_boot_conn *conn, enum nx_boot_kind *kind,
                                 const uint8_t **payload, size_t *len, struct nx_err *err);
void nx_boot_conn_drop(struct nx_boot_conn *conn, size_t payload_len);

#endif
