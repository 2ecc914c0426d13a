#include "group/view/view.h"

#include <string.h>

nx_rank nx_view_rank_of(const struct nx_view *view, nx_node node)
{
    for (nx_rank r = 0; r < view->members_count; r++)
        if (!(view->vacant & NX_RANK_BIT(r)) && view->members[r].node == node)
            return r;
    return NX_RANK_NONE;
}

static enum nx_status check_member(const struct nx_view *view, nx_rank rank,
                                   const struct nx_group_spec *spec, struct nx_err *err)
{
    const struct nx_member *member = &view->members[rank];
    if (member->subgroup >= spec->subgroups_count)
        return nx_err_set(err, NX_INVALID, "node %u names subgroup %u of %u", member->node,
                          member->subgroup, spec->subgroups_count);
    uint32_t shards = spec->subgroups[member->subgroup].num_shards;
    if (member->shard >= shards && member->shard != NX_SHARD_NONE)
        return nx_err_set(err, NX_INVALID, "node %u stands in shard %u of %u", member->node,
                          member->shard, shards);
    if (member->since > view->vid)
        return nx_err_set(err, NX_INVALID, "node %u came in a later view", member->node);
    if (nx_view_rank_of(view, member->node) != rank)
        return nx_err_set(err, NX_EXISTS, "node %u stands twice in the view", member->node);
    return NX_OK;
}

enum nx_status nx_view_check(const struct nx_view *view, uint32_t members_max,
                             const struct nx_group_spec *spec, struct nx_err *err)
{
    if (view->members_count == 0 || view->members_count > members_max)
        return nx_err_set(err, NX_INVALID, "a view of %u members; expected 1 to %u",
                          view->members_count, members_max);
    if (nx_view_ranks(view) == 0)
        return nx_err_set(err, NX_INVALID, "a view without members");
    if (view->stateless & ~nx_view_ranks(view))
        return nx_err_set(err, NX_INVALID,
                          "a view in which those lack the state that are not there");
    if (view->keepers_count > NX_KEEPERS_MAX)
        return nx_err_set(err, NX_INVALID, "a view of %u keepers; expected at most %d",
                          view->keepers_count, NX_KEEPERS_MAX);
    for (nx_rank r = 0; r < view->members_count; r++)
        if (!(view->vacant & NX_RANK_BIT(r)))
            NX_TRY(check_member(view, r, spec, err));
    return NX_OK;
}

static bool same_name(const char *a, const char *b)
{
    for (unsigned i = 0; i < NX_SUBGROUP_NAME_BYTES; i++) {
        if (a[i] != b[i])
            return false;
        if (a[i] == '\0')
            return true;
    }
    return true;
}

uint32_t nx_spec_find(const struct nx_group_spec *spec, const char *name)
{
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        if (same_name(spec->subgroups[g].name, name))
            return g;
    return NX_SUBGROUPS_MAX;
}

static enum nx_status check_subgroup(const struct nx_subgroup_spec *sub, struct nx_err *err)
{
    if (sub->num_shards == 0 || sub->num_shards > NX_SHARDS_MAX)
        return nx_err_set(err, NX_INVALID, "subgroup %s: num_shards is %u; expected 1 to %d",
                          sub->name, sub->num_shards, NX_SHARDS_MAX);
    if (sub->min_nodes == 0 || sub->min_nodes > NX_MEMBERS_MAX)
        return nx_err_set(err, NX_INVALID, "subgroup %s: min_nodes is %u; expected 1 to %d",
                          sub->name, sub->min_nodes, NX_MEMBERS_MAX);
    if (sub->max_nodes < sub->min_nodes)
        return nx_err_set(err, NX_INVALID, "subgroup %s: max_nodes is %u, below min_nodes %u",
                          sub->name, sub->max_nodes, sub->min_nodes);
    return NX_OK;
}

enum nx_status nx_spec_check(const struct nx_group_spec *spec, struct nx_err *err)
{
    if (spec->subgroups_count == 0 || spec->subgroups_count > NX_SUBGROUPS_MAX)
        return nx_err_set(err, NX_INVALID, "%u subgroups; expected 1 to %d", spec->subgroups_count,
                          NX_SUBGROUPS_MAX);
    for (uint32_t g = 0; g < spec->subgroups_count; g++) {
        const struct nx_subgroup_spec *sub = &spec->subgroups[g];
        if (sub->name[0] == '\0' || !memchr(sub->name, '\0', sizeof sub->name))
            return nx_err_set(err, NX_INVALID, "subgroup %u: its name must have 1 to %d bytes", g,
                              NX_SUBGROUP_NAME_BYTES - 1);
        if (nx_spec_find(spec, sub->name) != g)
            return nx_err_set(err, NX_EXISTS, "subgroup %s stands twice", sub->name);
        NX_TRY(check_subgroup(sub, err));
    }
    return NX_OK;
}
