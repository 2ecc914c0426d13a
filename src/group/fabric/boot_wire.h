/* boot_wire.h — what a node says to the one that it calls, and what it is answered.
 *
 *   joiner                       whom it calls
 *     hello          ──▶           checks: version, configuration, clock, id
 *                    ◀──  refused   one sentence, for good, and the connection ends
 *                    ◀──  later     one sentence: not now; try again
 *                    ◀──  aside     the same, of one that is in no primary view: ask the others first
 *                    ◀──  redirect  the one to call is there
 *                    ◀──  wait      you are heard: the answer may take a while
 *   of the first view:
 *                    ◀──  view     when first_view_nodes have come: members, cards, token, your rank
 *     connected      ──▶           once its fabric reaches every peer
 *                    ◀──  go       once all are connected: install the view
 *   of a running group:
 *                    ◀──  seat     the members have admitted you: the view as it is, cards, token, your rank
 *     connected      ──▶           once its fabric reaches them
 *                    ◀──  welcome  the view with you is installed: begin in it
 *
 *   of a member that lost the others, instead of a hello:
 *     probe          ──▶           group, view, node
 *                    ◀──  probed   the view there; a later one, without you: it went on. None, but your group: who leads the
 *                                  first view gathers the disks of your group, which begins again
 *
 * A frame is {u32 bytes that follow, u8 kind, payload}, little-endian; nothing is longer than
 * NX_BOOT_FRAME_MAX. boot_view.c has the frames that carry a view. Where the group has a secret,
 * the handshake of boot_auth.h comes first and all that follows is sealed.
 * Input    hostile; every length, count and character is checked, and a refusal names the cause
 * Owner    plain values; nothing is allocated or kept
 * Source   ours */
#ifndef NX_GROUP_BOOT_WIRE_H
#define NX_GROUP_BOOT_WIRE_H

#include "group/durable/dur_restart.h"
#include "group/fabric/fabric.h"

enum {
    NX_BOOT_VERSION = 3,
    NX_BOOT_HEAD_BYTES = 5,
    NX_BOOT_FRAME_MAX = 8192,
    NX_BOOT_CARD_BYTES_MAX = 1 + NX_ADDRESS_BYTES + 8 + 8,
    NX_BOOT_SPEC_BYTES_MAX = 1 + NX_SUBGROUPS_MAX * (1 + NX_SUBGROUP_NAME_BYTES + 3 * 4 + 1),
    /* A hello's payload but for what its disk holds: numbers, provider, host, and the others. */
    NX_BOOT_HELLO_BYTES_MAX =
        7 * 4 + 2 * 8 + 2 + 16 + 48 + NX_BOOT_SPEC_BYTES_MAX + NX_BOOT_CARD_BYTES_MAX,
    NX_BOOT_SEAL_BYTES_MAX = 64, /* what boot_auth.h adds to a frame */
};

enum nx_boot_kind {
    NX_BOOT_HELLO = 1,
    NX_BOOT_REFUSED,
    NX_BOOT_VIEW,
    NX_BOOT_CONNECTED,
    NX_BOOT_GO,
    NX_BOOT_BEGIN, /* this and the next two: of the handshake, see boot_auth.h */
    NX_BOOT_CHALLENGE,
    NX_BOOT_PROOF,
    NX_BOOT_LATER,
    NX_BOOT_REDIRECT,
    NX_BOOT_WAIT,
    NX_BOOT_SEAT,
    NX_BOOT_WELCOME,
    NX_BOOT_PROBE,
    NX_BOOT_PROBED,
    NX_BOOT_ASIDE,
    NX_BOOT_KINDS_END,
};

struct nx_boot_address {
    char host[48];
    uint16_t port; /* 0: none */
};

