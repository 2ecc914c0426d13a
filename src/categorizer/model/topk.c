#include <math.h>

#include "categorizer/model/model.h"

/* a before b: larger; a NaN after everything; equal ones in the order they stand. */
static bool ranks_before(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

uint32_t nx_topk(const float *values, uint32_t n, uint32_t k, struct nx_top *top)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < n && k; i++) {
        if (held == k && !ranks_before(values[i], top[held - 1].value))
            continue;
        uint32_t at = held < k ? held++ : held - 1;
        for (; at > 0 && ranks_before(values[i], top[at - 1].value); at--)
            top[at] = top[at - 1];
        top[at] = (struct nx_top){i, values[i]};
    }
    return held;
}

void nx_softmax(float *values, uint32_t n)
{
    float most = -INFINITY;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        most = values[i] > most ? values[i] : most;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)(values[i] - most));
    for (uint32_t i = 0; i < n; i++)
        values[i] = (float)(exp((double)(values[i] - most)) / sum);
}
