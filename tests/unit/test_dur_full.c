/* A member's full disk, and room again, in virtual time; and a member that goes from shard to shard and comes back. */
#include "group/durable/durable.h"
#include "nx_test.h"
#include "sim_disk.h"

#include <string.h>

/* A folder each. */
enum { ROOT, LOG_0, BODIES_0, LOG_1, BODIES_1, DISKS };

struct member {
    struct sim_disk *disks[DISKS];
    nx_ns now;
    struct nx_durable *d;
};

static const struct sim_disk_faults calm = {.latency_min_ns = 1000, .latency_max_ns = 100 * NX_US};

static enum nx_status open_disk(void *ctx, const char *path, struct nx_disk **disk,
                                struct nx_err *err)
{
    struct member *m = ctx;
    unsigned which = strstr(path, "TIER.0") ? LOG_0 : strstr(path, "TIER.1") ? LOG_1 : ROOT;
    (void)err;
    *disk = sim_disk_handle(m->disks[which + (strstr(path, "/blobs") != NULL)]);
    return NX_OK;
}

static void open_again(struct member *m)
{
    struct nx_durable_config config = {
        .folder = "node", .node = 1, .open_disk = open_disk, .disk_ctx = m};
    struct nx_err err = {0};
    config.spec.subgroups_count = 1;
    config.spec.subgroups[0] = (struct nx_subgroup_spec){
        .name = "TIER", .num_shards = 2, .min_nodes = 1, .max_nodes = 3, .persistent = true};
    if (nx_durable_open(&config, &m->d, &err) != NX_OK)
        fail_msg("%s", err.text);
}

static void open_member(struct member *m)
{
    *m = (struct member){.now = NX_SEC};
    for (unsigned i = 0; i < DISKS; i++)
        m->disks[i] = sim_disk_new(i + 1, &calm);
    open_again(m);
}

static void close_member(struct member *m)
{
    nx_durable_close(m->d);
    for (unsigned i = 0; i < DISKS; i++)
        sim_disk_free(m->disks[i]);
}

static void pass(struct member *m, nx_ns time)
{
    for (nx_ns end = m->now + time; m->now < end; m->now += NX_MS) {
        for (unsigned i = 0; i < DISKS; i++)
            if (sim_disk_now(m->disks[i]) < m->now)
                sim_disk_advance(m->disks[i], m->now);
        while (nx_durable_poll(m->d, m->now))
            ;
    }
}

static void fill(struct member *m, unsigned disk)
{
    sim_disk_fill(m->disks[disk], 0, NX_NEVER);
}

static void make_room(struct member *m, unsigned disk)
{
    sim_disk_fill(m->disks[disk], 0, 0);
}

static void assert_alive(struct member *m)
{
    struct nx_err err = {0};
    if (nx_durable_status(m->d, &err) != NX_OK)
        fail_msg("%s", err.text);
}

/* Node 1 and its donor, node 2, in one shard. */
static struct nx_view view_of(nx_vid vid, uint64_t base, uint8_t shard, bool stateless)
{
    struct nx_view view = {.vid = vid, .incarnation = 7, .begun = 1, .members_count = 2};
    view.group_id[0] = 0x1234;
    view.base[0][shard] = base;
    for (uint32_t r = 0; r < 2; r++)
        view.members[r] = (struct nx_member){.node = r + 1, .since = 1, .shard = shard};
    view.stateless = stateless ? NX_RANK_BIT(0) : 0;
    return view;
}

static bool is_noted(struct member *m, nx_vid vid)
{
    bool certain;
    return nx_durable_noted(m->d, vid, &certain);
}

static void install(struct member *m, const struct nx_view *view, bool joined)
{
    struct nx_err err = {0};
    if (nx_durable_view(m->d, view, 0, joined, &err) != NX_OK)
        fail_msg("%s", err.text);
}

static void begin(struct member *m)
{
    struct nx_view view = view_of(1, 0, 0, false);
    struct nx_err err;
    assert_int_equal(nx_durable_prepare(m->d, &view, &err), NX_OK);
    pass(m, 5 * NX_MS);
    assert_true(nx_durable_prepared(m->d));
    install(m, &view, false);
    nx_durable_hear_notes(m->d, true, false);
    pass(m, 5 * NX_MS);
    assert_true(is_noted(m, 1));
}

