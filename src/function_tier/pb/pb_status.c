#include "function_tier/pb/pb_status.h"

#include "function_tier/pb/pb_control_parts.h"
#include "function_tier/pb/pb_unpack.h"

#include <stdlib.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 4096 };

enum nx_status nx_pb_status_request_decode(const uint8_t *bytes, size_t len, struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&nexus__status_request__descriptor, "a request for the status", bytes, len,
                        REQUEST_BYTES_MAX, NX_PB_STATUS_ALLOC_BYTES, &message, err));
    nx_pb_release(message);
    return NX_OK;
}

/* --- plain → generated ---------------------------------------------------------------------------- */

/* An array of pointers to as many fresh messages; NULL: no memory. */
static void *messages(struct nx_arena *arena, size_t count, size_t bytes)
{
    void **at = nx_arena_array(arena, count, sizeof *at);
    char *each = nx_arena_array(arena, count, bytes);
    for (size_t i = 0; at && each && i < count; i++)
        at[i] = each + i * bytes;
    return each ? at : NULL;
}

static void fill_member(const struct nx_pb_member *from, Nexus__Member *to)
{
    nexus__member__init(to);
    to->node = from->node;
    to->host = nx_pb_text_of(from->host);
    to->tier = nx_pb_text_of(from->tier);
    to->shard = from->spare ? 0 : from->shard;
    to->spare = from->spare;
    to->since = from->since;
    to->state = nx_pb_text_of(from->state);
    to->queued = from->queued;
}

static void fill_shard(const struct nx_pb_shard *from, Nexus__Shard *to)
{
    nexus__shard__init(to);
    to->tier = nx_pb_text_of(from->tier);
    to->shard = from->shard;
    to->members = from->members;
    to->alive = from->alive;
    to->adequate = from->adequate;
}

static void fill_change(const struct nx_pb_change *from, Nexus__ViewChange *to)
{
    nexus__view_change__init(to);
    to->vid = from->vid;
    to->at_ms = from->at_ms;
    to->took_us = from->took_us;
    to->members = from->members;
    to->cause = nx_pb_text_of(from->cause);
}

static enum nx_status fill_traffic(const struct nx_pb_traffic *from, struct nx_arena *arena,
                                   Nexus__Traffic *to)
{
    size_t count = from->bounds_count;
    nexus__traffic__init(to);
    to->success = from->success;
    to->failure = from->failure;
    to->rows = from->rows;
    to->total_us = from->total_us;
    to->n_bounds_us = count;
    to->bounds_us = nx_arena_array(arena, count, sizeof *to->bounds_us);
    to->n_counts = count + 1;
    to->counts = nx_arena_array(arena, count + 1, sizeof *to->counts);
    if (!to->bounds_us || !to->counts)
        return NX_NO_MEMORY;
    memcpy(to->bounds_us, from->bounds_us, count * sizeof *to->bounds_us);
    memcpy(to->counts, from->counts, (count + 1) * sizeof *to->counts);
    return NX_OK;
}

static enum nx_status fill_lists(const struct nx_pb_status *from, struct nx_arena *arena,
                                 Nexus__StatusReply *to)
{
    to->n_members = from->members_count;
    to->members = messages(arena, from->members_count, sizeof **to->members);
    to->n_shards = from->shards_count;
    to->shards = messages(arena, from->shards_count, sizeof **to->shards);
    to->n_changes = from->changes_count;
    to->changes = messages(arena, from->changes_count, sizeof **to->changes);
    to->n_replicas = from->replicas_count;
    to->replicas = messages(arena, from->replicas_count, sizeof **to->replicas);
    if (!to->members || !to->shards || !to->changes || !to->replicas)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->members_count; i++)
        fill_member(&from->members[i], to->members[i]);
    for (size_t i = 0; i < from->shards_count; i++)
        fill_shard(&from->shards[i], to->shards[i]);
    for (size_t i = 0; i < from->changes_count; i++)
        fill_change(&from->changes[i], to->changes[i]);
    for (size_t i = 0; i < from->replicas_count; i++)
        NX_TRY(nx_pb_fill_replica(&from->replicas[i], arena, to->replicas[i]));
    return NX_OK;
}

