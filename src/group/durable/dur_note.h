/* dur_note.h — what a member keeps on its disk about views, and when a view is *certain*.
 *
 *   a note  = the newest view that this member knows to be certain, and all views after it that it installed
 *   certain = every member of the view has the view in its note, and on its disk its shard's state if it had that as the
 *             view began; so has at least half of each view between it and the certain view before
 *
 *   certain(V) known anywhere  =>  no nodes without V in a note of theirs can restart the group (P4)
 *
 * Why. Whoever restarts needs, besides what else he may need, a majority of the newest certain view H that a note of
 * theirs holds, and of each later view in them (dur_restart.h). Let V be certain somewhere and a restart come from
 * nodes with H older than V. V's members hold V in their notes and are at least half of H, so a majority of H has one
 * of them: so V is among the later views in those notes, and a majority of V is needed, too: its state is not lost.
 * Were the second condition missing, a group that shrank twice within one disk write could go on alone on one side
 * and be restarted on the other.
 *
 * A member that was away (a joiner) lacks the views between: it relies on another member's knowledge, and does not
 * call a view certain by itself. The view that the bootstrap makes is in every note before it is installed anywhere,
 * so it is certain from its installation on.
 * Owner   values; nothing is allocated. Thread  any
 * Input   a note's bytes come from a disk or from another node: hostile
 * Source  the write-ahead of a reconfiguration, as in Vertical Paxos; the words are Derecho's where it has some */
#ifndef NX_GROUP_DUR_NOTE_H
#define NX_GROUP_DUR_NOTE_H

#include "group/view/view.h"

#include <stddef.h>

enum {
    /* Views that are not certain yet; with more, the living group waits with "durable". What is left is for those with
     * which the group begins again: that settles all the others. */
    NX_DUR_VIEWS_LIVE_MAX = 12,
    NX_DUR_VIEWS_MAX = 16,
    NX_DUR_MEMBERS_MAX = 2 * NX_MEMBERS_MAX,
    NX_DUR_NOTE_BYTES_MAX = 8 + NX_DUR_VIEWS_MAX * (24 + NX_DUR_MEMBERS_MAX * 7),
    NX_DUR_NO_SHARD = 255,
};

struct nx_dur_member {
    nx_node node;
    uint8_t subgroup, shard; /* shard NX_DUR_NO_SHARD: a spare */
    bool stateless;          /* its shard's state was on its way when the view began */
    bool keeper; /* no member of the view: it had the state of a shard when it was last anywhere */
};

/* A view is named by its number and its incarnation: how often the group was begun anew, as a drawn number. Members
 * agree on the next view in memory, so after a total failure a number may be used again; an incarnation is not. */
struct nx_dur_view {
    nx_vid vid;
    uint32_t incarnation;
    nx_vid since; /* the incarnation's first view */
    uint32_t count;
    struct nx_dur_member members[NX_DUR_MEMBERS_MAX]; /* and keepers */
};

struct nx_dur_note {
    bool certain;  /* views[0] is */
    bool void_log; /* this node's log is being replaced: it counts for nothing */
    bool away; /* views may be missing: this member joined after another one knew a certain view */
    uint32_t count;
    struct nx_dur_view views[NX_DUR_VIEWS_MAX]; /* vids ascend */
};

static inline const struct nx_dur_view *nx_dur_newest(const struct nx_dur_note *note)
{
    return note->count ? &note->views[note->count - 1] : NULL;
}

const struct nx_dur_member *nx_dur_find(const struct nx_dur_view *view, nx_node node); /* or NULL */
uint32_t nx_dur_members(const struct nx_dur_view *view); /* keepers not counted */
/* The node had the shard's state when the view began, or keeps it. */
bool nx_dur_keeps(const struct nx_dur_view *view, nx_node node, uint8_t subgroup, uint8_t shard);

/* The next view is installed: true if it is in the note now. False: no room, or it is not newer. A view of the same
 * members in the same places as the newest one that is not certain takes its place. */
bool nx_dur_note_add(struct nx_dur_note *note, const struct nx_dur_view *view);
/* The group is about to begin with the view: as add, with room of its own. */
bool nx_dur_note_begin(struct nx_dur_note *note, const struct nx_dur_view *view);

/* Whoever keeps this note may join the view: NX_DENIED if the note holds, for certain, a view that the group's
 * incarnation does not know. Two parts of a group that both went on are kept apart by it. */
enum nx_status nx_dur_may_join(const struct nx_dur_note *note, const struct nx_dur_view *view,
                               struct nx_err *err);

/* Installed as a joiner: as add, after what the view disproves is forgotten. */
bool nx_dur_note_join(struct nx_dur_note *note, const struct nx_dur_view *view);

/* Every member of the newest view holds it in its note: may we call it certain by what we know
 * ourselves? Not if a shard whose state is in nobody is kept by those alone who got the state
 * after the certain view, and may have died with it before their disks had it: who had it in the
 * certain view would be forgotten. */
bool nx_dur_note_may_settle(const struct nx_dur_note *note);

/* Whether the shard's state, as far as this note knows, is on the disk of another member of the
 * newest view than the comer, so that the comer's log may be replaced; true if nobody there has
 * the state. */
bool nx_dur_note_kept_without(const struct nx_dur_note *note, nx_node comer, uint8_t subgroup,
                              uint8_t shard);

/* It is certain: the older views are forgotten. */
void nx_dur_note_settle(struct nx_dur_note *note);

/* Bytes written, at most NX_DUR_NOTE_BYTES_MAX. */
size_t nx_dur_note_encode(const struct nx_dur_note *note, uint8_t *dst, size_t cap);
enum nx_status nx_dur_note_decode(const uint8_t *bytes, size_t len, struct nx_dur_note *note,
                                  struct nx_err *err);

#endif
