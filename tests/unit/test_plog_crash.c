/* The log's promises, as a property over seeded lives: open, check, append, checkpoint, crash; again.
 *
 * Judged against a list of what was appended, which shares nothing with the log:
 *   P1  at every open, all that was ever told durable is back, in order
 *   P2  what is back is a prefix of what was appended
 *   P3  every record that is back has the bytes that were appended
 *   P6  append and poll let no virtual time pass, whatever the disk does
 * Each mutant must break one of them.  test_plog_crash [first seed] [count] */
#include "common/prng.h"
#include "group/log/plog.h"
#include "nx_test.h"
#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS_MAX = 4096, BYTES_MAX = 3000, LIVES_MAX = 6, STATE_BYTES = 40000 };

struct item {
    nx_seq version;
    uint64_t content; /* seed of its bytes */
    uint32_t bytes;
};

struct run {
    struct nx_prng prng;
    struct sim_disk *disk;
    struct nx_plog *log;
    struct nx_plog_config config;
    struct sim_disk_faults faults;
    struct item items[ITEMS_MAX];
    size_t items_count;
    nx_seq told;       /* newest version that the log said is durable */
    nx_seq checkpoint; /* newest that it said is published */
    nx_seq writing;    /* of the checkpoint under way; NX_SEQ_NONE */
    size_t written;
    bool clean, rotten; /* how the last life ended */
    char rot_name[NX_DISK_NAME_BYTES];
    char why[400];
    uint64_t opens, refused, cut, failed, checkpoints, lost, reopens;
};

static uint64_t first_seed = 1, seeds = 1500;

static bool found(struct run *run, const char *promise, const char *what, long long a, long long b)
{
    snprintf(run->why, sizeof run->why, "%s: %s (%lld, %lld)", promise, what, a, b);
    return false;
}

static void fill(uint8_t *bytes, uint32_t len, uint64_t content)
{
    struct nx_prng prng;
    nx_prng_init(&prng, content);
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)nx_prng_u64(&prng);
}

static nx_seq newest(const struct run *run)
{
    return run->items_count ? run->items[run->items_count - 1].version : NX_SEQ_NONE;
}

/* --- what came back ------------------------------------------------------------------------------------- */

struct state_check {
    uint64_t offset, content;
    bool same;
};

static enum nx_status check_state(void *ctx, const uint8_t *bytes, size_t len)
{
    struct state_check *check = ctx;
    for (size_t i = 0; i < len; i++)
        check->same &= bytes[i] == (uint8_t)((check->offset + i) * 31 + check->content);
    check->offset += len;
    return NX_OK;
}

static bool checkpoint_is_good(struct run *run, const struct nx_plog_image *image)
{
    char name[NX_DISK_NAME_BYTES];
    struct nx_checkpoint checkpoint;
    struct nx_err err = {0};
    nx_seq version = image->checkpoint.version;
    if (version < run->checkpoint)
        return found(run, "P1", "a published checkpoint is gone", run->checkpoint, version);
    if (version == NX_SEQ_NONE)
        return true;
    struct state_check check = {.content = (uint64_t)version, .same = true};
    nx_checkpoint_name(version, name);
    if (nx_checkpoint_read(sim_disk_handle(run->disk), name, check_state, &check, &checkpoint,
                           &err) != NX_OK ||
        !check.same || check.offset != STATE_BYTES)
        return found(run, "P3", "the checkpoint is another one", version, (long long)check.offset);
    run->checkpoint = version;
    return true;
}

static bool record_is_good(struct run *run, const struct nx_record *record, size_t *at)
{
    uint8_t bytes[BYTES_MAX];
    while (*at < run->items_count && run->items[*at].version < record->version &&
           run->items[*at].version <= run->checkpoint)
        ++*at;
    if (*at == run->items_count || run->items[*at].version != record->version)
        return found(run, "P2", "a version that was not appended next", record->version,
                     *at < run->items_count ? run->items[*at].version : -1);
    const struct item *item = &run->items[(*at)++];
    fill(bytes, item->bytes, item->content);
    if (record->payload_bytes != item->bytes || memcmp(record->payload, bytes, item->bytes) != 0 ||
        record->kind != (item->content & 7) || record->vid != (uint64_t)item->version / 10)
        return found(run, "P3", "a record is another one", record->version, record->payload_bytes);
    return true;
}

