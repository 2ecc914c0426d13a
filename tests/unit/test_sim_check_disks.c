/* The judges of what disks keep (P1 to P6), each fed a trace that breaks its promise, and a good one beside it. */
#include "check_text.h"

/* A line with what a tier keeps after so many of the messages that ONE_LIFE delivers. */
static const char *with(const char *text, unsigned count)
{
    static char lines[16][160];
    static unsigned next;
    uint64_t state = SIM_HASH_EMPTY;
    for (unsigned i = 0; i < count; i++)
        state = sim_state_hash(state, i, 5, 0xa0 + i);
    char *line = lines[next++ % 16];
    snprintf(line, sizeof lines[0], "%s total=%u hash=%" PRIx64, text, count, state);
    return line;
}

/* A node alone: three messages, of which it knows one to be durable. */
#define ONE_LIFE                                                                              \
    "n0 comes id=a", "n0 view id=1 mask=1 hash=1", "n0 member mask=1 total=1",                \
        with("n0 begins id=1", 0), "n0 send len=5 hash=a0", "n0 send len=5 hash=a1",          \
        "n0 send len=5 hash=a2", "n0 deliver seq=0 len=5 hash=a0 mask=1", "n0 durable seq=0", \
        "n0 deliver seq=1 len=5 hash=a1 mask=1", "n0 deliver seq=2 len=5 hash=a2 mask=1",     \
        "n0 outage"
#define AGAIN "n0 comes id=a", "n0 view id=2 mask=1 hash=1", "n0 member mask=1 total=1"

static void p1_what_was_acknowledged_comes_back(void **state)
{
    (void)state;
    assert_rule("", ONE_LIFE, with("n0 offer id=a", 3), AGAIN, with("n0 begins id=1", 3), "n0 end");
    assert_rule("", ONE_LIFE, with("n0 offer id=a", 1), AGAIN, with("n0 begins id=1", 1), "n0 end");
    assert_rule("P1", ONE_LIFE, with("n0 offer id=a", 0), AGAIN, with("n0 begins id=1", 0),
                "n0 end");
    /* what was cut may come back, unless it stands against what was acknowledged since */
    assert_rule("", ONE_LIFE, AGAIN, with("n0 begins id=1", 1), "n0 outage", "n0 comes id=a",
                "n0 view id=3 mask=1 hash=1", "n0 member mask=1 total=1", with("n0 begins id=1", 3),
                "n0 end");
    assert_rule("P1", ONE_LIFE, AGAIN, with("n0 begins id=1", 1), "n0 send len=5 hash=b1",
                "n0 deliver seq=1 len=5 hash=b1 mask=1", "n0 durable seq=1", "n0 outage",
                "n0 comes id=a", "n0 view id=3 mask=1 hash=1", "n0 member mask=1 total=1",
                with("n0 begins id=1", 3), "n0 end");
}

static void p2_and_p3_logs_tell_what_was(void **state)
{
    (void)state;
    assert_rule("", ONE_LIFE, "n0 replay id=a seq=0 len=5 hash=a0",
                "n0 replay id=a seq=1 len=5 hash=a1");
    assert_rule("P2", ONE_LIFE, "n0 replay id=a seq=1 len=5 hash=a1",
                "n0 replay id=a seq=0 len=5 hash=a0");
    assert_rule("P3", ONE_LIFE, "n0 replay id=a seq=0 len=5 hash=a1");
    assert_rule("P3", ONE_LIFE, "n0 replay id=a seq=0 len=5 hash=a0 mask=7");
    assert_rule("P3", ONE_LIFE, "n0 replay id=a seq=3 len=5 hash=a3");
    assert_rule("P3", ONE_LIFE, "n0 broken id=a status=12");
    assert_rule("", "n0 rot id=a", ONE_LIFE, "n0 broken id=a status=12");
    assert_rule("P2", ONE_LIFE, "n0 restore id=a total=2 hash=7");
    assert_rule("P2", ONE_LIFE, AGAIN, with("n0 begins id=1", 4), "n0 end");
    assert_rule("P2", ONE_LIFE, "n0 comes id=a", "n1 comes peer=1 id=b",
                "n0 view id=2 mask=3 hash=1", "n0 member mask=3 total=1", with("n0 begins id=1", 3),
                "n1 view id=2 mask=3 hash=1", "n1 member mask=3 total=1", with("n1 begins id=1", 2),
                "n0 end");
}

#define THREE_CAME "n0 comes id=a", "n1 comes peer=1 id=b", "n2 comes peer=2 id=c"

static void p4_a_minority_waits(void **state)
{
    (void)state;
    assert_rule("P4", THREE_CAME, "n0 view id=1 mask=7 hash=1", "n0 durable seq=0", "n0 outage",
                AGAIN, "n0 end");
    assert_rule("", THREE_CAME, "n0 view id=1 mask=7 hash=1", "n0 outage", AGAIN, "n0 end");
    assert_rule("", THREE_CAME, "n0 view id=1 mask=7 hash=1", "n0 durable seq=0", "n0 outage",
                "n0 comes id=b", "n1 comes peer=1 id=c", "n0 view id=2 mask=3 hash=1", "n0 end");
    assert_rule("P4", "n0 outage", "n0 halt total=3");
    assert_rule("", "n0 rot id=a", "n0 outage", "n0 halt total=3");
}

static void p6_all_becomes_durable(void **state)
{
    (void)state;
    assert_rule("P6", "n0 comes id=a", "n0 view id=1 mask=1 hash=1", "n0 member mask=1 total=1",
                with("n0 begins id=1", 0), "n0 send len=5 hash=a0",
                "n0 deliver seq=0 len=5 hash=a0 mask=1", "n0 end");
    assert_rule("", "n0 comes id=a", "n0 view id=1 mask=1 hash=1", "n0 member mask=1 total=1",
                with("n0 begins id=1", 0), "n0 send len=5 hash=a0",
                "n0 deliver seq=0 len=5 hash=a0 mask=1", "n0 durable seq=0", "n0 end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p1_what_was_acknowledged_comes_back),
        cmocka_unit_test(p2_and_p3_logs_tell_what_was),
        cmocka_unit_test(p4_a_minority_waits),
        cmocka_unit_test(p6_all_becomes_durable),
    };
    return cmocka_run_group_tests_name("sim_check_disks", tests, NULL, NULL);
}
