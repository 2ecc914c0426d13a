/* symbol.h — an MXNet `-symbol.json` becomes a graph.
 *
 * Reads all three key generations (param, attr, attrs), lowers each op that the heads need to
 * the canonical ones of graph.h, and tells the variables apart:
 *   in the params                              a constant, with its data
 *   read as a weight, not in the params        NX_INVALID, by name
 *   read as data, not in the params            an input of the graph; where there are several, each has
 *                                              to declare its __shape__
 *   the label of an *Output op                 ignored
 * Files of 0.8 and before leave BatchNorm's two statistics out: they are <name>_moving_mean, _moving_var.
 *
 * Without params every variable that is read as a weight is a constant without shape or data: enough
 * to infer shapes. The input's shape is its __shape__ where that stands in the file, else unknown.
 * Failure NX_CORRUPT (not such a file), NX_UNSUPPORTED (an op or an attribute's value), NX_INVALID,
 *         NX_TOO_LARGE; the sentence names the node.
 * Source  MXNet 1.9.1: nnvm/src/pass/saveload_json.cc, src/nnvm/legacy_json_util.cc. */
#ifndef NX_CATEGORIZER_MODEL_SYMBOL_H
#define NX_CATEGORIZER_MODEL_SYMBOL_H

#include "categorizer/model/params.h"

/* `params` may be NULL; its file's bytes must outlive the graph. */
enum nx_status nx_symbol_build(const char *json, size_t len, const struct nx_params *params,
                               struct nx_graph *graph, struct nx_err *err);

struct nx_survey; /* survey.h */

/* Which ops the heads need, and what wrote the file; nothing is lowered. */
enum nx_status nx_symbol_survey(const char *json, size_t len, struct nx_arena *arena,
                                struct nx_survey *survey, struct nx_err *err);

#endif
