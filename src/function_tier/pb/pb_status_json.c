#include "function_tier/pb/pb_status.h"

#include <inttypes.h>
#include <string.h>

static void add_key(struct nx_text *t, const char *key, const char *value)
{
    nx_text_printf(t, ", \"%s\": ", key);
    nx_text_json(t, value, strlen(value));
}

static void add_number(struct nx_text *t, const char *key, uint64_t value)
{
    nx_text_printf(t, ", \"%s\": %" PRIu64, key, value);
}

static const char *word(bool value)
{
    return value ? "true" : "false";
}

static const char *comma(size_t i)
{
    return i ? "," : "";
}

static void add_member(struct nx_text *t, const struct nx_pb_member *m)
{
    nx_text_printf(t, "{\"node\": %" PRIu32, m->node);
    add_key(t, "host", m->host);
    add_key(t, "tier", m->tier);
    if (m->spare)
        nx_text_add(t, ", \"shard\": null");
    else
        add_number(t, "shard", m->shard);
    add_number(t, "since", m->since);
    add_key(t, "state", m->state);
    add_number(t, "queued", m->queued);
    nx_text_add(t, "}");
}

static void add_shard(struct nx_text *t, const struct nx_pb_shard *s)
{
    nx_text_printf(t, "{\"shard\": %" PRIu32, s->shard);
    add_key(t, "tier", s->tier);
    add_number(t, "members", s->members);
    add_number(t, "alive", s->alive);
    nx_text_printf(t, ", \"adequate\": %s}", word(s->adequate));
}

static void add_change(struct nx_text *t, const struct nx_pb_change *c)
{
    nx_text_printf(t, "{\"vid\": %" PRIu64 ", \"at_ms\": %" PRId64, c->vid, c->at_ms);
    add_number(t, "took_us", c->took_us);
    add_number(t, "members", c->members);
    add_key(t, "cause", c->cause);
    nx_text_add(t, "}");
}

static void add_model(struct nx_text *t, const struct nx_pb_model_row *m)
{
    nx_text_printf(t, "{\"tag\": %" PRIu32, m->tag);
    add_number(t, "version", m->version);
    add_key(t, "name", m->name);
    add_key(t, "state", m->state);
    add_key(t, "format", m->format);
    add_key(t, "recipe", m->recipe);
    add_key(t, "device", m->device);
    add_key(t, "precision", m->precision);
    add_number(t, "weights_bytes", m->weights_bytes);
    add_number(t, "arena_bytes", m->arena_bytes);
    add_number(t, "memory_bytes", m->memory_bytes);
    add_number(t, "queries", m->queries);
    add_number(t, "batch", m->batch);
    add_number(t, "batch_us", m->batch_us);
    nx_text_add(t, "}");
}

static void add_replica(struct nx_text *t, const struct nx_pb_replica *r)
{
    nx_text_printf(t, "{\"node\": %" PRIu32, r->node);
    add_number(t, "shard", r->shard);
    add_key(t, "error", r->error);
    add_number(t, "memory_used_bytes", r->memory_used_bytes);
    add_number(t, "memory_limit_bytes", r->memory_limit_bytes);
    nx_text_add(t, ", \"models\": [");
    for (size_t i = 0; i < r->models_count; i++) {
        nx_text_add(t, comma(i));
        add_model(t, &r->models[i]);
    }
    nx_text_add(t, "]}");
}

static void add_counts(struct nx_text *t, const char *key, const uint64_t *values, size_t count)
{
    nx_text_printf(t, ", \"%s\": [", key);
    for (size_t i = 0; i < count; i++)
        nx_text_printf(t, "%s%" PRIu64, comma(i), values[i]);
    nx_text_add(t, "]");
}

static void add_traffic(struct nx_text *t, const struct nx_pb_traffic *f)
{
    nx_text_printf(t, ",\n\"traffic\": {\"success\": %" PRIu64, f->success);
    add_number(t, "failure", f->failure);
    add_number(t, "rows", f->rows);
    add_number(t, "total_us", f->total_us);
    add_counts(t, "bounds_us", f->bounds_us, f->bounds_count);
    add_counts(t, "counts", f->counts, f->bounds_count + 1);
    nx_text_add(t, "}}\n");
}

/* ,\n"members": [ … each on a line of its own … ] */
#define ADD_LIST(t, name, list, count, add)                   \
    do {                                                      \
        nx_text_add(t, ",\n\"" name "\": [");                 \
        for (size_t list_i = 0; list_i < (count); list_i++) { \
            nx_text_add(t, list_i ? ",\n " : "\n ");          \
            add(t, &(list)[list_i]);                          \
        }                                                     \
        nx_text_add(t, "]");                                  \
    } while (0)

void nx_pb_status_json(const struct nx_pb_status *s, struct nx_text *t)
{
    nx_text_printf(t, "{\"node\": %" PRIu32, s->node);
    add_key(t, "version", s->version);
    nx_text_printf(t, ", \"ready\": %s", word(s->ready));
    add_number(t, "vid", s->vid);
    add_number(t, "uptime_ms", s->uptime_ms);
    add_key(t, "waits_for", s->waits_for);
    ADD_LIST(t, "members", s->members, s->members_count, add_member);
    ADD_LIST(t, "shards", s->shards, s->shards_count, add_shard);
    ADD_LIST(t, "changes", s->changes, s->changes_count, add_change);
    ADD_LIST(t, "replicas", s->replicas, s->replicas_count, add_replica);
    add_traffic(t, &s->traffic);
}
