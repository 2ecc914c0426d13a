/* model_list.h — the shards' answers to a LIST, as one list sorted by name. */
#ifndef NX_FUNCTION_TIER_MODEL_LIST_H
#define NX_FUNCTION_TIER_MODEL_LIST_H

#include "function_tier/route.h"

/* A LIST of every shard, or a DESCRIBE of the model of that name; answers as of nx_route_ask. */
enum nx_status nx_model_ask(struct nx_route *route, enum nx_request op, const char *name,
                            nx_ns deadline, nx_route_done *done, void *user,
                            struct nx_route_request **request, struct nx_err *err);

struct nx_model_list {
    struct nx_model_facts_wire *models;
    uint32_t count;
};

/* A model that was installed by tag alone is given its number as its name. */
enum nx_status nx_model_list_gather(const struct nx_answer *answers, uint32_t answers_count,
                                    struct nx_model_list *list, struct nx_err *err);
void nx_model_list_free(struct nx_model_list *list);

const char *nx_model_platform(const struct nx_model_facts_wire *model); /* "mxnet_symbol", … */

/* Has the tensor a batch as its first dimension? And how many rows one request may bring; 0: the model has no batch. */
bool nx_model_has_batch(const struct nx_tensor_facts *tensor);
uint32_t nx_model_batch_max(const struct nx_model_facts_wire *model);

#endif
