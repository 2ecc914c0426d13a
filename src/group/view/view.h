/* view.h — a view as a value: who is a member, in which order, and which shard each one serves in.
 *
 * A *view* is the agreed membership between two changes; its number, *vid*, only grows. A member's
 * seat is its *rank*, which is also its SST row: it keeps it for as long as it is a member, so later
 * views may have vacant ranks (docs/view-change.md). A view is the whole of what was agreed: who
 * comes needs nothing else to begin. Shards are given out once, when a view is made (nx_view_assign);
 * the *layout* (subgroups, their shards) only arranges what the view says:
 *
 *   layout(view, spec) is the same at every member that holds the same view
 *   who goes on keeps its rank and its shard; a spare may be given one
 *
 * Owner   values; copied, never shared. Nothing here allocates.
 * Source  Derecho, ACM TOCS 2019, "views, subgroups and shards". Departure: a node's tier stands in
 *         its configuration and names its subgroup, so the layout does not depend on the order of
 *         starting; the shard stands in the view, so that nobody moves. */
#ifndef NX_GROUP_VIEW_H
#define NX_GROUP_VIEW_H

#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* what libnexus-group exports */

enum {
    NX_MEMBERS_MAX = 32,  /* in one view; a rank set is one 64-bit word */
    NX_SUBGROUPS_MAX = 4, /* kinds of tier in one group */
    NX_SHARDS_MAX = 32,   /* in one subgroup */
    NX_SUBGROUP_NAME_BYTES = 32,
    NX_KEEPERS_MAX = 32,
    NX_ADDRESS_BYTES = 64, /* a fabric address, opaque to the core */
};

typedef uint32_t nx_node; /* identity, for ever; the configuration's local_id */
typedef uint32_t nx_rank; /* index in one view = SST row */
typedef uint64_t nx_vid;  /* view number; the first view is 1, the last NX_VID_MAX */
typedef int64_t nx_seq;   /* place in a shard's total order; NX_SEQ_NONE before the first message */
typedef uint64_t nx_rankset; /* bit r: rank r is in the set */

#define NX_SEQ_NONE       ((nx_seq)-1)
#define NX_RANK_NONE      ((nx_rank)-1)
#define NX_RANK_BIT(rank) ((nx_rankset)1 << (rank))
#define NX_SHARD_NONE     UINT32_MAX
#define NX_VID_MAX        ((nx_vid)UINT32_MAX) /* a decision's word and a log's stamp have 32 bits */

struct nx_member {
    nx_node node;
    uint32_t subgroup; /* index of the subgroup its configuration names */
    uint32_t shard;    /* of its subgroup; NX_SHARD_NONE: a spare */
    nx_vid since;      /* the view in which it came */
    uint16_t gms_port; /* where its bootstrap listens */
    uint32_t address_bytes;
    uint8_t address[NX_ADDRESS_BYTES]; /* where its fabric listens; opaque here */
    char host[48];                     /* its local_ip, for people and for clients' answers */
    /* Of a card alone, 0 in a view: it comes to `shard` with a log of all that was acknowledged there, of so many places
     * and one. */
    uint64_t keeps;
};

/* No member: it was in a persistent shard in the last view in which anybody had its state, so its disk has that. */
struct nx_keeper {
    nx_node node;
    uint32_t subgroup, shard;
    nx_vid vid; /* that view */
    /* it lacked the state as that view began: its log counts if it goes on into that view */
    bool late;
};

struct nx_view {
    nx_vid vid;
    uint64_t group_id[2]; /* random, of the first view's leader: one group, for ever */
    /* How often the group was begun anew, as a drawn number, and the first view since; 0: it keeps nothing on disks. */
    uint32_t incarnation;
    nx_vid begun;
    uint32_t members_count; /* ranks 0 … members_count - 1 */
    nx_rankset vacant;      /* of these, those whose member is gone; what `members` says of them is
                               history */
    nx_rankset stateless;   /* members that lack their shard's state at the view's start */
    struct nx_member members[NX_MEMBERS_MAX]; /* in rank order */
    uint32_t keepers_count; /* of shards that are on disks and in which no member has the state */
    struct nx_keeper keepers[NX_KEEPERS_MAX];
    /* Places of each shard's order that earlier views delivered: seq of the view's first place. */
    uint64_t base[NX_SUBGROUPS_MAX][NX_SHARDS_MAX];
};

