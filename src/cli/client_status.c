#include "cli/client_status.h"

#include "cli/client_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORD_BYTES = 200 };

static const char status_method[] = "/nexus.Control/Status";

enum nx_status nx_client_status(const char *node, const struct nx_client_identity *identity,
                                uint32_t timeout_s, const volatile sig_atomic_t *interrupted,
                                struct nx_arena *arena, struct nx_pb_status *status,
                                struct nx_err *err)
{
    struct nx_client_call *call;
    uint8_t *reply = NULL;
    size_t len = 0;
    NX_TRY(nx_client_call_open(node, identity, status_method, timeout_s, interrupted, &call, err));
    (void)nx_client_call_send(call, "", 0); /* a call that has ended says how in finish */
    enum nx_status done = nx_client_call_finish(call, &reply, &len, err);
    nx_client_call_close(call);
    if (done == NX_OK)
        done = nx_pb_status_decode(reply, len, arena, status, err);
    free(reply);
    return done;
}

struct word {
    char at[WORD_BYTES];
};

static struct word plain(const char *text)
{
    struct word word;
    snprintf(word.at, sizeof word.at, "%s", text[0] ? text : "-");
    nx_client_text_make_printable(word.at);
    return word;
}

static struct word number_or_dash(bool none, uint32_t value)
{
    struct word word = {"-"};
    if (!none)
        snprintf(word.at, sizeof word.at, "%" PRIu32, value);
    return word;
}

static struct word mib(uint64_t bytes)
{
    struct word word;
    snprintf(word.at, sizeof word.at, "%.1f", (double)bytes / (1 << 20));
    return word;
}

/* "812 us", "1.5 ms", "2.50 s" */
static struct word duration(uint64_t us)
{
    struct word word;
    if (us < 1000)
        snprintf(word.at, sizeof word.at, "%" PRIu64 " us", us);
    else if (us < 1000000)
        snprintf(word.at, sizeof word.at, "%.1f ms", (double)us / 1e3);
    else
        snprintf(word.at, sizeof word.at, "%.2f s", (double)us / 1e6);
    return word;
}

static void add_members(const struct nx_pb_status *s, struct nx_text *t)
{
    nx_text_printf(t, "\n%6s  %-12s %5s  %-10s %6s %6s  %s\n", "NODE", "TIER", "SHARD", "STATE",
                   "QUEUED", "SINCE", "HOST");
    for (size_t i = 0; i < s->members_count; i++) {
        const struct nx_pb_member *m = &s->members[i];
        nx_text_printf(t, "%6" PRIu32 "  %-12.12s %5s  %-10.10s %6" PRIu32 " %6" PRIu64 "  %.60s\n",
                       m->node, plain(m->tier).at, number_or_dash(m->spare, m->shard).at,
                       plain(m->state).at, m->queued, m->since, plain(m->host).at);
    }
}

/* The view says whether it may serve; who of it is there says whether it does. */
static const char *serves(const struct nx_pb_shard *shard)
{
    if (!shard->adequate)
        return "no: fewer than min_nodes";
    return shard->alive > 0 ? "yes" : "no: none of its members is alive";
}

static void add_shards(const struct nx_pb_status *s, struct nx_text *t)
{
    nx_text_printf(t, "\n%6s  %-12s %7s %5s  %s\n", "SHARD", "TIER", "MEMBERS", "ALIVE", "SERVES");
    for (size_t i = 0; i < s->shards_count; i++) {
        const struct nx_pb_shard *h = &s->shards[i];
        nx_text_printf(t, "%6" PRIu32 "  %-12.12s %7" PRIu32 " %5" PRIu32 "  %s\n", h->shard,
                       plain(h->tier).at, h->members, h->alive, serves(h));
    }
}

static void add_replica(const struct nx_pb_replica *r, struct nx_text *t)
{
    for (size_t i = 0; i < r->models_count; i++) {
        const struct nx_pb_model_row *m = &r->models[i];
        nx_text_printf(t,
                       "%10" PRIu32 "  %-20.20s %6" PRIu32 " %5" PRIu32 "  %-8.8s %-10.10s %10s"
                       " %10" PRIu64 "\n",
                       m->tag, plain(m->name).at, r->node, r->shard, plain(m->state).at,
                       plain(m->device).at, mib(m->memory_bytes).at, m->queries);
    }
}

