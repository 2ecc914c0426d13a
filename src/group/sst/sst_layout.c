#include "group/sst/sst_layout.h"

enum { LAYOUT_VERSION = 3 };

static enum nx_status check_ring(const char *name, uint32_t bytes, struct nx_err *err)
{
    if (bytes < NX_RING_BYTES_MIN || bytes > NX_RING_BYTES_MAX || (bytes & (bytes - 1)) != 0)
        return nx_err_set(err, NX_INVALID, "%s is %u bytes; expected a power of two from %d to %d",
                          name, bytes, NX_RING_BYTES_MIN, NX_RING_BYTES_MAX);
    return NX_OK;
}

enum nx_status nx_region_shape_init(struct nx_region_shape *shape, uint32_t members_max,
                                    uint32_t mc_ring_bytes, uint32_t bulk_ring_bytes,
                                    uint32_t p2p_ring_bytes, struct nx_err *err)
{
    if (members_max == 0 || members_max > NX_MEMBERS_MAX)
        return nx_err_set(err, NX_INVALID, "members_max is %u; expected 1 to %d", members_max,
                          NX_MEMBERS_MAX);
    NX_TRY(check_ring("mc_ring_bytes", mc_ring_bytes, err));
    NX_TRY(check_ring("bulk_ring_bytes", bulk_ring_bytes, err));
    NX_TRY(check_ring("p2p_ring_bytes", p2p_ring_bytes, err));
    uint64_t members = members_max;
    *shape = (struct nx_region_shape){
        .members_max = members_max,
        .mc_ring_bytes = mc_ring_bytes,
        .bulk_ring_bytes = bulk_ring_bytes,
        .p2p_ring_bytes = p2p_ring_bytes,
    };
    shape->rows_in = 0;
    shape->rows_out = shape->rows_in + members * NX_ROW_BYTES;
    shape->mc = shape->rows_out + members * NX_ROW_BYTES;
    shape->bulk = shape->mc + members * mc_ring_bytes;
    shape->p2p_in = shape->bulk + members * bulk_ring_bytes;
    shape->p2p_out = shape->p2p_in + members * p2p_ring_bytes;
    shape->bytes = shape->p2p_out + members * p2p_ring_bytes;
    return NX_OK;
}

uint64_t nx_region_shape_hash(const struct nx_region_shape *shape)
{
    const uint64_t facts[] = {LAYOUT_VERSION,        NX_COLUMNS_COUNT,     NX_ROW_BYTES,
                              shape->members_max,    shape->mc_ring_bytes, shape->bulk_ring_bytes,
                              shape->p2p_ring_bytes, shape->bytes};
    uint64_t hash = 0;
    for (unsigned i = 0; i < sizeof facts / sizeof facts[0]; i++)
        hash = nx_guard_seal(hash * 31 + facts[i]);
    return hash;
}
