/* counter.c — a replicated counter: every node holds the total, and all agree on it.
 *
 *     counter ID NODES [PORT]       node ID (0 … NODES - 1) of a group on this machine
 *
 * A number on standard input is multicast to the group; every node, the sender too, adds it when it is
 * delivered. All deliver in the same order, so all print the same lines. `q`, or end of input, leaves. */
#include <nexus/group/group.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct counter {
    struct nx_group *group;
    long long total;          /* wraps around */
    char line[32];            /* what is being typed; zeros behind it */
    bool whole, quit, failed; /* whole: the line has ended, and waits to be taken */
    unsigned under_way;       /* numbers of ours that are not delivered yet */
    nx_seq last;              /* the last one that is */
};

/* Deliveries come in one order at every member: that is all that replication takes. */
static void deliver(void *ctx, const struct nx_delivery *m)
{
    struct counter *c = ctx;
    long long number; /* in this machine's byte order, since all nodes run here */
    if (m->len != sizeof number)
        return; /* not from a counter; all members ignore it alike */
    memcpy(&number, m->bytes, sizeof number);
    c->total = (long long)((unsigned long long)c->total + (unsigned long long)number);
    if (m->sender == nx_group_rank(c->group))
        c->under_way--, c->last = m->seq;
    printf("message %lld: node %u adds %lld, total %lld\n", (long long)m->seq,
           nx_group_view(c->group)->members[m->sender].node, number, c->total);
}

static void view_installed(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    (void)ctx, (void)layout;
    printf("%u nodes are here; type a number, or q\n", view->members_count);
}

static void member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    struct counter *c = ctx;
    printf("node %u: %s\n", nx_group_view(c->group)->members[rank].node, clean ? "left" : why);
}

static void down(void *ctx, const struct nx_err *err)
{
    struct counter *c = ctx;
    fprintf(stderr, "counter: %s\n", err->text);
    c->failed = true;
}

/* Byte by byte: nobody types fast. */
static void read_input(struct counter *c)
{
    char byte;
    if (read(STDIN_FILENO, &byte, 1) != 1)
        c->quit = true;
    else if (byte == '\n')
        c->whole = true;
    else if (strlen(c->line) < sizeof c->line - 1) /* no number is longer */
        c->line[strlen(c->line)] = byte;
}

static void take_line(struct counter *c)
{
    char *end;
    errno = 0;
    long long number = strtoll(c->line, &end, 10);
    if (strcmp(c->line, "q") == 0) {
        c->quit = true;
    } else if (end == c->line || *end || errno) {
        printf("\"%s\" is not a number\n", c->line);
    } else {
        enum nx_status status = nx_group_send(c->group, 0, &number, sizeof number);
        if (status == NX_AGAIN)
            return; /* the window is full: the line stays, and is tried again after a poll */
        if (status != NX_OK)
            printf("%s is not added: %s\n", c->line, nx_status_text(status));
        c->under_way += status == NX_OK;
    }
    memset(c->line, 0, sizeof c->line);
    c->whole = false;
}

static int ms_until(nx_ns when)
{
    nx_ns left = when - nx_clock_now();
    return left > NX_SEC ? 1000 : left > 0 ? (int)(left / NX_MS) + 1 : 0;
}

/* All that we typed is added at every node, or cannot be, since another node is gone. */
static bool is_settled(const struct counter *c)
{
    return (c->under_way == 0 && nx_group_settled(c->group, 0) >= c->last) ||
           nx_group_shard_status(c->group, 0, 0) != NX_OK;
}

/* One thread: poll the group, look at the input, sleep when neither has work. */
static void run(struct counter *c)
{
    while (!c->failed && !(c->quit && is_settled(c) && nx_group_leave(c->group))) {
        nx_ns wake_at;
        int ms = 0;
        if (!nx_group_poll(c->group) && nx_group_arm(c->group, &wake_at) == NX_OK)
            ms = c->quit ? 1 : ms_until(wake_at);
        bool typing = nx_group_view(c->group) && !c->whole && !c->quit;
        struct pollfd fds[] = {{nx_group_fd(c->group), POLLIN, 0},
                               {typing ? STDIN_FILENO : -1, POLLIN, 0}};
        fflush(stdout);
        if (poll(fds, 2, ms) > 0 && fds[1].revents)
            read_input(c);
        if (c->whole)
            take_line(c);
    }
}

int main(int argc, char **argv)
{
    int id = argc > 2 ? atoi(argv[1]) : -1, nodes = argc > 2 ? atoi(argv[2]) : 0;
    int port = argc > 3 ? atoi(argv[3]) : 23600;
    if (id < 0 || id >= nodes || nodes > NX_MEMBERS_MAX || port < 1 || port > 65535 - nodes)
        return fprintf(stderr, "usage: counter ID NODES [PORT], as in counter 0 3\n"), 2;
    struct nx_group_config config = {.local_id = (nx_node)id,
                                     .local_ip = "127.0.0.1",
                                     .gms_port = (uint16_t)(port + id),
                                     .leader_ip = "127.0.0.1",
                                     .leader_gms_port = (uint16_t)port,
                                     .first_view_nodes = (uint32_t)nodes,
                                     .members_max = (uint32_t)nodes,
                                     .spec = {1, {{"COUNTER", 1, 1, NX_MEMBERS_MAX}}},
                                     .provider = "tcp",
                                     .join_timeout_ns = 60 * NX_SEC};
    struct nx_group_upcalls up = {
        .view = view_installed, .member_down = member_down, .deliver = deliver, .down = down};
    struct counter c = {.last = NX_SEQ_NONE};
    struct nx_err err = {0};
    if (nx_group_open(&config, &up, &c, &c.group, &err) != NX_OK)
        return fprintf(stderr, "counter: %s\n", err.text), 1;
    run(&c);
    nx_group_close(c.group);
    return printf("left, total %lld\n", c.total), c.failed;
}
