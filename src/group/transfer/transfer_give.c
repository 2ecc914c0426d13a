/* The donor: one snapshot, read out to those of its view who ask. */
#include "common/nx_assert.h"
#include "group/transfer/transfer_state.h"

#include <string.h>

void nx_give_view(struct nx_transfer *t)
{
    const struct nx_transfer_view *v = &t->view;
    if (v->donor != v->self || v->stateless == 0)
        return;
    t->has_snapshot = true;
    t->snapshot_bytes = 0;
    t->snapshot_broken = false;
    if (!t->host.snapshot)
        return; /* a state of no bytes */
    t->snapshot = t->host.snapshot(t->host.ctx, v->subgroup, &t->snapshot_bytes);
    t->snapshot_broken = !t->snapshot;
}

/* What was being read from it cannot go on; its askers are in another view, or need it no more. */
void nx_give_release(struct nx_transfer *t)
{
    if (t->snapshot && t->host.release)
        t->host.release(t->host.ctx, t->snapshot);
    t->snapshot = NULL;
    t->has_snapshot = false;
    for (uint32_t i = 0; i < t->members_max; i++)
        if (t->give[i].state == NX_GIVE_SENDING)
            t->give[i].state = NX_GIVE_FREE;
}

static void begin_question(struct nx_giving *g, nx_stream query)
{
    uint8_t *piece = g->piece;
    *g = (struct nx_giving){.state = NX_GIVE_ASKED, .query = query, .piece = piece};
}

bool nx_transfer_query_part(struct nx_transfer *t, const struct nx_part *part)
{
    if (part->peer >= t->members_max ||
        (part->offset == 0 && (part->len == 0 || part->bytes[0] != NX_SYSTEM_STATE)))
        return false;
    struct nx_giving *g = &t->give[part->peer];
    if (part->offset == 0)
        begin_question(g,
                       part->stream); /* it asks one question at a time: the former is of no use */
    if (g->state != NX_GIVE_ASKED || g->query != part->stream)
        return false;
    size_t room = sizeof g->question - g->question_got;
    size_t len = part->len < room ? part->len : room;
    if (len) {
        memcpy(g->question + g->question_got, part->bytes, len);
        g->question_got += (uint32_t)len;
    }
    if (part->offset + part->len < part->total)
        return true;
    g->state = NX_GIVE_WAITING;
    g->vid = nx_transfer_head_vid(g->question);
    g->refused = part->total != NX_TRANSFER_HEAD_BYTES || g->question[1] != NX_TRANSFER_VERSION;
    return true;
}

void nx_transfer_query_gone(struct nx_transfer *t, nx_stream query)
{
    for (uint32_t i = 0; i < t->members_max; i++)
        if (t->give[i].state != NX_GIVE_FREE && t->give[i].query == query)
            t->give[i].state = NX_GIVE_FREE;
}

static enum nx_status answer_status(const struct nx_transfer *t, const struct nx_giving *g)
{
    if (g->refused)
        return NX_UNSUPPORTED;
    if (g->vid != t->view.vid || !t->has_snapshot)
        return NX_NOT_FOUND; /* of a view that is over: it asks in the next one */
    return t->snapshot_broken ? NX_NO_MEMORY : NX_OK;
}

/* Announces the answer. Its head goes into the first piece. */
static bool open_answer(struct nx_transfer *t, struct nx_giving *g)
{
    if (t->view.vid == 0 || (!g->refused && g->vid > t->view.vid))
        return false; /* the asker is a view ahead of us */
    enum nx_status status = answer_status(t, g);
    uint64_t total = NX_TRANSFER_HEAD_BYTES;
    if (status == NX_OK)
        total += t->snapshot_bytes + NX_TRANSFER_TAIL_BYTES;
    enum nx_status opened = t->host.reply_open(t->host.ctx, g->query, total);
    if (opened != NX_OK) {
        if (opened != NX_AGAIN)
            g->state = NX_GIVE_FREE;
        return false;
    }
    nx_transfer_head(g->piece, NX_TRANSFER_VERSION, (uint8_t)status, g->vid);
    g->piece_len = NX_TRANSFER_HEAD_BYTES;
    g->piece_sent = 0;
    g->total = total;
    g->sent = 0;
    g->state = NX_GIVE_SENDING;
    return true;
}

/* The next bytes of the state; 0: not read yet. */
static size_t read_state(struct nx_transfer *t, uint64_t offset, uint8_t *buf)
{
    uint64_t left = t->snapshot_bytes - offset;
    size_t cap = left < NX_TRANSFER_PIECE_BYTES ? (size_t)left : NX_TRANSFER_PIECE_BYTES;
    size_t got = t->snapshot_broken ? NX_STATE_BROKEN
                                    : t->host.read(t->host.ctx, t->snapshot, offset, buf, cap);
    if (got == NX_STATE_BROKEN) {
        t->snapshot_broken = true; /* whoever asks from now on is refused */
        memset(buf, 0, cap);
        return cap;
    }
    nx_assert(got <= cap);
    return got;
}

/* True if there is something to send. */
static bool fill(struct nx_transfer *t, struct nx_giving *g)
{
    if (g->piece_sent < g->piece_len)
        return true;
    uint64_t offset = g->sent - NX_TRANSFER_HEAD_BYTES;
    g->piece_sent = 0;
    if (offset < t->snapshot_bytes) {
        g->piece_len = (uint32_t)read_state(t, offset, g->piece);
    } else {
        g->piece[0] = t->snapshot_broken ? NX_IO : NX_OK;
        g->piece_len = NX_TRANSFER_TAIL_BYTES;
    }
    return g->piece_len > 0;
}

static bool send(struct nx_transfer *t, struct nx_giving *g)
{
    bool moved = false;
    while (g->sent < g->total && fill(t, g)) {
        size_t taken = 0;
        enum nx_status status = t->host.reply_write(t->host.ctx, g->query, g->piece + g->piece_sent,
                                                    g->piece_len - g->piece_sent, &taken);
        if (status != NX_OK && status != NX_AGAIN) {
            g->state = NX_GIVE_FREE; /* the asker is gone */
            return moved;
        }
        g->piece_sent += (uint32_t)taken;
        g->sent += taken;
        moved |= taken > 0;
        if (g->piece_sent < g->piece_len)
            return moved;
    }
    if (g->sent == g->total)
        g->state = NX_GIVE_FREE;
    return moved;
}

bool nx_give_poll(struct nx_transfer *t)
{
    bool moved = false;
    for (uint32_t i = 0; i < t->members_max; i++) {
        struct nx_giving *g = &t->give[i];
        if (g->state == NX_GIVE_WAITING)
            moved |= open_answer(t, g);
        if (g->state == NX_GIVE_SENDING)
            moved |= send(t, g);
    }
    return moved;
}
