#include "common/cpus.h"
#include "nx_test.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct nx_err err;

static int first_allowed(const cpu_set_t *set)
{
    int cpu = 0;
    while (!CPU_ISSET(cpu, set))
        cpu++;
    return cpu;
}

/* In a process of its own, which is bound from then on. */
static int in_child(int (*question)(const char *), const char *list)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(question(list));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int usable_when_bound(const char *list)
{
    return nx_cpus_bind(list, &err) == NX_OK ? (int)nx_cpus_usable() : 255;
}

static void who_is_bound_counts_those_alone(void **state)
{
    (void)state;
    cpu_set_t all;
    char list[32];
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    snprintf(list, sizeof list, "%d", first_allowed(&all));
    assert_int_equal(in_child(usable_when_bound, list), 1);
    uint32_t usable = nx_cpus_usable();
    assert_in_range(usable, 1, CPU_COUNT(&all));
    assert_int_equal(in_child(usable_when_bound, ""), usable);
}

static int refusal(const char *list)
{
    return nx_cpus_bind(list, &err) == NX_INVALID && strstr(err.text, list) ? 1 : 0;
}

static void what_is_no_list_or_not_there_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"x",
                                      ",",
                                      "0,",
                                      "0-",
                                      "3-1",
                                      "-1",
                                      "0x",
                                      "0 1",
                                      "1024",
                                      "0-1024",
                                      "99999999999999999999",
                                      "1023",
                                      "0-1023"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!in_child(refusal, bad[i]))
            fail_msg("\"%s\" was not refused", bad[i]);
}

static void a_quota_is_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(nx_cpus_quota("max 100000"), 0);
    assert_int_equal(nx_cpus_quota("200000 100000"), 2);
    assert_int_equal(nx_cpus_quota("200001 100000"), 3);
    assert_int_equal(nx_cpus_quota("1000 100000"), 1);
    assert_int_equal(nx_cpus_quota("100000 0"), 0);
    assert_int_equal(nx_cpus_quota(""), 0);
    assert_int_equal(nx_cpus_quota("99999999999999999999999 1"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_bound_counts_those_alone),
        cmocka_unit_test(what_is_no_list_or_not_there_is_refused),
        cmocka_unit_test(a_quota_is_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
