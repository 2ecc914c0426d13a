#include "categorizer/model/proto_walk.h"

enum { VARINT_BYTES_MAX = 10 };

uint64_t nx_proto_varint(struct nx_reader *r)
{
    uint64_t value = 0;
    for (int i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = nx_read_u8(r);
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return r->bad ? 0 : value;
    }
    r->bad = true;
    return 0;
}

static bool read_value(struct nx_reader *r, struct nx_proto_field *field)
{
    switch (field->wire) {
    case NX_PROTO_VARINT: field->value = nx_proto_varint(r); return true;
    case NX_PROTO_64: field->value = nx_read_u64(r); return true;
    case NX_PROTO_32: field->value = nx_read_u32(r); return true;
    case NX_PROTO_BYTES: break;
    default: return false;
    }
    uint64_t len = nx_proto_varint(r);
    if (len > nx_reader_left(r))
        return false;
    field->len = (size_t)len;
    field->bytes = nx_read_bytes(r, field->len);
    return true;
}

bool nx_proto_next(struct nx_reader *r, struct nx_proto_field *field)
{
    if (r->bad || nx_reader_left(r) == 0)
        return false;
    uint64_t key = nx_proto_varint(r);
    *field = (struct nx_proto_field){.number = (uint32_t)(key >> 3),
                                     .wire = (enum nx_proto_wire)(key & 7)};
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff || !read_value(r, field))
        r->bad = true;
    return !r->bad;
}
