/* mb_links.h — which links of the group carry, and who can go on together.
 *
 *   a link of two members is broken when one of them does not hear the other
 *   clique: a set of members of whom every two have a link that is not broken
 *
 * Owner   values. Nothing is allocated. Thread  group thread only
 * Source  ours; docs/view-change.md §8, "Links". */
#ifndef NX_GROUP_MB_LINKS_H
#define NX_GROUP_MB_LINKS_H

#include "common/nx_assert.h"
#include "group/view/view.h"

/* NX_COL_LINKS: whom the writer does not hear; and, of its links, those that are broken, for that or because the
 * other end says so. */
struct nx_links {
    uint32_t unheard, broken;
};
static_assert((int)NX_MEMBERS_MAX <= 32, "two sets fit into one word");

static inline uint64_t nx_links_word(struct nx_links links)
{
    return (uint64_t)links.broken << 32 | links.unheard;
}

static inline struct nx_links nx_links_of(uint64_t word)
{
    return (struct nx_links){.unheard = (uint32_t)word, .broken = (uint32_t)(word >> 32)};
}

/* A largest clique of `set` that holds `self`, if it is more than half of `members_count`; otherwise {self}. Of several
 * it takes one without those of `doubtful`, then one with the lower ranks. links[r] is what
 * member r says of its own. The time is bounded: 2^16 steps. */
nx_rankset nx_links_clique(const struct nx_links *links, nx_rankset set, nx_rank self,
                           nx_rankset doubtful, uint32_t members_count);

#endif
