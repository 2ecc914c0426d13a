#include "common/prng.h"
#include "group/durable/dur_restart.h"
#include "nx_test.h"

#include <string.h>

enum { KEEPS_LOGS = 1 /* subgroup 0 */, TIER = 1 /* the other one */ };

/* A view of nodes 1 … 5 (bit n: node n), all in shard 0 of subgroup 0. */
static struct nx_dur_view view_of(nx_vid vid, uint32_t nodes)
{
    struct nx_dur_view view = {.vid = vid, .since = 1};
    for (nx_node n = 0; n < 32; n++)
        if (nodes >> n & 1)
            view.members[view.count++].node = n;
    return view;
}

static struct nx_dur_offer offer_of(nx_node node, struct nx_dur_view certain, uint64_t places)
{
    struct nx_dur_offer offer = {
        .node = node, .has_note = true, .has_log = true, .places = places, .log_vid = 1};
    offer.note.certain = true;
    offer.note.count = 1;
    offer.note.views[0] = certain;
    return offer;
}

static struct nx_dur_offer fresh(nx_node node)
{
    return (struct nx_dur_offer){.node = node, .shard = NX_DUR_NO_SHARD};
}

static struct nx_dur_restart decide(const struct nx_dur_offer *offers, uint32_t count)
{
    struct nx_dur_restart restart;
    nx_dur_restart_decide(offers, count, KEEPS_LOGS, 0, &restart);
    return restart;
}

static void fresh_disks_are_a_new_group(void **state)
{
    (void)state;
    struct nx_dur_offer offers[] = {fresh(1), fresh(2)};
    assert_int_equal(decide(offers, 2).verdict, NX_DUR_NEW);
}

static void the_longest_log_is_the_truth(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(17, 0xe);
    struct nx_dur_offer offers[] = {offer_of(1, v, 8), offer_of(2, v, 9), offer_of(3, v, 9)};
    struct nx_dur_restart r = decide(offers, 3);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_true(r.complete);
    assert_int_equal(r.vid, 18);
    assert_int_equal(r.base[0][0], 9);
    assert_false(r.places[0].has_state);
    assert_true(r.places[1].has_state && r.places[2].has_state);
}

/* The same number of places, but the newest record is of another view: another log. */
static void logs_of_two_histories_are_not_mixed(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(17, 0xe);
    struct nx_dur_offer offers[] = {offer_of(1, v, 9), offer_of(2, v, 9), offer_of(3, v, 9)};
    offers[1].log_vid = nx_dur_stamp(7, 17);
    struct nx_dur_restart r = decide(offers, 3);
    assert_true(r.places[0].has_state);
    assert_false(r.places[1].has_state);
    assert_true(r.places[2].has_state);
}

static void a_stale_minority_waits_and_says_for_whom(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(17, 0x3e);
    struct nx_dur_offer offers[] = {offer_of(1, v, 9), offer_of(3, v, 9)};
    struct nx_dur_restart r = decide(offers, 2);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    assert_string_equal(r.why.text, "waiting for nodes 2, 4, 5 of view 17: 2 of its 5 members are "
                                    "here, 3 are needed");
}

/* Every set of members, for groups of 1 to 5: more than half starts, anything else waits. */
static void exactly_the_majorities_start(void **state)
{
    (void)state;
    for (uint32_t members = 1; members <= 5; members++) {
        uint32_t all = (1u << members) - 1;
        struct nx_dur_view v = view_of(3, all << 1);
        for (uint32_t set = 1; set <= all; set++) {
            struct nx_dur_offer offers[5];
            uint32_t count = 0;
            for (uint32_t m = 0; m < members; m++)
                if (set >> m & 1)
                    offers[count++] = offer_of(m + 1, v, 4);
            bool majority = 2 * count > members;
            struct nx_dur_restart r = decide(offers, count);
            assert_int_equal(r.verdict, majority ? NX_DUR_START : NX_DUR_WAIT);
            assert_true(!majority || r.complete == (count == members));
            assert_true(r.complete || r.why.status == NX_UNAVAILABLE);
        }
    }
}

