/* mb_change.h — how the members of one view agree on the next one: docs/view-change.md §2–§7.
 *
 *   decided(C) at one member  =>  no other change is ever decided in this view, and every member of the view that
 *                                 goes on froze its count before, and knows those of the others
 *   C is a set of ranks: those of members go, the others come, and whom they are is the same at all
 *
 *   STEADY ─▶ AWAIT_WEDGES ─▶ AWAIT_PROPOSAL (a follower) ─▶ AWAIT_STANCES ─▶ DELIVERING ─▶ the next view
 *                       └───▶ AWAIT_PROMISES (the leader) ──────▲
 *   from each but DELIVERING: BLOCKED, while there is no majority
 *
 * A turn takes what the others' rows say and what we suspect; the caller publishes the stance, the frozen count and
 * the decision after it. Nothing here waits.
 * Owner   a value
 * Thread  group thread only
 * Source  Derecho, ACM TOCS 2019, the view change. Departure: suspicions and the accepted removal are one word, the
 *         leader commits when all whom it counts on show its own; the trim needs no message; who comes is in
 *         the same word as who goes. */
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
    NX_CHANGE_BEFORE_WEDGE = 1u << 1,
    NX_CHANGE_TRIM_MAX = 1u << 2,
    NX_CHANGE_MINORITY = 1u << 3,
};

/* NX_COL_STANCE: {changed, suspected}. */
struct nx_stance {
    uint32_t suspected, changed;
};
static_assert((int)NX_MEMBERS_MAX <= 32, "two sets fit into one word");

static inline uint64_t nx_stance_word(struct nx_stance stance)
{
    return (uint64_t)stance.changed << 32 | stance.suspected;
}

static inline struct nx_stance nx_stance_of(uint64_t word)
{
    return (struct nx_stance){.suspected = (uint32_t)word, .changed = (uint32_t)(word >> 32)};
}

/* NX_COL_WEDGED: how many places of its shard's order the writer holds, and whether it has the state before them. */
static inline uint64_t nx_wedged_word(uint64_t held, bool has_state)
{
    return (held + 1) << 1 | has_state;
}

/* NX_COL_COMMITTED: the view's number and the ranks that differ from the one before. */
static inline uint64_t nx_decision_word(nx_vid vid, nx_rankset changed)
{
    return vid << 32 | changed;
}

/* What a member knows by itself in a turn. */
struct nx_change_facts {
    nx_rankset suspected; /* only grows */
    nx_rankset leavers;   /* members that announced that they go */
    nx_rankset joins;     /* we lead: seats whose new owners are ready to come */
    nx_rankset cards; /* seats whose new owner we learnt in this view, each from one leader alone */
    /* members that are known to be dead, once suspected: their nodes ask to join again */
    nx_rankset reborn;
    uint64_t held;  /* places of our shard's order that we hold */
    bool has_state; /* of our shard */
};

struct nx_change {
    enum nx_change_state state;
    unsigned mutants;
    nx_rank self;
    nx_vid vid;           /* of the view that the change ends */
    nx_rankset members;   /* of it */
    nx_rankset suspected; /* as of the last turn */
    bool wedged;
    uint64_t count;      /* once wedged: places that we hold */
    nx_rankset changed;  /* what we accepted, or proposed; 0: nothing */
    nx_rankset decided;  /* 0: not yet */
    nx_rankset leavers;  /* whom a proposal removes though nobody suspects them: they leave */
    nx_rankset made;     /* joins that we proposed ourselves */
    nx_rankset wedges;   /* whose frozen count we know, … */
    nx_rankset stateful; /* … and who of them has its shard's state */
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

/* One turn of the rules. True if the state moved. */
bool nx_change_turn(struct nx_change *change, const struct nx_change_facts *facts);

static inline struct nx_stance nx_change_stance(const struct nx_change *change)
{
    return (struct nx_stance){(uint32_t)change->suspected, (uint32_t)change->changed};
}

/* Who comes, as far as we accepted it. */
static inline nx_rankset nx_change_joins(const struct nx_change *change)
{
    return change->changed & ~change->members;
}

/* mb_propose.c: the rules of §4. `counted`: members we do not suspect, a majority; the lowest of them leads. */
void nx_propose_as_leader(struct nx_change *change, nx_rankset counted,
                          const struct nx_change_facts *facts);
void nx_propose_follow(struct nx_change *change, nx_rank leader, nx_rankset cards);

/* mb_trim.c: how many places of the shard's order the old view delivers. Once decided; `shard` are its members in the
 * old view, ours among them, and at least one of them goes on. */
uint64_t nx_trim_compute(const struct nx_change *change, nx_rankset shard);

#endif
