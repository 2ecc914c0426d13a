/* A member's disk through power failures, slow, full and failing disks: seeded lives of the real shell on the virtual disk.
 *
 *   P1  what was told durable is handed up by the next life        P2  what is handed up is a prefix of what was handed over
 *   P3  each record and body is as it was handed over              P6  handing over never waits
 *
 * Usage: test_durable_crash [seed count] */
#include "common/prng.h"
#include "group/durable/durable.h"
#include "nx_test.h"
#include "sim_disk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISKS = 3, LIVES = 5, STEPS = 400, RECORDS = 4096, BODY_MAX = 3000, COMPACT_BODIES = 8 };

struct life {
    struct nx_prng prng;
    struct sim_disk *disks[DISKS];
    nx_ns now;
    uint64_t seed;
    /* what was handed over, in all lives that count */
    uint64_t places, told, body[RECORDS]; /* body: bytes of the bulk at that place; 0: a message */
    nx_vid vid, noted;
    nx_stream streams;
    /* the checkpoint that is being given: all that was handed over, as so many bytes of a pattern */
    bool gives;
    uint64_t state_of, state_at;
    uint64_t checkpoints; /* that a life began with */
};

static const char *what;

static bool lies; /* the disks do: then a break is what we look for, in a process of its own */

#define BROKEN(life, text)                                                \
    do {                                                                  \
        if (lies)                                                         \
            _exit(1);                                                     \
        fail_msg("seed %u: %s (%s)", (unsigned)(life)->seed, text, what); \
    } while (0)

static enum nx_status open_disk(void *ctx, const char *path, struct nx_disk **disk,
                                struct nx_err *err)
{
    struct life *life = ctx;
    unsigned which = strstr(path, "blobs") ? 2 : strstr(path, "TIER") ? 1 : 0;
    (void)err;
    *disk = sim_disk_handle(life->disks[which]);
    return NX_OK;
}

static struct nx_durable *open_shell(struct life *life)
{
    struct nx_durable_config config = {
        .folder = "node", .node = 1, .open_disk = open_disk, .disk_ctx = life};
    config.compact_bodies = COMPACT_BODIES;
    struct nx_durable *d = NULL;
    struct nx_err err = {0};
    config.spec.subgroups_count = 1;
    config.spec.subgroups[0] = (struct nx_subgroup_spec){
        .name = "TIER", .num_shards = 1, .min_nodes = 1, .max_nodes = 1, .persistent = true};
    if (nx_durable_open(&config, &d, &err) != NX_OK)
        BROKEN(life, err.text);
    return d;
}

static void pass_time(struct life *life, struct nx_durable *d)
{
    life->now += nx_prng_between(&life->prng, 1000, 2 * NX_MS);
    for (unsigned i = 0; i < DISKS; i++)
        if (sim_disk_now(life->disks[i]) < life->now)
            sim_disk_advance(life->disks[i], life->now);
    while (nx_durable_poll(d, life->now))
        ;
}

static void note_told(struct life *life, const struct nx_durable *d)
{
    bool certain;
    uint64_t places = nx_durable_places(d);
    if (places > life->places)
        BROKEN(life, "more is durable than was handed over");
    if (nx_durable_noted(d, life->vid, &certain)) {
        life->noted = life->vid;
        life->told = places > life->told ? places : life->told;
    }
}

static uint8_t byte_of(uint64_t place, uint64_t offset)
{
    return (uint8_t)(place * 131 + offset * 7 + (offset >> 8));
}

static void hand_over(struct life *life, struct nx_durable *d)
{
    uint8_t bytes[BODY_MAX];
    uint64_t place = life->places;
    if (place == RECORDS)
        return;
    uint64_t total =
        nx_prng_chance(&life->prng, 1, 5) ? 1 + nx_prng_below(&life->prng, BODY_MAX) : 0;
    struct nx_delivery m = {.seq = (nx_seq)place, .bytes = (const uint8_t *)&place, .len = 8};
    for (uint64_t i = 0; i < total; i++)
        bytes[i] = byte_of(place, i);
    if (total) {
        m.bulk = ++life->streams;
        nx_durable_bulk(d, m.bulk, total, bytes, total / 2);
        nx_durable_bulk(d, m.bulk, total, bytes + total / 2, total - total / 2);
    }
    nx_durable_deliver(d, &m);
    life->body[place] = total;
    life->places++;
}

/* The state after n places: their number, and more bytes than a block of the disk has. */
static uint64_t state_bytes(uint64_t places)
{
    return 8 + (places * 997) % 200000;
}

