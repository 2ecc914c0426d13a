#include "function_tier/metrics_work.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

void nx_metrics_head(struct nx_text *t, const char *name, const char *type, const char *help)
{
    nx_text_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_counters(const struct nx_pb_status *status, struct nx_text *t)
{
    static const struct {
        const char *name, *help;
        size_t at;
        bool is_time; /* nanoseconds, told in seconds */
        bool is_gauge;
    } rows[] = {
        {"nexus_batches_total", "Batches that ran.", offsetof(struct nx_pb_work, batches), false,
         false},
        {"nexus_batch_photos_total", "Photos and tensors that ran in batches.",
         offsetof(struct nx_pb_work, photos), false, false},
        {"nexus_batch_busy_seconds_total", "Time that batches ran.",
         offsetof(struct nx_pb_work, busy_ns), true, false},
        {"nexus_photos_refused_total", "Photos refused at once: no room, or answered too late.",
         offsetof(struct nx_pb_work, refused), false, false},
        {"nexus_photos_expired_total", "Photos given up in the queue: their deadline came.",
         offsetof(struct nx_pb_work, late), false, false},
        {"nexus_photos_cancelled_total", "Photos for which nobody waited any more.",
         offsetof(struct nx_pb_work, cancelled), false, false},
        {"nexus_replica_trace_spans_exported_total", "Spans that the collector took.",
         offsetof(struct nx_pb_work, spans_exported), false, false},
        {"nexus_replica_trace_spans_dropped_total", "Spans that were dropped.",
         offsetof(struct nx_pb_work, spans_dropped), false, false},
        {"nexus_replica_stability_lag_messages",
         "Ordered messages that a replica delivered and not all of its shard have.",
         offsetof(struct nx_pb_work, unsettled), false, true},
        {"nexus_replica_persistence_lag_messages",
         "Ordered messages that a replica delivered and not all of its shard keep on disk.",
         offsetof(struct nx_pb_work, undurable), false, true},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        nx_metrics_head(t, rows[k].name, rows[k].is_gauge ? "gauge" : "counter", rows[k].help);
        for (size_t i = 0; i < status->replicas_count; i++) {
            const struct nx_pb_replica *r = &status->replicas[i];
            uint64_t value;
            if (!r->work)
                continue;
            memcpy(&value, (const char *)r->work + rows[k].at, sizeof value);
            nx_text_printf(t, "%s{shard=\"%u\",node=\"%u\"} ", rows[k].name, r->shard, r->node);
            if (rows[k].is_time)
                nx_text_printf(t, "%.9f\n", (double)value / 1e9);
            else
                nx_text_printf(t, "%llu\n", (unsigned long long)value);
        }
    }
}

/* One replica's; bounds[k] belongs to counts[k]. The last count has no bound if bounds_count is one less. */
struct steps {
    const char *name;
    const uint64_t *counts;
    const double *bounds;
    size_t count, bounds_count;
    double sum;
};

static void write_steps(const struct nx_pb_replica *r, const struct steps *s, struct nx_text *t)
{
    char labels[64];
    uint64_t total = 0;
    snprintf(labels, sizeof labels, "shard=\"%u\",node=\"%u\"", r->shard, r->node);
    for (size_t k = 0; k < s->count; k++) {
        total += s->counts[k];
        if (k < s->bounds_count)
            nx_text_printf(t, "%s_bucket{%s,le=\"%g\"} %llu\n", s->name, labels, s->bounds[k],
                           (unsigned long long)total);
    }
    nx_text_printf(t, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.9g\n%s_count{%s} %llu\n",
                   s->name, labels, (unsigned long long)total, s->name, labels, s->sum, s->name,
                   labels, (unsigned long long)total);
}

enum { STEPS_MAX = 32 };

static void write_sizes(const struct nx_pb_replica *r, struct nx_text *t)
{
    double bounds[STEPS_MAX];
    const struct nx_pb_work *w = r->work;
    for (size_t k = 0; k < w->sizes_count && k < STEPS_MAX; k++)
        bounds[k] = (double)(UINT64_C(1) << k);
    write_steps(r,
                &(struct steps){"nexus_batch_size", w->sizes, bounds, w->sizes_count,
                                w->sizes_count, (double)w->photos},
                t);
}

static void write_waits(const struct nx_pb_replica *r, struct nx_text *t)
{
    double bounds[STEPS_MAX];
    const struct nx_pb_work *w = r->work;
    for (size_t k = 0; k + 1 < w->waits_count && k < STEPS_MAX; k++)
        bounds[k] = (double)w->waits_bounds_us[k] / 1e6;
    write_steps(r,
                &(struct steps){"nexus_queue_wait_seconds", w->waits, bounds, w->waits_count,
                                w->waits_count - 1, (double)w->wait_ns / 1e9},
                t);
}

void nx_metrics_write_work(const struct nx_pb_status *status, struct nx_text *t)
{
    write_counters(status, t);
    nx_metrics_head(t, "nexus_batch_size", "histogram", "Photos in each batch.");
    for (size_t i = 0; i < status->replicas_count; i++)
        if (status->replicas[i].work)
            write_sizes(&status->replicas[i], t);
    nx_metrics_head(t, "nexus_queue_wait_seconds", "histogram",
                    "From a photo that is decoded to the start of its batch.");
    for (size_t i = 0; i < status->replicas_count; i++)
        if (status->replicas[i].work)
            write_waits(&status->replicas[i], t);
}

bool nx_metrics_is_called(const struct nx_pb_model_row *m, const char *model)
{
    char tag[16];
    snprintf(tag, sizeof tag, "%u", m->tag);
    return strcmp(m->name[0] ? m->name : tag, model) == 0;
}

uint64_t nx_metrics_model_version(const struct nx_pb_status *status, const char *model)
{
    uint64_t serving = 0, newest = 0;
    for (size_t i = 0; i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++) {
            const struct nx_pb_model_row *row = &status->replicas[i].models[k];
            if (!nx_metrics_is_called(row, model))
                continue;
            if (row->version > newest)
                newest = row->version;
            if (row->version > serving && strcmp(row->state, "ready") == 0)
                serving = row->version;
        }
    return serving ? serving : newest;
}

struct nx_model_work nx_metrics_model_work(const struct nx_pb_status *status, const char *model)
{
    struct nx_model_work sum = {0};
    for (size_t i = 0; i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++) {
            const struct nx_pb_model_row *m = &status->replicas[i].models[k];
            if (!nx_metrics_is_called(m, model))
                continue;
            sum.execs += m->execs;
            sum.queue_ns += m->queue_ns;
            sum.run_ns += m->run_ns;
            sum.input_ns += m->input_ns;
            sum.output_ns += m->output_ns;
            sum.photos += m->queries;
        }
    return sum;
}
