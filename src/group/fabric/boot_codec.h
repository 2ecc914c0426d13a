/* boot_codec.h — pieces of bootstrap frames, for the files that write and read them. Private to
 * them. */
#ifndef NX_GROUP_BOOT_CODEC_H
#define NX_GROUP_BOOT_CODEC_H

#include "common/codec.h"
#include "common/nx_assert.h"
#include "group/fabric/boot_wire.h"

#include <string.h>

static inline void nx_boot_begin(struct nx_writer *w, uint8_t *frame, enum nx_boot_kind kind)
{
    nx_writer_init(w, frame, NX_BOOT_FRAME_MAX);
    nx_write_u32(w, 0);
    nx_write_u8(w, (uint8_t)kind);
}

static inline size_t nx_boot_finish(struct nx_writer *w)
{
    nx_assert(!w->bad); /* every frame's bound is below NX_BOOT_FRAME_MAX */
    size_t used = nx_writer_used(w);
    struct nx_writer head;
    nx_writer_init(&head, w->start, 4);
    nx_write_u32(&head, (uint32_t)(used - 4));
    return used;
}

static inline void nx_boot_write_text(struct nx_writer *w, const char *text)
{
    size_t len = strlen(text);
    nx_assert(len <= 255);
    nx_write_u8(w, (uint8_t)len);
    nx_write_bytes(w, text, len);
}

/* Text that fits in `cap` with its NUL and is printable: it goes into log lines and answers. */
static inline bool nx_boot_read_text(struct nx_reader *r, char *text, size_t cap)
{
    size_t len = nx_read_u8(r);
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (!bytes || len >= cap)
        return false;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    return true;
}

static inline void nx_boot_write_card(struct nx_writer *w, const struct nx_fabric_card *card)
{
    nx_write_u8(w, (uint8_t)card->address_bytes);
    nx_write_bytes(w, card->address, card->address_bytes);
    nx_write_u64(w, card->region_base);
    nx_write_u64(w, card->region_key);
}

static inline bool nx_boot_read_card(struct nx_reader *r, struct nx_fabric_card *card)
{
    memset(card, 0, sizeof *card);
    size_t len = nx_read_u8(r);
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (!bytes || len == 0 || len > sizeof card->address)
        return false;
    card->address_bytes = (uint32_t)len;
    memcpy(card->address, bytes, len);
    card->region_base = nx_read_u64(r);
    card->region_key = nx_read_u64(r);
    return !r->bad;
}

#endif
