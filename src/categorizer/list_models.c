/* list_models.c — LIST: what this replica holds, as a reply. */
#include "categorizer/categorizer_state.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdio.h>

static void describe(struct nx_categorizer *c, const struct nx_entry *e, struct nx_model_row *row)
{
    const struct nx_held_model *m = e->model;
    *row = (struct nx_model_row){.tag = e->tag,
                                 .version = e->generation,
                                 .state = e->state == NX_ENTRY_READY ? NX_MODEL_READY
                                                                     : NX_MODEL_LOADING};
    if (!m)
        return;
    const struct nx_served_facts *f = nx_served_facts(m->served);
    row->format = f->format;
    snprintf(row->recipe, sizeof row->recipe, "%s", f->recipe);
    snprintf(row->device, sizeof row->device, "%s", f->backend);
    row->weights_bytes = f->weights_bytes;
    row->arena_bytes = f->arena_bytes;
    row->memory_bytes = f->memory_bytes;
    row->queries = m->queries;
    row->batch = m->lane.best;
    row->batch_ns = (uint64_t)((double)nx_profile_mean(&f->profile, row->batch) *
                               nx_device_pace(c->device, &m->lane));
}

static uint32_t count_entries(struct nx_categorizer *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        n += nx_store_at(c->store, i)->state != NX_ENTRY_FREE;
    return n;
}

void nx_list_models(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_answer fine = {0};
    struct nx_models_head head = {.used_bytes = c->budget.used_bytes,
                                  .limit_bytes = c->budget.limit_bytes,
                                  .rows_count = count_entries(c)};
    size_t cap = NX_ANSWER_BYTES_MAX + NX_MODELS_HEAD_BYTES +
                 (size_t)head.rows_count * NX_MODEL_ROW_BYTES_MAX;
    in->reply = nx_calloc(1, cap);
    if (!in->reply) {
        nx_categorizer_refuse(c, in, &(struct nx_err){NX_NO_MEMORY, "no memory for a list"});
        return;
    }
    size_t used = nx_answer_encode(&fine, in->reply, cap);
    used += nx_models_head_encode(&head, in->reply + used, cap - used);
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++) {
        struct nx_model_row row;
        const struct nx_entry *e = nx_store_at(c->store, i);
        if (e->state == NX_ENTRY_FREE)
            continue;
        describe(c, e, &row);
        size_t len = nx_model_row_encode(&row, in->reply + used, cap - used);
        nx_assert(len > 0);
        used += len;
    }
    in->reply_bytes = used;
    in->state = NX_INCOMING_REPLYING;
}
