#include "categorizer/batcher.h"
#include "common/prng.h"
#include "nx_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Service times of a known network: 1.053 ms for each photo after 5.072 ms for each batch (the SOSP 2019 paper's). */
static const struct nx_profile resnet_like = {.rows_count = 2,
                                              .rows = {{1, 6125, 0, 0, 9}, {32, 38768, 0, 0, 9}}};
/* A model for which a batch is as long as its photos one after the other. */
static const struct nx_profile linear = {.rows_count = 2,
                                         .rows = {{1, 10000, 0, 0, 9}, {2, 20000, 0, 0, 9}}};

static struct nx_batcher b;
static struct nx_lane lane, other;
static struct nx_err err;

static void begin(const struct nx_profile *profile)
{
    nx_batcher_init(&b, 1024, 1 << 20);
    nx_lane_init(&lane, profile);
    nx_lane_init(&other, profile);
    memset(&err, 0, sizeof err);
}

static void add(struct nx_lane *to, struct nx_batch_item *item, nx_ns now, nx_ns deadline)
{
    *item = (struct nx_batch_item){.deadline_ns = deadline, .bytes = 1};
    assert_int_equal(nx_batcher_admit(&b, to, item, now, &err), NX_OK);
    nx_batcher_ready(&b, item);
}

static uint32_t count_list(const struct nx_batch_item *list)
{
    uint32_t n = 0;
    for (; list; list = list->next)
        n++;
    return n;
}

/* --- the header's sentences ------------------------------------------------------------------------- */

static void the_best_size_comes_from_the_profile(void **state)
{
    (void)state;
    begin(&resnet_like);
    assert_int_equal(lane.best, 32);
    begin(&linear); /* nothing is gained by waiting for others */
    assert_int_equal(lane.best, 1);
}

static void a_free_device_takes_what_is_there_and_waits_for_nothing(void **state)
{
    (void)state;
    struct nx_batch_item items[40];
    struct nx_batch batch;
    begin(&resnet_like);
    nx_batcher_next(&b, 0, &batch);
    assert_null(batch.lane);
    add(&lane, &items[0], 0, NX_NEVER);
    nx_batcher_next(&b, 0, &batch);
    assert_int_equal(batch.count, 1);
    for (int i = 1; i < 40; i++)
        add(&lane, &items[i], i, NX_NEVER);
    nx_batcher_ran(&b, &lane, 1, 6 * NX_MS);
    nx_batcher_next(&b, 6 * NX_MS, &batch);
    assert_int_equal(batch.count, 32); /* the best, of 39 that are there */
    for (int i = 0; i < 32; i++)
        assert_ptr_equal(batch.items[i], &items[1 + i]); /* by arrival */
    nx_batcher_ran(&b, &lane, 32, 38 * NX_MS);
    nx_batcher_next(&b, 44 * NX_MS, &batch);
    assert_int_equal(batch.count, 7);
    assert_int_equal(b.items, 0);
    assert_int_equal(b.bytes, 0);
}

static void the_tightest_deadline_comes_first_and_bounds_the_batch(void **state)
{
    (void)state;
    struct nx_batch_item items[20];
    struct nx_batch batch;
    begin(&resnet_like);
    for (int i = 0; i < 19; i++)
        add(&lane, &items[i], 0, NX_SEC);
    items[19] = (struct nx_batch_item){.deadline_ns = 20 * NX_MS, .bytes = 1};
    assert_int_equal(nx_batcher_admit(&b, &lane, &items[19], 0, &err), NX_OK);
    nx_batcher_ready(&b, &items[19]);
    nx_batcher_next(&b, 0, &batch);
    assert_ptr_equal(batch.items[0], &items[19]);
    assert_int_equal(batch.count, 4); /* twice 9.3 ms, but not twice 10.3 ms, are within 20 */
    assert_null(batch.late);
}

static void a_head_that_costs_more_than_itself_is_given_up(void **state)
{
    (void)state;
    struct nx_batch_item items[33];
    struct nx_batch batch;
    begin(&resnet_like);
    for (int i = 0; i < 33; i++)
        add(&lane, &items[i], 0, i == 0 ? 80 * NX_MS : 112 * NX_MS);
    /* in 7 ms the head could run, alone; the others, 39 ms long, would then miss theirs by 6 */
    nx_batcher_next(&b, 73 * NX_MS, &batch);
    assert_int_equal(count_list(batch.late), 1);
    assert_ptr_equal(batch.late, &items[0]);
    assert_int_equal(batch.count, 32);
}

