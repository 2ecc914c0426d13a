#include "function_tier/view_history.h"

#include "common/nx_assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nx_view_history_down(struct nx_view_history *h, nx_rank rank, bool clean, const char *why,
                          nx_ns now)
{
    nx_assert(rank < NX_MEMBERS_MAX);
    if (h->missed == 0)
        h->missed_since = now;
    h->missed |= NX_RANK_BIT(rank);
    if (clean)
        h->left |= NX_RANK_BIT(rank);
    snprintf(h->why[rank], sizeof h->why[rank], "%s", why ? why : "");
}

/* Behind what is there; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) static void tell(char cause[NX_VIEW_CAUSE_BYTES],
                                                       const char *format, ...)
{
    size_t len = strlen(cause);
    va_list args;
    if (len && len + 2 < NX_VIEW_CAUSE_BYTES) {
        memcpy(cause + len, "; ", 3);
        len += 2;
    }
    va_start(args, format);
    vsnprintf(cause + len, NX_VIEW_CAUSE_BYTES - len, format, args);
    va_end(args);
}

static void tell_gone(const struct nx_view_history *h, nx_rank rank, char *cause)
{
    nx_rankset bit = NX_RANK_BIT(rank);
    if (h->left & bit)
        tell(cause, "node %u left", h->nodes[rank]);
    else if ((h->missed & bit) && h->why[rank][0])
        tell(cause, "node %u failed: %s", h->nodes[rank], h->why[rank]);
    else
        tell(cause, "node %u failed", h->nodes[rank]);
}

static bool is_in(const struct nx_view *view, nx_rank rank, nx_node node)
{
    return (nx_view_ranks(view) & NX_RANK_BIT(rank)) && view->members[rank].node == node;
}

static void tell_cause(const struct nx_view_history *h, const struct nx_view *view, char *cause)
{
    if (h->total == 0) {
        tell(cause, view->vid == 1 ? "the group formed" : "this node joined");
        return;
    }
    for (nx_rankset left = h->present; left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        if (!is_in(view, r, h->nodes[r]))
            tell_gone(h, r, cause);
    }
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        if (!(h->present & NX_RANK_BIT(r)) || h->nodes[r] != view->members[r].node)
            tell(cause, "node %u joined", view->members[r].node);
    }
    if (!cause[0])
        tell(cause, "shards were given out again");
}

static void take_members(struct nx_view_history *h, const struct nx_view *view)
{
    h->present = nx_view_ranks(view);
    for (nx_rankset left = h->present; left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        h->nodes[r] = view->members[r].node;
    }
    h->missed = h->left = 0;
    h->missed_since = 0;
}

void nx_view_history_view(struct nx_view_history *h, const struct nx_view *view, nx_ns now,
                          nx_ns wall)
{
    struct nx_view_change *change = &h->ring[h->total % NX_VIEW_CHANGES_MAX];
    *change = (struct nx_view_change){
        .vid = view->vid,
        .wall = wall,
        .took = h->missed ? now - h->missed_since : 0,
        .members = (uint32_t)__builtin_popcountll(nx_view_ranks(view)),
    };
    tell_cause(h, view, change->cause);
    h->measured += h->missed != 0;
    h->took += change->took;
    h->total++;
    take_members(h, view);
}

uint32_t nx_view_history_count(const struct nx_view_history *h)
{
    return h->total < NX_VIEW_CHANGES_MAX ? (uint32_t)h->total : NX_VIEW_CHANGES_MAX;
}

const struct nx_view_change *nx_view_history_at(const struct nx_view_history *h, uint32_t i)
{
    nx_assert(i < nx_view_history_count(h));
    return &h->ring[(h->total - nx_view_history_count(h) + i) % NX_VIEW_CHANGES_MAX];
}
