/* codec.h — a bounds-checked little-endian cursor, for every decoder and encoder of ours.
 *
 * A reader or writer that meets its end turns bad and stays bad: later reads return 0 and move
 * nothing, so a decoder checks once, at its end. Bytes are never copied unless the call says so.
 * Nothing is allocated. */
#ifndef NX_COMMON_CODEC_H
#define NX_COMMON_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nx_reader {
    const uint8_t *at, *end;
    bool bad; /* an access past `end` was asked for */
};

void nx_reader_init(struct nx_reader *r, const void *bytes, size_t len);
size_t nx_reader_left(const struct nx_reader *r);
uint8_t nx_read_u8(struct nx_reader *r);
uint16_t nx_read_u16(struct nx_reader *r);
uint32_t nx_read_u32(struct nx_reader *r);
uint64_t nx_read_u64(struct nx_reader *r);
/* The next `len` bytes in place; NULL (and bad) if fewer are left. len 0 gives a non-NULL pointer.
 */
const uint8_t *nx_read_bytes(struct nx_reader *r, size_t len);
/* u8 length, then as many bytes, none of them NUL; bad if they and a NUL do not fit in cap. */
void nx_read_name(struct nx_reader *r, char *dst, size_t cap);

struct nx_writer {
    uint8_t *start, *at, *end;
    bool bad;
};

void nx_writer_init(struct nx_writer *w, void *bytes, size_t cap);
size_t nx_writer_used(const struct nx_writer *w);
void nx_write_u8(struct nx_writer *w, uint8_t v);
void nx_write_u16(struct nx_writer *w, uint16_t v);
void nx_write_u32(struct nx_writer *w, uint32_t v);
void nx_write_u64(struct nx_writer *w, uint64_t v);
void nx_write_bytes(struct nx_writer *w, const void *bytes, size_t len);
void nx_write_name(struct nx_writer *w, const char *text); /* of at most 255 bytes */

#endif
