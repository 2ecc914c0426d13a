/* sim_seed.h — one configuration, run and judged. */
#ifndef SIM_SEED_H
#define SIM_SEED_H

#include "sim_run.h"

/* Runs it and judges; true if every promise held. A broken invariant of the core is a finding like any other; what
 * that run held is leaked. `trace` is that of the run. */
bool sim_seed_run(const struct sim_config *config, struct sim_trace *trace,
                  struct sim_verdict *verdict);

/* The same, but twice: DET if the two runs differ in anything. */
bool sim_seed_run_twice(const struct sim_config *config, struct sim_trace *trace,
                        struct sim_verdict *verdict);

#endif
