/* mb_change.h — how the members of one view agree on the next one: docs/view-change.md §2–§7.
 *
 *   decided(R) at one member  =>  no other removal is ever decided in this view, and every member of the view
 *                                 without R froze its count before, and knows those of the others
 *
 *   STEADY ─▶ AWAIT_WEDGES ─▶ AWAIT_PROPOSAL (a follower) ─▶ AWAIT_STANCES ─▶ DELIVERING ─▶ the next view
 *                       └───▶ AWAIT_PROMISES (the leader) ──────▲
 *   from each but DELIVERING: BLOCKED, when no majority is left
 *
 * A turn takes what the others' rows say and what we suspect; the caller publishes the stance, the frozen count and
 * the decision after it. Nothing here waits. Owner  a value. Thread  group thread only
 * Source  Derecho, ACM TOCS 2019, the view change. Departure: suspicions and the accepted removal are one word, the
 *         leader commits when all whom it counts on show its own; the trim needs no message. */
#ifndef NX_GROUP_MB_CHANGE_H
#define NX_GROUP_MB_CHANGE_H

#include "common/nx_assert.h"
#include "group/view/view.h"

enum nx_change_state {
    NX_CHANGE_STEADY,
    NX_CHANGE_AWAIT_WEDGES,   /* the frozen counts of those who go on */
    NX_CHANGE_AWAIT_PROMISES, /* we lead: until all see that the ranks below us are gone */
    NX_CHANGE_AWAIT_PROPOSAL, /* the leader's */
    NX_CHANGE_AWAIT_STANCES,  /* we accepted: until all whom the leader counts on show its stance */
    NX_CHANGE_BLOCKED,        /* no primary partition: those we do not suspect are no majority */
    NX_CHANGE_DELIVERING,     /* decided: up to the trim, then the view */
};

/* Seeded defects; the simulator's alone. */
enum nx_change_mutant {
    NX_CHANGE_ANYBODY_PROPOSES = 1u << 0,
    NX_CHANGE_DEAF_TO_SUSPICION = 1u << 1,
    NX_CHANGE_BEFORE_WEDGE = 1u << 2,
    NX_CHANGE_TRIM_MAX = 1u << 3,
    NX_CHANGE_MINORITY = 1u << 4,
};

/* NX_COL_STANCE: {removal, suspected}. */
struct nx_stance {
    uint32_t suspected, removal;
};
static_assert((int)NX_MEMBERS_MAX <= 32, "two sets fit into one word");

static inline uint64_t nx_stance_word(struct nx_stance stance)
{
    return (uint64_t)stance.removal << 32 | stance.suspected;
}

static inline struct nx_stance nx_stance_of(uint64_t word)
{
    return (struct nx_stance){.suspected = (uint32_t)word, .removal = (uint32_t)(word >> 32)};
}

/* NX_COL_COMMITTED: the view's number and whom it is without. */
static inline uint64_t nx_decision_word(nx_vid vid, nx_rankset removal)
{
    return vid << 32 | removal;
}

struct nx_change {
    enum nx_change_state state;
    unsigned mutants;
    nx_rank self;
    nx_vid vid;           /* of the view that the change ends */
    nx_rankset members;   /* of it */
    nx_rankset suspected; /* as of the last turn */
    bool wedged;
    uint64_t count;     /* once wedged: places that we hold */
    nx_rankset removal; /* what we accepted, or proposed; 0: nothing */
    nx_rankset decided; /* 0: not yet */
    nx_rankset leavers; /* whom a proposal removes though nobody suspects them: they leave */
    nx_rankset wedges;  /* whose frozen count we know */
    uint64_t counts[NX_MEMBERS_MAX];
    struct nx_stance stances[NX_MEMBERS_MAX];
};

void nx_change_begin(struct nx_change *change, nx_vid vid, nx_rank self, nx_rankset members,
                     unsigned mutants);

/* What a member's row says; the caller reads only rows of members it does not suspect. */
void nx_change_hear_stance(struct nx_change *change, nx_rank rank, uint64_t word);
void nx_change_hear_wedged(struct nx_change *change, nx_rank rank, uint64_t word);
/* The word of a decision: takes it if it is the one of this view that we accepted. */
void nx_change_hear_decision(struct nx_change *change, uint64_t word);

/* One turn of the rules. `suspected` only grows, `leavers` announced that they go, `held` places of our shard's order
 * are held now. True if the state moved. */
bool nx_change_turn(struct nx_change *change, nx_rankset suspected, nx_rankset leavers,
                    uint64_t held);

static inline struct nx_stance nx_change_stance(const struct nx_change *change)
{
    return (struct nx_stance){(uint32_t)change->suspected, (uint32_t)change->removal};
}

/* mb_propose.c: the rules of §4. `counted`: members we do not suspect, a majority; the lowest of them leads. */
void nx_propose_as_leader(struct nx_change *change, nx_rankset counted, nx_rankset leavers);
void nx_propose_follow(struct nx_change *change, nx_rank leader);

/* mb_trim.c: how many places of the shard's order the old view delivers. Once decided; `shard` are its members in the
 * old view, ours among them, and at least one of them goes on. */
uint64_t nx_trim_compute(const struct nx_change *change, nx_rankset shard);

#endif
