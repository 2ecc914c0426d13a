#include "group/fabric/fabric_ofi.h"

#include "common/log.h"

#include <string.h>

static struct nx_ofi_entry *entry_at(struct nx_ofi_peer *peer, uint32_t n)
{
    return &peer->queue[n & (NX_OFI_QUEUE - 1)];
}

nx_rankset nx_fabric_writable(const struct nx_fabric *f)
{
    nx_rankset set = 0;
    for (nx_rank rank = 0; rank < f->peers_count; rank++) {
        const struct nx_ofi_peer *peer = &f->peers[rank];
        if (peer->state == NX_OFI_UP &&
            peer->queued - peer->done <= NX_OFI_QUEUE - NX_WRITES_PER_PEER)
            set |= NX_RANK_BIT(rank);
    }
    return set;
}

/* One operation: the writes [posted, posted + count) of a peer. */
struct operation {
    uint32_t count;
    size_t bytes;
    bool doorbell;
    struct iovec source[NX_OFI_GATHER_MAX];
    void *desc[NX_OFI_GATHER_MAX];
    struct fi_rma_iov target[NX_OFI_GATHER_MAX];
};

static void add_write(struct nx_fabric *f, struct nx_ofi_peer *peer, struct operation *op)
{
    uint32_t n = peer->posted + op->count, i = op->count++;
    const struct nx_ofi_entry *entry = entry_at(peer, n);
    struct fid_mr *mr = entry->copied ? f->slots_mr : f->mr;
    op->source[i].iov_base =
        entry->copied ? peer->slots[n & (NX_OFI_QUEUE - 1)] : f->region + entry->local_offset;
    op->source[i].iov_len = entry->bytes;
    op->desc[i] = f->local_mr ? fi_mr_desc(mr) : NULL;
    op->target[i] = (struct fi_rma_iov){peer->base + entry->remote_offset, entry->bytes, peer->key};
    op->bytes += entry->bytes;
    op->doorbell |= entry->doorbell;
}

static ssize_t post_operation(struct nx_ofi_peer *peer, const struct operation *op, bool signal)
{
    struct fi_msg_rma msg = {
        .msg_iov = op->source,
        .desc = (void **)(uintptr_t)op->desc,
        .iov_count = op->count,
        .rma_iov = op->target,
        .rma_iov_count = op->count,
        .context = nx_ofi_context(peer),
        .data = 1,
    };
    uint64_t flags = (signal ? FI_COMPLETION : 0) | (op->doorbell ? FI_REMOTE_CQ_DATA : 0);
    return fi_writemsg(peer->ep, &msg, flags);
}

/* Hands the oldest waiting writes to the provider; false when it takes no more now. */
static bool post_some(struct nx_fabric *f, struct nx_ofi_peer *peer)
{
    struct operation op = {0};
    uint32_t limit = f->gathers ? NX_OFI_GATHER_MAX : 1;
    while (op.count < limit && peer->posted + op.count != peer->queued)
        add_write(f, peer, &op);

    bool signal = peer->unsignalled + 1 >= NX_OFI_SIGNAL_EVERY ||
                  peer->queued - peer->done > NX_OFI_QUEUE / 2;
    ssize_t rc = post_operation(peer, &op, signal);
    if (rc == -FI_EAGAIN)
        return false;
    if (rc != 0) {
        nx_ofi_peer_died(f, peer, "a write to it failed");
        return false;
    }
    peer->posted += op.count;
    peer->unsignalled = signal ? 0 : peer->unsignalled + 1;
    if (signal)
        peer->signal_posted[peer->signals++ & (NX_OFI_QUEUE - 1)] = peer->posted;
    f->stats.operations++;
    return true;
}

static void flush_peer(struct nx_fabric *f, struct nx_ofi_peer *peer)
{
    while (peer->state == NX_OFI_UP && peer->posted != peer->queued && post_some(f, peer))
        continue;
}

void nx_fabric_flush(struct nx_fabric *f)
{
    for (nx_rank rank = 0; rank < f->peers_count; rank++)
        flush_peer(f, &f->peers[rank]);
}

