#include "function_tier/replica_list.h"

#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

static const char *format_name(enum nx_model_format format)
{
    switch (format) {
    case NX_FORMAT_MXNET: return "mxnet";
    case NX_FORMAT_ONNX: return "onnx";
    }
    return "";
}

static void add_row(struct nx_replica_list *list)
{
    const struct nx_model_facts_wire *m = &list->decoded[list->models_count];
    list->models[list->models_count++] = (struct nx_pb_model_row){
        .tag = m->tag,
        .version = m->version,
        .name = m->name,
        .state = m->ready ? "ready" : "loading",
        .format = format_name(m->format),
        .recipe = m->recipe,
        .device = m->backend,
        .precision = m->ready ? nx_precision_name(m->precision) : "",
        .weights_bytes = m->weights_bytes,
        .arena_bytes = m->arena_bytes,
        .memory_bytes = m->memory_bytes,
        .queries = m->queries,
        .batch = m->batch,
        .batch_us = m->batch_ns / (uint64_t)NX_US,
        .execs = m->execs,
        .queue_ns = m->queue_ns,
        .run_ns = m->run_ns,
        .input_ns = m->input_ns,
        .output_ns = m->output_ns,
    };
}

static enum nx_status read_work(const struct nx_answer *answer, struct nx_work *work,
                                struct nx_pb_work *told, struct nx_err *err)
{
    NX_TRY(nx_models_get_work(answer->payload, answer->payload_bytes, work, err));
    *told = (struct nx_pb_work){.batches = work->batches,
                                .photos = work->photos,
                                .busy_ns = work->busy_ns,
                                .refused = work->refused,
                                .late = work->late,
                                .cancelled = work->cancelled,
                                .wait_ns = work->wait_ns,
                                .sizes = work->sizes,
                                .waits = work->waits,
                                .sizes_count = NX_BATCH_STEPS,
                                .waits_count = NX_WAIT_STEPS,
                                .waits_bounds_us = nx_wait_bounds_us,
                                .spans_exported = work->spans_exported,
                                .spans_dropped = work->spans_dropped,
                                .unsettled = work->unsettled,
                                .undurable = work->undurable};
    return NX_OK;
}

/* What one replica sent; `replica->models` is where its rows lie. */
static enum nx_status read_rows(const struct nx_answer *answer, struct nx_replica_list *list,
                                struct nx_pb_replica *replica, struct nx_err *err)
{
    struct nx_models_memory memory;
    size_t at = 0;
    NX_TRY(nx_models_get_memory(answer->payload, answer->payload_bytes, &memory, err));
    replica->memory_used_bytes = memory.used_bytes;
    replica->memory_limit_bytes = memory.limit_bytes;
    replica->models = list->models + list->models_count;
    for (;;) {
        if (list->models_count == list->models_cap)
            return NX_OK; /* the cap was counted from the bytes: these are all of them */
        enum nx_status status = nx_models_next(answer->payload, answer->payload_bytes, &at,
                                               &list->decoded[list->models_count], err);
        if (status != NX_OK)
            return status == NX_NOT_FOUND ? NX_OK : status;
        add_row(list);
        replica->models_count++;
    }
}

/* How many models the payload holds, as far as it can be read. */
static size_t count_models(const struct nx_answer *answer, struct nx_model_facts_wire *scratch)
{
    size_t at = 0, count = 0;
    struct nx_err err;
    while (answer->err.status == NX_OK &&
           nx_models_next(answer->payload, answer->payload_bytes, &at, scratch, &err) == NX_OK)
        count++;
    return count;
}

static enum nx_status make_rows(const struct nx_answer *answers, uint32_t count,
                                struct nx_replica_list *list)
{
    struct nx_model_facts_wire *scratch = nx_calloc(1, sizeof *scratch);
    for (uint32_t i = 0; scratch && i < count; i++)
        list->models_cap += count_models(&answers[i], scratch);
    free(scratch);
    list->models_cap++; /* so that the end of the last list is met within it */
    list->decoded = nx_calloc(list->models_cap, sizeof *list->decoded);
    list->models = nx_calloc(list->models_cap, sizeof *list->models);
    return scratch && list->decoded && list->models ? NX_OK : NX_NO_MEMORY;
}

enum nx_status nx_replica_list_gather(const struct nx_route_request *request,
                                      const struct nx_answer *answers, uint32_t count,
                                      struct nx_replica_list *list, struct nx_err *err)
{
    memset(list, 0, sizeof *list);
    if (make_rows(answers, count, list) != NX_OK) {
        nx_replica_list_free(list);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a list");
    }
    for (uint32_t i = 0; i < count; i++) {
        struct nx_pb_replica *replica = &list->replicas[i];
        struct nx_route_asked asked = nx_route_asked(request, i);
        struct nx_err *why = &list->why[i];
        *why = answers[i].err;
        replica->node = asked.node;
        replica->shard = asked.shard;
        if (why->status == NX_OK && read_rows(&answers[i], list, replica, why) != NX_OK)
            replica->models_count = 0;
        if (why->status == NX_OK &&
            read_work(&answers[i], &list->work[i], &list->told[i], why) == NX_OK)
            replica->work = &list->told[i];
        replica->error = why->status == NX_OK ? "" : why->text;
    }
    list->count = count;
    return NX_OK;
}

void nx_replica_list_free(struct nx_replica_list *list)
{
    free(list->decoded);
    free(list->models);
    memset(list, 0, sizeof *list);
}
