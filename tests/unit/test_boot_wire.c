#include "group/fabric/boot_wire.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct nx_boot_hello sample_hello(void)
{
    struct nx_boot_hello h = {
        .version = NX_BOOT_VERSION,
        .layout_hash = 0x1122334455667788,
        .members_max = 8,
        .first_view_nodes = 3,
        .timeout_ms = 3 * 500,
        .provider = "tcp",
        .spec = {2, {{"FUNCTION_TIER", 1, 1, 2, false}, {"CATEGORIZER_TIER", 2, 1, 4, true}}},
        .node = 7,
        .subgroup = 1,
        .gms_port = 23580,
        .clock = 1700000000 * NX_SEC,
        .host = "127.0.0.1",
        .card = {.address_bytes = 16, .region_base = 5, .region_key = 6},
    };
    memset(h.card.address, 0xab, 16);
    return h;
}

static struct nx_boot_view sample_view(uint32_t members)
{
    struct nx_boot_view v = {
        .token = 99, .rank = members - 1, .peers = NX_RANK_BIT(members - 1) - 1};
    v.view.vid = 9;
    v.view.group_id[0] = 77;
    v.view.group_id[1] = UINT64_MAX;
    v.view.members_count = members;
    v.view.stateless = 1;
    v.view.base[1][0] = 1000;
    v.view.keepers_count = NX_KEEPERS_MAX;
    for (uint32_t i = 0; i < NX_KEEPERS_MAX; i++)
        v.view.keepers[i] =
            (struct nx_keeper){.node = 500 + i, .subgroup = 1, .shard = i, .vid = 8, .late = i % 2};
    for (uint32_t s = 0; s < members; s++)
        v.view.base[3][s] = s + 1;
    for (uint32_t i = 0; i < members; i++) {
        v.view.members[i].node = 10 + i;
        v.view.members[i].subgroup = i % 2;
        v.view.members[i].shard = i == 2 ? NX_SHARD_NONE : i % 5;
        v.view.members[i].since = 1 + i % 9;
        v.view.members[i].gms_port = (uint16_t)(1000 + i);
        memset(v.view.members[i].host, 'h', sizeof v.view.members[i].host - 1);
        v.cards[i].address_bytes = NX_ADDRESS_BYTES;
        v.cards[i].region_key = i;
        memset(v.cards[i].address, (int)i, NX_ADDRESS_BYTES);
        memset(v.view.members[i].address, (int)i, NX_ADDRESS_BYTES);
        v.view.members[i].address_bytes = NX_ADDRESS_BYTES;
    }
    return v;
}

static enum nx_status find(const uint8_t *frame, size_t len, enum nx_boot_kind *kind,
                           const uint8_t **payload, size_t *payload_len)
{
    struct nx_err err = {0};
    return nx_boot_find_frame(frame, len, kind, payload, payload_len, &err);
}

static void a_hello_comes_back_as_it_was(void **state)
{
    (void)state;
    struct nx_boot_hello h = sample_hello(), back;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_hello(&h, frame), len;
    enum nx_boot_kind kind;
    const uint8_t *payload;
    struct nx_err err = {0};
    assert_int_equal(find(frame, bytes, &kind, &payload, &len), NX_OK);
    assert_int_equal(kind, NX_BOOT_HELLO);
    assert_int_equal(nx_boot_decode_hello(payload, len, &back, &err), NX_OK);
    assert_string_equal(back.spec.subgroups[1].name, "CATEGORIZER_TIER");
    assert_true(back.spec.subgroups[1].persistent && !back.spec.subgroups[0].persistent);
    assert_int_equal(back.node, 7);
    assert_int_equal(back.gms_port, 23580);
    assert_true(back.clock == h.clock);
    assert_memory_equal(&back.card, &h.card, sizeof h.card);
    assert_int_equal(nx_boot_compare(&h, &back, &err), NX_OK);
}