/* Of five, two went on alone as a later view; the other three had a majority of the older one. */
static void a_newer_certain_view_counts_for_all(void **state)
{
    (void)state;
    struct nx_dur_view old = view_of(17, 0x3e), newer = view_of(18, 0xe);
    struct nx_dur_offer offers[] = {offer_of(3, newer, 9), offer_of(4, old, 9),
                                    offer_of(5, old, 9)};
    struct nx_dur_restart r = decide(offers, 3);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    assert_string_equal(r.why.text, "waiting for nodes 1, 2 of view 18: 1 of its 3 members is "
                                    "here, 2 are needed");
    offers[1] = offer_of(1, old, 7);
    r = decide(offers, 3);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_int_equal(r.base[0][0], 9);
}

static void a_view_that_may_be_certain_elsewhere_counts(void **state)
{
    (void)state;
    struct nx_dur_view old = view_of(17, 0x3e), later = view_of(18, 0xe);
    struct nx_dur_offer offers[] = {offer_of(3, old, 9), offer_of(4, old, 9), offer_of(5, old, 9)};
    assert_int_equal(decide(offers, 3).verdict, NX_DUR_START);
    assert_true(nx_dur_note_add(&offers[0].note, &later));
    assert_int_equal(decide(offers, 3).verdict, NX_DUR_WAIT);
}

static void an_empty_disk_does_not_vote(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(17, 0xe);
    struct nx_dur_offer offers[] = {offer_of(1, v, 8), fresh(2)};
    struct nx_dur_restart r = decide(offers, 2);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    assert_non_null(strstr(r.why.text, "2 (its disk is empty), 3 of view 17"));
    struct nx_dur_offer three[] = {offer_of(1, v, 8), fresh(2), offer_of(3, v, 8)};
    r = decide(three, 3);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_false(r.places[1].has_state);
    assert_false(r.complete);
}

static void a_first_view_that_failed_may_begin_anew(void **state)
{
    (void)state;
    struct nx_dur_offer one = offer_of(1, view_of(1, 0x6), 0);
    one.note.certain = false;
    one.log_vid = 0;
    struct nx_dur_offer offers[] = {one, fresh(2)};
    assert_int_equal(decide(offers, 1).verdict, NX_DUR_WAIT);
    struct nx_dur_restart r = decide(offers, 2);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_int_equal(r.vid, 2);
    assert_true(r.places[0].has_state);
}

static void joiners_alone_wait_for_who_was_there(void **state)
{
    (void)state;
    struct nx_dur_offer offer = offer_of(4, view_of(9, 0x10), 0);
    offer.note.certain = false;
    offer.note.away = true;
    assert_int_equal(decide(&offer, 1).verdict, NX_DUR_WAIT);
}

static void somebody_must_bring_each_shard(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(17, 0x3e);
    v.members[0].stateless = true;
    for (uint32_t i = 2; i < 5; i++)
        v.members[i].subgroup = TIER;
    struct nx_dur_offer offers[4];
    for (uint32_t i = 0; i < 4; i++) {
        offers[i] = offer_of((nx_node[]){1, 3, 4, 5}[i], v, 3);
        offers[i].subgroup = i ? TIER : 0;
        offers[i].has_log = i == 0;
    }
    struct nx_dur_restart r = decide(offers, 4);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    assert_string_equal(r.why.text,
                        "waiting for node 2 of view 17, which keeps the log of shard 0");
    offers[1] = offer_of(2, v, 5);
    r = decide(offers, 4);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_false(r.places[0].has_state);
    assert_true(r.places[1].has_state);
    assert_int_equal(r.base[0][0], 5);
}

