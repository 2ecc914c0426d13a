/* metrics_work.h — what the replicas' queues and batches came to, as Prometheus' text; a part of metrics.h. */
#ifndef NX_FUNCTION_TIER_METRICS_WORK_H
#define NX_FUNCTION_TIER_METRICS_WORK_H

#include "common/text.h"
#include "function_tier/pb/pb_status.h"

/* nexus_batches_total and its like, by shard and node. */
void nx_metrics_write_work(const struct nx_pb_status *status, struct nx_text *text);

/* Of one model, summed over all replicas. */
struct nx_model_work {
    uint64_t execs, photos; /* batches; photos and tensors answered */
    uint64_t input_ns, queue_ns, run_ns, output_ns;
};
bool nx_metrics_is_called(const struct nx_pb_model_row *row, const char *model);
/* The version that serves, or else the newest; 0: no replica tells of it. */
uint64_t nx_metrics_model_version(const struct nx_pb_status *status, const char *model);
struct nx_model_work nx_metrics_model_work(const struct nx_pb_status *status, const char *model);

/* "# HELP", "# TYPE". */
void nx_metrics_head(struct nx_text *text, const char *name, const char *type, const char *help);

#endif