static void who_cannot_be_in_time_is_refused_on_arrival_with_figures(void **state)
{
    (void)state;
    struct nx_batch_item items[70];
    begin(&resnet_like);
    for (int i = 0; i < 64; i++)
        add(&lane, &items[i], 0, NX_SEC);
    items[64] = (struct nx_batch_item){.deadline_ns = 100 * NX_MS, .bytes = 1};
    assert_int_equal(nx_batcher_admit(&b, &lane, &items[64], 0, &err), NX_OK); /* it comes first */
    nx_batcher_ready(&b, &items[64]);
    items[65] = (struct nx_batch_item){.deadline_ns = NX_SEC, .bytes = 1};
    assert_int_equal(nx_batcher_admit(&b, &lane, &items[65], NX_SEC - 100 * NX_MS, &err),
                     NX_UNAVAILABLE); /* behind 65 that have waited */
    assert_string_equal(err.text, "65 photos wait at this replica: an answer would take 116 ms, "
                                  "the deadline is in 100 ms");
    assert_int_equal(items[65].state, NX_BATCH_OUT);
    items[66] = (struct nx_batch_item){.deadline_ns = 5, .bytes = 1};
    assert_int_equal(nx_batcher_admit(&b, &lane, &items[66], 6, &err), NX_DEADLINE);
    assert_int_equal(b.items, 65);
}

/* 64 ready ones are two batches of 38.8 ms; alone a photo takes 6.1 ms. */
static void what_would_be_late_is_known_before_it_is_prepared(void **state)
{
    (void)state;
    struct nx_batch_item items[64], late = {.deadline_ns = 200 * NX_MS, .bytes = 1};
    struct nx_batch batch;
    begin(&resnet_like);
    assert_int_equal(nx_batcher_admit(&b, &lane, &late, 0, &err), NX_OK);
    assert_false(nx_batcher_is_hopeless(&b, &late, 200 * NX_MS)); /* nobody before it: tried */
    assert_true(nx_batcher_is_hopeless(&b, &late, 201 * NX_MS));
    for (int i = 0; i < 64; i++)
        add(&lane, &items[i], 0, 200 * NX_MS - 1);
    assert_false(nx_batcher_is_hopeless(&b, &late, 116 * NX_MS)); /* 77.6 + 6.2 */
    assert_true(nx_batcher_is_hopeless(&b, &late, 117 * NX_MS));
    nx_batcher_next(&b, 100 * NX_MS, &batch); /* half of them run until 138.8 */
    assert_int_equal(batch.count, 32);
    assert_false(nx_batcher_is_hopeless(&b, &late, 110 * NX_MS));
    late.turn_ns = late.deadline_ns = 180 * NX_MS; /* before those: after the batch that runs */
    assert_false(nx_batcher_is_hopeless(&b, &late, 138 * NX_MS));
    assert_true(nx_batcher_is_hopeless(&b, &late, 174 * NX_MS));
    late.deadline_ns = NX_NEVER;
    assert_false(nx_batcher_is_hopeless(&b, &late, 300 * NX_MS));
}

static void who_finds_nobody_before_is_tried_whatever_the_estimate(void **state)
{
    (void)state;
    struct nx_batch_item item;
    struct nx_batch batch;
    begin(&resnet_like);
    lane.pace = 16; /* a machine that stood still for a moment */
    for (int i = 0; i < 40; i++) {
        nx_ns now = i * 20 * NX_MS;
        add(&lane, &item, now, now + 10 * NX_MS);
        nx_batcher_next(&b, now, &batch);
        assert_int_equal(batch.count, 1);
        nx_batcher_ran(&b, &lane, 1, 6125 * NX_US);
    }
    assert_true(lane.pace < 1.2); /* and has met the truth again */
}