static uint8_t state_byte(uint64_t places, uint64_t offset)
{
    return offset < 8 ? (uint8_t)(places >> 8 * offset) : byte_of(places, offset);
}

static void give_state(struct life *life, struct nx_durable *d)
{
    uint8_t bytes[4096];
    if (nx_durable_wants_checkpoint(d)) {
        nx_durable_checkpoint_begin(d);
        life->gives = true;
        life->state_of = life->places;
        life->state_at = 0;
    }
    if (!life->gives || !nx_durable_checkpoint_goes_on(d))
        return;
    uint64_t left = state_bytes(life->state_of) - life->state_at;
    size_t len = left < sizeof bytes ? (size_t)left : sizeof bytes;
    for (size_t i = 0; i < len; i++)
        bytes[i] = state_byte(life->state_of, life->state_at + i);
    life->state_at += nx_durable_checkpoint_write(d, bytes, len);
    if (life->state_at < state_bytes(life->state_of))
        return;
    nx_durable_checkpoint_end(d);
    life->gives = false;
}

struct restored {
    uint64_t places, got;
    bool broken;
};

static enum nx_status take_state(void *ctx, const uint8_t *bytes, size_t len)
{
    struct restored *r = ctx;
    for (size_t i = 0; i < len; i++, r->got++) {
        if (r->got < 8)
            r->places |= (uint64_t)bytes[i] << 8 * r->got;
        else
            r->broken |= bytes[i] != state_byte(r->places, r->got);
    }
    return NX_OK;
}

/* Places under the checkpoint that the replay begins with. */
static uint64_t restore(struct life *life, struct nx_durable *d)
{
    struct restored r = {.places = 0};
    struct nx_replay view;
    struct nx_err err = {0};
    uint64_t bytes;
    if (!nx_durable_has_checkpoint(d, &bytes, &view))
        return 0;
    if (nx_durable_replay_checkpoint(d, take_state, &r, &err) != NX_OK)
        BROKEN(life, err.text);
    if (r.broken || r.got != bytes || r.got != state_bytes(r.places))
        BROKEN(life, "P3: a checkpoint is another");
    if (r.places > life->places || view.view.vid == 0 || view.view.vid > life->vid)
        BROKEN(life, "P2: a checkpoint of what was never handed over");
    life->checkpoints++;
    return r.places;
}

static struct nx_view view_of(nx_vid vid, uint64_t base)
{
    struct nx_view view = {.vid = vid, .incarnation = 9, .begun = 1, .members_count = 1};
    view.base[0][0] = base;
    view.members[0] = (struct nx_member){.node = 1, .since = 1};
    return view;
}

static void settle(struct life *life, struct nx_durable *d, bool (*done)(const struct nx_durable *))
{
    for (unsigned i = 0; i < 100000 && !done(d) && nx_durable_status(d, NULL) == NX_OK; i++)
        pass_time(life, d);
}

static void begin(struct life *life, struct nx_durable *d)
{
    struct nx_err err = {0};
    struct nx_view view = view_of(++life->vid, life->places);
    if (nx_durable_prepare(d, &view, &err) != NX_OK)
        return;
    settle(life, d, nx_durable_prepared);
    if (nx_durable_status(d, NULL) == NX_OK)
        assert_int_equal(nx_durable_view(d, &view, 0, false, &err), NX_OK);
    nx_durable_hear_notes(d, true, false);
}

static void judge_message(struct life *life, const struct nx_delivery *m, uint64_t place,
                          uint64_t body_got)
{
    uint64_t said;
    if (m->seq != (nx_seq)place || m->len != 8)
        BROKEN(life, "P2: a record is missing, or too many");
    memcpy(&said, m->bytes, 8);
    if (said != place)
        BROKEN(life, "P3: a record is another");
    if (body_got != life->body[place])
        BROKEN(life, "P3: a body has another length");
}

/* What the log hands up; the rest was never there. */
static void replay(struct life *life, struct nx_durable *d)
{
    struct nx_replay replay;
    struct nx_err err = {0};
    uint64_t place = restore(life, d), body = 0;
    enum nx_status status;
    life->gives = false;
    while ((status = nx_durable_next_replayed(d, &replay, &err)) != NX_NOT_FOUND) {
        if (status == NX_AGAIN) {
            pass_time(life, d);
            continue;
        }
        if (status != NX_OK)
            BROKEN(life, err.text);
        if (replay.what == NX_REPLAYED_BODY) {
            for (size_t i = 0; i < replay.part.len; i++)
                if (replay.part.bytes[i] != byte_of(place, replay.part.offset + i))
                    BROKEN(life, "P3: a body is another");
            body += replay.part.len;
        } else if (replay.what == NX_REPLAYED_MESSAGE) {
            if (place == life->places)
                BROKEN(life, "P2: a record that was never handed over");
            judge_message(life, &replay.delivery, place++, body);
            body = 0;
        }
    }
    if (place < life->told)
        BROKEN(life, "P1: what was told durable is gone");
    life->places = place;
}

