/* Phase 2 of a turn: what the others' rows say. Every claim is checked before it counts; a member
 * that makes an impossible one is treated as failed, for a reason that names the claim. */
#include "group/core/core_state.h"
#include "group/multicast/mc_order.h"

#include "group/view/rankset.h"

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
    /* It delivers what is stable, so what we hold, too; but the trim is without those who leave. */
    if (delivered > core->received[core->self] && !core->change.wedged)
        return "it says it delivered messages that are not stable";
    core->delivered[peer] = delivered;
    return NULL;
}

static const char *hear_consumed(struct nx_core *core, nx_rank peer)
{
    uint64_t consumed = nx_table_seen(&core->table, peer, NX_COL_BULK_CONSUMED);
    if (consumed > core->bulk.out.head)
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
    nx_rankset otherwise = core->relayed_by_others | core->bulk.turning;
    if (!why && (changed & 1u << NX_COL_BULK_SENT) && !(otherwise & NX_RANK_BIT(peer)))
        why =
            nx_bulk_receive(&core->bulk, peer, nx_table_seen(&core->table, peer, NX_COL_BULK_SENT));
    if (!why && changed & 1u << NX_COL_BULK_CONSUMED)
        why = hear_consumed(core, peer);
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

static void hear_sleep(struct nx_core *core, nx_rank peer)
{
    bool asleep = nx_table_seen(&core->table, peer, NX_COL_SLEEP) % 2 == 1;
    if (asleep && (core->unrung & NX_RANK_BIT(peer)))
        core->ring |= NX_RANK_BIT(peer);
}

static void listen_to(struct nx_core *core, nx_rank peer, nx_ns now, bool *moved)
{
    uint32_t lawless;
    uint32_t changed = nx_table_scan(&core->table, peer, &lawless);
    const char *why = lawless ? "its row went back" : NULL;
    if (!changed && !why)
        return;
    /* That a peer fell asleep is no reason to stay awake, or two would keep each other up with
     * their good nights; nor is a beat of its heart. */
    *moved |= why || (changed & ~(1u << NX_COL_SLEEP | 1u << NX_COL_HEARTBEAT));
    if (changed)
        nx_core_hear_heart(core, peer, changed, now);
    /* Of a member that left, only what it says of the membership counts still: its streams are
     * closed. */
    bool alive =
        (core->suspect.alive & NX_RANK_BIT(peer)) != 0 ||
        (nx_core_mutant(core, NX_MUTANT_EVICTED_WRITES) && (core->view.vacant & NX_RANK_BIT(peer)));
    if (!why && alive && (core->mc.peers & NX_RANK_BIT(peer)))
        why = hear_shard(core, peer, changed);
    if (!why && alive)
        why = hear_p2p(core, peer, changed);
    if (!why && alive && changed & 1u << NX_COL_MC_PERSISTED)
        why = nx_core_hear_durable(core, peer);
    if (why) {
        nx_suspect_fail(&core->suspect, peer, why);
        return;
    }
    if (changed & 1u << NX_COL_SLEEP)
        hear_sleep(core, peer);
    nx_core_hear_change(core, peer, changed);
}

/* The members whose rows count. A mutant reads on whoever is out. */
static nx_rankset heard(const struct nx_core *core)
{
    if (nx_core_mutant(core, NX_MUTANT_EVICTED_WRITES))
        return nx_core_others(core) | core->view.vacant;
    return nx_core_others(core);
}

void nx_core_last_look(struct nx_core *core, nx_rank peer)
{
    uint32_t lawless;
    if (!(nx_core_others(core) & NX_RANK_BIT(peer)))
        return;
    (void)nx_table_scan(&core->table, peer, &lawless);
    if (nx_table_seen(&core->table, peer, NX_COL_INSTALLED) == NX_FAREWELL)
        core->suspect.fenced = true;
}

bool nx_core_listen(struct nx_core *core, nx_ns now)
{
    bool moved = false;
    for (nx_rankset left = heard(core); left;)
        listen_to(core, nx_rankset_take(&left), now, &moved);
    moved |= nx_core_hear_relays(core);
    return nx_core_feed_shard(core) || moved;
}
