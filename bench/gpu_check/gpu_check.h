/* gpu_check.h — what gpu-check compares and times. */
#ifndef GPU_CHECK_H
#define GPU_CHECK_H

#include "parity_net.h"

struct gpu_check_op {
    const char *name;
    void (*make)(struct net *net);
};

extern const struct gpu_check_op gpu_check_ops[];
extern const unsigned gpu_check_n_ops;

/* ResNet-50 v1 (stride on the 3x3), 224x224, 1000 classes, random weights, batch norms folded already. */
void gpu_check_resnet50(struct net *net);

#endif
