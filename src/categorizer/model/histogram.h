/* histogram.h — how the magnitudes of a tensor's values are spread, in fixed memory.
 *
 * |x| falls into one of NX_HISTOGRAM_BINS of one width. A value beyond the last doubles the
 * width, as often as it takes, each two bins becoming one: so the result does not depend on
 * knowing the largest first, and a percentile is off by one bin, at most 1 / 1,024 of the
 * largest magnitude. Values that are no numbers count apart. */
#ifndef NX_CATEGORIZER_MODEL_HISTOGRAM_H
#define NX_CATEGORIZER_MODEL_HISTOGRAM_H

#include <stdint.h>

#define NX_HISTOGRAM_BINS 2048u

struct nx_histogram {
    uint64_t counts[NX_HISTOGRAM_BINS];
    uint64_t n, nonfinite; /* finite values; the others */
    double width;          /* of a bin; 0 before the first value that is not 0 */
    float low, high;       /* of the finite values; 0 without one */
};

/* A histogram of zeros is empty. */
void nx_histogram_add(struct nx_histogram *h, const float *values, uint64_t n);

/* The end of the first bin up to which `percent` of all magnitudes lie, at most the largest one; 0 without values.
 * 0 < percent <= 100; 100 is the largest. */
float nx_histogram_percentile(const struct nx_histogram *h, double percent);

#endif