/* What the configuration says of one subgroup. */
struct nx_subgroup_spec {
    char name[NX_SUBGROUP_NAME_BYTES]; /* FUNCTION_TIER, CATEGORIZER_TIER, … */
    uint32_t num_shards;               /* 1 … NX_SHARDS_MAX */
    uint32_t min_nodes;                /* per shard; below it the shard is inadequate */
    uint32_t max_nodes;                /* per shard; members beyond it idle as spares */
    bool persistent; /* its state is on disks: a shard that has lost it waits for who has it */
};

struct nx_group_spec {
    uint32_t subgroups_count;
    struct nx_subgroup_spec subgroups[NX_SUBGROUPS_MAX];
};

struct nx_shard {
    uint32_t members_count;
    nx_rank members[NX_MEMBERS_MAX]; /* ascending; a member's index here is its sender number */
    nx_rankset set, stateless; /* all of them, and those that lack the state at the view's start */
    nx_rank donor; /* whom they have it from: the lowest with state; NX_RANK_NONE: nobody has it */
    bool adequate; /* at the view's start: members with state >= min_nodes */
};

struct nx_layout {
    uint32_t subgroups_count;
    uint32_t shards_count[NX_SUBGROUPS_MAX];
    struct nx_shard shards[NX_SUBGROUPS_MAX][NX_SHARDS_MAX];
};

/* What the view says, shard by shard. */
void nx_layout_compute(const struct nx_view *view, const struct nx_group_spec *spec,
                       struct nx_layout *layout);

/* Gives shards to the members of `next` that have none: `previous` says who goes on (the same node at the same rank)
 * and keeps its shard, or stays a spare; NULL: nobody. Spares first, then those who come, each into the first shard
 * below min_nodes, else into the smallest below max_nodes. Sets `since` of who comes. `next->stateless` says who of
 * those that go on lacks the state; whoever is new in a shard is added to it, unless its card
 * says that its log is the shard's (`keeps`) and nobody else there has the state. A shard in
 * which nobody has the state begins with the empty one, unless its members keep it on disk: then
 * `next->keepers` says whose disks those are.
 * Returns the members whose shard begins empty though it had delivered messages: its state is
 * lost.
 * 2 nodes: 1 + 1; 4: 2 + 2 in one shard; 6: 2 + two shards of 2. */
nx_rankset nx_view_assign(const struct nx_view *previous, const struct nx_group_spec *spec,
                          struct nx_view *next);

/* The node as a keeper of this shard, which no member has the state of, or NULL. */
const struct nx_keeper *nx_view_keeper(const struct nx_view *view, nx_node node, uint32_t subgroup,
                                       uint32_t shard);

/* The members of a view: the occupied ranks. */
static inline nx_rankset nx_view_ranks(const struct nx_view *view)
{
    return (NX_RANK_BIT(view->members_count) - 1) & ~view->vacant;
}

/* The shard of `subgroup` that `rank` serves in; false for a spare or another subgroup's member. */
bool nx_layout_shard_of(const struct nx_layout *layout, uint32_t subgroup, nx_rank rank,
                        uint32_t *shard);

/* The rank of a node, or NX_RANK_NONE. */
nx_rank nx_view_rank_of(const struct nx_view *view, nx_node node);

/* A view that came from outside: its counts, that every node stands in it once, in a subgroup and
 * a shard that exist, and came before it. */
enum nx_status nx_view_check(const struct nx_view *view, uint32_t members_max,
                             const struct nx_group_spec *spec, struct nx_err *err);

/* Index of the named subgroup, or NX_SUBGROUPS_MAX. */
uint32_t nx_spec_find(const struct nx_group_spec *spec, const char *name);

/* Counts, bounds and names of a specification that came from a file. */
enum nx_status nx_spec_check(const struct nx_group_spec *spec, struct nx_err *err);

#pragma GCC visibility pop

#endif
