#include "categorizer/profile.h"

#include "common/nx_assert.h"

#include <math.h>
#include <stdbool.h>

/* Photos per second this close to the most are as good: the smaller batch answers sooner. */
static const double GOOD_ENOUGH = 0.97;

static double row_us(const struct nx_profile_row *row, double stds)
{
    return row->mean_us + stds * row->std_us;
}

/* In ns, with `stds` of the rows' standard deviations on top. A row below one before it is measurement noise: a larger
 * batch takes no less. */
static nx_ns time_of(const struct nx_profile *p, uint32_t batch, double stds)
{
    nx_assert(p->rows_count >= 1 && batch >= 1);
    const struct nx_profile_row *rows = p->rows;
    if (p->rows_count == 1)
        return (nx_ns)(row_us(rows, stds) * batch / rows->batch * NX_US);
    double most = row_us(rows, stds);
    uint32_t i = 1;
    for (; i + 1 < p->rows_count && rows[i].batch < batch; i++)
        most = fmax(most, row_us(&rows[i], stds));
    double from = row_us(&rows[i - 1], stds), to = row_us(&rows[i], stds);
    double per_photo = (to - from) / (rows[i].batch - rows[i - 1].batch);
    double between = from + per_photo * ((double)batch - rows[i - 1].batch);
    if (batch <= rows[i].batch) /* rounding does not carry it past the row */
        between = batch == rows[i].batch ? to : fmin(between, fmax(from, to));
    return (nx_ns)(fmax(most, between) * NX_US);
}

nx_ns nx_profile_latency(const struct nx_profile *p, uint32_t batch)
{
    return time_of(p, batch, 1);
}

nx_ns nx_profile_mean(const struct nx_profile *p, uint32_t batch)
{
    return time_of(p, batch, 0);
}

uint32_t nx_profile_best(const struct nx_profile *p)
{
    double most = 0;
    for (uint32_t i = 0; i < p->rows_count; i++)
        most = fmax(most, p->rows[i].batch / p->rows[i].mean_us);
    for (uint32_t i = 0; i < p->rows_count; i++)
        if (p->rows[i].batch / p->rows[i].mean_us >= GOOD_ENOUGH * most)
            return p->rows[i].batch;
    return 1;
}

static enum nx_status time_once(nx_profile_run *run, void *ctx, uint32_t batch, double *us,
                                struct nx_err *err)
{
    nx_ns start = nx_clock_now();
    NX_TRY(run(ctx, batch, err));
    *us = (double)(nx_clock_now() - start) / NX_US;
    if (*us < 0.001)
        *us = 0.001; /* a mean is never 0 */
    return NX_OK;
}

struct samples {
    double sum, squares, slowest;
    uint32_t count;
};

static void add_sample(struct samples *s, double us)
{
    s->sum += us;
    s->squares += us * us;
    s->slowest = us > s->slowest ? us : s->slowest;
    s->count++;
}

/* The slowest of five or more is left out: somebody else had the machine. */
static void sum_up(const struct samples *s, struct nx_profile_row *row)
{
    double n = s->count, sum = s->sum, squares = s->squares;
    if (s->count >= 5) {
        n--;
        sum -= s->slowest;
        squares -= s->slowest * s->slowest;
    }
    double mean = sum / n, variance = squares / n - mean * mean;
    row->mean_us = mean;
    row->std_us = variance > 0 ? sqrt(variance) : 0;
    row->repeats = s->count;
}

/* One size: once to warm, then measured until the repeats or the time are used up. */
static enum nx_status measure_row(const struct nx_profile_plan *plan, nx_profile_run *run,
                                  void *ctx, nx_ns until, struct nx_profile_row *row,
                                  struct nx_err *err)
{
    double us;
    struct samples s = {0};
    NX_TRY(time_once(run, ctx, row->batch, &us, err));
    while (s.count < plan->repeats && (s.count == 0 || nx_clock_now() < until)) {
        NX_TRY(time_once(run, ctx, row->batch, &us, err));
        add_sample(&s, us);
    }
    sum_up(&s, row);
    row->memory_bytes = plan->memory_bytes;
    return NX_OK;
}

enum nx_status nx_profile_measure(const struct nx_profile_plan *plan, nx_profile_run *run,
                                  void *ctx, struct nx_profile *profile, struct nx_err *err)
{
    nx_assert(plan->batch_max >= 1 && plan->batch_max <= NX_PROFILE_BATCH_MAX && plan->repeats);
    struct nx_profile p = {0};
    nx_ns until = nx_clock_now() + plan->time_max_ns;
    for (uint32_t batch = 1;; batch = 2 * batch < plan->batch_max ? 2 * batch : plan->batch_max) {
        struct nx_profile_row *row = &p.rows[p.rows_count++];
        row->batch = batch;
        NX_TRY(measure_row(plan, run, ctx, until, row, err));
        double next_us = 2 * row->mean_us * (1 + plan->repeats);
        bool more = batch < plan->batch_max;
        if (!more || nx_clock_now() + (nx_ns)(next_us * NX_US) > until)
            break;
    }
    *profile = p;
    return NX_OK;
}
