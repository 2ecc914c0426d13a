/* dur_restart.h — after a total failure: may the nodes that have come start the group again, and from whose logs?
 *
 *   H        = the newest certain view in any of their notes (dur_note.h)
 *   start    <=  for H and every later view in their notes, more than half of its members have come, each with its
 *                note, and for each persistent shard of H one that had the shard's state in H, or came into it in
 *                H or later and has a log whose newest record, or checkpoint, is of then or later
 *   truth(s) = among those, the longest log of those who stood with state in the newest view
 *   places(s)= of that log: everything that was ever acknowledged as durable is below (P1)
 *
 * Why. Acknowledged in view V: every member of the shard with state in V has it on its disk, and V is certain, so H is
 * V or later. In H whoever had state at its beginning has on its disk all that was delivered before H: a member says
 * that H is in its note only after that. So any log of a member with state in H holds what was acknowledged. Every
 * acknowledgement in H waits for who came in H without state, too, and its log begins with the state as of H.
 * Two logs whose newest record is the same (view and place) are the same log (P2). A member whose log is not the
 * truth's equal gets the state from one whose log is.
 * In a shard of which nobody had the state in H nothing was ever acknowledged: the longest log that
 * has come is the truth; if all are void, or there is none, the shard begins empty. A node whose
 * disk is empty does not count: it cannot say what it has seen. Only a first view that was never
 * certain, all of whose members are here, may begin anew.
 *
 * Owner  values, caller's memory. Thread any. Input  offers are hostile but decoded (dur_note.h); nothing is believed
 *        that would let fewer nodes start. Source  Derecho, ACM TOCS 2019, total restart. Departure: certain views */
#ifndef NX_GROUP_DUR_RESTART_H
#define NX_GROUP_DUR_RESTART_H

#include "common/nx_assert.h"
#include "group/durable/dur_note.h"

enum { NX_DUR_GROUP_BYTES = 16 };

/* What a node brings to the bootstrap. */
struct nx_dur_offer {
    nx_node node;
    uint8_t subgroup;
    uint8_t shard; /* of its log */
    bool has_note; /* else: a fresh disk */
    bool has_log;
    uint8_t group_id[NX_DUR_GROUP_BYTES];
    struct nx_dur_note note;
    /* of the log's newest record or checkpoint, incarnation and vid: nx_dur_stamp */
    uint64_t log_vid;
    uint64_t places; /* the log's newest version + 1; 0: nothing */
};

/* What records of a log carry as their vid. */
static inline uint64_t nx_dur_stamp(uint32_t incarnation, nx_vid vid)
{
    nx_assert(vid <= NX_VID_MAX);
    return (uint64_t)incarnation << 32 | vid;
}

enum nx_dur_verdict {
    NX_DUR_NEW,  /* nobody has a note: a new group */
    NX_DUR_WAIT, /* `why` says for whom */
    NX_DUR_START,
};

struct nx_dur_place {
    uint8_t shard;  /* NX_DUR_NO_SHARD: wherever there is room */
    bool has_state; /* its log is the truth */
};

struct nx_dur_restart {
    enum nx_dur_verdict verdict;
    bool complete;     /* START: all members of these views are here, nobody is worth waiting for */
    struct nx_err why; /* WAIT, and START that is not complete: who is missing */
    nx_vid vid;        /* of the view to install: above all that any note holds */
    uint8_t group_id[NX_DUR_GROUP_BYTES];
    struct nx_dur_place places[NX_MEMBERS_MAX]; /* as the offers stand */
    uint64_t base[NX_SUBGROUPS_MAX][NX_SHARDS_MAX];
};

/* Bits of `mutants`; the simulator's and the tests' alone. */
enum { NX_DUR_MUTANT_MINORITY = 1u << 0 /* any node starts the group */ };

/* `persistent`: bit g, subgroup g keeps logs. */
void nx_dur_restart_decide(const struct nx_dur_offer *offers, uint32_t count, uint32_t persistent,
                           unsigned mutants, struct nx_dur_restart *restart);

/* Which subgroups keep logs, as decide takes it. */
uint32_t nx_dur_persistent(const struct nx_group_spec *spec);

/* The view that the group begins with: `view` has its members, in the order of the offers, of which it fills in the rest. A
 * group that keeps nothing on disks begins with view 1; `drawn`, a random number, becomes the
 * incarnation of one that does. */
void nx_dur_restart_view(const struct nx_dur_restart *restart, const struct nx_group_spec *spec,
                         uint32_t drawn, struct nx_view *view);

enum { NX_DUR_OFFER_BYTES_MAX = 48 + NX_DUR_NOTE_BYTES_MAX };
/* As it travels; the node and its subgroup are not in it. */
size_t nx_dur_offer_encode(const struct nx_dur_offer *offer, uint8_t *dst, size_t cap);
enum nx_status nx_dur_offer_decode(const uint8_t *bytes, size_t len, struct nx_dur_offer *offer,
                                   struct nx_err *err);

/* NX_DENIED if the newcomer's disk is another group's than that of those who have come; names both. */
enum nx_status nx_dur_same_group(const struct nx_dur_offer *here, const struct nx_dur_offer *comer,
                                 struct nx_err *err);

#endif
