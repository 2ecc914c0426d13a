/* What is on the members' disks, as epoch words: 0 nothing is said, 1 the view is in the member's note, n + 2 the view
 * is certain, and n places of the shard's order of this view (and all before it) are on its disk. */
#include "group/core/core_state.h"

#include "group/view/rankset.h"
#include <string.h>

enum { NOTED = 1, CERTAIN = 2 };

static bool is_kept(const struct nx_core *core)
{
    return core->mc.senders > 0 && core->config.spec.subgroups[core->mc.subgroup].persistent;
}

static uint64_t word_of(const struct nx_core *core, enum nx_note_state note, uint64_t places)
{
    if (note != NX_NOTE_CERTAIN)
        return note == NX_NOTE_WRITTEN ? NOTED : 0;
    uint64_t base = core->mc.base;
    return CERTAIN + (is_kept(core) && places > base ? places - base : 0);
}

/* "An acknowledgement: every member calls the view certain, and every member of the shard has the place on its disk", also
 * one whose state is still on its way: so its log is as good as any other's once it has begun.
 * Where the state is on nobody's way nothing is acknowledged, not even what came before the
 * view: those who are here skipped it, and the keepers may lack it. */
static void settle_durable(struct nx_core *core)
{
    if (!is_kept(core) || !(core->mc.set & ~core->view.stateless))
        return;
    bool alone = (core->config.mutants & NX_MUTANT_DURABLE_ALONE) != 0;
    bool uncertain = (core->config.mutants & NX_MUTANT_DURABLE_UNCERTAIN) != 0;
    uint64_t least = UINT64_MAX;
    for (nx_rankset left = nx_view_ranks(&core->view); left;) {
        nx_rank r = nx_rankset_take(&left);
        uint64_t word = core->durable_words[r];
        if ((alone && r != core->self) || (uncertain && word < CERTAIN))
            continue;
        if (word < CERTAIN)
            return;
        if (core->mc.set & NX_RANK_BIT(r))
            least = word - CERTAIN < least ? word - CERTAIN : least;
    }
    if (least == UINT64_MAX)
        return;
    nx_seq frontier = (nx_seq)(core->mc.base + least) - 1;
    core->durable = frontier > core->durable ? frontier : core->durable;
}

void nx_core_durable_here(struct nx_core *core, const struct nx_event *event,
                          struct nx_update *update)
{
    if (!core->has_view || event->vid != core->view.vid) {
        update->status = NX_AGAIN; /* of a view that is over, or not installed yet */
        return;
    }
    uint64_t word = word_of(core, event->note, event->places);
    if (word <= core->durable_words[core->self])
        return;
    core->durable_words[core->self] = word;
    nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_MC_PERSISTED, word);
    settle_durable(core);
    update->busy = true;
}

const char *nx_core_hear_durable(struct nx_core *core, nx_rank peer)
{
    uint64_t word = nx_table_seen(&core->table, peer, NX_COL_MC_PERSISTED);
    bool ours = (core->mc.peers & NX_RANK_BIT(peer)) != 0;
    /* What it keeps it has delivered, so we hold it; but the trim is without those who leave. Of another shard we
     * cannot tell. */
    if (ours && word > CERTAIN + core->received[core->self] && !core->change.wedged)
        return "it says it keeps messages that are not stable";
    core->durable_words[peer] = word;
    settle_durable(core);
    return NULL;
}

void nx_core_begin_durable(struct nx_core *core)
{
    memset(core->durable_words, 0, sizeof core->durable_words);
}

void nx_core_notes(const struct nx_core *core, bool *written, bool *certain)
{
    *written = core->has_view;
    *certain = false;
    if (!core->has_view)
        return;
    for (nx_rankset left = nx_view_ranks(&core->view); left;) {
        uint64_t word = core->durable_words[nx_rankset_take(&left)];
        *written &= word >= NOTED;
        *certain |= word >= CERTAIN;
    }
}

nx_rankset nx_core_without_note(const struct nx_core *core)
{
    nx_rankset without = 0;
    for (nx_rankset left = core->has_view ? nx_view_ranks(&core->view) : 0; left; left &= left - 1)
        if (core->durable_words[__builtin_ctzll(left)] < NOTED)
            without |= left & -left;
    return without;
}

nx_seq nx_core_durable(const struct nx_core *core, uint32_t subgroup)
{
    if (!core->has_view || subgroup != core->mc.subgroup || !is_kept(core))
        return NX_SEQ_NONE;
    return core->durable;
}
