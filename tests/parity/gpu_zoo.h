/* gpu_zoo.h — small nets in the manner of the zoo's, with random weights; for the plan's tests and gpu-check. */
#ifndef GPU_ZOO_H
#define GPU_ZOO_H

#include "parity_net.h"

enum { GPU_ZOO = 5 };

struct gpu_zoo_net {
    const char *name;
    void (*make)(struct net *net);
};

extern const struct gpu_zoo_net gpu_zoo[GPU_ZOO];

/* Infers, runs all passes, and leaves the graph inferred for one row. */
void gpu_zoo_passes(struct net *net, const char *name);
void gpu_zoo_open(struct net *net, size_t i); /* the i-th, with its passes run */

#endif
