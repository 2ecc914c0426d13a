/* cpus.h — which processors is this process to run on, and how many of them are there for it?
 *
 * Several nodes on one machine share it sanely when each has processors of its own, and as many threads as those:
 * an engine whose threads wait for each other at barriers is as slow as the one whose processor is taken.
 * A list is numbers and ranges as Linux writes them: "0-3,8".
 * Thread   bind before any other thread is started: they inherit it. usable: any. */
#ifndef NX_COMMON_CPUS_H
#define NX_COMMON_CPUS_H

#include "common/status.h"

#include <stdint.h>

/* The process, all of it, on those from now on. "": nothing changes. NX_INVALID: not a list, or a processor that the
 * machine or the container does not let it have. */
enum nx_status nx_cpus_bind(const char *list, struct nx_err *err);

/* Those that the process may run on, or fewer where its control group's quota is less: 2.5 processors count as 3. At
 * least 1. */
uint32_t nx_cpus_usable(void);

/* What a control group's cpu.max says, rounded up: "250000 100000" is 3; 0: no bound. */
uint32_t nx_cpus_quota(const char *cpu_max);

#endif
