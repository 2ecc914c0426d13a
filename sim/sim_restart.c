/* How a group begins when it keeps something on disks, as the shell does it: each node that
 * comes reads its disk and says what it has; from then on those who have come may perhaps begin
 * (dur_restart.h), and do once the view is in all of their notes. Anybody may die while it
 * writes its note; then the others start over. */
#include "sim_keep.h"

#include "common/nx_assert.h"
#include "group/core/mutants.h"

#include <string.h>

enum { STEPS_MAX = 100000, FAILURES_MAX = 3 };

struct meeting {
    struct sim_shelf *shelf;
    struct sim_config *life;
    uint32_t failures;
    uint32_t count;
    struct sim_keeper *here[SIM_NODES_MAX]; /* by node id: as the view seats them */
    struct nx_dur_offer offers[SIM_NODES_MAX];
    struct nx_dur_restart restart;
};

/* Somebody who is away and can be read. False: there is nobody. */
static bool let_one_come(struct sim_shelf *shelf)
{
    unsigned first = (unsigned)nx_prng_below(&shelf->prng, shelf->count);
    for (unsigned i = 0; i < shelf->count; i++) {
        struct sim_keeper *k = &shelf->keepers[(first + i) % shelf->count];
        if (!k->up && !k->broken && sim_keeper_open(k))
            return true;
    }
    return false;
}

static void decide(struct meeting *m)
{
    bool minority = (m->life->core.mutants & NX_MUTANT_MINORITY_RESTARTS) != 0;
    m->count = 0;
    for (unsigned n = 0; n < m->shelf->count; n++)
        if (m->shelf->keepers[n].up) {
            m->here[m->count] = &m->shelf->keepers[n];
            m->offers[m->count++] = *nx_durable_offer(m->shelf->keepers[n].disk.durable);
        }
    m->restart = (struct nx_dur_restart){0};
    nx_dur_restart_decide(m->offers, m->count, nx_dur_persistent(&m->life->core.spec),
                          minority ? NX_DUR_MUTANT_MINORITY : 0, &m->restart);
}

/* A new group waits for all; an old one, for a while, for those who are worth it. */
static bool may_begin(struct meeting *m, bool all)
{
    if (m->count == 0 || m->restart.verdict == NX_DUR_WAIT)
        return false;
    if (m->restart.verdict == NX_DUR_NEW || m->shelf->life == 0)
        return all;
    return all || m->restart.complete || nx_prng_chance(&m->shelf->prng, 1, 2);
}

static void make_view(struct meeting *m)
{
    struct nx_view *view = &m->life->view;
    *view = (struct nx_view){.members_count = m->count};
    view->group_id[0] = m->life->seed + 1;
    for (uint32_t i = 0; i < m->count; i++) {
        view->members[i].node = m->here[i]->id;
        view->members[i].subgroup = m->here[i]->subgroup;
    }
    nx_dur_restart_view(&m->restart, &m->life->core.spec, (uint32_t)nx_prng_u64(&m->shelf->prng),
                        view);
}

static void kill_some(struct meeting *m)
{
    struct nx_prng *prng = &m->shelf->prng;
    for (uint32_t i = 0; i < m->count; i++)
        if (nx_prng_chance(prng, 1, 2))
            sim_keeper_close(m->here[i], false, nx_prng_chance(prng, 1, 2));
}

static bool all_prepared(struct meeting *m)
{
    bool all = true;
    for (uint32_t i = 0; i < m->count; i++)
        all &= nx_durable_prepared(m->here[i]->disk.durable);
    return all;
}

/* False: some died meanwhile, or cannot note it. */
static bool prepare(struct meeting *m)
{
    struct nx_prng *prng = &m->shelf->prng;
    struct nx_err err;
    bool fails = m->failures < FAILURES_MAX && nx_prng_chance(prng, 1, 4);
    uint64_t steps = fails ? nx_prng_below(prng, 6) : STEPS_MAX;
    for (uint32_t i = 0; i < m->count; i++)
        if (nx_durable_prepare(m->here[i]->disk.durable, &m->life->view, &err) != NX_OK) {
            sim_keeper_give_up(m->here[i], false, err.status);
            return false;
        }
    for (uint64_t step = 0; step < steps && (fails || !all_prepared(m)); step++)
        for (uint32_t i = 0; i < m->count; i++)
            sim_keeper_advance(m->here[i], nx_prng_between(prng, 1000, 10000));
    if (fails)
        kill_some(m);
    m->failures += fails;
    return !fails && all_prepared(m);
}

static void seat(struct meeting *m)
{
    m->life->nodes = m->count;
    for (uint32_t i = 0; i < m->count; i++) {
        struct sim_record record = {
            .kind = SIM_COMES, .node = (uint8_t)i, .peer = (uint8_t)i, .id = m->here[i]->id};
        sim_trace_add(m->here[i]->trace, &record);
        m->here[i]->life = m->shelf->life;
        sim_keeper_begin(m->here[i]);
    }
    for (unsigned n = 0; n < m->shelf->count; n++)
        m->shelf->keepers[n].broken = false; /* it may do the next time */
}

bool sim_restart(struct sim_shelf *shelf, struct sim_config *life)
{
    struct meeting m = {.shelf = shelf, .life = life};
    for (;;) {
        bool all = !let_one_come(shelf);
        decide(&m);
        if (may_begin(&m, all)) {
            make_view(&m);
            if (prepare(&m)) {
                seat(&m);
                return true;
            }
        } else if (all) {
            struct sim_record record = {.kind = SIM_HALT, .total = m.count};
            sim_trace_add(shelf->keepers[0].trace, &record);
            return false;
        }
    }
}
