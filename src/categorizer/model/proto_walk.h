/* proto_walk.h — the fields of one protobuf message, in place.
 *
 * Wire format only: a field is a number, a wire type and a value or a range of bytes within the message.
 * Nothing is copied or allocated and nothing recurses; who wants a message inside walks its bytes. Groups,
 * which nobody writes any more, are malformed here.
 * Failure  the reader turns bad (common/codec.h) at a cut-off field, an overlong varint or a length past the end.
 * Source   protobuf's encoding documentation. */
#ifndef NX_CATEGORIZER_MODEL_PROTO_WALK_H
#define NX_CATEGORIZER_MODEL_PROTO_WALK_H

#include "common/codec.h"

enum nx_proto_wire { NX_PROTO_VARINT = 0, NX_PROTO_64 = 1, NX_PROTO_BYTES = 2, NX_PROTO_32 = 5 };

struct nx_proto_field {
    uint32_t number;
    enum nx_proto_wire wire;
    uint64_t value; /* VARINT, 64, 32 */
    const uint8_t *bytes;
    size_t len; /* BYTES */
};

/* The next field. False at the end, or where the reader has turned bad. */
bool nx_proto_next(struct nx_reader *r, struct nx_proto_field *field);

/* A varint of a packed field. 0 and bad if it is cut off or longer than 10 bytes. */
uint64_t nx_proto_varint(struct nx_reader *r);

/* Is it field `number` with bytes (a message, a string, packed values)? */
static inline bool nx_proto_is_bytes(const struct nx_proto_field *f, uint32_t number)
{
    return f->number == number && f->wire == NX_PROTO_BYTES;
}

static inline bool nx_proto_is_varint(const struct nx_proto_field *f, uint32_t number)
{
    return f->number == number && f->wire == NX_PROTO_VARINT;
}

#endif
