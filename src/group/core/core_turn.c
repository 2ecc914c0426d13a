/* One turn of a member:
 *
 *   1  begin     slots of ended queries are free, cancels leave
 *   2  listen    rows of the others: check and take what changed; what they wrote becomes readable
 *      judge     who was silent for too long is suspected
 *      change    if a member goes: wedge, agree on the next view
 *   3  settle    fill our places in the order, free windows, commit bulk messages
 *   4  lose      report members that are gone; close their streams
 *      install   the next view, once the old one is delivered up to the trim
 *   5  hand up   stable messages, bulk parts, query and reply parts; NX_UPCALLS_PER_STEP at most
 *   6  tell      our counters into our row
 *   7  push      payload, then the row that guards it, to every writable peer
 *
 * What a full update leaves over waits in the region for the next turn (`busy`). */
#include "group/core/core_state.h"
#include "group/multicast/mc_stability.h"

void nx_core_fail_self(struct nx_core *core, const char *why)
{
    core->down = NX_FATAL;
    core->down_why = why;
}

static uint64_t consumed_everywhere(const struct nx_core *core)
{
    /* Who is lost holds the window until the next view: what was posted to it may still be read from there. */
    nx_rankset takers = core->mc.peers;
    uint64_t least = takers ? nx_stability_frontier(core->consumed, takers) : core->bulk.out.head;
    /* Who was not there in the last view may be behind it for a moment. */
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
        nx_core_fail_self(core, why);
    if (!(mc->peers & ~core->table.here))
        core->bulk.keeps_slots = false;
    bool moved = nx_bulk_settle(&core->bulk, consumed_everywhere(core), everywhere);
    nx_mc_settle(mc);
    moved |= mc->received != core->received[core->self];
    core->received[core->self] = mc->received;
    return moved;
}

/* Receipts only free windows. They ride along with the next write to the peer (core_push.c), and
 * leave by themselves when a window fills or when nothing else went there for NX_RECEIPT_NS. */
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

/* What we hold is told at once only if a message may wait for it; that we hold the nulls behind it
 * can wait. */
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

nx_ns nx_core_next_turn(const struct nx_core *core, nx_ns now)
{
    const struct nx_suspect *suspect = &core->suspect;
    nx_ns at = nx_ns_least(core->receipts_at, nx_heart_next(&core->heart, suspect->reachable));
    at = nx_ns_least(at, nx_core_leave_due(core));
    if (!suspect->leaving || suspect->left)
        return at;
    nx_ns half = suspect->leave_until - NX_LEAVE_PATIENCE_NS / 2;
    return nx_ns_least(at, now < half ? half : suspect->leave_until);
}

static void report_down(struct nx_core *core, struct nx_update *update)
{
    if (core->down_told)
        return;
    core->down_told = true;
    update->upcalls_count = 0; /* out of the group: nothing of this turn counts any more */
    struct nx_upcall *upcall = nx_core_add_upcall(update, NX_UP_DOWN);
    upcall->status = core->down;
    upcall->why = core->down_why;
}

void nx_core_turn(struct nx_core *core, nx_ns now, const struct nx_event *event,
                  struct nx_update *update)
{
    if (!core->has_view)
        return;
    nx_heart_turn(&core->heart, now);
    core->held = event->hold;
    bool moved = core->down == NX_OK && nx_p2p_begin_turn(&core->p2p); /* 1 */
    moved |= core->down == NX_OK && nx_core_listen(core, now);         /* 2 */
    moved |= core->down == NX_OK && nx_core_judge(core, now);
    moved |= core->down == NX_OK && nx_core_change(core);
    moved |= core->down == NX_OK && settle(core); /* 3 */
    bool more = false;
    if (core->down == NX_OK) {
        nx_core_lose(core, update); /* 4 */
        moved |= nx_core_install(core, now, update);
        more = nx_core_hand_up(core, update); /* 5 */
    }
    if (core->down != NX_OK) {
        report_down(core, update);
        return;
    }
    tell_receipts(core, now); /* 6 */
    nx_core_hold_leave(core, now);
    nx_core_tell_change(core, now);
    nx_core_tell_heart(core, now);
    nx_core_push(core, event->writable, update); /* 7 */
    moved |= nx_core_turn_plans(core);
    bool wrote = update->writes_count > core->beats_posted;
    update->busy = moved || more || update->upcalls_count > 0 || wrote;
    if (wrote && nx_core_mutant(core, NX_MUTANT_BEATS_WHEN_IDLE))
        core->heart.beat_at = now + core->heart.timeout / NX_BEATS_PER_TIMEOUT;
    if (update->busy)
        nx_core_wake(core);
    update->wake_at = nx_core_next_turn(core, now);
    core->heart.due = nx_heart_next(&core->heart, core->suspect.reachable);
}
