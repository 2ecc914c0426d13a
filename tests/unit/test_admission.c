/* What is admitted, and who loses when there is no room: figures alone, with a clock of the test's own. */
#include "function_tier/admission.h"
#include "nx_test.h"

enum { MAX = 1000 };

static struct nx_admission a;
static struct nx_arrival x, y;
static struct nx_err err;
static int lost;

static void lose(struct nx_arrival *arrival, const struct nx_err *why)
{
    assert_int_equal(why->status, NX_AGAIN);
    lost++;
    nx_admission_leave(&a, arrival);
}

static int set_up(void **state)
{
    (void)state;
    lost = 0;
    nx_admission_init(&a, 2, MAX);
    x = y = (struct nx_arrival){.lose = lose};
    return 0;
}

static void what_is_announced_holds_nothing(void **state)
{
    (void)state;
    assert_int_equal(nx_admission_expect(&a, &x, MAX, 0, &err), NX_OK);
    assert_int_equal(nx_admission_expect(&a, &y, MAX, 0, &err), NX_OK);
    assert_int_equal(nx_admission_take(&a, MAX, 0, &err), NX_OK);
    assert_int_equal(nx_admission_arrive(&a, &x, 1, 0, &err), NX_AGAIN);
    nx_admission_give(&a, MAX);
    nx_admission_leave(&a, &x);
    nx_admission_leave(&a, &y);
    assert_int_equal(a.bytes + a.arriving + a.requests, 0);
}

static void what_has_arrived_counts(void **state)
{
    (void)state;
    assert_int_equal(nx_admission_expect(&a, &x, MAX, 0, &err), NX_OK);
    assert_int_equal(nx_admission_arrive(&a, &x, 775, NX_SEC, &err), NX_OK);
    assert_int_equal(nx_admission_take(&a, 101, NX_SEC, &err), NX_AGAIN); /* an eighth stays free */
    assert_int_equal(nx_admission_take(&a, 100, NX_SEC, &err), NX_OK);
    assert_int_equal(nx_admission_arrive(&a, &x, 776, NX_SEC, &err), NX_AGAIN);
    assert_int_equal(nx_admission_arrive(&a, &x, 300, NX_SEC, &err), NX_OK); /* unpacked */
    assert_int_equal(nx_admission_whole(&a, &x, &err), NX_OK);
    assert_true(a.requests == 2 && a.bytes == 400 && a.arriving == 0);
    assert_int_equal(nx_admission_take(&a, 1, NX_SEC, &err), NX_AGAIN);
    nx_admission_give(&a, 100);
    nx_admission_leave(&a, &x);
    assert_int_equal(a.bytes + a.requests, 0);
    assert_int_equal(lost, 0);
}

static void the_slow_lose_to_the_new_and_the_whole_do_not(void **state)
{
    (void)state;
    assert_int_equal(nx_admission_expect(&a, &x, MAX, 0, &err), NX_OK);
    assert_int_equal(nx_admission_arrive(&a, &x, 900, 0, &err), NX_OK);
    assert_int_equal(nx_admission_expect(&a, &y, MAX, 5 * NX_SEC, &err), NX_OK);
    assert_int_equal(nx_admission_arrive(&a, &y, 600, 5 * NX_SEC, &err), NX_OK);
    assert_true(lost == 1 && a.bytes == 600);
    assert_int_equal(nx_admission_whole(&a, &y, &err), NX_OK);
    assert_int_equal(nx_admission_expect(&a, &x, 400, 60 * NX_SEC, &err), NX_OK);
    assert_int_equal(nx_admission_arrive(&a, &x, 401, 60 * NX_SEC, &err), NX_AGAIN);
    assert_int_equal(nx_admission_take(&a, 401, 60 * NX_SEC, &err), NX_AGAIN);
    assert_int_equal(lost, 1);
    nx_admission_leave(&a, &x);
    nx_admission_leave(&a, &y);
    assert_int_equal(a.bytes + a.requests, 0);
}

enum { MIB = 1 << 20 };

static void arrive(struct nx_arrival *arrival, uint64_t bytes, nx_ns now, enum nx_status want)
{
    if (!arrival->bytes) {
        *arrival = (struct nx_arrival){.lose = lose};
        assert_int_equal(nx_admission_expect(&a, arrival, bytes, now, &err), NX_OK);
    }
    assert_int_equal(nx_admission_arrive(&a, arrival, bytes, now, &err), want);
}

