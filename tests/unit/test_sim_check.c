/* Each judge is fed a trace that breaks its promise, and a good one beside it. Those of
 * disks: test_sim_check_disks. */
#include "check_text.h"

static void order_is_kept(void **state)
{
    (void)state;
    assert_rule("", SHARD, "n0 send len=5 hash=a1", "n1 send len=6 hash=b1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3",
                "n0 deliver peer=1 seq=1 len=6 hash=b1 mask=3",
                "n1 deliver peer=0 seq=0 len=5 hash=a1 mask=3",
                "n1 deliver peer=1 seq=1 len=6 hash=b1 mask=3", "n0 end");
}

static void d1_never_sent_twice_or_other_bytes(void **state)
{
    (void)state;
    assert_rule("D1", SHARD, "n0 deliver peer=1 seq=0 len=5 hash=a1 mask=3");
    assert_rule("D1", SHARD, "n1 send len=5 hash=a1",
                "n0 deliver peer=1 seq=0 len=5 hash=a2 mask=3");
    assert_rule("D1", SHARD, "n1 send len=5 hash=a1 status=1",
                "n0 deliver peer=1 seq=0 len=5 hash=a1 mask=3");
    assert_rule("D1", SHARD, "n1 send len=5 hash=a1",
                "n0 deliver peer=1 seq=0 len=5 hash=a1 mask=3",
                "n0 deliver peer=1 seq=2 len=5 hash=a1 mask=3");
    assert_rule("D1", SHARD, "n2 send len=5 hash=a1",
                "n0 deliver peer=2 seq=0 len=5 hash=a1 mask=3");
    assert_rule("D1", SHARD, "n0 deliver peer=1 seq=0 len=8 hash=a1 id=5");
}

static void d2_members_agree(void **state)
{
    (void)state;
    assert_rule("D2", SHARD, "n0 send len=5 hash=a1", "n1 send len=6 hash=b1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3",
                "n1 deliver peer=1 seq=1 len=6 hash=b1 mask=3");
    assert_rule("D2", SHARD, "n0 send len=5 hash=a1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3",
                "n1 deliver peer=0 seq=0 len=5 hash=a2 mask=3");
    assert_rule("D2", SHARD, "n0 send len=5 hash=a1", "n0 send len=5 hash=a2",
                "n0 deliver peer=0 seq=4 len=5 hash=a1 mask=3",
                "n0 deliver peer=0 seq=4 len=5 hash=a2 mask=3");
}

static void d3_no_gaps(void **state)
{
    (void)state;
    assert_rule("D3", SHARD, "n0 send len=5 hash=a1", "n0 send len=5 hash=a2",
                "n1 deliver peer=0 seq=2 len=5 hash=a2 mask=3");
}

