#include "function_tier/metrics.h"

#include "common/arena.h"
#include "function_tier/metrics_work.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { BOUNDS = 14, CLASSES = 6, MODEL_NAME_BYTES = NX_MODEL_NAME_BYTES };

static const double bounds_s[BOUNDS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                        0.1,    0.25,  0.5,    1,     2.5,  5,     10};

static const char *const api_labels[] = {
#define API_LABEL(api, label) label,
    NX_METRICS_API_LIST(API_LABEL)
#undef API_LABEL
};

struct histogram {
    uint64_t counts[BOUNDS + 1]; /* not cumulative here; the last is above all bounds */
    nx_ns sum_ns;
};

struct model {
    char name[MODEL_NAME_BYTES];
    struct nx_model_counts counts;
    struct histogram took;
};

struct nx_metrics {
    uint64_t requests[NX_API_COUNT][CLASSES]; /* by the status' first digit */
    struct histogram took[NX_API_COUNT];
    uint32_t models_count;
    struct model models[NX_METRICS_MODELS]; /* the last one is "other" */
};

struct nx_metrics *nx_metrics_open(void)
{
    return nx_calloc(1, sizeof(struct nx_metrics));
}

void nx_metrics_close(struct nx_metrics *metrics)
{
    free(metrics);
}

static void observe(struct histogram *h, nx_ns took)
{
    int i = 0;
    while (i < BOUNDS && (double)took > bounds_s[i] * (double)NX_SEC)
        i++;
    h->counts[i]++;
    h->sum_ns += took;
}

void nx_metrics_request(struct nx_metrics *m, enum nx_api api, int status, nx_ns took)
{
    int class = status / 100;
    m->requests[api][class > 0 && class < CLASSES ? class : 5]++;
    observe(&m->took[api], took);
}

static const struct model *find(const struct nx_metrics *m, const char *name)
{
    for (uint32_t i = 0; i < m->models_count; i++)
        if (strcmp(m->models[i].name, name) == 0)
            return &m->models[i];
    return NULL;
}

static struct model *find_or_add(struct nx_metrics *m, const char *name)
{
    const struct model *known = find(m, name);
    if (known)
        return &m->models[known - m->models];
    if (m->models_count == NX_METRICS_MODELS)
        return &m->models[NX_METRICS_MODELS - 1];
    struct model *fresh = &m->models[m->models_count++];
    name = m->models_count == NX_METRICS_MODELS ? "other" : name;
    memcpy(fresh->name, name, strnlen(name, MODEL_NAME_BYTES - 1));
    return fresh;
}

void nx_metrics_inference(struct nx_metrics *m, const char *model, bool ok, uint32_t rows,
                          nx_ns took)
{
    struct model *entry = find_or_add(m, model);
    entry->counts.success += ok;
    entry->counts.failure += !ok;
    entry->counts.rows += ok ? rows : 0;
    entry->counts.last_ms = nx_clock_wall() / NX_MS;
    *(ok ? &entry->counts.success_ns : &entry->counts.failure_ns) += (uint64_t)took;
    observe(&entry->took, took);
}

struct nx_model_counts nx_metrics_model(const struct nx_metrics *m, const char *model)
{
    const struct model *known = find(m, model);
    return known ? known->counts : (struct nx_model_counts){0};
}

void nx_metrics_traffic(const struct nx_metrics *m, struct nx_pb_traffic *traffic)
{
    static_assert((int)BOUNDS <= (int)NX_PB_LATENCY_BOUNDS_MAX, "every bound is told");
    *traffic = (struct nx_pb_traffic){.bounds_count = BOUNDS};
    for (int k = 0; k < BOUNDS; k++)
        traffic->bounds_us[k] = (uint64_t)(bounds_s[k] * 1e6 + 0.5);
    for (uint32_t i = 0; i < m->models_count; i++) {
        const struct nx_model_counts *c = &m->models[i].counts;
        traffic->success += c->success;
        traffic->failure += c->failure;
        traffic->rows += c->rows;
        traffic->total_us += (c->success_ns + c->failure_ns) / (uint64_t)NX_US;
        for (int k = 0; k <= BOUNDS; k++)
            traffic->counts[k] += m->models[i].took.counts[k];
    }
}

