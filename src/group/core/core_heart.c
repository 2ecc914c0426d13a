/* Heartbeats as part of a turn (docs/view-change.md §8): who was silent for too long goes; our own heart beats. */
#include "group/core/core_state.h"

#include "group/view/rankset.h"

void nx_core_hear_heart(struct nx_core *core, nx_rank peer, uint32_t changed, nx_ns now)
{
    nx_heart_hear(&core->heart, peer, (changed & 1u << NX_COL_HEARTBEAT) != 0, now);
    if (changed & 1u << NX_COL_LINKS)
        nx_heart_hear_links(&core->heart, peer, nx_table_seen(&core->table, peer, NX_COL_LINKS));
}

/* A mutant: whoever finds a member silent suspects it, and so all do. */
static nx_rankset condemned(struct nx_core *core, nx_ns now)
{
    nx_rankset out = nx_heart_judge(&core->heart, core->suspect.reachable, now);
    if (nx_core_mutant(core, NX_MUTANT_EVERYBODY_JUDGES))
        return core->suspect.reachable & core->heart.links[core->self].unheard;
    return out;
}

bool nx_core_judge(struct nx_core *core, nx_ns now)
{
    bool was_isolated = core->heart.isolated;
    nx_rankset out = condemned(core, now);
    for (nx_rankset left = out; left;) {
        nx_rank rank = nx_rankset_take(&left);
        bool unheard = core->heart.links[core->self].unheard >> rank & 1;
        nx_suspect_fail(&core->suspect, rank,
                        unheard ? "it was silent for longer than the timeout"
                                : "it and another member do not hear one another");
    }
    return out != 0 || was_isolated != core->heart.isolated;
}

void nx_core_tell_heart(struct nx_core *core, nx_ns now)
{
    if (core->heart.timeout == 0)
        return;
    nx_rankset others = nx_core_others(core);
    nx_table_tell_all(&core->table, others, NX_COL_LINKS, nx_heart_links(&core->heart));
    if (!nx_heart_beat(&core->heart, now) ||
        (core->change.wedged && nx_core_mutant(core, NX_MUTANT_WEDGED_HEART_STOPS)))
        return;
    nx_table_tell_all(&core->table, others, NX_COL_HEARTBEAT, core->heart.beats);
}
