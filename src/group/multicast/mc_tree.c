#include "group/multicast/mc_tree.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

/* With two receivers a relay takes one of the sender's two copies and adds a hop. From three on it pays for messages that
 * fill the pipeline: a chain of n holds n − 1 blocks under way before the last member sees the first one.
 * docs/performance.md has the measurement. */
enum { RELAYED_RECEIVERS = 3 };
static const struct nx_schedule_limits defaults = {.binomial_bytes = UINT64_C(256) << 10,
                                                   .chain_bytes = UINT64_C(2) << 20};

enum nx_schedule nx_schedule_choose(const struct nx_schedule_limits *limits, uint64_t total,
                                    uint32_t receivers)
{
    uint64_t chain = limits->chain_bytes ? limits->chain_bytes : defaults.chain_bytes;
    uint64_t binomial = limits->binomial_bytes ? limits->binomial_bytes : defaults.binomial_bytes;
    if (receivers < RELAYED_RECEIVERS)
        return NX_SCHEDULE_SEQUENTIAL;
    if (total >= chain)
        return NX_SCHEDULE_CHAIN;
    return total >= binomial ? NX_SCHEDULE_BINOMIAL : NX_SCHEDULE_SEQUENTIAL;
}

/* The members in the order of ranks, beginning with `first`; returns how many. */
static uint32_t list_from(nx_rankset members, nx_rank first, nx_rank list[NX_MEMBERS_MAX])
{
    nx_rankset before = members & (NX_RANK_BIT(first) - 1);
    uint32_t count = 0;
    for (nx_rankset left = members & ~before; left;)
        list[count++] = nx_rankset_take(&left);
    for (nx_rankset left = before; left;)
        list[count++] = nx_rankset_take(&left);
    return count;
}

/* Which member numbers number i passes on to. */
static bool passes_on(enum nx_schedule schedule, uint32_t i, uint32_t to)
{
    uint32_t step = to - i;
    switch (schedule) {
    case NX_SCHEDULE_CHAIN: return step == 1;
    case NX_SCHEDULE_BINOMIAL: return step > i && (step & (step - 1)) == 0;
    case NX_SCHEDULE_SEQUENTIAL:
    case NX_SCHEDULES_COUNT: return i == 0;
    }
    return false;
}

static uint32_t number_of(const nx_rank *list, nx_rank rank)
{
    uint32_t number = 0;
    while (list[number] != rank)
        number++;
    return number;
}

nx_rankset nx_tree_children(enum nx_schedule schedule, nx_rankset members, nx_rank sender,
                            nx_rank self)
{
    nx_rank list[NX_MEMBERS_MAX];
    nx_assert(members & NX_RANK_BIT(sender) && members & NX_RANK_BIT(self));
    uint32_t count = list_from(members, sender, list), own = number_of(list, self);
    nx_rankset children = 0;
    for (uint32_t to = own + 1; to < count; to++)
        if (passes_on(schedule, own, to))
            children |= NX_RANK_BIT(list[to]);
    return children;
}

nx_rank nx_tree_parent(enum nx_schedule schedule, nx_rankset members, nx_rank sender, nx_rank self)
{
    nx_rank list[NX_MEMBERS_MAX];
    nx_assert(members & NX_RANK_BIT(sender) && members & NX_RANK_BIT(self) && sender != self);
    (void)list_from(members, sender, list);
    uint32_t own = number_of(list, self), parent = 0;
    while (!passes_on(schedule, parent, own))
        parent++;
    return list[parent];
}
