/* boot_wire.h — what nodes say to the leader, and it to them, until the first view stands.
 *
 *   joiner                       leader
 *     hello          ──▶           checks: version, configuration, id
 *                    ◀──  refused  one sentence, and the connection ends
 *                    ◀──  view     when first_view_nodes have come: members, cards, token, your rank
 *     connected      ──▶           once its fabric reaches every peer
 *                    ◀──  go       once all are connected: install the view
 *
 * A frame is {u32 bytes that follow, u8 kind, payload}, little-endian; nothing is longer than
 * NX_BOOT_FRAME_MAX. Where the group has a secret, the handshake of boot_auth.h comes first and all
 * that follows is sealed.
 * Input    hostile; every length, count and character is checked, and a refusal names the cause
 * Owner    plain values; nothing is allocated or kept
 * Source   ours */
#ifndef NX_GROUP_BOOT_WIRE_H
#define NX_GROUP_BOOT_WIRE_H

#include "group/fabric/fabric.h"

enum {
    NX_BOOT_VERSION = 1,
    NX_BOOT_HEAD_BYTES = 5,
    NX_BOOT_FRAME_MAX = 8192,
};

enum nx_boot_kind {
    NX_BOOT_HELLO = 1,
    NX_BOOT_REFUSED,
    NX_BOOT_VIEW,
    NX_BOOT_CONNECTED,
    NX_BOOT_GO,
    NX_BOOT_BEGIN, /* this and what follows: of the handshake, see boot_auth.h */
    NX_BOOT_CHALLENGE,
    NX_BOOT_PROOF,
    NX_BOOT_KINDS_END,
};

/* A node and all of its configuration that must agree with the leader's. */
struct nx_boot_hello {
    uint32_t version;
    uint64_t layout_hash;
    uint32_t members_max, first_view_nodes;
    char provider[16];
    struct nx_group_spec spec;
    nx_node node;
    uint32_t subgroup;
    uint16_t gms_port; /* where it listens */
    char host[48];
    struct nx_fabric_card card;
};

struct nx_boot_view {
    uint64_t token; /* never 0 */
    nx_rank rank;   /* of who gets this */
    struct nx_view view;
    struct nx_fabric_card cards[NX_MEMBERS_MAX];
};

/* Each fills a whole frame and returns its bytes. */
size_t nx_boot_encode_hello(const struct nx_boot_hello *hello, uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode_refused(const char *why, uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode_view(const struct nx_boot_view *view, uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode(enum nx_boot_kind kind, const uint8_t *payload, size_t len,
                      uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode_empty(enum nx_boot_kind kind, uint8_t frame[NX_BOOT_FRAME_MAX]);

/* Looks for a frame at the start of `bytes`. NX_AGAIN: more bytes are needed. NX_CORRUPT: this
 * is no frame. */
enum nx_status nx_boot_find_frame(const uint8_t *bytes, size_t len, enum nx_boot_kind *kind,
                                  const uint8_t **payload, size_t *payload_len, struct nx_err *err);

enum nx_status nx_boot_decode_hello(const uint8_t *payload, size_t len, struct nx_boot_hello *hello,
                                    struct nx_err *err);
enum nx_status nx_boot_decode_view(const uint8_t *payload, size_t len, struct nx_boot_view *view,
                                   struct nx_err *err);
/* The reason as text, cut to fit. */
void nx_boot_decode_refused(const uint8_t *payload, size_t len, char *why, size_t why_bytes);

/* NX_OK, or NX_DENIED and the first thing that differs: "your configuration differs: …". */
enum nx_status nx_boot_compare(const struct nx_boot_hello *leader,
                               const struct nx_boot_hello *joiner, struct nx_err *err);

#endif