static bool records_are_good(struct run *run, nx_seq last)
{
    struct nx_plog_cursor *cursor;
    struct nx_record record;
    struct nx_err err = {0};
    enum nx_status status;
    size_t at = 0;
    bool good = true;
    nx_seq seen = run->checkpoint;
    assert_int_equal(nx_plog_cursor_open(run->log, run->checkpoint, &cursor, &err), NX_OK);
    while (good && (status = nx_plog_cursor_next(cursor, &record, &err)) != NX_NOT_FOUND) {
        if (status == NX_AGAIN && sim_disk_next(run->disk) != NX_NEVER)
            sim_disk_advance(run->disk, sim_disk_next(run->disk));
        nx_disk_poll(sim_disk_handle(run->disk));
        if (status != NX_AGAIN && status != NX_OK)
            good = found(run, "P1", err.text, record.version, status);
        if (good && status == NX_OK) {
            good = record_is_good(run, &record, &at);
            seen = record.version;
        }
    }
    nx_plog_cursor_close(cursor);
    if (good && seen != last)
        return found(run, "P2", "the records end before the log does", seen, last);
    return good;
}

static bool judge_open(struct run *run, const struct nx_plog_image *image)
{
    nx_seq last = nx_plog_last(run->log);
    bool may_lose = run->rotten && !run->clean && strncmp(run->rot_name, "segment", 7) == 0;
    if (nx_plog_durable(run->log) != last)
        return found(run, "P1", "recovered and not durable", last, nx_plog_durable(run->log));
    if (last < run->told && !may_lose)
        return found(run, "P1", "told durable, and gone", run->told, last);
    if (last > newest(run) && last > image->checkpoint.version)
        return found(run, "P2", "more than was appended", newest(run), last);
    run->lost += last < run->told;
    run->cut += image->torn_bytes > 0;
    if (!checkpoint_is_good(run, image) || !records_are_good(run, last))
        return false;
    while (run->items_count && newest(run) > last)
        run->items_count--;
    run->told = last;
    return true;
}

/* --- a life --------------------------------------------------------------------------------------------- */

static bool append_one(struct run *run)
{
    uint8_t bytes[BYTES_MAX];
    if (run->items_count == ITEMS_MAX)
        return true;
    struct item item = {.version = nx_plog_last(run->log) + 1,
                        .content = nx_prng_u64(&run->prng),
                        .bytes = (uint32_t)nx_prng_below(&run->prng, 100)};
    if (nx_prng_chance(&run->prng, 1, 10))
        item.version += (nx_seq)nx_prng_below(&run->prng, 5);
    if (nx_prng_chance(&run->prng, 1, 8))
        item.bytes = (uint32_t)nx_prng_below(&run->prng, BYTES_MAX + 1);
    fill(bytes, item.bytes, item.content);
    enum nx_status status = nx_plog_append(run->log, item.version, (uint64_t)item.version / 10,
                                           item.content & 7, bytes, item.bytes);
    if (status == NX_OK)
        run->items[run->items_count++] = item;
    else if (status != NX_AGAIN && nx_plog_status(run->log, NULL) == NX_OK)
        return found(run, "P6", "append refused", status, item.bytes);
    return true;
}

static void feed_checkpoint(struct run *run)
{
    uint8_t bytes[5000];
    size_t want = STATE_BYTES - run->written;
    want = want < sizeof bytes ? want : sizeof bytes;
    for (size_t i = 0; i < want; i++)
        bytes[i] = (uint8_t)((run->written + i) * 31 + (uint64_t)run->writing);
    run->written += nx_plog_checkpoint_write(run->log, bytes, want);
    if (run->written == STATE_BYTES)
        nx_plog_checkpoint_end(run->log);
}

static void work_on_checkpoint(struct run *run)
{
    if (run->writing != NX_SEQ_NONE) {
        enum nx_status status = nx_plog_checkpoint_status(run->log, NULL);
        if (status == NX_AGAIN && run->written < STATE_BYTES)
            feed_checkpoint(run);
        if (status == NX_OK) {
            run->checkpoint = run->writing;
            run->checkpoints++;
        }
        if (status != NX_AGAIN)
            run->writing = NX_SEQ_NONE;
        return;
    }
    nx_seq version = nx_plog_last(run->log);
    if (nx_prng_chance(&run->prng, 1, 4))
        version = nx_plog_durable(run->log);
    if (nx_prng_chance(&run->prng, 1, 6))
        version += (nx_seq)nx_prng_below(&run->prng, 20); /* a joiner's */
    if (nx_prng_chance(&run->prng, 1, 60) &&
        nx_plog_checkpoint_begin(run->log, version, (uint64_t)version / 10, NULL) == NX_OK) {
        run->writing = version;
        run->written = 0;
    }
}

