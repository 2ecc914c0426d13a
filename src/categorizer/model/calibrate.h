/* calibrate.h — which ranges do a model's tensors take? Runs it in f32 and looks at those that int8
 * will want (graph/quant.h).
 *
 * open, see one input after the other, then the ranges by a rule:
 *
 *   MINMAX      the least and the largest value that came
 *   PERCENTILE  the same, cut to where `percent` of all magnitudes lie. Rare large values then
 *               saturate, and all others get finer steps
 *
 * Source  Wu et al., Integer Quantization for Deep Learning Inference, arXiv 2004.09602, 2020,
 *         which compares both with a third, the least divergence of two distributions, and has
 *         percentiles of 99.9 to 99.9999 as good or better
 * Thread  one at a time
 * Failure a sentence; a calibrator that failed to see an input has seen part of it, and is of no more use */
#ifndef NX_CATEGORIZER_MODEL_CALIBRATE_H
#define NX_CATEGORIZER_MODEL_CALIBRATE_H

#include "categorizer/model/calibration.h"

struct nx_calibrator; /* opaque */

enum nx_calibration_rule { NX_RULE_MINMAX, NX_RULE_PERCENTILE };

struct nx_calibration_how {
    enum nx_calibration_rule rule;
    double percent; /* of PERCENTILE: above 50, below 100 */
};

/* Bytes of activations that are kept at once; a model with more for one photo is NX_TOO_LARGE. */
#define NX_CALIBRATOR_BYTES_MAX (UINT64_C(4) << 30)

/* Of a graph that a backend could load in f32, inferred for a batch of 1, which must outlive the calibrator. `backend` and
 * `threads` are those of the runs. NX_INVALID: nothing in it could be int8. */
enum nx_status nx_calibrator_open_graph(const struct nx_graph *graph, const char *backend,
                                        uint32_t threads, struct nx_calibrator **calibrator,
                                        struct nx_err *err);
/* Of a model. It keeps nothing of `files`. options: the backend and the threads; one photo is run at a time. */
enum nx_status nx_calibrator_open(const struct nx_model_files *files,
                                  const struct nx_model_options *options,
                                  struct nx_calibrator **calibrator, struct nx_err *err);
void nx_calibrator_close(struct nx_calibrator *calibrator); /* NULL is fine */

/* Of the model; only inputs and shapes are set. NULL for a graph's. */
const struct nx_model_facts *nx_calibrator_facts(const struct nx_calibrator *calibrator);

/* inputs[i]: the graph's i-th input for a batch of 1. NX_INVALID: values that are no numbers came out. */
enum nx_status nx_calibrator_see(struct nx_calibrator *calibrator, const float *const *inputs,
                                 struct nx_err *err);

/* Of what was seen, which is at least one input. ranges: per tensor of the graph, all of them set. */
void nx_calibrator_ranges(const struct nx_calibrator *calibrator,
                          const struct nx_calibration_how *how, struct nx_quant_range *ranges);

/* The file. `seen` is what was seen, for people: "40 photos". NX_IO. */
enum nx_status nx_calibrator_write(struct nx_calibrator *calibrator,
                                   const struct nx_calibration_how *how, const char *seen,
                                   FILE *out, struct nx_err *err);

#endif
