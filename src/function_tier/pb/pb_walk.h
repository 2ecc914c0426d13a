/* pb_walk.h — the fields of a protobuf message, in place.
 *
 * For what a generated decoder does badly: a chunk of megabytes is not copied, and the bytes of a
 * string are seen with their length. Pure; nothing is allocated.
 * Source  the protobuf encoding guide; groups (wire types 3 and 4) are refused. */
#ifndef NX_PB_WALK_H
#define NX_PB_WALK_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nx_pb_wire { NX_PB_VARINT = 0, NX_PB_FIXED64 = 1, NX_PB_BYTES = 2, NX_PB_FIXED32 = 5 };

struct nx_pb_walk {
    const uint8_t *at, *end;
    bool bad; /* malformed; the walk is over */
};

struct nx_pb_field {
    uint32_t number;
    enum nx_pb_wire wire;
    uint64_t value;       /* VARINT, FIXED64, FIXED32 */
    const uint8_t *bytes; /* BYTES: in place */
    size_t len;
};

void nx_pb_walk_init(struct nx_pb_walk *walk, const uint8_t *bytes, size_t len);

/* The next field; false at the end, or if the message is malformed (then walk->bad). */
bool nx_pb_walk_next(struct nx_pb_walk *walk, struct nx_pb_field *field);

#endif
