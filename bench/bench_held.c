#include "bench/bench_held.h"

#include "common/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OPENING_MAX = 64, EVENTS_MAX = 64 };

struct held_conn {
    struct load_conn conn; /* first: epoll and the calls' ends know it by this */
    bool asked, settled, failed;
};

struct held {
    const struct load_options *options;
    struct load_plan plan;
    struct held_conn *conns;
    unsigned opened, settled, failed, lost;
};

struct footprint {
    double rss_kib, cpu_s;
};

/* --- the node's process ----------------------------------------------------------------------------- */

static bool read_proc(int pid, const char *name, char *text, size_t cap)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    text[fread(text, 1, cap - 1, f)] = 0;
    fclose(f);
    return true;
}

static bool look_at(int pid, struct footprint *found)
{
    char text[4096];
    unsigned long user, system;
    if (!read_proc(pid, "status", text, sizeof text))
        return false;
    const char *rss = strstr(text, "VmRSS:");
    if (!rss || sscanf(rss, "VmRSS: %lf", &found->rss_kib) != 1 ||
        !read_proc(pid, "stat", text, sizeof text))
        return false;
    const char *name_end = strrchr(text, ')');
    if (!name_end || sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                            &user, &system) != 2)
        return false;
    found->cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* --- connections ------------------------------------------------------------------------------------ */

static void settle(struct held *held, struct held_conn *c, bool failed)
{
    held->lost += c->settled && failed && !c->failed;
    held->failed += !c->settled && failed;
    held->settled += !c->settled;
    c->settled = true;
    c->failed |= failed;
}

static void on_ended(void *ctx, struct load_conn *conn, const struct load_call *call,
                     struct load_end end)
{
    (void)call;
    bool fine =
        end.fate == LOAD_ANSWERED && (end.grpc ? end.code == 0 : end.code >= 200 && end.code < 300);
    settle(ctx, (struct held_conn *)conn, !fine);
}

static void go_on(struct held *held, struct held_conn *c, nx_ns now)
{
    if (c->conn.state == LOAD_CONN_DOWN)
        settle(held, c, true);
    if (c->asked || load_conn_room(&c->conn) == 0)
        return;
    c->asked = true;
    load_conn_ask(&c->conn, now, now);
    load_conn_flush(&c->conn, now);
}

static int hear(struct held *held, nx_ns wait)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(held->plan.epoll_fd, events, EVENTS_MAX, (int)(wait / NX_MS) + 1);
    nx_ns now = nx_clock_now();
    for (int i = 0; i < n; i++) {
        load_conn_event(events[i].data.ptr, events[i].events, now);
        go_on(held, events[i].data.ptr, now);
    }
    return n;
}

static bool open_one(struct held *held)
{
    const struct load_options *o = held->options;
    unsigned number = held->opened;
    struct held_conn *c = &held->conns[number];
    if (!load_conn_init(&c->conn, &held->plan, &o->targets[number % o->targets_count]))
        return false;
    held->opened++;
    load_conn_connect(&c->conn, nx_clock_now());
    if (c->conn.state == LOAD_CONN_DOWN)
        settle(held, c, true);
    return true;
}

/* Until `count` are answered or failed, or nothing has moved for the timeout. */
static void open_until(struct held *held, unsigned count)
{
    bool moved = true;
    while (held->settled < count && moved) {
        while (held->opened < count && held->opened - held->settled < OPENING_MAX)
            if (!open_one(held))
                return;
        moved = held->settled >= count || hear(held, held->options->timeout) > 0;
    }
}

static void hold(struct held *held)
{
    nx_ns until = nx_clock_now() + held->options->duration, now;
    while ((now = nx_clock_now()) < until)
        hear(held, until - now);
}

/* One more request on the last connection; negative: it is not answered. */
static nx_ns ask_again(struct held *held)
{
    struct held_conn *last = &held->conns[held->opened - 1];
    nx_ns start = nx_clock_now();
    if (last->failed || load_conn_room(&last->conn) == 0)
        return -1;
    load_conn_ask(&last->conn, start, start);
    load_conn_flush(&last->conn, start);
    while (last->conn.busy && !last->failed && hear(held, held->options->timeout) > 0)
        continue;
    return last->conn.busy || last->failed ? -1 : nx_clock_now() - start;
}

/* --- the report ------------------------------------------------------------------------------------- */

static void print_node(unsigned connections, const struct footprint *first,
                       const struct footprint *full, const struct footprint *after, double held_s)
{
    unsigned more = connections > 1 ? connections - 1 : 1;
    printf("  the node       %.1f -> %.1f MiB resident, %.1f KiB per connection once they are idle "
           "(%.1f KiB when the last is answered); %.2f %% CPU meanwhile\n",
           first->rss_kib / 1024, after->rss_kib / 1024, (after->rss_kib - first->rss_kib) / more,
           (full->rss_kib - first->rss_kib) / more, 100 * (after->cpu_s - full->cpu_s) / held_s);
}

static int measure(struct held *held, int node_pid)
{
    const struct load_options *o = held->options;
    struct footprint first = {0}, full = {0}, after = {0};
    double held_s = (double)o->duration / (double)NX_SEC;
    open_until(held, 1); /* what the first one sets up is no connection's */
    bool known = node_pid > 0 && look_at(node_pid, &first);
    nx_ns start = nx_clock_now();
    open_until(held, o->connections);
    double opening_s = (double)(nx_clock_now() - start) / (double)NX_SEC;
    known = known && look_at(node_pid, &full);
    hold(held);
    known = known && look_at(node_pid, &after);
    nx_ns again = ask_again(held);
    printf("%u connections, opened in %.1f s, held for %.1f s: %u failed, %u closed by the node\n",
           o->connections, opening_s, held_s, o->connections - held->settled + held->failed,
           held->lost);
    if (known)
        print_node(o->connections, &first, &full, &after, held_s);
    else if (node_pid > 0)
        fprintf(stderr, "nexus-bench serve: no process %d to look at\n", node_pid);
    if (again >= 0)
        printf("  one more request on the last: %.2f ms\n", (double)again / (double)NX_MS);
    else
        printf("  one more request on the last: not answered\n");
    return again >= 0 && held->settled == o->connections && held->failed + held->lost == 0 ? 0 : 1;
}

int bench_held(const struct load_options *options, int node_pid)
{
    struct held *held = nx_calloc(1, sizeof *held);
    struct held_conn *conns = nx_calloc(options->connections, sizeof *conns);
    int code = 1;
    if (held && conns) {
        *held = (struct held){.options = options, .conns = conns};
        held->plan.streams = 1;
        held->plan.tls = options->tls;
        held->plan.timeout = options->timeout;
        held->plan.ctx = held;
        held->plan.ended = on_ended;
        held->plan.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        code = measure(held, node_pid);
        for (unsigned i = 0; i < held->opened; i++)
            load_conn_free(&conns[i].conn);
        close(held->plan.epoll_fd);
    } else {
        fprintf(stderr, "nexus-bench serve: out of memory\n");
    }
    free(conns);
    free(held);
    return code;
}
