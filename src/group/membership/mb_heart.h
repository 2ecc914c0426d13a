/* mb_heart.h — whom we hear, whom not, and who must go because of it: docs/view-change.md §8.
 *
 *   unheard(y)  nothing of y's row has changed for `timeout` of our own listening time
 *   condemn     y is out: suspected for ever. The one member that may condemn is the lowest of a clique of links that is a
 *               majority; so of two members that do not hear one another one stays, and a majority stays if one can
 *
 * Listening time is the time that passes while we listen: what our turns come late does not count, so a member that was
 * stopped finds nobody silent when it wakes. That somebody is unheard may end; that it is condemned does not.
 * A heart whose timeout is 0 never beats and hears everybody for ever.
 * Owner   a value. Nothing is allocated. Thread  group thread only
 * Source  ours. Departure from Derecho, ACM TOCS 2019: there, only a broken connection makes a suspicion. */
#ifndef NX_GROUP_MB_HEART_H
#define NX_GROUP_MB_HEART_H

#include "common/clock.h"
#include "group/membership/mb_links.h"

enum {
    /* A member that does not run for a timeout, less a beat, plus a dwell is still heard in time: eleven twelfths of it. */
    NX_BEATS_PER_TIMEOUT = 6,
    NX_FIRST_TIMEOUTS = 3, /* so long a member may take until its first word */
    /* so long a finding must hold: words about links may be under way */
    NX_DWELLS_PER_TIMEOUT = 12,
};

struct nx_heart {
    nx_ns timeout; /* 0: off */
    nx_rank self;
    nx_rankset members; /* of the view */
    nx_ns due;          /* when our next turn is due at the latest */
    nx_ns late;         /* what our turns came late, in all */
    nx_ns beat_at;
    uint64_t beats;
    bool prompted;                         /* somebody's heart beat in this turn */
    nx_ns silent_at[NX_MEMBERS_MAX];       /* in listening time: from then on a member is unheard */
    struct nx_links links[NX_MEMBERS_MAX]; /* what each says, ours included */
    nx_rankset doubtful;                   /* those who were silent for half the timeout */
    nx_rankset clique;                     /* those with whom we can go on; at least ourselves */
    bool isolated;         /* they are no majority: nothing can be ordered until we hear more */
    nx_rankset doomed;     /* whom we found to be in the way since `doomed_at`, without a break */
    nx_ns doomed_at;       /* in listening time */
    bool rivalled;         /* a lower rank may judge otherwise: we wait for it, but not for ever */
    bool ignores_lateness; /* a mutant */
};

void nx_heart_begin(struct nx_heart *heart, nx_ns timeout, nx_rank self, nx_rankset members,
                    nx_ns now);

/* A view is installed. */
void nx_heart_install(struct nx_heart *heart, nx_rankset members, nx_ns now);

/* A turn begins. Before anything is heard in it. */
void nx_heart_turn(struct nx_heart *heart, nx_ns now);

/* A word of the member's row has changed; it was a beat alone, or not. */
void nx_heart_hear(struct nx_heart *heart, nx_rank rank, bool beat, nx_ns now);
void nx_heart_hear_links(struct nx_heart *heart, nx_rank rank, uint64_t word);

/* After everything was heard: the links, and whom of `reachable` (ourselves among them) we condemn. */
nx_rankset nx_heart_judge(struct nx_heart *heart, nx_rankset reachable, nx_ns now);

/* What we say of our links. */
static inline uint64_t nx_heart_links(const struct nx_heart *heart)
{
    return nx_links_word(heart->links[heart->self]);
}

/* Whether our heart beats now; then `beats` has grown. */
bool nx_heart_beat(struct nx_heart *heart, nx_ns now);

/* When the next turn is due for it; NX_NEVER when it is off. */
nx_ns nx_heart_next(const struct nx_heart *heart, nx_rankset reachable);

#endif
