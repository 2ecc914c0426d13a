#include "group/view/view.h"

#include "common/nx_assert.h"

#include <string.h>

static void add_member(struct nx_shard *shard, nx_rank rank)
{
    nx_assert(shard->members_count < NX_MEMBERS_MAX);
    shard->members[shard->members_count++] = rank;
    shard->set |= NX_RANK_BIT(rank);
}

/* The shard that the next member of a subgroup serves in: the first below min_nodes, else the
 * smallest below max_nodes, else none (a spare). */
static struct nx_shard *next_shard(struct nx_shard *shards, const struct nx_subgroup_spec *sub)
{
    struct nx_shard *smallest = NULL;
    for (uint32_t s = 0; s < sub->num_shards; s++) {
        if (shards[s].members_count < sub->min_nodes)
            return &shards[s];
        if (shards[s].members_count < sub->max_nodes &&
            (!smallest || shards[s].members_count < smallest->members_count))
            smallest = &shards[s];
    }
    return smallest;
}

static void begin_layout(const struct nx_group_spec *spec, struct nx_layout *layout)
{
    memset(layout, 0, sizeof *layout);
    layout->subgroups_count = spec->subgroups_count;
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        layout->shards_count[g] = spec->subgroups[g].num_shards;
}

static void judge_shards(const struct nx_group_spec *spec, struct nx_layout *layout)
{
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        for (uint32_t s = 0; s < layout->shards_count[g]; s++)
            layout->shards[g][s].adequate =
                layout->shards[g][s].members_count >= spec->subgroups[g].min_nodes;
}

void nx_layout_compute(const struct nx_view *view, const struct nx_group_spec *spec,
                       struct nx_layout *layout)
{
    begin_layout(spec, layout);
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        uint32_t g = view->members[r].subgroup;
        nx_assert(g < spec->subgroups_count);
        struct nx_shard *shard = next_shard(layout->shards[g], &spec->subgroups[g]);
        if (shard)
            add_member(shard, r);
    }
    judge_shards(spec, layout);
}

void nx_layout_keep(const struct nx_layout *previous, const struct nx_view *view,
                    const struct nx_group_spec *spec, struct nx_layout *layout)
{
    nx_assert(previous != layout);
    begin_layout(spec, layout);
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        for (uint32_t s = 0; s < layout->shards_count[g]; s++)
            for (nx_rankset left = previous->shards[g][s].set & nx_view_ranks(view); left;
                 left &= left - 1)
                add_member(&layout->shards[g][s], (nx_rank)__builtin_ctzll(left));
    judge_shards(spec, layout);
}

bool nx_layout_shard_of(const struct nx_layout *layout, uint32_t subgroup, nx_rank rank,
                        uint32_t *shard)
{
    if (subgroup >= layout->subgroups_count || rank >= NX_MEMBERS_MAX)
        return false;
    for (uint32_t s = 0; s < layout->shards_count[subgroup]; s++) {
        if (layout->shards[subgroup][s].set & NX_RANK_BIT(rank)) {
            *shard = s;
            return true;
        }
    }
    return false;
}
