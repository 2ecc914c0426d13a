#include "bench/load/load_hist.h"

#include <string.h>

enum { SUB = 1 << LOAD_HIST_SUB_BITS };

static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * SUB)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - LOAD_HIST_SUB_BITS;
    return shift * SUB + (unsigned)(value >> shift);
}

static nx_ns upper_end(unsigned bucket)
{
    if (bucket < 2 * SUB)
        return bucket;
    unsigned shift = bucket / SUB - 1;
    return (nx_ns)(((uint64_t)(bucket - shift * SUB) + 1) << shift) - 1;
}

void load_hist_add(struct load_hist *hist, nx_ns value, uint64_t times)
{
    if (value < 0)
        value = 0;
    if (value > LOAD_HIST_MAX)
        value = LOAD_HIST_MAX;
    hist->counts[bucket_of((uint64_t)value)] += times;
    hist->total += times;
    hist->sum += (double)value * (double)times;
    if (times > 0 && value > hist->max)
        hist->max = value;
}

void load_hist_merge(struct load_hist *hist, const struct load_hist *other)
{
    for (unsigned i = 0; i < LOAD_HIST_BUCKETS; i++)
        hist->counts[i] += other->counts[i];
    hist->total += other->total;
    hist->sum += other->sum;
    if (other->max > hist->max)
        hist->max = other->max;
}

nx_ns load_hist_quantile(const struct load_hist *hist, double q)
{
    double rank = q * (double)hist->total;
    uint64_t seen = 0;
    for (unsigned i = 0; i < LOAD_HIST_BUCKETS; i++) {
        seen += hist->counts[i];
        if (hist->counts[i] > 0 && (double)seen >= rank)
            return upper_end(i) < hist->max ? upper_end(i) : hist->max;
    }
    return hist->max;
}

double load_hist_mean(const struct load_hist *hist)
{
    return hist->total ? hist->sum / (double)hist->total : 0;
}

void load_hist_correct(const struct load_hist *hist, nx_ns interval, struct load_hist *corrected)
{
    memset(corrected, 0, sizeof *corrected);
    for (unsigned i = 0; i < LOAD_HIST_BUCKETS; i++) {
        nx_ns value = upper_end(i) < hist->max ? upper_end(i) : hist->max;
        if (hist->counts[i] == 0)
            continue;
        load_hist_add(corrected, value, hist->counts[i]);
        for (nx_ns left = value - interval; left >= interval; left -= interval)
            load_hist_add(corrected, left, hist->counts[i]);
    }
}
