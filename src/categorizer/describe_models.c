#include "categorizer/categorizer_state.h"

#include "common/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void describe_entry(struct nx_categorizer *c, const struct nx_entry *e,
                           struct nx_model_facts_wire *facts)
{
    const struct nx_held_model *held = e->model;
    *facts = (struct nx_model_facts_wire){.tag = e->tag,
                                          .ready = e->state == NX_ENTRY_READY && held,
                                          .format = e->format,
                                          .version = e->generation};
    memcpy(facts->name, e->name, sizeof facts->name);
    if (!held)
        return;
    nx_served_describe(held->served, facts);
    static_assert(sizeof facts->digest == sizeof e->digest, "the digest passes through");
    memcpy(facts->digest, e->digest.bytes, sizeof facts->digest);
    facts->queries = held->queries;
    facts->execs = held->execs;
    facts->queue_ns = held->queue_ns;
    facts->run_ns = held->run_ns;
    facts->input_ns = held->input_ns;
    facts->output_ns = held->output_ns;
    facts->batch = held->photos.best;
    facts->batch_ns = (uint64_t)((double)nx_profile_mean(&held->photos.profile, facts->batch) *
                                 nx_device_pace(c->device, &held->photos));
}

static bool is_asked_for(const struct nx_request_head *head, const struct nx_entry *e)
{
    if (e->state == NX_ENTRY_FREE)
        return false;
    return head->op == NX_REQUEST_LIST || (e->tag == head->tag && nx_store_is_named(e, head->name));
}

/* How far a frontier is behind what was delivered here; a frontier of the next view is never ahead of it. */
static uint64_t lag(const struct nx_categorizer *c, nx_seq frontier)
{
    return c->delivered_seq > frontier ? (uint64_t)(c->delivered_seq - frontier) : 0;
}

/* A model that is not there is told as such; a shard without models is an empty list. */
void nx_describe(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_err err = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        count += is_asked_for(&in->head, nx_store_at(c->store, i));
    size_t cap = NX_MODELS_HEAD_BYTES + (size_t)count * NX_MODEL_FACTS_BYTES_MAX;
    struct nx_model_facts_wire *facts = nx_calloc(count + 1, sizeof *facts);
    uint8_t *payload = nx_calloc(1, cap);
    if (!facts || !payload)
        nx_err_set(&err, NX_NO_MEMORY, "no memory for a list of %u models", count);
    else if (count == 0 && in->head.op == NX_REQUEST_DESCRIBE)
        nx_store_say_missing(in->head.tag, in->head.name, &err);
    if (err.status != NX_OK) {
        nx_categorizer_refuse(c, in, &err);
    } else {
        uint32_t at = 0;
        for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
            if (is_asked_for(&in->head, nx_store_at(c->store, i)))
                describe_entry(c, nx_store_at(c->store, i), &facts[at++]);
        in->answer = (struct nx_answer){.payload = payload,
                                        .payload_bytes =
                                            (uint32_t)nx_models_encode(facts, count, payload, cap)};
        struct nx_work work = nx_device_figures(c->device).work;
        struct nx_spans_figures spans = nx_spans_figures(c->config.spans);
        work.spans_exported = spans.exported;
        work.spans_dropped = spans.dropped;
        work.unsettled = lag(c, nx_group_settled(c->group, c->config.subgroup));
        work.undurable = lag(c, nx_group_durable(c->group, c->config.subgroup));
        nx_models_set_work(payload, &work);
        nx_models_set_memory(
            payload, &(struct nx_models_memory){c->budget.used_bytes, c->budget.limit_bytes});
        nx_categorizer_answer(c, in);
    }
    free(facts);
    free(payload);
}