static void say(struct member *m, nx_seq seq, const char *body, nx_stream bulk)
{
    if (bulk)
        nx_durable_bulk(m->d, bulk, strlen(body), body, strlen(body));
    nx_durable_deliver(
        m->d,
        &(struct nx_delivery){
            .sender = 1, .seq = seq, .bytes = (const uint8_t *)"head", .len = 4, .bulk = bulk});
}

/* P6: a view that cannot be noted is not told to be; the member goes on, and so does its note once there is room. */
static void a_full_disk_at_a_view_is_waited_for(void **state)
{
    (void)state;
    struct member m;
    struct nx_view second = view_of(2, 0, 0, false), third = view_of(3, 1, 0, false);
    struct nx_err err = {0};
    second.members_count = 1;
    open_member(&m);
    begin(&m);
    fill(&m, ROOT);
    install(&m, &second, false);
    pass(&m, 30 * NX_SEC);
    assert_alive(&m);
    assert_false(is_noted(&m, 2));
    say(&m, 0, "a body", 5); /* on another disk, which has room */
    assert_int_equal(nx_durable_bulk_room(m.d, 5, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "the disk of node 1 (node) has no room: disk:/view.note: "));
    assert_true(nx_durable_wake_at(m.d) <= m.now + 100 * NX_MS);
    install(&m, &third, false);
    pass(&m, NX_SEC);
    assert_alive(&m);
    make_room(&m, ROOT);
    pass(&m, 200 * NX_MS);
    assert_true(is_noted(&m, 3));
    assert_int_equal(nx_durable_places(m.d), 1);
    close_member(&m);
}

/* P1: the message is delivered, its tier agreed, and only then the disk is full. What was
 * durable survives the loss of power. */
static void expect_body_after_full(unsigned disk, bool thin)
{
    struct member m;
    struct nx_replay replay;
    struct nx_err err = {0};
    struct sim_disk_faults faults = calm;
    open_member(&m);
    faults.thin = thin;
    sim_disk_set_faults(m.disks[disk], &faults);
    begin(&m);
    say(&m, 0, "a body", 5);
    assert_int_equal(nx_durable_bulk_room(m.d, 5, &err), NX_OK);
    fill(&m, disk);
    pass(&m, 30 * NX_SEC);
    assert_alive(&m);
    assert_int_equal(nx_durable_places(m.d), 0);
    make_room(&m, disk);
    pass(&m, 200 * NX_MS);
    assert_int_equal(nx_durable_places(m.d), 1);
    nx_durable_close(m.d);
    for (unsigned i = 0; i < DISKS; i++)
        sim_disk_crash(m.disks[i], true);
    open_again(&m);
    enum nx_status status;
    bool came = false;
    while ((status = nx_durable_next_replayed(m.d, &replay, &err)) != NX_NOT_FOUND) {
        if (status == NX_AGAIN)
            pass(&m, NX_MS);
        else if (replay.what == NX_REPLAYED_BODY)
            came |= replay.part.len == 6 && memcmp(replay.part.bytes, "a body", 6) == 0;
    }
    assert_true(came);
    close_member(&m);
}

static void a_body_that_was_agreed_to_waits_for_room(void **state)
{
    (void)state;
    expect_body_after_full(BODIES_0, false);
    expect_body_after_full(LOG_0, false);
}

/* A thin disk takes the bytes, says at the sync that there was no room for them, and has forgotten them. */
static void a_sync_without_room_is_waited_for(void **state)
{
    (void)state;
    expect_body_after_full(BODIES_0, true);
    expect_body_after_full(LOG_0, true);
}

/* A disk that is full while its node stops does not hold it up. */
static void a_full_disk_does_not_hold_up_closing(void **state)
{
    (void)state;
    struct member m;
    struct nx_view second = view_of(2, 1, 0, false);
    open_member(&m);
    begin(&m);
    say(&m, 0, "a body", 5);
    fill(&m, BODIES_0);
    fill(&m, ROOT);
    install(&m, &second, false);
    pass(&m, NX_SEC);
    assert_alive(&m);
    close_member(&m);
}

/* Others begin when all have noted the view: they are not to wait for ever. */
static void who_is_awaited_makes_way(void **state)
{
    (void)state;
    struct member m;
    struct nx_view view = view_of(1, 0, 0, false);
    struct nx_err err = {0};
    open_member(&m);
    fill(&m, ROOT);
    assert_int_equal(nx_durable_prepare(m.d, &view, &err), NX_OK);
    pass(&m, 9 * NX_SEC);
    assert_alive(&m);
    assert_false(nx_durable_prepared(m.d));
    pass(&m, 2 * NX_SEC);
    assert_int_equal(nx_durable_status(m.d, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "disk:/view.note: "));
    assert_non_null(strstr(err.text, "this node makes way"));
    close_member(&m);
}

