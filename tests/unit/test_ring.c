#include "common/ring.h"
#include "nx_test.h"

#include <pthread.h>
#include <sched.h>

static void full_pushes_back_and_order_holds(void **state)
{
    (void)state;
    int items[5];
    struct nx_ring ring;
    assert_int_equal(nx_ring_init(&ring, 4), NX_OK);
    assert_null(nx_ring_pop(&ring));
    for (int i = 0; i < 4; i++)
        assert_int_equal(nx_ring_push(&ring, &items[i]), NX_OK);
    assert_int_equal(nx_ring_push(&ring, &items[4]), NX_AGAIN);
    assert_int_equal(nx_ring_count(&ring), 4);
    assert_ptr_equal(nx_ring_pop(&ring), &items[0]);
    assert_int_equal(nx_ring_push(&ring, &items[4]), NX_OK);
    for (int i = 1; i < 5; i++)
        assert_ptr_equal(nx_ring_pop(&ring), &items[i]);
    assert_null(nx_ring_pop(&ring));
    nx_ring_fini(&ring);
}

enum { PASSED = 200000 };
static int numbers[PASSED];

static void *produce(void *arg)
{
    struct nx_ring *ring = arg;
    for (int i = 0; i < PASSED; i++) {
        numbers[i] = i;
        while (nx_ring_push(ring, &numbers[i]) == NX_AGAIN)
            sched_yield();
    }
    return NULL;
}

static void two_threads_lose_and_swap_nothing(void **state)
{
    (void)state;
    struct nx_ring ring;
    assert_int_equal(nx_ring_init(&ring, 64), NX_OK);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
    for (int i = 0; i < PASSED;) {
        int *item = nx_ring_pop(&ring);
        if (item)
            assert_int_equal(*item, i++);
        else
            sched_yield();
    }
    pthread_join(producer, NULL);
    assert_null(nx_ring_pop(&ring));
    nx_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_pushes_back_and_order_holds),
        cmocka_unit_test(two_threads_lose_and_swap_nothing),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
