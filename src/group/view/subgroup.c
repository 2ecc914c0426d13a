#include "group/view/view.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

#include <string.h>

static void add_member(struct nx_shard *shard, nx_rank rank)
{
    nx_assert(shard->members_count < NX_MEMBERS_MAX);
    shard->members[shard->members_count++] = rank;
    shard->set |= NX_RANK_BIT(rank);
}

static void judge_shard(struct nx_shard *shard, nx_rankset stateless, uint32_t min_nodes)
{
    nx_rankset have = shard->set & ~stateless;
    shard->stateless = shard->set & stateless;
    shard->donor = have ? nx_rankset_first(have) : NX_RANK_NONE;
    shard->adequate = (uint32_t)__builtin_popcountll(have) >= min_nodes;
}

void nx_layout_compute(const struct nx_view *view, const struct nx_group_spec *spec,
                       struct nx_layout *layout)
{
    memset(layout, 0, sizeof *layout);
    layout->subgroups_count = spec->subgroups_count;
    for (nx_rankset left = nx_view_ranks(view); left;) {
        nx_rank r = nx_rankset_take(&left);
        const struct nx_member *member = &view->members[r];
        nx_assert(member->subgroup < spec->subgroups_count);
        if (member->shard < spec->subgroups[member->subgroup].num_shards)
            add_member(&layout->shards[member->subgroup][member->shard], r);
    }
    for (uint32_t g = 0; g < spec->subgroups_count; g++) {
        layout->shards_count[g] = spec->subgroups[g].num_shards;
        for (uint32_t s = 0; s < layout->shards_count[g]; s++)
            judge_shard(&layout->shards[g][s], view->stateless, spec->subgroups[g].min_nodes);
    }
}

/* Who serves where, while shards are given out. */
struct seats {
    nx_rankset of[NX_SUBGROUPS_MAX][NX_SHARDS_MAX];
};

static uint32_t count_of(nx_rankset set)
{
    return (uint32_t)__builtin_popcountll(set);
}

/* The shard that the next member of a subgroup serves in: the first below min_nodes, else the
 * smallest below max_nodes, else none (a spare). */
static uint32_t next_shard(const nx_rankset *shards, const struct nx_subgroup_spec *sub)
{
    uint32_t smallest = NX_SHARD_NONE;
    for (uint32_t s = 0; s < sub->num_shards; s++) {
        if (count_of(shards[s]) < sub->min_nodes)
            return s;
        if (count_of(shards[s]) < sub->max_nodes &&
            (smallest == NX_SHARD_NONE || count_of(shards[s]) < count_of(shards[smallest])))
            smallest = s;
    }
    return smallest;
}

static bool goes_on(const struct nx_view *previous, const struct nx_view *next, nx_rank rank)
{
    return previous && (nx_view_ranks(previous) & NX_RANK_BIT(rank)) &&
           previous->members[rank].node == next->members[rank].node;
}

/* Each of `waiting`, in rank order, gets a shard if one has room, and lacks its state. */
static void give_shards(struct seats *seats, const struct nx_group_spec *spec, nx_rankset waiting,
                        struct nx_view *next)
{
    for (nx_rankset left = waiting; left;) {
        nx_rank r = nx_rankset_take(&left);
        struct nx_member *member = &next->members[r];
        nx_rankset *shards = seats->of[member->subgroup];
        member->shard = next_shard(shards, &spec->subgroups[member->subgroup]);
        if (member->shard == NX_SHARD_NONE)
            continue;
        shards[member->shard] |= NX_RANK_BIT(r);
        next->stateless |= NX_RANK_BIT(r);
    }
}

/* Who comes with its shard's log has the state, if nobody else does; the order goes on after
 * what that log holds. Returns who is left. */
static nx_rankset seat_keepers(struct seats *seats, const struct nx_group_spec *spec,
                               nx_rankset fresh, struct nx_view *next)
{
    nx_rankset others = fresh;
    for (nx_rankset left = fresh; left;) {
        nx_rank r = nx_rankset_take(&left);
        struct nx_member *m = &next->members[r];
        const struct nx_subgroup_spec *sub = &spec->subgroups[m->subgroup];
        uint64_t keeps = m->keeps;
        m->keeps = 0;
        if (keeps == 0 || !sub->persistent || m->shard >= sub->num_shards ||
            (seats->of[m->subgroup][m->shard] & ~next->stateless))
            continue;
        uint64_t *base = &next->base[m->subgroup][m->shard];
        *base = keeps - 1 > *base ? keeps - 1 : *base;
        seats->of[m->subgroup][m->shard] |= NX_RANK_BIT(r);
        others &= ~NX_RANK_BIT(r);
    }
    return others;
}

