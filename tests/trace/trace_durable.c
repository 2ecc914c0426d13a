/* What is acknowledged as durable, word by word: the note, the certain view, the places; past, now and of another view. */
#include "nx_test.h"
#include "nx_wire.h"

static struct nx_core_config kept(void)
{
    struct nx_core_config config = wire_config();
    config.spec.subgroups[0].persistent = true;
    return config;
}

static enum nx_status say(struct wire *wire, unsigned node, nx_vid vid, enum nx_note_state note,
                          uint64_t places)
{
    return wire_ask(
               wire, node,
               (struct nx_event){.type = NX_EV_DURABLE, .vid = vid, .note = note, .places = places})
        ->status;
}

static void durable_is_what_all_keep(void **state)
{
    (void)state;
    struct nx_core_config config = kept();
    struct wire *wire = wire_open(&config, NULL, 2);
    assert_int_equal(wire_send(wire, 0, "a"), NX_OK);
    wire_run(wire);
    say(wire, 0, 1, NX_NOTE_CERTAIN, 2);
    wire_run(wire);
    assert_int_equal(nx_core_durable(wire->cores[0], 0), NX_SEQ_NONE);
    say(wire, 1, 1, NX_NOTE_CERTAIN, 1);
    wire_run(wire);
    for (unsigned n = 0; n < 2; n++)
        assert_int_equal(nx_core_durable(wire->cores[n], 0), 0);
    say(wire, 1, 1, NX_NOTE_CERTAIN, 2);
    wire_run(wire);
    for (unsigned n = 0; n < 2; n++)
        assert_int_equal(nx_core_durable(wire->cores[n], 0), 1);
    wire_close(wire);
}

/* Delivery does not wait for any of it (P6). */
static void nothing_counts_before_the_view_is_certain(void **state)
{
    (void)state;
    struct nx_core_config config = kept();
    struct wire *wire = wire_open(&config, NULL, 3);
    bool written, certain;
    assert_int_equal(wire_send(wire, 0, "a"), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[30] n2 > delivered 0 from n0 'a'\n"
                                  "[40] n0 > delivered 0 from n0 'a'\n"
                                  "[50] n1 > delivered 0 from n0 'a'\n"));
    for (unsigned n = 0; n < 3; n++)
        say(wire, n, 1, n == 2 ? NX_NOTE_NONE : NX_NOTE_WRITTEN, 3);
    wire_run(wire);
    nx_core_notes(wire->cores[0], &written, &certain);
    assert_false(written || certain);
    say(wire, 2, 1, NX_NOTE_WRITTEN, 3);
    say(wire, 1, 1, NX_NOTE_CERTAIN, 3);
    wire_run(wire);
    nx_core_notes(wire->cores[0], &written, &certain);
    assert_true(written && certain);
    assert_int_equal(nx_core_durable(wire->cores[1], 0), NX_SEQ_NONE);
    say(wire, 0, 1, NX_NOTE_CERTAIN, 3);
    say(wire, 2, 1, NX_NOTE_CERTAIN, 3);
    wire_run(wire);
    assert_int_equal(nx_core_durable(wire->cores[1], 0), 2);
    wire_close(wire);
}

/* What was acknowledged stays so in the next view, whose own messages wait for its own words. */
static void a_new_view_begins_without_a_word(void **state)
{
    (void)state;
    struct nx_core_config config = kept();
    struct wire *wire = wire_open(&config, NULL, 3);
    assert_int_equal(wire_send(wire, 0, "a"), NX_OK);
    wire_run(wire);
    for (unsigned n = 0; n < 3; n++)
        say(wire, n, 1, NX_NOTE_CERTAIN, 3);
    wire_run(wire);
    wire_kill(wire, 2);
    wire_run(wire);
    assert_int_equal(nx_core_view(wire->cores[0])->vid, 2);
    assert_int_equal(say(wire, 0, 1, NX_NOTE_CERTAIN, 3), NX_AGAIN);
    assert_int_equal(nx_core_durable(wire->cores[0], 0), 2);
    assert_int_equal(wire_send(wire, 0, "b"), NX_OK);
    wire_run(wire);
    uint64_t base = nx_core_view(wire->cores[0])->base[0][0];
    say(wire, 0, 2, NX_NOTE_CERTAIN, base + 1);
    wire_run(wire);
    assert_int_equal(nx_core_durable(wire->cores[0], 0), 2);
    say(wire, 1, 2, NX_NOTE_CERTAIN, base + 1);
    wire_run(wire);
    assert_int_equal(nx_core_durable(wire->cores[0], 0), base);
    wire_close(wire);
}

static void let_in(struct wire *wire, unsigned seat, nx_node node)
{
    wire_come(wire, seat, node);
    for (unsigned n = 0; n < seat; n++)
        assert_int_equal(wire_admit(wire, n, 0, seat), NX_OK);
    assert_int_equal(wire_join(wire, 0, NX_RANK_BIT(seat)), NX_OK);
    wire_run(wire);
    wire_welcome(wire, 0, seat);
    wire_run(wire);
}

/* The one that had the state dies with a message that the others skip: no log holds it. */
static void who_lack_the_state_acknowledge_nothing(void **state)
{
    (void)state;
    struct nx_core_config config = kept();
    struct wire *wire = wire_open(&config, NULL, 1);
    let_in(wire, 1, 77);
    let_in(wire, 2, 78);
    assert_int_equal(wire_send(wire, 0, "a"), NX_OK);
    wire_run(wire);
    wire_kill(wire, 0);
    wire_run(wire);
    const struct nx_view *view = nx_core_view(wire->cores[1]);
    assert_int_equal(view->stateless, 6);
    assert_true(view->base[0][0] > 0);
    for (unsigned n = 1; n < 3; n++)
        say(wire, n, view->vid, NX_NOTE_CERTAIN, 0);
    wire_run(wire);
    for (unsigned n = 1; n < 3; n++)
        assert_int_equal(nx_core_durable(wire->cores[n], 0), NX_SEQ_NONE);
    wire_close(wire);
}

static void a_subgroup_without_logs_says_nothing(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    say(wire, 0, 1, NX_NOTE_CERTAIN, 2);
    say(wire, 1, 1, NX_NOTE_CERTAIN, 2);
    wire_run(wire);
    assert_int_equal(nx_core_durable(wire->cores[0], 0), NX_SEQ_NONE);
    wire_close(wire);
}

static void who_keeps_what_was_not_sent_is_not_believed(void **state)
{
    (void)state;
    struct nx_core_config config = kept();
    struct wire *wire = wire_open(&config, NULL, 3);
    say(wire, 2, 1, NX_NOTE_CERTAIN, 9);
    wire_run(wire);
    assert_false(nx_core_alive(wire->cores[0]) & NX_RANK_BIT(2));
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_is_what_all_keep),
        cmocka_unit_test(nothing_counts_before_the_view_is_certain),
        cmocka_unit_test(a_new_view_begins_without_a_word),
        cmocka_unit_test(who_lack_the_state_acknowledge_nothing),
        cmocka_unit_test(a_subgroup_without_logs_says_nothing),
        cmocka_unit_test(who_keeps_what_was_not_sent_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
