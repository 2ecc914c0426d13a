/* model_stats.h — what models have been asked and what it took, for the statistics of the v2 protocol.
 *
 * Requests, their times and the last one are as this node has answered them; executions, queues,
 * computation and memory are sums over all replicas, so they also hold what other nodes asked for.
 * Owner   the caller: nx_model_stats_free. Thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_MODEL_STATS_H
#define NX_FUNCTION_TIER_MODEL_STATS_H

#include "function_tier/metrics.h"
#include "function_tier/metrics_work.h"

struct nx_model_memory {
    uint32_t node; /* the replica's */
    bool gpu;
    uint64_t bytes;
};

struct nx_model_stats {
    char name[NX_MODEL_NAME_BYTES];
    uint64_t version; /* the one that serves, or else the newest; 0: no replica tells of it */
    struct nx_model_counts counts;
    struct nx_model_work work;
    struct nx_model_memory *memory; /* of each replica that has told of it */
    uint32_t memory_count;
};

struct nx_model_stats_list {
    struct nx_model_stats *models; /* by name */
    uint32_t count;
    struct nx_model_memory *memory; /* owns what the models point at */
};

/* Of the model of that name, whether a replica tells of it or not; "" is all that replicas tell of.
 * NX_NO_MEMORY: the list is empty. */
enum nx_status nx_model_stats_gather(const struct nx_metrics *metrics,
                                     const struct nx_pb_status *status, const char *model,
                                     struct nx_model_stats_list *list);
void nx_model_stats_free(struct nx_model_stats_list *list);

#endif
