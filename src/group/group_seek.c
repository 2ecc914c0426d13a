/* A member that lost the majority: it asks those that it lost, gives way to another side, finds out that the others went on,
 * or that nobody can, and then gives its view up, so that the group can begin again from its disks. docs/view-change.md §8,
 * "For good". */
#include "group/group_judge.h"
#include "group/group_state.h"

#include "common/log.h"
#include "group/view/rankset.h"

#include <stdio.h>
#include <string.h>

#define PROBE_EVERY_NS NX_SEC
/* Who asks for a seat where nobody can get one is kept so long, to be counted in, before it is
 * told why: shorter than its own patience (15 s). Without disks there is nothing to be counted
 * in for. */
#define KEPT_NS        (10 * NX_SEC)
#define KEPT_VAIN_NS   (2 * NX_SEC)

/* What others were promised by our view is void from here on: nothing is sent, nothing is taken, no view is installed. */
void nx_group_give_up(struct nx_group *g, const char *why)
{
    struct nx_err err = {0};
    nx_err_set(&err, NX_FENCED, "%s", why);
    g->gave_up = true;
    nx_group_tell_down(g, &err);
}

static bool is_blocked(const struct nx_group *g)
{
    return nx_core_change_state(g->core) == NX_CHANGE_BLOCKED && !nx_core_left(g->core);
}

/* One after the other: whether they are dead or went on without us, nobody else can tell. */
static void seek_majority(struct nx_group *g, nx_ns now)
{
    const struct nx_view *view = nx_core_view(g->core);
    nx_rankset lost = nx_view_ranks(view) & ~nx_core_heard(g->core);
    nx_rankset later = lost & ~(NX_RANK_BIT(g->probed + 1) - 1);
    if (!is_blocked(g) || !lost || now < g->probe_at)
        return;
    g->probe_at = now + PROBE_EVERY_NS;
    g->probed = nx_rankset_first(later ? later : lost);
    struct nx_boot_address at = {.port = view->members[g->probed].gms_port};
    memcpy(at.host, view->members[g->probed].host, sizeof at.host);
    nx_bootstrap_probe(g->boot, &at, now);
}

/* Two sides of one view, neither a majority, that reach each other again: one of them gives its membership up, so that the
 * other can let its nodes in as reborn. That other side must be half of the view; of two halves the one with the lowest rank
 * stays. */
static bool gives_way(const struct nx_group *g)
{
    nx_rankset members = nx_view_ranks(nx_core_view(g->core));
    nx_rankset there = nx_bootstrap_other_side(g->boot), here = nx_core_alive(g->core) & members;
    int count = __builtin_popcountll(members);
    if (nx_core_change_state(g->core) != NX_CHANGE_BLOCKED || (there & here) ||
        2 * __builtin_popcountll(there) < count)
        return false;
    return 2 * __builtin_popcountll(here) < count || (there & -there) < (here & -here);
}

/* --- for good --------------------------------------------------------------------------------- */

bool nx_group_is_stuck(const struct nx_group *g)
{
    return is_blocked(g) && nx_judge_for_good(nx_core_view(g->core), nx_core_alive(g->core));
}

/* "nodes 2, 3" */
static void say_nodes(const struct nx_view *view, nx_rankset set, char *text, size_t cap)
{
    size_t used = (size_t)snprintf(text, cap, "node%s", (set & (set - 1)) ? "s" : "");
    const char *between = " ";
    for (; set && used < cap; set &= set - 1, between = ", ")
        used += (size_t)snprintf(text + used, cap - used, "%s%u", between,
                                 view->members[__builtin_ctzll(set)].node);
}

/* For whom all wait, and what to do. */
static void say_stuck(struct nx_group *g, const char *why, struct nx_err *err)
{
    const struct nx_view *view = nx_core_view(g->core);
    nx_rankset members = nx_view_ranks(view), here = members & nx_core_alive(g->core);
    char nodes[NX_ERR_TEXT_BYTES / 2];
    say_nodes(view, here, nodes, sizeof nodes);
    int count = __builtin_popcountll(members);
    if (g->disk.durable)
        nx_err_set(err, NX_AGAIN,
                   "view %llu cannot go on with %s alone, of %d; unless the others went on "
                   "elsewhere, the group begins again from its disks%s%s",
                   (unsigned long long)view->vid, nodes, count, why[0] ? ": " : "", why);
    else
        nx_err_set(err, NX_AGAIN,
                   "view %llu cannot go on with %s alone, of %d; unless the others went on "
                   "elsewhere, what they held is lost: to begin anew, stop %s as well, then start "
                   "all nodes",
                   (unsigned long long)view->vid, nodes, count, nodes);
}

/* Kept for whoever asks; said once a view. */
static void say_waits(struct nx_group *g)
{
    const struct nx_view *view = nx_core_view(g->core);
    struct nx_err err = {0};
    bool stuck = nx_group_is_stuck(g);
    if (stuck)
        say_stuck(g, g->stuck_why, &err);
    else if (is_blocked(g))
        nx_err_set(&err, NX_WEDGED, "no primary partition: %d of %d members of view %llu are heard",
                   __builtin_popcountll(nx_core_heard(g->core)),
                   __builtin_popcountll(nx_view_ranks(view)), (unsigned long long)view->vid);
    memcpy(g->waits_for, err.text, sizeof g->waits_for);
    if (stuck && g->told_stuck != view->vid) {
        g->told_stuck = view->vid;
        nx_warn("%s", err.text);
    }
}

enum nx_status nx_group_keep_waiting(struct nx_group *g, nx_ns now, struct nx_err *err)
{
    nx_ns kept = g->disk.durable ? KEPT_NS : KEPT_VAIN_NS;
    if (now < nx_bootstrap_waits_since(g->boot, g->admission.applicant) + kept)
        return NX_WEDGED;
    return nx_err_set(err, NX_AGAIN, "%s", g->waits_for);
}

/* Where nobody can go on, a member is worth no more than its disk. It gives up when that is wanted: by a leader that gathers
 * the disks, or here, where enough others ask for seats. */
static void begin_again(struct nx_group *g, nx_ns now)
{
    struct nx_err why = {0};
    if (!nx_group_is_stuck(g))
        return;
    if (!g->disk.durable || now < g->count_at)
        return;
    g->count_at = now + PROBE_EVERY_NS / 4;
    nx_group_keep_again(g);
    bool leads = nx_core_leader(g->core) == nx_core_rank(g->core);
    if (nx_bootstrap_restarts(g->boot) ||
        (leads && nx_bootstrap_may_restart(g->boot, now, &why) == NX_OK))
        nx_group_give_up(g, "its view cannot go on, and the group begins again from its disks");
    memcpy(g->stuck_why, why.text, sizeof g->stuck_why);
}

void nx_group_seek_turn(struct nx_group *g, nx_ns now)
{
    const struct nx_view *view = nx_core_view(g->core);
    nx_vid vid = nx_bootstrap_left_behind(g->boot);
    char why[NX_ERR_TEXT_BYTES];
    nx_bootstrap_note_blocked(g->boot, is_blocked(g) ? nx_core_alive(g->core) : 0);
    say_waits(g);
    seek_majority(g, now);
    if (vid > view->vid) {
        snprintf(why, sizeof why, "the group went on without this node: it is in view %llu",
                 (unsigned long long)vid);
        nx_group_give_up(g, why);
    } else if (gives_way(g)) {
        snprintf(why, sizeof why, "half of view %llu lost the other half, and this node gives way",
                 (unsigned long long)view->vid);
        nx_group_give_up(g, why);
    } else {
        begin_again(g, now);
    }
}
