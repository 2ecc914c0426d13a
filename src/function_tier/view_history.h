/* view_history.h — the latest view changes: when, how long, and why.
 *
 * A view's cause is what differs from the view before it: who came, who left, who failed and how that was noticed. How long
 * it took counts from the first member that was missed to the view; a view that only brings somebody took nothing.
 * Bounds  the last NX_VIEW_CHANGES_MAX; older ones are forgotten, the totals are not.
 * Owner, thread  values, of one thread. Time is a parameter. */
#ifndef NX_FUNCTION_TIER_VIEW_HISTORY_H
#define NX_FUNCTION_TIER_VIEW_HISTORY_H

#include "common/clock.h"
#include "group/group.h"

enum { NX_VIEW_CHANGES_MAX = 32, NX_VIEW_CAUSE_BYTES = 160, NX_VIEW_WHY_BYTES = 96 };

struct nx_view_change {
    nx_vid vid;
    nx_ns wall; /* since 1970 */
    nx_ns took;
    uint32_t members;
    char cause[NX_VIEW_CAUSE_BYTES]; /* "node 2 failed: …; node 3 joined" */
};

struct nx_view_history {
    struct nx_view_change ring[NX_VIEW_CHANGES_MAX];
    uint64_t total;    /* changes ever; the first view is one */
    uint64_t measured; /* of these, how many were because a member was missed … */
    nx_ns took;        /* … and how long they took, summed */
    /* towards the next one */
    nx_ns missed_since; /* 0: nobody is missed */
    nx_rankset missed, left;
    char why[NX_MEMBERS_MAX][NX_VIEW_WHY_BYTES];
    /* the installed one; members of rank r where `present` has it */
    nx_rankset present;
    nx_node nodes[NX_MEMBERS_MAX];
};

/* A member is missed, as of nx_group_upcalls.member_down. */
void nx_view_history_down(struct nx_view_history *history, nx_rank rank, bool clean,
                          const char *why, nx_ns now);
void nx_view_history_view(struct nx_view_history *history, const struct nx_view *view, nx_ns now,
                          nx_ns wall);

uint32_t nx_view_history_count(const struct nx_view_history *history); /* that are kept */
/* The i-th of those, the oldest first. */
const struct nx_view_change *nx_view_history_at(const struct nx_view_history *history, uint32_t i);

#endif
