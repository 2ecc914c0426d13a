#include "common/arena.h"
#include "common/prng.h"
#include "function_tier/grpc/grpc_timer.h"
#include "nx_test.h"

#include <string.h>

enum { COUNT = 200 };

static struct nx_timers timers;
static struct nx_timer all[COUNT];
static nx_ns fired_at[COUNT], last_fired;
static int fired;

static void fire(struct nx_timer *timer, nx_ns now)
{
    assert_true(timer->at <= now);
    assert_true(timer->at >= last_fired);
    last_fired = timer->at;
    fired_at[timer - all] = now;
    fired++;
}

static void fire_and_rearm(struct nx_timer *timer, nx_ns now)
{
    fired++;
    nx_timer_arm(&timers, timer, now);
}

static int setup(void **state)
{
    (void)state;
    memset(all, 0, sizeof all);
    memset(fired_at, 0, sizeof fired_at);
    fired = 0;
    last_fired = 0;
    for (int i = 0; i < COUNT; i++)
        all[i].fire = fire;
    return nx_timers_init(&timers, COUNT) != NX_OK;
}

static int teardown(void **state)
{
    (void)state;
    nx_timers_fini(&timers);
    return 0;
}

/* Random arming, moving and disarming; a plain array is the judge. */
static void timers_fire_in_order_and_only_when_armed(void **state)
{
    (void)state;
    struct nx_prng prng;
    nx_prng_init(&prng, 7);
    nx_ns wanted[COUNT] = {0};
    for (int step = 0; step < 5000; step++) {
        int i = (int)(nx_prng_below(&prng, COUNT));
        if (nx_prng_below(&prng, 4) == 0) {
            nx_timer_disarm(&timers, &all[i]);
            wanted[i] = 0;
        } else {
            wanted[i] = 1 + (nx_ns)(nx_prng_below(&prng, 1000));
            nx_timer_arm(&timers, &all[i], wanted[i]);
        }
        nx_ns first = NX_NEVER;
        for (int k = 0; k < COUNT; k++)
            if (wanted[k] && wanted[k] < first)
                first = wanted[k];
        assert_int_equal(nx_timers_next(&timers), first);
    }
    assert_false(nx_timers_run(&timers, 500, 10000));
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(fired_at[i] != 0, wanted[i] != 0 && wanted[i] <= 500);
    assert_false(nx_timers_run(&timers, 1000, 10000));
    assert_int_equal(nx_timers_next(&timers), NX_NEVER);
}

static void a_run_is_bounded(void **state)
{
    (void)state;
    all[0].fire = fire_and_rearm;
    nx_timer_arm(&timers, &all[0], 5);
    assert_true(nx_timers_run(&timers, 10, 3));
    assert_int_equal(fired, 3);
}

static void no_memory_is_a_status(void **state)
{
    (void)state;
    struct nx_timers none;
    nx_alloc_fail_at(1);
    assert_int_equal(nx_timers_init(&none, 4), NX_NO_MEMORY);
    nx_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order_and_only_when_armed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_is_bounded, setup, teardown),
        cmocka_unit_test(no_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
