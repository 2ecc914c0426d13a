#include "categorizer/model/histogram.h"

#include <math.h>
#include <string.h>

static void widen(struct nx_histogram *h)
{
    for (uint32_t i = 0; i < NX_HISTOGRAM_BINS / 2; i++)
        h->counts[i] = h->counts[2 * (size_t)i] + h->counts[2 * (size_t)i + 1];
    memset(h->counts + NX_HISTOGRAM_BINS / 2, 0, sizeof h->counts / 2);
    h->width *= 2;
}

static void add_one(struct nx_histogram *h, float value)
{
    double magnitude = fabs((double)value);
    if (h->n == 0)
        h->low = h->high = value;
    h->low = fminf(h->low, value);
    h->high = fmaxf(h->high, value);
    h->n++;
    if (h->width == 0 && magnitude > 0) /* the zeros so far stay in the first bin */
        h->width = magnitude / (NX_HISTOGRAM_BINS / 2);
    while (magnitude >= h->width * NX_HISTOGRAM_BINS && magnitude > 0)
        widen(h);
    h->counts[magnitude > 0 ? (uint32_t)(magnitude / h->width) : 0]++;
}

void nx_histogram_add(struct nx_histogram *h, const float *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            add_one(h, values[i]);
        else
            h->nonfinite++;
}

float nx_histogram_percentile(const struct nx_histogram *h, double percent)
{
    double largest = fmax(fabs((double)h->low), fabs((double)h->high));
    double wanted = (double)h->n * (percent / 100), seen = 0;
    if (percent >= 100)
        return (float)largest;
    for (uint32_t i = 0; i < NX_HISTOGRAM_BINS; i++) {
        seen += (double)h->counts[i];
        if (seen >= wanted)
            return (float)fmin(largest, h->width * (i + 1));
    }
    return (float)largest;
}
