/* sim_faults.h — what goes wrong in a run, and when: schedules the configuration's faults and
 * applies them. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim_run.h"

void sim_faults_schedule(struct sim_world *world);
void sim_faults_apply(struct sim_world *world, uint32_t index);

#endif
