#include "categorizer/graph/plan.h"
#include "common/prng.h"
#include "nx_test.h"

enum { SLOTS_MAX = 60, STEPS = 30, ALIGN = 64 };

static struct nx_slot slots[SLOTS_MAX];

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* No plan can do with less than what is alive at one step. */
static uint64_t least_bytes(uint32_t n)
{
    uint64_t most = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t alive = 0;
        for (uint32_t i = 0; i < n; i++)
            if (slots[i].first <= step && step <= slots[i].last)
                alive += rounded(slots[i].bytes);
        most = alive > most ? alive : most;
    }
    return most;
}

static void check_apart(uint32_t n, uint64_t arena_bytes)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct nx_slot *a = &slots[i];
        assert_int_equal(a->offset % ALIGN, 0);
        assert_true(a->offset + a->bytes <= arena_bytes);
        for (uint32_t k = 0; k < i; k++) {
            const struct nx_slot *b = &slots[k];
            bool same_time = a->first <= b->last && b->first <= a->last;
            bool apart = a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
            assert_true(!same_time || apart || !a->bytes || !b->bytes);
        }
    }
}

static void random_slots_never_meet(void **state)
{
    (void)state;
    uint64_t planned = 0, least = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct nx_prng prng;
        struct nx_arena scratch;
        uint64_t bytes;
        nx_prng_init(&prng, seed);
        nx_arena_init(&scratch, 1 << 20);
        uint32_t n = (uint32_t)nx_prng_below(&prng, SLOTS_MAX + 1);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t first = (uint32_t)nx_prng_below(&prng, STEPS);
            uint32_t last = first + (uint32_t)nx_prng_below(&prng, STEPS - first);
            slots[i] = (struct nx_slot){first, last, nx_prng_below(&prng, 5000), 0};
        }
        assert_int_equal(nx_plan_pack(&scratch, slots, n, ALIGN, &bytes, NULL), NX_OK);
        check_apart(n, bytes);
        assert_true(bytes >= least_bytes(n));
        planned += bytes;
        least += least_bytes(n);
        nx_arena_free(&scratch);
    }
    assert_true(planned < least + least / 5); /* on the whole within 20 % of what must be */
}

static void a_chain_needs_two_slots(void **state)
{
    (void)state;
    struct nx_arena scratch;
    uint64_t bytes;
    for (uint32_t i = 0; i < STEPS; i++)
        slots[i] = (struct nx_slot){i, i + 1, 640, 0};
    nx_arena_init(&scratch, 1 << 20);
    assert_int_equal(nx_plan_pack(&scratch, slots, STEPS, ALIGN, &bytes, NULL), NX_OK);
    assert_int_equal(bytes, 1280);
    nx_arena_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_slots_never_meet),
        cmocka_unit_test(a_chain_needs_two_slots),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