/* Gives `text` as the state, once; false if the disk did not take all of it yet. */
static bool give(struct member *m, const char *text, size_t *given)
{
    *given += nx_durable_checkpoint_write(m->d, text + *given, strlen(text) - *given);
    if (*given < strlen(text))
        return false;
    nx_durable_checkpoint_end(m->d);
    return true;
}

static enum nx_status collect(void *ctx, const uint8_t *bytes, size_t len)
{
    strncat(ctx, (const char *)bytes, len);
    return NX_OK;
}

static void assert_state(struct member *m, const char *want)
{
    char text[64] = "";
    uint64_t bytes;
    struct nx_replay view;
    struct nx_err err = {0};
    assert_true(nx_durable_has_checkpoint(m->d, &bytes, &view));
    assert_int_equal(nx_durable_replay_checkpoint(m->d, collect, text, &err), NX_OK);
    assert_string_equal(text, want);
}

/* The member lacks the shard's state in the view, gets it, and begins its log anew with it. */
static void join_shard(struct member *m, nx_vid vid, uint64_t base, uint8_t shard, const char *text)
{
    struct nx_view view = view_of(vid, base, shard, true);
    size_t given = 0;
    install(m, &view, true);
    pass(m, 5 * NX_MS);
    nx_durable_has_state(m->d);
    assert_true(nx_durable_wants_checkpoint(m->d));
    nx_durable_checkpoint_begin(m->d);
    for (int i = 0; i < 100 && !give(m, text, &given); i++)
        pass(m, NX_MS);
    pass(m, 50 * NX_MS);
    assert_alive(m);
    assert_int_equal(nx_durable_places(m->d), base);
}

/* P1: as long as the note on the disk has our old log for the shard's, nobody is told that we have the state. */
static void a_joiner_on_a_full_disk_has_no_state_to_tell_of(void **state)
{
    (void)state;
    struct member m;
    struct nx_view view = view_of(2, 9, 0, true);
    struct nx_err err = {0};
    open_member(&m);
    begin(&m);
    say(&m, 0, "a body", 5);
    pass(&m, 5 * NX_MS);
    nx_durable_close(m.d);
    open_again(&m);
    fill(&m, ROOT);
    install(&m, &view, true);
    pass(&m, 5 * NX_MS);
    assert_false(nx_durable_log_is_void(m.d));
    nx_durable_has_state(m.d);
    nx_durable_checkpoint_begin(m.d);
    pass(&m, 5 * NX_SEC);
    assert_false(nx_durable_log_is_void(m.d));
    assert_alive(&m);
    pass(&m, 6 * NX_SEC);
    assert_int_equal(nx_durable_status(m.d, &err), NX_UNAVAILABLE);
    close_member(&m);
}

/* The state is asked for again, the same one, with what was delivered since behind it. */
static void a_log_that_begins_anew_waits_for_room(void **state)
{
    (void)state;
    struct member m;
    struct nx_view view = view_of(2, 9, 0, true), next = view_of(3, 10, 0, false);
    size_t given = 0;
    bool certain;
    open_member(&m);
    begin(&m);
    install(&m, &view, true);
    pass(&m, 5 * NX_MS);
    fill(&m, LOG_0);
    nx_durable_has_state(m.d);
    nx_durable_checkpoint_begin(m.d);
    say(&m, 9, "later", 6);
    for (int i = 0; i < 300; i++) {
        if (nx_durable_checkpoint_rewound(m.d))
            given = 0;
        if (given < 5)
            (void)give(&m, "state", &given);
        assert_true(nx_durable_checkpoint_goes_on(m.d));
        pass(&m, NX_MS);
    }
    assert_alive(&m);
    assert_int_equal(nx_durable_places(m.d), 0);
    install(&m, &next, false);
    nx_durable_hear_notes(m.d, true, true);
    pass(&m, 50 * NX_MS);
    assert_false(nx_durable_noted(m.d, 3, &certain)); /* place 9 is in memory alone */
    make_room(&m, LOG_0);
    for (int i = 0; i < 300; i++) {
        if (nx_durable_checkpoint_rewound(m.d))
            given = 0;
        if (given < 5)
            (void)give(&m, "state", &given);
        pass(&m, NX_MS);
    }
    assert_false(nx_durable_checkpoint_goes_on(m.d));
    assert_true(nx_durable_noted(m.d, 3, &certain) && certain);
    assert_int_equal(nx_durable_places(m.d), 10);
    nx_durable_close(m.d);
    open_again(&m);
    assert_int_equal(nx_durable_offer(m.d)->places, 10);
    assert_state(&m, "state");
    close_member(&m);
}

