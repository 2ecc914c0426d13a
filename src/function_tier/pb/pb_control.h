/* pb_control.h — the messages of nexus.Control as plain structs.
 *
 * Thread  any; no state. Failure  as in pb_demo.h. Source  proto/control.proto. */
#ifndef NX_PB_CONTROL_H
#define NX_PB_CONTROL_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NX_PB_LIST_BYTES_MAX = 4 << 20,
};

struct nx_pb_model_row {
    uint32_t tag;
    uint64_t version;
    const char *name, *state, *format, *recipe, *device, *precision;
    uint64_t weights_bytes, arena_bytes, memory_bytes, queries;
    uint32_t batch;
    uint64_t batch_us;
    uint64_t execs, queue_ns, run_ns, input_ns,
        output_ns; /* for this node's metrics; they stand in no message */
};

/* What a replica's batches came to; for this node's metrics, it stands in no message. */
struct nx_pb_work {
    uint64_t batches, photos, busy_ns, refused, late, cancelled, wait_ns;
    const uint64_t *sizes, *waits; /* not cumulative; the last one is over all bounds */
    size_t sizes_count, waits_count;
    const uint32_t *waits_bounds_us; /* waits_count - 1 */
    uint64_t spans_exported, spans_dropped, unsettled, undurable;
};

struct nx_pb_replica {
    uint32_t node, shard;
    const char *error;
    uint64_t memory_used_bytes, memory_limit_bytes;
    const struct nx_pb_model_row *models; /* encoding: all of them; decoding: NULL */
    size_t models_count;
    const struct nx_pb_work *work; /* NULL: not known */
};

/* NX_INVALID for a request that is none; it carries nothing. */
enum nx_status nx_pb_list_request_decode(const uint8_t *bytes, size_t len, struct nx_err *err);

/* malloc'd bytes, the caller's. NX_TOO_LARGE over NX_PB_LIST_BYTES_MAX. */
enum nx_status nx_pb_list_encode(const struct nx_pb_replica *replicas, size_t count,
                                 uint8_t **bytes, size_t *len, struct nx_err *err);

/* What a client reads: `each` is called for every model of every replica, and once with model NULL for a replica
 * before its models. Texts live for the call. */
typedef void nx_pb_list_each(void *ctx, const struct nx_pb_replica *replica,
                             const struct nx_pb_model_row *model);
enum nx_status nx_pb_list_decode(const uint8_t *bytes, size_t len, nx_pb_list_each *each, void *ctx,
                                 struct nx_err *err);

#endif
