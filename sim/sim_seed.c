#include "sim_seed.h"

#include <setjmp.h>
#include <signal.h>

static sigjmp_buf aborted;

static void on_abort(int signal)
{
    (void)signal;
    siglongjmp(aborted, 1);
}

static bool run_once(const struct sim_config *config, struct sim_trace *trace,
                     struct sim_verdict *verdict)
{
    struct nx_err err;
    if (sigsetjmp(aborted, 1))
        return sim_find(verdict, "A0", trace->count,
                        "an invariant of the core is broken, see above");
    if (sim_run(config, trace, &err) != NX_OK)
        return sim_find(verdict, "A1", 0, "the core refuses its configuration: %s", err.text);
    return true;
}

bool sim_seed_run(const struct sim_config *config, struct sim_trace *trace,
                  struct sim_verdict *verdict)
{
    *verdict = (struct sim_verdict){0};
    signal(SIGABRT, on_abort);
    return run_once(config, trace, verdict) && sim_check(trace, &config->limits, verdict);
}

bool sim_seed_run_twice(const struct sim_config *config, struct sim_trace *trace,
                        struct sim_verdict *verdict)
{
    bool ok = sim_seed_run(config, trace, verdict);
    uint64_t hash = trace->hash;
    struct sim_verdict again;
    if (sim_seed_run(config, trace, &again) == ok && trace->hash == hash)
        return ok;
    return sim_find(verdict, "DET", trace->count, "two runs of this seed differ");
}
