#include "function_tier/model_list.h"

#include "common/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum nx_status nx_model_ask(struct nx_route *route, enum nx_request op, const char *name,
                            nx_ns deadline, nx_route_done *done, void *user,
                            struct nx_route_request **request, struct nx_err *err)
{
    struct nx_request_head head = {.op = op};
    uint32_t tags[NX_SHARDS_MAX], count = 1;
    const struct nx_layout *layout =
        nx_route_ready(route) ? nx_group_layout(nx_route_group(route)) : NULL;
    if (!layout)
        return nx_route_say_forming(route, err);
    if (op == NX_REQUEST_DESCRIBE)
        nx_head_set_name(&head, name);
    tags[0] = head.tag;
    if (op == NX_REQUEST_LIST)
        for (count = 0; count < layout->shards_count[nx_route_subgroup(route)]; count++)
            tags[count] = count;
    return nx_route_ask(route, &head, tags, count, NULL, 0, deadline, done, user, request, err);
}

static enum nx_status add(struct nx_model_list *list, uint32_t *room,
                          const struct nx_model_facts_wire *model, struct nx_err *err)
{
    if (list->count == *room) {
        uint32_t more = *room ? 2 * *room : 16;
        struct nx_model_facts_wire *grown = nx_realloc(list->models, more * sizeof *grown);
        if (!grown)
            return nx_err_set(err, NX_NO_MEMORY, "no memory for a list of %u models", more);
        list->models = grown;
        *room = more;
    }
    struct nx_model_facts_wire *added = &list->models[list->count++];
    *added = *model;
    if (added->name[0] == 0)
        snprintf(added->name, sizeof added->name, "%u", added->tag);
    return NX_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct nx_model_facts_wire *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* While a model is replaced, its shard tells of two: the one that answers is the model. */
static void drop_replacements(struct nx_model_list *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct nx_model_facts_wire *m = &list->models[i];
        if (kept == 0 || list->models[kept - 1].tag != m->tag)
            list->models[kept++] = *m;
        else if (m->ready)
            list->models[kept - 1] = *m;
    }
    list->count = kept;
}

enum nx_status nx_model_list_gather(const struct nx_answer *answers, uint32_t answers_count,
                                    struct nx_model_list *list, struct nx_err *err)
{
    struct nx_model_facts_wire model;
    uint32_t room = 0;
    enum nx_status status = NX_OK;
    *list = (struct nx_model_list){0};
    for (uint32_t i = 0; i < answers_count && status == NX_OK; i++) {
        size_t at = 0;
        while (status == NX_OK) {
            status = nx_models_next(answers[i].payload, answers[i].payload_bytes, &at, &model, err);
            if (status == NX_OK)
                status = add(list, &room, &model, err);
        }
        status = status == NX_NOT_FOUND ? NX_OK : status;
    }
    if (status != NX_OK)
        nx_model_list_free(list);
    else if (list->count) {
        qsort(list->models, list->count, sizeof *list->models, by_name);
        drop_replacements(list);
    }
    return status;
}

void nx_model_list_free(struct nx_model_list *list)
{
    free(list->models);
    *list = (struct nx_model_list){0};
}

const char *nx_model_platform(const struct nx_model_facts_wire *model)
{
    return model->format == NX_FORMAT_ONNX ? "onnx" : "mxnet_symbol";
}

bool nx_model_has_batch(const struct nx_tensor_facts *tensor)
{
    return tensor->rank > 0 && tensor->dims[0] < 0;
}

uint32_t nx_model_batch_max(const struct nx_model_facts_wire *model)
{
    for (uint32_t i = 0; i < model->inputs_count; i++)
        if (nx_model_has_batch(&model->inputs[i]))
            return NX_ROWS_MAX;
    return 0;
}
