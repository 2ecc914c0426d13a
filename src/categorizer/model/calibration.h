/* calibration.h — the ranges that a model's tensors took on photos, as a text file; what int8 needs (graph/quant.h).
 *
 *   nexus calibration 1
 *   model 9c0ffee01b5e1157                  a mark of the model's files and of how they are computed
 *   rule percentile 99.99, 40 photos        for people
 *   tensors 312                             of the graph as it is computed
 *   0 -2.1179 2.64 data                     index, low, high, and the name for people; by growing index
 *   17 0 3.0625 resnetv10_relu0_fwd
 *   end                                     without it the file was cut
 *
 * A tensor without a line has no range: the convolution that reads it stays in f32. So a line may be taken out where
 * that is wanted.
 *
 * The mark is of the files' bytes and of the graph's ops, wiring and names after all passes. It
 * keeps a file from being used with another model, or with a nexus that computes the model in other
 * steps; it is no protection against somebody who means to, who could make a model answer wrongly
 * and no more.
 *
 * Failure  NX_CORRUPT: not such a file, with the line; NX_TOO_LARGE; NX_INVALID: not this model's */
#ifndef NX_CATEGORIZER_MODEL_CALIBRATION_H
#define NX_CATEGORIZER_MODEL_CALIBRATION_H

#include <stdio.h>

#include "categorizer/model/model.h"

#define NX_CALIBRATION_BYTES_MAX (UINT64_C(8) << 20)
#define NX_CALIBRATION_LINE_MAX  256u /* bytes of a line; names are cut to fit when written */
#define NX_CALIBRATION_RULE_MAX  160u

struct nx_calibration {
    uint64_t mark;
    char rule[NX_CALIBRATION_RULE_MAX]; /* printable */
    uint32_t n_tensors;
    struct nx_quant_range *ranges; /* per tensor */
};

uint64_t nx_calibration_mark(const struct nx_model_files *files, const struct nx_graph *graph);

/* NX_TOO_LARGE, and both sizes. */
enum nx_status nx_calibration_say_too_large(uint64_t bytes, struct nx_err *err);

/* ranges live in `arena`. On failure *calibration is untouched. */
enum nx_status nx_calibration_parse(const char *text, size_t len, struct nx_arena *arena,
                                    struct nx_calibration *calibration, struct nx_err *err);

/* names[i] of tensor i, of any bytes; NULL: none. NX_IO. */
enum nx_status nx_calibration_write(FILE *out, const struct nx_calibration *calibration,
                                    const char *const *names, struct nx_err *err);

/* In int8: load->ranges from files->calibration for that graph of files, or why it is not one. Nothing in another
 * precision. */
enum nx_status nx_calibration_read(const struct nx_model_files *files, const struct nx_graph *graph,
                                   struct nx_arena *arena, struct nx_load_options *load,
                                   struct nx_err *err);

#endif