static void add_keeper(struct nx_view *next, const struct nx_keeper *keeper)
{
    if (next->keepers_count == NX_KEEPERS_MAX)
        return; /* its shard waits all the same, for the others */
    next->keepers[next->keepers_count++] = *keeper;
}

static bool had_state(const struct nx_view *view, uint32_t g, uint32_t s)
{
    for (nx_rankset left = nx_view_ranks(view) & ~view->stateless; left;) {
        const struct nx_member *m = &view->members[nx_rankset_take(&left)];
        if (m->subgroup == g && m->shard == s)
            return true;
    }
    return false;
}

/* "Whoever was there in the last view in which anybody had the state." The base says that there was one, even if nothing was
 * delivered before that view. */
static void keep_shard(const struct nx_view *previous, uint32_t g, uint32_t s, struct nx_view *next)
{
    if (!had_state(previous, g, s)) {
        for (uint32_t i = 0; i < previous->keepers_count; i++)
            if (previous->keepers[i].subgroup == g && previous->keepers[i].shard == s)
                add_keeper(next, &previous->keepers[i]);
        return;
    }
    if (next->base[g][s] == 0)
        next->base[g][s] = 1;
    for (nx_rankset left = nx_view_ranks(previous); left;) {
        nx_rank r = nx_rankset_take(&left);
        const struct nx_member *m = &previous->members[r];
        if (m->subgroup == g && m->shard == s)
            add_keeper(next, &(struct nx_keeper){.node = m->node,
                                                 .subgroup = g,
                                                 .shard = s,
                                                 .vid = previous->vid,
                                                 .late = previous->stateless >> r & 1});
    }
}

static void name_keepers(const struct seats *seats, const struct nx_view *previous,
                         const struct nx_group_spec *spec, struct nx_view *next)
{
    next->keepers_count = 0;
    memset(next->keepers, 0, sizeof next->keepers);
    for (uint32_t g = 0; previous && g < spec->subgroups_count; g++)
        for (uint32_t s = 0; spec->subgroups[g].persistent && s < spec->subgroups[g].num_shards;
             s++)
            if (!(seats->of[g][s] & ~next->stateless))
                keep_shard(previous, g, s, next);
}

/* "A shard in which nobody has the state begins with the empty one, unless its members keep it on disk." */
static nx_rankset begin_empty(const struct seats *seats, const struct nx_group_spec *spec,
                              struct nx_view *next)
{
    nx_rankset lost = 0;
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        for (uint32_t s = 0; s < spec->subgroups[g].num_shards; s++) {
            nx_rankset set = seats->of[g][s];
            bool was_there = next->base[g][s] > 0;
            if ((set & ~next->stateless) || (was_there && spec->subgroups[g].persistent))
                continue;
            next->stateless &= ~set;
            lost |= was_there ? set : 0;
        }
    return lost;
}

nx_rankset nx_view_assign(const struct nx_view *previous, const struct nx_group_spec *spec,
                          struct nx_view *next)
{
    struct seats seats = {0};
    nx_rankset spares = 0, fresh = 0;
    next->stateless &= nx_view_ranks(next);
    for (nx_rankset left = nx_view_ranks(next); left;) {
        nx_rank r = nx_rankset_take(&left);
        struct nx_member *member = &next->members[r];
        nx_assert(member->subgroup < spec->subgroups_count);
        if (!goes_on(previous, next, r)) {
            member->since = next->vid;
            fresh |= NX_RANK_BIT(r);
            continue;
        }
        member->since = previous->members[r].since;
        member->shard = previous->members[r].shard;
        if (member->shard == NX_SHARD_NONE)
            spares |= NX_RANK_BIT(r);
        else
            seats.of[member->subgroup][member->shard] |= NX_RANK_BIT(r);
    }
    next->stateless &= ~(spares | fresh);
    fresh = seat_keepers(&seats, spec, fresh, next);
    give_shards(&seats, spec, spares, next);
    give_shards(&seats, spec, fresh, next);
    name_keepers(&seats, previous, spec, next);
    return begin_empty(&seats, spec, next);
}

const struct nx_keeper *nx_view_keeper(const struct nx_view *view, nx_node node, uint32_t subgroup,
                                       uint32_t shard)
{
    for (uint32_t i = 0; i < view->keepers_count; i++) {
        const struct nx_keeper *k = &view->keepers[i];
        if (k->node == node && k->subgroup == subgroup && k->shard == shard)
            return k;
    }
    return NULL;
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
