#include "categorizer/gpu/gpu_space.h"

static void put_dim(struct nx_gpu_space *s, const struct nx_gpu_step *step, uint32_t d)
{
    uint32_t at = s->rank++;
    for (; at > 0 && s->y_stride[at - 1] < step->y.stride[d]; at--) {
        s->dims[at] = s->dims[at - 1];
        s->y_stride[at] = s->y_stride[at - 1];
        for (uint32_t j = 0; j < s->n_x; j++)
            s->x_stride[j][at] = s->x_stride[j][at - 1];
        s->valid_dim += s->valid && s->valid_dim == at - 1;
    }
    s->dims[at] = step->dims[d];
    s->y_stride[at] = step->y.stride[d];
    for (uint32_t j = 0; j < s->n_x; j++)
        s->x_stride[j][at] = step->x[j].stride[d];
    if (step->valid && d == 1) {
        s->valid = step->valid;
        s->valid_dim = at;
    }
}

/* Do dimensions d and d + 1 lie one in the other for every operand? */
static bool merges(const struct nx_gpu_space *s, uint32_t d)
{
    int64_t inner = s->dims[d + 1];
    bool does = s->y_stride[d] == s->y_stride[d + 1] * inner;
    for (uint32_t j = 0; j < s->n_x; j++)
        does = does && s->x_stride[j][d] == s->x_stride[j][d + 1] * inner;
    return does && !(s->valid && (s->valid_dim == d || s->valid_dim == d + 1));
}

static void take_out(struct nx_gpu_space *s, uint32_t d)
{
    s->rank--;
    s->valid_dim -= s->valid && s->valid_dim > d;
    for (; d < s->rank; d++) {
        s->dims[d] = s->dims[d + 1];
        s->y_stride[d] = s->y_stride[d + 1];
        for (uint32_t j = 0; j < s->n_x; j++)
            s->x_stride[j][d] = s->x_stride[j][d + 1];
    }
}

void nx_gpu_space_of(const struct nx_gpu_step *step, struct nx_gpu_space *space)
{
    *space = (struct nx_gpu_space){.n = 1,
                                   .n_x = step->n_x,
                                   .y_type = step->y.type,
                                   .fn = step->fn,
                                   .binary = step->binary,
                                   .act = step->act};
    for (uint32_t j = 0; j < space->n_x; j++)
        space->x_type[j] = step->x[j].type;
    for (uint32_t d = 0; d < step->rank; d++) {
        space->n *= step->dims[d];
        if (step->dims[d] > 1)
            put_dim(space, step, d);
    }
    for (uint32_t d = 0; d + 1 < space->rank;) {
        if (!merges(space, d)) {
            d++;
            continue;
        }
        space->dims[d + 1] *= space->dims[d];
        take_out(space, d);
    }
}
