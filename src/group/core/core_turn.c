/* One turn of a member:
 *
 *   1  begin     slots of ended queries are free, cancels leave
 *   2  listen    rows of the others: check and take what changed; what they wrote becomes readable
 *   3  settle    fill our places in the order, free windows, commit bulk messages
 *   4  lose      report members that are gone; wedge our shard; close their streams
 *   5  hand up   stable messages, bulk parts, point-to-point parts; at most NX_UPCALLS_PER_STEP upcalls in all
 *   6  tell      our counters into our row; and, if there was work, that we are awake
 *   7  push      payload, then the row that guards it, to every writable peer
 *
 * What a full update leaves over waits in the region for the next turn (`busy`). */
#include "group/core/core_state.h"
#include "group/multicast/mc_deliver.h"
#include "group/multicast/mc_order.h"
#include "group/multicast/mc_stability.h"

#include <string.h>

static bool has_room(const struct nx_update *update)
{
    return update->upcalls_count < NX_UPCALLS_PER_STEP;
}

/* A fresh upcall; only what its type uses is filled in. */
static struct nx_upcall *add_upcall(struct nx_update *update, enum nx_upcall_type type)
{
    nx_assert(has_room(update));
    struct nx_upcall *upcall = &update->upcalls[update->upcalls_count++];
    upcall->type = type;
    return upcall;
}

/* --- 2: listen --- */

static const char *hear_received(struct nx_core *core, nx_rank peer)
{
    uint64_t received = nx_table_seen(&core->table, peer, NX_COL_MC_RECEIVED);
    /* It cannot hold the message after our last one. */
    const struct nx_mc *mc = &core->mc;
    if (received > nx_order_seq(mc->indexes[mc->own], mc->own, mc->senders))
        return "it says it received messages that we never sent";
    core->received[peer] = received;
    return NULL;
}

static const char *hear_delivered(struct nx_core *core, nx_rank peer)
{
    uint64_t delivered = nx_table_seen(&core->table, peer, NX_COL_MC_DELIVERED);
    /* It delivers what is stable, so what we hold, too. */
    if (delivered > core->received[core->self])
        return "it says it delivered messages that are not stable";
    core->delivered[peer] = delivered;
    return NULL;
}

static const char *hear_consumed(struct nx_core *core, nx_rank peer)
{
    uint64_t consumed = nx_table_seen(&core->table, peer, NX_COL_BULK_CONSUMED);
    if (consumed > core->bulk_posted[peer])
        return "it says it consumed bulk bytes that we never sent";
    core->consumed[peer] = consumed;
    return NULL;
}

/* The columns that only members of our shard tell us of. */
static const char *hear_shard(struct nx_core *core, nx_rank peer, uint32_t changed)
{
    const char *why = NULL;
    if (changed & 1u << NX_COL_MC_SENT && !core->mc.wedged)
        why = nx_mc_receive(&core->mc, core->mc.sender_of[peer],
                            nx_table_seen(&core->table, peer, NX_COL_MC_SENT));
    if (!why && changed & 1u << NX_COL_MC_RECEIVED)
        why = hear_received(core, peer);
    if (!why && changed & 1u << NX_COL_MC_DELIVERED)
        why = hear_delivered(core, peer);
    if (!why && changed & 1u << NX_COL_BULK_SENT)
        why =
            nx_bulk_receive(&core->bulk, peer, nx_table_seen(&core->table, peer, NX_COL_BULK_SENT));
    if (!why && changed & 1u << NX_COL_BULK_CONSUMED)
        why = hear_consumed(core, peer);
    if (changed & 1u << NX_COL_WEDGED)
        core->mc.wedged = true;
    return why;
}

static const char *hear_p2p(struct nx_core *core, nx_rank peer, uint32_t changed)
{
    const char *why = NULL;
    if (changed & 1u << NX_COL_P2P_SENT)
        why = nx_p2p_receive(&core->p2p, peer, nx_table_seen(&core->table, peer, NX_COL_P2P_SENT));
    if (!why && changed & 1u << NX_COL_P2P_CONSUMED)
        why = nx_p2p_free(&core->p2p, peer, nx_table_seen(&core->table, peer, NX_COL_P2P_CONSUMED));
    return why;
}

