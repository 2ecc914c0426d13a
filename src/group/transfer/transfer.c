#include "group/transfer/transfer.h"

#include "common/arena.h"
#include "common/codec.h"
#include "common/nx_assert.h"
#include "group/transfer/transfer_state.h"

#include <stdlib.h>

void nx_transfer_head(uint8_t head[NX_TRANSFER_HEAD_BYTES], uint8_t first, uint8_t second,
                      nx_vid vid)
{
    struct nx_writer w;
    nx_writer_init(&w, head, NX_TRANSFER_HEAD_BYTES);
    nx_write_u8(&w, first);
    nx_write_u8(&w, second);
    nx_write_u16(&w, 0);
    nx_write_u32(&w, 0);
    nx_write_u64(&w, vid);
    nx_assert(!w.bad);
}

nx_vid nx_transfer_head_vid(const uint8_t head[NX_TRANSFER_HEAD_BYTES])
{
    struct nx_reader r;
    nx_reader_init(&r, head + 8, NX_TRANSFER_HEAD_BYTES - 8);
    return nx_read_u64(&r);
}

struct nx_transfer *nx_transfer_open(const struct nx_transfer_host *host, uint32_t members_max)
{
    nx_assert(members_max <= NX_MEMBERS_MAX);
    size_t pieces = (size_t)members_max * NX_TRANSFER_PIECE_BYTES;
    struct nx_transfer *t = nx_calloc(1, sizeof *t + pieces);
    if (!t)
        return NULL;
    t->host = *host;
    t->members_max = members_max;
    for (uint32_t i = 0; i < members_max; i++)
        t->give[i].piece = t->pieces + (size_t)i * NX_TRANSFER_PIECE_BYTES;
    return t;
}

void nx_transfer_close(struct nx_transfer *t)
{
    nx_give_release(t);
    free(t);
}

void nx_transfer_view(struct nx_transfer *t, const struct nx_transfer_view *view)
{
    nx_give_release(t); /* of the view before */
    t->view = *view;
    nx_give_view(t);
    nx_take_view(t);
}

void nx_transfer_lacking(struct nx_transfer *t, nx_rankset stateless)
{
    t->view.stateless &= stateless;
    if (t->has_snapshot && t->view.stateless == 0)
        nx_give_release(t);
}

bool nx_transfer_poll(struct nx_transfer *t)
{
    bool moved = nx_take_poll(t);
    return nx_give_poll(t) || moved;
}
