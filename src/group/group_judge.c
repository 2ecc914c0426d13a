#include "group/group_judge.h"

#include <string.h>

enum nx_disk_verdict nx_judge_disk(const struct nx_view *view, nx_node self, bool blocked,
                                   const struct nx_boot_hello *hello, struct nx_err *why)
{
    struct nx_err apart = {0};
    struct nx_dur_offer ours = {.node = self, .has_note = true};
    struct nx_dur_view next = {
        .vid = view->vid + 1, .incarnation = view->incarnation, .since = view->begun};
    if (!hello->offer.has_note)
        return NX_DISK_OPEN;
    memcpy(ours.group_id, view->group_id, sizeof ours.group_id);
    if (nx_dur_same_group(&ours, &hello->offer, why) != NX_OK)
        return NX_DISK_FOREIGN;
    if (nx_dur_may_join(&hello->offer.note, &next, &apart) == NX_OK)
        return NX_DISK_OPEN;
    const struct nx_dur_view *certain = &hello->offer.note.views[0];
    bool later = certain->incarnation == view->incarnation ||
                 (blocked && certain->since > view->vid); /* begun anew from a view like ours */
    if (later)
        nx_err_set(why, NX_AGAIN,
                   "node %u was left behind in view %llu: the disk of node %u holds view %llu of "
                   "this group",
                   self, (unsigned long long)view->vid, hello->node,
                   (unsigned long long)certain->vid);
    else if (blocked)
        nx_err_set(why, NX_AGAIN,
                   "node %u, in view %llu, has no majority to know whether the group went on with "
                   "view %llu, which the disk of node %u holds",
                   self, (unsigned long long)view->vid, (unsigned long long)certain->vid,
                   hello->node);
    else
        nx_err_set(why, NX_DENIED, "node %u may not join: %s", hello->node, apart.text);
    return later ? NX_DISK_LEFT_BEHIND : blocked ? NX_DISK_UNCLEAR : NX_DISK_APART;
}

/* As a keeper of the next view: it is one now; or it is a member of this view that died, and may turn out to be one. */
static bool find_keeper(const struct nx_view *view, nx_node node, uint32_t subgroup, uint32_t shard,
                        struct nx_keeper *keeper)
{
    const struct nx_keeper *k = nx_view_keeper(view, node, subgroup, shard);
    nx_rank former = nx_view_rank_of(view, node);
    if (k)
        *keeper = *k;
    if (k || former == NX_RANK_NONE)
        return k != NULL;
    *keeper = (struct nx_keeper){.vid = view->vid, .late = view->stateless >> former & 1};
    return view->members[former].subgroup == subgroup && view->members[former].shard == shard;
}

/* All that was acknowledged in its shard is in that log. The next view decides whether it is needed. */
bool nx_judge_log(const struct nx_view *view, bool persistent, const struct nx_boot_hello *hello,
                  uint8_t *shard, uint64_t *places)
{
    const struct nx_dur_offer *offer = &hello->offer;
    struct nx_keeper keeper;
    if (!persistent || !offer->has_note || !offer->has_log || offer->shard >= NX_SHARDS_MAX ||
        offer->places >= INT64_MAX >> 16 ||
        !find_keeper(view, hello->node, hello->subgroup, offer->shard, &keeper))
        return false;
    if (keeper.late && offer->log_vid != nx_dur_stamp(view->incarnation, keeper.vid))
        return false;
    *shard = offer->shard;
    *places = offer->places;
    return true;
}

bool nx_judge_for_good(const struct nx_view *view, nx_rankset alive)
{
    nx_rankset members = nx_view_ranks(view);
    return 2 * __builtin_popcountll(members & alive) < __builtin_popcountll(members);
}