static void hear_membership(struct nx_core *core, nx_rank peer, uint32_t changed)
{
    if (changed & 1u << NX_COL_SUSPECTED)
        nx_suspect_hear(&core->suspect, nx_table_seen(&core->table, peer, NX_COL_SUSPECTED));
    if (changed & 1u << NX_COL_LEAVING)
        nx_suspect_hear_leave(&core->suspect, peer);
}

static void hear_sleep(struct nx_core *core, nx_rank peer)
{
    bool asleep = nx_table_seen(&core->table, peer, NX_COL_SLEEP) % 2 == 1;
    if (asleep && (core->unrung & NX_RANK_BIT(peer)))
        core->ring |= NX_RANK_BIT(peer);
}

static void listen_to(struct nx_core *core, nx_rank peer, bool *moved)
{
    uint32_t lawless;
    uint32_t changed = nx_table_scan(&core->table, peer, &lawless);
    const char *why = lawless ? "its row went back" : NULL;
    if (!changed && !why)
        return;
    /* That a peer fell asleep is no reason to stay awake, or two would keep each other up with their good nights. */
    *moved |= why || (changed & ~(1u << NX_COL_SLEEP));
    /* Of a member that left, only what it says of the membership counts still: its streams are closed. */
    bool alive = (core->suspect.alive & NX_RANK_BIT(peer)) != 0;
    if (!why && alive && (core->mc.peers & NX_RANK_BIT(peer)))
        why = hear_shard(core, peer, changed);
    if (!why && alive)
        why = hear_p2p(core, peer, changed);
    if (why) {
        nx_suspect_fail(&core->suspect, peer, why);
        return;
    }
    if (changed & 1u << NX_COL_SLEEP)
        hear_sleep(core, peer);
    hear_membership(core, peer, changed);
}

static bool listen(struct nx_core *core)
{
    bool moved = false;
    for (nx_rankset left = nx_core_others(core); left; left &= left - 1)
        listen_to(core, (nx_rank)__builtin_ctzll(left), &moved);
    if (core->suspect.fenced && core->down == NX_OK) {
        core->down = NX_FENCED;
        core->down_why = "another member takes this node for failed";
    }
    return moved;
}

/* --- 3: settle --- */

static void fail_self(struct nx_core *core, const char *why)
{
    core->down = NX_FATAL;
    core->down_why = why;
}

static uint64_t consumed_everywhere(const struct nx_core *core)
{
    nx_rankset takers = core->mc.peers & core->suspect.reachable;
    uint64_t least = takers ? nx_stability_frontier(core->consumed, takers) : core->bulk.out.head;
    /* Who is gone does not hold the window; who was there may be behind it for a moment. */
    return least > core->bulk.out.freed ? least : core->bulk.out.freed;
}

static bool settle(struct nx_core *core)
{
    struct nx_mc *mc = &core->mc;
    if (mc->senders == 0)
        return false;
    uint64_t everywhere = nx_stability_frontier(core->delivered, mc->set);
    const char *why = nx_mc_free(mc, everywhere);
    if (why)
        fail_self(core, why);
    bool moved = nx_bulk_settle(&core->bulk, consumed_everywhere(core), everywhere);
    nx_mc_settle(mc);
    moved |= mc->received != core->received[core->self];
    core->received[core->self] = mc->received;
    return moved;
}

/* --- 4: lose --- */

static void wedge(struct nx_core *core)
{
    if (core->mc.set & ~core->suspect.alive)
        core->mc.wedged = true;
}

static void report_losses(struct nx_core *core, struct nx_update *update)
{
    nx_rank rank;
    bool clean;
    const char *why;
    while (has_room(update) && nx_suspect_next(&core->suspect, &rank, &clean, &why)) {
        struct nx_upcall *upcall = add_upcall(update, NX_UP_MEMBER_DOWN);
        upcall->rank = rank;
        upcall->clean = clean;
        upcall->why = why;
        core->orphaning |= NX_RANK_BIT(rank);
        core->p2p.unread &= ~NX_RANK_BIT(rank);
        core->bulk.unread &= ~NX_RANK_BIT(rank);
    }
}