/* The certain view was without node 3, whose shard nothing was acknowledged in; its tier has replayed what its log has. */
static void a_shard_that_nobody_stood_in_goes_on_with_a_log(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(3, 0x6), old = view_of(2, 0xe);
    struct nx_dur_offer offers[] = {offer_of(1, v, 0), offer_of(2, v, 0), offer_of(3, old, 18),
                                    offer_of(4, old, 12)};
    offers[0].subgroup = offers[1].subgroup = TIER;
    v.members[0].subgroup = v.members[1].subgroup = TIER;
    offers[0].note.views[0] = offers[1].note.views[0] = v;
    offers[2].note.certain = offers[3].note.certain = false;
    offers[3].note.away = true;
    struct nx_dur_restart r = decide(offers, 4);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_int_equal(r.base[0][0], 18);
    assert_true(r.places[2].has_state);
    assert_false(r.places[3].has_state);
    offers[2].has_log = false; /* void: what it replayed is none of ours */
    r = decide(offers, 4);
    assert_int_equal(r.base[0][0], 12);
    assert_false(r.places[2].has_state);
    offers[3].has_log = false;
    r = decide(offers, 4);
    assert_int_equal(r.base[0][0], 0);
    assert_true(r.places[2].has_state && r.places[3].has_state);
}

static void keepers_keep_a_shard_that_lost_its_members(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(17, 0xe), next = view_of(18, 0xc);
    v.members[1].subgroup = v.members[2].subgroup = TIER;
    next.members[0].subgroup = next.members[1].subgroup = TIER;
    next.members[next.count++] = (struct nx_dur_member){.node = 1, .keeper = true};
    assert_int_equal(nx_dur_members(&next), 2);
    assert_true(nx_dur_keeps(&next, 1, 0, 0));
    assert_null(nx_dur_find(&next, 1));
    struct nx_dur_offer offers[] = {offer_of(2, next, 0), offer_of(3, next, 0), offer_of(1, v, 6)};
    offers[0].subgroup = offers[1].subgroup = TIER;
    struct nx_dur_restart r = decide(offers, 2);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    r = decide(offers, 3);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_int_equal(r.base[0][0], 6);
    assert_true(r.places[2].has_state);
}

/* Of three with a log of shard 0, two have room; the third is a spare. One whose shard there is no more is one, too. */
static void a_shard_takes_no_more_than_its_most(void **state)
{
    (void)state;
    const struct nx_group_spec spec = {1, {{"KEPT", 1, 1, 2, true}}};
    struct nx_dur_view v = view_of(17, 0x1e);
    struct nx_dur_offer offers[] = {offer_of(1, v, 8), offer_of(2, v, 9), offer_of(3, v, 9),
                                    offer_of(4, v, 9)};
    offers[3].shard = 1;
    struct nx_dur_restart r = decide(offers, 4);
    assert_int_equal(r.verdict, NX_DUR_START);
    struct nx_view view = {.members_count = 4};
    for (nx_rank rank = 0; rank < 4; rank++)
        view.members[rank].node = offers[rank].node;
    nx_dur_restart_view(&r, &spec, 7, &view);
    assert_int_equal(view.vid, 18);
    assert_int_equal(view.members[0].shard, NX_SHARD_NONE); /* its log is shorter */
    assert_int_equal(view.members[1].shard, 0);
    assert_int_equal(view.members[2].shard, 0);
    assert_int_equal(view.members[3].shard, NX_SHARD_NONE);
    assert_int_equal(view.stateless, 0);
}

static void another_groups_log_is_named(void **state)
{
    (void)state;
    struct nx_dur_offer a = offer_of(1, view_of(1, 2), 0), b = offer_of(2, view_of(1, 4), 0);
    struct nx_err err = {0};
    assert_int_equal(nx_dur_same_group(&a, &b, &err), NX_OK);
    b.group_id[0] = 0xab;
    assert_int_equal(nx_dur_same_group(&a, &b, &err), NX_DENIED);
    assert_string_equal(err.text, "node 2 keeps the log of group ab000000…, node 1 that of group "
                                  "00000000…");
}

/* --- notes ------------------------------------------------------------------------------------------------ */

