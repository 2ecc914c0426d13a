/* Phases 4 and 5 of a turn: what goes up to the tiers, at most NX_UPCALLS_PER_STEP upcalls. Whatever
 * finds no room waits where it is: losses in mb_suspect, messages and parts in the region. */
#include "group/core/core_state.h"
#include "group/multicast/mc_deliver.h"
#include "group/multicast/mc_stability.h"

#include "group/view/rankset.h"

static bool has_room(const struct nx_update *update)
{
    return update->upcalls_count < NX_UPCALLS_PER_STEP;
}

struct nx_upcall *nx_core_add_upcall(struct nx_update *update, enum nx_upcall_type type)
{
    nx_assert(has_room(update));
    struct nx_upcall *upcall = &update->upcalls[update->upcalls_count++];
    upcall->type = type;
    return upcall;
}

/* --- 4: lose --- */

static void report_losses(struct nx_core *core, struct nx_update *update)
{
    nx_rank rank;
    bool clean;
    const char *why;
    while (has_room(update) && nx_suspect_next(&core->suspect, &rank, &clean, &why)) {
        struct nx_upcall *upcall = nx_core_add_upcall(update, NX_UP_MEMBER_DOWN);
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
    part.stream = nx_bulk_orphan(&core->bulk, rank, (core->vacated & NX_RANK_BIT(rank)) != 0);
    if (part.stream) {
        nx_core_add_upcall(update, NX_UP_BULK_ABORTED)->part = part;
        return true;
    }
    enum nx_p2p_got got = nx_p2p_orphan(&core->p2p, rank, &part, &cookie);
    if (got == NX_P2P_NONE)
        return false;
    struct nx_upcall *upcall = nx_core_add_upcall(
        update, got == NX_P2P_QUERY_GONE ? NX_UP_QUERY_GONE : NX_UP_QUERY_FAILED);
    upcall->part = part;
    upcall->cookie = cookie;
    upcall->status = NX_PEER_DOWN;
    return true;
}

static void close_streams(struct nx_core *core, struct nx_update *update)
{
    for (nx_rankset left = core->orphaning; left && has_room(update);) {
        nx_rank rank = nx_rankset_first(left);
        if (!close_stream(core, rank, update)) {
            left &= ~NX_RANK_BIT(rank);
            core->orphaning &= ~NX_RANK_BIT(rank);
            core->vacated &= ~NX_RANK_BIT(rank);
        }
    }
}

/* One bulk stream that a cut has ended, ours or a peer's; 0: none of this member is left. */
static nx_stream ended_stream(struct nx_core *core, nx_rank rank)
{
    return rank == core->self ? nx_bulk_next_lost(&core->bulk)
                              : nx_bulk_orphan(&core->bulk, rank, true);
}

static void end_bulks(struct nx_core *core, struct nx_update *update)
{
    for (nx_rankset left = core->ending; left && has_room(update);) {
        nx_rank rank = nx_rankset_first(left);
        struct nx_part part = {.peer = rank, .stream = ended_stream(core, rank)};
        if (part.stream) {
            nx_core_add_upcall(update, NX_UP_BULK_ABORTED)->part = part;
        } else {
            left &= ~NX_RANK_BIT(rank);
            core->ending &= ~NX_RANK_BIT(rank);
        }
    }
}

void nx_core_lose(struct nx_core *core, struct nx_update *update)
{
    report_losses(core, update);
    close_streams(core, update);
    end_bulks(core, update);
    nx_core_take_bases(core);
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
        nx_core_fail_self(core, "our own multicast ring was overwritten");
    else if (core->mc.trimming)
        nx_core_fail_self(core, "a message that the view must end with was overwritten");
    else
        nx_suspect_fail(&core->suspect, sender, why);
}

static uint64_t frontier_of(const struct nx_core *core)
{
    if (core->mc.trimming)
        return nx_core_trim(core);
    return nx_core_mutant(core, NX_MUTANT_DELIVER_AT_RECEIVED)
               ? core->mc.received
               : nx_stability_frontier(core->received, core->mc.set);
}

/* "A member that lacks the state skips what the view ends with": it is in the state that it will get. */
static void skip(const struct nx_delivery *delivery, struct nx_update *update)
{
    if (delivery->bulk)
        nx_core_add_upcall(update, NX_UP_BULK_ABORTED)->part =
            (struct nx_part){.peer = delivery->sender, .stream = delivery->bulk};
}

/* True if there may be more. */
static bool deliver_messages(struct nx_core *core, struct nx_update *update)
{
    struct nx_mc *mc = &core->mc;
    if (mc->senders == 0 || (mc->wedged && !mc->trimming) || mc->delivered == mc->received ||
        ((!core->has_state || core->held) && !mc->trimming))
        return false;
    uint64_t frontier = frontier_of(core);
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
        if (!core->has_state) {
            skip(&delivery, update);
            continue;
        }
        nx_core_add_upcall(update, NX_UP_DELIVER)->delivery = delivery;
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
            nx_core_add_upcall(update, got == NX_BULK_PART ? NX_UP_BULK_PART : NX_UP_BULK_ABORTED);
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
        struct nx_upcall *upcall = nx_core_add_upcall(update, p2p_upcalls[got]);
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
        if ((core->bulk.unread & NX_RANK_BIT(peer)) && !core->held)
            take_bulk(core, peer, update);
    }
}

/* True if something is left for the next turn. Every other turn begins with the streams, so that
 * neither a flood of messages nor one of queries shuts the other out. */
bool nx_core_hand_up(struct nx_core *core, struct nx_update *update)
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
    return more || core->p2p.unread || (core->bulk.unread && !core->held) || core->orphaning ||
           core->ending || core->suspect.unreported;
}
