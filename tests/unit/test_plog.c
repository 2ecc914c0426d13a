/* The log on the virtual disk, sentence by sentence of plog.h. Lives and crashes at random: test_plog_crash.c. */
#include "group/log/plog.h"
#include "nx_test.h"
#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_disk_faults calm = {.latency_min_ns = 100 * NX_US,
                                            .latency_max_ns = 100 * NX_US};

static struct nx_plog_config config_of_test(void)
{
    return (struct nx_plog_config){.owner = {.group_id = "0123456789abcde", .shard = "TIER.0"},
                                   .segment_bytes = 8192,
                                   .buffer_bytes = 4096,
                                   .salt = 1};
}

static struct nx_plog *open_log(struct sim_disk *disk, struct nx_plog_image *image)
{
    struct nx_plog_config config = config_of_test();
    struct nx_plog *log;
    struct nx_err err = {0};
    if (nx_plog_open(sim_disk_handle(disk), &config, &log, image, &err) != NX_OK)
        fail_msg("%s", err.text);
    return log;
}

static void expect_refusal(struct sim_disk *disk, enum nx_status status, const char *text)
{
    struct nx_plog_config config = config_of_test();
    struct nx_plog *log;
    struct nx_err err = {0};
    assert_int_equal(nx_plog_open(sim_disk_handle(disk), &config, &log, NULL, &err), status);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void append(struct nx_plog *log, nx_seq version, size_t len)
{
    uint8_t bytes[4096];
    memset(bytes, (int)version, sizeof bytes);
    assert_int_equal(nx_plog_append(log, version, 1, 2, bytes, len), NX_OK);
}

static void run_for(struct sim_disk *disk, struct nx_plog *log, nx_ns time)
{
    for (nx_ns end = sim_disk_now(disk) + time; sim_disk_now(disk) < end;) {
        nx_plog_poll(log, sim_disk_now(disk));
        sim_disk_advance(disk, sim_disk_now(disk) + 100 * NX_US);
    }
    nx_plog_poll(log, sim_disk_now(disk));
}

/* Versions first … last, made durable one batch after another. */
static void append_durably(struct sim_disk *disk, struct nx_plog *log, nx_seq first, nx_seq last,
                           size_t len)
{
    for (nx_seq v = first; v <= last; v++) {
        append(log, v, len);
        run_for(disk, log, NX_MS);
        assert_int_equal(nx_plog_durable(log), v);
    }
}

static size_t count_records(struct sim_disk *disk, struct nx_plog *log, nx_seq after, nx_seq *last)
{
    struct nx_plog_cursor *cursor;
    struct nx_record record;
    struct nx_err err = {0};
    enum nx_status status;
    size_t count = 0;
    *last = NX_SEQ_NONE;
    assert_int_equal(nx_plog_cursor_open(log, after, &cursor, &err), NX_OK);
    while ((status = nx_plog_cursor_next(cursor, &record, &err)) != NX_NOT_FOUND) {
        if (status == NX_AGAIN) {
            run_for(disk, log, NX_MS);
            continue;
        }
        if (status != NX_OK)
            fail_msg("%s", err.text);
        for (uint32_t i = 0; i < record.payload_bytes; i++)
            assert_int_equal(record.payload[i], (uint8_t)record.version);
        *last = record.version;
        count++;
    }
    nx_plog_cursor_close(cursor);
    return count;
}

static void checkpoint(struct sim_disk *disk, struct nx_plog *log, nx_seq version)
{
    assert_int_equal(nx_plog_checkpoint_begin(log, version, 1, NULL), NX_OK);
    assert_int_equal(nx_plog_checkpoint_write(log, "state", 5), 5);
    nx_plog_checkpoint_end(log);
    assert_int_equal(nx_plog_checkpoint_status(log, NULL), NX_AGAIN);
    run_for(disk, log, 20 * NX_MS);
    assert_int_equal(nx_plog_checkpoint_status(log, NULL), NX_OK);
    assert_int_equal(nx_plog_checkpoint_version(log), version);
}

static void what_is_appended_is_back_after_a_stop(void **state)
{
    (void)state;
    static struct nx_plog_image image;
    nx_seq last;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, &image);
    assert_true(image.empty);
    assert_int_equal(nx_plog_last(log), NX_SEQ_NONE);
    for (nx_seq v = 0; v < 30; v += 3) /* gaps are allowed */
        append(log, v, 100);
    assert_int_equal(nx_plog_durable(log), NX_SEQ_NONE); /* nothing was polled */
    nx_plog_close(log);
    log = open_log(disk, &image);
    assert_int_equal(nx_plog_last(log), 27);
    assert_int_equal(nx_plog_durable(log), 27);
    assert_int_equal(image.mark, 27);
    assert_int_equal(count_records(disk, log, NX_SEQ_NONE, &last), 10);
    assert_int_equal(count_records(disk, log, 12, &last), 5);
    assert_int_equal(last, 27);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void one_sync_covers_all_that_was_appended_meanwhile(void **state)
{
    (void)state;
    struct nx_plog_stats stats;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append(log, 0, 10);
    nx_plog_poll(log, sim_disk_now(disk));
    for (nx_seq v = 1; v <= 40; v++)
        append(log, v, 10);
    run_for(disk, log, 5 * NX_MS);
    assert_int_equal(nx_plog_durable(log), 40);
    nx_plog_get_stats(log, &stats);
    assert_int_equal(stats.batches, 2);
    nx_plog_close(log);
    sim_disk_free(disk);
}

/* P6, and the bound on memory. */
static void a_stuck_disk_delays_durability_alone(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    struct sim_disk_faults stuck = {.latency_min_ns = 100 * NX_SEC, .latency_max_ns = 100 * NX_SEC};
    sim_disk_set_faults(disk, &stuck);
    nx_ns before = sim_disk_now(disk);
    uint8_t bytes[100] = {0};
    nx_seq v = 0;
    enum nx_status status;
    while ((status = nx_plog_append(log, v, 1, 1, bytes, sizeof bytes)) == NX_OK) {
        v++;
        nx_plog_poll(log, before);
    }
    assert_int_equal(status, NX_AGAIN);
    assert_true(v > 2 * 4096 / (100 + NX_RECORD_HEAD_BYTES + 8) - 40);
    assert_true(v <= 2 * 4096 / 100);
    assert_int_equal(sim_disk_now(disk), before);
    assert_int_equal(nx_plog_durable(log), NX_SEQ_NONE);
    assert_int_equal(nx_plog_append(log, v, 1, 1, bytes, 5000), NX_TOO_LARGE);
    sim_disk_set_faults(disk, &calm);
    sim_disk_advance(disk, before + 1000 * NX_SEC);
    run_for(disk, log, 5 * NX_MS);
    assert_int_equal(nx_plog_durable(log), v - 1);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void a_full_disk_is_asked_again(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    struct sim_disk_faults full = calm;
    full.space_bytes = 600;
    sim_disk_set_faults(disk, &full);
    append(log, 0, 1000);
    run_for(disk, log, 250 * NX_MS);
    assert_int_equal(nx_plog_durable(log), NX_SEQ_NONE);
    assert_int_equal(nx_plog_status(log, NULL), NX_OK);
    assert_true(nx_plog_wake_at(log) != NX_NEVER);
    sim_disk_set_faults(disk, &calm);
    run_for(disk, log, 150 * NX_MS);
    assert_int_equal(nx_plog_durable(log), 0);
    append_durably(disk, log, 1, 3, 500);
    nx_plog_close(log);
    log = open_log(disk, NULL);
    assert_int_equal(nx_plog_last(log), 3);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void a_full_disk_does_not_hold_up_closing(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    struct sim_disk_faults full = calm;
    full.space_bytes = 1;
    sim_disk_set_faults(disk, &full);
    append(log, 0, 1000);
    nx_plog_close(log);
    sim_disk_set_faults(disk, &calm);
    log = open_log(disk, NULL);
    assert_int_equal(nx_plog_last(log), NX_SEQ_NONE);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void a_failed_disk_stops_the_log(void **state)
{
    (void)state;
    struct nx_err err = {0};
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append_durably(disk, log, 0, 0, 10);
    struct sim_disk_faults broken = calm;
    broken.eio_permille = 1000;
    sim_disk_set_faults(disk, &broken);
    append(log, 1, 10);
    run_for(disk, log, 5 * NX_MS);
    assert_int_equal(nx_plog_durable(log), 0);
    assert_int_equal(nx_plog_status(log, &err), NX_IO);
    assert_string_equal(err.text, "disk:/segment-0000000001.log: Input/output error");
    assert_int_equal(nx_plog_append(log, 2, 1, 1, "", 0), NX_IO);
    sim_disk_set_faults(disk, &calm);
    run_for(disk, log, NX_SEC); /* not tried again: what the kernel dropped cannot be known */
    assert_int_equal(nx_plog_durable(log), 0);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void segments_roll_and_a_checkpoint_removes_them(void **state)
{
    (void)state;
    static struct nx_plog_image image;
    struct nx_plog_stats stats;
    nx_seq last;
    size_t len;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append_durably(disk, log, 0, 39, 1000);
    nx_plog_get_stats(log, &stats);
    assert_int_equal(stats.segments, 6); /* 7 records each */
    assert_int_equal(count_records(disk, log, NX_SEQ_NONE, &last), 40);
    checkpoint(disk, log, 20);
    nx_plog_get_stats(log, &stats);
    assert_int_equal(stats.segments, 3); /* 0–20 are gone */
    assert_null(sim_disk_bytes(disk, "segment-0000000003.log", &len));
    assert_int_equal(nx_plog_checkpoint_begin(log, 20, 1, NULL), NX_INVALID);
    struct nx_plog_cursor *cursor;
    struct nx_record record;
    struct nx_err err = {0};
    nx_plog_cursor_open(log, 3, &cursor, &err);
    assert_int_equal(nx_plog_cursor_next(cursor, &record, &err), NX_UNAVAILABLE);
    nx_plog_cursor_close(cursor);
    nx_plog_close(log);
    log = open_log(disk, &image);
    assert_int_equal(image.checkpoint.version, 20);
    assert_int_equal(image.checkpoint.bytes, 5);
    assert_int_equal(image.first, 21);
    assert_int_equal(count_records(disk, log, 20, &last), 19);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void a_joiners_checkpoint_restarts_the_log(void **state)
{
    (void)state;
    nx_seq last;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append_durably(disk, log, 0, 3, 10);
    assert_int_equal(nx_plog_checkpoint_begin(log, 100, 5, NULL), NX_OK);
    assert_int_equal(nx_plog_append(log, 101, 5, 1, "", 0), NX_AGAIN);
    nx_plog_checkpoint_end(log);
    run_for(disk, log, 20 * NX_MS);
    assert_int_equal(nx_plog_last(log), 100);
    assert_int_equal(nx_plog_durable(log), 100);
    append_durably(disk, log, 101, 105, 10);
    nx_plog_close(log);
    log = open_log(disk, NULL);
    assert_int_equal(nx_plog_last(log), 105);
    assert_int_equal(count_records(disk, log, 100, &last), 5);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void an_aborted_checkpoint_leaves_nothing(void **state)
{
    (void)state;
    size_t len;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append_durably(disk, log, 0, 3, 10);
    assert_int_equal(nx_plog_checkpoint_begin(log, 2, 1, NULL), NX_OK);
    assert_int_equal(nx_plog_checkpoint_begin(log, 3, 1, NULL), NX_AGAIN);
    static uint8_t bytes[200000];
    assert_true(nx_plog_checkpoint_write(log, bytes, sizeof bytes) == sizeof bytes);
    run_for(disk, log, 5 * NX_MS);
    assert_non_null(sim_disk_bytes(disk, "checkpoint.tmp", &len));
    nx_plog_checkpoint_abort(log);
    assert_null(sim_disk_bytes(disk, "checkpoint.tmp", &len));
    assert_int_equal(nx_plog_checkpoint_version(log), NX_SEQ_NONE);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void segments_without_a_checkpoint_are_bounded(void **state)
{
    (void)state;
    struct nx_err err = {0};
    static uint8_t bytes[4000];
    const struct sim_disk_faults fast = {0};
    struct sim_disk *disk = sim_disk_new(1, &fast);
    struct nx_plog *log = open_log(disk, NULL);
    while (nx_plog_status(log, &err) == NX_OK && nx_plog_last(log) < 3000) {
        nx_plog_append(log, nx_plog_last(log) + 1, 1, 1, bytes, sizeof bytes);
        nx_plog_poll(log, sim_disk_now(disk));
        sim_disk_advance(disk, sim_disk_now(disk) + NX_US);
    }
    assert_int_equal(nx_plog_status(log, NULL), NX_TOO_LARGE);
    assert_string_equal(err.text, "disk:: 1024 segments and no checkpoint over them");
    nx_seq durable = nx_plog_durable(log);
    nx_plog_close(log);
    log = open_log(disk, NULL); /* what is there is there */
    assert_int_equal(nx_plog_last(log), durable);
    checkpoint(disk, log, durable);
    append_durably(disk, log, durable + 1, durable + 2, 100);
    nx_plog_close(log);
    sim_disk_free(disk);
}

static void rot_is_refused_with_its_place(void **state)
{
    (void)state;
    size_t len;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append_durably(disk, log, 0, 9, 1000);
    nx_plog_close(log);
    uint8_t *second = sim_disk_bytes(disk, "segment-0000000002.log", &len);
    second[NX_SEGMENT_HEAD_BYTES + 100] ^= 1; /* a later record witnesses */
    expect_refusal(disk, NX_CORRUPT,
                   "disk:/segment-0000000002.log:128: version 7 fails its checksum");
    second[NX_SEGMENT_HEAD_BYTES + 100] ^= 1;
    second[len - 20] ^= 1; /* the last record: the mark witnesses */
    expect_refusal(disk, NX_CORRUPT, "by the mark version 9 was on disk");
    second[len - 20] ^= 1;
    sim_disk_bytes(disk, "segment-0000000001.log", &len)[5000] ^= 1;
    expect_refusal(disk, NX_CORRUPT, "segment-0000000001.log:4352: version 4 fails");
    sim_disk_bytes(disk, "segment-0000000001.log", &len)[5000] ^= 1;
    nx_plog_close(open_log(disk, NULL)); /* as it was */
    sim_disk_free(disk);
}

static void remove_file(struct sim_disk *disk, const char *name)
{
    struct nx_disk_request remove = {.kind = NX_DISK_REMOVE};
    strcpy(remove.name, name);
    assert_int_equal(nx_disk_run(sim_disk_handle(disk), &remove, NULL), NX_OK);
}

static void missing_files_are_missed(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) {
        char name[64];
        const char *why[] = {"the log begins after version 6", "segments 2 to 2 are missing",
                             "version 14 was on disk; the log ends with 13"};
        struct sim_disk *disk = sim_disk_new(1, &calm);
        struct nx_plog *log = open_log(disk, NULL);
        append_durably(disk, log, 0, 14, 1000);
        nx_plog_close(log);
        snprintf(name, sizeof name, "segment-%010d.log", i);
        remove_file(disk, name);
        expect_refusal(disk, NX_CORRUPT, why[i - 1]);
        sim_disk_free(disk);
    }
}

static void strangers_are_refused(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    struct nx_plog *log;
    struct nx_plog_config config = config_of_test();
    struct nx_err err = {0};
    config.owner.group_id[3] ^= 1;
    assert_int_equal(nx_plog_open(sim_disk_handle(disk), &config, &log, NULL, &err), NX_OK);
    nx_plog_close(log);
    expect_refusal(disk, NX_DENIED,
                   "disk:/segment-0000000001.log:0: the log of another group: 3031323234");
    sim_disk_put(disk, "segment-0000000001.log", "rubbish", 7);
    expect_refusal(disk, NX_CORRUPT, "segment-0000000001.log:0: a segment of 7 bytes");
    remove_file(disk, "segment-0000000001.log");
    sim_disk_put(disk, "checkpoint-00000000000000000009.state", "rubbish", 7);
    expect_refusal(disk, NX_CORRUPT, "state:0: the checkpoint ends too early");
    config.buffer_bytes = 100;
    assert_int_equal(nx_plog_open(sim_disk_handle(disk), &config, &log, NULL, &err), NX_INVALID);
    sim_disk_free(disk);
}

/* --- every bit, every length ---------------------------------------------------------------------------- */

struct seen {
    size_t records;
    uint32_t sum;
};

static void add_record(void *ctx, const char *name, uint64_t offset, const struct nx_record *record)
{
    struct seen *seen = ctx;
    (void)name, (void)offset;
    seen->records++;
    seen->sum = seen->sum * 31 + (uint32_t)record->version;
    for (uint32_t i = 0; i < record->payload_bytes; i++)
        seen->sum = seen->sum * 31 + record->payload[i];
}

/* NX_OK: what is read is what was written, and all of it. */
static enum nx_status inspect(struct sim_disk *disk, const struct seen *good, uint64_t *torn)
{
    static struct nx_plog_image image;
    struct seen seen = {0};
    struct nx_plog_visitor visitor = {.ctx = &seen, .record = add_record};
    struct nx_err err = {0};
    enum nx_status status = nx_plog_recover(sim_disk_handle(disk), NULL, &visitor, 0, &image, &err);
    if (status != NX_OK && err.text[0] == '\0')
        fail_msg("refused without a word");
    *torn = image.torn_bytes;
    if (status == NX_OK && good && (seen.records != good->records || seen.sum != good->sum))
        fail_msg("P3: other records are believed");
    return status;
}

static void sweep_file(struct sim_disk *disk, const char *name, const struct seen *good,
                       size_t *silent)
{
    size_t len;
    uint64_t torn;
    const uint8_t *now = sim_disk_bytes(disk, name, &len);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memcpy(bytes, now, len);
    bytes[len] = 0;
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        sim_disk_put(disk, name, bytes, len);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        *silent += inspect(disk, good, &torn) == NX_OK;
    }
    for (size_t cut = 0; cut < len; cut++) {
        sim_disk_put(disk, name, bytes, cut);
        if (inspect(disk, good, &torn) == NX_OK)
            fail_msg("%s cut at %zu of %zu bytes is believed", name, cut, len);
    }
    sim_disk_put(disk, name, bytes, len + 1);
    if (inspect(disk, good, &torn) == NX_OK && torn != 1)
        fail_msg("%s: a byte behind its end is passed over", name);
    sim_disk_put(disk, name, bytes, len);
    assert_int_equal(inspect(disk, good, &torn), NX_OK);
    free(bytes);
}

/* P3 for a log that was stopped cleanly: a checkpoint, a segment, a mark. Only in the bytes that
 * pad a record to a multiple of 8 a flipped bit is nobody's, and they hold nothing. */
static void no_flipped_bit_and_no_cut_file_is_passed_over(void **state)
{
    (void)state;
    enum { BYTES = 11 };
    struct sim_disk *disk = sim_disk_new(14, &calm);
    struct nx_plog *log = open_log(disk, NULL);
    append_durably(disk, log, 0, 0, BYTES);
    checkpoint(disk, log, 0);
    append_durably(disk, log, 1, 4, BYTES);
    nx_plog_close(log);
    struct seen good = {0};
    struct nx_plog_visitor visitor = {.ctx = &good, .record = add_record};
    static struct nx_plog_image image;
    assert_int_equal(nx_plog_recover(sim_disk_handle(disk), NULL, &visitor, 0, &image, NULL),
                     NX_OK);
    char names[8][NX_DISK_NAME_BYTES];
    size_t files = 0, silent = 0;
    for (const char *name; files < 8 && (name = sim_disk_name(disk, files)); files++)
        snprintf(names[files], NX_DISK_NAME_BYTES, "%s", name);
    assert_int_equal(files, 3);
    for (size_t i = 0; i < files; i++)
        sweep_file(disk, names[i], &good, &silent);
    assert_int_equal(silent,
                     good.records * 8 * (nx_record_bytes(BYTES) - NX_RECORD_HEAD_BYTES - BYTES));
    sim_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_back_after_a_stop),
        cmocka_unit_test(one_sync_covers_all_that_was_appended_meanwhile),
        cmocka_unit_test(a_stuck_disk_delays_durability_alone),
        cmocka_unit_test(a_full_disk_is_asked_again),
        cmocka_unit_test(a_full_disk_does_not_hold_up_closing),
        cmocka_unit_test(a_failed_disk_stops_the_log),
        cmocka_unit_test(segments_roll_and_a_checkpoint_removes_them),
        cmocka_unit_test(a_joiners_checkpoint_restarts_the_log),
        cmocka_unit_test(an_aborted_checkpoint_leaves_nothing),
        cmocka_unit_test(segments_without_a_checkpoint_are_bounded),
        cmocka_unit_test(rot_is_refused_with_its_place),
        cmocka_unit_test(missing_files_are_missed),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(no_flipped_bit_and_no_cut_file_is_passed_over),
    };
    return cmocka_run_group_tests_name("plog", tests, NULL, NULL);
}
