#include "common/cpus.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number below CPU_SETSIZE; moves *at behind it. */
static bool read_cpu(const char **at, unsigned long *cpu)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *cpu = strtoul(*at, &end, 10);
    *at = end;
    return *cpu < CPU_SETSIZE;
}

static bool read_list(const char *at, cpu_set_t *set)
{
    CPU_ZERO(set);
    for (;; at++) {
        unsigned long first, last;
        if (!read_cpu(&at, &first))
            return false;
        last = first;
        if (*at == '-') {
            at++;
            if (!read_cpu(&at, &last) || last < first)
                return false;
        }
        for (unsigned long i = first; i <= last; i++)
            CPU_SET(i, set);
        if (*at != ',')
            return *at == '\0';
    }
}

/* The kernel leaves out quietly what is not there; half of what was asked for is not what was asked for. */
enum nx_status nx_cpus_bind(const char *list, struct nx_err *err)
{
    cpu_set_t wanted, got;
    if (!*list)
        return NX_OK;
    if (!read_list(list, &wanted))
        return nx_err_set(err, NX_INVALID, "cpus must be a list such as 0-3,8, not \"%s\"", list);
    if (sched_setaffinity(0, sizeof wanted, &wanted) != 0)
        return nx_err_set(err, NX_INVALID, "cpus \"%s\": this process may have none of them (%s)",
                          list, strerror(errno));
    if (sched_getaffinity(0, sizeof got, &got) == 0 && !CPU_EQUAL(&wanted, &got))
        return nx_err_set(err, NX_INVALID, "cpus \"%s\": of these %d this process may have %d",
                          list, CPU_COUNT(&wanted), CPU_COUNT(&got));
    return NX_OK;
}

uint32_t nx_cpus_quota(const char *cpu_max)
{
    unsigned long long quota, period;
    if (sscanf(cpu_max, "%llu %llu", &quota, &period) != 2 || quota == 0 || period == 0)
        return 0;
    unsigned long long cpus = quota / period + (quota % period != 0);
    return cpus < CPU_SETSIZE ? (uint32_t)cpus : 0;
}

static bool read_line(const char *path, const char *begin, char *line, int bytes)
{
    FILE *f = fopen(path, "r");
    bool found = false;
    while (f && !found && fgets(line, bytes, f))
        found = strncmp(line, begin, strlen(begin)) == 0;
    if (f)
        fclose(f);
    line[found ? strcspn(line, "\n") : 0] = '\0';
    return found;
}

/* The least of the group's own quota and those of the groups around it; 0: none has one. */
static uint32_t group_quota(void)
{
    char line[PATH_MAX], path[PATH_MAX + 64], text[64];
    uint32_t least = 0;
    if (!read_line("/proc/self/cgroup", "0::/", line, sizeof line))
        return 0;
    char *group = line + strlen("0::");
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        uint32_t quota = read_line(path, "", text, sizeof text) ? nx_cpus_quota(text) : 0;
        if (quota && (!least || quota < least))
            least = quota;
        char *end = strrchr(group, '/');
        if (!end)
            return least;
        *end = '\0';
    }
}

uint32_t nx_cpus_usable(void)
{
    cpu_set_t set;
    uint32_t n = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    uint32_t quota = group_quota();
    return quota && quota < n ? quota : n;
}
