/* mc_shard.h — one shard's ordered multicast at one member: sending, holding, and freeing what all
 * have delivered.
 *
 *   indexes[s]   messages of sender s that we hold, nulls included; indexes[own]: what we sent
 *   received   = places of the total order held without a gap         (mc_order.h, mc_stability.h)
 *   delivered <= received                                                           (mc_deliver.h)
 *   out.freed  : our messages before it are delivered by every member       (S3)
 *
 * A sender with nothing to say fills the places that others wait for with nulls, one record for a
 * run of them. A wedged shard sends nothing, holds nothing new and delivers nothing until the trim is
 * known; what then is left of our own messages is saved, and sent again in the next view.
 * Everything in another member's ring is checked when it is received, and again when it is
 * delivered; a refusal is a sentence that names the offence.
 * Owner   the rings lie in the region. Thread  group thread only
 * Source  Derecho's SMC with Spindle's null messages. Departure: a ring of bytes, not of fixed
 *         slots, so that a batch of small messages leaves as one write. */
#ifndef NX_GROUP_MC_SHARD_H
#define NX_GROUP_MC_SHARD_H

#include "group/multicast/mc_window.h"
#include "group/sst/sst_layout.h"
#include "group/view/message.h"

struct nx_mc {
    uint32_t subgroup, shard; /* which one we serve in */
    uint32_t senders, own;    /* members of the shard, and our sender number; senders 0: a spare */
    nx_rank members[NX_MEMBERS_MAX];    /* sender number → rank */
    uint32_t sender_of[NX_MEMBERS_MAX]; /* rank → sender number */
    nx_rankset set, peers;              /* the shard's ranks, with and without ours */
    bool wedged;
    bool trimming;    /* wedged, but delivers up to the trim that the caller names as frontier */
    bool frees_early; /* a mutant: one message too early */
    uint64_t base;    /* seq of the epoch's first place */
    size_t send_max;

    struct nx_window out;  /* our ring */
    struct nx_intake tail; /* the next record to free, … */
    uint64_t tail_index;   /* … and how many of ours must be delivered everywhere for that */

    struct nx_intake held[NX_MEMBERS_MAX]; /* per sender: what is received */
    struct nx_intake due[NX_MEMBERS_MAX];  /* per sender: what is delivered */
    uint64_t
        due_nulls[NX_MEMBERS_MAX];    /* per sender: left of the null run that delivery stands in */
    uint64_t indexes[NX_MEMBERS_MAX]; /* per sender */
    uint64_t received, delivered;     /* places of the total order */
    /* places up to the newest message known that is no null: somebody waits for these */
    uint64_t awaited;
    uint64_t nulls_sent;
};

/* Takes the shard that `self` serves in of its subgroup in `layout`; a spare has none. */
void nx_mc_init(struct nx_mc *mc, const struct nx_layout *layout, uint32_t subgroup, nx_rank self,
                uint8_t *region, const struct nx_region_shape *shape, size_t send_max);

/* The end of an epoch: copies our own undelivered messages, in order, without nulls, nor commits if the bulk streams are
 * cut. `room` takes a ring. Returns their bytes. */
uint64_t nx_mc_save(const struct nx_mc *mc, bool cut, uint8_t *room);

/* The beginning of the next one, after nx_mc_init: appends them again, also to a wedged shard. */
void nx_mc_restore(struct nx_mc *mc, const uint8_t *room, uint64_t bytes);

/* The places up to and including our commit of `stream` in this epoch; 0: it is not among our messages. */
uint64_t nx_mc_find_commit(const struct nx_mc *mc, nx_stream stream);

/* Appends a message (NX_REC_MESSAGE, or NX_REC_COMMIT with `stream` before the bytes). NX_AGAIN:
 * the window is full. The caller checked the length and that the shard may send. */
enum nx_status nx_mc_append(struct nx_mc *mc, uint8_t kind, nx_stream stream, const void *bytes,
                            size_t len);

/* Sender s's ring is readable up to `sent`: checks and counts what is new. NULL, or why the sender
 * is not believed. */
const char *nx_mc_receive(struct nx_mc *mc, uint32_t sender, uint64_t sent);

/* After receiving: fills the places that others wait for, if the window has room, and computes
 * `received`. */
void nx_mc_settle(struct nx_mc *mc);

/* Every member has delivered `everywhere` places: frees our records that are among them. NULL, or
 * that our own ring was overwritten. */
const char *nx_mc_free(struct nx_mc *mc, uint64_t everywhere);

/* The next record of sender s as both walks see it: its kind and lengths must be possible. */
const char *nx_mc_check_record(const struct nx_mc *mc, const struct nx_record *record,
                               uint64_t index);

#endif
