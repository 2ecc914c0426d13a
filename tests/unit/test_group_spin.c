#include "group/group_spin.h"
#include "nx_test.h"

enum { MOST = 50 };

/* A pause of `pause` between two busy turns. */
static nx_ns pause_for(struct nx_spin *spin, nx_ns now, nx_ns pause)
{
    nx_spin_note(spin, now, false);
    nx_spin_note(spin, now + pause, true);
    return now + pause;
}

static bool spins_after(struct nx_spin *spin, nx_ns now)
{
    nx_spin_note(spin, now, false);
    return nx_spin_goes_on(spin, now);
}

static void one_who_knows_nothing_sleeps_at_once(void **state)
{
    (void)state;
    struct nx_spin spin;
    nx_spin_init(&spin, MOST);
    assert_false(nx_spin_goes_on(&spin, 0));
    assert_false(spins_after(&spin, 1));
}

static void a_short_pause_is_waited_for_next_time_and_no_longer(void **state)
{
    (void)state;
    struct nx_spin spin;
    nx_spin_init(&spin, MOST);
    nx_ns now = pause_for(&spin, 1000, MOST);
    assert_true(spins_after(&spin, now));
    nx_spin_note(&spin, now + MOST - 1, false); /* a further turn that finds nothing */
    assert_true(nx_spin_goes_on(&spin, now + MOST - 1));
    assert_false(nx_spin_goes_on(&spin, now + MOST));
}

static void after_four_long_pauses_a_burst_is_forgotten(void **state)
{
    (void)state;
    struct nx_spin spin;
    nx_spin_init(&spin, MOST);
    nx_ns now = 0;
    for (int i = 0; i < 1000; i++)
        now = pause_for(&spin, now, 1);
    for (int i = 0; i < 4; i++) {
        assert_true(spins_after(&spin, now));
        now = pause_for(&spin, now, MOST + 1);
    }
    assert_false(spins_after(&spin, now));
}

static void one_short_pause_among_long_ones_is_forgotten_at_the_next(void **state)
{
    (void)state;
    struct nx_spin spin;
    nx_spin_init(&spin, MOST);
    nx_ns now = pause_for(&spin, 0, 1);
    now = pause_for(&spin, now, 1000 * MOST);
    assert_false(spins_after(&spin, now));
}

static void nothing_is_spun_where_it_is_off(void **state)
{
    (void)state;
    struct nx_spin spin;
    nx_spin_init(&spin, 0);
    nx_ns now = pause_for(&spin, 5, 0);
    assert_false(spins_after(&spin, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_who_knows_nothing_sleeps_at_once),
        cmocka_unit_test(a_short_pause_is_waited_for_next_time_and_no_longer),
        cmocka_unit_test(after_four_long_pauses_a_burst_is_forgotten),
        cmocka_unit_test(one_short_pause_among_long_ones_is_forgotten_at_the_next),
        cmocka_unit_test(nothing_is_spun_where_it_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