static bool step(struct run *run)
{
    nx_ns before = sim_disk_now(run->disk);
    if (nx_prng_chance(&run->prng, 2, 3) && !append_one(run))
        return false;
    if (nx_prng_chance(&run->prng, 1, 2))
        nx_plog_poll(run->log, sim_disk_now(run->disk));
    if (sim_disk_now(run->disk) != before)
        return found(run, "P6", "a call waited for the disk", before, sim_disk_now(run->disk));
    work_on_checkpoint(run);
    if (nx_plog_durable(run->log) > run->told)
        run->told = nx_plog_durable(run->log);
    sim_disk_advance(run->disk,
                     sim_disk_now(run->disk) + (nx_ns)nx_prng_below(&run->prng, 200) * NX_US);
    return true;
}

/* Once faults stop, all that was appended becomes durable. */
static bool comes_to_rest(struct run *run)
{
    struct sim_disk_faults calm = {
        .latency_min_ns = NX_US, .latency_max_ns = NX_MS, .ignore_syncs = run->faults.ignore_syncs};
    sim_disk_set_faults(run->disk, &calm);
    for (int i = 0; i < 2000 && nx_plog_durable(run->log) < nx_plog_last(run->log); i++) {
        nx_plog_poll(run->log, sim_disk_now(run->disk));
        sim_disk_advance(run->disk, sim_disk_now(run->disk) + NX_MS);
    }
    bool stopped = nx_plog_status(run->log, NULL) != NX_OK;
    if (!stopped && nx_plog_durable(run->log) < nx_plog_last(run->log))
        return found(run, "P6", "never durable", nx_plog_last(run->log), nx_plog_durable(run->log));
    run->told = nx_plog_durable(run->log) > run->told ? nx_plog_durable(run->log) : run->told;
    return true;
}

static bool end_life(struct run *run)
{
    run->clean = nx_prng_chance(&run->prng, 1, 4);
    if (run->clean || nx_prng_chance(&run->prng, 1, 6))
        if (!comes_to_rest(run))
            return false;
    run->failed += nx_plog_status(run->log, NULL) != NX_OK;
    run->clean &= nx_plog_status(run->log, NULL) == NX_OK;
    if (!run->clean)
        sim_disk_crash(run->disk, nx_prng_chance(&run->prng, 3, 4));
    nx_plog_close(run->log);
    run->log = NULL;
    run->writing = NX_SEQ_NONE;
    if (run->clean && nx_prng_chance(&run->prng, 1, 2))
        sim_disk_crash(run->disk, true); /* after the stop: loses nothing */
    uint64_t offset;
    run->rotten =
        nx_prng_chance(&run->prng, 1, 6) && sim_disk_rot(run->disk, NULL, run->rot_name, &offset);
    return true;
}

/* The crash may come in the middle of recovering, again and again. */
static enum nx_status open_under_crashes(struct run *run, struct nx_plog_image *image,
                                         struct nx_err *err)
{
    enum nx_status status;
    do {
        bool crashes = nx_prng_chance(&run->prng, 1, 3);
        sim_disk_crash_in(run->disk, crashes ? 1 + nx_prng_below(&run->prng, 16) : 0);
        *err = (struct nx_err){.status = NX_OK};
        status = nx_plog_open(sim_disk_handle(run->disk), &run->config, &run->log, image, err);
        run->reopens += status == NX_CANCELLED;
    } while (status == NX_CANCELLED);
    sim_disk_crash_in(run->disk, 0);
    return status;
}

/* False with why: a promise is broken. *over: refused for rot, as it should be. */
static bool begin_life(struct run *run, bool *over)
{
    static struct nx_plog_image image;
    struct nx_err err = {0};
    struct sim_disk_faults calm = {.latency_min_ns = 0, .latency_max_ns = NX_MS};
    sim_disk_set_faults(run->disk, &calm);
    enum nx_status status = open_under_crashes(run, &image, &err);
    run->opens++;
    *over = status != NX_OK;
    if (status != NX_OK && run->rotten) {
        run->refused++;
        return strstr(err.text, run->rot_name) || strstr(err.text, "segment-") ||
               found(run, "P3", err.text, status, 0);
    }
    if (status != NX_OK)
        return found(run, "P1", err.text, status, 0);
    sim_disk_set_faults(run->disk, &run->faults);
    return judge_open(run, &image);
}

