/* model_parts.h — an open model, for model.c, model_infer.c, inspect.c and calibrate.c only. */
#ifndef NX_CATEGORIZER_MODEL_MODEL_PARTS_H
#define NX_CATEGORIZER_MODEL_MODEL_PARTS_H

#include "categorizer/model/model.h"
#include "categorizer/model/params.h"
#include "categorizer/model/synset.h"

struct nx_model {
    struct nx_arena arena; /* names, ports, room */
    struct nx_synset synset;
    struct nx_program *program;
    uint32_t batch_max;
    float **room; /* per output: where those go that nobody asked for; the first has none */
    struct nx_model_facts facts;
    struct nx_budget *budget; /* facts.memory_bytes of it are ours; NULL: none */
};

/* A model on its way from bytes to a program. */
struct nx_opening {
    const struct nx_model_files *files;
    const struct nx_model_options *options;
    struct nx_err *err;
    struct nx_arena work; /* all that is needed only until the backend has loaded */
    struct nx_params params;
    struct nx_graph graph;
    uint64_t weights_bytes; /* estimated, as the backend will hold them */
    uint64_t weights_least; /* they cannot be fewer */
    uint64_t scratch_bytes; /* of what is planned for activations */
    uint64_t reserved;      /* of the budget */
    bool is_tight;          /* the budget bounds the work */
};

/* Room to convert, fold and rewrite while a model is opened: int8 weights become f32, twice. */
#define NX_OPENING_BYTES(weights_len) ((UINT64_C(1) << 30) + 12 * (uint64_t)(weights_len))

/* Reads and checks the files; o->graph is then inferred for 1 photo, before any pass. `arena` takes what the
 * facts point to. */
enum nx_status nx_opening_read(struct nx_opening *o, struct nx_arena *arena,
                               struct nx_model_facts *facts);
/* Passes, and shapes for the largest batch; o->weights_bytes and *activation_bytes say what is
 * planned, the latter, for as many
 * rows as the backend computes at once. */
enum nx_status nx_opening_prepare(struct nx_opening *o, uint64_t *activation_bytes);
/* After that: what a program is thought to hold. */
uint64_t nx_opening_planned(const struct nx_opening *o, uint64_t activation_bytes);

#endif
