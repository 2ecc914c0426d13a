#include "bench/bench.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RAW_REGION_BYTES = 64 << 20 };
#define SLEEP_MAX_NS (20 * NX_MS)

static void no_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    (void)ctx, (void)view, (void)layout;
}

/* All are done: of two that leave together, one may see the other's connection end before it is out itself. */
static bool closing;

static void no_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    (void)ctx;
    if (!clean && !closing)
        bench_die("rank %u is down: %s", rank, why);
}

static void no_deliver(void *ctx, const struct nx_delivery *message)
{
    (void)ctx, (void)message;
}

static void no_bulk_part(void *ctx, uint32_t subgroup, const struct nx_part *part,
                         const uint8_t *head, size_t head_len)
{
    (void)ctx, (void)subgroup, (void)part, (void)head, (void)head_len;
}

static void no_bulk_aborted(void *ctx, nx_stream stream)
{
    (void)ctx, (void)stream;
}

static void no_query_part(void *ctx, const struct nx_part *part)
{
    (void)ctx, (void)part;
}

static void no_query_gone(void *ctx, nx_stream stream)
{
    (void)ctx, (void)stream;
}

static void no_reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    (void)ctx, (void)cookie, (void)part;
}

static void no_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    (void)ctx, (void)cookie;
    bench_die("a query failed: %s", nx_status_text(why));
}

static void is_down(void *ctx, const struct nx_err *err)
{
    (void)ctx;
    bench_die("this node is down: %s", err->text);
}

void bench_no_upcalls(struct nx_group_upcalls *upcalls)
{
    *upcalls = (struct nx_group_upcalls){
        .view = no_view,
        .member_down = no_member_down,
        .deliver = no_deliver,
        .bulk_part = no_bulk_part,
        .bulk_aborted = no_bulk_aborted,
        .query_part = no_query_part,
        .query_gone = no_query_gone,
        .reply_part = no_reply_part,
        .query_failed = no_query_failed,
        .down = is_down,
    };
}

static bool poll_group(void *ctx)
{
    return nx_group_poll(ctx);
}

struct nx_group *bench_open_group(struct bench_run *run, const struct nx_group_upcalls *upcalls,
                                  void *ctx)
{
    unsigned nodes = run->options->nodes;
    struct nx_group_config config = {
        .local_id = run->index,
        .gms_port = run->index == 0 ? run->shared->port : 0,
        .leader_ip = "127.0.0.1",
        .leader_gms_port = run->shared->port,
        .first_view_nodes = nodes,
        .spec = {1, {{"ALL", 1, 1, nodes, false}}},
        .members_max = nodes,
        .join_timeout_ns = 30 * NX_SEC,
        .timeout_ns = (nx_ns)run->options->timeout_ms * NX_MS,
        .spin_ns = (nx_ns)run->options->spin_us * NX_US,
    };
    /* An address per node, so that links may be shaped one by one. */
    snprintf(config.local_ip, sizeof config.local_ip, "127.0.0.%u", run->index + 1);
    memcpy(config.provider, run->options->provider, sizeof config.provider);
    struct nx_group *group = NULL;
    struct nx_err err = {0};
    if (nx_group_open(&config, upcalls, ctx, &group, &err) != NX_OK)
        bench_die("%s", err.text);
    while (!nx_group_view(group))
        if (!nx_group_poll(group))
            sched_yield();
    bench_meet(run, poll_group, group);
    return group;
}

/* Others tell the end through shared memory, which wakes nobody: so sleeps are bounded. */
static void sleep_on(int fd, nx_ns wake_at)
{
    nx_ns left = wake_at == NX_NEVER ? SLEEP_MAX_NS : wake_at - nx_clock_now();
    left = left < 0 ? 0 : left > SLEEP_MAX_NS ? SLEEP_MAX_NS : left;
    struct timespec timeout = {.tv_nsec = left};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ppoll(&p, 1, &timeout, NULL);
}

void bench_group_turn(struct bench_run *run, struct nx_group *group)
{
    nx_ns wake_at;
    if (nx_group_poll(group))
        return;
    if (!run->options->block)
        sched_yield();
    else if (nx_group_arm(group, &wake_at) == NX_OK)
        sleep_on(nx_group_fd(group), wake_at);
}

void bench_close_group(struct bench_run *run, struct nx_group *group)
{
    closing = true;
    atomic_fetch_add(&run->shared->finished, 1);
    while (atomic_load(&run->shared->finished) < run->options->nodes)
        bench_group_turn(run, group);
    while (!nx_group_leave(group))
        nx_group_poll(group);
    nx_group_close(group);
}

/* --- raw -------------------------------------------------------------------------------------- */

static bool poll_raw(void *ctx)
{
    struct bench_raw *raw = ctx;
    struct nx_fabric_event downs[NX_MEMBERS_MAX];
    uint32_t count = 0;
    bool moved = nx_fabric_poll(raw->fabric, downs, &count);
    if (count > 0 && atomic_load(&raw->run->shared->finished) == 0)
        bench_die("raw: rank %u is down: %s", downs[0].peer, downs[0].why);
    return moved;
}

void bench_open_raw(struct bench_run *run, struct bench_raw *raw)
{
    *raw = (struct bench_raw){.run = run, .index = run->index, .nodes = run->options->nodes};
    struct nx_fabric_config config = {.local_ip = "127.0.0.1", .members_max = raw->nodes};
    memcpy(config.provider, run->options->provider, sizeof config.provider);
    raw->region = mmap(NULL, RAW_REGION_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct nx_err err = {0};
    struct bench_shared *s = run->shared;
    if (raw->region == MAP_FAILED ||
        nx_fabric_open(&config, raw->region, RAW_REGION_BYTES, &raw->fabric, &s->cards[run->index],
                       &err) != NX_OK)
        bench_die("%s", err.text);
    atomic_fetch_add(&s->cards_ready, 1);
    while (atomic_load(&s->cards_ready) < raw->nodes)
        sched_yield();
    if (nx_fabric_connect(raw->fabric, run->index, raw->nodes, s->cards, 1, &err) != NX_OK)
        bench_die("%s", err.text);
    nx_rankset others = (NX_RANK_BIT(raw->nodes) - 1) & ~NX_RANK_BIT(run->index);
    while (nx_fabric_connected(raw->fabric) != others)
        if (!poll_raw(raw))
            sched_yield();
    bench_meet(run, poll_raw, raw);
}

void bench_raw_turn(struct bench_raw *raw)
{
    if (poll_raw(raw))
        return;
    if (!raw->run->options->block)
        sched_yield();
    else if (nx_fabric_arm(raw->fabric) == NX_OK &&
             (!raw->awaited || *raw->awaited == raw->now_there))
        sleep_on(nx_fabric_fd(raw->fabric), NX_NEVER);
}

void bench_raw_write(struct bench_raw *raw, unsigned peer, uint64_t offset, uint64_t bytes,
                     bool inline_bytes)
{
    struct nx_write w = {
        .peer = peer,
        .inline_bytes = inline_bytes,
        .bytes = (uint32_t)bytes,
        .local_offset = offset,
        .remote_offset = offset,
        .doorbell = raw->run->options->block,
    };
    if (nx_fabric_post(raw->fabric, &w) != NX_OK)
        bench_die("a raw write was refused");
    nx_fabric_flush(raw->fabric);
}

void bench_close_raw(struct bench_raw *raw)
{
    atomic_fetch_add(&raw->run->shared->finished, 1);
    while (atomic_load(&raw->run->shared->finished) < raw->nodes)
        bench_raw_turn(raw);
    nx_fabric_close(raw->fabric);
}