static void add_models(const struct nx_pb_status *s, struct nx_text *t)
{
    nx_text_printf(t, "\n%10s  %-20s %6s %5s  %-8s %-10s %10s %10s\n", "TAG", "MODEL", "NODE",
                   "SHARD", "STATE", "DEVICE", "MEMORY/MiB", "PHOTOS");
    for (size_t i = 0; i < s->replicas_count; i++)
        add_replica(&s->replicas[i], t);
    for (size_t i = 0; i < s->replicas_count; i++)
        if (s->replicas[i].error[0])
            nx_text_printf(t, "node %" PRIu32 " of shard %" PRIu32 " gave no list: %s\n",
                           s->replicas[i].node, s->replicas[i].shard,
                           plain(s->replicas[i].error).at);
}

static struct word time_of_day(int64_t at_ms)
{
    struct word word = {"-"};
    struct tm tm;
    time_t second = (time_t)(at_ms / 1000);
    if (localtime_r(&second, &tm))
        strftime(word.at, sizeof word.at, "%Y-%m-%d %H:%M:%S", &tm);
    return word;
}

static void add_changes(const struct nx_pb_status *s, struct nx_text *t)
{
    nx_text_printf(t, "\n%6s  %-19s %7s %9s  %s\n", "VIEW", "SINCE", "MEMBERS", "TOOK", "CAUSE");
    for (size_t i = s->changes_count; i > 0; i--) {
        const struct nx_pb_change *c = &s->changes[i - 1];
        nx_text_printf(t, "%6" PRIu64 "  %-19s %7" PRIu32 " %9s  %s\n", c->vid,
                       time_of_day(c->at_ms).at, c->members,
                       c->took_us ? duration(c->took_us).at : "-", plain(c->cause).at);
    }
}

static struct word uptime(uint64_t ms)
{
    struct word word;
    uint64_t s = ms / 1000;
    snprintf(word.at, sizeof word.at, "%" PRIu64 "d %02u:%02u:%02u", s / 86400,
             (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    return word;
}

static void add_waits_for(const struct nx_pb_status *s, struct nx_text *t)
{
    char why[NX_ERR_TEXT_BYTES];
    snprintf(why, sizeof why, "%s", s->waits_for);
    nx_client_text_make_printable(why);
    if (why[0])
        nx_text_printf(t, "waits: %s\n", why);
}

void nx_client_status_table(const struct nx_pb_status *s, struct nx_text *t)
{
    nx_text_printf(t, "node %" PRIu32 "  nexus %s  %s  view %" PRIu64 "  %zu members  up %s\n",
                   s->node, plain(s->version).at,
                   s->ready ? "ready"
                   : s->vid ? "takes no requests"
                            : "the group is forming",
                   s->vid, s->members_count, uptime(s->uptime_ms).at);
    add_waits_for(s, t);
    add_members(s, t);
    add_shards(s, t);
    add_models(s, t);
    add_changes(s, t);
}

/* --- traffic -------------------------------------------------------------------------------------- */

uint64_t nx_client_traffic_quantile(const struct nx_pb_traffic *f, double q)
{
    uint64_t total = 0, sum = 0;
    for (size_t i = 0; i <= f->bounds_count; i++)
        total += f->counts[i];
    if (total == 0)
        return 0;
    for (size_t i = 0; i < f->bounds_count; i++) {
        sum += f->counts[i];
        if ((double)sum >= q * (double)total)
            return f->bounds_us[i];
    }
    return UINT64_MAX;
}

struct nx_pb_traffic nx_client_traffic_since(const struct nx_pb_traffic *later,
                                             const struct nx_pb_traffic *earlier)
{
    struct nx_pb_traffic d = *later;
    if (later->success < earlier->success || later->failure < earlier->failure ||
        later->bounds_count != earlier->bounds_count)
        return d;
    d.success -= earlier->success;
    d.failure -= earlier->failure;
    d.rows -= earlier->rows;
    d.total_us -= earlier->total_us;
    for (size_t i = 0; i <= d.bounds_count; i++)
        d.counts[i] -= earlier->counts[i];
    return d;
}

static void add_quantile(const struct nx_pb_traffic *f, const char *name, double q,
                         struct nx_text *t)
{
    uint64_t us = nx_client_traffic_quantile(f, q);
    if (us == UINT64_MAX)
        nx_text_printf(t, "  %s > %s", name,
                       duration(f->bounds_count ? f->bounds_us[f->bounds_count - 1] : 0).at);
    else if (us)
        nx_text_printf(t, "  %s <= %s", name, duration(us).at);
}

void nx_client_status_traffic(const struct nx_pb_traffic *f, double seconds, struct nx_text *t)
{
    double per_second = seconds > 0 ? (double)f->rows / seconds : 0;
    nx_text_printf(t, "%.1f photos/s  %" PRIu64 " answered  %" PRIu64 " failed", per_second,
                   f->success, f->failure);
    add_quantile(f, "p50", 0.5, t);
    add_quantile(f, "p99", 0.99, t);
    nx_text_add(t, "\n");
}
