#include "group/group_transfer.h"

#include "common/arena.h"
#include "common/log.h"
#include "group/transfer/transfer.h"

#include <stdlib.h>

struct nx_group_transfer {
    struct nx_group_loan loan;
    struct nx_transfer *transfer;
};

/* --- the core, for the transfer ------------------------------------------------------------------- */

static enum nx_status request(struct nx_group_transfer *t, const struct nx_event *event)
{
    return t->loan.request(t->loan.group, event);
}

/* The cookie tells its answers from those of others who send system queries. */
static enum nx_status query_open(void *ctx, nx_rank peer, uint64_t total, nx_stream *query)
{
    struct nx_group_transfer *t = ctx;
    struct nx_event event = {
        .type = NX_EV_QUERY_OPEN, .peer = peer, .total = total, .system = true, .cookie = t};
    NX_TRY(request(t, &event));
    *query = t->loan.answer->stream;
    return NX_OK;
}

static enum nx_status write_stream(struct nx_group_transfer *t, enum nx_event_type type,
                                   nx_stream stream, const void *bytes, size_t len, size_t *taken)
{
    struct nx_event event = {.type = type, .stream = stream, .bytes = bytes, .len = len};
    NX_TRY(request(t, &event));
    *taken = t->loan.answer->taken;
    return NX_OK;
}

static enum nx_status query_write(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken)
{
    return write_stream(ctx, NX_EV_QUERY_WRITE, query, bytes, len, taken);
}

static void query_cancel(void *ctx, nx_stream query)
{
    (void)request(ctx, &(struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query});
}

static enum nx_status reply_open(void *ctx, nx_stream query, uint64_t total)
{
    return request(ctx,
                   &(struct nx_event){.type = NX_EV_REPLY_OPEN, .stream = query, .total = total});
}

static enum nx_status reply_write(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken)
{
    return write_stream(ctx, NX_EV_REPLY_WRITE, query, bytes, len, taken);
}

static void has_state(void *ctx)
{
    nx_debug("this member has its shard's state");
    (void)request(ctx, &(struct nx_event){.type = NX_EV_STATE});
}

static void failed(void *ctx, const struct nx_err *why)
{
    struct nx_group_transfer *t = ctx;
    t->loan.down(t->loan.group, why);
}

/* --- the tier, for the transfer ------------------------------------------------------------------- */

static void *snapshot(void *ctx, uint32_t subgroup, uint64_t *bytes)
{
    struct nx_group_transfer *t = ctx;
    return t->loan.up->state_snapshot(t->loan.ctx, subgroup, bytes);
}

static size_t state_read(void *ctx, void *from, uint64_t offset, void *buf, size_t cap)
{
    struct nx_group_transfer *t = ctx;
    return t->loan.up->state_read(t->loan.ctx, from, offset, buf, cap);
}

static void release(void *ctx, void *from)
{
    struct nx_group_transfer *t = ctx;
    t->loan.up->state_release(t->loan.ctx, from);
}

static enum nx_status part(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                           const void *bytes, size_t len, struct nx_err *err)
{
    struct nx_group_transfer *t = ctx;
    return t->loan.up->state_part(t->loan.ctx, subgroup, total, offset, bytes, len, err);
}

/* --- what group.c calls --------------------------------------------------------------------------- */

struct nx_group_transfer *nx_group_transfer_open(const struct nx_group_loan *loan,
                                                 uint32_t members_max)
{
    const struct nx_group_upcalls *up = loan->up;
    struct nx_group_transfer *t = nx_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->loan = *loan;
    struct nx_transfer_host host = {
        .ctx = t,
        .query_open = query_open,
        .query_write = query_write,
        .query_cancel = query_cancel,
        .reply_open = reply_open,
        .reply_write = reply_write,
        .has_state = has_state,
        .failed = failed,
        .snapshot = up->state_snapshot ? snapshot : NULL,
        .read = up->state_read ? state_read : NULL,
        .release = up->state_release ? release : NULL,
        .part = up->state_part ? part : NULL,
    };
    t->transfer = nx_transfer_open(&host, members_max);
    if (!t->transfer) {
        free(t);
        return NULL;
    }
    return t;
}

void nx_group_transfer_close(struct nx_group_transfer *t)
{
    if (!t)
        return;
    nx_transfer_close(t->transfer);
    free(t);
}

void nx_group_transfer_view(struct nx_group_transfer *t, const struct nx_core *core)
{
    const struct nx_view *view = nx_core_view(core);
    const struct nx_layout *layout = nx_core_layout(core);
    nx_rank self = nx_core_rank(core);
    uint32_t subgroup = view->members[self].subgroup, shard;
    if (!nx_layout_shard_of(layout, subgroup, self, &shard))
        return;
    const struct nx_shard *ours = &layout->shards[subgroup][shard];
    nx_transfer_view(t->transfer, &(struct nx_transfer_view){.vid = view->vid,
                                                             .self = self,
                                                             .donor = ours->donor,
                                                             .subgroup = subgroup,
                                                             .stateless = ours->stateless});
}

bool nx_group_transfer_upcall(struct nx_group_transfer *t, const struct nx_upcall *u)
{
    switch (u->type) {
    case NX_UP_QUERY_PART: return u->part.system && nx_transfer_query_part(t->transfer, &u->part);
    case NX_UP_QUERY_GONE:
        if (u->part.system)
            nx_transfer_query_gone(t->transfer, u->part.stream);
        return false;
    case NX_UP_REPLY_PART:
        if (!u->part.system || u->cookie != t)
            return false;
        nx_transfer_reply_part(t->transfer, &u->part);
        return true;
    case NX_UP_QUERY_FAILED:
        if (!u->part.system || u->cookie != t)
            return false;
        nx_transfer_query_failed(t->transfer, u->part.stream, u->status);
        return true;
    case NX_UP_VIEW:
    case NX_UP_MEMBER_DOWN:
    case NX_UP_DELIVER:
    case NX_UP_BULK_PART:
    case NX_UP_BULK_ABORTED:
    case NX_UP_DOWN: return false;
    }
    return false;
}

bool nx_group_transfer_poll(struct nx_group_transfer *t, const struct nx_core *core)
{
    nx_transfer_lacking(t->transfer, ~nx_core_with_state(core));
    return nx_transfer_poll(t->transfer);
}

void nx_group_transfer_ready(struct nx_group_transfer *t)
{
    nx_transfer_ready(t->transfer);
}