static void draw_faults(struct run *run, bool lying)
{
    struct nx_prng *p = &run->prng;
    run->faults =
        (struct sim_disk_faults){.latency_min_ns = 10 * NX_US,
                                 .latency_max_ns = (nx_ns)nx_prng_between(p, 20, 3000) * NX_US,
                                 .tail_ns = NX_SEC,
                                 .tail_permille = nx_prng_chance(p, 1, 3) ? 5 : 0,
                                 .eio_permille = nx_prng_chance(p, 1, 4) ? 4 : 0,
                                 .enospc_permille = nx_prng_chance(p, 1, 4) ? 20 : 0,
                                 .thin = nx_prng_chance(p, 1, 2),
                                 .ignore_syncs = lying};
}

static bool live(struct run *run)
{
    bool over;
    uint64_t lives = 2 + nx_prng_below(&run->prng, LIVES_MAX - 1);
    for (uint64_t life = 0; life < lives; life++) {
        if (!begin_life(run, &over) || over)
            return run->why[0] == 0;
        for (uint64_t n = nx_prng_below(&run->prng, 400); n > 0; n--)
            if (!step(run))
                return false;
        if (!end_life(run))
            return false;
    }
    return begin_life(run, &over);
}

static bool run_seed(struct run *run, uint64_t seed, uint32_t mutants, bool lying)
{
    memset(run, 0, offsetof(struct run, opens));
    nx_prng_init(&run->prng, seed);
    run->told = run->checkpoint = run->writing = NX_SEQ_NONE;
    run->config = (struct nx_plog_config){
        .owner = {.group_id = "0123456789abcde", .shard = "CATEGORIZER_TIER.0"},
        .segment_bytes = (uint32_t)nx_prng_between(&run->prng, 17000, 60000),
        .buffer_bytes = (uint32_t)nx_prng_between(&run->prng, 4096, 16384),
        .salt = nx_prng_u64(&run->prng),
        .mutants = mutants};
    draw_faults(run, lying);
    run->disk = sim_disk_new(nx_prng_u64(&run->prng), &run->faults);
    bool good = live(run);
    if (run->log) {
        sim_disk_crash(run->disk, false);
        nx_plog_close(run->log);
    }
    sim_disk_free(run->disk);
    return good;
}

static void promises_hold_over_crashes(void **state)
{
    (void)state;
    struct run *run = calloc(1, sizeof *run);
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++)
        if (!run_seed(run, seed, 0, false))
            fail_msg("seed %llu: %s; test_plog_crash %llu 1", (unsigned long long)seed, run->why,
                     (unsigned long long)seed);
    print_message("%llu seeds: %llu opens and %llu cut short, %llu tails cut, %llu refused for "
                  "rot, %llu lost a last batch "
                  "to rot, %llu disks failed, %llu checkpoints\n",
                  (unsigned long long)seeds, (unsigned long long)run->opens,
                  (unsigned long long)run->reopens, (unsigned long long)run->cut,
                  (unsigned long long)run->refused, (unsigned long long)run->lost,
                  (unsigned long long)run->failed, (unsigned long long)run->checkpoints);
    if (seeds >= 500) /* the faults were there */
        assert_true(run->cut > 20 && run->refused > 20 && run->failed > 5 &&
                    run->checkpoints > 100 && run->reopens > 100);
    free(run);
}

static void expect_caught(const char *name, uint32_t mutants, bool lying)
{
    struct run *run = calloc(1, sizeof *run);
    for (uint64_t seed = 1; seed <= 1000; seed++)
        if (!run_seed(run, seed, mutants, lying)) {
            print_message("mutant %s: caught by seed %llu: %s\n", name, (unsigned long long)seed,
                          run->why);
            free(run);
            return;
        }
    fail_msg("mutant %s is not caught in 1000 seeds", name);
}

static void a_dropped_sync_is_caught(void **state)
{
    (void)state;
    expect_caught("fsync dropped", NX_PLOG_MUTANT_SKIP_SYNC, false);
    expect_caught("a dead process's writes counted", NX_PLOG_MUTANT_SKIP_SETTLE, false);
    expect_caught("a disk that ignores fsync", 0, true);
}

static void an_unchecked_tail_is_caught(void **state)
{
    (void)state;
    expect_caught("crc unchecked on the tail", NX_PLOG_MUTANT_SKIP_CHECKS, false);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_hold_over_crashes),
        cmocka_unit_test(a_dropped_sync_is_caught),
        cmocka_unit_test(an_unchecked_tail_is_caught),
    };
    return cmocka_run_group_tests_name("plog_crash", tests, NULL, NULL);
}
