#include "common/prng.h"
#include "group/multicast/mc_window.h"
#include "nx_test.h"

#include <string.h>

enum { RING = 256 };

static _Alignas(64) uint8_t ring[RING];

static void start(struct nx_window *window, struct nx_intake *intake)
{
    memset(ring, 0, sizeof ring);
    nx_window_init(window, ring, RING);
    nx_intake_init(intake, ring, RING);
}

static bool append(struct nx_window *window, uint32_t len, uint8_t fill)
{
    struct nx_record record = {.len = len, .kind = NX_REC_MESSAGE, .tag = fill};
    uint8_t *payload = nx_window_append(window, &record);
    if (payload)
        memset(payload, fill, len);
    return payload != NULL;
}

/* Every length at every position of the ring comes out as it went in, through thousands of wraps.
 */
static void records_survive_the_wrap_at_every_position(void **state)
{
    (void)state;
    struct nx_window window;
    struct nx_intake intake;
    start(&window, &intake);
    struct nx_prng prng;
    nx_prng_init(&prng, 1);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t len = (uint32_t)nx_prng_below(&prng, RING / 4 - 8);
        uint8_t fill = (uint8_t)i;
        assert_true(append(&window, len, fill));
        assert_true(nx_intake_extend(&intake, window.head));
        struct nx_record record;
        const uint8_t *payload;
        assert_int_equal(nx_intake_next(&intake, &record, &payload), NX_INTAKE_RECORD);
        assert_int_equal(record.len, len);
        assert_int_equal(record.tag, fill);
        for (uint32_t b = 0; b < len; b++)
            assert_int_equal(payload[b], fill);
        assert_true(payload >= ring && payload + len <= ring + RING);
        assert_int_equal(nx_intake_next(&intake, &record, &payload), NX_INTAKE_EMPTY);
        window.freed = intake.read;
    }
}

static void a_full_window_takes_nothing_and_changes_nothing(void **state)
{
    (void)state;
    struct nx_window window;
    struct nx_intake intake;
    start(&window, &intake);
    unsigned count = 0;
    while (append(&window, 24, 1))
        count++;
    assert_int_equal(count, RING / 32);
    assert_int_equal(window.head, RING);
    assert_int_equal(nx_window_room(&window, 0), 0);
    assert_false(append(&window, 0, 2));
    window.freed = 8;
    assert_true(append(&window, 0, 2));
    assert_false(append(&window, 0, 3));
}

/* `room` is exactly what append takes, wherever head and freed stand. */
static void room_is_what_append_takes(void **state)
{
    (void)state;
    for (uint64_t freed = 0; freed < RING; freed += 8)
        for (uint64_t used = 0; used <= RING; used += 8)
            for (uint64_t spare = 0; spare <= RING / 4; spare += RING / 4) {
                struct nx_window window;
                nx_window_init(&window, ring, RING);
                window.freed = freed;
                window.head = freed + used;
                uint64_t room = nx_window_room(&window, spare);
                if (room == 0)
                    continue;
                struct nx_window copy = window;
                assert_true(append(&copy, (uint32_t)room, 1));
                assert_true(copy.head - copy.freed + spare <= RING);
                copy = window;
                assert_true(spare > 0 || !append(&copy, (uint32_t)room + 1, 1));
            }
}

static void a_claim_beyond_the_window_is_refused(void **state)
{
    (void)state;
    struct nx_window window;
    struct nx_intake intake;
    start(&window, &intake);
    assert_false(nx_intake_extend(&intake, RING + 8));
    assert_false(nx_intake_extend(&intake, 12));
    assert_false(nx_intake_extend(&intake, UINT64_MAX));
    assert_true(nx_intake_extend(&intake, RING));
    assert_false(nx_intake_extend(&intake, RING - 8));
}

static enum nx_intake_got take(struct nx_record record, uint64_t sent)
{
    struct nx_window window;
    struct nx_intake intake;
    start(&window, &intake);
    memcpy(ring, &record, sizeof record);
    assert_true(nx_intake_extend(&intake, sent));
    const uint8_t *payload;
    return nx_intake_next(&intake, &record, &payload);
}

static void malformed_records_are_refused(void **state)
{
    (void)state;
    struct nx_record good = {.len = 8, .kind = NX_REC_MESSAGE};
    assert_int_equal(take(good, 16), NX_INTAKE_RECORD);
    assert_int_equal(take(good, 8), NX_INTAKE_CORRUPT); /* its payload has not come */
    assert_int_equal(take((struct nx_record){.len = UINT32_MAX, .kind = NX_REC_MESSAGE}, RING),
                     NX_INTAKE_CORRUPT);
    assert_int_equal(take((struct nx_record){.len = RING, .kind = NX_REC_MESSAGE}, RING),
                     NX_INTAKE_CORRUPT);
    assert_int_equal(take((struct nx_record){.len = 0, .kind = 0}, 8), NX_INTAKE_CORRUPT);
    assert_int_equal(take((struct nx_record){.len = 0, .kind = 200}, 8), NX_INTAKE_CORRUPT);
    /* A pad that does not end at the ring's end. */
    assert_int_equal(take((struct nx_record){.len = 8, .kind = NX_REC_PAD}, 16), NX_INTAKE_CORRUPT);
    /* A run of nulls has no payload, whatever its length. */
    assert_int_equal(take((struct nx_record){.len = 1000000, .kind = NX_REC_NULLS}, 8),
                     NX_INTAKE_RECORD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive_the_wrap_at_every_position),
        cmocka_unit_test(a_full_window_takes_nothing_and_changes_nothing),
        cmocka_unit_test(room_is_what_append_takes),
        cmocka_unit_test(a_claim_beyond_the_window_is_refused),
        cmocka_unit_test(malformed_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
