/* The joiner: asks the donor of its view, hands up what comes, and knows when that is the state. */
#include "common/nx_assert.h"
#include "group/transfer/transfer_state.h"

#include <string.h>

static void has_state(struct nx_transfer *t)
{
    t->take.state = NX_TAKE_NOTHING;
    t->host.has_state(t->host.ctx);
}

static void forget_query(struct nx_transfer *t)
{
    if (t->take.query)
        t->host.query_cancel(t->host.ctx, t->take.query);
    t->take.query = 0;
    t->take.asked = 0;
    t->take.tier_ready = false;
}

void nx_take_view(struct nx_transfer *t)
{
    const struct nx_transfer_view *v = &t->view;
    forget_query(t);
    t->take.tries = 0;
    if (!(v->stateless & NX_RANK_BIT(v->self)))
        t->take.state = NX_TAKE_NOTHING;
    else if (!t->host.part)
        has_state(t);
    else
        t->take.state = v->donor == NX_RANK_NONE ? NX_TAKE_IDLE : NX_TAKE_ASKING;
}

static void fail(struct nx_transfer *t, enum nx_status status, const char *why)
{
    struct nx_err err;
    t->take.state = NX_TAKE_IDLE;
    nx_err_set(&err, status, "the state of this node's shard cannot be had from rank %u: %s",
               t->view.donor, why);
    t->host.failed(t->host.ctx, &err);
}

/* What came is of no use: from the start, unless it was so too often. */
static void again(struct nx_transfer *t, enum nx_status status, const char *why)
{
    forget_query(t);
    if (++t->take.tries == NX_TRANSFER_TRIES)
        fail(t, status, why);
    else
        t->take.state = NX_TAKE_ASKING;
}

bool nx_take_poll(struct nx_transfer *t)
{
    struct nx_taking *k = &t->take;
    if (k->state != NX_TAKE_ASKING)
        return false;
    if (!k->query && t->host.query_open(t->host.ctx, t->view.donor, NX_TRANSFER_HEAD_BYTES,
                                        &k->query) != NX_OK) {
        k->query = 0;
        return false; /* no room; or the donor is gone, and the next view will tell */
    }
    uint8_t question[NX_TRANSFER_HEAD_BYTES];
    size_t taken = 0;
    nx_transfer_head(question, NX_SYSTEM_STATE, NX_TRANSFER_VERSION, t->view.vid);
    (void)t->host.query_write(t->host.ctx, k->query, question + k->asked,
                              sizeof question - k->asked, &taken);
    k->asked += (uint32_t)taken;
    if (k->asked == sizeof question)
        k->state = NX_TAKE_COMING;
    return taken > 0;
}

/* The head is here: true if state follows. */
static bool check_head(struct nx_transfer *t, uint64_t total)
{
    const uint8_t *head = t->take.head;
    if (head[0] != NX_TRANSFER_VERSION || nx_transfer_head_vid(head) != t->view.vid) {
        again(t, NX_CORRUPT, "a malformed answer");
        return false;
    }
    if (head[1] == NX_OK && total > NX_TRANSFER_HEAD_BYTES)
        return true;
    t->take.query = 0; /* it is answered */
    if (head[1] == NX_NOT_FOUND)
        t->take.state = NX_TAKE_IDLE; /* it is in a later view, to which we shall come */
    else
        fail(t, NX_UNAVAILABLE,
             head[1] < NX_STATUS_COUNT && head[1] != NX_OK ? nx_status_text((enum nx_status)head[1])
                                                           : "a malformed answer");
    return false;
}

/* False if the tier refused it, or something else took the ground from under us. */
static bool hand_up(struct nx_transfer *t, uint64_t total, uint64_t offset, const uint8_t *bytes,
                    size_t len)
{
    struct nx_err err = {0};
    nx_stream query = t->take.query;
    enum nx_status status =
        t->host.part(t->host.ctx, t->view.subgroup, total, offset, bytes, len, &err);
    if (status != NX_OK && t->take.query == query)
        again(t, status, err.text[0] ? err.text : nx_status_text(status));
    return t->take.query == query && t->take.state == NX_TAKE_COMING;
}

static void take_tail(struct nx_transfer *t, uint8_t status)
{
    t->take.query = 0;
    t->take.asked = 0;
    if (status != NX_OK) {
        again(t, NX_IO, "the donor could not read it to its end");
        return;
    }
    t->take.state = NX_TAKE_WHOLE;
    if (t->take.tier_ready)
        has_state(t);
}

void nx_transfer_reply_part(struct nx_transfer *t, const struct nx_part *part)
{
    struct nx_taking *k = &t->take;
    if (k->state != NX_TAKE_COMING || part->stream != k->query)
        return;
    uint64_t at = part->offset, total = part->total;
    const uint8_t *bytes = part->bytes;
    size_t len = part->len;
    if (at < sizeof k->head) {
        size_t take = sizeof k->head - at < len ? sizeof k->head - (size_t)at : len;
        if (take)
            memcpy(k->head + at, bytes, take);
        at += take;
        bytes += take;
        len -= take;
        if (total < sizeof k->head) {
            again(t, NX_CORRUPT, "a malformed answer");
            return;
        }
        if (at < sizeof k->head || !check_head(t, total))
            return;
    }
    uint64_t state = total - NX_TRANSFER_HEAD_BYTES - NX_TRANSFER_TAIL_BYTES;
    uint64_t offset = at - NX_TRANSFER_HEAD_BYTES, left = state - offset;
    size_t mine = left < len ? (size_t)left : len;
    if (mine && !hand_up(t, state, offset, bytes, mine))
        return;
    if (mine == len)
        return;
    if (state == 0 && !hand_up(t, 0, 0, NULL, 0))
        return;
    take_tail(t, bytes[mine]);
}

void nx_transfer_query_failed(struct nx_transfer *t, nx_stream query, enum nx_status why)
{
    (void)why; /* the donor is gone: a view without it will come, and names another */
    if (t->take.query != query || query == 0)
        return;
    t->take.query = 0;
    t->take.asked = 0;
    t->take.state = NX_TAKE_IDLE;
}

void nx_transfer_ready(struct nx_transfer *t)
{
    if (t->take.state == NX_TAKE_WHOLE)
        has_state(t);
    else if (t->take.state == NX_TAKE_COMING)
        t->take.tier_ready = true;
}
