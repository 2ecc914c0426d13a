#include "group/log/plog_note.h"
#include "group/log/plog_segment.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SALT = 4711 };

static const struct nx_plog_owner owner = {.group_id = "0123456789abcde", .shard = "TIER.0"};

static struct nx_record make(nx_seq version, nx_seq durable, const char *text)
{
    return (struct nx_record){.version = version,
                              .previous = version - 1,
                              .durable = durable,
                              .vid = 3,
                              .kind = 9,
                              .payload = (const uint8_t *)text,
                              .payload_bytes = (uint32_t)strlen(text)};
}

/* Three records at dst: versions 0, 1, 2; each knows the one before the one before to be durable. */
static size_t three_records(uint8_t *dst, size_t ends[3])
{
    size_t at = 0;
    const char *texts[] = {"hello", "", "a longer record than the others"};
    for (nx_seq v = 0; v < 3; v++) {
        struct nx_record r = make(v, v == 2 ? 0 : NX_SEQ_NONE, texts[v]);
        nx_record_encode(&r, SALT, dst + at);
        at += nx_record_bytes(r.payload_bytes);
        ends[v] = at;
    }
    return at;
}

static void records_come_back_in_order(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[3], len = three_records(bytes, ends);
    struct nx_segment_scan scan = {.bytes = bytes, .len = len, .salt = SALT, .last = NX_SEQ_NONE};
    struct nx_record r;
    struct nx_err err = {0};
    for (nx_seq v = 0; v < 3; v++) {
        assert_int_equal(nx_segment_scan_next(&scan, &r, &err), NX_OK);
        assert_int_equal(r.version, v);
        assert_int_equal(scan.offset, ends[v]);
        assert_int_equal(r.vid, 3);
        assert_int_equal(r.kind, 9);
    }
    assert_memory_equal(r.payload, "a longer record than the others", r.payload_bytes);
    assert_int_equal(nx_segment_scan_next(&scan, &r, &err), NX_NOT_FOUND);
}

/* P3: whatever bit flips and wherever it ends, what is scanned is what was written, or less. */
static void no_flipped_or_cut_record_is_believed(void **state)
{
    (void)state;
    uint8_t good[512], bad[512];
    size_t ends[3], len = three_records(good, ends);
    for (size_t bit = 0; bit < len * 8; bit++) {
        memcpy(bad, good, len);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct nx_segment_scan scan = {.bytes = bad, .len = len, .salt = SALT, .last = NX_SEQ_NONE};
        struct nx_record r;
        struct nx_err err = {0};
        size_t from = 0;
        while (nx_segment_scan_next(&scan, &r, &err) == NX_OK) {
            assert_memory_equal(bad + from, good + from, NX_RECORD_HEAD_BYTES + r.payload_bytes);
            from = scan.offset;
        }
        bool in_padding = scan.offset == len;
        assert_true(in_padding || (err.status == NX_CORRUPT && err.text[0]));
        assert_true(in_padding || bit / 8 >= scan.offset);
    }
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, good, cut);
        struct nx_segment_scan scan = {
            .bytes = exact, .len = cut, .salt = SALT, .last = NX_SEQ_NONE};
        struct nx_record r;
        size_t believed = 0;
        while (nx_segment_scan_next(&scan, &r, NULL) == NX_OK)
            believed++;
        assert_int_equal(believed, (cut >= ends[0]) + (cut >= ends[1]));
        free(exact);
    }
}

static void a_later_record_bears_witness(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[3], len = three_records(bytes, ends);
    assert_true(nx_segment_has_witness(bytes, len, 0, SALT, NX_SEQ_NONE));
    assert_true(nx_segment_has_witness(bytes, len, ends[0], SALT, NX_SEQ_NONE));
    assert_false(nx_segment_has_witness(bytes, len, ends[0], SALT, 0)); /* 1 is not known durable */
    assert_false(nx_segment_has_witness(bytes, len, ends[2], SALT, NX_SEQ_NONE));
    assert_false(nx_segment_has_witness(bytes, len, 0, SALT + 1, NX_SEQ_NONE)); /* another log's */
}

