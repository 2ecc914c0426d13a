#include "categorizer/device.h"
#include "nx_test.h"

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A device that runs when the test says so, and a photo that knows what was done with it. */
struct photo {
    struct nx_device_job job; /* first */
    int number;
    bool bad;
    int prepared, ran_in_batch_of; /* by the device's threads; read after finished */
};

static const struct nx_profile profile = {.rows_count = 2,
                                          .rows = {{1, 100, 0, 0, 9}, {8, 200, 0, 0, 9}}};
static struct nx_device *device;
static struct nx_lane lane;
static struct nx_err err;
static int bell;
static sem_t may_run, runs, may_prepare;
static atomic_bool gated, hold_prepare;
static atomic_int preparing_now, preparing_most;

static enum nx_status prepare(struct nx_device_job *job, struct nx_err *e)
{
    struct photo *p = (struct photo *)job;
    int now = atomic_fetch_add(&preparing_now, 1) + 1, most = atomic_load(&preparing_most);
    while (now > most && !atomic_compare_exchange_weak(&preparing_most, &most, now))
        ;
    if (atomic_load(&hold_prepare))
        sem_wait(&may_prepare);
    usleep(1000);
    atomic_fetch_sub(&preparing_now, 1);
    p->prepared++;
    return p->bad ? nx_err_set(e, NX_INVALID, "photo %d is bad", p->number) : NX_OK;
}

static void run(struct nx_device_job *const *jobs, uint32_t count)
{
    if (atomic_load(&gated)) {
        sem_post(&runs);
        sem_wait(&may_run);
    }
    for (uint32_t i = 0; i < count; i++)
        ((struct photo *)jobs[i])->ran_in_batch_of = (int)count;
}

static const struct nx_device_ops ops = {.prepare = prepare, .run = run};

static int setup(void **state)
{
    (void)state;
    bell = eventfd(0, EFD_NONBLOCK);
    sem_init(&may_run, 0, 0);
    sem_init(&runs, 0, 0);
    sem_init(&may_prepare, 0, 0);
    atomic_store(&hold_prepare, false);
    atomic_store(&gated, false);
    atomic_store(&preparing_most, 0);
    nx_lane_init(&lane, &profile);
    struct nx_device_options options = {
        .preparers = 4, .items_max = 64, .bytes_max = 1000, .done_fd = bell};
    return nx_device_open(&options, &device, &err);
}

static int teardown(void **state)
{
    (void)state;
    nx_device_stop(device);
    nx_device_close(device);
    sem_destroy(&may_run);
    sem_destroy(&runs);
    sem_destroy(&may_prepare);
    close(bell);
    return 0;
}

static struct photo *make(struct photo *p, int number, nx_ns deadline)
{
    *p = (struct photo){.job = {.ops = &ops, .item = {.deadline_ns = deadline, .bytes = 1}},
                        .number = number};
    return p;
}

static enum nx_status submit(struct photo *p)
{
    return nx_device_submit(device, &lane, &p->job, nx_clock_now(), &err);
}