static void a_view_needs_half_of_each_before_it(void **state)
{
    (void)state;
    struct nx_dur_note note = offer_of(1, view_of(5, 0x3e), 0).note;
    struct nx_dur_view three = view_of(6, 0xe), two = view_of(7, 0x6);
    assert_true(nx_dur_note_may_settle(&note)); /* it is certain already */
    assert_true(nx_dur_note_add(&note, &three));
    assert_true(nx_dur_note_may_settle(&note));
    assert_true(nx_dur_note_add(&note, &two)); /* of five, of which three may not have seen it */
    assert_false(nx_dur_note_may_settle(&note));
    struct nx_dur_view back = view_of(8, 0x16);
    assert_true(nx_dur_note_add(&note, &back));
    assert_true(nx_dur_note_may_settle(&note));
    note.away = true;
    assert_false(nx_dur_note_may_settle(&note));
    nx_dur_note_settle(&note);
    assert_true(note.certain && !note.away && note.count == 1 && note.views[0].vid == 8);
}

/* Node 2 got the shard's state after the certain view and died with it: as long as its disk is all that a later view would
 * name, node 1's counts. Node 1, which had the state there, is as good as certain. */
static void a_view_waits_for_a_disk_that_has_its_shard(void **state)
{
    (void)state;
    struct nx_dur_view certain = view_of(5, 0x3e), later = view_of(7, 0x38);
    certain.members[1].stateless = true;
    for (uint32_t i = 2; i < certain.count; i++)
        certain.members[i].subgroup = TIER;
    for (uint32_t i = 0; i < later.count; i++)
        later.members[i].subgroup = TIER;
    later.members[later.count++] = (struct nx_dur_member){.node = 2, .keeper = true};
    struct nx_dur_note note = offer_of(3, certain, 0).note;
    assert_true(nx_dur_note_add(&note, &later));
    assert_false(nx_dur_note_may_settle(&note));
    note.views[1].members[later.count - 1].node = 1;
    assert_true(nx_dur_note_may_settle(&note));
    /* in which it had died and come again, with another log */
    struct nx_dur_view between = certain;
    between.vid = 6;
    between.members[0].stateless = true;
    between.members[1].stateless = false;
    note.count = 1;
    assert_true(nx_dur_note_add(&note, &between));
    later.members[later.count - 1].node = 1;
    assert_true(nx_dur_note_add(&note, &later));
    assert_false(nx_dur_note_may_settle(&note));
}

/* It comes again with its log, and gets the state from nodes that may have it in memory alone. */
static void a_log_is_spared_while_others_write_theirs(void **state)
{
    (void)state;
    struct nx_dur_view certain = view_of(5, 0xe), next = view_of(6, 0xc);
    certain.members[1].stateless = certain.members[2].stateless = true;
    struct nx_dur_note note = offer_of(2, certain, 0).note;
    assert_false(nx_dur_note_kept_without(&note, 1, 0, 0)); /* 1 died, 2 and 3 got it from 1 */
    assert_true(nx_dur_note_kept_without(&note, 2, 0, 0));
    assert_true(nx_dur_note_kept_without(&note, 1, 0, 1)); /* in which nobody is */
    assert_true(nx_dur_note_add(&note, &next));
    assert_false(nx_dur_note_kept_without(&note, 1, 0, 0));
    nx_dur_note_settle(&note);
    assert_true(nx_dur_note_kept_without(&note, 1, 0, 0));
    note.away = true;
    assert_false(nx_dur_note_kept_without(&note, 1, 0, 0));
}

/* Node 3 came after the certain view, and all who had the state in that have begun their logs anew since. */
static void a_log_of_a_later_view_holds_all(void **state)
{
    (void)state;
    struct nx_dur_view v = view_of(5, 0x6);
    struct nx_dur_offer offers[] = {offer_of(1, v, 0), offer_of(2, v, 0), offer_of(3, v, 9)};
    offers[0].has_log = offers[1].has_log = false;
    offers[2].log_vid = nx_dur_stamp(0, 5);
    assert_int_equal(decide(offers, 3).verdict, NX_DUR_WAIT);
    offers[2].log_vid = nx_dur_stamp(0, 6);
    struct nx_dur_restart r = decide(offers, 3);
    assert_int_equal(r.verdict, NX_DUR_START);
    assert_int_equal(r.base[0][0], 9);
    assert_true(r.places[2].has_state && !r.places[0].has_state);
    offers[2].log_vid = nx_dur_stamp(1, 6); /* of another incarnation */
    assert_int_equal(decide(offers, 3).verdict, NX_DUR_WAIT);
}

