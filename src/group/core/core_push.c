#include "group/core/core_state.h"

enum { SLEEP_BIT = 1u << NX_COL_SLEEP, BEAT_BIT = 1u << NX_COL_HEARTBEAT };

void nx_core_add_write(struct nx_core *core, struct nx_update *update, struct nx_write write)
{
    nx_assert(update->writes_count < NX_MEMBERS_MAX * NX_WRITES_PER_PEER);
    update->writes[update->writes_count++] = write;
    core->stats.writes++;
    core->stats.write_bytes += write.bytes;
}

void nx_core_push_span(struct nx_core *core, struct nx_update *update, nx_rank peer,
                       struct nx_span span, uint64_t local, uint64_t remote)
{
    for (uint64_t from = span.from; from < span.to;) {
        uint64_t at = from & (span.ring_bytes - 1);
        uint64_t rest = span.ring_bytes - at;
        uint64_t bytes = span.to - from < rest ? span.to - from : rest;
        nx_core_add_write(core, update,
                          (struct nx_write){.peer = peer,
                                            .bytes = (uint32_t)bytes,
                                            .local_offset = local + at,
                                            .remote_offset = remote + at});
        from += bytes;
    }
}

/* Posts window bytes [*posted, head) to the peer. True if there were any. */
static bool push_window(struct nx_core *core, struct nx_update *update, nx_rank peer,
                        const struct nx_window *window, uint64_t *posted, uint64_t local,
                        uint64_t remote)
{
    /* Only a peer that claims to have what it was not sent is behind `freed`; it gets what is left.
     */
    uint64_t from = *posted > window->freed ? *posted : window->freed;
    if (from == window->head)
        return false;
    nx_core_push_span(core, update, peer, (struct nx_span){from, window->head, window->ring_bytes},
                      local, remote);
    *posted = window->head;
    return true;
}

static void push_payload(struct nx_core *core, struct nx_update *update, nx_rank peer)
{
    const struct nx_region_shape *shape = &core->shape;
    if (core->mc.peers & NX_RANK_BIT(peer)) {
        uint64_t mc = nx_mc_ring_offset(shape, core->self);
        if (!core->mc.wedged && (core->table.here & NX_RANK_BIT(peer)) &&
            push_window(core, update, peer, &core->mc.out, &core->mc_posted[peer], mc, mc))
            nx_table_tell(&core->table, peer, NX_COL_MC_SENT, core->mc.out.head);
        uint64_t bulk = nx_bulk_ring_offset(shape, core->self);
        nx_rankset takers =
            nx_bulk_children(&core->bulk, core->self) & core->table.here & core->suspect.alive;
        if ((takers & NX_RANK_BIT(peer)) &&
            push_window(core, update, peer, &core->bulk.out, &core->bulk_posted[peer], bulk, bulk))
            nx_table_tell(&core->table, peer, NX_COL_BULK_SENT, core->bulk.out.head);
        if (core->relays_for)
            nx_core_pass_on(core, update, peer);
    }
    if (push_window(core, update, peer, &core->p2p.out[peer], &core->p2p_posted[peer],
                    nx_p2p_out_offset(shape, peer), nx_p2p_in_offset(shape, core->self)))
        nx_table_tell(&core->table, peer, NX_COL_P2P_SENT, core->p2p.out[peer].head);
}

/* One block of our row for the peer, as one inline write: after the payload that it guards. */
static void push_row(struct nx_core *core, struct nx_update *update, nx_rank peer,
                     enum nx_row_block block)
{
    struct nx_row_range range = nx_table_push(&core->table, peer, block);
    if (range.bytes)
        nx_core_add_write(
            core, update,
            (struct nx_write){.peer = peer,
                              .inline_bytes = true,
                              .bytes = range.bytes,
                              .local_offset = nx_row_out_offset(&core->shape, peer) + range.offset,
                              .remote_offset =
                                  nx_row_in_offset(&core->shape, core->self) + range.offset});
}

/* The peer's last write wakes it if it said that it sleeps; if it did not say so, it may be about
 * to. */
static void ring_peer(struct nx_core *core, struct nx_update *update, nx_rank peer)
{
    if (core->config.caps.wakes_on_plain_write)
        return;
    core->ring &= ~NX_RANK_BIT(peer);
    /* A leaver that is out of the next view is not listened to any more: it may fall asleep unheard. */
    bool parts = (core->change.decided & NX_RANK_BIT(peer)) != 0;
    /* Nor does one say so to a joiner before it is in its view. */
    parts |= core->began_among_others && !(core->table.here & NX_RANK_BIT(peer));
    if (!parts && nx_table_seen(&core->table, peer, NX_COL_SLEEP) % 2 == 0) {
        core->unrung |= NX_RANK_BIT(peer);
        return;
    }
    core->unrung &= ~NX_RANK_BIT(peer);
    update->writes[update->writes_count - 1].doorbell = true;
    core->stats.doorbells++;
}

/* A mutant: the guard goes first. */
static void put_last_first(struct nx_update *update, uint32_t from)
{
    if (update->writes_count == from)
        return;
    struct nx_write last = update->writes[update->writes_count - 1];
    for (uint32_t i = update->writes_count - 1; i > from; i--)
        update->writes[i] = update->writes[i - 1];
    update->writes[from] = last;
}