/* One stream of a lost member; false when none is left. */
static bool close_stream(struct nx_core *core, nx_rank rank, struct nx_update *update)
{
    struct nx_part part = {.peer = rank};
    void *cookie = NULL;
    part.stream = nx_bulk_orphan(&core->bulk, rank);
    if (part.stream) {
        add_upcall(update, NX_UP_BULK_ABORTED)->part = part;
        return true;
    }
    enum nx_p2p_got got = nx_p2p_orphan(&core->p2p, rank, &part.stream, &cookie);
    if (got == NX_P2P_NONE)
        return false;
    struct nx_upcall *upcall =
        add_upcall(update, got == NX_P2P_QUERY_GONE ? NX_UP_QUERY_GONE : NX_UP_QUERY_FAILED);
    upcall->part = part;
    upcall->cookie = cookie;
    upcall->status = NX_PEER_DOWN;
    return true;
}

static void close_streams(struct nx_core *core, struct nx_update *update)
{
    for (nx_rankset left = core->orphaning; left && has_room(update);) {
        nx_rank rank = (nx_rank)__builtin_ctzll(left);
        if (!close_stream(core, rank, update)) {
            left &= ~NX_RANK_BIT(rank);
            core->orphaning &= ~NX_RANK_BIT(rank);
        }
    }
}

static void lose(struct nx_core *core, struct nx_update *update)
{
    wedge(core);
    report_losses(core, update);
    close_streams(core, update);
}

/* --- 5: hand up --- */

/* A bulk message may be delivered once every byte of it was handed up here. */
static bool accept_delivery(struct nx_core *core, const struct nx_delivery *delivery)
{
    if (delivery->bulk == 0 || delivery->sender == core->self ||
        nx_bulk_commit(&core->bulk, delivery->sender, delivery->bulk))
        return true;
    nx_suspect_fail(&core->suspect, delivery->sender,
                    "it committed a bulk message whose bytes have not come");
    return false;
}

static void distrust_sender(struct nx_core *core, nx_rank sender, const char *why)
{
    if (sender == core->self)
        fail_self(core, "our own multicast ring was overwritten");
    else
        nx_suspect_fail(&core->suspect, sender, why);
    core->mc.wedged = true;
}

/* True if there may be more. */
static bool deliver_messages(struct nx_core *core, struct nx_update *update)
{
    struct nx_mc *mc = &core->mc;
    if (mc->senders == 0 || mc->wedged || mc->delivered == mc->received)
        return false;
    uint64_t frontier = nx_core_mutant(core, NX_MUTANT_DELIVER_AT_RECEIVED)
                            ? mc->received
                            : nx_stability_frontier(core->received, mc->set);
    while (has_room(update)) {
        struct nx_delivery delivery;
        const char *why = NULL;
        enum nx_deliver_got got = nx_deliver_next(mc, frontier, &delivery, &why);
        if (got == NX_DELIVER_NONE || got == NX_DELIVER_AGAIN)
            return got == NX_DELIVER_AGAIN;
        if (got == NX_DELIVER_CORRUPT || !accept_delivery(core, &delivery)) {
            distrust_sender(core, delivery.sender, why);
            return true;
        }
        add_upcall(update, NX_UP_DELIVER)->delivery = delivery;
        core->stats.delivered++;
        core->delivered_at += nx_record_bytes(delivery.len);
    }
    return true;
}

static void take_bulk(struct nx_core *core, nx_rank peer, struct nx_update *update)
{
    while (has_room(update)) {
        struct nx_part part;
        const uint8_t *head = NULL;
        size_t head_len = 0;
        const char *why;
        enum nx_bulk_got got = nx_bulk_next(&core->bulk, peer, &part, &head, &head_len, &why);
        if (got == NX_BULK_NONE)
            return;
        if (got == NX_BULK_CORRUPT) {
            nx_suspect_fail(&core->suspect, peer, why);
            core->bulk.unread &= ~NX_RANK_BIT(peer);
            return;
        }
        struct nx_upcall *upcall =
            add_upcall(update, got == NX_BULK_PART ? NX_UP_BULK_PART : NX_UP_BULK_ABORTED);
        upcall->part = part;
        upcall->subgroup = core->mc.subgroup;
        upcall->head = head;
        upcall->head_len = head_len;
    }
}

static const enum nx_upcall_type p2p_upcalls[] = {
    [NX_P2P_QUERY_PART] = NX_UP_QUERY_PART,
    [NX_P2P_REPLY_PART] = NX_UP_REPLY_PART,
    [NX_P2P_QUERY_GONE] = NX_UP_QUERY_GONE,
};