/* A number that a log cannot hold, or that leaves none for the views to come, is named. */
static void no_view_is_numbered_beyond_the_last(void **state)
{
    (void)state;
    const nx_vid last = NX_VID_MAX - (1 << 20);
    struct nx_dur_offer offers[] = {offer_of(1, view_of(last, 0x6), 9),
                                    offer_of(2, view_of(last - 1, 0x6), 9)};
    struct nx_dur_restart r = decide(offers, 2);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    assert_non_null(strstr(r.why.text, "the disk of node 1 tells of view 4293918719, and no group "
                                       "goes on from beyond 4293918718"));
    offers[0] = offer_of(1, view_of(last - 1, 0x6), 9);
    assert_int_equal(decide(offers, 2).verdict, NX_DUR_START);
    assert_int_equal(decide(offers, 2).vid, last);
    offers[1].log_vid = UINT32_MAX; /* a log, not a note */
    r = decide(offers, 2);
    assert_int_equal(r.verdict, NX_DUR_WAIT);
    assert_non_null(strstr(r.why.text, "the disk of node 2 tells of view 4294967295"));

    uint8_t bytes[NX_DUR_NOTE_BYTES_MAX];
    struct nx_err err = {0};
    struct nx_dur_note note = offer_of(1, view_of(NX_VID_MAX, 0x6), 9).note, read;
    size_t len = nx_dur_note_encode(&note, bytes, sizeof bytes);
    assert_int_equal(nx_dur_note_decode(bytes, len, &read, &err), NX_OK);
    note.views[0].vid++;
    len = nx_dur_note_encode(&note, bytes, sizeof bytes);
    assert_int_equal(nx_dur_note_decode(bytes, len, &read, &err), NX_CORRUPT);
    assert_string_equal(err.text, "view 1 of 1 in the view note has the number 4294967296: at most "
                                  "4294967295");
}

static void a_note_does_not_grow_by_the_same_again(void **state)
{
    (void)state;
    struct nx_dur_note note = offer_of(1, view_of(5, 0xe), 0).note;
    for (nx_vid vid = 6; vid < 40; vid++) {
        struct nx_dur_view v = view_of(vid, 0x6);
        assert_true(nx_dur_note_add(&note, &v));
    }
    assert_int_equal(note.count, 2);
    assert_int_equal(nx_dur_newest(&note)->vid, 39);
    for (nx_vid vid = 40; vid < 50; vid++) {
        struct nx_dur_view v = view_of(vid, vid % 2 ? 0x6 : 0xa);
        assert_true(nx_dur_note_add(&note, &v));
    }
    struct nx_dur_view v = view_of(50, 0x2);
    assert_false(nx_dur_note_add(&note, &v)); /* full */
    assert_false(nx_dur_note_add(&note, &(struct nx_dur_view){.vid = 3, .count = 1}));
}

static void who_went_another_way_does_not_join(void **state)
{
    (void)state;
    struct nx_dur_note note = offer_of(1, view_of(20, 0xe), 0).note;
    struct nx_dur_view view = view_of(22, 0x30);
    struct nx_err err = {0};
    assert_int_equal(nx_dur_may_join(&note, &view, &err), NX_OK);
    note.views[0].incarnation = 7;
    assert_int_equal(nx_dur_may_join(&note, &view, &err), NX_DENIED);
    view.incarnation = 8;
    view.since = 21;
    assert_int_equal(nx_dur_may_join(&note, &view, &err), NX_OK);
    struct nx_dur_view fork = view_of(21, 0xe);
    assert_true(nx_dur_note_add(&note, &fork));
    assert_true(nx_dur_note_join(&note, &view));
    assert_int_equal(note.count, 2); /* the fork is disproved */
    assert_int_equal(note.views[1].vid, 22);
    assert_true(note.away);
}