/* --- the text ------------------------------------------------------------------------------------- */

static void write_histogram(struct nx_text *t, const char *name, const char *label,
                            const char *value, const struct histogram *h)
{
    uint64_t sum = 0;
    for (int i = 0; i < BOUNDS; i++) {
        sum += h->counts[i];
        nx_text_printf(t, "%s_bucket{%s=\"%s\",le=\"%g\"} %llu\n", name, label, value, bounds_s[i],
                       (unsigned long long)sum);
    }
    sum += h->counts[BOUNDS];
    nx_text_printf(t, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %llu\n", name, label, value,
                   (unsigned long long)sum);
    nx_text_printf(t, "%s_sum{%s=\"%s\"} %.9f\n%s_count{%s=\"%s\"} %llu\n", name, label, value,
                   (double)h->sum_ns / (double)NX_SEC, name, label, value, (unsigned long long)sum);
}

static void write_requests(const struct nx_metrics *m, struct nx_text *t)
{
    nx_metrics_head(t, "nexus_requests_total", "counter",
                    "Requests answered, by API and class of status.");
    for (int api = 0; api < NX_API_COUNT; api++)
        for (int class = 1; class < CLASSES; class ++)
            if (m->requests[api][class] > 0 || class == 2)
                nx_text_printf(t, "nexus_requests_total{api=\"%s\",code=\"%dxx\"} %llu\n",
                               api_labels[api], class, (unsigned long long)m->requests[api][class]);
    nx_metrics_head(t, "nexus_request_duration_seconds", "histogram",
                    "From the request's head to its answer, by API.");
    for (int api = 0; api < NX_API_COUNT; api++)
        write_histogram(t, "nexus_request_duration_seconds", "api", api_labels[api], &m->took[api]);
}

static void write_models(const struct nx_metrics *m, struct nx_text *t)
{
    nx_metrics_head(t, "nexus_inferences_total", "counter",
                    "Inference requests answered, by model.");
    for (uint32_t i = 0; i < m->models_count; i++)
        nx_text_printf(t,
                       "nexus_inferences_total{model=\"%s\",outcome=\"success\"} %llu\n"
                       "nexus_inferences_total{model=\"%s\",outcome=\"failure\"} %llu\n",
                       m->models[i].name, (unsigned long long)m->models[i].counts.success,
                       m->models[i].name, (unsigned long long)m->models[i].counts.failure);
    nx_metrics_head(t, "nexus_inference_rows_total", "counter",
                    "Photos and rows inferred, by model.");
    for (uint32_t i = 0; i < m->models_count; i++)
        nx_text_printf(t, "nexus_inference_rows_total{model=\"%s\"} %llu\n", m->models[i].name,
                       (unsigned long long)m->models[i].counts.rows);
    nx_metrics_head(t, "nexus_inference_duration_seconds", "histogram",
                    "From the whole request to its answer, by model.");
    for (uint32_t i = 0; i < m->models_count; i++)
        write_histogram(t, "nexus_inference_duration_seconds", "model", m->models[i].name,
                        &m->models[i].took);
}

static bool is_categorizer(const char *tier)
{
    return strcmp(tier, "categorizer") == 0;
}

