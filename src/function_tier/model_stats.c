#include "function_tier/model_stats.h"

#include "common/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_listed(const struct nx_model_stats_list *list, const struct nx_pb_model_row *row)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (nx_metrics_is_called(row, list->models[i].name))
            return true;
    return false;
}

static void add(struct nx_model_stats_list *list, const struct nx_pb_model_row *row)
{
    struct nx_model_stats *m = &list->models[list->count];
    if (is_listed(list, row))
        return;
    if (row->name[0])
        snprintf(m->name, sizeof m->name, "%s", row->name);
    else
        snprintf(m->name, sizeof m->name, "%u", row->tag);
    list->count++;
}

static int by_name(const void *a, const void *b)
{
    const struct nx_model_stats *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static uint32_t fill_memory(const struct nx_pb_status *status, const char *model,
                            struct nx_model_memory *memory)
{
    uint32_t n = 0;
    for (size_t i = 0; i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++) {
            const struct nx_pb_model_row *row = &status->replicas[i].models[k];
            if (nx_metrics_is_called(row, model))
                memory[n++] = (struct nx_model_memory){.node = status->replicas[i].node,
                                                       .gpu = strncmp(row->device, "gpu", 3) == 0,
                                                       .bytes = row->memory_bytes};
        }
    return n;
}

enum nx_status nx_model_stats_gather(const struct nx_metrics *metrics,
                                     const struct nx_pb_status *status, const char *model,
                                     struct nx_model_stats_list *list)
{
    size_t rows = 0, used = 0;
    for (size_t i = 0; i < status->replicas_count; i++)
        rows += status->replicas[i].models_count;
    *list = (struct nx_model_stats_list){.models = nx_calloc(rows + 1, sizeof *list->models),
                                         .memory = nx_calloc(rows + 1, sizeof *list->memory)};
    if (!list->models || !list->memory) {
        nx_model_stats_free(list);
        return NX_NO_MEMORY;
    }
    if (model[0])
        snprintf(list->models[list->count++].name, NX_MODEL_NAME_BYTES, "%s", model);
    for (size_t i = 0; !model[0] && i < status->replicas_count; i++)
        for (size_t k = 0; k < status->replicas[i].models_count; k++)
            add(list, &status->replicas[i].models[k]);
    qsort(list->models, list->count, sizeof *list->models, by_name);
    for (uint32_t i = 0; i < list->count; i++) {
        struct nx_model_stats *m = &list->models[i];
        m->version = nx_metrics_model_version(status, m->name);
        m->counts = nx_metrics_model(metrics, m->name);
        m->work = nx_metrics_model_work(status, m->name);
        m->memory = list->memory + used;
        m->memory_count = fill_memory(status, m->name, m->memory);
        used += m->memory_count;
    }
    return NX_OK;
}

void nx_model_stats_free(struct nx_model_stats_list *list)
{
    free(list->models);
    free(list->memory);
    *list = (struct nx_model_stats_list){0};
}
