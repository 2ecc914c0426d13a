/* A node for test_processes: opens a group as its arguments say, then does what the driver
 * writes to its standard input, one command a line, and tells what happens on its standard
 * output.
 *
 *   process_node LOCAL_ID GMS_PORT LEADER_PORT FIRST_VIEW_NODES MIN_NODES JOIN_TIMEOUT_S IP \
 *                PROVIDER SECRET_FILE TIMEOUT_MS LEADER_IP CONTACTS
 *   CONTACTS: gms_ports at the same IP, "23580 23581 "
 *   send COUNT SIZE_MAX | bulk BYTES | query RANK COUNT SIZE OUTSTANDING | silent | report | leave */
#include "common/log.h"
#include "process/process_work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct input {
    char line[1024];
    size_t used;
    bool ended;
};

static double rss_mb(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void report(const struct work *w)
{
    struct nx_group_stats stats = {0};
    nx_group_get_stats(w->group, &stats);
    work_say("report delivered %llu order %016llx status %s alive %llx rss_mb %.1f cpu_ns %lld "
             "wakeups %llu",
             (unsigned long long)w->delivered, (unsigned long long)w->order_hash,
             nx_status_name(nx_group_shard_status(w->group, 0, 0)),
             (unsigned long long)nx_group_alive(w->group), rss_mb(),
             (long long)nx_clock_process_cpu(), (unsigned long long)stats.wakeups);
}

_Noreturn static void leave(struct work *w)
{
    nx_ns start = nx_clock_now();
    while (!nx_group_leave(w->group))
        nx_group_poll(w->group);
    nx_group_close(w->group);
    work_say("left after_us %lld", (long long)((nx_clock_now() - start) / NX_US));
    exit(0);
}

static void obey(struct work *w, const char *line)
{
    unsigned long long a = 0, b = 0, c = 0, d = 0;
    if (sscanf(line, "send %llu %llu", &a, &b) == 2) {
        w->to_send += a;
        w->size_max = (size_t)b;
    } else if (sscanf(line, "bulk %llu", &a) == 1) {
        w->bulk_total = a;
    } else if (sscanf(line, "query %llu %llu %llu %llu", &a, &b, &c, &d) == 4) {
        w->tasks[a] = (struct work_task){.to_open = b, .size = c, .outstanding = (unsigned)d};
    } else if (strcmp(line, "silent") == 0) {
        w->silent = true;
    } else if (strcmp(line, "report") == 0) {
        report(w);
    } else if (strcmp(line, "leave") == 0) {
        leave(w);
    } else {
        work_say("unknown command %s", line);
        exit(7);
    }
}

static bool read_commands(struct work *w, struct input *in)
{
    ssize_t n = read(STDIN_FILENO, in->line + in->used, sizeof in->line - 1 - in->used);
    if (n == 0)
        exit(6); /* the driver is gone */
    if (n < 0)
        return false;
    in->used += (size_t)n;
    in->line[in->used] = '\0';
    char *end;
    while ((end = strchr(in->line, '\n'))) {
        *end = '\0';
        obey(w, in->line);
        size_t gone = (size_t)(end + 1 - in->line);
        memmove(in->line, end + 1, in->used - gone + 1);
        in->used -= gone;
    }
    return true;
}

static void sleep_on(const struct work *w, nx_ns wake_at)
{
    nx_ns left = wake_at == NX_NEVER ? 60 * NX_SEC : wake_at - nx_clock_now();
    struct pollfd fds[] = {{.fd = nx_group_fd(w->group), .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
    poll(fds, 2, left < 0 ? 0 : (int)(left / NX_MS) + 1);
}

static void run(struct work *w)
{
    struct input in = {.used = 0};
    for (;;) {
        nx_ns wake_at;
        bool moved = nx_group_poll(w->group);
        moved |= read_commands(w, &in);
        moved |= work_push(w);
        if (!moved && nx_group_arm(w->group, &wake_at) == NX_OK)
            sleep_on(w, wake_at);
    }
}

int main(int argc, char **argv)
{
    if (argc != 13)
        return 2;
    struct nx_group_config config = {
        .local_id = (nx_node)atoi(argv[1]),
        .gms_port = (uint16_t)atoi(argv[2]),
        .leader_gms_port = (uint16_t)atoi(argv[3]),
        .first_view_nodes = (uint32_t)atoi(argv[4]),
        .spec = {1, {{"ALL", 1, (uint32_t)atoi(argv[5]), 8}}},
        .members_max = 8,
        .join_timeout_ns = (nx_ns)(atof(argv[6]) * NX_SEC),
        .timeout_ns = atoi(argv[10]) * NX_MS,
    };
    snprintf(config.local_ip, sizeof config.local_ip, "%s", argv[7]);
    snprintf(config.leader_ip, sizeof config.leader_ip, "%s", argv[11]);
    snprintf(config.provider, sizeof config.provider, "%s", argv[8]);
    snprintf(config.secret_file, sizeof config.secret_file, "%s", argv[9]);
    char *rest = argv[12];
    for (unsigned long port; (port = strtoul(rest, &rest, 10)) != 0;) {
        struct nx_contact *contact = &config.contacts[config.contacts_count++];
        snprintf(contact->ip, sizeof contact->ip, "%s", argv[7]);
        contact->port = (uint16_t)port;
    }
    struct work *w = calloc(1, sizeof *w);
    struct nx_group_upcalls upcalls;
    struct nx_err err = {0};
    work_upcalls(&upcalls);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    if (nx_group_open(&config, &upcalls, w, &w->group, &err) != NX_OK) {
        work_say("refused %s", err.text);
        free(w);
        return 4;
    }
    work_say("open");
    run(w);
}