static void take_p2p(struct nx_core *core, nx_rank peer, struct nx_update *update)
{
    core->owing |= NX_RANK_BIT(peer);
    while (has_room(update)) {
        struct nx_part part;
        void *cookie = NULL;
        const char *why = NULL;
        enum nx_p2p_got got = nx_p2p_next(&core->p2p, peer, &part, &cookie, &why);
        if (got == NX_P2P_NONE)
            return;
        if (got == NX_P2P_CORRUPT) {
            nx_suspect_fail(&core->suspect, peer, why);
            core->p2p.unread &= ~NX_RANK_BIT(peer);
            return;
        }
        struct nx_upcall *upcall = add_upcall(update, p2p_upcalls[got]);
        upcall->part = part;
        upcall->cookie = cookie;
    }
}

/* Ranks take turns at the front, so that one that fills every update starves nobody. */
static nx_rankset rotated(nx_rankset set, uint64_t turn)
{
    unsigned by = (unsigned)(turn % NX_MEMBERS_MAX);
    return (set >> by | set << (NX_MEMBERS_MAX - by)) & (NX_RANK_BIT(NX_MEMBERS_MAX) - 1);
}

static void take_streams(struct nx_core *core, struct nx_update *update)
{
    uint64_t turn = core->p2p.turn;
    for (nx_rankset left = rotated(core->p2p.unread | core->bulk.unread, turn);
         left && has_room(update); left &= left - 1) {
        nx_rank peer = (nx_rank)(((unsigned)__builtin_ctzll(left) + turn) % NX_MEMBERS_MAX);
        if (core->p2p.unread & NX_RANK_BIT(peer))
            take_p2p(core, peer, update);
        if (core->bulk.unread & NX_RANK_BIT(peer))
            take_bulk(core, peer, update);
    }
}

/* True if something is left for the next turn. Every other turn begins with the streams, so that neither a flood of
 * messages nor one of queries shuts the other out. */
static bool hand_up(struct nx_core *core, struct nx_update *update)
{
    bool more;
    if (core->p2p.turn % 2) {
        take_streams(core, update);
        more = deliver_messages(core, update);
    } else {
        more = deliver_messages(core, update);
        take_streams(core, update);
    }
    core->delivered[core->self] = core->mc.delivered;
    return more || core->p2p.unread || core->bulk.unread || core->orphaning ||
           core->suspect.unreported;
}

/* --- 6: tell --- */

/* Receipts only free windows. They ride along with the next write to the peer (core_push.c), and leave by themselves
 * when a window fills or when nothing else went there for NX_RECEIPT_NS. */
static bool tell_consumed(struct nx_core *core, bool due)
{
    for (nx_rankset left = core->owing & nx_core_others(core); left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        uint64_t read = core->p2p.in[peer].read;
        uint64_t told = core->table.told[peer][NX_COL_P2P_CONSUMED];
        if (due || read - told >= core->shape.p2p_ring_bytes / 4)
            nx_core_tell_receipts(core, peer);
    }
    return (core->owing & nx_core_others(core)) != 0;
}

/* What we hold is told at once only if a message may wait for it; that we hold the nulls behind it can wait. */
static bool tell_received(struct nx_core *core, nx_rank peer)
{
    uint64_t told = core->table.told[peer][NX_COL_MC_RECEIVED];
    if (core->mc.awaited > told)
        nx_table_tell(&core->table, peer, NX_COL_MC_RECEIVED, core->mc.received);
    return core->mc.received != core->table.told[peer][NX_COL_MC_RECEIVED];
}

/* True if something is owed. */
static bool tell_shard(struct nx_core *core, bool due)
{
    bool owed = false;
    if (core->delivered_at - core->delivered_told_at >= core->shape.mc_ring_bytes / 8) {
        core->delivered_told_at = core->delivered_at;
        due = true;
    }
    for (nx_rankset left = core->mc.peers & nx_core_others(core); left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        if (due)
            nx_core_tell_receipts(core, peer);
        nx_table_tell(&core->table, peer, NX_COL_BULK_CONSUMED, core->bulk.in[peer].read);
        owed |= tell_received(core, peer);
        owed |= core->table.told[peer][NX_COL_MC_DELIVERED] != core->mc.delivered;
    }
    return owed;
}

