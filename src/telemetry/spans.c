#include "telemetry/spans.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "common/ring.h"
#include "telemetry/otlp_json.h"
#include "telemetry/otlp_post.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TRIES = 4, JSON_BYTES_MAX = 8 << 20 };
static const nx_ns PAUSE_FIRST_NS = NX_SEC; /* doubled each time */
static const nx_ns CLOSING_NS = NX_SEC;

struct nx_spans {
    struct nx_otlp_source source;
    struct nx_otlp_post *post;
    struct nx_prng prng;
    struct nx_span *pool;
    struct nx_ring free, full; /* free: the exporter gives, the loop takes; full: the other way */
    int wake_fd, stop_fd;
    pthread_t thread;
    bool started, told_down; /* told_down: the exporter's */
    atomic_bool asleep, stopping;
    _Atomic nx_ns until; /* no post goes on beyond it */
    atomic_uint_fast64_t exported, dropped, failures;
};

/* --- the exporting thread -------------------------------------------------------------------------- */

static void ring_fd(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    nx_assert(n == sizeof one || errno == EAGAIN); /* EAGAIN: it rings already */
}

/* Until one of them rings, or the time is over; wake_fd is silent afterwards, stop_fd rings for ever. */
static void wait_for(struct nx_spans *s, bool wakes, nx_ns time)
{
    struct pollfd fds[] = {{.fd = s->stop_fd, .events = POLLIN},
                           {.fd = wakes ? s->wake_fd : -1, .events = POLLIN}};
    uint64_t count;
    (void)poll(fds, 2, time == NX_NEVER ? -1 : (int)(time / NX_MS));
    if (wakes && fds[1].revents && read(s->wake_fd, &count, sizeof count) < 0)
        nx_assert(errno == EAGAIN || errno == EINTR);
}

/* A span that comes after the look finds `asleep` and rings. */
static void wait_for_first(struct nx_spans *s)
{
    while (nx_ring_count(&s->full) == 0 && !atomic_load(&s->stopping)) {
        atomic_store(&s->asleep, true);
        atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence in nx_spans_put */
        if (nx_ring_count(&s->full) == 0)
            wait_for(s, true, NX_NEVER);
        atomic_store(&s->asleep, false);
    }
}

static void tell(struct nx_spans *s, const struct nx_err *err)
{
    if (err && !s->told_down)
        nx_warn("traces are not taken: %s", err->text);
    else if (!err && s->told_down)
        nx_warn("traces are taken again");
    s->told_down = err != NULL;
}

static enum nx_status post(struct nx_spans *s, const struct nx_text *json)
{
    enum nx_status status = NX_AGAIN;
    struct nx_err err;
    nx_ns pause = PAUSE_FIRST_NS;
    for (int i = 0; i < TRIES && status == NX_AGAIN; i++) {
        if (atomic_load(&s->stopping) && (i > 0 || nx_clock_now() >= atomic_load(&s->until)))
            break;
        if (i > 0) {
            wait_for(s, false, pause);
            pause *= 2;
        }
        status = nx_otlp_post_send(s->post, json->at, json->len, &s->until, &err);
        if (status != NX_OK)
            atomic_fetch_add(&s->failures, 1);
        tell(s, status == NX_OK ? NULL : &err);
    }
    return status;
}

static void send_batch(struct nx_spans *s)
{
    struct nx_span *batch[NX_SPANS_BATCH], *span;
    struct nx_text json;
    size_t count = 0;
    while (count < NX_SPANS_BATCH && (span = nx_ring_pop(&s->full)))
        batch[count++] = span;
    nx_text_init(&json, JSON_BYTES_MAX);
    nx_otlp_json(&s->source, (const struct nx_span *const *)batch, count, &json);
    for (size_t i = 0; i < count; i++) {
        enum nx_status status = nx_ring_push(&s->free, batch[i]);
        nx_assert(status == NX_OK); /* it has room for all there are */
    }
    bool sent = !json.bad && post(s, &json) == NX_OK;
    atomic_fetch_add(sent ? &s->exported : &s->dropped, count);
    nx_text_free(&json);
}

static void *export_spans(void *arg)
{
    struct nx_spans *s = arg;
    for (;;) {
        wait_for_first(s);
        if (nx_ring_count(&s->full) == 0)
            return NULL; /* stopping */
        if (nx_ring_count(&s->full) < NX_SPANS_BATCH && !atomic_load(&s->stopping))
            wait_for(s, true, NX_SPANS_LINGER_NS);
        send_batch(s);
    }
}

/* --- the loop thread -------------------------------------------------------------------------------- */