/* All that a legal configuration and the longest note can bring: every text, count and list at its bound. */
static void the_largest_hello_fits_a_frame(void **state)
{
    (void)state;
    struct nx_boot_hello *h = calloc(1, sizeof *h), *back = calloc(1, sizeof *back);
    assert_true(h && back);
    *h = sample_hello();
    memset(h->provider, 'p', sizeof h->provider - 1);
    memset(h->host, 'h', sizeof h->host - 1);
    h->members_max = h->first_view_nodes = NX_MEMBERS_MAX;
    h->spec.subgroups_count = NX_SUBGROUPS_MAX;
    for (uint32_t g = 0; g < NX_SUBGROUPS_MAX; g++) {
        memset(h->spec.subgroups[g].name, 'a' + (int)g, NX_SUBGROUP_NAME_BYTES - 1);
        h->spec.subgroups[g].num_shards = NX_SHARDS_MAX;
        h->spec.subgroups[g].persistent = true;
    }
    h->card.address_bytes = NX_ADDRESS_BYTES;
    h->offer.has_note = h->offer.has_log = true;
    h->offer.places = INT64_MAX >> 16;
    h->offer.note.certain = h->offer.note.away = h->offer.note.void_log = true;
    h->offer.note.count = NX_DUR_VIEWS_MAX;
    for (uint32_t v = 0; v < NX_DUR_VIEWS_MAX; v++) {
        struct nx_dur_view *view = &h->offer.note.views[v];
        view->vid = NX_VID_MAX - NX_DUR_VIEWS_MAX + v;
        view->count = NX_DUR_MEMBERS_MAX;
        for (uint32_t m = 0; m < NX_DUR_MEMBERS_MAX; m++)
            view->members[m] = (struct nx_dur_member){
                .node = UINT32_MAX - m, .subgroup = 1, .keeper = m >= NX_MEMBERS_MAX};
    }
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_err err = {0};
    size_t bytes = nx_boot_encode_hello(h, frame);
    assert_true(bytes + NX_BOOT_SEAL_BYTES_MAX <= NX_BOOT_FRAME_MAX);
    assert_int_equal(
        nx_boot_decode_hello(frame + NX_BOOT_HEAD_BYTES, bytes - NX_BOOT_HEAD_BYTES, back, &err),
        NX_OK);
    assert_memory_equal(&back->offer.note, &h->offer.note, sizeof h->offer.note);
    assert_memory_equal(&back->spec, &h->spec, sizeof h->spec);
    free(h);
    free(back);
}

static void the_largest_view_fits_a_frame(void **state)
{
    (void)state;
    struct nx_boot_view v = sample_view(NX_MEMBERS_MAX), back;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_view(NX_BOOT_VIEW, &v, frame), len;
    enum nx_boot_kind kind;
    const uint8_t *payload;
    struct nx_err err = {0};
    assert_true(bytes <= NX_BOOT_FRAME_MAX);
    assert_int_equal(find(frame, bytes, &kind, &payload, &len), NX_OK);
    assert_int_equal(nx_boot_decode_view(NX_BOOT_VIEW, payload, len, &back, &err), NX_OK);
    assert_memory_equal(&back.view, &v.view, sizeof v.view);
    assert_memory_equal(back.cards, v.cards, sizeof v.cards);
    assert_int_equal(back.rank, NX_MEMBERS_MAX - 1);
}

/* Who is gone is not told of; the seat stays. */
static void a_vacant_seat_comes_back_vacant(void **state)
{
    (void)state;
    struct nx_boot_view v = sample_view(4), back;
    v.view.vacant = 2 | 4;
    v.peers = 1;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_err err = {0};
    size_t len = nx_boot_encode_view(NX_BOOT_VIEW, &v, frame) - NX_BOOT_HEAD_BYTES;
    assert_int_equal(
        nx_boot_decode_view(NX_BOOT_VIEW, frame + NX_BOOT_HEAD_BYTES, len, &back, &err), NX_OK);
    assert_int_equal(nx_view_ranks(&back.view), 1 | 8);
    assert_int_equal(back.view.members[3].node, 13);
    assert_int_equal(back.view.members[1].node, 0);
}

static void expect_view_refused(const struct nx_boot_view *v, const char *words)
{
    struct nx_boot_view back;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_err err = {0};
    size_t len = nx_boot_encode_view(NX_BOOT_VIEW, v, frame) - NX_BOOT_HEAD_BYTES;
    assert_int_equal(
        nx_boot_decode_view(NX_BOOT_VIEW, frame + NX_BOOT_HEAD_BYTES, len, &back, &err),
        NX_CORRUPT);
    assert_non_null(strstr(err.text, words));
}