static void tell_receipts(struct nx_core *core, nx_ns now)
{
    bool due = now >= core->receipts_at;
    bool owed = tell_consumed(core, due);
    if (core->mc.senders > 0)
        owed |= tell_shard(core, due);
    if (!owed)
        core->receipts_at = NX_NEVER;
    else if (due || core->receipts_at == NX_NEVER)
        core->receipts_at = now + NX_RECEIPT_NS;
}

/* All that we sent is consumed, so whoever hears of our leave has everything before it. */
static bool is_drained(const struct nx_core *core)
{
    if (!core->mc.wedged && core->mc.out.freed != core->mc.out.head)
        return false;
    for (nx_rankset left = core->suspect.alive & nx_core_others(core); left; left &= left - 1) {
        const struct nx_window *out = &core->p2p.out[__builtin_ctzll(left)];
        if (out->freed != out->head)
            return false;
    }
    return true;
}

static void tell_leave(struct nx_core *core, nx_ns now)
{
    struct nx_suspect *suspect = &core->suspect;
    if (!suspect->leaving)
        return;
    if (is_drained(core) || now >= suspect->leave_until - NX_LEAVE_PATIENCE_NS / 2)
        nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_LEAVING, 1);
    nx_rankset receipts = 0;
    for (nx_rankset left = nx_core_others(core); left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        if (nx_table_seen(&core->table, peer, NX_COL_LEAVES_SEEN) & NX_RANK_BIT(core->self))
            receipts |= NX_RANK_BIT(peer);
    }
    nx_suspect_settle_leave(suspect, receipts, now);
}

static void tell(struct nx_core *core, nx_ns now)
{
    nx_rankset others = nx_core_others(core);
    tell_receipts(core, now);
    nx_table_tell_all(&core->table, others, NX_COL_SUSPECTED, core->suspect.suspected);
    nx_table_tell_all(&core->table, others, NX_COL_LEAVES_SEEN, core->suspect.leaves_seen);
    nx_table_tell_all(&core->table, others, NX_COL_WEDGED, core->mc.wedged);
    tell_leave(core, now);
}

nx_ns nx_core_next_turn(const struct nx_core *core, nx_ns now)
{
    const struct nx_suspect *suspect = &core->suspect;
    nx_ns at = core->receipts_at;
    if (!suspect->leaving || suspect->left)
        return at;
    nx_ns half = suspect->leave_until - NX_LEAVE_PATIENCE_NS / 2;
    nx_ns due = now < half ? half : suspect->leave_until;
    return due < at ? due : at;
}

static void report_down(struct nx_core *core, struct nx_update *update)
{
    if (core->down_told)
        return;
    core->down_told = true;
    update->upcalls_count = 0; /* out of the group: nothing of this turn counts any more */
    struct nx_upcall *upcall = add_upcall(update, NX_UP_DOWN);
    upcall->status = core->down;
    upcall->why = core->down_why;
}

void nx_core_turn(struct nx_core *core, nx_ns now, const struct nx_event *event,
                  struct nx_update *update)
{
    if (!core->has_view)
        return;
    bool moved = core->down == NX_OK && nx_p2p_begin_turn(&core->p2p); /* 1 */
    moved |= core->down == NX_OK && listen(core);                      /* 2 */
    moved |= core->down == NX_OK && settle(core);                      /* 3 */
    bool more = false;
    if (core->down == NX_OK) {
        lose(core, update);           /* 4 */
        more = hand_up(core, update); /* 5 */
    }
    if (core->down != NX_OK) {
        report_down(core, update);
        return;
    }
    /* A turn without work is no waking: peers go on ringing, and going back to sleep needs no write, which could
     * wake somebody, perhaps ourselves by its completion, for nothing, and so on for ever. */
    if (more || update->upcalls_count > 0)
        nx_core_wake(core);
    tell(core, now);                             /* 6 */
    nx_core_push(core, event->writable, update); /* 7 */
    update->busy = moved || more || update->upcalls_count > 0 || update->writes_count > 0;
    if (update->busy)
        nx_core_wake(core);
    update->wake_at = nx_core_next_turn(core, now);
}
