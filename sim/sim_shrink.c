#include "sim_shrink.h"

#include "sim_seed.h"

#include <string.h>

struct shrinking {
    const struct sim_config *drawn;
    const char *rule;
    uint32_t runs_left;
    struct sim_edits *edits;
    struct sim_trace *trace;
};

static bool still_fails(struct shrinking *shrinking, const struct sim_edits *edits)
{
    struct sim_config config = *shrinking->drawn;
    struct sim_verdict verdict;
    if (shrinking->runs_left == 0)
        return false;
    shrinking->runs_left--;
    sim_edits_apply(edits, &config);
    bool twice = strcmp(shrinking->rule, "DET") == 0;
    return !(twice ? sim_seed_run_twice : sim_seed_run)(&config, shrinking->trace, &verdict) &&
           strcmp(verdict.rule, shrinking->rule) == 0;
}

/* Later edits of the same node's operations, or of the number of nodes, take the place of earlier ones. */
static void put(struct sim_edits *edits, struct sim_edit edit)
{
    for (uint32_t i = 0; i < edits->count; i++) {
        struct sim_edit *old = &edits->list[i];
        if (old->what == edit.what && (edit.what == 'n' || old->index == edit.index)) {
            *old = edit;
            return;
        }
    }
    if (edits->count < SIM_EDITS_MAX)
        edits->list[edits->count++] = edit;
}

static bool try(struct shrinking *shrinking, char what, uint32_t index, uint32_t value)
{
    struct sim_edits more = *shrinking->edits;
    put(&more, (struct sim_edit){what, index, value});
    if (!still_fails(shrinking, &more))
        return false;
    *shrinking->edits = more;
    return true;
}

static bool has(const struct sim_edits *edits, char what, uint32_t index)
{
    for (uint32_t i = 0; i < edits->count; i++)
        if (edits->list[i].what == what && edits->list[i].index == index)
            return true;
    return false;
}

static bool drop_faults(struct shrinking *shrinking)
{
    bool smaller = false;
    for (uint32_t f = 0; f < shrinking->drawn->faults_count; f++)
        if (!has(shrinking->edits, 'f', f))
            smaller |= try(shrinking, 'f', f, 0);
    return smaller;
}

static bool drop_nodes(struct shrinking *shrinking, const struct sim_config *now)
{
    for (uint32_t nodes = 1; nodes < now->nodes; nodes++)
        if (try(shrinking, 'n', nodes, 0))
            return true;
    return false;
}

/* None at all, else half of what is left. */
static bool drop_operations(struct shrinking *shrinking, const struct sim_config *now)
{
    bool smaller = false;
    for (uint32_t n = 0; n < now->nodes; n++) {
        uint32_t ops = now->loads[n].ops;
        if (ops > 0)
            smaller |= try(shrinking, 'o', n, 0) || (ops > 1 && try(shrinking, 'o', n, ops / 2));
    }
    return smaller;
}

static bool drop_disorder(struct shrinking *shrinking)
{
    bool smaller = false;
    for (const char *what = "bqtd"; *what; what++)
        if (!has(shrinking->edits, *what, 0))
            smaller |= try(shrinking, *what, 0, 0);
    return smaller;
}

uint32_t sim_shrink(const struct sim_config *drawn, const char *rule, uint32_t runs,
                    struct sim_edits *edits, struct sim_trace *trace)
{
    struct shrinking shrinking = {drawn, rule, runs, edits, trace};
    bool smaller = true;
    while (smaller && shrinking.runs_left > 0) {
        struct sim_config now = *drawn;
        sim_edits_apply(edits, &now);
        smaller = drop_nodes(&shrinking, &now);
        smaller |= drop_faults(&shrinking);
        smaller |= drop_disorder(&shrinking);
        now = *drawn;
        sim_edits_apply(edits, &now);
        smaller |= drop_operations(&shrinking, &now);
    }
    return runs - shrinking.runs_left;
}
