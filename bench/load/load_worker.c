#include "bench/load/load_worker.h"

#include "common/arena.h"
#include "common/event_wait.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EVENTS_MAX = 128 };

#define SWEEP_EVERY (20 * NX_MS)

/* --- what came of a call ---------------------------------------------------------------------------- */

static void make_ready(struct load_worker *worker, struct load_conn *conn)
{
    if (conn->is_ready || load_conn_room(conn) == 0)
        return;
    conn->is_ready = true;
    TAILQ_INSERT_TAIL(&worker->ready, conn, in_ready);
}

static bool count_answer(struct load_result *result, struct load_end end)
{
    int most = end.grpc ? LOAD_GRPC_CODES - 1 : LOAD_HTTP_CODES - 1;
    int code = end.code < 0 || end.code > most ? most : end.code;
    result->answered++;
    (end.grpc ? result->grpc : result->http)[code]++;
    return end.grpc ? code == 0 : code >= 200 && code < 300;
}

static void on_ended(void *ctx, struct load_conn *conn, const struct load_call *call,
                     struct load_end end)
{
    struct load_worker *worker = ctx;
    struct load_result *result = worker->result;
    worker->under_way--;
    make_ready(worker, conn);
    if (call->due < worker->measured_from)
        return;
    result->due++;
    if (end.fate != LOAD_ANSWERED) {
        result->broken[end.fate]++;
    } else if (count_answer(result, end)) {
        nx_ns now = nx_clock_now();
        result->ok++;
        load_hist_add(&result->from_due, now - call->due, 1);
        load_hist_add(&result->from_sent, now - call->sent, 1);
    }
}

/* --- one turn --------------------------------------------------------------------------------------- */

static bool may_send(const struct load_worker *worker, nx_ns now)
{
    if (worker->options->rate > 0)
        return worker->schedule.next <= now && worker->schedule.next < worker->until;
    return worker->under_way < worker->clients && now < worker->until;
}

static struct load_conn *next_ready(struct load_worker *worker)
{
    struct load_conn *conn;
    while ((conn = TAILQ_FIRST(&worker->ready)) && load_conn_room(conn) == 0) {
        TAILQ_REMOVE(&worker->ready, conn, in_ready);
        conn->is_ready = false;
    }
    return conn;
}

static void mark_dirty(struct load_worker *worker, struct load_conn *conn)
{
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    TAILQ_INSERT_TAIL(&worker->dirty, conn, in_dirty);
}

static void send_one(struct load_worker *worker, struct load_conn *conn, nx_ns now)
{
    nx_ns due = worker->options->rate > 0 ? load_schedule_take(&worker->schedule) : now;
    TAILQ_REMOVE(&worker->ready, conn, in_ready); /* connections take turns */
    conn->is_ready = false;
    worker->under_way++;
    load_conn_ask(conn, due, now);
    make_ready(worker, conn);
    mark_dirty(worker, conn);
}

static void send_due(struct load_worker *worker, nx_ns now)
{
    struct load_conn *conn;
    while (may_send(worker, now) && (conn = next_ready(worker)))
        send_one(worker, conn, now);
    while ((conn = TAILQ_FIRST(&worker->dirty))) {
        TAILQ_REMOVE(&worker->dirty, conn, in_dirty);
        conn->is_dirty = false;
        load_conn_flush(conn, now);
    }
}

static void sweep(struct load_worker *worker, nx_ns now)
{
    if (now - worker->swept < SWEEP_EVERY)
        return;
    worker->swept = now;
    for (unsigned i = 0; i < worker->conns_count; i++) {
        struct load_conn *conn = &worker->conns[i];
        load_conn_sweep(conn, now);
        if (conn->state == LOAD_CONN_DOWN && now >= conn->retry_at)
            load_conn_connect(conn, now);
        mark_dirty(worker, conn);
    }
}

/* Sleeps until an answer comes, or a request is due that could be sent. */
static void wait_and_hear(struct load_worker *worker, nx_ns now)
{
    struct epoll_event events[EVENTS_MAX];
    nx_ns wake = worker->swept + SWEEP_EVERY;
    if (worker->options->rate > 0 && worker->schedule.next < worker->until &&
        worker->schedule.next < wake && next_ready(worker))
        wake = worker->schedule.next;
    int n = nx_event_wait(worker->plan.epoll_fd, events, EVENTS_MAX, wake - now);
    now = nx_clock_now();
    for (int i = 0; i < n; i++) {
        struct load_conn *conn = events[i].data.ptr;
        load_conn_event(conn, events[i].events, now);
        if (conn->state == LOAD_CONN_DOWN && conn->retry_at <= now)
            load_conn_connect(conn, now);
        make_ready(worker, conn);
    }
    sweep(worker, now);
}