static void large_bodies_leave_room_for_small_ones(void **state)
{
    (void)state;
    struct nx_arrival small[8] = {{0}}, late = {0};
    nx_admission_init(&a, 100, 64 * MIB);
    arrive(&x, 64 * MIB, 0, NX_OK); /* alone it may have all */
    nx_admission_leave(&a, &x);
    x.bytes = 0;
    arrive(&x, 30 * MIB, 0, NX_OK);
    arrive(&y, 26 * MIB, 0, NX_OK);
    arrive(&y, 26 * MIB + 1, 0, NX_AGAIN); /* seven eighths */
    for (int i = 0; i < 4; i++)
        arrive(&small[i], MIB, 0, NX_OK);
    arrive(&late, MIB, 0, NX_AGAIN); /* four times as much does not stay free */
    for (int i = 4; i < 8; i++)
        arrive(&small[i], MIB / 2, 0, NX_OK);
    assert_int_equal(lost, 0);
    nx_admission_leave(&a, &small[0]);
    nx_admission_leave(&a, &small[1]);
    nx_admission_leave(&a, &small[2]);
    arrive(&late, MIB + 1, 4 * NX_SEC, NX_AGAIN); /* as a large one it has no room */
    arrive(&late, MIB, 4 * NX_SEC, NX_OK);
    arrive(&late, MIB + 1, 5 * NX_SEC,
           NX_OK); /* the first begun of the large loses, the small ones do not */
    assert_int_equal(lost, 1);
    assert_int_equal(a.large, 27 * MIB + 1);
    assert_int_equal(nx_admission_whole(&a, &y, &err), NX_OK);
    nx_admission_leave(&a, &y);
    nx_admission_leave(&a, &late);
    for (int i = 3; i < 8; i++)
        nx_admission_leave(&a, &small[i]);
    assert_int_equal(nx_admission_take(&a, 2 * MIB, 9 * NX_SEC, &err), NX_OK);
    assert_int_equal(a.large, 2 * MIB);
    nx_admission_give(&a, 2 * MIB);
    assert_int_equal(a.bytes + a.requests + a.large + a.arriving, 0);
}

/* Each kind takes what it gets, from the largest on; there is always room for those of a quarter of it, several times. */
static void whoever_sends_much_leaves_room_for_who_sends_less(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {16 * MIB, MIB - 1, 256 << 10, 20 << 10, 4 << 10, 100};
    uint64_t taken[6] = {0};
    nx_admission_init(&a, 10000000, 256 * MIB);
    for (int i = 0; i < 6; i++) {
        while (nx_admission_take(&a, sizes[i], 0, &err) == NX_OK)
            taken[i]++;
        assert_true(taken[i] >= 4);
        uint64_t left = 4 * sizes[i] < 32 * MIB ? 4 * sizes[i] : 32 * MIB;
        assert_true(a.bytes + left <= a.bytes_max);
    }
    assert_true(taken[0] == 14 && taken[1] >= 27);
    for (int i = 0; i < 6; i++)
        for (; taken[i] > 0; taken[i]--)
            nx_admission_give(&a, sizes[i]);
    assert_int_equal(a.bytes + a.requests + a.large, 0);
}

static void one_alone_may_have_all(void **state)
{
    (void)state;
    nx_admission_init(&a, 100, MIB);
    assert_int_equal(nx_admission_take(&a, MIB, 0, &err), NX_OK);
    nx_admission_give(&a, MIB);
    assert_int_equal(nx_admission_take(&a, 200 << 10, 0, &err),
                     NX_OK); /* a small bound serves several */
    for (int i = 0; i < 3; i++)
        assert_int_equal(nx_admission_take(&a, 200 << 10, 0, &err), NX_OK);
    assert_int_equal(nx_admission_take(&a, 200 << 10, 0, &err), NX_AGAIN);
    assert_int_equal(nx_admission_take(&a, 20 << 10, 0, &err), NX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_announced_holds_nothing, set_up),
        cmocka_unit_test_setup(what_has_arrived_counts, set_up),
        cmocka_unit_test_setup(the_slow_lose_to_the_new_and_the_whole_do_not, set_up),
        cmocka_unit_test_setup(large_bodies_leave_room_for_small_ones, set_up),
        cmocka_unit_test_setup(whoever_sends_much_leaves_room_for_who_sends_less, set_up),
        cmocka_unit_test_setup(one_alone_may_have_all, set_up),
    };
    return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
