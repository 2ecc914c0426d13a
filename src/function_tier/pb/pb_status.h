/* pb_status.h — how a group is, as one of its nodes sees it: the Status call of nexus.Control, and the same as JSON.
 *
 * Owner   plain facts; arrays and texts are whoever's made them. A decoded status lives in its arena.
 * Thread  any; no state. Failure  as in pb_demo.h. Source  proto/control.proto. */
#ifndef NX_PB_STATUS_H
#define NX_PB_STATUS_H

#include "common/arena.h"
#include "common/text.h"
#include "function_tier/pb/pb_control.h"

#include <stdbool.h>

enum {
    NX_PB_LATENCY_BOUNDS_MAX = 32,
    NX_PB_STATUS_ALLOC_BYTES = 16 << 20, /* an arena's limit for one status */
};

struct nx_pb_member {
    uint32_t node;
    const char *host, *tier;
    uint32_t shard;
    bool spare;        /* then shard says nothing */
    uint64_t since;    /* vid */
    const char *state; /* "alive", "leaving", "stateless", "suspected" */
    uint32_t queued;   /* photos */
};

struct nx_pb_shard {
    const char *tier;
    uint32_t shard, members, alive;
    bool adequate;
};

struct nx_pb_change {
    uint64_t vid;
    int64_t at_ms;    /* since 1970 */
    uint64_t took_us; /* 0: no member was missed */
    uint32_t members;
    const char *cause;
};

struct nx_pb_traffic {
    uint64_t success, failure, rows, total_us;
    size_t bounds_count; /* <= NX_PB_LATENCY_BOUNDS_MAX */
    uint64_t bounds_us[NX_PB_LATENCY_BOUNDS_MAX];
    uint64_t counts[NX_PB_LATENCY_BOUNDS_MAX + 1]; /* bounds_count + 1, not cumulative */
};

struct nx_pb_status {
    uint32_t node;
    const char *version;
    bool ready;
    uint64_t vid, uptime_ms;
    const char *waits_for; /* why the group does not go on; "": it does */
    const struct nx_pb_member *members;
    size_t members_count;
    const struct nx_pb_shard *shards;
    size_t shards_count;
    const struct nx_pb_change *changes; /* the newest last */
    size_t changes_count;
    const struct nx_pb_replica *replicas; /* with their models */
    size_t replicas_count;
    struct nx_pb_traffic traffic;
};

/* malloc'd bytes, the caller's. NX_TOO_LARGE over NX_PB_LIST_BYTES_MAX. */
enum nx_status nx_pb_status_encode(const struct nx_pb_status *status, uint8_t **bytes, size_t *len,
                                   struct nx_err *err);
/* NX_CORRUPT, NX_TOO_LARGE, NX_NO_MEMORY. */
enum nx_status nx_pb_status_decode(const uint8_t *bytes, size_t len, struct nx_arena *arena,
                                   struct nx_pb_status *status, struct nx_err *err);
/* NX_CORRUPT for a request that is none. */
enum nx_status nx_pb_status_request_decode(const uint8_t *bytes, size_t len, struct nx_err *err);

/* One object, with a line end; the names are control.proto's. */
void nx_pb_status_json(const struct nx_pb_status *status, struct nx_text *text);

#endif
