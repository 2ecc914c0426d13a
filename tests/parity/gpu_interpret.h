/* gpu_interpret.h — what the steps of a GPU's plan mean, as the plainest loops; a backend for tests.
 *
 * gpu_interpret_f32 stores f32, so that what it gives is the graph's result or the plan is wrong;
 * gpu_interpret_f16 and _bf16 round wherever a device would. Places start out as garbage. */
#ifndef GPU_INTERPRET_H
#define GPU_INTERPRET_H

#include "categorizer/backend.h"
#include "categorizer/gpu/gpu_plan.h"

extern const struct nx_backend gpu_interpret_f32, gpu_interpret_f16, gpu_interpret_bf16;

/* gpu_interpret_f32, and cpu_ref for graphs that have no plan, as a node with a device would do it. */
extern const struct nx_backend gpu_interpret_or_ref;
extern unsigned gpu_interpret_planned, gpu_interpret_refused; /* how often it did which */

const struct nx_gpu_plan *gpu_interpret_plan(const struct nx_program *program);

#endif
