#include "common/codec.h"

#include <string.h>

void nx_reader_init(struct nx_reader *r, const void *bytes, size_t len)
{
    static const uint8_t nothing[1];
    r->at = len ? bytes : nothing;
    r->end = r->at + len;
    r->bad = false;
}

size_t nx_reader_left(const struct nx_reader *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->at);
}

const uint8_t *nx_read_bytes(struct nx_reader *r, size_t len)
{
    if (r->bad || (size_t)(r->end - r->at) < len) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *bytes = r->at;
    r->at += len;
    return bytes;
}

static uint64_t read_le(struct nx_reader *r, size_t len)
{
    const uint8_t *b = nx_read_bytes(r, len);
    uint64_t v = 0;
    for (size_t i = 0; b && i < len; i++)
        v |= (uint64_t)b[i] << (8 * i);
    return v;
}

uint8_t nx_read_u8(struct nx_reader *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t nx_read_u16(struct nx_reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t nx_read_u32(struct nx_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t nx_read_u64(struct nx_reader *r)
{
    return read_le(r, 8);
}

void nx_writer_init(struct nx_writer *w, void *bytes, size_t cap)
{
    w->start = w->at = bytes;
    w->end = w->start + cap;
    w->bad = false;
}

size_t nx_writer_used(const struct nx_writer *w)
{
    return (size_t)(w->at - w->start);
}

void nx_write_bytes(struct nx_writer *w, const void *bytes, size_t len)
{
    if (w->bad || (size_t)(w->end - w->at) < len) {
        w->bad = true;
        return;
    }
    if (len)
        memcpy(w->at, bytes, len);
    w->at += len;
}

static void write_le(struct nx_writer *w, uint64_t v, size_t len)
{
    uint8_t b[8];
    for (size_t i = 0; i < len; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    nx_write_bytes(w, b, len);
}

void nx_write_u8(struct nx_writer *w, uint8_t v)
{
    write_le(w, v, 1);
}

void nx_write_u16(struct nx_writer *w, uint16_t v)
{
    write_le(w, v, 2);
}

void nx_write_u32(struct nx_writer *w, uint32_t v)
{
    write_le(w, v, 4);
}

void nx_write_u64(struct nx_writer *w, uint64_t v)
{
    write_le(w, v, 8);
}

void nx_read_name(struct nx_reader *r, char *dst, size_t cap)
{
    size_t len = nx_read_u8(r);
    const uint8_t *bytes = len < cap ? nx_read_bytes(r, len) : NULL;
    if (r->bad || !bytes || memchr(bytes, 0, len)) {
        r->bad = true;
        return;
    }
    memcpy(dst, bytes, len);
    dst[len] = 0;
}

void nx_write_name(struct nx_writer *w, const char *text)
{
    size_t len = strlen(text);
    if (len > UINT8_MAX) {
        w->bad = true;
        return;
    }
    nx_write_u8(w, (uint8_t)len);
    nx_write_bytes(w, text, len);
}