static void an_impossible_view_is_refused(void **state)
{
    (void)state;
    struct nx_boot_view good = sample_view(3), v = good;
    v.view.members[1].since = 10;
    expect_view_refused(&v, "member 1");
    v = good;
    v.view.members[2].since = 0;
    expect_view_refused(&v, "member 2");
    v = good;
    v.view.members[0].shard = NX_SHARDS_MAX;
    expect_view_refused(&v, "member 0");
    v = good;
    v.view.vacant = 4; /* whom it is for */
    expect_view_refused(&v, "head");
    v = good;
    v.view.vacant = 8;
    expect_view_refused(&v, "head");
    v = good;
    v.view.stateless = 8;
    expect_view_refused(&v, "head");
    v = good;
    v.view.vid = 0;
    expect_view_refused(&v, "head");
    v = good;
    v.view.vid = NX_VID_MAX + 1;
    expect_view_refused(&v, "head");
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_boot_hello h = sample_hello();
    struct nx_boot_view v = sample_view(3), view;
    struct nx_err err = {0};
    size_t bytes = nx_boot_encode_hello(&h, frame), len;
    enum nx_boot_kind kind;
    const uint8_t *payload;
    for (size_t cut = 0; cut < bytes; cut++) {
        assert_int_equal(find(frame, cut, &kind, &payload, &len), NX_AGAIN);
        if (cut >= NX_BOOT_HEAD_BYTES)
            assert_int_not_equal(nx_boot_decode_hello(frame + NX_BOOT_HEAD_BYTES,
                                                      cut - NX_BOOT_HEAD_BYTES, &h, &err),
                                 NX_OK);
    }
    bytes = nx_boot_encode_view(NX_BOOT_VIEW, &v, frame);
    for (size_t cut = NX_BOOT_HEAD_BYTES; cut < bytes; cut++)
        assert_int_equal(nx_boot_decode_view(NX_BOOT_VIEW, frame + NX_BOOT_HEAD_BYTES,
                                             cut - NX_BOOT_HEAD_BYTES, &view, &err),
                         NX_CORRUPT);
    /* and one byte too many is too */
    assert_int_equal(nx_boot_decode_view(NX_BOOT_VIEW, frame + NX_BOOT_HEAD_BYTES,
                                         bytes - NX_BOOT_HEAD_BYTES + 1, &view, &err),
                     NX_CORRUPT);
}

static void a_frame_that_is_none_is_corrupt_at_its_head(void **state)
{
    (void)state;
    struct nx_err err = {0};
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len;
    const uint8_t http[] = "GET / HTTP/1.1\r\n";
    assert_int_equal(nx_boot_find_frame(http, sizeof http, &kind, &payload, &len, &err),
                     NX_CORRUPT);
    const uint8_t empty[] = {0, 0, 0, 0, 1};
    assert_int_equal(nx_boot_find_frame(empty, 5, &kind, &payload, &len, &err), NX_CORRUPT);
    const uint8_t odd[] = {1, 0, 0, 0, 77};
    assert_int_equal(nx_boot_find_frame(odd, 5, &kind, &payload, &len, &err), NX_CORRUPT);
}

