/* sim_shrink.h — makes a failing seed small enough to read. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim_edit.h"
#include "sim_trace.h"

/* Adds to `edits` what may be taken away of `drawn` while the same promise breaks: nodes, faults, operations, kinds of
 * traffic, disorder. Greedy, so the outcome is small, not smallest; at most `runs` runs. `rule` is the promise; returns
 * the runs made. */
uint32_t sim_shrink(const struct sim_config *drawn, const char *rule, uint32_t runs,
                    struct sim_edits *edits, struct sim_trace *trace);

#endif
