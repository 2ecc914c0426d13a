/* load_hist.h — a histogram of latencies whose memory does not grow with their number.
 *
 *   value v lies in the bucket [low, high] with high - low <= v / 128:   |reported - v| <= 0.8 %
 *
 * Values below 256 ns have a bucket each; above, each power of two is cut into 128 equal ones. A quantile is the upper
 * end of the bucket that holds it, and never above the largest value added.
 * Units   nanoseconds, 0 to LOAD_HIST_MAX; what is larger counts as LOAD_HIST_MAX.
 * Owner   a plain value, zeroed before use. Thread  one at a time.
 * Source  the layout of Tene's HdrHistogram; the correction too. */
#ifndef NX_BENCH_LOAD_HIST_H
#define NX_BENCH_LOAD_HIST_H

#include "common/clock.h"

#include <stdint.h>

enum { LOAD_HIST_SUB_BITS = 7, LOAD_HIST_TOP_BITS = 42 };
enum { LOAD_HIST_BUCKETS = (LOAD_HIST_TOP_BITS - LOAD_HIST_SUB_BITS + 1) << LOAD_HIST_SUB_BITS };

#define LOAD_HIST_MAX ((INT64_C(1) << LOAD_HIST_TOP_BITS) - 1) /* 73 minutes */

struct load_hist {
    uint64_t counts[LOAD_HIST_BUCKETS];
    uint64_t total;
    nx_ns max;
    double sum;
};

void load_hist_add(struct load_hist *hist, nx_ns value, uint64_t times);
void load_hist_merge(struct load_hist *hist, const struct load_hist *other);

/* The smallest value that at least q (0 to 1) of all are not above; 0 if there is none. */
nx_ns load_hist_quantile(const struct load_hist *hist, double q);
double load_hist_mean(const struct load_hist *hist); /* 0 if empty */

/* What a closed loop has left out: a client that waited v asked nothing meanwhile. Had it gone on every `interval`,
 * it would have seen v, v - interval, v - 2 interval, … down to interval; these are added to `corrected`, which is
 * zeroed first. interval > 0. */
void load_hist_correct(const struct load_hist *hist, nx_ns interval, struct load_hist *corrected);

#endif