/* A node and all of its configuration that must agree with the leader's. */
struct nx_boot_hello {
    uint32_t version;
    uint64_t layout_hash;
    uint32_t members_max, first_view_nodes, timeout_ms;
    char provider[16];
    struct nx_group_spec spec;
    nx_node node;
    uint32_t subgroup;
    char host[48];
    uint16_t gms_port; /* where its own bootstrap listens */
    nx_ns clock;       /* its wall clock as it said this */
    struct nx_fabric_card card;
    struct nx_dur_offer offer; /* what its disk holds of the group */
};

/* A view for one of its members; of a seat: the view before, in which the seat is not taken yet. */
struct nx_boot_view {
    uint64_t token;   /* never 0 */
    nx_rank rank;     /* of who gets this */
    nx_rankset peers; /* whom its fabric connects to */
    struct nx_view view;
    /* of the members; what a vacant rank had is none */
    struct nx_fabric_card cards[NX_MEMBERS_MAX];
};

/* PROBE: of whom asks. PROBED: of the one that answers, and whether it has the asker for a member. */
struct nx_boot_probe {
    uint64_t group_id[2];
    nx_vid vid; /* 0: no view yet, or none any more */
    nx_node node;
    bool member;
    /* PROBED: of a member that is blocked, too: whom of that view it reaches, itself included; else 0 */
    nx_rankset alive;
};

/* Each fills a whole frame and returns its bytes. */
size_t nx_boot_encode_hello(const struct nx_boot_hello *hello, uint8_t frame[NX_BOOT_FRAME_MAX]);
/* NX_BOOT_REFUSED, NX_BOOT_LATER or NX_BOOT_ASIDE */
size_t nx_boot_encode_reason(enum nx_boot_kind kind, const char *why,
                             uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode_redirect(const struct nx_boot_address *to, uint8_t frame[NX_BOOT_FRAME_MAX]);
/* NX_BOOT_VIEW, NX_BOOT_SEAT or NX_BOOT_WELCOME */
size_t nx_boot_encode_view(enum nx_boot_kind kind, const struct nx_boot_view *view,
                           uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode(enum nx_boot_kind kind, const uint8_t *payload, size_t len,
                      uint8_t frame[NX_BOOT_FRAME_MAX]);
size_t nx_boot_encode_empty(enum nx_boot_kind kind, uint8_t frame[NX_BOOT_FRAME_MAX]);

/* Looks for a frame at the start of `bytes`. NX_AGAIN: more bytes are needed. NX_CORRUPT: this
 * is no frame. */
enum nx_status nx_boot_find_frame(const uint8_t *bytes, size_t len, enum nx_boot_kind *kind,
                                  const uint8_t **payload, size_t *payload_len, struct nx_err *err);

enum nx_status nx_boot_decode_hello(const uint8_t *payload, size_t len, struct nx_boot_hello *hello,
                                    struct nx_err *err);
enum nx_status nx_boot_decode_view(enum nx_boot_kind kind, const uint8_t *payload, size_t len,
                                   struct nx_boot_view *view, struct nx_err *err);
size_t nx_boot_encode_probe(enum nx_boot_kind kind, const struct nx_boot_probe *probe,
                            uint8_t frame[NX_BOOT_FRAME_MAX]);
enum nx_status nx_boot_decode_probe(const uint8_t *payload, size_t len, struct nx_boot_probe *probe,
                                    struct nx_err *err);
enum nx_status nx_boot_decode_redirect(const uint8_t *payload, size_t len,
                                       struct nx_boot_address *to, struct nx_err *err);
/* The reason as text, cut to fit; what is not printable is a question mark. */
void nx_boot_decode_reason(const uint8_t *payload, size_t len, char *why, size_t why_bytes);

/* NX_OK, or NX_DENIED and the first thing that differs: "your configuration differs: …". */
enum nx_status nx_boot_compare(const struct nx_boot_hello *leader,
                               const struct nx_boot_hello *joiner, struct nx_err *err);
/* NX_OK, or NX_DENIED: the clock of who says hello is too far from `now`. */
enum nx_status nx_boot_compare_clocks(const struct nx_boot_hello *joiner, nx_ns now, nx_ns skew_max,
                                      struct nx_err *err);

#endif
