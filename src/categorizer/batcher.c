#include "categorizer/batcher.h"

#include "common/nx_assert.h"

#include <stddef.h>

static const double PACE_GAIN = 0.125, PACE_MIN = 1.0 / 16, PACE_MAX = 16;

void nx_batcher_init(struct nx_batcher *b, uint32_t items_max, uint64_t bytes_max)
{
    *b = (struct nx_batcher){.items_max = items_max, .bytes_max = bytes_max};
}

void nx_lane_init(struct nx_lane *lane, const struct nx_profile *profile)
{
    *lane = (struct nx_lane){.profile = *profile, .pace = 1};
    lane->best = nx_profile_best(profile);
    if (lane->best > NX_BATCH_ITEMS_MAX)
        lane->best = NX_BATCH_ITEMS_MAX;
    lane->size_max = lane->best;
}

static nx_ns latency(const struct nx_lane *lane, uint32_t batch)
{
    return (nx_ns)((double)nx_profile_latency(&lane->profile, batch) * lane->pace);
}

/* The largest size up to `most` that takes no longer than `time`; at least 1. */
static uint32_t size_within(const struct nx_lane *lane, uint32_t most, nx_ns time)
{
    uint32_t low = 1;
    while (low < most) {
        uint32_t middle = low + (most - low + 1) / 2;
        if (latency(lane, middle) <= time)
            low = middle;
        else
            most = middle - 1;
    }
    return low;
}

static nx_ns time_given(const struct nx_batch_item *item)
{
    return item->deadline_ns == NX_NEVER ? NX_NEVER : item->deadline_ns - item->arrived_ns;
}

/* --- the round of lanes ---------------------------------------------------------------------------- */

static void join_round(struct nx_batcher *b, struct nx_lane *lane)
{
    struct nx_lane *at = b->turn;
    if (!at) {
        lane->round_prev = lane->round_next = b->turn = lane;
        lane->deficit_ns = 0; /* nobody else was kept waiting */
        return;
    }
    lane->round_prev = at->round_prev;
    lane->round_next = at;
    at->round_prev->round_next = lane;
    at->round_prev = lane;
}

/* What it did not use it cannot save up; what it owes it still owes. */
static void leave_round(struct nx_batcher *b, struct nx_lane *lane)
{
    if (b->turn == lane)
        b->turn = lane->round_next == lane ? NULL : lane->round_next;
    lane->round_prev->round_next = lane->round_next;
    lane->round_next->round_prev = lane->round_prev;
    lane->round_prev = lane->round_next = NULL;
    if (lane->deficit_ns > 0)
        lane->deficit_ns = 0;
}

/* Whole rounds in which everybody sits out are taken at once. */
static void add_rounds(struct nx_batcher *b)
{
    nx_ns least = NX_NEVER;
    struct nx_lane *lane = b->turn;
    do {
        least = -lane->deficit_ns < least ? -lane->deficit_ns : least;
        lane = lane->round_next;
    } while (lane != b->turn);
    nx_ns rounds = least / NX_BATCH_TURN_NS + 1;
    do {
        lane->deficit_ns += rounds * NX_BATCH_TURN_NS;
        lane = lane->round_next;
    } while (lane != b->turn);
}

static struct nx_lane *choose_lane(struct nx_batcher *b)
{
    struct nx_lane *first = b->turn;
    do {
        if (b->turn->deficit_ns > 0)
            return b->turn;
        b->turn = b->turn->round_next;
    } while (b->turn != first);
    add_rounds(b);
    while (b->turn->deficit_ns <= 0)
        b->turn = b->turn->round_next;
    return b->turn;
}

/* --- one lane's queue -------------------------------------------------------------------------------- */

static bool is_before(const struct nx_batch_item *a, const struct nx_batch_item *b)
{
    return a->turn_ns < b->turn_ns || (a->turn_ns == b->turn_ns && a->arrived_ns <= b->arrived_ns);
}

static nx_ns turn_of(const struct nx_batch_item *item, nx_ns now)
{
    nx_ns level = item->priority ? item->priority : NX_BATCH_LEVEL_MIDDLE;
    nx_ns due = item->deadline_ns < NX_NEVER - NX_BATCH_ENDLESS_NS ? item->deadline_ns
                                                                   : now + NX_BATCH_ENDLESS_NS;
    return due + (level - NX_BATCH_LEVEL_MIDDLE) * NX_BATCH_LEVEL_NS;
}

/* From the end, where most of them belong. */
static void enqueue(struct nx_lane *lane, struct nx_batch_item *item)
{
    struct nx_batch_item *before = lane->last;
    while (before && !is_before(before, item))
        before = before->prev;
    item->prev = before;
    item->next = before ? before->next : lane->first;
    *(before ? &before->next : &lane->first) = item;
    *(item->next ? &item->next->prev : &lane->last) = item;
    lane->ready++;
}