static enum nx_status fill(const struct nx_pb_status *from, struct nx_arena *arena,
                           Nexus__StatusReply *to)
{
    nexus__status_reply__init(to);
    to->node = from->node;
    to->version = nx_pb_text_of(from->version);
    to->ready = from->ready;
    to->vid = from->vid;
    to->uptime_ms = from->uptime_ms;
    to->waits_for = nx_pb_text_of(from->waits_for);
    to->traffic = nx_arena_alloc(arena, sizeof *to->traffic);
    if (!to->traffic)
        return NX_NO_MEMORY;
    NX_TRY(fill_traffic(&from->traffic, arena, to->traffic));
    return fill_lists(from, arena, to);
}

static enum nx_status pack(const Nexus__StatusReply *reply, uint8_t **bytes, size_t *len,
                           struct nx_err *err)
{
    size_t size = nexus__status_reply__get_packed_size(reply);
    if (size > NX_PB_LIST_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the status has %zu bytes, the limit is %d", size,
                          NX_PB_LIST_BYTES_MAX);
    *bytes = nx_calloc(1, size);
    if (!*bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a status");
    *len = nexus__status_reply__pack(reply, *bytes);
    return NX_OK;
}

enum nx_status nx_pb_status_encode(const struct nx_pb_status *status, uint8_t **bytes, size_t *len,
                                   struct nx_err *err)
{
    Nexus__StatusReply reply;
    struct nx_arena arena;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    enum nx_status done = fill(status, &arena, &reply);
    if (done == NX_OK)
        done = pack(&reply, bytes, len, err);
    else
        nx_err_set(err, done, "no memory for a status");
    nx_arena_free(&arena);
    return done;
}

/* --- generated → plain ---------------------------------------------------------------------------- */

static const char *keep(struct nx_arena *arena, const char *text)
{
    const char *kept = nx_arena_strndup(arena, text, strlen(text));
    return kept ? kept : ""; /* the arena is out of memory: the next array fails as well */
}

static enum nx_status take_members(const Nexus__StatusReply *from, struct nx_arena *arena,
                                   struct nx_pb_status *to)
{
    struct nx_pb_member *members = nx_arena_array(arena, from->n_members, sizeof *members);
    if (!members)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->n_members; i++) {
        const Nexus__Member *m = from->members[i];
        members[i] = (struct nx_pb_member){m->node,
                                           keep(arena, m->host),
                                           keep(arena, m->tier),
                                           m->shard,
                                           m->spare,
                                           m->since,
                                           keep(arena, m->state),
                                           m->queued};
    }
    to->members = members;
    to->members_count = from->n_members;
    return NX_OK;
}

static enum nx_status take_shards(const Nexus__StatusReply *from, struct nx_arena *arena,
                                  struct nx_pb_status *to)
{
    struct nx_pb_shard *shards = nx_arena_array(arena, from->n_shards, sizeof *shards);
    if (!shards)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->n_shards; i++) {
        const Nexus__Shard *s = from->shards[i];
        shards[i] =
            (struct nx_pb_shard){keep(arena, s->tier), s->shard, s->members, s->alive, s->adequate};
    }
    to->shards = shards;
    to->shards_count = from->n_shards;
    return NX_OK;
}

static enum nx_status take_changes(const Nexus__StatusReply *from, struct nx_arena *arena,
                                   struct nx_pb_status *to)
{
    struct nx_pb_change *changes = nx_arena_array(arena, from->n_changes, sizeof *changes);
    if (!changes)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->n_changes; i++) {
        const Nexus__ViewChange *c = from->changes[i];
        changes[i] =
            (struct nx_pb_change){c->vid, c->at_ms, c->took_us, c->members, keep(arena, c->cause)};
    }
    to->changes = changes;
    to->changes_count = from->n_changes;
    return NX_OK;
}

