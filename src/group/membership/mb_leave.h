/* mb_leave.h — for whom a leave is held back: a member that alone has its shard's state does not take it along while another
 * is being given it (docs/view-change.md §7).
 *
 * Every member that wants to leave says so before it announces that it goes (NX_COL_PARTING), and everybody of its shard
 * passes on of whom it knows that. A leaver relies on another that has the state, an heir, only if that one said that it
 * knows: an heir that wants to leave later does not rely on the leaver then. So of several that go at once one stays
 * until the state is elsewhere, and who leaves itself needs none.
 *
 * Pure. Thread  any. Source  this project; the reading of one's own word in another's row is Dekker's. */
#ifndef NX_GROUP_MB_LEAVE_H
#define NX_GROUP_MB_LEAVE_H

#include "group/view/view.h"

/* Sets of ranks, as one member knows them in one view. */
struct nx_leave_facts {
    nx_rank self;
    nx_rankset shard; /* the members of our shard; 0: a spare */
    nx_rankset alive; /* neither suspected nor gone: who announced its leave is not among them */
    nx_rankset with_state; /* known to have their shard's state */
    nx_rankset parting;    /* known to want to leave */
    nx_rankset aware;      /* known to know that we want to */
};

/* Members that still need what we have; 0: we may go. */
nx_rankset nx_leave_awaits(const struct nx_leave_facts *facts);

#endif