static void write_members(const struct nx_pb_status *status, struct nx_text *t)
{
    nx_metrics_head(t, "nexus_members", "gauge", "Members of the installed view.");
    nx_text_printf(t, "nexus_members %zu\n", status->members_count);
    nx_metrics_head(t, "nexus_member_up", "gauge",
                    "1 for each member that is not missed and has its state.");
    for (size_t i = 0; i < status->members_count; i++)
        nx_text_printf(t, "nexus_member_up{node=\"%u\",tier=\"%s\"} %d\n", status->members[i].node,
                       status->members[i].tier, strcmp(status->members[i].state, "alive") == 0);
    nx_metrics_head(t, "nexus_replica_queued_photos", "gauge", "Photos that wait at each replica.");
    for (size_t i = 0; i < status->members_count; i++)
        if (is_categorizer(status->members[i].tier) && !status->members[i].spare)
            nx_text_printf(t, "nexus_replica_queued_photos{shard=\"%u\",node=\"%u\"} %u\n",
                           status->members[i].shard, status->members[i].node,
                           status->members[i].queued);
}

static void write_shards(const struct nx_pb_status *status, struct nx_text *t)
{
    nx_metrics_head(t, "nexus_shard_replicas", "gauge", "Live replicas of each shard.");
    for (size_t i = 0; i < status->shards_count; i++)
        if (is_categorizer(status->shards[i].tier))
            nx_text_printf(t, "nexus_shard_replicas{shard=\"%u\"} %u\n", status->shards[i].shard,
                           status->shards[i].alive);
    nx_metrics_head(t, "nexus_shard_available", "gauge",
                    "1 if the shard has the replicas that it needs.");
    for (size_t i = 0; i < status->shards_count; i++)
        if (is_categorizer(status->shards[i].tier))
            nx_text_printf(t, "nexus_shard_available{shard=\"%u\"} %d\n", status->shards[i].shard,
                           status->shards[i].adequate);
}

static void write_views(const struct nx_metrics_sources *from, struct nx_text *t)
{
    const struct nx_view_history *history = nx_route_history(from->route);
    nx_metrics_head(t, "nexus_view_id", "gauge",
                    "Number of the installed view; 0 while the group forms.");
    nx_text_printf(t, "nexus_view_id %llu\n", (unsigned long long)from->status->vid);
    nx_metrics_head(t, "nexus_views_total", "counter", "Views that this node installed.");
    nx_text_printf(t, "nexus_views_total %llu\n", (unsigned long long)history->total);
    nx_metrics_head(t, "nexus_view_change_duration_seconds", "summary",
                    "From the first member that was missed to the view without it.");
    nx_text_printf(t,
                   "nexus_view_change_duration_seconds_sum %.9f\n"
                   "nexus_view_change_duration_seconds_count %llu\n",
                   (double)history->took / (double)NX_SEC, (unsigned long long)history->measured);
}

static void write_replicas(const struct nx_pb_status *status, struct nx_text *t)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } rows[] = {{"nexus_replica_memory_used_bytes", "Memory that a replica's models hold.",
                 offsetof(struct nx_pb_replica, memory_used_bytes)},
                {"nexus_replica_memory_limit_bytes", "Memory that a replica's models may hold.",
                 offsetof(struct nx_pb_replica, memory_limit_bytes)}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        nx_metrics_head(t, rows[k].name, "gauge", rows[k].help);
        for (size_t i = 0; i < status->replicas_count; i++) {
            const struct nx_pb_replica *r = &status->replicas[i];
            uint64_t value;
            memcpy(&value, (const char *)r + rows[k].at, sizeof value);
            if (!r->error[0])
                nx_text_printf(t, "%s{shard=\"%u\",node=\"%u\"} %llu\n", rows[k].name, r->shard,
                               r->node, (unsigned long long)value);
        }
    }
}

/* A name has no byte that a label would have to escape; one installed by tag is called by its number. */
static void begin_held(const struct nx_pb_replica *r, const struct nx_pb_model_row *m,
                       const char *name, struct nx_text *t)
{
    nx_text_printf(t, "%s{model=\"", name);
    if (m->name[0])
        nx_text_add(t, m->name);
    else
        nx_text_printf(t, "%u", m->tag);
    nx_text_printf(t, "\",node=\"%u\"", r->node);
}

