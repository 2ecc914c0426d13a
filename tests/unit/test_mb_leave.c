#include "common/prng.h"
#include "group/membership/mb_leave.h"
#include "nx_test.h"

#include <string.h>

/* 0 and 1 have the state, 2 and 3 lack it; 4 is of another shard. */
static struct nx_leave_facts facts(void)
{
    return (struct nx_leave_facts){
        .self = 0, .shard = 15, .alive = 31, .with_state = 19, .parting = 1, .aware = 2};
}

static void the_last_that_has_the_state_waits_for_who_lacks_it(void **state)
{
    (void)state;
    struct nx_leave_facts f = facts();
    assert_int_equal(nx_leave_awaits(&f), 0); /* 1 has it */
    f.with_state = 17;
    assert_int_equal(nx_leave_awaits(&f), 14);
    /* 2 has got it, and does not know yet that we go: it may want to go as well */
    f.with_state = 21;
    assert_int_equal(nx_leave_awaits(&f), 10);
    f.aware |= 4;
    assert_int_equal(nx_leave_awaits(&f), 0);
    f.with_state = 31;
    f.aware = 0;
    assert_int_equal(nx_leave_awaits(&f), 0);
}

static void who_is_dead_or_leaves_itself_is_no_heir_and_needs_nothing(void **state)
{
    (void)state;
    struct nx_leave_facts f = facts();
    f.alive = 29;
    assert_int_equal(nx_leave_awaits(&f), 12);
    f.alive = 21;
    assert_int_equal(nx_leave_awaits(&f), 4);
    f.parting |= 4;
    assert_int_equal(nx_leave_awaits(&f), 0);
    f = facts();
    f.parting |= 2;
    assert_int_equal(nx_leave_awaits(&f), 12);
}

static void who_has_nothing_to_give_waits_for_nobody(void **state)
{
    (void)state;
    struct nx_leave_facts f = facts();
    f.self = 2;
    f.aware = 0;
    assert_int_equal(nx_leave_awaits(&f), 0);
    f = facts();
    f.shard = 0; /* a spare */
    f.aware = 0;
    assert_int_equal(nx_leave_awaits(&f), 0);
}

/* --- whatever is read when, somebody keeps the state ------------------------------------------ */

enum { MEMBERS_MAX = 5, STEPS = 60, WALKS = 40000 };

struct member {
    nx_rankset alive, with_state, parting, aware; /* as it knows */
    bool gone, got;                               /* it announced its leave; it has the state */
};

struct walk {
    struct nx_prng prng;
    unsigned members;
    struct member member[MEMBERS_MAX];
    bool trusting; /* relies on heirs that do not know */
};

static void read_row(struct member *self, unsigned rank, const struct member *peer, unsigned of)
{
    self->parting |= peer->parting;
    self->aware |= peer->parting & NX_RANK_BIT(rank) ? NX_RANK_BIT(of) : 0;
    self->with_state |= peer->got ? NX_RANK_BIT(of) : 0;
    self->alive &= peer->gone ? ~NX_RANK_BIT(of) : ~(nx_rankset)0;
}

static void step(struct walk *w)
{
    unsigned rank = (unsigned)nx_prng_below(&w->prng, w->members);
    unsigned other = (unsigned)nx_prng_below(&w->prng, w->members);
    struct member *self = &w->member[rank];
    nx_rankset all = NX_RANK_BIT(w->members) - 1, bit = NX_RANK_BIT(rank);
    if (self->gone)
        return;
    if (other != rank)
        read_row(self, rank, &w->member[other], other);
    if (nx_prng_chance(&w->prng, 1, 8))
        self->parting |= bit;
    if (!self->got && nx_prng_chance(&w->prng, 1, 40)) {
        self->got = true;
        self->with_state |= bit;
    }
    struct nx_leave_facts f = {.self = (nx_rank)rank,
                               .shard = all,
                               .alive = self->alive,
                               .with_state = self->with_state,
                               .parting = self->parting,
                               .aware = w->trusting ? all : self->aware};
    self->gone = (self->parting & bit) && nx_leave_awaits(&f) == 0;
}

/* Somebody wants to stay and lacks the state, and all who had it are gone. */
static bool is_lost(const struct walk *w)
{
    bool needed = false, held = false;
    for (unsigned n = 0; n < w->members; n++) {
        const struct member *m = &w->member[n];
        needed |= !m->got && !(m->parting & NX_RANK_BIT(n));
        held |= m->got && !m->gone;
    }
    return needed && !held;
}

static unsigned losses(bool trusting)
{
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < WALKS; seed++) {
        struct walk w = {.trusting = trusting};
        nx_prng_init(&w.prng, seed);
        w.members = 2 + (unsigned)nx_prng_below(&w.prng, MEMBERS_MAX - 1);
        nx_rankset all = NX_RANK_BIT(w.members) - 1;
        nx_rankset got = 1 | (nx_prng_below(&w.prng, UINT64_C(1) << w.members) & all);
        for (unsigned n = 0; n < w.members; n++)
            w.member[n] =
                (struct member){.alive = all, .with_state = got, .got = (got >> n & 1) != 0};
        for (unsigned i = 0; i < STEPS && !is_lost(&w); i++)
            step(&w);
        lost += is_lost(&w);
    }
    return lost;
}

static void of_several_that_go_at_once_one_stays(void **state)
{
    (void)state;
    assert_int_equal(losses(false), 0);
    assert_true(losses(true) > 0); /* the walks can show it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_that_has_the_state_waits_for_who_lacks_it),
        cmocka_unit_test(who_is_dead_or_leaves_itself_is_no_heir_and_needs_nothing),
        cmocka_unit_test(who_has_nothing_to_give_waits_for_nobody),
        cmocka_unit_test(of_several_that_go_at_once_one_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
