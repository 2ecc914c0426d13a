#include "function_tier/pb/pb_walk.h"

enum { VARINT_BYTES_MAX = 10 };

void nx_pb_walk_init(struct nx_pb_walk *walk, const uint8_t *bytes, size_t len)
{
    *walk = (struct nx_pb_walk){.at = bytes, .end = len ? bytes + len : bytes};
}

static uint64_t read_varint(struct nx_pb_walk *walk)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && walk->at < walk->end; i++) {
        uint8_t byte = *walk->at++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return value;
    }
    walk->bad = true;
    return 0;
}

static uint64_t read_fixed(struct nx_pb_walk *walk, unsigned bytes)
{
    uint64_t value = 0;
    if ((size_t)(walk->end - walk->at) < bytes) {
        walk->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)*walk->at++ << (8 * i);
    return value;
}

static void read_bytes(struct nx_pb_walk *walk, struct nx_pb_field *field)
{
    uint64_t len = read_varint(walk);
    if (walk->bad || len > (uint64_t)(walk->end - walk->at)) {
        walk->bad = true;
        return;
    }
    field->bytes = walk->at;
    field->len = (size_t)len;
    walk->at += len;
}

bool nx_pb_walk_next(struct nx_pb_walk *walk, struct nx_pb_field *field)
{
    if (walk->bad || walk->at == walk->end)
        return false;
    uint64_t key = read_varint(walk);
    *field =
        (struct nx_pb_field){.number = (uint32_t)(key >> 3), .wire = (enum nx_pb_wire)(key & 7)};
    if (key > UINT32_MAX || field->number == 0)
        walk->bad = true;
    else if (field->wire == NX_PB_VARINT)
        field->value = read_varint(walk);
    else if (field->wire == NX_PB_FIXED64)
        field->value = read_fixed(walk, 8);
    else if (field->wire == NX_PB_FIXED32)
        field->value = read_fixed(walk, 4);
    else if (field->wire == NX_PB_BYTES)
        read_bytes(walk, field);
    else
        walk->bad = true;
    return !walk->bad;
}
