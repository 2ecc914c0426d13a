#include "common/worker.h"
#include "nx_test.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct counting {
    struct nx_job job; /* first */
    int number, ran_after;
};

static int ran; /* by the worker's thread; read after the job came back */

static void count_up(struct nx_job *job)
{
    ((struct counting *)job)->ran_after = ran++;
}

static struct nx_job *wait_finished(struct nx_worker *w, int bell)
{
    for (;;) {
        struct nx_job *job = nx_worker_finished(w);
        if (job)
            return job;
        uint64_t rung;
        struct pollfd p = {.fd = bell, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_int_equal(read(bell, &rung, sizeof rung), sizeof rung);
    }
}

static void jobs_run_in_order_and_come_back(void **state)
{
    (void)state;
    struct nx_worker *w;
    struct nx_err err;
    struct counting jobs[5] = {{{count_up}, 0, 0},
                               {{count_up}, 1, 0},
                               {{count_up}, 2, 0},
                               {{count_up}, 3, 0},
                               {{count_up}, 4, 0}};
    int bell = eventfd(0, EFD_NONBLOCK);
    ran = 0;
    assert_int_equal(nx_worker_open("test", 4, bell, &w, &err), NX_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(nx_worker_submit(w, &jobs[i].job), NX_OK);
    assert_int_equal(nx_worker_submit(w, &jobs[4].job), NX_AGAIN); /* until one is taken back */
    for (int i = 0; i < 4; i++) {
        struct counting *c = (struct counting *)wait_finished(w, bell);
        assert_ptr_equal(c, &jobs[i]);
        assert_int_equal(c->ran_after, i);
    }
    assert_null(nx_worker_finished(w));
    assert_int_equal(nx_worker_submit(w, &jobs[4].job), NX_OK);
    nx_worker_drain(w); /* what is queued still runs */
    assert_ptr_equal(nx_worker_finished(w), &jobs[4].job);
    assert_int_equal(jobs[4].ran_after, 4);
    nx_worker_close(w);
    close(bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs_run_in_order_and_come_back)};
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