static void queues_are_bounded_by_count_and_bytes(void **state)
{
    (void)state;
    struct nx_batch_item a = {.deadline_ns = NX_NEVER, .bytes = 60}, c = a, d = a;
    begin(&resnet_like);
    nx_batcher_init(&b, 2, 100);
    assert_int_equal(nx_batcher_admit(&b, &lane, &a, 0, &err), NX_OK);
    assert_int_equal(nx_batcher_admit(&b, &lane, &c, 0, &err), NX_UNAVAILABLE);
    assert_string_equal(err.text, "1 photos of 60 bytes wait at this replica already, at most 2 of "
                                  "100 bytes may");
    c.bytes = d.bytes = 20;
    assert_int_equal(nx_batcher_admit(&b, &lane, &c, 0, &err), NX_OK);
    assert_int_equal(nx_batcher_admit(&b, &lane, &d, 0, &err), NX_UNAVAILABLE);
    nx_batcher_drop(&b, &c);
    assert_int_equal(nx_batcher_admit(&b, &lane, &d, 0, &err), NX_OK);
    assert_int_equal(b.bytes, 80);
}

static void what_is_dropped_never_runs(void **state)
{
    (void)state;
    struct nx_batch_item items[5];
    struct nx_batch batch;
    begin(&resnet_like);
    for (int i = 0; i < 5; i++)
        add(&lane, &items[i], i, NX_NEVER);
    nx_batcher_drop(&b, &items[0]);
    nx_batcher_drop(&b, &items[2]);
    nx_batcher_drop(&b, &items[4]);
    nx_batcher_next(&b, 9, &batch);
    assert_int_equal(batch.count, 2);
    assert_ptr_equal(batch.items[0], &items[1]);
    assert_ptr_equal(batch.items[1], &items[3]);
    nx_batcher_ran(&b, &lane, 2, NX_MS);
    nx_batcher_next(&b, 9, &batch);
    assert_null(batch.lane);
}

/* A model of 38 ms batches beside one of 6 ms: both always have work; each gets half of the device. */
static void add_level(struct nx_batch_item *item, uint32_t level, nx_ns now, nx_ns deadline)
{
    *item = (struct nx_batch_item){.deadline_ns = deadline, .bytes = 1, .priority = level};
    assert_int_equal(nx_batcher_admit(&b, &lane, item, now, &err), NX_OK);
    nx_batcher_ready(&b, item);
}

/* The photo that a device takes which runs one at a time. */
static const struct nx_batch_item *take_one(nx_ns now)
{
    struct nx_batch batch;
    nx_batcher_next(&b, now, &batch);
    assert_int_equal(batch.count, 1);
    nx_batcher_ran(&b, batch.lane, 1, NX_MS);
    return batch.items[0];
}

static void the_higher_priority_goes_first(void **state)
{
    (void)state;
    struct nx_batch_item items[6];
    static const uint32_t levels[6] = {9, 5, 0, 1, 3, 1}, order[6] = {3, 5, 4, 1, 2, 0};
    begin(&linear);
    for (uint32_t i = 0; i < 6; i++) /* also beside one that has no deadline */
        add_level(&items[i], levels[i], (nx_ns)i, i == 2 ? NX_NEVER : i + NX_BATCH_ENDLESS_NS);
    for (uint32_t i = 0; i < 6; i++)
        assert_ptr_equal(take_one(10), &items[order[i]]);
}

/* Photos of the first level come for ever: one of the last waits for those that come within its lead, and no longer. */
static void no_priority_starves(void **state)
{
    (void)state;
    static struct nx_batch_item low, high[1024];
    const nx_ns lead = (NX_BATCH_LEVELS - 1) * NX_BATCH_LEVEL_NS, step = 100 * NX_MS;
    nx_ns now = 0;
    begin(&linear);
    add_level(&low, NX_BATCH_LEVELS, now, now + NX_BATCH_ENDLESS_NS);
    for (uint32_t n = 0;; n++, now += step) {
        assert_true(n < 1024 && now <= lead + step);
        add_level(&high[n], 1, now, now + NX_BATCH_ENDLESS_NS);
        if (take_one(now) == &low)
            break;
    }
    assert_true(now >= lead);
}

