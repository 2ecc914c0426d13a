/* mb_suspect.h — which members are still there, as far as this node knows.
 *
 *   alive ⊆ reachable ⊆ members, all three only shrink within a view
 *   suspected = members \ reachable, only grows within a view
 *
 * A member fails by the fabric's death notice, by nonsense in what it wrote, by a judgement on its silence
 * (mb_heart.h), or because another member suspects it. A member that announced its leave is not
 * alive, but reachable, until the view without it; its tier-visible end stays clean, also if its
 * connection ends before. A leaver has left when every reachable member has seen its announcement
 * and decided the view without it, or its patience ends. Each loss is reported once, in
 * nx_suspect_next. Nothing is
 * allocated. Thread  group thread only
 * Source  Derecho, ACM TOCS 2019, suspicion. Departure: the fabric tells of
 *         deaths. */
#ifndef NX_GROUP_MB_SUSPECT_H
#define NX_GROUP_MB_SUSPECT_H

#include "common/clock.h"
#include "group/view/rankset.h"
#include "group/view/view.h"

#define NX_LEAVE_PATIENCE_NS NX_SEC

struct nx_suspect {
    nx_rank self;
    nx_rankset members, alive, reachable;
    nx_rankset suspected;   /* unreachable, ours and the others' findings */
    nx_rankset leaves_seen; /* members that announced their leave */
    nx_rankset unreported;  /* losses not yet handed up */
    nx_rankset untold;      /* failed members that were not told so yet: they fence themselves */
    const char *why[NX_MEMBERS_MAX]; /* of a loss; a static sentence */
    bool fenced;                     /* somebody suspects us: we are out */
    bool leaving, left;
    nx_ns leave_until;
};

void nx_suspect_init(struct nx_suspect *suspect, nx_rank self, uint32_t members_count);

/* The member failed, for the reason; a member that announced its leave went cleanly. Nothing for
 * those gone already. */
void nx_suspect_fail(struct nx_suspect *suspect, nx_rank rank, const char *why);

/* A view is installed, of `members`, of whom `joined` are new. What is suspected of the others stays so. */
void nx_suspect_install(struct nx_suspect *suspect, nx_rankset members, nx_rankset joined);

/* Who leads: the lowest that is not suspected. */
static inline nx_rank nx_suspect_leader(const struct nx_suspect *suspect)
{
    return nx_rankset_first(suspect->members & ~suspect->suspected);
}

/* Another member's suspicions, and its announcement. */
void nx_suspect_hear(struct nx_suspect *suspect, nx_rankset suspected);
void nx_suspect_hear_leave(struct nx_suspect *suspect, nx_rank rank);

/* The next loss to report; false if there is none. */
bool nx_suspect_next(struct nx_suspect *suspect, nx_rank *rank, bool *clean, const char **why);

void nx_suspect_leave(struct nx_suspect *suspect, nx_ns now);

/* `receipts`: members that need us no more. */
void nx_suspect_settle_leave(struct nx_suspect *suspect, nx_rankset receipts, nx_ns now);

#endif