static struct photo *wait_finished(void)
{
    for (;;) {
        struct nx_device_job *job = nx_device_finished(device);
        if (job)
            return (struct photo *)job;
        uint64_t rung;
        struct pollfd p = {.fd = bell, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_int_equal(read(bell, &rung, sizeof rung), sizeof rung);
    }
}

static void photos_are_prepared_side_by_side_and_come_back_answered(void **state)
{
    (void)state;
    static struct photo photos[40];
    for (int i = 0; i < 40; i++)
        assert_int_equal(submit(make(&photos[i], i, NX_NEVER)), NX_OK);
    int seen = 0;
    for (int i = 0; i < 40; i++) {
        struct photo *p = wait_finished();
        assert_int_equal(p->job.err.status, NX_OK);
        assert_int_equal(p->prepared, 1);
        assert_in_range(p->ran_in_batch_of, 1, 8);
        seen += p->number;
    }
    assert_int_equal(seen, 39 * 40 / 2);
    assert_null(nx_device_finished(device));
    /* each takes a millisecond, and there are four threads */
    assert_true(atomic_load(&preparing_most) >= 2);
    struct nx_device_figures f = nx_device_figures(device);
    assert_int_equal(f.work.photos, 40);
    assert_in_range(f.work.batches, 5, 40);
    uint64_t batches = 0, waits = 0, least = 0, most = 0;
    for (int k = 0; k < NX_BATCH_STEPS; k++) {
        batches += f.work.sizes[k];
        most += f.work.sizes[k] << k;
        least += f.work.sizes[k] * (k ? (1u << (k - 1)) + 1 : 1);
    }
    for (int k = 0; k < NX_WAIT_STEPS; k++)
        waits += f.work.waits[k];
    assert_int_equal(batches, f.work.batches);
    assert_int_equal(waits, f.work.photos);
    assert_in_range(f.work.photos, least, most);
    assert_int_equal(f.work.sizes[4] + f.work.sizes[5], 0); /* none is over 8 */
    assert_true(f.work.wait_ns > 0 && f.work.busy_ns > 0);
}

static void a_bad_photo_fails_alone(void **state)
{
    (void)state;
    static struct photo photos[9];
    for (int i = 0; i < 9; i++) {
        make(&photos[i], i, NX_NEVER)->bad = i == 4;
        assert_int_equal(submit(&photos[i]), NX_OK);
    }
    for (int i = 0; i < 9; i++) {
        struct photo *p = wait_finished();
        assert_int_equal(p->job.err.status, p->number == 4 ? NX_INVALID : NX_OK);
        assert_int_equal(p->ran_in_batch_of > 0, p->number != 4);
    }
    assert_string_equal(photos[4].job.err.text, "photo 4 is bad");
}

/* While the device is busy others gather; it then takes them all, without waiting for more. */
static void what_gathers_while_the_device_is_busy_runs_together(void **state)
{
    (void)state;
    static struct photo photos[6];
    atomic_store(&gated, true);
    assert_int_equal(submit(make(&photos[0], 0, NX_NEVER)), NX_OK);
    sem_wait(&runs); /* the first one runs, alone */
    for (int i = 1; i < 6; i++)
        assert_int_equal(submit(make(&photos[i], i, NX_NEVER)), NX_OK);
    while (nx_device_figures(device).ready < 5)
        usleep(1000);
    atomic_store(&gated, false);
    sem_post(&may_run);
    for (int i = 0; i < 6; i++) {
        struct photo *p = wait_finished();
        assert_int_equal(p->ran_in_batch_of, p->number == 0 ? 1 : 5);
    }
}

static void who_is_cancelled_leaves_at_once_and_never_runs(void **state)
{
    (void)state;
    static struct photo photos[3];
    atomic_store(&gated, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(submit(make(&photos[i], i, NX_NEVER)), NX_OK);
        if (i == 0)
            sem_wait(&runs);
    }
    nx_device_cancel(device, &photos[1].job); /* waits, is prepared, or is ready */
    nx_device_cancel(device, &photos[2].job);
    for (int i = 0; i < 2; i++) { /* the device is still busy with the first */
        struct photo *p = wait_finished();
        assert_int_not_equal(p->number, 0);
        assert_int_equal(p->job.err.status, NX_CANCELLED);
        assert_int_equal(p->ran_in_batch_of, 0);
    }
    nx_device_cancel(device, &photos[0].job); /* too late: it runs to its end */
    atomic_store(&gated, false);
    sem_post(&may_run);
    assert_ptr_equal(wait_finished(), &photos[0]);
    assert_int_equal(photos[0].job.err.status, NX_OK);
    assert_int_equal(nx_device_figures(device).work.cancelled, 2);
}

static void who_waited_too_long_is_told_so(void **state)
{
    (void)state;
    static struct photo first, late;
    atomic_store(&gated, true);
    assert_int_equal(submit(make(&first, 0, NX_NEVER)), NX_OK);
    sem_wait(&runs);
    nx_ns now = nx_clock_now();
    make(&late, 1, now + 20 * NX_MS);
    assert_int_equal(nx_device_submit(device, &lane, &late.job, now, &err), NX_OK);
    while (nx_clock_now() <= late.job.item.deadline_ns)
        usleep(1000);
    atomic_store(&gated, false);
    sem_post(&may_run);
    for (int i = 0; i < 2; i++)
        wait_finished();
    assert_int_equal(first.job.err.status, NX_OK);
    assert_int_equal(late.job.err.status, NX_DEADLINE);
    assert_string_equal(late.job.err.text,
                        "the photo waited too long: its deadline cannot be met any more");
    assert_int_equal(late.ran_in_batch_of, 0);
}

/* Every preparing thread is held by a photo of its own until the fifth's deadline has passed. */
static void who_would_be_late_is_not_prepared(void **state)
{
    (void)state;
    static struct photo busy[4], late;
    atomic_store(&hold_prepare, true);
    for (int i = 0; i < 4; i++)
        assert_int_equal(submit(make(&busy[i], i, NX_NEVER)), NX_OK);
    nx_ns now = nx_clock_now();
    make(&late, 4, now + 20 * NX_MS);
    assert_int_equal(nx_device_submit(device, &lane, &late.job, now, &err), NX_OK);
    while (nx_clock_now() <= late.job.item.deadline_ns)
        usleep(1000);
    atomic_store(&hold_prepare, false);
    for (int i = 0; i < 4; i++)
        sem_post(&may_prepare);
    for (int i = 0; i < 5; i++)
        wait_finished();
    assert_int_equal(late.job.err.status, NX_DEADLINE);
    assert_int_equal(late.prepared, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(busy[i].prepared, 1);
}

static void a_refused_photo_is_still_the_callers(void **state)
{
    (void)state;
    static struct photo photos[65], large;
    atomic_store(&gated, true);
    assert_int_equal(submit(make(&photos[0], 0, NX_NEVER)), NX_OK);
    sem_wait(&runs);
    make(&large, 0, NX_NEVER)->job.item.bytes = 1001;
    assert_int_equal(submit(&large), NX_UNAVAILABLE);
    for (int i = 1; i < 65; i++)
        assert_int_equal(submit(make(&photos[i], i, NX_NEVER)), NX_OK);
    assert_int_equal(submit(make(&large, 0, NX_NEVER)), NX_UNAVAILABLE);
    assert_int_equal(large.prepared, 0);
    atomic_store(&gated, false);
    sem_post(&may_run);
    for (int i = 0; i < 65; i++)
        assert_int_equal(wait_finished()->job.err.status, NX_OK);
    assert_int_equal(nx_device_figures(device).work.refused, 2);
}

static void a_stop_gives_everything_back(void **state)
{
    (void)state;
    static struct photo photos[50];
    for (int i = 0; i < 50; i++)
        assert_int_equal(submit(make(&photos[i], i, NX_NEVER)), NX_OK);
    nx_device_stop(device);
    int back = 0;
    struct nx_device_job *job;
    while ((job = nx_device_finished(device))) {
        assert_true(job->err.status == NX_OK || job->err.status == NX_CANCELLED);
        back++;
    }
    assert_int_equal(back, 50);
}

#define each(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(photos_are_prepared_side_by_side_and_come_back_answered),
        each(a_bad_photo_fails_alone),
        each(what_gathers_while_the_device_is_busy_runs_together),
        each(who_is_cancelled_leaves_at_once_and_never_runs),
        each(who_waited_too_long_is_told_so),
        each(who_would_be_late_is_not_prepared),
        each(a_refused_photo_is_still_the_callers),
        each(a_stop_gives_everything_back),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