/* One behind others whose time is over is not run for nobody. */
static void what_priorities_made_late_is_given_up(void **state)
{
    (void)state;
    struct nx_batch_item first, late;
    struct nx_batch batch;
    begin(&resnet_like);
    add_level(&late, 9, 0, 100 * NX_MS);
    add_level(&first, 1, 0, NX_SEC);
    nx_batcher_next(&b, 200 * NX_MS, &batch);
    assert_int_equal(batch.count, 1);
    assert_ptr_equal(batch.items[0], &first);
    assert_ptr_equal(batch.late, &late);
    assert_int_equal(late.state, NX_BATCH_OUT);
}

static void models_share_the_device_by_its_time(void **state)
{
    (void)state;
    static struct nx_batch_item heavy[64], light[1024];
    struct nx_batch batch;
    nx_ns used[2] = {0}, now = 0;
    begin(&resnet_like);
    other.best = other.size_max = 1;
    uint32_t h = 0, l = 0;
    for (int round = 0; round < 400; round++) {
        while (lane.ready < 32)
            add(&lane, &heavy[h++ % 64], now, NX_NEVER);
        while (other.ready < 8)
            add(&other, &light[l++ % 1024], now, NX_NEVER);
        nx_batcher_next(&b, now, &batch);
        nx_ns took = nx_profile_latency(&resnet_like, batch.count);
        used[batch.lane == &other] += took;
        now += took;
        nx_batcher_ran(&b, batch.lane, batch.count, took);
    }
    double share = (double)used[0] / (double)now;
    if (share < 0.48 || share > 0.52)
        fail_msg("the heavy model used %.3f of the device", share);
}

/* --- twice as many as can be served, in virtual time ------------------------------------------------- */

enum { ITEMS = 4096 };

struct run {
    double rate;   /* photos per second that are offered, Poisson */
    nx_ns given;   /* each one's time */
    bool sensible; /* false: first come first served, no refusals: what the judge must condemn */
    uint32_t on_time, late, refused, dropped;
    nx_ns ends;
};

static nx_ns next_arrival(struct nx_prng *prng, double rate)
{
    return (nx_ns)(-log(1 - nx_prng_unit(prng)) / rate * (double)NX_SEC);
}

static void offer(struct run *r, struct nx_batch_item *item, nx_ns at)
{
    assert_int_equal(item->state, NX_BATCH_OUT);
    *item =
        (struct nx_batch_item){.deadline_ns = r->sensible ? at + r->given : NX_NEVER, .bytes = 1};
    if (nx_batcher_admit(&b, &lane, item, at, &err) == NX_OK)
        nx_batcher_ready(&b, item);
    else
        r->refused++;
}

static void finish(struct run *r, const struct nx_batch *batch, nx_ns took, nx_ns ended)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        bool on_time = ended <= batch->items[i]->arrived_ns + r->given;
        r->on_time += on_time;
        r->late += !on_time;
    }
    if (batch->lane)
        nx_batcher_ran(&b, batch->lane, batch->count, took);
}

/* Service times vary by a tenth around the profile. 20 virtual seconds. */
static void simulate(struct run *r, const struct nx_profile *profile)
{
    static struct nx_batch_item items[ITEMS];
    static struct nx_batch batch;
    struct nx_prng prng;
    nx_prng_init(&prng, 7);
    begin(profile);
    nx_batcher_init(&b, r->sensible ? 1024 : ITEMS / 2, 1 << 20);
    memset(items, 0, sizeof items);
    batch = (struct nx_batch){0};
    r->ends = 20 * NX_SEC;
    uint32_t next = 0;
    nx_ns arrives = next_arrival(&prng, r->rate), ends = NX_NEVER, took = 0;
    while (arrives < r->ends || ends != NX_NEVER) {
        nx_ns now = arrives < ends ? arrives : ends;
        if (arrives < ends) {
            while (items[next % ITEMS].state != NX_BATCH_OUT)
                next++;
            offer(r, &items[next++ % ITEMS], now);
            arrives = now + next_arrival(&prng, r->rate);
            if (arrives >= r->ends)
                arrives = NX_NEVER;
        } else {
            finish(r, &batch, took, now);
            ends = NX_NEVER;
        }
        if (ends == NX_NEVER) {
            nx_batcher_next(&b, now, &batch);
            r->dropped += count_list(batch.late);
            if (batch.lane) {
                double jitter = 0.9 + 0.2 * nx_prng_unit(&prng);
                took = (nx_ns)((double)nx_profile_mean(profile, batch.count) * jitter);
                ends = now + took;
            }
        }
    }
}