enum nx_status nx_fabric_post(struct nx_fabric *f, const struct nx_write *write)
{
    nx_assert(write->peer < f->peers_count && write->peer != f->self);
    nx_assert(write->local_offset + write->bytes <= f->region_bytes);
    struct nx_ofi_peer *peer = &f->peers[write->peer];
    if (peer->state != NX_OFI_UP)
        return NX_PEER_DOWN;
    if (peer->queued - peer->done >= NX_OFI_QUEUE)
        return NX_AGAIN;
    uint32_t n = peer->queued++;
    *entry_at(peer, n) = (struct nx_ofi_entry){
        .local_offset = write->local_offset,
        .remote_offset = write->remote_offset,
        .bytes = write->bytes,
        .copied = write->inline_bytes,
        .doorbell = write->doorbell && !f->caps.wakes_on_plain_write,
    };
    if (write->inline_bytes) {
        nx_assert(write->bytes <= NX_INLINE_MAX);
        memcpy(peer->slots[n & (NX_OFI_QUEUE - 1)], f->region + write->local_offset, write->bytes);
    }
    f->stats.writes++;
    f->stats.write_bytes += write->bytes;
    f->stats.doorbells += entry_at(peer, n)->doorbell;
    return NX_OK;
}

/* A completion of an endpoint completes every operation before it. */
static void writes_done(struct nx_ofi_peer *peer)
{
    if (peer->signals_done == peer->signals)
        return; /* an unsignalled one that the provider tells of all the same */
    peer->done = peer->signal_posted[peer->signals_done++ & (NX_OFI_QUEUE - 1)];
}

static void doorbell_rang(struct nx_fabric *f, struct nx_ofi_peer *peer)
{
    if (!f->doorbell_taken || peer->state != NX_OFI_UP)
        return;
    if (peer->doorbells_lent > 0)
        peer->doorbells_lent--;
    nx_ofi_lend_doorbells(peer);
}

static void read_cq_error(struct nx_fabric *f)
{
    struct fi_cq_err_entry entry = {0};
    if (fi_cq_readerr(f->cq, &entry, 0) != 1)
        return;
    struct nx_ofi_peer *peer = nx_ofi_peer_of(entry.op_context);
    if (peer && entry.err != FI_ECANCELED)
        nx_ofi_peer_died(f, peer, "a write to it failed");
    else if (peer)
        nx_ofi_peer_died(f, peer, "its connection was closed");
}

/* Bounded: one batch a call, since a poll turn does other things too. */
bool nx_ofi_read_cq(struct nx_fabric *f)
{
    struct fi_cq_data_entry entries[NX_OFI_CQ_BATCH];
    ssize_t n = fi_cq_read(f->cq, entries, NX_OFI_CQ_BATCH);
    if (n == -FI_EAVAIL) {
        read_cq_error(f);
        return true;
    }
    for (ssize_t i = 0; i < n; i++) {
        struct nx_ofi_peer *peer = nx_ofi_peer_of(entries[i].op_context);
        if (entries[i].flags & (FI_RECV | FI_REMOTE_CQ_DATA | FI_REMOTE_WRITE)) {
            if (peer)
                doorbell_rang(f, peer);
        } else if (peer) {
            writes_done(peer);
        }
    }
    return n > 0;
}

static uint32_t report_downs(struct nx_fabric *f, struct nx_fabric_event *downs)
{
    uint32_t count = 0;
    for (nx_rank rank = 0; rank < f->peers_count; rank++) {
        struct nx_ofi_peer *peer = &f->peers[rank];
        if (!peer->down_why)
            continue;
        downs[count++] = (struct nx_fabric_event){rank, peer->down_why};
        peer->down_why = NULL;
    }
    return count;
}

bool nx_fabric_poll(struct nx_fabric *f, struct nx_fabric_event *downs, uint32_t *downs_count)
{
    bool moved = nx_ofi_read_cq(f);
    if (!f->seated || f->forming || ++f->polls >= NX_OFI_EQ_EVERY) {
        f->polls = 0;
        moved |= nx_ofi_read_eq(f);
    }
    nx_fabric_flush(f);
    *downs_count = report_downs(f, downs);
    return moved || *downs_count > 0;
}

int nx_fabric_fd(const struct nx_fabric *f)
{
    return f->epoll_fd;
}

enum nx_status nx_fabric_arm(struct nx_fabric *f)
{
    struct fid *fids[] = {&f->eq->fid, &f->cq->fid};
    f->polls = NX_OFI_EQ_EVERY; /* the next poll looks at the event queue: a death may wake us */
    for (nx_rank rank = 0; rank < f->peers_count; rank++)
        if (f->peers[rank].down_why ||
            (f->peers[rank].state == NX_OFI_UP && f->peers[rank].posted != f->peers[rank].queued))
            return NX_AGAIN;
    return fi_trywait(f->fabric, fids, 2) == FI_SUCCESS ? NX_OK : NX_AGAIN;
}