static void another_version_is_named(void **state)
{
    (void)state;
    struct nx_boot_hello h = sample_hello(), back;
    struct nx_err err = {0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    h.version = 9;
    size_t bytes = nx_boot_encode_hello(&h, frame);
    assert_int_equal(
        nx_boot_decode_hello(frame + NX_BOOT_HEAD_BYTES, bytes - NX_BOOT_HEAD_BYTES, &back, &err),
        NX_DENIED);
    assert_string_equal(err.text, "you speak version 9 of the bootstrap protocol, this group 3");
}

static void unprintable_and_overlong_text_is_refused(void **state)
{
    (void)state;
    struct nx_boot_hello h = sample_hello(), back;
    struct nx_err err = {0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    h.host[3] = '\n';
    size_t bytes = nx_boot_encode_hello(&h, frame);
    assert_int_equal(
        nx_boot_decode_hello(frame + NX_BOOT_HEAD_BYTES, bytes - NX_BOOT_HEAD_BYTES, &back, &err),
        NX_CORRUPT);
    assert_non_null(strstr(err.text, "host"));
    memset(h.host, 'x', sizeof h.host - 1); /* the longest that fits does */
    bytes = nx_boot_encode_hello(&h, frame);
    assert_int_equal(
        nx_boot_decode_hello(frame + NX_BOOT_HEAD_BYTES, bytes - NX_BOOT_HEAD_BYTES, &back, &err),
        NX_OK);
}

static void expect_difference(const struct nx_boot_hello *joiner, const char *words)
{
    struct nx_boot_hello leader = sample_hello();
    struct nx_err err = {0};
    assert_int_equal(nx_boot_compare(&leader, joiner, &err), NX_DENIED);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void the_first_difference_is_named(void **state)
{
    (void)state;
    struct nx_boot_hello h = sample_hello();
    h.first_view_nodes = 2;
    expect_difference(&h, "first_view_nodes is 2 at your node and 3 at the leader");
    h = sample_hello();
    h.members_max = 4;
    expect_difference(&h, "members_max is 4 at your node and 8 at the leader");
    h = sample_hello();
    h.timeout_ms = 3 * 700;
    expect_difference(&h, "heartbeat_ms (a third of the timeout) is 700 at your node and 500 at");
    h = sample_hello();
    strcpy(h.provider, "verbs");
    expect_difference(&h, "provider is verbs at your node and tcp at the leader");
    h = sample_hello();
    h.spec.subgroups_count = 1;
    expect_difference(&h, "number of subgroups is 1");
    h = sample_hello();
    strcpy(h.spec.subgroups[1].name, "OTHER");
    expect_difference(&h, "OTHER at your node and CATEGORIZER_TIER at the leader");
    h = sample_hello();
    h.spec.subgroups[1].num_shards = 1;
    expect_difference(&h, "num_shards of CATEGORIZER_TIER is 1 at your node and 2");
    h = sample_hello();
    h.spec.subgroups[0].min_nodes = 2;
    expect_difference(&h, "min_nodes of FUNCTION_TIER is 2");
    h = sample_hello();
    h.spec.subgroups[0].max_nodes = 3;
    expect_difference(&h, "max_nodes of FUNCTION_TIER is 3");
    h = sample_hello();
    h.spec.subgroups[1].persistent = false;
    expect_difference(&h, "persist of CATEGORIZER_TIER is false at your node and true at");
    h = sample_hello();
    h.subgroup = 2;
    expect_difference(&h, "you name subgroup 2, the group has 2");
    h = sample_hello();
    h.layout_hash++;
    expect_difference(&h, "hash is 1122334455667789");
}

static void a_refusal_is_cut_to_its_place(void **state)
{
    (void)state;
    char why[8];
    nx_boot_decode_reason((const uint8_t *)"too long a reason", 17, why, sizeof why);
    assert_string_equal(why, "too lon");
    nx_boot_decode_reason((const uint8_t *)"", 0, why, sizeof why);
    assert_string_equal(why, "");
    nx_boot_decode_reason((const uint8_t *)"\x1b[2J!", 5, why,
                          sizeof why); /* no terminal's command */
    assert_string_equal(why, "?[2J!");
}

/* A seat is for who is not a member yet; a welcome for who is. */
static void a_seat_is_vacant_in_its_view(void **state)
{
    (void)state;
    struct nx_boot_view v = sample_view(4), back;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_err err = {0};
    const nx_rank seats[] = {4, 1};
    v.view.vacant = 2;
    v.peers = 1 | 4; /* not the suspected one */
    for (int i = 0; i < 2; i++) {
        v.rank = seats[i];
        size_t len = nx_boot_encode_view(NX_BOOT_SEAT, &v, frame) - NX_BOOT_HEAD_BYTES;
        const uint8_t *payload = frame + NX_BOOT_HEAD_BYTES;
        assert_int_equal(nx_boot_decode_view(NX_BOOT_SEAT, payload, len, &back, &err), NX_OK);
        assert_int_equal(back.rank, seats[i]);
        assert_true(back.peers == 5);
        assert_int_equal(nx_boot_decode_view(NX_BOOT_WELCOME, payload, len, &back, &err),
                         NX_CORRUPT);
    }
    v.rank = 3;
    size_t len = nx_boot_encode_view(NX_BOOT_SEAT, &v, frame) - NX_BOOT_HEAD_BYTES;
    assert_int_equal(
        nx_boot_decode_view(NX_BOOT_SEAT, frame + NX_BOOT_HEAD_BYTES, len, &back, &err),
        NX_CORRUPT);
}

static void a_redirect_names_an_address(void **state)
{
    (void)state;
    struct nx_boot_address to = {"10.0.0.1", 23581}, back;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_err err = {0};
    size_t len = nx_boot_encode_redirect(&to, frame) - NX_BOOT_HEAD_BYTES;
    const uint8_t *payload = frame + NX_BOOT_HEAD_BYTES;
    assert_int_equal(nx_boot_decode_redirect(payload, len, &back, &err), NX_OK);
    assert_string_equal(back.host, "10.0.0.1");
    assert_int_equal(back.port, 23581);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(nx_boot_decode_redirect(payload, cut, &back, &err), NX_CORRUPT);
    to.port = 0;
    len = nx_boot_encode_redirect(&to, frame) - NX_BOOT_HEAD_BYTES;
    assert_int_equal(nx_boot_decode_redirect(payload, len, &back, &err), NX_CORRUPT);
}

static void expect_clock(nx_ns clock, const char *words)
{
    struct nx_boot_hello h = sample_hello();
    struct nx_err err = {0};
    nx_ns now = h.clock;
    h.clock = clock;
    enum nx_status status = nx_boot_compare_clocks(&h, now, 60 * NX_SEC, &err);
    assert_int_equal(status, words ? NX_DENIED : NX_OK);
    if (words && !strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void a_clock_far_off_is_named(void **state)
{
    (void)state;
    nx_ns now = sample_hello().clock;
    expect_clock(now, NULL);
    expect_clock(now + 60 * NX_SEC, NULL);
    expect_clock(now - 60 * NX_SEC, NULL);
    expect_clock(now + 93 * NX_SEC,
                 "the clock of node 7 is 93.0 s ahead of this node's, at most 60 s");
    expect_clock(now - 61 * NX_SEC, "61.0 s behind this node's");
    expect_clock(INT64_MIN, "behind this node's");
    expect_clock(INT64_MAX, "ahead of this node's");
}

/* Seeds for fuzz/corpus/fuzz_bootstrap: test_boot_wire --corpus FOLDER */
static void write_seed(const char *folder, const char *name, const uint8_t *bytes, size_t len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        abort();
}

static int write_corpus(const char *folder)
{
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_boot_hello h = sample_hello();
    struct nx_boot_view v = sample_view(3);
    write_seed(folder, "hello", frame, nx_boot_encode_hello(&h, frame));
    write_seed(folder, "view", frame, nx_boot_encode_view(NX_BOOT_VIEW, &v, frame));
    struct nx_boot_address to = {"127.0.0.1", 23580};
    struct nx_boot_probe probe = {.group_id = {1, 2}, .vid = 3, .node = 4, .alive = 5};
    write_seed(folder, "probe", frame, nx_boot_encode_probe(NX_BOOT_PROBED, &probe, frame));
    write_seed(folder, "redirect", frame, nx_boot_encode_redirect(&to, frame));
    v.rank = 3;
    write_seed(folder, "seat", frame, nx_boot_encode_view(NX_BOOT_SEAT, &v, frame));
    write_seed(folder, "refused", frame,
               nx_boot_encode_reason(NX_BOOT_REFUSED, "node id 3 is taken", frame));
    write_seed(folder, "go", frame, nx_boot_encode_empty(NX_BOOT_GO, frame));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
        return write_corpus(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_comes_back_as_it_was),
        cmocka_unit_test(the_largest_hello_fits_a_frame),
        cmocka_unit_test(the_largest_view_fits_a_frame),
        cmocka_unit_test(a_vacant_seat_comes_back_vacant),
        cmocka_unit_test(an_impossible_view_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_frame_that_is_none_is_corrupt_at_its_head),
        cmocka_unit_test(another_version_is_named),
        cmocka_unit_test(unprintable_and_overlong_text_is_refused),
        cmocka_unit_test(the_first_difference_is_named),
        cmocka_unit_test(a_refusal_is_cut_to_its_place),
        cmocka_unit_test(a_seat_is_vacant_in_its_view),
        cmocka_unit_test(a_redirect_names_an_address),
        cmocka_unit_test(a_clock_far_off_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