static double goodput(const struct run *r)
{
    return r->on_time / ((double)r->ends / (double)NX_SEC);
}

static double peak_of(const struct nx_profile *profile, nx_ns given, double capacity)
{
    double most = 0;
    for (double load = 0.5; load <= 1.25; load += 0.05) {
        struct run r = {.rate = load * capacity, .given = given, .sensible = true};
        simulate(&r, profile);
        most = fmax(most, goodput(&r));
    }
    return most;
}

/* The profile as it would be measured: a uniform tenth around the mean is a standard deviation of 5.8 %. */
static struct nx_profile with_jitter(const struct nx_profile *profile)
{
    struct nx_profile p = *profile;
    for (uint32_t i = 0; i < p.rows_count; i++)
        p.rows[i].std_us = 0.058 * p.rows[i].mean_us;
    return p;
}

static double photos_per_second(const struct nx_profile *p, uint32_t batch)
{
    return batch * (double)NX_SEC / (double)nx_profile_latency(p, batch);
}

static void check_overload(const struct nx_profile *exact, nx_ns given, double capacity)
{
    struct nx_profile measured = with_jitter(exact), *profile = &measured;
    double peak = peak_of(profile, given, capacity);
    for (int times = 2; times <= 4; times++) {
        struct run r = {.rate = times * capacity, .given = given, .sensible = true};
        simulate(&r, profile);
        print_message(
            "%3lld ms given: peak %.0f/s; at %d times the capacity %.0f/s in time (%.1f %%), "
            "%u late, %u refused on arrival, %u given up later\n",
            (long long)(given / NX_MS), peak, times, goodput(&r), 100 * goodput(&r) / peak, r.late,
            r.refused, r.dropped);
        assert_true(peak >= 0.75 * capacity);
        assert_true(goodput(&r) >= 0.9 * peak);
        assert_true(r.late <= r.on_time / 100);  /* an answer that is late is work for nothing */
        assert_true(r.dropped <= r.refused / 4); /* told on arrival, nearly all of them */
    }
}

static void at_twice_the_load_goodput_stays(void **state)
{
    (void)state;
    check_overload(&resnet_like, 200 * NX_MS, photos_per_second(&resnet_like, 32));
    check_overload(&resnet_like, 100 * NX_MS, photos_per_second(&resnet_like, 32));
    check_overload(&resnet_like, 25 * NX_MS, photos_per_second(&resnet_like, 7)); /* 2 · 12.4 ms */
    check_overload(&linear, 100 * NX_MS, photos_per_second(&linear, 1));
}

/* The judge can condemn: a queue without deadlines, as long as it likes. */
static void a_plain_queue_would_fail(void **state)
{
    (void)state;
    double capacity = photos_per_second(&resnet_like, 32);
    struct run r = {.rate = 2 * capacity, .given = 200 * NX_MS, .sensible = false};
    simulate(&r, &resnet_like);
    assert_true(goodput(&r) < 0.2 * capacity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_size_comes_from_the_profile),
        cmocka_unit_test(a_free_device_takes_what_is_there_and_waits_for_nothing),
        cmocka_unit_test(the_tightest_deadline_comes_first_and_bounds_the_batch),
        cmocka_unit_test(a_head_that_costs_more_than_itself_is_given_up),
        cmocka_unit_test(who_cannot_be_in_time_is_refused_on_arrival_with_figures),
        cmocka_unit_test(what_would_be_late_is_known_before_it_is_prepared),
        cmocka_unit_test(who_finds_nobody_before_is_tried_whatever_the_estimate),
        cmocka_unit_test(queues_are_bounded_by_count_and_bytes),
        cmocka_unit_test(what_is_dropped_never_runs),
        cmocka_unit_test(the_higher_priority_goes_first),
        cmocka_unit_test(no_priority_starves),
        cmocka_unit_test(what_priorities_made_late_is_given_up),
        cmocka_unit_test(models_share_the_device_by_its_time),
        cmocka_unit_test(at_twice_the_load_goodput_stays),
        cmocka_unit_test(a_plain_queue_would_fail),
    };
    return cmocka_run_group_tests_name("batcher", tests, NULL, NULL);
}
