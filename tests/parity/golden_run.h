/* golden_run.h — a graph on a backend against a golden output, at the golden's batch and one photo at a time; and the
 * tests of files of goldens: as loaded, after all passes, on every backend of the build. */
#ifndef NX_GOLDEN_RUN_H
#define NX_GOLDEN_RUN_H

#include "categorizer/backend.h"
#include "common/codec.h"
#include "nx_files.h"

struct nx_golden_run {
    const char *name, *how, *peer; /* for sentences */
    const float *input, *want;
    float *largest; /* grows to the largest |ours - golden| / (1 + |golden|) */
};

/* A name behind its length, NUL-terminated in dst. */
void nx_golden_name(struct nx_reader *r, char *dst, size_t cap);

/* `graph` is inferred for the golden's batch. |ours - golden| <= 2e-5 (1 + |golden|): both sides sum in f32 or better, in
 * another order. */
void nx_golden_check(const struct nx_backend *backend, const struct nx_graph *graph,
                     const struct nx_golden_run *run);

/* Reads the next golden of a file and checks it; false: none is left. */
typedef bool nx_golden_next(struct nx_reader *r, const struct nx_backend *backend, unsigned passes,
                            float *largest);

#define NX_GOLDEN_FILES_MAX 8

struct nx_golden_set {
    const char *name, *magic;
    nx_golden_next *next;
    struct {
        const char *name;
        int cases;
    } files[NX_GOLDEN_FILES_MAX];
    unsigned planned; /* at least so many of the goldens have a plan for a GPU */
};

/* What the test program's main returns. */
int nx_golden_main(const struct nx_golden_set *set);

/* cpu_dnnl, or cpu_ref where the build has none. A GPU computes in f16, which is another tolerance: scripts/gpu-check. */
const struct nx_backend *nx_golden_fastest_cpu(void);

#endif
