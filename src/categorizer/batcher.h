/* batcher.h — which photos run next, together? A pure core: a function of (queues, now, profiles).
 *
 *   admit ──► PREPARING ──ready──► READY ──next──► running ──ran──► (the caller's again)
 *     │            └──────drop───────┴──► (the caller's again)
 *     └──► refused: the queue is full, or the answer would come too late
 *
 * A *lane* is the queue of one model, by turn:
 *
 *   turn = deadline + (priority - NX_BATCH_LEVEL_MIDDLE) · NX_BATCH_LEVEL_NS        the tightest deadline first
 *
 * so that among photos of one deadline the higher priority goes first, and no photo starves: of those with the same time
 * given, only what comes within (b - a) · NX_BATCH_LEVEL_NS after it overtakes a photo of level b from level a. The device
 * takes a batch whenever it is free and something is ready: it never waits for a batch to fill.
 *
 *   batch = the most photos, up to best(profile) and the size b with 2 · latency(b) <= the tightest time a photo was
 *           given, that the first of them still meets its deadline with
 *
 * The factor of two: a photo that comes just after a batch has begun waits one batch and rides in the next.
 * When the first one's deadline forces a batch so small that more of the others would be late than if it were not
 * there, it is given up, not the size of the batch. Giving up the size is what makes a server collapse: each batch is
 * small because its head is nearly late, and the next head is nearer still.
 *
 * Admission  estimate = rest of the running batch + the batches of the lane's photos before it + its own
 *            + for every other lane the less of its work and as much time as that; over the deadline: refused now.
 * Fairness   deficit round robin over the lanes that have something ready, by measured device time: whoever used more
 *            than its turn pays it back in rounds that it sits out.
 * Estimates  latency(b) · pace; a lane's pace follows measured / mean, within 1/16 and 16. A photo that nobody
 *            is before is tried whatever the estimate says, so a pace that is wrong meets the truth again.
 * Bounds     photos and bytes of all lanes together. Nothing is allocated.
 * Owner      the caller owns batcher, lanes, items; an item and its lane stay where they are until it is out.
 * Thread     one at a time (device.c holds a lock).
 * Source     deficit round robin: Shreedhar, Varghese, ToN 1996, charged after service as costs are known only then;
 *            dropping from the head: Nexus, SOSP 2019; admission by estimate: Clockwork, OSDI 2020. */
#ifndef NX_CATEGORIZER_BATCHER_H
#define NX_CATEGORIZER_BATCHER_H

#include "categorizer/profile.h"

#include <stdbool.h>

enum { NX_BATCH_ITEMS_MAX = 256 };
enum { NX_BATCH_LEVELS = 9, NX_BATCH_LEVEL_MIDDLE = 5 };
#define NX_BATCH_LEVEL_NS   (10 * NX_SEC) /* of deadline, that a level of priority is worth */
/* the place of a photo whose deadline is NX_NEVER: as one of so long */
#define NX_BATCH_ENDLESS_NS (120 * NX_SEC)
#define NX_BATCH_TURN_NS    (10 * NX_MS) /* device time of a lane in one round */

enum nx_batch_state { NX_BATCH_OUT, NX_BATCH_PREPARING, NX_BATCH_READY };

struct nx_lane;

/* A photo; the head of the caller's own struct. */
struct nx_batch_item {
    struct nx_batch_item *prev, *next; /* READY: in its lane; in a list handed out: next */
    struct nx_lane *lane;
    enum nx_batch_state state;
    uint32_t priority;             /* 1 first … NX_BATCH_LEVELS last; 0: the middle */
    nx_ns turn_ns;                 /* its place in the lane; the batcher's */
    nx_ns arrived_ns, deadline_ns; /* NX_NEVER: any time will do */
    uint64_t bytes;                /* that it holds while it is in */
};

struct nx_lane {
    struct nx_profile profile;
    uint32_t best;     /* of the profile */
    uint32_t size_max; /* best, or less while tight deadlines are about */
    double pace;       /* measured time / the profile's mean */
    uint32_t ready, preparing;
    struct nx_batch_item *first, *last;      /* READY, by turn, then by arrival */
    struct nx_lane *round_prev, *round_next; /* the lanes with something ready */
    nx_ns deficit_ns;                        /* > 0: it may take a batch */
};

struct nx_batcher {
    uint32_t items_max, items;
    uint32_t ready; /* of the items */
    uint64_t bytes_max, bytes;
    struct nx_lane *turn; /* NULL: nothing is ready */
    bool running;
    nx_ns free_at_ns; /* when the running batch ends, by estimate */
};

struct nx_batch {
    struct nx_lane *lane; /* NULL: nothing to run */
    struct nx_batch_item *items[NX_BATCH_ITEMS_MAX];
    uint32_t count;
    struct nx_batch_item *late; /* a list: their deadline cannot be met any more */
};

void nx_batcher_init(struct nx_batcher *batcher, uint32_t items_max, uint64_t bytes_max);
void nx_lane_init(struct nx_lane *lane, const struct nx_profile *profile);

/* Item arrives with its deadline and bytes set. NX_UNAVAILABLE: full, or too late by estimate; NX_DEADLINE: it has
 * passed. */
enum nx_status nx_batcher_admit(struct nx_batcher *batcher, struct nx_lane *lane,
                                struct nx_batch_item *item, nx_ns now, struct nx_err *err);
void nx_batcher_ready(struct nx_batcher *batcher, struct nx_batch_item *item);
void nx_batcher_drop(struct nx_batcher *batcher, struct nx_batch_item *item); /* PREPARING, READY */

/* Would it be late even if it were ready now? Then preparing it is work for nothing: drop it. A PREPARING item; with
 * nobody before it only one whose deadline has passed. */
bool nx_batcher_is_hopeless(const struct nx_batcher *batcher, const struct nx_batch_item *item,
                            nx_ns now);

/* The device is free. What it fills in is out; if there is a lane, nx_batcher_ran follows. */
void nx_batcher_next(struct nx_batcher *batcher, nx_ns now, struct nx_batch *batch);
void nx_batcher_ran(struct nx_batcher *batcher, struct nx_lane *lane, uint32_t count, nx_ns took);

#endif
