/* golden_run.h — a graph on a backend against a golden output, at the golden's batch and one photo at a time. */
#ifndef NX_GOLDEN_RUN_H
#define NX_GOLDEN_RUN_H

#include "categorizer/backend.h"
#include "nx_files.h"

struct nx_golden_run {
    const char *name, *how, *peer; /* for sentences */
    const float *input, *want;
    float absolute, relative; /* |ours - golden| <= absolute + relative |golden| */
    float *largest;           /* grows to the largest |ours - golden| / (1 + |golden|) */
};

/* `graph` is inferred for the golden's batch. */
void nx_golden_check(const struct nx_backend *backend, const struct nx_graph *graph,
                     const struct nx_golden_run *run);

/* cpu_dnnl, or cpu_ref where the build has none. A GPU computes in f16, which is another tolerance: scripts/gpu-check. */
const struct nx_backend *nx_golden_fastest_cpu(void);

#endif