static void write_held(const struct nx_pb_replica *r, const struct nx_pb_model_row *m,
                       const char *name, uint64_t value, struct nx_text *t)
{
    begin_held(r, m, name, t);
    nx_text_printf(t, "} %llu\n", (unsigned long long)value);
}

static void write_info(const struct nx_pb_replica *r, const struct nx_pb_model_row *m,
                       struct nx_text *t)
{
    begin_held(r, m, "nexus_model_info", t);
    nx_text_printf(t, ",device=\"%s\",precision=\"%s\"} 1\n", m->device, m->precision);
}

static void write_models_held(const struct nx_pb_status *status, struct nx_text *t)
{
    nx_metrics_head(t, "nexus_model_memory_bytes", "gauge",
                    "Memory that a model holds at each replica.");
    for (size_t i = 0; i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++)
            write_held(&status->replicas[i], &status->replicas[i].models[k],
                       "nexus_model_memory_bytes", status->replicas[i].models[k].memory_bytes, t);
    nx_metrics_head(
        t, "nexus_model_info", "gauge",
        "1 for each model at each replica, with what computes it and in which numbers.");
    for (size_t i = 0; i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++)
            write_info(&status->replicas[i], &status->replicas[i].models[k], t);
    nx_metrics_head(t, "nexus_model_photos_total", "counter",
                    "Photos that each replica answered with a model.");
    for (size_t i = 0; i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++)
            write_held(&status->replicas[i], &status->replicas[i].models[k],
                       "nexus_model_photos_total", status->replicas[i].models[k].queries, t);
}

static void write_group(const struct nx_metrics_sources *from, struct nx_text *t)
{
    write_views(from, t);
    write_members(from->status, t);
    write_shards(from->status, t);
    write_replicas(from->status, t);
    write_models_held(from->status, t);
    nx_metrics_write_work(from->status, t);
}

static void write_wire(const struct nx_metrics_sources *from, struct nx_text *t)
{
    struct nx_http_stats h = nx_http_stats(from->http);
    struct nx_grpc_stats g = nx_grpc_stats(from->grpc);
    struct nx_spans_figures s = nx_spans_figures(from->spans);
    uint32_t queries;
    uint64_t bytes;
    nx_route_underway(from->route, &queries, &bytes);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"nexus_queries", "gauge", "Questions under way to the shards.", queries},
        {"nexus_query_bytes", "gauge", "Bytes of photos and tensors under way.", bytes},
        {"nexus_http_connections", "gauge", "Open HTTP/1.1 connections.", h.connections},
        {"nexus_http_exchanges", "gauge", "HTTP/1.1 requests under way.", h.exchanges},
        {"nexus_http_buffered_bytes", "gauge", "Memory held by HTTP/1.1 connections.",
         h.buffered_bytes},
        {"nexus_http_connections_total", "counter", "HTTP/1.1 connections accepted.", h.accepted},
        {"nexus_http_refused_total", "counter", "HTTP/1.1 connections over the bound.", h.refused},
        {"nexus_http_malformed_total", "counter", "HTTP/1.1 requests that were none.", h.abused},
        {"nexus_http_timeouts_total", "counter", "HTTP/1.1 peers that were too slow.", h.timed_out},
        {"nexus_grpc_connections", "gauge", "Open HTTP/2 connections.", g.connections},
        {"nexus_grpc_calls", "gauge", "gRPC calls under way.", g.calls},
        {"nexus_grpc_buffered_bytes", "gauge", "Memory held by gRPC calls.", g.buffered_bytes},
        {"nexus_grpc_calls_total", "counter", "gRPC calls begun.", g.calls_started},
        {"nexus_grpc_cancelled_total", "counter", "gRPC calls that their clients gave up.",
         g.calls_cancelled},
        {"nexus_grpc_refused_total", "counter", "HTTP/2 connections over the bound.",
         g.connections_refused},
        {"nexus_grpc_abused_total", "counter", "HTTP/2 connections closed for a flood or an error.",
         g.connections_abused},
        {"nexus_trace_spans_exported_total", "counter", "Spans that the collector took.",
         s.exported},
        {"nexus_trace_spans_dropped_total", "counter",
         "Spans for which there was no room, or that no collector took.", s.dropped},
        {"nexus_trace_export_failures_total", "counter", "Posts to the collector that failed.",
         s.failures},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nx_metrics_head(t, rows[i].name, rows[i].type, rows[i].help);
        nx_text_printf(t, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
    }
}