static void d5_and_s3_all_hold_the_bytes(void **state)
{
    (void)state;
    assert_rule("D5", SHARD, "n0 send len=5 hash=a1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=1");
    assert_rule("S3", SHARD, "n0 send len=5 hash=a1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3",
                "n1 deliver peer=0 seq=0 len=5 hash=a1 mask=2");
    /* the dead need not */
    assert_rule("", SHARD, "n0 send len=5 hash=a1", "n1 kill",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=1", "n0 down peer=1", "n0 end");
}

static void d7_all_is_delivered_in_time(void **state)
{
    (void)state;
    assert_rule("D7", SHARD, "n0 send len=5 hash=a1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3", "n0 end");
    assert_rule("D7", SHARD, "n0 send len=5 hash=a1",
                "[2000] n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3");
    assert_rule("D7", SHARD, "n0 stuck id=1", "n0 end");
    assert_rule("D7", SHARD, "n1 load id=2 total=7", "n0 loads peer=1 id=2 total=6");
    assert_rule("D7", SHARD, "n0 bulk id=7 total=8 len=8 hash=a", "n0 bulkend id=7 hash=b",
                "n0 end");
    /* a shard that lost a member delivers in the next view, unless there can be none */
    assert_rule("D6", SHARD, "n0 send len=5 hash=a1", "n1 kill", "n0 down peer=1", "n0 end");
    assert_rule("", SHARD, "n0 send len=5 hash=a1", "n1 kill", "n0 down peer=1",
                "n0 shard status=16", "n0 end");
    /* a query waits for one that died without a notice, while no majority may say so; nothing else does */
    assert_rule("", SHARD, "n1 kill", "n0 stuck peer=1 id=3", "n0 blocked", "n0 end");
    assert_rule("D7", SHARD, "n0 stuck peer=1 id=3", "n0 blocked", "n0 end");
    assert_rule("D7", SHARD, "n1 kill", "n0 stuck peer=1 id=3", "n0 end");
    /* or answers one */
    assert_rule("", SHARD, "n1 kill", "n0 stuck peer=1 id=200", "n0 blocked", "n0 end");
    assert_rule("D7", SHARD, "n0 stuck peer=1 id=200", "n0 blocked", "n0 end");
    assert_rule("D7", SHARD, "n1 kill", "n0 stuck peer=1 id=203", "n0 blocked", "n0 end");
    assert_rule("D7", SHARD, "n1 kill", "n0 stuck peer=1 id=103", "n0 blocked", "n0 end");
}

#define BULK SHARD, "n0 bulk id=7 total=8 len=9 hash=a", "n1 head peer=0 id=8 len=9 hash=a"

static void b1_bulks_come_whole(void **state)
{
    (void)state;
    assert_rule("", BULK, "n1 part peer=0 id=8 len=5 total=8 hash=b", "n0 bulkend id=7 hash=c",
                "n1 part peer=0 id=8 offset=5 len=3 total=8 hash=c",
                "n0 deliver peer=0 seq=0 len=9 hash=a id=7",
                "n1 deliver peer=0 seq=0 len=9 hash=a id=8", "n0 end");
    assert_rule("B1", SHARD, "n1 head peer=0 id=8 len=9 hash=a");
    assert_rule("B1", SHARD, "n1 part peer=0 id=8 len=5 total=8 hash=b");
    assert_rule("B1", BULK, "n1 part peer=0 id=8 offset=1 len=5 total=8 hash=b");
    assert_rule("B1", BULK, "n1 part peer=0 id=8 len=5 total=9 hash=b");
    assert_rule("B1", BULK, "n0 bulkend id=7 hash=c", "n1 part peer=0 id=8 len=8 total=8 hash=d");
    assert_rule("B1", BULK, "n1 deliver peer=0 seq=0 len=9 hash=a id=8");
    assert_rule("D5", BULK, "n0 deliver peer=0 seq=0 len=9 hash=a id=7");
}

static void b2_an_aborted_bulk_is_not_delivered(void **state)
{
    (void)state;
    assert_rule("", BULK, "n0 bulkquit id=7", "n1 aborted id=8", "n0 end");
    assert_rule("B2", BULK, "n0 bulkquit id=7", "n0 end");
    assert_rule("B2", BULK, "n1 aborted id=8");
    assert_rule("B2", SHARD, "n1 aborted id=8");
    /* who is put out loses them all, nobody else does */
    assert_rule("", BULK, "n1 cut peer=2", "n1 aborted id=8");
    assert_rule("B2", BULK, "n2 cut peer=3", "n1 aborted id=8");
    assert_rule("B2", BULK, "n0 bulkquit id=7", "n1 aborted id=8",
                "n1 part peer=0 id=8 len=5 total=8 hash=b");
    assert_rule("B2", BULK, "n0 bulkend id=7 hash=c", "n1 part peer=0 id=8 len=8 total=8 hash=c",
                "n0 bulkquit id=7", "n0 deliver peer=0 seq=0 len=9 hash=a id=7");
    /* who is in a view in which somebody comes to the shard is told, and nobody else */
    assert_rule("", BULK, "n1 member sub=0 shard=0 mask=7", "n1 aborted id=8");
    assert_rule("B2", BULK, "n0 member sub=0 shard=0 mask=7", "n1 aborted id=8");
    assert_rule("", BULK, "n0 member sub=0 shard=0 mask=7", "n0 bulkcut id=7");
    assert_rule("B2", BULK, "n1 member sub=0 shard=0 mask=7", "n0 bulkcut id=7");
    assert_rule("B2", "n0 member mask=3", "n0 member mask=7", "n0 bulk id=7 total=8 len=9 hash=a",
                "n0 bulkcut id=7");
}

#define QUERY SHARD, "n0 query peer=1 id=7 total=4", "n0 queryend id=7 hash=a"
#define ASKED QUERY, "n1 asked peer=0 id=9 len=4 total=4 hash=a"

static void r1_one_outcome(void **state)
{
    (void)state;
    assert_rule("", ASKED, "n1 reply id=9 total=2 hash=b",
                "n0 answer peer=1 id=7 len=2 total=2 hash=b", "n0 end");
    /* a refusal before all has come */
    assert_rule("", SHARD, "n0 query peer=1 id=7 total=4",
                "n1 asked peer=0 id=9 len=2 total=4 hash=c", "n1 reply id=9 total=2 hash=b",
                "n0 answer peer=1 id=7 len=2 total=2 hash=b", "n0 end");
    assert_rule("R1", ASKED, "n0 end");
    assert_rule("R1", ASKED, "n0 failed id=7 status=16");
    assert_rule("", ASKED, "n1 kill", "n0 down peer=1", "n0 failed id=7 status=16", "n0 end");
    assert_rule("R1", ASKED, "n1 kill", "n0 failed id=7 status=16", "n0 failed id=7 status=16");
    assert_rule("R1", ASKED, "n0 cancel id=7", "n0 failed id=7 status=16");
    assert_rule("R1", ASKED, "n1 reply id=9 total=2 hash=b", "n0 cancel id=7",
                "n0 answer peer=1 id=7 len=2 total=2 hash=b");
    assert_rule("R1", ASKED, "n1 gone id=9");
    assert_rule("", ASKED, "n0 cancel id=7", "n1 gone id=9", "n0 end");
    /* of two that have the same bytes one was taken back: either may be gone, but one alone */
#define TWINS                                                         \
    ASKED, "n0 query peer=1 id=8 total=4", "n0 queryend id=8 hash=a", \
        "n1 asked peer=0 id=10 len=4 total=4 hash=a", "n0 cancel id=7"
    assert_rule("", TWINS, "n1 gone id=9", "n1 reply id=10 total=2 hash=b",
                "n0 answer peer=1 id=8 len=2 total=2 hash=b");
    assert_rule("", TWINS, "n1 gone id=10", "n1 reply id=9 total=2 hash=b",
                "n0 answer peer=1 id=8 len=2 total=2 hash=b");
    assert_rule("R1", TWINS, "n1 gone id=10", "n1 gone id=9");
    assert_rule("R1", SHARD, "n0 answer peer=1 id=7 len=2 total=2 hash=b");
}

static void r2_same_bytes_in_order(void **state)
{
    (void)state;
    assert_rule("R2", QUERY, "n1 asked peer=0 id=9 len=4 total=4 hash=c");
    assert_rule("R2", QUERY, "n1 asked peer=0 id=9 offset=1 len=3 total=4 hash=a");
    assert_rule("R2", ASKED, "n1 asked peer=0 id=a len=4 total=4 hash=a");
    assert_rule("R2", ASKED, "n0 answer peer=1 id=7 len=2 total=2 hash=b");
    assert_rule("R2", ASKED, "n1 reply id=9 total=2 hash=b",
                "n0 answer peer=1 id=7 len=2 total=2 hash=c");
    assert_rule("R2", ASKED, "n1 reply id=9 total=2 hash=b",
                "n0 answer peer=1 id=7 offset=1 len=1 total=2 hash=b");
}

static void s1_columns_only_grow(void **state)
{
    (void)state;
    assert_rule("", "n0 column offset=16 total=5", "n1 column offset=16 total=4",
                "n0 column offset=16 total=5");
    assert_rule("S1", "n0 column offset=16 total=5", "n0 column offset=16 total=4");
    assert_rule("S1", "n0 column offset=16 total=1 status=1",
                "n0 column offset=16 total=2 status=1");
    assert_rule("", "n0 column offset=16 total=9 status=2", "n0 column offset=16 total=2 status=2");
}

static void f1_the_fabric_contract(void **state)
{
    (void)state;
    assert_rule("F1", "n0 foul peer=1 id=1");
    assert_rule("F1", "n0 foul peer=1 id=2");
    assert_rule("F1", "n0 foul peer=1 id=3");
    assert_rule("S3", "n0 foul peer=1 id=4");
    assert_rule("F1", "n0 foul peer=1 id=5");
}

#define THREE                                                                          \
    "n0 member mask=7", "n1 member mask=7", "n2 member mask=7", "n0 view id=1 mask=7", \
        "n1 view id=1 mask=7", "n2 view id=1 mask=7"

#define LOST_1 "n1 kill", "n0 down peer=1", "n2 down peer=1"

static void w1_nothing_is_sent_between_a_loss_and_the_next_view(void **state)
{
    (void)state;
    assert_rule("W1", THREE, "n1 kill", "n0 down peer=1", "n0 send len=5 hash=a1");
    assert_rule("", THREE, "n1 kill", "n0 down peer=1", "n0 send len=5 hash=a1 status=3",
                "n2 down peer=1", "n0 view id=2 mask=5", "n2 view id=2 mask=5", "n0 end");
}

static void v1_to_v4_views_are_one_chain(void **state)
{
    (void)state;
    assert_rule("V1", THREE, LOST_1, "n0 view id=2 mask=5", "n2 view id=2 mask=7");
    assert_rule("V2", THREE, LOST_1, "n0 view id=2 mask=1");
    assert_rule("", THREE, "n1 kill", "n0 down peer=1", "n2 down peer=1", "n2 leave",
                "n0 down peer=2 status=1", "n0 view id=2 mask=1", "n2 left", "n0 end");
    assert_rule("V3", THREE, "n0 view id=3 mask=5");
    assert_rule("V3", THREE, "n0 view id=2 mask=6");
    assert_rule("V4", THREE, LOST_1, "n0 view id=2 mask=5",
                "n0 asked peer=1 id=9 len=1 total=2 hash=1");
    assert_rule("V6", THREE, LOST_1, "n0 end");
    /* what is decided is the same, though nobody lives to install it; who comes in the view says who is in it */
    assert_rule("", SHARD, "n0 view id=1 mask=3", "n1 view id=1 mask=3",
                "n0 column peer=1 offset=16 total=8589934593 status=3",
                "n1 column peer=0 offset=16 total=8589934593 status=3", "n2 comes peer=2 id=9",
                "n2 view id=2 mask=7", "n0 column peer=2 offset=32 total=8589934599 status=3");
    assert_rule("V1", SHARD, "n0 view id=1 mask=3", "n1 view id=1 mask=3",
                "n0 column peer=1 offset=16 total=8589934593 status=3",
                "n1 column peer=0 offset=16 total=8589934594 status=3");
}

static void d4_and_d5_survivors_end_a_view_alike(void **state)
{
    (void)state;
    assert_rule("D5", THREE, "n0 send len=5 hash=a1",
                "n1 deliver peer=0 seq=0 len=5 hash=a1 mask=7", "n1 kill", "n0 view id=2 mask=5");
    assert_rule("D4", THREE, "n0 send len=5 hash=a1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=7", "n1 kill", "n0 view id=2 mask=5",
                "n2 view id=2 mask=5");
}

static void v5_and_v6_deaths_are_told_and_only_deaths(void **state)
{
    (void)state;
    assert_rule("V5", SHARD, "n0 down peer=1");
    assert_rule("V5", SHARD, "n0 out status=18");
    assert_rule("V5", SHARD, "n1 kill", "n0 down peer=1", "n0 down peer=1");
    assert_rule("V6", SHARD, "n0 view id=1 mask=3", "n1 kill", "n0 end");
}

/* A timeout of 960; three members; what is heard of n2 at n0 until 1000. */
#define TRIO                                                                         \
    "[1] n0 view id=1 mask=7", "[1] n1 view id=1 mask=7", "[1] n2 view id=1 mask=7", \
        "[1000] n0 column peer=2 offset=0 total=1 status=2",                         \
        "[1000] n1 column peer=2 offset=0 total=1 status=2",                         \
        "[1000] n0 column peer=1 offset=0 total=1 status=2",                         \
        "[1000] n1 column peer=0 offset=0 total=1 status=2",                         \
        "[1000] n2 column peer=0 offset=0 total=1 status=2",                         \
        "[1000] n2 column peer=1 offset=0 total=1 status=2"
#define assert_silence(rule, ...)                                \
    do {                                                         \
        const char *const lines_[] = {TRIO, __VA_ARGS__, NULL};  \
        assert_string_equal(judge_with(&silence, lines_), rule); \
    } while (0)

/* From 1100 to 2600; then all hear one another again, but n0 hears nothing of n2. */
#define FROZEN_TWICE                                                                          \
    "[1100] n0 pause total=1000", "[1100] n1 pause total=1000", "[1100] n2 pause total=1000", \
        "[1100] n2 stall peer=0 total=5000", "[1600] n0 pause total=1000",                    \
        "[1600] n1 pause total=1000", "[1600] n2 pause total=1000",                           \
        "[2700] n0 column peer=1 offset=0 total=2 status=2",                                  \
        "[2700] n1 column peer=0 offset=0 total=2 status=2",                                  \
        "[2700] n1 column peer=2 offset=0 total=2 status=2",                                  \
        "[2700] n2 column peer=0 offset=0 total=2 status=2",                                  \
        "[2700] n2 column peer=1 offset=0 total=2 status=2"

static void v5_silence_excuses_what_it_must(void **state)
{
    (void)state;
    static const struct sim_limits silence = {.timeout_ns = 960};
    /* paused for long enough */
    assert_silence("", "[1100] n2 pause total=5000", "[2100] n0 down peer=2",
                   "[2101] n1 down peer=2", "[2200] n0 view id=2 mask=3",
                   "[2201] n1 view id=2 mask=3", "[6100] n2 out status=17", "[6200] n0 end");
    /* silent, but nothing hindered it: its heart has stopped */
    assert_silence("V5", "[2100] n0 down peer=2");
    /* put out before the timeout was over */
    assert_silence("V5", "[1100] n2 pause total=5000", "[1500] n0 down peer=2");
    /* all stood still: it was n0 that did not listen */
    assert_silence("V5", "[1100] n0 pause total=5000", "[1100] n1 pause total=5000",
                   "[1100] n2 pause total=4950", "[6150] n0 down peer=2");
    /* a link that stood still: one of its ends may go */
    assert_silence("", "[1100] n2 stall peer=0 total=5000", "[2100] n0 down peer=2");
    /* all stood still twice, the second time before the first was over: what both have counts once */
    assert_silence("", FROZEN_TWICE, "[3400] n0 down peer=2");
    assert_silence("V5", FROZEN_TWICE, "[3100] n0 down peer=2");
    /* a host that all find silent is no reason for another to go */
    assert_silence("V5", "[1100] n2 pause total=5000", "[2100] n0 down peer=2",
                   "[2101] n1 down peer=2", "[2102] n0 down peer=1");
}

static void v5_each_silence_is_judged_alone(void **state)
{
    (void)state;
    static const struct sim_limits silence = {.timeout_ns = 960};
    /* a host that was silent once is one end of a broken link later */
    assert_silence("", "[1100] n2 pause total=1500",
                   "[2600] n0 column peer=2 offset=0 total=2 status=2",
                   "[2600] n1 column peer=2 offset=0 total=2 status=2",
                   "[6000] n0 column peer=2 offset=0 total=3 status=2",
                   "[6000] n1 column peer=2 offset=0 total=3 status=2",
                   "[6010] n2 stall peer=0 total=5000", "[7500] n1 down peer=0");
    /* it is not, where nothing is wrong with its links later */
    assert_silence("V5", "[1100] n2 pause total=1500",
                   "[2600] n0 column peer=2 offset=0 total=2 status=2",
                   "[2600] n1 column peer=2 offset=0 total=2 status=2",
                   "[6000] n0 column peer=2 offset=0 total=3 status=2",
                   "[6000] n1 column peer=2 offset=0 total=3 status=2", "[7500] n1 down peer=0");
}

static void v5_a_link_that_stays_broken_is_no_silent_host(void **state)
{
    (void)state;
    static const struct sim_limits silence = {.timeout_ns = 960};
    /* n0's link to n1 comes back, that to n2 does not */
    assert_silence("", "[1100] n0 stall peer=1 total=1000", "[1100] n0 stall peer=2 total=5000",
                   "[2101] n1 column peer=0 offset=0 total=2 status=2",
                   "[2300] n1 column peer=0 offset=0 total=3 status=2",
                   "[2600] n0 column peer=1 offset=0 total=3 status=2", "[2600] n1 down peer=2");
    /* it comes back before the timeout is over, and n0 finds a majority */
    assert_silence("", "[1100] n0 stall peer=1 total=850", "[1100] n0 stall peer=2 total=5000",
                   "[1950] n1 column peer=0 offset=0 total=2 status=2",
                   "[1955] n0 column peer=1 offset=0 total=3 status=2", "[1970] n1 down peer=2");
    /* n0 itself stood still */
    assert_silence("V5", "[1100] n0 pause total=1000",
                   "[2101] n1 column peer=0 offset=0 total=2 status=2",
                   "[2110] n2 column peer=0 offset=0 total=2 status=2",
                   "[2600] n0 column peer=1 offset=0 total=3 status=2", "[2600] n1 down peer=2");
}

/* n1's links to n2 and n3 stand still, and n0 puts the higher end of the one of which it is told out. */
#define TWO_LINKS                                                                               \
    "[1001] n3 comes peer=3 id=64", "[1002] n0 view id=2 mask=f", "[1002] n1 view id=2 mask=f", \
        "[1002] n2 view id=2 mask=f", "[1002] n3 view id=2 mask=f",                             \
        "[1100] n1 stall peer=2 total=5000", "[1100] n1 stall peer=3 total=5000",               \
        "[1100] n2 stall peer=1 total=5000", "[1100] n3 stall peer=1 total=5000"
#define TOLD_OF_ONE "[2150] n0 down peer=3", "[2160] n3 out status=17", "[6200] n0 end"

static void v5_who_stood_still_finds_a_silence_later(void **state)
{
    (void)state;
    static const struct sim_limits silence = {.timeout_ns = 960};
    /* n3 alone can say yet that it does not hear n1, so either end of that link may go */
    assert_silence("", TWO_LINKS, "[1100] n1 pause total=400", "[1100] n2 pause total=400",
                   TOLD_OF_ONE);
    /* all may know that n1 has lost two of four */
    assert_silence("V5", TWO_LINKS, TOLD_OF_ONE);
    assert_silence("V5", TWO_LINKS, "[1100] n1 pause total=100", "[1100] n2 pause total=100",
                   TOLD_OF_ONE);
    /* nor may it go before anybody can have found the silence: a pause counts, but for a beat */
    assert_silence("V5", "[1100] n2 stall peer=1 total=5000", "[1200] n1 pause total=400",
                   "[2120] n0 down peer=2", "[2200] n0 end");
    assert_silence("", "[1100] n2 stall peer=1 total=5000", "[1200] n1 pause total=400",
                   "[2150] n0 down peer=2", "[2200] n0 end");
    /* the time that one pause costs has room for another */
    assert_silence("V5", "[1100] n2 stall peer=1 total=5000", "[1200] n1 pause total=400",
                   "[1950] n1 pause total=400", "[2150] n0 down peer=2", "[2500] n0 end");
}

static void v5_who_comes_hears_nobody_yet(void **state)
{
    (void)state;
    static const struct sim_limits silence = {.timeout_ns = 960};
    /* that n3 hears nothing of n1 does not make n1 a silent host: its link to n2 is broken, and either may go */
    assert_silence("", "[1050] n3 comes peer=3 id=64", "[1100] n1 stall peer=2 total=5000",
                   "[1100] n2 stall peer=1 total=5000", "[1500] n1 pause total=500",
                   "[1800] n0 column peer=1 offset=0 total=2 status=2", "[2600] n0 down peer=2");
    /* once it stands in a view, something is expected */
    assert_silence("V5", "[1050] n3 comes peer=3 id=64", "[1060] n3 view id=2 mask=f",
                   "[1070] n1 view id=2 mask=f", "[1100] n1 stall peer=2 total=5000",
                   "[1100] n1 pause total=5000", "[2600] n0 down peer=2");
}

static void v6_after_one_silence_a_majority_goes_on(void **state)
{
    (void)state;
    static const struct sim_limits silence = {.timeout_ns = 960, .one_incident = true};
    assert_silence("", "[6100] n0 end");
    assert_silence("V6", "[6000] n0 blocked", "[6000] n1 blocked", "[6100] n0 end");
    assert_silence("V6", "[1100] n2 stall peer=1 total=5000", "[1100] n1 stall peer=2 total=5000",
                   "[2100] n0 down peer=2", "[2100] n0 down peer=1", "[2150] n1 out status=17",
                   "[2150] n2 out status=17", "[6000] n0 blocked", "[6100] n0 end");
    /* of three in the view two die as well, and come again: nobody can go on. Where one dies, two can */
#define FIRST_DIES "[1200] n0 kill", "[1210] n1 down peer=0", "[1210] n2 down peer=0"
    assert_silence("", FIRST_DIES, "[1300] n1 kill", "[1310] n2 down peer=1",
                   "[1400] n3 comes peer=0 id=64", "[1400] n4 comes peer=1 id=65",
                   "[6000] n2 blocked", "[6100] n2 end");
    assert_silence("V6", FIRST_DIES, "[1400] n3 comes peer=0 id=64", "[6000] n1 blocked",
                   "[6000] n2 blocked", "[6100] n2 end");
}

#define QUARTET                                                                      \
    "[1] n0 view id=1 mask=f", "[1] n1 view id=1 mask=f", "[1] n2 view id=1 mask=f", \
        "[1] n3 view id=1 mask=f"

static void l1_a_leave_is_clean_and_quick(void **state)
{
    (void)state;
    assert_rule("", SHARD, "n1 leave", "n0 down peer=1 status=1", "n1 left", "n0 end");
    assert_rule("L1", SHARD, "n1 leave", "n1 left", "n0 down peer=1 status=0");
    assert_rule("L1", SHARD, "n1 kill", "n0 down peer=1 status=1");
    assert_rule("L1", SHARD, "[1] n1 leave", "n0 down peer=1 status=1", "[2000] n1 left");
    assert_rule("L1", SHARD, "n1 leave", "n0 down peer=1 status=1", "n0 end");
    /* its own pauses are none of the group's, the rest of the time is */
    assert_rule("", SHARD, "[1] n1 leave", "[2] n1 pause total=1000", "[500] n1 pause total=800",
                "[1400] n0 down peer=1 status=1", "[2000] n1 left");
    assert_rule("L1", SHARD, "[1] n1 leave", "[2] n1 pause total=900", "[500] n1 pause total=450",
                "[1400] n0 down peer=1 status=1", "[2000] n1 left");
    assert_rule("L1", SHARD, "[1] n1 leave", "[2] n0 pause total=1300",
                "[1400] n0 down peer=1 status=1", "[2000] n1 left");
    /* what some shard lacks is no excuse */
    assert_rule("L1", SHARD, "[1] n1 leave", "n0 down peer=1 status=1", "[2000] n1 left",
                "n0 shard status=16", "n0 end");
    /* who leaves loses those that are in a view without it */
    assert_rule("", SHARD, "n0 view id=1 mask=3", "n1 view id=1 mask=3", "n1 leave",
                "n0 down peer=1 status=1", "n0 view id=2 mask=1", "n1 down peer=0", "n1 left",
                "n0 end");
    assert_rule("V5", SHARD, "n0 view id=1 mask=3", "n1 view id=1 mask=3", "n1 leave",
                "n1 down peer=0");
    /* a leaver that was put out is dead to the others: they are no majority, and nobody can let another go */
    assert_rule("", QUARTET, "[1] n2 leave", "[2] n1 cut peer=2", "[3] n2 out status=17",
                "[3] n2 left", "[4] n1 kill", "[4] n0 down peer=1", "[4] n0 down peer=2",
                "[5] n3 leave", "[5] n0 down peer=3 status=1", "[2000] n3 left");
    assert_rule("", QUARTET, "[1] n2 leave", "[2] n1 cut peer=2", "[4] n1 kill",
                "[4] n0 down peer=1", "[4] n0 down peer=2", "[5] n3 leave",
                "[5] n0 down peer=3 status=1", "[1900] n2 left", "[2000] n3 left");
    /* … also if its patience ends before it learns that, when the leaver has been told of both */
    assert_rule("", QUARTET, "[1] n1 cut peer=2", "[2] n2 leave", "[3] n1 kill",
                "[4] n2 down peer=1", "[4] n3 down peer=1", "[4] n3 down peer=2 status=1",
                "[4] n0 down peer=1", "[4] n0 down peer=2 status=1", "[5] n3 leave",
                "[6] n0 down peer=3 status=1", "[2000] n3 left", "[2000] n2 left");
    assert_rule("V6", QUARTET, "[1] n1 cut peer=2", "[2] n2 leave", "[3] n1 kill",
                "[4] n2 down peer=1", "[4] n3 down peer=1", "[4] n0 down peer=1", "[5] n3 leave",
                "[6] n0 down peer=3 status=1", "[2000] n3 left", "[2000] n2 left");
    assert_rule("L1", QUARTET, "[1] n2 leave", "[3] n2 left", "[4] n1 kill", "[5] n3 leave",
                "[2000] n3 left");
}

/* Another leaver's death that the connection did not tell is an excuse; one that was told is none. */
#define FELLOW                                                                             \
    QUARTET, "[1] n1 leave", "[2] n3 leave", "[3] n1 kill", "[4] n0 down peer=1 status=1", \
        "[4] n2 down peer=1 status=1", "[4] n3 down peer=1 status=1",                      \
        "[4] n0 down peer=3 status=1", "[4] n2 down peer=3 status=1"

static void l1_a_leaver_that_died_unnoticed_is_an_excuse(void **state)
{
    (void)state;
    assert_rule("", FELLOW, "[2000] n3 left");
    assert_rule("L1", FELLOW, "[5] n3 notice peer=1", "[2000] n3 left");
}

static void l1_a_later_silence_is_no_excuse(void **state)
{
    (void)state;
    const struct sim_limits with = {.leave_ns = 1000, .idle_writes = 2, .timeout_ns = 1000};
    const char *const later[] = {"[0] n0 leave",
                                 "[3000] n0 left",
                                 "[4000] n2 column peer=1 offset=0 total=1 status=2",
                                 "[4000] n1 stall peer=2 total=5000",
                                 "[12000] n1 end",
                                 NULL};
    assert_string_equal(judge_with(&with, later), "L1");
}

static void l2_a_leaver_leaves_nothing_behind(void **state)
{
    (void)state;
#define SENT SHARD, "n1 send len=5 hash=a1", "n1 leave"
    assert_rule("", SENT, "n1 deliver peer=1 seq=1 len=5 hash=a1 mask=3",
                "n0 deliver peer=1 seq=1 len=5 hash=a1 mask=3", "n1 left",
                "n0 down peer=1 status=1", "n0 end");
    assert_rule("L2", SENT, "n1 deliver peer=1 seq=1 len=5 hash=a1 mask=3", "n1 left",
                "n0 down peer=1 status=1", "n0 end");
    assert_rule("", SENT, "n0 kill", "n1 down peer=0", "n1 left");
    /* two others of its view take each other for dead: nobody can let it go; one of four is no excuse */
    assert_rule("", "n0 view id=1 mask=7", "n1 view id=1 mask=7", "n2 view id=1 mask=7",
                "n2 member sub=0 shard=0 mask=4", "n2 send len=5 hash=a1", "n2 leave",
                "n0 cut peer=1", "n0 down peer=1", "n1 down peer=0", "n2 down peer=0",
                "n2 down peer=1", "n2 left", "n0 down peer=2", "n1 down peer=2");
    assert_rule("L2", "n0 view id=1 mask=1f", "n1 view id=1 mask=1f", "n2 view id=1 mask=1f",
                "n3 view id=1 mask=1f", "n4 view id=1 mask=1f", "n2 member sub=0 shard=0 mask=4",
                "n2 send len=5 hash=a1", "n2 leave", "n0 kill", "n1 down peer=0", "n2 down peer=0",
                "n3 down peer=0", "n4 down peer=0", "n2 left", "n1 down peer=2 status=1",
                "n3 down peer=2 status=1", "n4 down peer=2 status=1", "n1 view id=2 mask=1a hash=5",
                "n3 view id=2 mask=1a hash=5", "n4 view id=2 mask=1a hash=5");
    /* who lacks the state delivers nothing */
    assert_rule("", "n0 view id=1 mask=3", "n1 view id=1 mask=3",
                "n0 member sub=0 shard=0 mask=3 id=1 total=1",
                "n1 member sub=0 shard=0 mask=3 id=1 total=1", "n1 send len=5 hash=a1", "n1 leave",
                "n1 deliver peer=1 seq=1 len=5 hash=a1 mask=3", "[9000] n1 left",
                "[9000] n0 down peer=1 status=1", "[9000] n0 shard status=16", "[9000] n0 end");
#define TAKEN                                                                               \
    BULK, "n0 bulkend id=7 hash=c", "n1 part peer=0 id=8 len=8 total=8 hash=c", "n0 leave", \
        "n0 deliver peer=0 seq=0 len=9 hash=a id=7"
    assert_rule("", TAKEN, "n1 deliver peer=0 seq=0 len=9 hash=a id=8", "n0 left",
                "n1 down peer=0 status=1", "n1 end");
    assert_rule("L2", TAKEN, "n0 left", "n1 down peer=0 status=1", "n1 end");
}

static void q1_rest(void **state)
{
    (void)state;
    assert_rule("", SHARD, "n0 write peer=1", "n0 write peer=1", "n0 write peer=1", "n0 idle",
                "n0 write peer=1", "n0 end");
    assert_rule("Q1", SHARD, "n0 end status=1");
    assert_rule("Q1", SHARD, "n0 idle", "n0 write peer=1", "n0 write peer=1", "n0 write peer=1",
                "n0 end");
}

/* n0 serves alone and has delivered one message; n1 comes in view 2. */
#define COMES                                                                   \
    "n0 view id=1 mask=1", "n0 member mask=1 total=1", "n0 send len=5 hash=a1", \
        "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=1", "n1 comes peer=1 id=9", \
        "n0 view id=2 mask=3 hash=7", "n0 member mask=3 id=2 total=1",          \
        "n1 view id=2 mask=3 hash=7", "n1 member mask=3 id=2 total=1"

static void t1_a_joiner_gets_the_state_of_the_views_start(void **state)
{
    (void)state;
    char right[64], wrong[64];
    uint64_t hash = sim_state_hash(SIM_HASH_EMPTY, 0, 5, 0xa1);
    snprintf(right, sizeof right, "n1 state id=2 hash=%" PRIx64, hash);
    snprintf(wrong, sizeof wrong, "n1 state id=2 hash=%" PRIx64, SIM_HASH_EMPTY);
    assert_rule("", COMES, right, "n0 end");
    assert_rule("T1", COMES, wrong);
    assert_rule("T1", COMES, "n0 send len=5 hash=a2",
                "n1 deliver peer=0 seq=1 len=5 hash=a2 mask=3");
    assert_rule("", COMES, right, "n0 send len=5 hash=a2",
                "n0 deliver peer=0 seq=1 len=5 hash=a2 mask=3",
                "n1 deliver peer=0 seq=1 len=5 hash=a2 mask=3", "n0 end");
    assert_rule("D6", COMES, right, "n0 send len=5 hash=a2",
                "n0 deliver peer=0 seq=1 len=5 hash=a2 mask=3", "n0 end");
    assert_rule("D6", COMES, right, "n0 send len=5 hash=a2",
                "n0 deliver peer=0 seq=1 len=5 hash=a2 mask=3", "n2 out status=17", "n2 kill",
                "n0 end");
    /* it gets it where all who have it stay, and its shard goes on */
    assert_rule("T1", COMES, "n0 end");
    assert_rule("", COMES, "n1 shard status=16", "n0 end");
    assert_rule("", COMES, "n0 kill", "n1 down peer=0", "n1 end");
    assert_rule("V1", COMES, right, "n2 comes peer=2 id=8", "n2 view id=2 mask=7 hash=8");
}

/* The bound is of a shard whose members have its state: who waits for it holds the senders' windows. */
static void d7_waits_for_who_gets_the_state(void **state)
{
    (void)state;
    char late[64], early[64];
    uint64_t hash = sim_state_hash(SIM_HASH_EMPTY, 0, 5, 0xa1);
    snprintf(late, sizeof late, "[1500] n1 state id=2 hash=%" PRIx64, hash);
    snprintf(early, sizeof early, "[600] n1 state id=2 hash=%" PRIx64, hash);
    assert_rule("", COMES, "n0 send len=5 hash=a2", late,
                "[2000] n0 deliver peer=0 seq=1 len=5 hash=a2 mask=3",
                "[2000] n1 deliver peer=0 seq=1 len=5 hash=a2 mask=3", "[2000] n0 end");
    assert_rule("D7", COMES, "n0 send len=5 hash=a2", early,
                "[2000] n0 deliver peer=0 seq=1 len=5 hash=a2 mask=3",
                "[2000] n1 deliver peer=0 seq=1 len=5 hash=a2 mask=3", "[2000] n0 end");
}

/* Who is given the state stays, and only the leaver has it. */
static void l3_no_leave_takes_the_state_along(void **state)
{
    (void)state;
    char got[64];
    uint64_t hash = sim_state_hash(SIM_HASH_EMPTY, 0, 5, 0xa1);
    snprintf(got, sizeof got, "[3000] n1 state id=2 hash=%" PRIx64, hash);
#define PARTS COMES, "n0 leave"
#define PARTED(at)                                                      \
    "[" at "] n1 down peer=0 status=1", "[" at "] n1 view id=3 mask=2", \
        "[" at "] n1 member mask=2 total=1"
    assert_rule("L3", PARTS, PARTED("5"), "[9] n0 left", "[9] n1 end");
    assert_rule("L3", PARTS, PARTED("6900"), "[7000] n0 left", "[7000] n1 end");
    assert_rule("", PARTS, got, PARTED("3400"), "[3500] n0 left", "[3500] n1 end");
    assert_rule("", PARTS, "n1 leave", "[10] n1 left", "n0 down peer=1 status=1",
                "n0 view id=3 mask=1", "n0 member mask=1 total=1", "[20] n0 left", "n0 end");
    assert_rule("", PARTS, "n1 kill", "n0 down peer=1", "n0 left", "n0 end");
    assert_rule("", PARTS, PARTED("8400"), "[8500] n0 left",
                "[8500] n1 end"); /* patience has ended */
    /* the bound of a leave begins when it may go */
    assert_rule("L1", PARTS, got, PARTED("3100"), "[4500] n0 left", "[4500] n1 end");
    assert_rule("L1", PARTS, PARTED("8400"), "[9500] n0 left", "[9500] n1 end");
    /* another has it */
    assert_rule("L1", "n0 view id=1 mask=7", "n0 member mask=7 id=4 total=1", "n1 view id=1 mask=7",
                "n1 member mask=7 id=4 total=1", "n2 view id=1 mask=7",
                "n2 member mask=7 id=4 total=1", "n0 leave", "n1 down peer=0 status=1",
                "[2000] n0 left");
}

static void t2_a_shard_waits_for_enough_members_with_state(void **state)
{
    (void)state;
    assert_rule("T2", "n0 view id=1 mask=1", "n0 member mask=1 total=1", "n1 comes peer=1 id=9",
                "n0 view id=2 mask=3", "n0 member mask=3 id=2 total=2", "n0 send len=5 hash=a1",
                "n0 deliver peer=0 seq=0 len=5 hash=a1 mask=3");
}

/* Half a view is a majority if one of the others is known to be dead. */
static void v2_a_half_needs_one_that_came_back(void **state)
{
    (void)state;
    assert_rule("V2", SHARD, "n0 view id=1 mask=3", "n1 view id=1 mask=3", "n1 kill",
                "n0 view id=2 mask=1");
    assert_rule("", SHARD, "n0 view id=1 mask=3", "n1 view id=1 mask=3", "n1 kill",
                "n2 comes peer=1 id=9", "n0 down peer=1", "n0 view id=2 mask=1");
}

static void a1_odd_requests_are_refused(void **state)
{
    (void)state;
    assert_rule("A1", SHARD, "n0 odd id=1 status=0");
    assert_rule("", SHARD, "n0 odd id=1 status=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(d1_never_sent_twice_or_other_bytes),
        cmocka_unit_test(d2_members_agree),
        cmocka_unit_test(d3_no_gaps),
        cmocka_unit_test(d5_and_s3_all_hold_the_bytes),
        cmocka_unit_test(d7_all_is_delivered_in_time),
        cmocka_unit_test(b1_bulks_come_whole),
        cmocka_unit_test(b2_an_aborted_bulk_is_not_delivered),
        cmocka_unit_test(r1_one_outcome),
        cmocka_unit_test(r2_same_bytes_in_order),
        cmocka_unit_test(s1_columns_only_grow),
        cmocka_unit_test(f1_the_fabric_contract),
        cmocka_unit_test(w1_nothing_is_sent_between_a_loss_and_the_next_view),
        cmocka_unit_test(v1_to_v4_views_are_one_chain),
        cmocka_unit_test(d4_and_d5_survivors_end_a_view_alike),
        cmocka_unit_test(v5_and_v6_deaths_are_told_and_only_deaths),
        cmocka_unit_test(v5_silence_excuses_what_it_must),
        cmocka_unit_test(v5_each_silence_is_judged_alone),
        cmocka_unit_test(v5_a_link_that_stays_broken_is_no_silent_host),
        cmocka_unit_test(v5_who_stood_still_finds_a_silence_later),
        cmocka_unit_test(v5_who_comes_hears_nobody_yet),
        cmocka_unit_test(v6_after_one_silence_a_majority_goes_on),
        cmocka_unit_test(l1_a_leave_is_clean_and_quick),
        cmocka_unit_test(l1_a_leaver_that_died_unnoticed_is_an_excuse),
        cmocka_unit_test(l1_a_later_silence_is_no_excuse),
        cmocka_unit_test(l2_a_leaver_leaves_nothing_behind),
        cmocka_unit_test(q1_rest),
        cmocka_unit_test(t1_a_joiner_gets_the_state_of_the_views_start),
        cmocka_unit_test(d7_waits_for_who_gets_the_state),
        cmocka_unit_test(l3_no_leave_takes_the_state_along),
        cmocka_unit_test(t2_a_shard_waits_for_enough_members_with_state),
        cmocka_unit_test(v2_a_half_needs_one_that_came_back),
        cmocka_unit_test(a1_odd_requests_are_refused),
    };
    return cmocka_run_group_tests_name("sim_check", tests, NULL, NULL);
}