static void dequeue(struct nx_lane *lane, struct nx_batch_item *item)
{
    *(item->prev ? &item->prev->next : &lane->first) = item->next;
    *(item->next ? &item->next->prev : &lane->last) = item->prev;
    item->prev = item->next = NULL;
    lane->ready--;
}

static void take_out(struct nx_batcher *b, struct nx_batch_item *item)
{
    struct nx_lane *lane = item->lane;
    nx_assert(item->state != NX_BATCH_OUT && b->items > 0 && b->bytes >= item->bytes);
    if (item->state == NX_BATCH_PREPARING) {
        lane->preparing--;
    } else {
        dequeue(lane, item);
        b->ready--;
        if (lane->ready == 0)
            leave_round(b, lane);
    }
    item->state = NX_BATCH_OUT;
    b->items--;
    b->bytes -= item->bytes;
}

/* --- admission --------------------------------------------------------------------------------------- */

/* Photos of the lane that would run before one with this turn. What is being prepared counts as before it. */
static uint32_t count_before(const struct nx_lane *lane, nx_ns turn)
{
    uint32_t behind = 0;
    for (const struct nx_batch_item *i = lane->last; i && i->turn_ns > turn; i = i->prev)
        behind++;
    return lane->ready - behind + lane->preparing;
}

static nx_ns work_of(const struct nx_lane *lane)
{
    uint32_t size = lane->size_max, full = lane->ready / size, rest = lane->ready % size;
    return full * latency(lane, size) + (rest ? latency(lane, rest) : 0);
}

static nx_ns expected_wait(const struct nx_batcher *b, const struct nx_lane *lane, nx_ns now,
                           nx_ns turn)
{
    uint32_t size = lane->size_max, before = count_before(lane, turn);
    nx_ns own =
        before < size ? latency(lane, before + 1) : (before / size + 1) * latency(lane, size);
    nx_ns wait = own + (b->running && b->free_at_ns > now ? b->free_at_ns - now : 0);
    const struct nx_lane *other = b->turn;
    if (other)
        do {
            if (other != lane)
                wait += nx_ns_least(work_of(other), own + latency(other, other->size_max));
            other = other->round_next;
        } while (other != b->turn);
    return wait;
}

static enum nx_status say_full(const struct nx_batcher *b, struct nx_err *err)
{
    return nx_err_set(err, NX_UNAVAILABLE,
                      "%u photos of %llu bytes wait at this replica already, at most %u of %llu "
                      "bytes may",
                      b->items, (unsigned long long)b->bytes, b->items_max,
                      (unsigned long long)b->bytes_max);
}

enum nx_status nx_batcher_admit(struct nx_batcher *b, struct nx_lane *lane,
                                struct nx_batch_item *item, nx_ns now, struct nx_err *err)
{
    nx_assert(item->state == NX_BATCH_OUT);
    if (item->deadline_ns <= now)
        return nx_err_set(err, NX_DEADLINE, "the deadline passed before the photo was queued");
    if (b->items == b->items_max || item->bytes > b->bytes_max - b->bytes)
        return say_full(b, err);
    nx_assert(item->priority <= NX_BATCH_LEVELS);
    item->turn_ns = turn_of(item, now);
    bool alone = b->items == 0 && !b->running;
    if (item->deadline_ns != NX_NEVER && !alone) {
        nx_ns wait = expected_wait(b, lane, now, item->turn_ns);
        if (wait > item->deadline_ns - now)
            return nx_err_set(err, NX_UNAVAILABLE,
                              "%u photos wait at this replica: an answer would take %lld ms, the "
                              "deadline is in %lld ms",
                              b->items, (long long)(wait / NX_MS),
                              (long long)((item->deadline_ns - now) / NX_MS));
    }
    item->lane = lane;
    item->arrived_ns = now;
    item->state = NX_BATCH_PREPARING;
    lane->preparing++;
    b->items++;
    b->bytes += item->bytes;
    return NX_OK;
}

void nx_batcher_ready(struct nx_batcher *b, struct nx_batch_item *item)
{
    struct nx_lane *lane = item->lane;
    nx_assert(item->state == NX_BATCH_PREPARING);
    lane->preparing--;
    item->state = NX_BATCH_READY;
    enqueue(lane, item);
    b->ready++;
    if (lane->ready == 1)
        join_round(b, lane);
}

void nx_batcher_drop(struct nx_batcher *b, struct nx_batch_item *item)
{
    take_out(b, item);
}

/* --- one batch ---------------------------------------------------------------------------------------- */