void nx_core_tell_receipts(struct nx_core *core, nx_rank peer)
{
    nx_table_tell(&core->table, peer, NX_COL_P2P_CONSUMED, core->p2p.in[peer].read);
    if (core->mc.peers & NX_RANK_BIT(peer)) {
        nx_table_tell(&core->table, peer, NX_COL_MC_RECEIVED, core->mc.received);
        nx_table_tell(&core->table, peer, NX_COL_MC_DELIVERED, core->mc.delivered);
    }
    core->owing &= ~NX_RANK_BIT(peer);
}

/* A beat alone wakes a peer that we know to sleep, but is nothing that one who falls asleep must not miss. */
static void push_beat(struct nx_core *core, struct nx_update *update, nx_rank peer)
{
    push_row(core, update, peer, NX_BLOCK_STEADY);
    core->beats_posted++;
    if (core->config.caps.wakes_on_plain_write ||
        nx_table_seen(&core->table, peer, NX_COL_SLEEP) % 2 == 0)
        return;
    update->writes[update->writes_count - 1].doorbell = true;
    core->stats.doorbells++;
}

static void push_peer(struct nx_core *core, struct nx_update *update, nx_rank peer)
{
    uint32_t before = update->writes_count;
    push_payload(core, update, peer);
    bool wanted = update->writes_count > before || (core->ring & NX_RANK_BIT(peer)) ||
                  (nx_table_due(&core->table, peer) & ~(uint32_t)SLEEP_BIT);
    if (!wanted)
        return;
    uint32_t due = nx_table_due(&core->table, peer) & ~(uint32_t)SLEEP_BIT;
    if (update->writes_count == before && due == BEAT_BIT && !(core->ring & NX_RANK_BIT(peer))) {
        push_beat(core, update, peer);
        return;
    }
    nx_core_tell_receipts(core, peer);
    if (core->ring & NX_RANK_BIT(peer))
        /* something must be written for the bell to ride on */
        core->table.dirty[peer] |= SLEEP_BIT;
    push_row(core, update, peer, NX_BLOCK_HOT);
    if (nx_core_mutant(core, NX_MUTANT_GUARD_BEFORE_PAYLOAD))
        put_last_first(update, before);
    push_row(core, update, peer, NX_BLOCK_SLOW);
    push_row(core, update, peer, NX_BLOCK_STEADY);
    nx_assert(update->writes_count - before <= NX_WRITES_PER_PEER);
    ring_peer(core, update, peer);
}

/* A failed member may be alive and merely unheard: the last that it hears of us is that it is out.
 */
static void push_farewells(struct nx_core *core, nx_rankset writable, struct nx_update *update)
{
    for (nx_rankset left = writable & core->suspect.untold; left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        nx_table_tell(&core->table, peer, NX_COL_INSTALLED, NX_FAREWELL);
        push_row(core, update, peer, NX_BLOCK_SLOW);
        update->writes[update->writes_count - 1].doorbell = !core->config.caps.wakes_on_plain_write;
    }
    core->suspect.untold &= ~writable;
}

void nx_core_push(struct nx_core *core, nx_rankset writable, struct nx_update *update)
{
    core->beats_posted = 0;
    push_farewells(core, writable, update);
    for (nx_rankset left = writable & nx_core_others(core); left; left &= left - 1)
        push_peer(core, update, (nx_rank)__builtin_ctzll(left));
}

/* Our good night to a peer. It rings if our last write may have landed after the peer's last look:
 * its own good night may be on its way to us, and nobody would be left awake to ring. */
static void say_good_night(struct nx_core *core, struct nx_update *update, nx_rank peer)
{
    bool rings = core->unrung & NX_RANK_BIT(peer);
    nx_table_tell(&core->table, peer, NX_COL_SLEEP, core->sleep_epoch);
    if (rings)
        /* it knows that we sleep, but the bell needs a write */
        core->table.dirty[peer] |= SLEEP_BIT;
    push_row(core, update, peer, NX_BLOCK_HOT);
    if (rings) {
        update->writes[update->writes_count - 1].doorbell = true;
        core->stats.doorbells++;
    }
}

/* Who has not heard us for long, or not been heard, does not keep us awake, however long its link stands still: it gets its
 * good night when it takes writes again, and what it writes before is found at our next beat. */
static nx_rankset lost_touch(const struct nx_core *core)
{
    return core->heart.links[core->self].broken;
}

void nx_core_sleep(struct nx_core *core, nx_ns now, nx_rankset writable, struct nx_update *update)
{
    if (!core->has_view || core->down != NX_OK)
        return;
    update->wake_at = nx_core_next_turn(core, now);
    if (core->config.caps.wakes_on_plain_write)
        return;
    nx_rankset others = nx_core_others(core);
    if (others & ~writable & ~lost_touch(core)) {
        update->status = NX_AGAIN; /* a peer that does not know cannot wake us */
        update->busy = true;
        return;
    }
    if (core->sleep_epoch % 2 == 0) {
        core->sleep_epoch++;
        core->untold_night = others;
    } /* else woken for nothing: whoever writes to us rings still */
    nx_rankset told = core->untold_night & others & writable;
    for (nx_rankset left = told; left; left &= left - 1)
        say_good_night(core, update, (nx_rank)__builtin_ctzll(left));
    core->unrung &= ~told;
    core->untold_night &= ~told;
}

void nx_core_wake(struct nx_core *core)
{
    if (core->sleep_epoch % 2 == 0)
        return;
    core->sleep_epoch++;
    nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_SLEEP, core->sleep_epoch);
}