static enum nx_status take_models(const Nexus__Replica *from, struct nx_arena *arena,
                                  struct nx_pb_replica *to)
{
    struct nx_pb_model_row *models = nx_arena_array(arena, from->n_models, sizeof *models);
    if (!models)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->n_models; i++) {
        models[i] = nx_pb_model_row_of(from->models[i]);
        models[i].name = keep(arena, models[i].name);
        models[i].state = keep(arena, models[i].state);
        models[i].format = keep(arena, models[i].format);
        models[i].recipe = keep(arena, models[i].recipe);
        models[i].device = keep(arena, models[i].device);
        models[i].precision = keep(arena, models[i].precision);
    }
    to->models = models;
    to->models_count = from->n_models;
    return NX_OK;
}

static enum nx_status take_replicas(const Nexus__StatusReply *from, struct nx_arena *arena,
                                    struct nx_pb_status *to)
{
    struct nx_pb_replica *replicas = nx_arena_array(arena, from->n_replicas, sizeof *replicas);
    if (!replicas)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->n_replicas; i++) {
        const Nexus__Replica *r = from->replicas[i];
        replicas[i] = (struct nx_pb_replica){.node = r->node,
                                             .shard = r->shard,
                                             .error = keep(arena, r->error),
                                             .memory_used_bytes = r->memory_used_bytes,
                                             .memory_limit_bytes = r->memory_limit_bytes};
        NX_TRY(take_models(r, arena, &replicas[i]));
    }
    to->replicas = replicas;
    to->replicas_count = from->n_replicas;
    return NX_OK;
}

/* A histogram whose parts do not fit each other is none. */
static void take_traffic(const Nexus__Traffic *from, struct nx_pb_traffic *to)
{
    to->success = from->success;
    to->failure = from->failure;
    to->rows = from->rows;
    to->total_us = from->total_us;
    if (from->n_bounds_us > NX_PB_LATENCY_BOUNDS_MAX || from->n_counts != from->n_bounds_us + 1)
        return;
    to->bounds_count = from->n_bounds_us;
    if (to->bounds_count)
        memcpy(to->bounds_us, from->bounds_us, from->n_bounds_us * sizeof *to->bounds_us);
    memcpy(to->counts, from->counts, from->n_counts * sizeof *to->counts);
}

static enum nx_status take(const Nexus__StatusReply *from, struct nx_arena *arena,
                           struct nx_pb_status *to)
{
    to->node = from->node;
    to->version = keep(arena, from->version);
    to->ready = from->ready;
    to->vid = from->vid;
    to->uptime_ms = from->uptime_ms;
    to->waits_for = keep(arena, from->waits_for);
    if (from->traffic)
        take_traffic(from->traffic, &to->traffic);
    NX_TRY(take_members(from, arena, to));
    NX_TRY(take_shards(from, arena, to));
    NX_TRY(take_changes(from, arena, to));
    return take_replicas(from, arena, to);
}

enum nx_status nx_pb_status_decode(const uint8_t *bytes, size_t len, struct nx_arena *arena,
                                   struct nx_pb_status *status, struct nx_err *err)
{
    ProtobufCMessage *message;
    struct nx_pb_status taken = {0};
    NX_TRY(nx_pb_unpack(&nexus__status_reply__descriptor, "a status", bytes, len,
                        NX_PB_LIST_BYTES_MAX, NX_PB_STATUS_ALLOC_BYTES, &message, err));
    enum nx_status done = take((const Nexus__StatusReply *)message, arena, &taken);
    nx_pb_release(message);
    if (done != NX_OK)
        return nx_err_set(err, done, "no memory for a status");
    *status = taken;
    return NX_OK;
}
