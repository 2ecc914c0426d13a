/* Who writes bulk bytes to whom (mc_bulk.h, mc_tree.h): our own to our children, and, as a relay, another sender's to the
 * children that its plan gives us.
 *
 * What a relay passes on lies in its copy of the sender's ring, which the sender leaves alone until every member has taken
 * it. The word behind it (sst_layout.h: relay in) is sealed for the view, like the sender's own BULK_SENT. A relay
 * that is wedged passes nothing on: so whoever saw its WEDGED has all that it passed on in that
 * view, and what the sender writes itself after the install cannot be overtaken by it. */
#include "group/core/core_state.h"

#include "group/view/rankset.h"

static bool may_pass_on(const struct nx_core *core, nx_rank peer)
{
    return !core->change.wedged &&
           (core->table.here & core->suspect.alive & NX_RANK_BIT(peer)) != 0;
}

static void push_word(struct nx_core *core, struct nx_update *update, nx_rank peer, nx_rank sender)
{
    uint64_t at = nx_relay_out_offset(&core->shape, peer, sender);
    nx_guard_put((struct nx_guarded *)(void *)(core->region + at), core->relayed[sender][peer],
                 core->view.vid);
    nx_core_add_write(
        core, update,
        (struct nx_write){.peer = peer,
                          .inline_bytes = true,
                          .bytes = sizeof(struct nx_guarded),
                          .local_offset = at,
                          .remote_offset = nx_relay_in_offset(&core->shape, core->self, sender)});
}

static bool pass_on(struct nx_core *core, struct nx_update *update, nx_rank peer, nx_rank sender)
{
    const struct nx_intake *in = &core->bulk.in[sender];
    uint64_t ring = nx_bulk_ring_offset(&core->shape, sender);
    if (!(nx_bulk_children(&core->bulk, sender) & NX_RANK_BIT(peer)) ||
        core->relayed[sender][peer] == in->read)
        return false;
    struct nx_span span = {core->relayed[sender][peer], in->read, in->ring_bytes};
    nx_core_push_span(core, update, peer, span, ring, ring);
    core->relayed[sender][peer] = in->read;
    push_word(core, update, peer, sender);
    return true;
}

void nx_core_pass_on(struct nx_core *core, struct nx_update *update, nx_rank peer)
{
    if (!may_pass_on(core, peer))
        return;
    /* One sender at a time, in turns: the writes to a peer are bounded. */
    nx_rankset senders = core->relays_for & ~NX_RANK_BIT(peer);
    nx_rankset later = senders & ~(NX_RANK_BIT(core->pass_on_from[peer]) - 1);
    for (nx_rankset left = later ? later : senders; left;) {
        nx_rank sender = nx_rankset_take(&left);
        if (pass_on(core, update, peer, sender)) {
            core->pass_on_from[peer] = (sender + 1) % NX_MEMBERS_MAX;
            return;
        }
    }
    core->pass_on_from[peer] = 0;
}

/* Every child that we still write to has what we have to pass on of this sender. */
static bool all_have(const struct nx_core *core, nx_rank sender)
{
    bool own = sender == core->self;
    if (nx_core_mutant(core, NX_MUTANT_READS_PAST_PLAN))
        return true;
    for (nx_rankset left = nx_bulk_children(&core->bulk, sender) & core->suspect.alive; left;) {
        nx_rank peer = nx_rankset_take(&left);
        if (own ? core->bulk_posted[peer] != core->bulk.out.head
                : core->relayed[sender][peer] != core->bulk.in[sender].read)
            return false;
    }
    return true;
}

/* From here on its bytes count, for each of us, by the new plan. */
static void turn(struct nx_core *core, nx_rank sender)
{
    bool own = sender == core->self;
    uint64_t at = own ? core->bulk.out.head : core->bulk.in[sender].read;
    nx_bulk_turn(&core->bulk, sender);
    uint64_t *reached = own ? core->bulk_posted : core->relayed[sender];
    for (nx_rankset left = core->mc.peers; left;)
        reached[nx_rankset_take(&left)] = at;
    core->turned |= own ? 0 : NX_RANK_BIT(sender);
    nx_core_settle_relays(core);
}

bool nx_core_turn_plans(struct nx_core *core)
{
    bool moved = false;
    for (nx_rankset left = core->change.wedged ? 0 : core->bulk.turning; left;) {
        nx_rank sender = nx_rankset_take(&left);
        if (!all_have(core, sender))
            continue;
        turn(core, sender);
        moved = true;
    }
    return moved;
}

void nx_core_settle_relays(struct nx_core *core)
{
    core->relays_for = core->relayed_by_others = 0;
    for (nx_rankset left = core->mc.peers; left;) {
        nx_rank sender = nx_rankset_take(&left);
        if (nx_bulk_children(&core->bulk, sender))
            core->relays_for |= NX_RANK_BIT(sender);
        if (nx_bulk_parent(&core->bulk, sender) != sender)
            core->relayed_by_others |= NX_RANK_BIT(sender);
    }
}

/* How far sender's bytes are readable here, by the way that they come now. */
static uint64_t readable(const struct nx_core *core, nx_rank sender, nx_rank *by)
{
    uint64_t value = 0;
    *by = sender;
    if (!(core->relayed_by_others & NX_RANK_BIT(sender)))
        return nx_table_seen(&core->table, sender, NX_COL_BULK_SENT);
    *by = nx_bulk_parent(&core->bulk, sender);
    uint64_t at = nx_relay_in_offset(&core->shape, *by, sender);
    const struct nx_guarded *word = (const void *)(core->region + at);
    return nx_guard_get(word, core->view.vid, &value) ? value : 0;
}

/* Senders whose next bytes are looked for by name: those that others pass on, and those whose plan has just turned. */
static nx_rankset looked_for(const struct nx_core *core)
{
    return (core->relayed_by_others | core->turned) & core->suspect.alive &
           ~(core->bulk.turning | core->bulk.awaited);
}

bool nx_core_hear_relays(struct nx_core *core)
{
    bool moved = false;
    for (nx_rankset left = looked_for(core); left;) {
        nx_rank by, sender = nx_rankset_take(&left);
        uint64_t sent = readable(core, sender, &by);
        if (sent <= core->bulk.in[sender].sent)
            continue;
        const char *why = nx_bulk_receive(&core->bulk, sender, sent);
        if (why && (core->suspect.alive & NX_RANK_BIT(by)))
            nx_suspect_fail(&core->suspect, by, why);
        moved = true;
    }
    core->turned = 0;
    return moved;
}

bool nx_core_relays_have_news(const struct nx_core *core)
{
    for (nx_rankset left = looked_for(core); left;) {
        nx_rank by, sender = nx_rankset_take(&left);
        if (readable(core, sender, &by) > core->bulk.in[sender].sent)
            return true;
    }
    return false;
}
