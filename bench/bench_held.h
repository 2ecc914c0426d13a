/* bench_held.h — `nexus-bench serve … --idle N`: what do connections cost that say nothing? */
#ifndef NX_BENCH_HELD_H
#define NX_BENCH_HELD_H

#include "bench/load/load_run.h"

/* Opens options->connections connections, each of which asks once, holds them for options->duration and asks once more on
 * the last. With the process id of the node (0: none) it tells the node's memory and CPU as well. Prints; the exit status:
 * 0 if all were answered, none was closed, and the node still answers. */
int bench_held(const struct load_options *options, int node_pid);

#endif