/* --- a measurement ---------------------------------------------------------------------------------- */

static unsigned share(unsigned all, unsigned parts, unsigned index)
{
    return all / parts + (index < all % parts);
}

bool load_worker_init(struct load_worker *worker, const struct load_options *options,
                      unsigned index, struct load_result *result)
{
    worker->options = options;
    worker->index = index;
    worker->result = result;
    worker->conns_count = share(options->connections, options->threads, index);
    worker->clients = share(options->clients, options->threads, index);
    worker->until = NX_NEVER;
    TAILQ_INIT(&worker->ready);
    TAILQ_INIT(&worker->dirty);
    worker->plan.streams = options->streams;
    worker->plan.tls = options->tls;
    worker->plan.timeout = options->timeout;
    worker->plan.ctx = worker;
    worker->plan.ended = on_ended;
    worker->plan.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->conns = nx_calloc(worker->conns_count, sizeof *worker->conns);
    if (worker->plan.epoll_fd < 0 || !worker->conns)
        return false;
    for (unsigned i = 0; i < worker->conns_count; i++) {
        unsigned number = index + i * options->threads;
        if (!load_conn_init(&worker->conns[i], &worker->plan,
                            &options->targets[number % options->targets_count]))
            return false;
    }
    return true;
}

void load_worker_free(struct load_worker *worker)
{
    for (unsigned i = 0; worker->conns && i < worker->conns_count; i++)
        if (worker->conns[i].calls)
            load_conn_free(&worker->conns[i]);
    if (worker->plan.epoll_fd > 0)
        close(worker->plan.epoll_fd);
    free(worker->conns);
}

static unsigned count_up(const struct load_worker *worker)
{
    unsigned up = 0;
    for (unsigned i = 0; i < worker->conns_count; i++)
        up += worker->conns[i].state == LOAD_CONN_UP;
    return up;
}

unsigned load_worker_connect(struct load_worker *worker)
{
    nx_ns now = nx_clock_now(), end = now + worker->options->timeout;
    worker->clients = 0;
    worker->schedule.next = NX_NEVER;
    worker->swept = now;
    for (unsigned i = 0; i < worker->conns_count; i++)
        load_conn_connect(&worker->conns[i], now);
    for (; now < end && count_up(worker) < worker->conns_count; now = nx_clock_now())
        wait_and_hear(worker, now);
    worker->clients = share(worker->options->clients, worker->options->threads, worker->index);
    return count_up(worker);
}

/* What was due and is not even sent: nobody may leave it out of the count. */
static void count_unsent(struct load_worker *worker)
{
    while (worker->options->rate > 0 && worker->schedule.next < worker->until) {
        worker->result->due++;
        worker->result->broken[LOAD_UNSENT]++;
        load_schedule_take(&worker->schedule);
    }
}

static bool is_done(const struct load_worker *worker, nx_ns now)
{
    if (now < worker->until)
        return false;
    bool waits = worker->options->rate > 0 && worker->schedule.next < worker->until;
    return (worker->under_way == 0 && !waits) || now > worker->until + worker->options->timeout;
}

void load_worker_measure(struct load_worker *worker, nx_ns start)
{
    const struct load_options *options = worker->options;
    nx_ns now = start, cpu = nx_clock_thread_cpu();
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    worker->measured_from = start + options->warmup;
    worker->until = worker->measured_from + options->duration;
    if (options->rate > 0)
        load_schedule_init(&worker->schedule, options->rate / options->threads,
                           options->seed + worker->index, start);
    for (; !is_done(worker, now); now = nx_clock_now()) {
        send_due(worker, now);
        wait_and_hear(worker, now);
    }
    count_unsent(worker);
    for (unsigned i = 0; i < worker->conns_count; i++) {
        worker->result->connects_failed += worker->conns[i].failed;
        load_conn_abandon(&worker->conns[i]);
    }
    worker->result->cpu = nx_clock_thread_cpu() - cpu;
    worker->result->spent = nx_clock_now() - start;
}
