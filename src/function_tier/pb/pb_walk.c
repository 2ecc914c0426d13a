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

/* The length of the well-formed sequence at `p`, 0 if there is none. Table 3-7 of the Unicode
 * standard: only the second byte's range depends on the first. */
static size_t sequence_len(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return p[0] != 0;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool nx_pb_text_ok(const void *text, size_t len)
{
    const uint8_t *at = text;
    while (len > 0) {
        size_t n = sequence_len(at, len);
        if (n == 0)
            return false;
        at += n;
        len -= n;
    }
    return true;
}
