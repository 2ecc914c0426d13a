#include "function_tier/grpc/grpc_peers.h"

#include "common/arena.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

void nx_peers_init(struct nx_peers *peers, uint32_t share_max, uint64_t seed)
{
    peers->share_max = share_max;
    peers->seed = seed;
    for (unsigned i = 0; i < NX_PEERS_BUCKETS; i++)
        LIST_INIT(&peers->buckets[i]);
}

static uint64_t key_of_ipv4(const uint8_t ip[4])
{
    return UINT64_C(0xffff) << 32 | (uint64_t)ip[0] << 24 | (uint64_t)ip[1] << 16 |
           (uint64_t)ip[2] << 8 | ip[3];
}

static uint64_t key_of_ipv6(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint64_t key = 0;
    if (memcmp(ip, mapped, sizeof mapped) == 0)
        return key_of_ipv4(ip + 12);
    for (unsigned i = 0; i < 8; i++)
        key = key << 8 | ip[i];
    return key;
}

/* The port is left out, and so is the interface behind a '%'. */
static uint64_t key_of(const char *name)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    bool six = name[0] == '[';
    size_t len = six ? strcspn(name + 1, "]%") : strcspn(name, ":");
    if (len >= sizeof text)
        return 0;
    memcpy(text, name + six, len);
    text[len] = 0;
    if (inet_pton(six ? AF_INET6 : AF_INET, text, ip) != 1)
        return 0;
    return six ? key_of_ipv6(ip) : key_of_ipv4(ip);
}

static unsigned bucket_of(const struct nx_peers *peers, uint64_t key)
{
    uint64_t mixed = (key ^ peers->seed) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (unsigned)(mixed >> 32) % NX_PEERS_BUCKETS;
}

struct nx_peer *nx_peers_take(struct nx_peers *peers, const char *name)
{
    uint64_t key = key_of(name);
    unsigned bucket = bucket_of(peers, key);
    struct nx_peer *peer;
    LIST_FOREACH(peer, &peers->buckets[bucket], in_bucket)
    if (peer->key == key)
        break;
    if (!peer) {
        peer = nx_calloc(1, sizeof *peer);
        if (!peer)
            return NULL;
        peer->peers = peers;
        peer->key = key;
        LIST_INSERT_HEAD(&peers->buckets[bucket], peer, in_bucket);
    }
    peer->held++;
    return peer;
}

void nx_peers_give(struct nx_peer *peer)
{
    if (!peer || --peer->held > 0)
        return;
    LIST_REMOVE(peer, in_bucket);
    free(peer);
}
