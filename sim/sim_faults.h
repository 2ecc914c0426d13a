/* sim_faults.h — what goes wrong in a run, and when: schedules the configuration's faults and
 * applies them. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim_run.h"

struct sim_node;

void sim_faults_schedule(struct sim_world *world);
void sim_faults_apply(struct sim_world *world, uint32_t index);
/* After each step: sometimes a node dies among the writes by which it tells of a proposal, a decision or its new view. */
void sim_faults_in_change(struct sim_node *node);

#endif
