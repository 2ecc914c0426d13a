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

/* Who had a shard goes on there as far as it has room, those with its state first: a node may
 * come back to a shard that others were given meanwhile. */
static nx_rankset find_places(const struct nx_dur_restart *restart,
                              const struct nx_group_spec *spec, const struct nx_view *view)
{
    uint32_t taken[NX_SUBGROUPS_MAX][NX_SHARDS_MAX] = {{0}};
    nx_rankset placed = 0;
    for (int with_state = 1; with_state >= 0; with_state--)
        for (nx_rank r = 0; r < view->members_count; r++) {
            const struct nx_dur_place *place = &restart->places[r];
            uint32_t g = view->members[r].subgroup, s = place->shard;
            if (place->has_state != with_state || s >= spec->subgroups[g].num_shards ||
                taken[g][s] >= spec->subgroups[g].max_nodes)
                continue;
            taken[g][s]++;
            placed |= NX_RANK_BIT(r);
        }
    return placed;
}

/* For the assignment, as if there had been a view before. */
static void place_members(const struct nx_dur_restart *restart, const struct nx_group_spec *spec,
                          struct nx_view *view)
{
    struct nx_view before;
    nx_rankset placed = find_places(restart, spec, view);
    for (nx_rank r = 0; r < view->members_count; r++) {
        bool has_place = placed >> r & 1;
        view->members[r].since = view->vid;
        view->members[r].shard = has_place ? restart->places[r].shard : NX_SHARD_NONE;
        if (has_place && !restart->places[r].has_state)
            view->stateless |= NX_RANK_BIT(r);
    }
    before = *view;
    before.vacant |= nx_view_ranks(view) & ~placed;
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
