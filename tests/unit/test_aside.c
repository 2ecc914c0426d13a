/* What is submitted is done once and dropped once; what is ended is dropped and not told. */
#include "function_tier/aside.h"
#include "nx_test.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TASKS = 64 };

struct counted {
    struct nx_task task; /* first */
    atomic_int worked;
    int done, dropped;
};

static struct counted tasks[TASKS];
static struct nx_aside *aside;
static int bell;
static atomic_bool gate;

static int set_up(void **state)
{
    static const char *const names[] = {"aside", "aside-long"};
    struct nx_err err;
    (void)state;
    bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (int i = 0; i < TASKS; i++)
        tasks[i] = (struct counted){0};
    atomic_store(&gate, true);
    return bell >= 0 && nx_aside_open(names, bell, &aside, &err) == NX_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    close(bell);
    return 0;
}

static void work(struct nx_task *task)
{
    while (!atomic_load(&gate))
        usleep(100);
    atomic_fetch_add(&((struct counted *)task)->worked, 1);
}

static void done(struct nx_task *task)
{
    ((struct counted *)task)->done++;
    nx_task_end(task);
}

static void drop(struct nx_task *task)
{
    ((struct counted *)task)->dropped++;
}

static void submit(int i, bool is_long)
{
    struct nx_err err;
    tasks[i].task.work = work;
    tasks[i].task.done = done;
    tasks[i].task.drop = drop;
    assert_int_equal(nx_aside_submit(aside, &tasks[i].task, is_long, &err), NX_OK);
}

static void wait_for(int count)
{
    for (int dropped = 0; dropped < count;) {
        uint64_t rung;
        struct pollfd wait = {.fd = bell, .events = POLLIN};
        assert_true(poll(&wait, 1, 60000) == 1 && read(bell, &rung, sizeof rung) == sizeof rung);
        nx_aside_poll(aside);
        dropped = 0;
        for (int i = 0; i < TASKS; i++)
            dropped += tasks[i].dropped;
    }
}

static void each_is_worked_at_told_and_dropped_once(void **state)
{
    (void)state;
    for (int i = 0; i < TASKS; i++)
        submit(i, i % 2);
    wait_for(TASKS);
    for (int i = 0; i < TASKS; i++)
        assert_true(atomic_load(&tasks[i].worked) == 1 && tasks[i].done == 1 &&
                    tasks[i].dropped == 1);
    nx_aside_close(aside);
}

static void who_is_ended_is_dropped_and_not_told(void **state)
{
    (void)state;
    atomic_store(&gate, false);
    for (int i = 0; i < TASKS; i++)
        submit(i, i % 2);
    for (int i = 0; i < TASKS; i++)
        nx_task_end(&tasks[i].task);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(tasks[i].dropped, 0); /* a worker may have it in hand */
    atomic_store(&gate, true);
    wait_for(TASKS);
    for (int i = 0; i < TASKS; i++)
        assert_true(tasks[i].done == 0 && tasks[i].dropped == 1);
    nx_aside_close(aside);
}

static void closing_drops_what_is_ended(void **state)
{
    (void)state;
    for (int i = 0; i < TASKS; i++)
        submit(i, i % 2);
    for (int i = 0; i < TASKS; i++)
        nx_task_end(&tasks[i].task);
    nx_aside_close(aside);
    for (int i = 0; i < TASKS; i++)
        assert_true(tasks[i].done == 0 && tasks[i].dropped == 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_is_worked_at_told_and_dropped_once),
        TEST(who_is_ended_is_dropped_and_not_told),
        TEST(closing_drops_what_is_ended),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
