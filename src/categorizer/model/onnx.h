/* onnx.h — an ONNX file as a graph.
 *
 * ModelProto, IR version 3 or later, opset 7 to 21 of the default domain. Weights in f32, f16, bf16, f64 and
 * integers, in raw_data or in typed fields, become f32 constants: aligned f32 stays where it lies in the
 * file, all else is converted into the graph's arena. Initialisers that are listed as graph inputs too
 * (IR 3) are weights. The graph inputs without an initialiser that the outputs need are the graph's, in the
 * file's order, and so are its outputs.
 *
 * A photo is (N, C, H, W). A file of one input that takes (N, H, W, C), known by a last dimension of 1 or 3 after
 * two of 8 or more, gets it by a transposition in front.
 *
 * Dimension 0 of a lone input is the batch, whether the file says a name, -1 or a number there; of several
 * inputs it is the batch of those that leave it open, or, if none does, of those that agree with the first. A
 * file whose sizes are all fixed and that works across that dimension has no batch (nx_port). What the file
 * computes of shapes (Shape, Gather, Concat, … → Reshape) is folded while loading: each integer is kept
 * as base + per_photo * batch, so that a fold made here holds for every batch. A file exported for a fixed
 * batch of n may say n where it means the batch, in the first number of a Reshape; that is understood.
 *
 * Failure NX_CORRUPT (not such a file, or cut off), NX_UNSUPPORTED (an op, an attribute's value, external
 *         data, subgraphs, sparse weights), NX_INVALID, NX_TOO_LARGE; the sentence names the node.
 * Source  onnx/onnx, onnx.proto and docs/Operators.md, for names, numbers and meaning. */
#ifndef NX_CATEGORIZER_MODEL_ONNX_H
#define NX_CATEGORIZER_MODEL_ONNX_H

#include "categorizer/graph/graph.h"

struct nx_size_hint; /* input_size.h */

/* `bytes` must outlive the graph. Leaves the graph inferred for 2 photos. Height and width that the file
 * leaves open are the hint's (0: 224), and then *size_is_free. */
enum nx_status nx_onnx_build(const void *bytes, size_t len, const struct nx_size_hint *hint,
                             struct nx_graph *graph, bool *size_is_free, struct nx_err *err);

struct nx_survey; /* survey.h */

/* Which ops the outputs need, and what wrote the file; nothing is lowered. survey->producer is set even where
 * the rest of the file is malformed. */
enum nx_status nx_onnx_survey(const void *bytes, size_t len, struct nx_arena *arena,
                              struct nx_survey *survey, struct nx_err *err);

#endif
