/* The view with which a group begins, anew or where its disks say that it ended. */
#include "group/durable/dur_restart.h"

#include <string.h>

uint32_t nx_dur_persistent(const struct nx_group_spec *spec)
{
    uint32_t set = 0;
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        set |= spec->subgroups[g].persistent ? 1u << g : 0;
    return set;
}

/* Who had a shard goes on there: for the assignment, as if there had been a view before. */
static void place_members(const struct nx_dur_restart *restart, const struct nx_group_spec *spec,
                          struct nx_view *view)
{
    struct nx_view before;
    for (nx_rank r = 0; r < view->members_count; r++) {
        const struct nx_dur_place *place = &restart->places[r];
        view->members[r].since = view->vid;
        view->members[r].shard = place->shard == NX_DUR_NO_SHARD ? NX_SHARD_NONE : place->shard;
        if (place->shard != NX_DUR_NO_SHARD && !place->has_state)
            view->stateless |= NX_RANK_BIT(r);
    }
    before = *view;
    for (nx_rank r = 0; r < view->members_count; r++)
        if (view->members[r].shard == NX_SHARD_NONE)
            before.vacant |= NX_RANK_BIT(r);
    (void)nx_view_assign(&before, spec, view);
}

void nx_dur_restart_view(const struct nx_dur_restart *restart, const struct nx_group_spec *spec,
                         uint32_t drawn, struct nx_view *view)
{
    view->vid = 1;
    if (nx_dur_persistent(spec) != 0) {
        view->incarnation = drawn | 1;
        view->begun = 1;
    }
    if (restart->verdict != NX_DUR_START) {
        (void)nx_view_assign(NULL, spec, view); /* nothing is lost with a first view */
        return;
    }
    view->vid = view->begun = restart->vid;
    memcpy(view->group_id, restart->group_id, sizeof view->group_id);
    memcpy(view->base, restart->base, sizeof view->base);
    place_members(restart, spec, view);
}