static void release(struct nx_spans *s)
{
    if (s->post)
        nx_otlp_post_close(s->post);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    nx_ring_fini(&s->free);
    nx_ring_fini(&s->full);
    free(s->pool);
    free(s);
}

static enum nx_status open_parts(struct nx_spans *s, const struct nx_spans_config *config,
                                 struct nx_err *err)
{
    NX_TRY(nx_otlp_post_open(config->url, &s->post, err));
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->pool = nx_calloc(NX_SPANS_MAX, sizeof *s->pool);
    if (s->wake_fd < 0 || s->stop_fd < 0 || !s->pool ||
        nx_ring_init(&s->free, NX_SPANS_MAX) != NX_OK ||
        nx_ring_init(&s->full, NX_SPANS_MAX) != NX_OK)
        return nx_err_set(err, NX_NO_MEMORY, "no memory or descriptors for an exporter of traces");
    for (size_t i = 0; i < NX_SPANS_MAX; i++)
        nx_ring_push(&s->free, &s->pool[i]);
    int failed = pthread_create(&s->thread, NULL, export_spans, s);
    if (failed)
        return nx_err_set(err, NX_NO_MEMORY, "cannot start thread nexus-traces: %s",
                          strerror(failed));
    pthread_setname_np(s->thread, "nexus-traces");
    s->started = true;
    return NX_OK;
}

enum nx_status nx_spans_open(const struct nx_spans_config *config, struct nx_spans **spans,
                             struct nx_err *err)
{
    struct nx_spans *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an exporter of traces");
    s->source = (struct nx_otlp_source){config->node, config->tier};
    s->wake_fd = s->stop_fd = -1;
    atomic_init(&s->until, NX_NEVER);
    nx_prng_init(&s->prng, config->seed);
    enum nx_status status = open_parts(s, config, err);
    if (status != NX_OK) {
        release(s);
        return status;
    }
    *spans = s;
    return NX_OK;
}

void nx_spans_close(struct nx_spans *s)
{
    atomic_store(&s->until, nx_clock_now() + CLOSING_NS);
    atomic_store(&s->stopping, true);
    ring_fd(s->stop_fd);
    pthread_join(s->thread, NULL);
    release(s);
}

struct nx_span *nx_spans_take(struct nx_spans *s, const struct nx_trace_ids *ids,
                              enum nx_span_kind kind, const char *name)
{
    if (!s || !nx_trace_is_sampled(ids))
        return NULL;
    struct nx_span *span = nx_ring_pop(&s->free);
    if (!span) {
        atomic_fetch_add(&s->dropped, 1);
        return NULL;
    }
    span->ids = *ids;
    span->kind = kind;
    span->begun = span->ended = 0;
    snprintf(span->name, sizeof span->name, "%s", name);
    span->failed = false;
    span->why[0] = 0;
    span->facts_count = 0;
    return span;
}

void nx_spans_put(struct nx_spans *s, struct nx_span *span)
{
    enum nx_status status = nx_ring_push(&s->full, span);
    nx_assert(status == NX_OK); /* it has room for all there are */
    /* pairs with the fence in wait_for_first: either the span is seen there, or `asleep` here */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_exchange(&s->asleep, false) || nx_ring_count(&s->full) == NX_SPANS_BATCH)
        ring_fd(s->wake_fd);
}

void nx_spans_child(struct nx_spans *s, const struct nx_trace_ids *above, struct nx_trace_ids *ids)
{
    nx_trace_child(&s->prng, above, ids);
}

static struct nx_span_fact *add_fact(struct nx_span *span, const char *key)
{
    if (span->facts_count == NX_SPAN_FACTS_MAX)
        return NULL;
    struct nx_span_fact *fact = &span->facts[span->facts_count++];
    fact->key = key;
    return fact;
}

void nx_span_text(struct nx_span *span, const char *key, const char *text)
{
    struct nx_span_fact *fact = text[0] ? add_fact(span, key) : NULL;
    if (!fact)
        return;
    fact->is_text = true;
    snprintf(fact->text, sizeof fact->text, "%s", text);
}

void nx_span_number(struct nx_span *span, const char *key, int64_t number)
{
    struct nx_span_fact *fact = add_fact(span, key);
    if (!fact)
        return;
    fact->is_text = false;
    fact->number = number;
}

void nx_span_fail(struct nx_span *span, const char *why)
{
    span->failed = true;
    snprintf(span->why, sizeof span->why, "%s", why);
}

struct nx_spans_figures nx_spans_figures(const struct nx_spans *s)
{
    if (!s)
        return (struct nx_spans_figures){0};
    return (struct nx_spans_figures){atomic_load(&s->exported), atomic_load(&s->dropped),
                                     atomic_load(&s->failures)};
}