static void live(struct life *life, struct nx_durable *d, uint32_t steps)
{
    struct nx_err err;
    for (uint32_t i = 0; i < steps && nx_durable_status(d, NULL) == NX_OK; i++) {
        note_told(life, d);
        give_state(life, d);
        if (nx_prng_chance(&life->prng, 1, 60)) {
            struct nx_view view = view_of(++life->vid, life->places);
            assert_int_equal(nx_durable_view(d, &view, 0, false, &err), NX_OK);
            nx_durable_hear_notes(d, true, false);
        } else if (!nx_durable_behind(d) && nx_prng_chance(&life->prng, 2, 3)) {
            hand_over(life, d);
        } else {
            pass_time(life, d);
        }
    }
}

static void draw_faults(struct life *life)
{
    struct sim_disk_faults faults = {.latency_min_ns = 1000, .latency_max_ns = 500 * NX_US};
    faults.tail_ns = 30 * NX_MS;
    faults.ignore_syncs = lies;
    faults.tail_permille = nx_prng_chance(&life->prng, 1, 2) ? 50 : 0;
    faults.enospc_permille = nx_prng_chance(&life->prng, 1, 4) ? 30 : 0;
    faults.eio_permille = nx_prng_chance(&life->prng, 1, 6) ? 5 : 0;
    faults.thin = nx_prng_chance(&life->prng, 1, 2);
    for (unsigned i = 0; i < DISKS; i++)
        sim_disk_set_faults(life->disks[i], &faults);
}

static void calm(struct life *life)
{
    struct sim_disk_faults faults = {
        .latency_min_ns = 1000, .latency_max_ns = 100 * NX_US, .ignore_syncs = lies};
    for (unsigned i = 0; i < DISKS; i++)
        sim_disk_set_faults(life->disks[i], &faults);
}

static uint64_t run(uint64_t seed, uint64_t *checkpoints)
{
    struct sim_disk_faults none = {.latency_min_ns = 1000, .latency_max_ns = 100 * NX_US};
    struct life *life = calloc(1, sizeof *life);
    assert_non_null(life);
    life->seed = seed;
    nx_prng_init(&life->prng, seed);
    for (unsigned i = 0; i < DISKS; i++)
        life->disks[i] = sim_disk_new(seed * DISKS + i, &none);
    for (unsigned l = 0; l < LIVES; l++) {
        calm(life);
        what = "opening";
        struct nx_durable *d = open_shell(life);
        replay(life, d);
        begin(life, d);
        draw_faults(life);
        what = "living";
        live(life, d, (uint32_t)nx_prng_below(&life->prng, STEPS));
        for (unsigned i = 0; i < DISKS; i++)
            sim_disk_crash(life->disks[i], true);
        nx_durable_close(d);
    }
    uint64_t told = life->told;
    *checkpoints += life->checkpoints;
    for (unsigned i = 0; i < DISKS; i++)
        sim_disk_free(life->disks[i]);
    free(life);
    return told;
}

static uint64_t first_seed = 1, seeds = 400;

static void what_was_told_durable_comes_back(void **state)
{
    (void)state;
    uint64_t told = 0, checkpoints = 0;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++)
        told += run(seed, &checkpoints);
    print_message("# %u lives, %u records told durable, %u lives began with a checkpoint\n",
                  (unsigned)(seeds * LIVES), (unsigned)told, (unsigned)checkpoints);
    assert_true(checkpoints > seeds || seeds < 10);
    assert_true(told > 10 * seeds || seeds < 10);
}

/* A log on it is no better than one that does not sync. */
static void a_disk_that_lies_is_seen(void **state)
{
    (void)state;
    uint32_t broken = 0;
    for (uint64_t seed = 1; seed <= 40 && !broken; seed++) {
        pid_t child = fork();
        if (child == 0) {
            lies = true;
            uint64_t checkpoints = 0;
            run(seed, &checkpoints);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        broken += WIFEXITED(status) && WEXITSTATUS(status) == 1;
    }
    assert_true(broken > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_told_durable_comes_back),
                                       cmocka_unit_test(a_disk_that_lies_is_seen)};
    if (argc == 3) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = strtoull(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
