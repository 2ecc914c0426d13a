/* group_judge.h — what a member thinks of its own view and of the disk that a joiner brings: pure
 * verdicts, for group*.c alone.
 *
 *   OPEN         nothing that the disk holds speaks against a seat
 *   FOREIGN      the disk is another group's: refused for good
 *   APART        the disk holds, for certain, a view of a part of the group that was restarted
 *                apart from ours, which has its majority: refused for good
 *   UNCLEAR      the same, but we have no majority: who of the two went on, others know better. It asks them
 *   LEFT_BEHIND  the disk holds, for certain, a later view of our own group: it is we who were left behind
 *
 * Why LEFT_BEHIND follows: views of one incarnation are one chain (V2), and a view is certain only
 * once all of its members have it in their notes, so we are none of them. A restart numbers its
 * view above all that the notes in it hold: one that began below or at our view was made apart from
 * it; one that began above it, if it was apart, too, is settled in that view, as nx_dur_may_join
 * has it, once we give ours up. With a majority we never do.
 * Owner  values. Thread any. Input  the hello is hostile but decoded. Source  ours */
#ifndef NX_GROUP_JUDGE_H
#define NX_GROUP_JUDGE_H

#include "group/fabric/boot_wire.h"

enum nx_disk_verdict {
    NX_DISK_OPEN,
    NX_DISK_FOREIGN,
    NX_DISK_APART,
    NX_DISK_UNCLEAR,
    NX_DISK_LEFT_BEHIND,
};

/* `why` says it in one sentence, but for OPEN. */
enum nx_disk_verdict nx_judge_disk(const struct nx_view *view, nx_node self, bool blocked,
                                   const struct nx_boot_hello *hello, struct nx_err *why);

/* "A keeper whose log stands brings the state with it": true if this joiner is one, of that shard, whose log has so many
 * places. Of its subgroup, `persistent`, or it is none. */
bool nx_judge_log(const struct nx_view *view, bool persistent, const struct nx_boot_hello *hello,
                  uint8_t *shard, uint64_t *places);

/* Those who are not suspected are less than half of the view: whatever comes, no later view has us, unless one was decided
 * already (docs/view-change.md, "For good"). Suspected stays suspected, and one half that is left may go on with proof that
 * another member died. */
bool nx_judge_for_good(const struct nx_view *view, nx_rankset alive);

#endif
