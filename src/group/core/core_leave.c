/* A leave, until it is announced (docs/view-change.md §7): for whom it is held back, and for how long. */
#include "group/core/core_state.h"
#include "group/membership/mb_leave.h"

static nx_rankset awaits(const struct nx_core *core, nx_ns now)
{
    /* Without a majority no member that is given the state could be counted on: nothing is waited for. */
    if (!core->wants_out || now >= core->held_until ||
        nx_core_change_state(core) == NX_CHANGE_BLOCKED ||
        nx_core_mutant(core, NX_MUTANT_LEAVES_WITH_STATE))
        return 0;
    return nx_leave_awaits(&(struct nx_leave_facts){.self = core->self,
                                                    .shard = core->mc.set,
                                                    .alive = core->suspect.alive,
                                                    .with_state = core->with_state,
                                                    .parting = core->parting,
                                                    .aware = core->aware});
}

/* While a view changes it is not known who will need us; as long as a leaver waits for its own messages at most. */
static nx_ns undecided_until(const struct nx_core *core)
{
    enum nx_change_state state = nx_core_change_state(core);
    bool steady = state == NX_CHANGE_STEADY || state == NX_CHANGE_BLOCKED;
    return steady ? 0 : core->leave_from + NX_LEAVE_PATIENCE_NS / 2;
}

void nx_core_hold_leave(struct nx_core *core, nx_ns now)
{
    struct nx_suspect *suspect = &core->suspect;
    if (!core->wants_out || core->announced)
        return;
    core->awaited = awaits(core, now);
    if (core->awaited)
        core->leave_from = now;
    core->undecided = !core->awaited && now < undecided_until(core);
    if (!core->leave_asked || core->undecided)
        return;
    if (suspect->leaving) /* a view has brought somebody before it was announced */
        suspect->leave_until = core->leave_from + NX_LEAVE_PATIENCE_NS;
    else if (!core->awaited)
        nx_suspect_leave(suspect, core->leave_from);
}

nx_ns nx_core_leave_due(const struct nx_core *core)
{
    if (!core->wants_out || core->announced)
        return NX_NEVER;
    if (core->awaited)
        return core->held_until;
    return core->undecided ? core->leave_from + NX_LEAVE_PATIENCE_NS / 2 : NX_NEVER;
}

void nx_core_want_out(struct nx_core *core, nx_ns now, const struct nx_event *event)
{
    if (!core->wants_out) {
        core->held_until = now + core->config.leave_held_ns;
        core->leave_from = now;
        core->parting |= NX_RANK_BIT(core->self);
    }
    core->wants_out = true;
    core->leave_asked |= event->type == NX_EV_LEAVE;
    if (event->anyway)
        core->held_until = now;
    nx_core_hold_leave(core, now);
}

void nx_core_hear_parting(struct nx_core *core, nx_rank peer)
{
    nx_rankset parting = nx_table_seen(&core->table, peer, NX_COL_PARTING);
    core->parting |= parting & nx_view_ranks(&core->view) & ~NX_RANK_BIT(core->self);
    if (parting & NX_RANK_BIT(core->self))
        core->aware |= NX_RANK_BIT(peer);
}

/* Only where somebody lacks the state does it matter who goes. */
void nx_core_tell_parting(struct nx_core *core)
{
    nx_rankset parting = core->parting & core->mc.set;
    if (parting && (core->mc.set & ~core->with_state))
        nx_table_tell_all(&core->table, core->mc.set & nx_core_others(core), NX_COL_PARTING,
                          parting);
}

void nx_core_begin_parting(struct nx_core *core, nx_rankset stayed)
{
    core->parting &= stayed;
    core->aware = 0;
}
