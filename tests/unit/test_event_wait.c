/* The same promises with epoll_pwait2 and in a process from which it is taken away. */
#include "common/event_wait.h"
#include "nx_test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FINE, NOT_THERE, EARLY, NO_EVENT, EVENT_LOST, NO_FILTER };

/* What a waiter sees, as a number, because a child tells it by its exit. */
static int try_waits(void)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7}, seen[4] = {0};
    if (epoll_fd < 0 || fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return NOT_THERE;
    for (int i = 0; i < 3; i++) { /* the first call may find out that there is no such call */
        nx_ns start = nx_clock_now();
        if (nx_event_wait(epoll_fd, seen, 4, 2 * NX_MS + 500 * NX_US) != 0 ||
            nx_clock_now() - start < 2 * NX_MS + 500 * NX_US)
            return EARLY;
    }
    if (nx_event_wait(epoll_fd, seen, 4, 0) != 0 || nx_event_wait(epoll_fd, seen, 4, -NX_SEC) != 0)
        return EARLY;
    if (eventfd_write(fd, 1) != 0 || nx_event_wait(epoll_fd, seen, 4, NX_NEVER) != 1 ||
        seen[0].data.u64 != 7)
        return NO_EVENT;
    if (nx_event_wait(epoll_fd, seen, 4, 60 * NX_SEC) != 1) /* nobody has read it */
        return EVENT_LOST;
    close(fd);
    close(epoll_fd);
    return FINE;
}

static bool take_away(int error)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof lines / sizeof *lines, lines};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static int try_without(int error)
{
    int how = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(take_away(error) ? try_waits() : NO_FILTER);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void a_wait_ends_with_its_time_or_an_event(void **state)
{
    (void)state;
    assert_int_equal(try_waits(), FINE);
}

static void an_old_system_waits_as_well(void **state)
{
    (void)state;
    static const int answers[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        int found = try_without(answers[i]);
        if (found == NO_FILTER) {
            printf("SKIP: no seccomp filter can be set here\n");
            skip();
        }
        assert_int_equal(found, FINE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: then no child knows more than it saw */
        cmocka_unit_test(an_old_system_waits_as_well),
        cmocka_unit_test(a_wait_ends_with_its_time_or_an_event),
    };
    return cmocka_run_group_tests_name("event_wait", tests, NULL, NULL);
}
