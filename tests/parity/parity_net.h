/* parity_net.h — small graphs with random weights, run on two backends and compared.
 *
 *   |got - want| <= tolerance · max(1, largest |want| of that output),  want from cpu_ref, in f32 or int8 */
#ifndef PARITY_NET_H
#define PARITY_NET_H

#include "nx_test.h"

#include "categorizer/backend.h"
#include "common/prng.h"

struct net {
    struct nx_arena arena;
    struct nx_graph graph;
    struct nx_prng prng;
    uint32_t outputs[8], n_outputs;
};

void net_open(struct net *net, uint64_t seed);
void net_close(struct net *net);

/* dims[0] of an input is set by the batch. */
uint32_t net_input(struct net *net, uint32_t rank, const int64_t *dims);
/* Uniform in [low, high). */
uint32_t net_constant(struct net *net, uint32_t rank, const int64_t *dims, double low, double high);
/* Returns the first output. */
uint32_t net_node(struct net *net, const struct nx_node *node, const uint32_t *inputs, uint32_t n);
void net_output(struct net *net, uint32_t tensor);

extern const struct nx_window net_one_by_one;
/* A convolution with random weights; residual NX_NONE: none. Returns its output. */
uint32_t net_conv(struct net *net, uint32_t x, int64_t channels, int64_t filters,
                  const struct nx_window *window, int32_t groups, bool bias, uint32_t residual,
                  enum nx_unary act);
/* An input (N, c, h, w), or one behind a 1x1 convolution that keeps its shape. */
uint32_t net_source(struct net *net, bool blocked, int64_t c, int64_t h, int64_t w);

/* Shapes are known after this; call it before anything that depends on them. */
void net_infer(struct net *net);

/* A struct nx_window: kernel, stride, dilation, padding on all sides. */
#define K(kh, kw, s, d, p)                \
    {                                     \
        {kh, kw}, {s, s}, {d, d}, {p, p}, \
        {                                 \
            p, p                          \
        }                                 \
    }

struct net_options {
    const struct nx_backend *backend;
    struct nx_load_options load;
    double tolerance;
};

/* Infers, loads on both, runs every batch from batch_max down to 1 with other inputs, compares.
 * Returns the largest deviation in units of the tolerance's scale. `name` is for the sentence. */
double net_compare(struct net *net, const struct net_options *options, const char *name);

#endif