/* It has a body in shard 0, and was stopped in shard 1. */
static void move_to_shard_1(struct member *m)
{
    open_member(m);
    begin(m);
    say(m, 0, "a body of shard 0", 5);
    pass(m, 5 * NX_MS);
    nx_durable_close(m->d);
    open_again(m);
    join_shard(m, 2, 4, 1, "shard 1");
    nx_durable_close(m->d);
}

/* A member's bodies in one shard are there when it comes back from another one. */
static void who_comes_back_to_a_shard_finds_its_bodies(void **state)
{
    (void)state;
    struct member m;
    move_to_shard_1(&m);
    open_again(&m);
    assert_int_equal(nx_durable_offer(m.d)->shard, 1);
    assert_state(&m, "shard 1");
    assert_non_null(sim_disk_name(m.disks[BODIES_0], 0));
    join_shard(&m, 3, 7, 0, "shard 0");
    assert_null(sim_disk_name(m.disks[BODIES_0], 0));
    nx_durable_close(m.d);
    open_again(&m);
    assert_int_equal(nx_durable_offer(m.d)->shard, 0);
    assert_state(&m, "shard 0");
    close_member(&m);
}

static void lose_bodies(struct member *m, unsigned disk)
{
    const char *name;
    while ((name = sim_disk_name(m->disks[disk], 0))) {
        struct nx_disk_request remove = {.kind = NX_DISK_REMOVE};
        memcpy(remove.name, name, strlen(name) + 1);
        assert_int_equal(nx_disk_run(sim_disk_handle(m->disks[disk]), &remove, NULL), NX_OK);
    }
}

/* A log that was left and rotted is of no use where others have the state; where nobody has, it is not touched. */
static void a_rotten_log_of_a_shard_that_was_left_is_begun_anew(void **state)
{
    (void)state;
    struct member m;
    struct nx_err err = {0};
    move_to_shard_1(&m);
    lose_bodies(&m, BODIES_0);
    open_again(&m);
    struct nx_view alone = view_of(3, 7, 0, true);
    alone.stateless |= NX_RANK_BIT(1);
    assert_int_equal(nx_durable_view(m.d, &alone, 0, true, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, ".blob is missing; the log names it"));
    nx_durable_close(m.d);
    open_again(&m);
    join_shard(&m, 4, 7, 0, "shard 0");
    nx_durable_close(m.d);
    open_again(&m);
    assert_state(&m, "shard 0");
    close_member(&m);
}

/* A log that has no segment yet begins one with its first record. */
static void a_log_is_opened_on_a_full_disk(void **state)
{
    (void)state;
    struct member m;
    struct nx_view view = view_of(1, 0, 0, false);
    struct nx_err err;
    open_member(&m);
    fill(&m, LOG_0);
    assert_int_equal(nx_durable_prepare(m.d, &view, &err), NX_OK);
    pass(&m, 5 * NX_MS);
    assert_true(nx_durable_prepared(m.d));
    install(&m, &view, false);
    say(&m, 0, "a body", 5);
    pass(&m, NX_SEC);
    assert_alive(&m);
    assert_false(is_noted(&m, 1));
    assert_int_equal(nx_durable_places(m.d), 0);
    make_room(&m, LOG_0);
    pass(&m, 200 * NX_MS);
    assert_true(is_noted(&m, 1));
    assert_int_equal(nx_durable_places(m.d), 1);
    close_member(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_at_a_view_is_waited_for),
        cmocka_unit_test(a_body_that_was_agreed_to_waits_for_room),
        cmocka_unit_test(a_sync_without_room_is_waited_for),
        cmocka_unit_test(a_full_disk_does_not_hold_up_closing),
        cmocka_unit_test(who_is_awaited_makes_way),
        cmocka_unit_test(a_joiner_on_a_full_disk_has_no_state_to_tell_of),
        cmocka_unit_test(a_log_that_begins_anew_waits_for_room),
        cmocka_unit_test(a_log_is_opened_on_a_full_disk),
        cmocka_unit_test(who_comes_back_to_a_shard_finds_its_bodies),
        cmocka_unit_test(a_rotten_log_of_a_shard_that_was_left_is_begun_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
