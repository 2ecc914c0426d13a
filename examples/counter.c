/* counter.c — a replicated counter: every node holds the total, and all agree on it.
 *
 *     counter ID NODES [PORT]       node ID (0 … NODES - 1) of a group on this machine
 *
 * A number on standard input is multicast; every node adds it when it is delivered, in the same order, so
 * all print the same lines. Who comes late, or back, is given the total. `q`, or end of input, leaves. */
#include <nexus/group/group.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counter {
    struct nx_group *group;
    long long total, cut;     /* wraps around; cut: as it was when somebody joined */
    char line[32];            /* what was typed last */
    bool typed, quit, failed; /* typed: the line waits to be taken */
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
    printf("%d nodes are here; type a number, or q\n", __builtin_popcountll(nx_view_ranks(view)));
}

/* The state is one number, and a copy of it is its cut; who joins gets it in pieces, as a large one. */
static void *state_snapshot(void *ctx, uint32_t subgroup, uint64_t *bytes)
{
    struct counter *c = ctx;
    return (void)subgroup, *bytes = sizeof c->cut, memcpy(&c->cut, &c->total, sizeof c->cut);
}

static size_t state_read(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap)
{
    (void)ctx, (void)cap; /* one byte at a time is enough for eight */
    return memcpy(buf, (char *)snapshot + offset, 1), 1;
}

static enum nx_status state_part(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                                 const void *bytes, size_t len, struct nx_err *err)
{
    struct counter *c = ctx;
    if (subgroup != 0 || total != sizeof c->total)
        return nx_err_set(err, NX_CORRUPT, "%u bytes are no counter", (unsigned)total);
    memcpy((char *)&c->total + offset, bytes, len);
    if (offset + len == total)
        printf("joined, total %lld\n", c->total), nx_group_state_ready(c->group);
    return NX_OK;
}

static void down(void *ctx, const struct nx_err *err)
{
    fprintf(stderr, "counter: %s\n", err->text), ((struct counter *)ctx)->failed = true;
}

static void read_input(struct counter *c)
{
    c->quit = !fgets(c->line, sizeof c->line, stdin) || strcmp(c->line, "q\n") == 0;
    c->line[strcspn(c->line, "\n")] = 0;
    c->typed = !c->quit;
}

static void take_line(struct counter *c)
{
    char *end;
    errno = 0;
    long long number = strtoll(c->line, &end, 10);
    if (end == c->line || *end || errno) {
        printf("\"%s\" is not a number\n", c->line);
    } else {
        enum nx_status status = nx_group_send(c->group, 0, &number, sizeof number);
        if (status == NX_AGAIN)
            return; /* the window is full: the line stays, and is tried again after a poll */
        if (status != NX_OK)
            printf("%s is not added: %s\n", c->line, nx_status_text(status));
        c->under_way += status == NX_OK;
    }
    c->typed = false;
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
        bool busy = nx_group_poll(c->group) || nx_group_arm(c->group, &wake_at) != NX_OK;
        nx_ns ms = busy ? 0 : c->quit ? 1 : (wake_at - nx_clock_now()) / NX_MS + 1;
        bool typing = nx_group_view(c->group) && !c->typed && !c->quit;
        struct pollfd fds[] = {{nx_group_fd(c->group), POLLIN, 0}, {typing ? 0 : -1, POLLIN, 0}};
        fflush(stdout);
        if (poll(fds, 2, ms > 1000 ? 1000 : ms > 0 ? (int)ms : 0) > 0 && fds[1].revents)
            read_input(c);
        if (c->typed)
            take_line(c);
    }
}

int main(int argc, char **argv)
{
    int id = argc > 2 ? atoi(argv[1]) : -1, nodes = argc > 2 ? atoi(argv[2]) : 0;
    int port = argc > 3 ? atoi(argv[3]) : 23600;
    if (id < 0 || id >= nodes || nodes >= NX_MEMBERS_MAX || port < 1 || port > 65535 - nodes)
        return fprintf(stderr, "usage: counter ID NODES [PORT], as in counter 0 3\n"), 2;
    /* clang-format off */
    struct nx_group_config config = {
        .local_id = (nx_node)id, .local_ip = "127.0.0.1", .gms_port = (uint16_t)(port + id),
        .leader_ip = "127.0.0.1", .leader_gms_port = (uint16_t)port, .provider = "tcp",
        .first_view_nodes = (uint32_t)nodes, .members_max = (uint32_t)nodes + 1, /* one comes back */
        .join_timeout_ns = 60 * NX_SEC, .spec = {1, {{"COUNTER", 1, 1, NX_MEMBERS_MAX, false}}}};
    for (int k = 0; k < nodes && k < NX_CONTACTS_MAX; k++, config.contacts_count++)
        config.contacts[k] = (struct nx_contact){"127.0.0.1", (uint16_t)(port + k)};
    struct nx_group_upcalls up = {.view = view_installed, .deliver = deliver, .down = down,
        .state_snapshot = state_snapshot, .state_read = state_read, .state_part = state_part};
    /* clang-format on */
    struct counter c = {.last = NX_SEQ_NONE};
    struct nx_err err = {0};
    if (nx_group_open(&config, &up, &c, &c.group, &err) != NX_OK)
        return fprintf(stderr, "counter: %s\n", err.text), 1;
    setvbuf(stdin, NULL, _IONBF, 0); /* a line that is read is one that poll has told of */
    run(&c);
    nx_group_close(c.group);
    return printf("left, total %lld\n", c.total), c.failed;
}
