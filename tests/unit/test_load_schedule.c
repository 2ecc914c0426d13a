/* Arrivals: exponential gaps, the same for a seed; and why latencies count from them, in virtual time. */
#include "bench/load/load_hist.h"
#include "bench/load/load_schedule.h"
#include "nx_test.h"

#include <math.h>

enum { N = 100000 };

static void gaps_are_exponential(void **state)
{
    (void)state;
    struct load_schedule schedule;
    double sum = 0, squares = 0;
    nx_ns last = 500;
    load_schedule_init(&schedule, 1000, 1, last);
    for (int i = 0; i < N; i++) {
        nx_ns due = load_schedule_take(&schedule);
        assert_true(due >= last);
        double gap = (double)(due - last) / (double)NX_MS; /* mean 1, variance 1 */
        sum += gap;
        squares += gap * gap;
        last = due;
    }
    double mean = sum / N, variance = squares / N - mean * mean;
    assert_true(fabs(mean - 1) < 0.02);
    assert_true(fabs(variance - 1) < 0.05);
}

static void a_seed_gives_one_sequence(void **state)
{
    (void)state;
    struct load_schedule a, b, c;
    load_schedule_init(&a, 50, 7, 0);
    load_schedule_init(&b, 50, 7, 0);
    load_schedule_init(&c, 50, 8, 0);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        nx_ns due = load_schedule_take(&a);
        assert_int_equal(due, load_schedule_take(&b));
        differs |= due != load_schedule_take(&c);
    }
    assert_true(differs);
}

/* A server that answers within 100 us, one at a time, and stands still from 1.0 to 1.2 s. */
static nx_ns answered_at(nx_ns sent)
{
    nx_ns begun = sent >= NX_SEC && sent < 1200 * NX_MS ? 1200 * NX_MS : sent;
    return begun + 100 * NX_US;
}

static void a_stall_is_seen_from_due_and_missed_from_sent(void **state)
{
    (void)state;
    static struct load_hist from_due, from_sent;
    struct load_schedule schedule;
    nx_ns now = 0;
    from_due = from_sent = (struct load_hist){0};
    load_schedule_init(&schedule, 1000, 1, 0);
    while (schedule.next < 2 * NX_SEC) { /* over one connection */
        nx_ns due = load_schedule_take(&schedule), sent = due > now ? due : now;
        now = answered_at(sent);
        load_hist_add(&from_due, now - due, 1);
        load_hist_add(&from_sent, now - sent, 1);
    }
    assert_true(load_hist_quantile(&from_sent, 0.99) < NX_MS);
    assert_true(load_hist_quantile(&from_due, 0.99) > 150 * NX_MS);
    assert_true(load_hist_quantile(&from_due, 0.5) < NX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_exponential),
        cmocka_unit_test(a_seed_gives_one_sequence),
        cmocka_unit_test(a_stall_is_seen_from_due_and_missed_from_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