/* To the front of the list of those that are late. */
static void give_up(struct nx_batcher *b, struct nx_batch_item *item, struct nx_batch *batch)
{
    take_out(b, item);
    item->next = batch->late;
    batch->late = item;
}

static bool is_too_late(const struct nx_batch_item *item, nx_ns now, nx_ns takes)
{
    return item->deadline_ns != NX_NEVER && item->deadline_ns - now < takes;
}

/* Those that are ready run before it, others that are being prepared may or may not. */
bool nx_batcher_is_hopeless(const struct nx_batcher *b, const struct nx_batch_item *item, nx_ns now)
{
    const struct nx_lane *lane = item->lane;
    nx_assert(item->state == NX_BATCH_PREPARING);
    uint32_t before = count_before(lane, item->turn_ns) - lane->preparing;
    if (before == 0 && !b->running)
        return is_too_late(item, now, 0);
    nx_ns rest = b->running && b->free_at_ns > now ? b->free_at_ns - now : 0;
    nx_ns takes = rest + before / lane->size_max * latency(lane, lane->size_max);
    return is_too_late(item, now, takes + latency(lane, 1));
}

/* Those that would be late even alone; priorities may have put others before them. The last photo is only given up once its
 * time is over: that an estimate says so is no reason to leave the device idle. */
static void drop_hopeless(struct nx_batcher *b, struct nx_lane *lane, nx_ns now,
                          struct nx_batch *batch)
{
    nx_ns one = latency(lane, 1);
    for (struct nx_batch_item *i = lane->first, *next; i; i = next) {
        next = i->next;
        if (is_too_late(i, now, lane->ready > 1 ? one : 0))
            give_up(b, i, batch);
    }
}

static uint32_t plan_size(const struct nx_lane *lane)
{
    nx_ns tightest = NX_NEVER;
    for (const struct nx_batch_item *i = lane->first; i; i = i->next)
        tightest = nx_ns_least(tightest, time_given(i));
    return tightest == NX_NEVER ? lane->best : size_within(lane, lane->best, tightest / 2);
}

/* How many of the lane's photos from the one at `skip` on would be late, run in full batches from `start` on. */
static uint32_t count_late(const struct nx_lane *lane, uint32_t skip, nx_ns start)
{
    uint32_t size = lane->size_max, at = 0, left = lane->ready - skip, late = 0;
    nx_ns full = latency(lane, size), ends = start;
    for (const struct nx_batch_item *i = lane->first; i; i = i->next, at++) {
        if (at < skip)
            continue;
        if ((at - skip) % size == 0) {
            ends += left >= size ? full : latency(lane, left);
            left -= left < size ? left : size;
        }
        late += i->deadline_ns < ends;
    }
    return late;
}

/* How many to run. A head whose deadline makes the batch small is given up if fewer are late without it. */
static uint32_t choose_count(struct nx_batcher *b, struct nx_lane *lane, nx_ns now,
                             struct nx_batch *batch)
{
    for (;;) {
        uint32_t most = lane->ready < lane->size_max ? lane->ready : lane->size_max;
        nx_ns deadline = lane->first->deadline_ns;
        uint32_t count = deadline == NX_NEVER ? most : size_within(lane, most, deadline - now);
        if (count == most ||
            count_late(lane, count, now + latency(lane, count)) <= 1 + count_late(lane, 1, now))
            return count;
        give_up(b, lane->first, batch);
    }
}

static void fill(struct nx_batcher *b, struct nx_lane *lane, nx_ns now, struct nx_batch *batch)
{
    lane->size_max = plan_size(lane);
    uint32_t count = choose_count(b, lane, now, batch);
    batch->lane = lane;
    while (batch->count < count) {
        batch->items[batch->count++] = lane->first;
        take_out(b, lane->first);
    }
    b->running = true;
    b->free_at_ns = now + latency(lane, count);
}

void nx_batcher_next(struct nx_batcher *b, nx_ns now, struct nx_batch *batch)
{
    nx_assert(!b->running);
    batch->lane = NULL;
    batch->count = 0;
    batch->late = NULL;
    while (b->turn && !batch->lane) {
        struct nx_lane *lane = choose_lane(b);
        drop_hopeless(b, lane, now, batch);
        if (lane->ready > 0)
            fill(b, lane, now, batch);
    }
}

void nx_batcher_ran(struct nx_batcher *b, struct nx_lane *lane, uint32_t count, nx_ns took)
{
    nx_assert(b->running);
    b->running = false;
    lane->deficit_ns -= took;
    double expected = (double)nx_profile_mean(&lane->profile, count);
    double pace = expected > 0 ? (double)took / expected : 1;
    pace = pace < PACE_MIN ? PACE_MIN : pace > PACE_MAX ? PACE_MAX : pace;
    lane->pace += PACE_GAIN * (pace - lane->pace);
}
