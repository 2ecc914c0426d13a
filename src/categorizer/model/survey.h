/* survey.h — what a model's file is made of, before anything of it is understood.
 *
 * The loaders stop at the first op that they do not know; a survey counts them all, so that one look tells
 * how far a model is from running. Ops are those that the file's outputs need.
 * Owner   names live in the arena given at init. */
#ifndef NX_CATEGORIZER_MODEL_SURVEY_H
#define NX_CATEGORIZER_MODEL_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"

#define NX_SURVEY_OPS_MAX 512u /* different ops of one file; ONNX has some 200, MXNet some 400 */

struct nx_survey_op {
    const char *name; /* as the file spells it */
    uint32_t count;
    bool known; /* the loader has a row for it; its attributes may still be refused */
};

struct nx_survey {
    const char *format;
    /* "pytorch 2.1.0, IR version 8, opset 17"; what came from the file is unchecked */
    char producer[256];
    struct nx_arena *arena;
    struct nx_survey_op *ops; /* by first occurrence */
    uint32_t n_ops, n_nodes;
};

void nx_survey_init(struct nx_survey *survey, const char *format, struct nx_arena *arena);

/* One node of that op. NX_TOO_LARGE: more than NX_SURVEY_OPS_MAX different ones. */
enum nx_status nx_survey_count(struct nx_survey *survey, const char *op, bool known,
                               struct nx_err *err);

#endif
