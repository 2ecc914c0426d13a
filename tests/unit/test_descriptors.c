#include "common/descriptors.h"
#include "nx_test.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_small_limit_is_halved_and_a_large_one_keeps_a_reserve(void **state)
{
    (void)state;
    assert_int_equal(nx_descriptors_room(64), 32);
    assert_int_equal(nx_descriptors_room(2 * NX_DESCRIPTORS_KEPT), NX_DESCRIPTORS_KEPT);
    assert_int_equal(nx_descriptors_room(1024), 1024 - NX_DESCRIPTORS_KEPT);
    assert_int_equal(nx_descriptors_room(1 << 20), (1 << 20) - NX_DESCRIPTORS_KEPT);
    assert_int_equal(nx_descriptors_room(RLIM_INFINITY), UINT32_MAX);
}

/* In a process of its own, since a hard limit never rises again. */
static int in_child(int (*question)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit small = {100, 800};
        _exit(setrlimit(RLIMIT_NOFILE, &small) == 0 ? question() : 99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int takes_the_hard_limit(void)
{
    struct rlimit now;
    uint32_t connections = 0;
    if (nx_descriptors_plan(&connections, NULL) != NX_OK ||
        connections != 800 - NX_DESCRIPTORS_KEPT)
        return 1;
    return getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 800 ? 0 : 2;
}

static int keeps_a_number_that_fits(void)
{
    uint32_t connections = 300;
    return nx_descriptors_plan(&connections, NULL) == NX_OK && connections == 300 ? 0 : 1;
}

static int refuses_a_number_that_does_not(void)
{
    struct nx_err err;
    uint32_t connections = 545;
    if (nx_descriptors_plan(&connections, &err) != NX_INVALID || connections != 545)
        return 1;
    return strstr(err.text, "545 connections") && strstr(err.text, "at most 544") ? 0 : 2;
}

static void the_hard_limit_is_the_one_that_counts(void **state)
{
    (void)state;
    assert_int_equal(in_child(takes_the_hard_limit), 0);
    assert_int_equal(in_child(keeps_a_number_that_fits), 0);
    assert_int_equal(in_child(refuses_a_number_that_does_not), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_limit_is_halved_and_a_large_one_keeps_a_reserve),
        cmocka_unit_test(the_hard_limit_is_the_one_that_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