static void a_note_is_read_as_written_or_refused(void **state)
{
    (void)state;
    uint8_t bytes[NX_DUR_NOTE_BYTES_MAX];
    struct nx_dur_note note = offer_of(1, view_of(5, 0x3e), 0).note, read;
    struct nx_dur_view next = view_of(6, 0xe);
    struct nx_err err = {0};
    next.members[1].stateless = true;
    next.members[next.count++] = (struct nx_dur_member){.node = 9, .shard = 1, .keeper = true};
    assert_true(nx_dur_note_add(&note, &next));
    size_t len = nx_dur_note_encode(&note, bytes, sizeof bytes);
    assert_int_equal(nx_dur_note_decode(bytes, len, &read, &err), NX_OK);
    assert_memory_equal(&read, &note, sizeof note);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(nx_dur_note_decode(bytes, cut, &read, &err), NX_CORRUPT);
    assert_int_equal(nx_dur_note_decode(bytes, len + 1, &read, &err), NX_CORRUPT);
}

/* Whatever a node says, deciding ends with a verdict. */
static void noise_is_no_harm(void **state)
{
    (void)state;
    struct nx_prng prng;
    nx_prng_init(&prng, 5);
    uint32_t read = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        uint8_t bytes[NX_DUR_NOTE_BYTES_MAX];
        struct nx_dur_offer offers[3];
        for (uint32_t i = 0; i < 3; i++) {
            struct nx_dur_view v = view_of(4 + nx_prng_below(&prng, 3), 0xe);
            offers[i] = offer_of(i + 1, v, nx_prng_below(&prng, 9));
            size_t len = nx_dur_note_encode(&offers[i].note, bytes, sizeof bytes);
            bytes[nx_prng_below(&prng, len)] = (uint8_t)nx_prng_u64(&prng);
            if (nx_dur_note_decode(bytes, len, &offers[i].note, NULL) == NX_OK)
                read++;
            else
                offers[i].has_note = false;
        }
        struct nx_dur_restart r = decide(offers, 3);
        assert_true(r.verdict <= NX_DUR_START);
    }
    assert_true(read > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_disks_are_a_new_group),
        cmocka_unit_test(the_longest_log_is_the_truth),
        cmocka_unit_test(logs_of_two_histories_are_not_mixed),
        cmocka_unit_test(a_stale_minority_waits_and_says_for_whom),
        cmocka_unit_test(exactly_the_majorities_start),
        cmocka_unit_test(a_newer_certain_view_counts_for_all),
        cmocka_unit_test(a_view_that_may_be_certain_elsewhere_counts),
        cmocka_unit_test(an_empty_disk_does_not_vote),
        cmocka_unit_test(a_first_view_that_failed_may_begin_anew),
        cmocka_unit_test(joiners_alone_wait_for_who_was_there),
        cmocka_unit_test(somebody_must_bring_each_shard),
        cmocka_unit_test(a_shard_that_nobody_stood_in_goes_on_with_a_log),
        cmocka_unit_test(keepers_keep_a_shard_that_lost_its_members),
        cmocka_unit_test(a_shard_takes_no_more_than_its_most),
        cmocka_unit_test(another_groups_log_is_named),
        cmocka_unit_test(a_view_needs_half_of_each_before_it),
        cmocka_unit_test(a_view_waits_for_a_disk_that_has_its_shard),
        cmocka_unit_test(a_log_is_spared_while_others_write_theirs),
        cmocka_unit_test(a_log_of_a_later_view_holds_all),
        cmocka_unit_test(no_view_is_numbered_beyond_the_last),
        cmocka_unit_test(a_note_does_not_grow_by_the_same_again),
        cmocka_unit_test(who_went_another_way_does_not_join),
        cmocka_unit_test(a_note_is_read_as_written_or_refused),
        cmocka_unit_test(noise_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
