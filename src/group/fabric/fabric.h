/* fabric.h — the seam to libfabric: one-sided writes between members, and the news that a member
 * died.
 *
 * The ordering contract, requested at open, checked against what was granted, refused otherwise:
 *   - writes to one peer land in the order in which they were posted (FI_ORDER_WAW, _SAW)
 *   - nothing is promised about the order of bytes inside one write, nor that a word is untorn
 *   - a local completion does not mean landed; the only evidence is what the peer writes back
 * Memory  one region, registered once; offsets address it on both sides, whatever the mr_mode
 * Thread  the group's thread only
 * Failure a dead peer is reported once by poll, with a reason; writes to it are then dropped
 * Source  fi_endpoint(3), fi_msg(3), fi_rma(3), fi_eq(3); tcp tells of a death in 0.6 ms */
#ifndef NX_GROUP_FABRIC_H
#define NX_GROUP_FABRIC_H

#include "group/core/core.h"

struct nx_fabric;

struct nx_fabric_config {
    char provider[16]; /* tcp, verbs */
    char domain[32];   /* empty: any */
    char local_ip[48];
    uint32_t members_max;
    bool plain; /* tests: as if plain writes woke nobody and nothing held inside a write */
};

/* What a peer must know to write into our region: sent through the bootstrap. */
struct nx_fabric_card {
    uint32_t address_bytes;
    uint8_t address[NX_ADDRESS_BYTES]; /* of our passive endpoint */
    uint64_t region_base, region_key;  /* base is 0 where the provider addresses by offset */
};

enum nx_status nx_fabric_open(const struct nx_fabric_config *config, void *region, size_t bytes,
                              struct nx_fabric **fabric, struct nx_fabric_card *card,
                              struct nx_err *err);
void nx_fabric_close(struct nx_fabric *fabric);
void nx_fabric_get_caps(const struct nx_fabric *fabric, struct nx_fabric_caps *caps);

/* Starts connecting to every peer of the first view: the lower rank calls, the higher one accepts.
 * `token` is the view's secret; a caller that does not bring it is rejected. Poll until
 * nx_fabric_connected. */
enum nx_status nx_fabric_connect(struct nx_fabric *fabric, nx_rank self, uint32_t members_count,
                                 const struct nx_fabric_card *cards, uint64_t token,
                                 struct nx_err *err);
/* A joiner of a running group: calls all of `peers`, whose cards stand in `cards` by rank; they
 * admit it with the same token. Nobody is admitted or connected before. */
enum nx_status nx_fabric_join(struct nx_fabric *fabric, nx_rank self, nx_rankset peers,
                              const struct nx_fabric_card *cards, uint64_t token,
                              struct nx_err *err);
/* A member of a running group: the joiner of seat `seat` may call, once, with `token`. What the seat
 * had before is dropped first: its connection, and the call that was awaited there. */
void nx_fabric_admit(struct nx_fabric *fabric, nx_rank seat, const struct nx_fabric_card *card,
                     uint64_t token);
nx_rankset nx_fabric_connected(const struct nx_fabric *fabric);

/* Drops every connection and forgets the peers; nx_fabric_connect may follow with a new token. */
void nx_fabric_disconnect(struct nx_fabric *fabric);

/* Closes the connection of one peer, or awaits its call no more, which is no news to poll: after it returns, nothing of
 * that peer lands, nothing queued for it leaves, and what the provider still says of it is not heard. */
void nx_fabric_drop(struct nx_fabric *fabric, nx_rank peer);

/* Peers that can take NX_WRITES_PER_PEER more writes now. */
nx_rankset nx_fabric_writable(const struct nx_fabric *fabric);

/* Queues one write; inline bytes are copied here. The provider has it after the next flush or
 * poll at the latest, and neighbours in the queue of a peer may leave as one provider operation
 * where that keeps their order. NX_PEER_DOWN: dropped. NX_AGAIN cannot happen within what
 * writable promised. */
enum nx_status nx_fabric_post(struct nx_fabric *fabric, const struct nx_write *write);
void nx_fabric_flush(struct nx_fabric *fabric);

struct nx_fabric_event {
    nx_rank peer;
    const char *why; /* a static sentence */
};
/* Makes progress; true if anything moved. *downs_count peers were found dead (at most
 * members_max). */
bool nx_fabric_poll(struct nx_fabric *fabric, struct nx_fabric_event *downs, uint32_t *downs_count);

struct nx_fabric_stats {
    uint64_t writes, write_bytes; /* posted */
    uint64_t operations;          /* what the provider saw of them */
    uint64_t doorbells;           /* posted with a wake-up */
};
void nx_fabric_get_stats(const struct nx_fabric *fabric, struct nx_fabric_stats *stats);

/* Sleeping: an epoll descriptor over the event queue, completion queues and listeners. Arm says
 * NX_AGAIN when there is something to poll already. It may land writes: look at the region once
 * more after NX_OK. */
int nx_fabric_fd(const struct nx_fabric *fabric);
/* The same descriptors in the owner's own epoll set, until close. */
enum nx_status nx_fabric_watch(struct nx_fabric *fabric, int epoll_fd, struct nx_err *err);
enum nx_status nx_fabric_arm(struct nx_fabric *fabric);

#endif
