#include "function_tier/pb/pb_control.h"

#include "common/arena.h"
#include "common/utf8.h"
#include "function_tier/pb/pb_control_parts.h"
#include "function_tier/pb/pb_unpack.h"

#include <stdlib.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 4096, ALLOC_BYTES_MAX = 16 << 20 };

enum nx_status nx_pb_list_request_decode(const uint8_t *bytes, size_t len, struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&nexus__list_models_request__descriptor, "a request for a list", bytes, len,
                        REQUEST_BYTES_MAX, ALLOC_BYTES_MAX, &message, err));
    nx_pb_release(message);
    return NX_OK;
}

/* protobuf-c's structs are not const-correct; packing only reads. What is not UTF-8 would not be a string. */
char *nx_pb_text_of(const char *text)
{
    return (char *)(uintptr_t)(nx_utf8_ok(text, strlen(text)) ? text : "?");
}

static void fill_model(const struct nx_pb_model_row *from, Nexus__Model *to)
{
    nexus__model__init(to);
    to->tag = from->tag;
    to->version = from->version;
    to->name = nx_pb_text_of(from->name);
    to->state = nx_pb_text_of(from->state);
    to->format = nx_pb_text_of(from->format);
    to->recipe = nx_pb_text_of(from->recipe);
    to->device = nx_pb_text_of(from->device);
    to->precision = nx_pb_text_of(from->precision);
    to->weights_bytes = from->weights_bytes;
    to->arena_bytes = from->arena_bytes;
    to->memory_bytes = from->memory_bytes;
    to->queries = from->queries;
    to->batch = from->batch;
    to->batch_us = from->batch_us;
}

enum nx_status nx_pb_fill_replica(const struct nx_pb_replica *from, struct nx_arena *arena,
                                  Nexus__Replica *to)
{
    nexus__replica__init(to);
    to->node = from->node;
    to->shard = from->shard;
    to->error = nx_pb_text_of(from->error);
    to->memory_used_bytes = from->memory_used_bytes;
    to->memory_limit_bytes = from->memory_limit_bytes;
    to->n_models = from->models_count;
    to->models = nx_arena_array(arena, from->models_count, sizeof *to->models);
    Nexus__Model *models = nx_arena_array(arena, from->models_count, sizeof *models);
    if (!to->models || !models)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < from->models_count; i++) {
        fill_model(&from->models[i], &models[i]);
        to->models[i] = &models[i];
    }
    return NX_OK;
}

static enum nx_status fill_reply(const struct nx_pb_replica *replicas, size_t count,
                                 struct nx_arena *arena, Nexus__ListModelsReply *reply)
{
    nexus__list_models_reply__init(reply);
    reply->n_replicas = count;
    reply->replicas = nx_arena_array(arena, count, sizeof *reply->replicas);
    Nexus__Replica *each = nx_arena_array(arena, count, sizeof *each);
    if (!reply->replicas || !each)
        return NX_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        NX_TRY(nx_pb_fill_replica(&replicas[i], arena, &each[i]));
        reply->replicas[i] = &each[i];
    }
    return NX_OK;
}

static enum nx_status pack(const Nexus__ListModelsReply *reply, uint8_t **bytes, size_t *len,
                           struct nx_err *err)
{
    size_t size = nexus__list_models_reply__get_packed_size(reply);
    if (size > NX_PB_LIST_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the list has %zu bytes, the limit is %d", size,
                          NX_PB_LIST_BYTES_MAX);
    *bytes = nx_calloc(1, size);
    if (!*bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a list");
    *len = nexus__list_models_reply__pack(reply, *bytes);
    return NX_OK;
}

enum nx_status nx_pb_list_encode(const struct nx_pb_replica *replicas, size_t count,
                                 uint8_t **bytes, size_t *len, struct nx_err *err)
{
    Nexus__ListModelsReply reply;
    struct nx_arena arena;
    nx_arena_init(&arena, ALLOC_BYTES_MAX);
    enum nx_status status = fill_reply(replicas, count, &arena, &reply);
    if (status == NX_OK)
        status = pack(&reply, bytes, len, err);
    else
        nx_err_set(err, status, "no memory for a list");
    nx_arena_free(&arena);
    return status;
}

struct nx_pb_model_row nx_pb_model_row_of(const Nexus__Model *m)
{
    return (struct nx_pb_model_row){.tag = m->tag,
                                    .version = m->version,
                                    .name = m->name,
                                    .state = m->state,
                                    .format = m->format,
                                    .recipe = m->recipe,
                                    .device = m->device,
                                    .precision = m->precision,
                                    .weights_bytes = m->weights_bytes,
                                    .arena_bytes = m->arena_bytes,
                                    .memory_bytes = m->memory_bytes,
                                    .queries = m->queries,
                                    .batch = m->batch,
                                    .batch_us = m->batch_us};
}

static void tell_replica(const Nexus__Replica *from, nx_pb_list_each *each, void *ctx)
{
    struct nx_pb_replica replica = {.node = from->node,
                                    .shard = from->shard,
                                    .error = from->error,
                                    .memory_used_bytes = from->memory_used_bytes,
                                    .memory_limit_bytes = from->memory_limit_bytes,
                                    .models_count = from->n_models};
    each(ctx, &replica, NULL);
    for (size_t i = 0; i < from->n_models; i++) {
        struct nx_pb_model_row row = nx_pb_model_row_of(from->models[i]);
        each(ctx, &replica, &row);
    }
}

enum nx_status nx_pb_list_decode(const uint8_t *bytes, size_t len, nx_pb_list_each *each, void *ctx,
                                 struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&nexus__list_models_reply__descriptor, "a list of models", bytes, len,
                        NX_PB_LIST_BYTES_MAX, ALLOC_BYTES_MAX, &message, err));
    const Nexus__ListModelsReply *reply = (const Nexus__ListModelsReply *)message;
    for (size_t i = 0; i < reply->n_replicas; i++)
        tell_replica(reply->replicas[i], each, ctx);
    nx_pb_release(message);
    return NX_OK;
}
