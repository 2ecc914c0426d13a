/* backend.h — the seam between a graph and the machine: load → run, run, … → free.
 *
 * load   takes an inferred graph (shape.h; passes already run) and makes a program that holds all
 *        it needs: weights in the backend's own layout, one planned arena, whatever is compiled.
 *        Nothing of the graph is kept, neither tensors nor the data of constants: it may be freed
 *        as soon as load returns. A model is announced as ready only after load, so all that is
 *        slow the first time (code generation, plans) is done here.
 * run    computes the outputs for `batch` rows. inputs[i] and outputs[i] belong to the graph's i-th
 *        input and output: dense row-major f32 with dims[0] = batch, caller's memory, not
 *        overlapping, aligned to 4. Allocates nothing that grows; the result does not depend on
 *        earlier runs, nor a row's result on the other rows of its batch.
 * free   gives everything back.
 *
 * Thread   a program runs in one thread at a time (any); several programs run at once.
 * Failure  load: NX_UNSUPPORTED names the op, NX_NO_MEMORY (over bytes_max, too), NX_UNAVAILABLE if the device is not
 *          there; nothing is left behind. run: a status and a sentence; outputs are undefined, the
 *          program stays usable. 1 <= batch <= batch_max, or NX_INVALID.
 * The naive twin of every backend is nx_backend_cpu_ref; tests hold the others to it. */
#ifndef NX_CATEGORIZER_BACKEND_H
#define NX_CATEGORIZER_BACKEND_H

#include "categorizer/graph/quant.h"
#include "common/clock.h"
#include "common/precision.h"

struct nx_load_options {
    uint32_t batch_max; /* 1 … NX_BATCH_MAX */
    uint32_t threads;   /* of one run, >= 1; a backend may use fewer, never more */
    uint64_t bytes_max; /* what a program may hold; 0: as much as there is */
    /* gpu_cudnn stores f16 for F32; all sum in f32. INT8: quant.h, the CPU's backends alone */
    enum nx_precision precision;
    const struct nx_quant_range *ranges; /* INT8: per tensor of the graph, needed during the load */
};

/* One step of a run, told when it is over. */
struct nx_step_took {
    const char *node; /* whose work it is; "" for what comes after the last node */
    const char *op;   /* what the graph calls it */
    const char *how;  /* what the backend did, in its own words */
    nx_ns ns;
};

/* Somebody who wants to know where a run's time goes. The texts live as long as the program. */
struct nx_step_watch {
    void *ctx;
    void (*took)(void *ctx, const struct nx_step_took *step);
};

/* What a load will come to, as far as a graph can tell. */
struct nx_load_estimate {
    uint32_t at_once; /* rows of one pass at most, 1 … batch_max: the arena is for so many */
    uint32_t element_bytes; /* of an activation */
    uint64_t weights;       /* bytes, in the backend's layouts and types */
    uint64_t scratch;       /* bytes of the arena beside activations */
};

/* What a program holds, in parts; all: host and device, the parts, code and tables. */
struct nx_program_bytes {
    uint64_t weights; /* in the backend's own layouts and types */
    uint64_t arena;   /* activations of the largest batch that it computes at once */
    uint64_t all;
};

/* The head of every backend's own program struct. */
struct nx_program {
    const struct nx_backend *backend;
    /* Set from outside between runs; NULL: nobody watches. Watched, a run goes step by step and is a
     * little slower. The CPU's backends tell their steps, gpu_cudnn tells none. */
    const struct nx_step_watch *watch;
};

struct nx_backend {
    const char *name;       /* "cpu_ref" */
    bool (*is_there)(void); /* does the machine have what it runs on? NULL: always. Any thread. */
    /* Whether load can do with these options here, whatever the graph: NX_UNSUPPORTED names a precision that the machine
     * or the backend lacks. load asks it first. Any thread. */
    enum nx_status (*check)(const struct nx_load_options *options, struct nx_err *err);
    /* Of a graph that is inferred, for who has to have the room before; NULL: a batch at once, all in f32. */
    void (*estimate)(const struct nx_graph *graph, const struct nx_load_options *options,
                     struct nx_load_estimate *estimate);
    enum nx_status (*load)(const struct nx_graph *graph, const struct nx_load_options *options,
                           struct nx_program **program, struct nx_err *err);
    enum nx_status (*run)(struct nx_program *program, uint32_t batch, const float *const *inputs,
                          float *const *outputs, struct nx_err *err);
    void (*free)(struct nx_program *program);
    struct nx_program_bytes (*memory)(const struct nx_program *program);
};

/* One per file; which of them a build has is its cpu/ and gpu/ CMake's business. */
extern const struct nx_backend nx_backend_cpu_ref;
extern const struct nx_backend nx_backend_cpu_dnnl;
extern const struct nx_backend nx_backend_gpu_cudnn;

/* By name among those built in; "auto" is the fastest that is there. NULL if there is none. */
const struct nx_backend *nx_backend_find(const char *name);

/* Whether that backend, or with "auto" any that is there, could load with these options: its answer, or the last one's. */
enum nx_status nx_backend_check(const char *name, const struct nx_load_options *options,
                                struct nx_err *err);

/* Loads on the backend of that name. "auto" goes on to the next slower one where a backend has no way to run
 * the graph (NX_UNSUPPORTED, NX_UNAVAILABLE), and says so in the log; the last one's answer counts. In int8 it does not
 * go on to cpu_ref: who wants speed would get none. */
enum nx_status nx_backend_load(const char *name, const struct nx_graph *graph,
                               const struct nx_load_options *options, struct nx_program **program,
                               struct nx_err *err);

#endif
