/* grpc_peers.h — how many connections each client address holds, over all wires.
 *
 *     connections of one address <= share_max, except for the one that is asking for its place just now
 *
 * A share keeps one address from shutting the port to all others: at its share it makes room among its own connections.
 * An address is an IPv4 address or the /64 of an IPv6 one, which is what one host is given; what is neither counts as one.
 * Bounds  one small block for each address that holds a connection
 * Owner   the caller of init; outlives every holding. Thread  one. Failure  take: NULL, no memory. */
#ifndef NX_FUNCTION_TIER_GRPC_PEERS_H
#define NX_FUNCTION_TIER_GRPC_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { NX_PEERS_BUCKETS = 1024 };

struct nx_peers;

/* One address, while it holds anything. */
struct nx_peer {
    struct nx_peers *peers;
    uint64_t key;
    uint32_t held; /* connections, of all wires */
    LIST_ENTRY(nx_peer) in_bucket;
};

struct nx_peers {
    uint32_t share_max;
    uint64_t seed; /* strangers do not choose buckets */
    LIST_HEAD(, nx_peer) buckets[NX_PEERS_BUCKETS];
};

void nx_peers_init(struct nx_peers *peers, uint32_t share_max, uint64_t seed);

/* One more connection of "127.0.0.1:4711" or "[::1]:4711". */
struct nx_peer *nx_peers_take(struct nx_peers *peers, const char *name);
void nx_peers_give(struct nx_peer *peer); /* one less; NULL is nobody */

/* More than its share, the connection that asks counted. */
static inline bool nx_peer_over_share(const struct nx_peer *peer)
{
    return peer->held > peer->peers->share_max;
}

#endif
