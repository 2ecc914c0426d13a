#include "group/membership/mb_links.h"

#include "group/view/rankset.h"

struct search {
    const struct nx_links *links;
    nx_rank self;
    nx_rankset doubtful;
};

static bool is_broken(const struct search *search, nx_rank a, nx_rank b)
{
    return (search->links[a].broken & NX_RANK_BIT(b)) || (search->links[b].broken & NX_RANK_BIT(a));
}

static nx_rankset broken_in(const struct search *search, nx_rank a, nx_rankset set)
{
    nx_rankset broken = 0;
    for (nx_rankset left = set & ~NX_RANK_BIT(a); left;) {
        nx_rank b = nx_rankset_take(&left);
        if (is_broken(search, a, b))
            broken |= NX_RANK_BIT(b);
    }
    return broken;
}

static nx_rankset without(const struct search *search, nx_rankset set, unsigned budget);

static nx_rankset without_one(const struct search *search, nx_rankset set, nx_rank one,
                              unsigned budget)
{
    return one == search->self ? 0 : without(search, set & ~NX_RANK_BIT(one), budget);
}

/* The clique that is left of `set` when at most `budget` members are taken out; 0 if there is none. Of the two ends of a
 * broken link one must go: a doubtful one is tried first, else the higher rank. `self` stays. */
static nx_rankset without(const struct search *search, nx_rankset set, unsigned budget)
{
    for (nx_rankset left = set; left;) {
        nx_rank a = nx_rankset_take(&left);
        nx_rankset broken = broken_in(search, a, set);
        if (!broken)
            continue;
        if (budget == 0)
            return 0;
        nx_rank b = 63 - (nx_rank)__builtin_clzll(broken);
        bool first = (search->doubtful >> a & 1) && !(search->doubtful >> b & 1);
        nx_rankset rest = without_one(search, set, first ? a : b, budget - 1);
        return rest ? rest : without_one(search, set, first ? b : a, budget - 1);
    }
    return set;
}

nx_rankset nx_links_clique(const struct nx_links *links, nx_rankset set, nx_rank self,
                           nx_rankset doubtful, uint32_t members_count)
{
    struct search search = {links, self, doubtful};
    set &= ~broken_in(&search, self, set);
    unsigned size = (unsigned)__builtin_popcountll(set);
    for (unsigned budget = 0; 2 * (size - budget) > members_count && budget < size; budget++) {
        nx_rankset clique = without(&search, set, budget);
        if (clique)
            return clique;
    }
    return NX_RANK_BIT(self);
}
