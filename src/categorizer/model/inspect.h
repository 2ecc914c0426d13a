/* inspect.h — what is in a model's files, and does it run here?
 *
 * Looks at all that can be looked at even where the model is refused: the survey of its ops does not need a
 * graph, the graph does not need a backend.
 * Owner   everything pointed to lives until nx_inspection_close, and `files` have to live as long.
 * Thread  any; one at a time per inspection. */
#ifndef NX_CATEGORIZER_MODEL_INSPECT_H
#define NX_CATEGORIZER_MODEL_INSPECT_H

#include "categorizer/model/model.h"
#include "categorizer/model/survey.h"

/* A weight with values that are not finite. */
struct nx_odd_weight {
    const char *name;
    uint64_t nans, infinities;
};

struct nx_inspection {
    struct nx_arena arena, work;
    struct nx_survey survey;
    bool has_graph;              /* the members below are set, but for `program` */
    struct nx_graph graph;       /* as loaded, before any pass, inferred for the batch asked for */
    struct nx_model_facts facts; /* for one photo; backend and memory_bytes are not set */
    uint64_t macs;               /* at that batch */
    uint64_t weight_bytes;       /* of the weights that nodes read, as f32 */
    /* the planned arena at that batch, after the passes; 0 where these fail */
    uint64_t activation_bytes;
    uint64_t planned_bytes; /* what a program is thought to hold before it is loaded; 0 likewise */
    const struct nx_odd_weight *odd;
    uint32_t n_odd;
    const char *backend;             /* that can run it; NULL: none */
    struct nx_program_bytes program; /* what that backend holds */
    struct nx_err err;               /* status NX_OK: it runs; else the first reason why not */
};

/* The inspection is to be closed whatever err.status says. options->load.batch_max is the batch. */
void nx_model_inspect(const struct nx_model_files *files, const struct nx_model_options *options,
                      struct nx_inspection *inspection);
void nx_inspection_close(struct nx_inspection *inspection);

#endif