void nx_metrics_write(const struct nx_metrics *m, const struct nx_metrics_sources *from,
                      struct nx_text *t)
{
    nx_metrics_head(t, "nexus_build_info", "gauge", "The version that runs; always 1.");
    nx_text_printf(t, "nexus_build_info{version=\"%s\"} 1\n", NX_VERSION);
    nx_metrics_head(t, "nexus_ready", "gauge", "1 if this node takes requests.");
    nx_text_printf(t, "nexus_ready %d\n", from->status->ready);
    write_group(from, t);
    write_wire(from, t);
    write_requests(m, t);
    write_models(m, t);
}

/* Counters go on over versions: the label tells which one serves now. */
static void write_triton_value(const struct nx_metrics *m, uint32_t i, const char *name,
                               const struct nx_pb_status *status, uint64_t value, struct nx_text *t)
{
    uint64_t version = nx_metrics_model_version(status, m->models[i].name);
    nx_text_printf(t, "%s{model=\"%s\",version=\"%llu\"} %llu\n", name, m->models[i].name,
                   (unsigned long long)(version ? version : 1), (unsigned long long)value);
}

static void write_pending(const struct nx_metrics *m, const struct nx_route *route,
                          const struct nx_pb_status *status, struct nx_text *t)
{
    static const char name[] = "nv_inference_pending_request_count";
    nx_metrics_head(t, name, "gauge", "Photos and tensors of this node that wait for an answer.");
    for (uint32_t i = 0; i < m->models_count; i++)
        write_triton_value(m, i, name, status, nx_route_pending(route, m->models[i].name), t);
}

void nx_metrics_write_triton(const struct nx_metrics *m, const struct nx_route *route,
                             const struct nx_pb_status *status, struct nx_text *t)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
        {"nv_inference_request_success", "Inference requests that succeeded."},
        {"nv_inference_request_failure", "Inference requests that failed."},
        {"nv_inference_count", "Inferences performed."},
        {"nv_inference_request_duration_us", "Cumulative request time."},
        {"nv_inference_exec_count", "Model executions performed, by all replicas."},
        {"nv_inference_queue_duration_us", "Cumulative wait for a batch, at all replicas."},
        {"nv_inference_compute_input_duration_us", "Cumulative time to prepare, at all replicas."},
        {"nv_inference_compute_infer_duration_us", "Cumulative time in a batch, at all replicas."},
        {"nv_inference_compute_output_duration_us",
         "Cumulative time from a batch to its answers."}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        nx_metrics_head(t, rows[k].name, "counter", rows[k].help);
        for (uint32_t i = 0; i < m->models_count; i++) {
            const struct nx_model_counts *c = &m->models[i].counts;
            struct nx_model_work work = nx_metrics_model_work(status, m->models[i].name);
            const uint64_t values[] = {c->success,
                                       c->failure,
                                       c->rows,
                                       (c->success_ns + c->failure_ns) / 1000,
                                       work.execs,
                                       work.queue_ns / 1000,
                                       work.input_ns / 1000,
                                       work.run_ns / 1000,
                                       work.output_ns / 1000};
            write_triton_value(m, i, rows[k].name, status, values[k], t);
        }
    }
    write_pending(m, route, status, t);
}
