#include "group/membership/mb_suspect.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

#include <string.h>

void nx_suspect_init(struct nx_suspect *suspect, nx_rank self, uint32_t members_count)
{
    nx_assert(self < members_count && members_count <= NX_MEMBERS_MAX);
    memset(suspect, 0, sizeof *suspect);
    suspect->self = self;
    suspect->members = NX_RANK_BIT(members_count) - 1;
    suspect->alive = suspect->members;
    suspect->reachable = suspect->members;
}

static void lose(struct nx_suspect *suspect, nx_rank rank, const char *why)
{
    if (!(suspect->alive & NX_RANK_BIT(rank)))
        return;
    suspect->alive &= ~NX_RANK_BIT(rank);
    suspect->unreported |= NX_RANK_BIT(rank);
    suspect->why[rank] = why;
}

void nx_suspect_fail(struct nx_suspect *suspect, nx_rank rank, const char *why)
{
    nx_assert(rank != suspect->self);
    if (!(suspect->reachable & NX_RANK_BIT(rank)))
        return;
    suspect->reachable &= ~NX_RANK_BIT(rank);
    suspect->suspected |= NX_RANK_BIT(rank);
    if (suspect->alive & NX_RANK_BIT(rank))
        suspect->untold |= NX_RANK_BIT(rank);
    lose(suspect, rank, why);
}

void nx_suspect_install(struct nx_suspect *suspect, nx_rankset members, nx_rankset joined)
{
    nx_assert(!(members & ~(suspect->members | joined)) && (members & NX_RANK_BIT(suspect->self)));
    nx_assert(!(joined & suspect->members) && !(joined & suspect->unreported));
    nx_rankset stay = members & ~joined;
    suspect->members = members;
    suspect->alive = (suspect->alive & stay) | joined;
    suspect->reachable = (suspect->reachable & stay) | joined;
    suspect->suspected &= stay;
    suspect->leaves_seen &= stay;
    suspect->untold &= stay;
}

void nx_suspect_hear(struct nx_suspect *suspect, nx_rankset suspected)
{
    suspected &= suspect->members;
    if (suspected & NX_RANK_BIT(suspect->self))
        suspect->fenced = true;
    for (nx_rankset left = suspected & suspect->reachable & ~NX_RANK_BIT(suspect->self); left;
         left &= left - 1)
        nx_suspect_fail(suspect, nx_rankset_first(left), "another member lost it");
}

void nx_suspect_hear_leave(struct nx_suspect *suspect, nx_rank rank)
{
    nx_assert(rank != suspect->self);
    suspect->leaves_seen |= NX_RANK_BIT(rank);
    lose(suspect, rank, "it left");
}

bool nx_suspect_next(struct nx_suspect *suspect, nx_rank *rank, bool *clean, const char **why)
{
    if (!suspect->unreported)
        return false;
    *rank = nx_rankset_first(suspect->unreported);
    suspect->unreported &= ~NX_RANK_BIT(*rank);
    *clean = (suspect->leaves_seen & NX_RANK_BIT(*rank)) != 0;
    *why = suspect->why[*rank];
    return true;
}

void nx_suspect_leave(struct nx_suspect *suspect, nx_ns now)
{
    if (suspect->leaving)
        return;
    suspect->leaving = true;
    suspect->leave_until = now + NX_LEAVE_PATIENCE_NS;
}

void nx_suspect_settle_leave(struct nx_suspect *suspect, nx_rankset receipts, nx_ns now)
{
    if (!suspect->leaving || suspect->left)
        return;
    nx_rankset others = suspect->reachable & ~NX_RANK_BIT(suspect->self);
    suspect->left = (others & ~receipts) == 0 || now >= suspect->leave_until;
}
