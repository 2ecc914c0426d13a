/* dur_record.h — what a shard's log holds: its ordered messages, and the views between them.
 *
 *   message  u32 sender, the bytes
 *   bulk     u32 sender, u64 bytes in all, 64 digits of the blob that holds them, the head
 *   view     vid, members and their shards: a tier that replays the log sees the views where they were
 *
 * Versions: place · 65536 + 65535 for the message at a place; base · 65536 + n for the n-th view that begins there.
 * Owner  pure functions. Input  a log's payload passed its checksums, but is decoded as if it were hostile. */
#ifndef NX_GROUP_DUR_RECORD_H
#define NX_GROUP_DUR_RECORD_H

#include "group/durable/dur_restart.h"
#include "group/log/blob_store.h"

enum nx_dur_kind { NX_DUR_MESSAGE = 1, NX_DUR_BULK = 2, NX_DUR_VIEW = 3 };

enum {
    NX_DUR_BULK_HEAD_BYTES = 4 + 8 + 64,
    NX_DUR_VIEW_BYTES_MAX = 64 + NX_MEMBERS_MAX * 16,
    NX_DUR_PLACE_SHIFT = 16,
};

static inline nx_seq nx_dur_version_of_message(nx_seq place)
{
    return place << NX_DUR_PLACE_SHIFT | 0xffff;
}

static inline nx_seq nx_dur_version_of_view(uint64_t base, uint32_t n)
{
    return (nx_seq)(base << NX_DUR_PLACE_SHIFT | n);
}

/* Places up to and with this version; NX_SEQ_NONE has none. */
static inline uint64_t nx_dur_places(nx_seq version)
{
    return version < 0 ? 0 : ((uint64_t)version + 1) >> NX_DUR_PLACE_SHIFT;
}

struct nx_dur_entry {
    enum nx_dur_kind kind;
    nx_rank sender;
    const uint8_t *bytes; /* MESSAGE: it; BULK: its head */
    size_t len;
    uint64_t total; /* BULK */
    char blob[NX_BLOB_NAME_BYTES];
    nx_rank self; /* VIEW: ours */
    struct nx_view view;
};

/* Bytes before the message's own. `view` is only read for a view. */
size_t nx_dur_encode_message(nx_rank sender, uint8_t *dst);
size_t nx_dur_encode_bulk(nx_rank sender, uint64_t total, const char *blob, uint8_t *dst);
size_t nx_dur_encode_view(const struct nx_view *view, nx_rank self,
                          uint8_t dst[NX_DUR_VIEW_BYTES_MAX]);
/* NX_CORRUPT: this is no such record. A view's hosts, addresses and bases are not kept. */
enum nx_status nx_dur_decode(uint32_t kind, const uint8_t *bytes, size_t len,
                             struct nx_dur_entry *entry, struct nx_err *err);

#endif