static void a_record_of_another_log_is_none(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[3], len = three_records(bytes, ends), taken;
    struct nx_record r;
    struct nx_err err = {0};
    assert_int_equal(nx_record_decode(bytes, len, SALT + 1, &r, &taken, &err), NX_CORRUPT);
    assert_string_equal(err.text, "a record's head fails its checksum");
}

static void a_missing_version_is_seen(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[3], len = three_records(bytes, ends);
    struct nx_segment_scan scan = {
        .bytes = bytes + ends[0], .len = len - ends[0], .salt = SALT, .last = NX_SEQ_NONE};
    struct nx_record r;
    struct nx_err err = {0};
    assert_int_equal(nx_segment_scan_next(&scan, &r, &err), NX_CORRUPT);
    assert_string_equal(err.text, "version 1 follows -1; it names 0 before it");
}

static void heads_say_what_is_wrong(void **state)
{
    (void)state;
    uint8_t bytes[NX_SEGMENT_HEAD_BYTES];
    struct nx_segment_head head = {.owner = owner, .index = 7, .base = 41, .salt = SALT}, back;
    struct nx_err err = {0};
    nx_segment_encode_head(&head, bytes);
    assert_int_equal(nx_segment_decode_head(bytes, sizeof bytes, &back, &err), NX_OK);
    assert_int_equal(back.index, 7);
    assert_int_equal(back.base, 41);
    assert_int_equal(nx_plog_owner_check(&back.owner, &owner, &err), NX_OK);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(nx_segment_decode_head(bytes, sizeof bytes, &back, &err), NX_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bytes[8] = 2;
    assert_int_equal(nx_segment_decode_head(bytes, sizeof bytes, &back, &err), NX_UNSUPPORTED);
    assert_string_equal(err.text, "log format 2; this program reads format 1");
    assert_int_equal(nx_segment_decode_head(bytes, 100, &back, &err), NX_CORRUPT);
    assert_string_equal(err.text, "a segment of 100 bytes; its head alone has 128");

    struct nx_plog_owner other = owner;
    strcpy(other.shard, "TIER.1");
    assert_int_equal(nx_plog_owner_check(&other, &owner, &err), NX_DENIED);
    assert_string_equal(err.text, "the log of shard \"TIER.1\"; this one is \"TIER.0\"");
    other.group_id[0]++;
    assert_int_equal(nx_plog_owner_check(&other, &owner, &err), NX_DENIED);
    assert_non_null(strstr(err.text, "another group: 31313233"));
}

static void notes_are_whole_or_refused(void **state)
{
    (void)state;
    uint8_t note[NX_NOTE_HEAD_BYTES + 5];
    const uint8_t *bytes;
    size_t len;
    struct nx_plog_owner back;
    struct nx_err err = {0};
    assert_int_equal(nx_note_encode(&owner, "12345", 5, note), sizeof note);
    assert_int_equal(nx_note_decode(note, sizeof note, &back, &bytes, &len, &err), NX_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(bytes, "12345", 5);
    for (size_t cut = 0; cut < sizeof note; cut++)
        assert_int_equal(nx_note_decode(note, cut, &back, &bytes, &len, &err), NX_CORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof note; bit++) {
        note[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(nx_note_decode(note, sizeof note, &back, &bytes, &len, &err), NX_OK);
        note[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_in_order),
        cmocka_unit_test(no_flipped_or_cut_record_is_believed),
        cmocka_unit_test(a_later_record_bears_witness),
        cmocka_unit_test(a_record_of_another_log_is_none),
        cmocka_unit_test(a_missing_version_is_seen),
        cmocka_unit_test(heads_say_what_is_wrong),
        cmocka_unit_test(notes_are_whole_or_refused),
    };
    return cmocka_run_group_tests_name("plog_segment", tests, NULL, NULL);
}
