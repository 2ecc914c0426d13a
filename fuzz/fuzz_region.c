/* fuzz_region — what a member may write into another's region: rows and rings, sealed or not. The input is a list of
 * writes by member 1 into member 0's memory; after each, member 0 takes a turn and reads all that it hands up.
 *
 *   { u8 where, u8 len, u16 offset / 8, bytes }     where: one of its rings, or a column that is sealed for it */
#include "nx_wire.h"

#include "common/codec.h"
#include "group/sst/sst_layout.h"

#include <string.h>

enum { RINGS = 3, TURNS_MAX = 64 };

static uint64_t sum;

static void touch(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += bytes[i];
}

static bool read_all(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    (void)ctx;
    switch (up->type) {
    case NX_UP_DELIVER: touch(up->delivery.bytes, up->delivery.len); break;
    case NX_UP_BULK_PART:
        touch(up->part.bytes, up->part.len);
        touch(up->head, up->head_len);
        break;
    case NX_UP_REPLY_PART: touch(up->part.bytes, up->part.len); break;
    case NX_UP_QUERY_PART:
        touch(up->part.bytes, up->part.len);
        wire_ask(wire, node,
                 (struct nx_event){.type = NX_EV_REPLY_OPEN, .stream = up->part.stream});
        break;
    default: break;
    }
    return true;
}

static void write_once(struct wire *wire, const struct nx_region_shape *shape, struct nx_reader *in)
{
    uint8_t where = nx_read_u8(in), len = nx_read_u8(in);
    uint64_t offset = nx_read_u16(in) * (uint64_t)8 % shape->mc_ring_bytes;
    const uint8_t *bytes = nx_read_bytes(in, len);
    if (!bytes)
        return;
    uint8_t *region = wire->regions[0];
    const uint64_t rings[RINGS] = {nx_mc_ring_offset(shape, 1), nx_bulk_ring_offset(shape, 1),
                                   nx_p2p_in_offset(shape, 1)};
    if (where < 128) {
        uint64_t room = shape->mc_ring_bytes - offset;
        memcpy(region + rings[where % RINGS] + offset, bytes, len < room ? len : room);
        return;
    }
    uint64_t value = 0;
    memcpy(&value, bytes, len < sizeof value ? len : sizeof value);
    struct nx_guarded *row = (void *)(region + nx_row_in_offset(shape, 1));
    unsigned column = where % NX_COLUMNS_COUNT;
    nx_guard_put(&row[column], value, nx_column_tag(column, 1, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_core_config config = wire_config();
    config.members_max = 2;
    struct wire *wire = wire_open(&config, NULL, 2);
    wire->hook = read_all;
    struct nx_region_shape shape;
    nx_region_shape_init(&shape, config.members_max, config.mc_ring_bytes, config.bulk_ring_bytes,
                         config.p2p_ring_bytes, NULL);
    wire_send(wire, 0, "ours");
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_QUERY_OPEN, .peer = 1});
    wire_turn(wire, 0);
    struct nx_reader in;
    nx_reader_init(&in, bytes, len);
    for (unsigned turn = 0; turn < TURNS_MAX && !in.bad && nx_reader_left(&in) > 0; turn++) {
        write_once(wire, &shape, &in);
        wire_turn(wire, 0);
    }
    wire_close(wire);
    return 0;
}
