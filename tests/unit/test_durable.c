#include "group/durable/durable.h"
#include "group/log/plog_names.h"
#include "nx_test.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_BYTES = 64 };

/* A log loses its mark before anything else: a crash in between must not leave a mark for records that are gone. */
static atomic_uint removals_until_mark; /* 0: the mark was not removed */
static atomic_uint removals;            /* by the disk's thread */

int unlinkat(int dir, const char *name, int flags)
{
    removals += strncmp(name, "segment", 7) == 0 || strcmp(name, NX_MARK_NAME) == 0;
    if (strcmp(name, NX_MARK_NAME) == 0)
        removals_until_mark = removals;
    return (int)syscall(SYS_unlinkat, dir, name, flags);
}

static void make_folder(char folder[PATH_BYTES])
{
    snprintf(folder, PATH_BYTES, "/tmp/nexus-durable-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void remove_folder(const char *folder)
{
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* A view of nodes 1 … n, all in shard 0 of the persistent subgroup. */
static struct nx_view view_of(nx_vid vid, uint32_t nodes, uint64_t base)
{
    struct nx_view view = {.vid = vid, .incarnation = 7, .begun = 1, .members_count = nodes};
    view.group_id[0] = 0x1234;
    view.base[0][0] = base;
    for (uint32_t r = 0; r < nodes; r++)
        view.members[r] = (struct nx_member){.node = r + 1, .since = 1};
    return view;
}

static struct nx_durable *open_node(const char *folder)
{
    struct nx_durable_config config = {.folder = folder, .node = 1};
    struct nx_err err = {0};
    struct nx_durable *d = NULL;
    config.spec.subgroups_count = 1;
    config.spec.subgroups[0] = (struct nx_subgroup_spec){
        .name = "TIER", .num_shards = 1, .min_nodes = 1, .max_nodes = 3, .persistent = true};
    if (nx_durable_open(&config, &d, &err) != NX_OK)
        fail_msg("%s", err.text);
    return d;
}

static void poll_until(struct nx_durable *d, bool (*done)(struct nx_durable *d))
{
    for (int i = 0; i < 10000 && !done(d); i++) {
        struct pollfd p = {.fd = nx_durable_fd(d), .events = POLLIN};
        if (!nx_durable_poll(d, nx_clock_now()))
            poll(&p, 1, 10);
    }
    assert_int_equal(nx_durable_status(d, NULL), NX_OK);
    assert_true(done(d));
}

static bool is_prepared(struct nx_durable *d)
{
    return nx_durable_prepared(d);
}

static bool is_certain(struct nx_durable *d)
{
    bool certain;
    return nx_durable_noted(d, 1, &certain) && certain;
}

static bool is_noted_2(struct nx_durable *d)
{
    bool certain;
    return nx_durable_noted(d, 2, &certain) && !certain;
}

static bool is_noted_18(struct nx_durable *d)
{
    bool certain;
    return nx_durable_noted(d, 18, &certain);
}

static bool has_3_places(struct nx_durable *d)
{
    return nx_durable_places(d) == 3;
}

static void begin(struct nx_durable *d)
{
    struct nx_view view = view_of(1, 2, 0);
    struct nx_err err;
    assert_int_equal(nx_durable_prepare(d, &view, &err), NX_OK);
    assert_false(nx_durable_prepared(d));
    poll_until(d, is_prepared);
    assert_int_equal(nx_durable_view(d, &view, 0, false, &err), NX_OK);
    nx_durable_hear_notes(d, true, false);
    poll_until(d, is_certain);
}

static void say(struct nx_durable *d, nx_seq seq, const char *text, nx_stream bulk)
{
    nx_durable_deliver(d, &(struct nx_delivery){.sender = 1,
                                                .seq = seq,
                                                .bytes = (const uint8_t *)text,
                                                .len = strlen(text),
                                                .bulk = bulk});
}

/* The replay as lines. */
static void replay_text(struct nx_durable *d, char *text, size_t cap)
{
    struct nx_replay replay;
    struct nx_err err = {0};
    enum nx_status status;
    size_t used = 0;
    text[0] = '\0';
    while ((status = nx_durable_next_replayed(d, &replay, &err)) != NX_NOT_FOUND) {
        if (status == NX_AGAIN) {
            struct pollfd p = {.fd = nx_durable_fd(d), .events = POLLIN};
            if (!nx_durable_poll(d, nx_clock_now()))
                poll(&p, 1, 10);
            continue;
        }
        if (status != NX_OK)
            fail_msg("%s", err.text);
        const struct nx_delivery *m = &replay.delivery;
        if (replay.what == NX_REPLAYED_VIEW)
            used += (size_t)snprintf(text + used, cap - used, "view %u of %u\n",
                                     (unsigned)replay.view.vid, replay.view.members_count);
        else if (replay.what == NX_REPLAYED_BODY)
            used += (size_t)snprintf(text + used, cap - used, "body of %u at %u: %u\n",
                                     (unsigned)replay.part.total, (unsigned)replay.part.offset,
                                     (unsigned)replay.part.len);
        else
            used += (size_t)snprintf(text + used, cap - used, "%d from %u: %.*s%s\n", (int)m->seq,
                                     m->sender, (int)m->len, (const char *)m->bytes,
                                     m->bulk ? " (bulk)" : "");
    }
}

static void what_was_handed_over_comes_back(void **state)
{
    (void)state;
    char folder[PATH_BYTES], text[1024];
    struct nx_err err;
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    assert_false(nx_durable_offer(d)->has_note);
    begin(d);
    say(d, 0, "a", 0);
    static uint8_t bytes[100000];
    nx_durable_bulk(d, 99, 2 * sizeof bytes, bytes, sizeof bytes);
    nx_durable_bulk(d, 77, 5, bytes, 3);
    nx_durable_bulk_aborted(d, 77);
    nx_durable_bulk(d, 99, 2 * sizeof bytes, bytes, sizeof bytes);
    say(d, 1, "head", 99);
    say(d, 2, "b", 0);
    poll_until(d, has_3_places);
    struct nx_view two = view_of(2, 1, 3);
    assert_int_equal(nx_durable_view(d, &two, 0, false, &err), NX_OK);
    say(d, 3, "c", 0);
    poll_until(d, is_noted_2);
    nx_durable_close(d);

    d = open_node(folder);
    const struct nx_dur_offer *offer = nx_durable_offer(d);
    assert_true(offer->has_note && offer->has_log);
    assert_int_equal(offer->places, 4);
    assert_int_equal(offer->log_vid, nx_dur_stamp(7, 2));
    assert_int_equal(offer->group_id[0], 0x34);
    assert_true(offer->note.certain);
    assert_int_equal(offer->note.count, 2);
    replay_text(d, text, sizeof text);
    assert_string_equal(text,
                        "view 1 of 2\n0 from 1: a\nbody of 200000 at 0: 200000\n1 from 1: head "
                        "(bulk)\n2 from 1: b\nview 2 of 1\n3 from 1: c\n");
    nx_durable_close(d);
    remove_folder(folder);
}

static bool is_durable_again(struct nx_durable *d)
{
    bool certain;
    return nx_durable_places(d) == 9 && nx_durable_noted(d, 2, &certain);
}

static enum nx_status collect(void *ctx, const uint8_t *bytes, size_t len)
{
    strncat(ctx, (const char *)bytes, len);
    return NX_OK;
}

static bool has_noted_3(struct nx_durable *d)
{
    bool certain;
    return nx_durable_noted(d, 3, &certain);
}

static bool is_void(struct nx_durable *d)
{
    return nx_durable_log_is_void(d);
}

/* Its donor is gone before the state is on its disk: a restart would not find that in the view without the donor, which the
 * note must not be said to hold before. */
static void a_view_is_noted_once_the_state_is_on_the_disk(void **state)
{
    (void)state;
    char folder[PATH_BYTES];
    struct nx_err err;
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    begin(d);
    nx_durable_close(d);
    d = open_node(folder);
    struct nx_view two = view_of(2, 2, 8), alone = view_of(3, 1, 8);
    two.stateless = 1;
    assert_int_equal(nx_durable_view(d, &two, 0, true, &err), NX_OK);
    poll_until(d, is_noted_2); /* it is said to lack the state there */
    poll_until(d, is_void);
    nx_durable_has_state(d);
    nx_durable_checkpoint_begin(d);
    assert_int_equal(nx_durable_view(d, &alone, 0, false, &err), NX_OK);
    for (int i = 0; i < 10000 && nx_durable_checkpoint_write(d, "state", 5) == 0; i++) {
        struct pollfd p = {.fd = nx_durable_fd(d), .events = POLLIN};
        if (!nx_durable_poll(d, nx_clock_now()))
            poll(&p, 1, 10);
    }
    for (int i = 0; i < 20; i++) {
        struct pollfd p = {.fd = nx_durable_fd(d), .events = POLLIN};
        if (!nx_durable_poll(d, nx_clock_now()))
            poll(&p, 1, 1);
    }
    assert_false(has_noted_3(d));
    nx_durable_checkpoint_end(d);
    poll_until(d, has_noted_3);
    assert_int_equal(nx_durable_places(d), 8);
    nx_durable_close(d);
    remove_folder(folder);
}

static bool is_certain_2(struct nx_durable *d)
{
    bool certain;
    return nx_durable_noted(d, 2, &certain) && certain;
}

static bool is_certain_3(struct nx_durable *d)
{
    bool certain;
    return nx_durable_noted(d, 3, &certain) && certain;
}

/* Once somebody has called its first view certain, a joiner knows as much as all others do: it calls the next view certain
 * by itself. Were each view a join to who came to a running group, nothing would be certain any more where all came so. */
static void a_joiner_is_one_in_its_first_view_alone(void **state)
{
    (void)state;
    char folder[PATH_BYTES];
    struct nx_err err;
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    struct nx_view two = view_of(2, 2, 0), three = view_of(3, 3, 0);
    assert_int_equal(nx_durable_view(d, &two, 0, true, &err), NX_OK);
    nx_durable_hear_notes(d, true, false);
    poll_until(d, is_noted_2); /* the views before may be missing */
    nx_durable_hear_notes(d, true, true);
    poll_until(d, is_certain_2);
    assert_int_equal(nx_durable_view(d, &three, 0, true, &err), NX_OK);
    nx_durable_hear_notes(d, true, false);
    poll_until(d, is_certain_3);
    nx_durable_close(d);
    remove_folder(folder);
}

static bool is_noted_as_void(struct nx_durable *d)
{
    return nx_durable_log_is_void(d) && is_noted_2(d);
}

/* It died while its log was void, and the shard begins anew, with the empty state: so do its tier and its log. */
static void a_void_log_may_begin_empty(void **state)
{
    (void)state;
    char folder[PATH_BYTES], text[64];
    struct nx_err err;
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    begin(d);
    say(d, 0, "old", 0);
    nx_durable_close(d);
    d = open_node(folder);
    struct nx_view two = view_of(2, 2, 1), three = view_of(3, 2, 0);
    two.stateless = 1;
    assert_int_equal(nx_durable_view(d, &two, 0, true, &err), NX_OK);
    poll_until(d, is_noted_as_void);
    nx_durable_close(d);

    d = open_node(folder);
    assert_false(nx_durable_offer(d)->has_log);
    replay_text(d, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(nx_durable_prepare(d, &three, &err), NX_OK);
    poll_until(d, is_prepared);
    nx_durable_close(d);

    d = open_node(folder);
    assert_true(nx_durable_offer(d)->has_log);
    assert_int_equal(nx_durable_offer(d)->places, 0);
    nx_durable_close(d);
    remove_folder(folder);
}

/* It was away, and its old log has a tail that the others do not know. */
static void a_member_that_comes_again_begins_its_log_anew(void **state)
{
    (void)state;
    char folder[PATH_BYTES], text[1024], given[16] = "";
    struct nx_err err;
    uint64_t bytes;
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    begin(d);
    for (nx_seq seq = 0; seq < 12; seq++)
        say(d, seq, "old", 0);
    nx_durable_close(d);

    d = open_node(folder);
    removals = removals_until_mark = 0;
    struct nx_view two = view_of(2, 2, 8);
    two.stateless = 1;
    assert_int_equal(nx_durable_view(d, &two, 0, true, &err), NX_OK);
    assert_false(nx_durable_wants_checkpoint(d));
    nx_durable_has_state(d);
    assert_true(nx_durable_wants_checkpoint(d));
    nx_durable_checkpoint_begin(d);
    say(d, 8, "new", 0);
    assert_int_equal(nx_durable_places(d), 0);
    for (int i = 0; i < 10000 && nx_durable_checkpoint_write(d, "state", 5) == 0; i++) {
        struct pollfd p = {.fd = nx_durable_fd(d), .events = POLLIN};
        if (!nx_durable_poll(d, nx_clock_now()))
            poll(&p, 1, 10);
    }
    nx_durable_checkpoint_end(d);
    poll_until(d, is_durable_again);
    assert_int_equal(removals_until_mark, 1);
    assert_true(removals > 1);
    nx_durable_close(d);

    d = open_node(folder);
    assert_true(nx_durable_offer(d)->has_log);
    assert_int_equal(nx_durable_offer(d)->places, 9);
    struct nx_replay view;
    assert_true(nx_durable_has_checkpoint(d, &bytes, &view));
    assert_int_equal(view.view.vid, 2);
    assert_int_equal(bytes, 5);
    assert_int_equal(nx_durable_replay_checkpoint(d, collect, given, &err), NX_OK);
    assert_string_equal(given, "state");
    replay_text(d, text, sizeof text);
    assert_string_equal(text, "8 from 1: new\n");
    nx_durable_close(d);
    remove_folder(folder);
}

/* A view that we prepared for may have begun without us: the next attempt tells of it. */
static void a_prepared_view_is_offered(void **state)
{
    (void)state;
    char folder[PATH_BYTES];
    struct nx_err err = {0};
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    struct nx_view one = view_of(1, 3, 0), two = view_of(2, 2, 0), again = view_of(2, 3, 0);
    assert_false(nx_durable_offer(d)->has_note);
    assert_int_equal(nx_durable_prepare(d, &one, &err), NX_OK);
    poll_until(d, is_prepared);
    assert_true(nx_durable_offer(d)->has_note);
    assert_int_equal(nx_durable_offer(d)->note.views[0].vid, 1);
    two.incarnation = 8;
    assert_int_equal(nx_durable_prepare(d, &two, &err), NX_OK);
    assert_false(nx_durable_prepared(d));
    poll_until(d, is_prepared);
    assert_int_equal(nx_durable_offer(d)->note.count, 2);
    again.incarnation = 9; /* of another beginning that does not know of ours: never called ready */
    assert_int_equal(nx_durable_prepare(d, &again, &err), NX_UNAVAILABLE);
    nx_durable_close(d);
    remove_folder(folder);
}

/* Whoever was ready for a view, and joins after it, does not believe that the bootstrap made its view. */
static void a_joiner_has_not_begun_the_group(void **state)
{
    (void)state;
    char folder[PATH_BYTES];
    struct nx_err err = {0};
    bool certain;
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    struct nx_view one = view_of(1, 2, 0), two = view_of(2, 2, 0);
    assert_int_equal(nx_durable_prepare(d, &one, &err), NX_OK);
    poll_until(d, is_prepared);
    two.stateless = 1;
    assert_int_equal(nx_durable_view(d, &two, 0, true, &err), NX_OK);
    nx_durable_hear_notes(d, true, false);
    poll_until(d, is_noted_2);
    for (int i = 0; i < 100; i++)
        (void)nx_durable_poll(d, nx_clock_now());
    assert_true(nx_durable_noted(d, 2, &certain) && !certain);
    nx_durable_close(d);
    remove_folder(folder);
}

/* Views that nobody knows to be certain fill the note; the group can begin again nevertheless. */
static void a_full_note_has_room_to_begin(void **state)
{
    (void)state;
    char folder[PATH_BYTES];
    struct nx_err err = {0};
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    begin(d);
    for (nx_vid vid = 2; vid <= 18; vid++) {
        struct nx_view view = view_of(vid, 2 + vid % 2, 0);
        assert_int_equal(nx_durable_view(d, &view, 0, false, &err), NX_OK);
        (void)nx_durable_poll(d, nx_clock_now());
    }
    poll_until(d, is_noted_18);
    nx_durable_close(d);
    d = open_node(folder);
    assert_int_equal(nx_durable_offer(d)->note.count, NX_DUR_VIEWS_LIVE_MAX);
    for (nx_vid vid = 40; vid < 40 + NX_DUR_VIEWS_MAX - NX_DUR_VIEWS_LIVE_MAX; vid++) {
        struct nx_view view = view_of(vid, 3 - vid % 2, 0);
        view.incarnation = (uint32_t)vid;
        assert_int_equal(nx_durable_prepare(d, &view, &err), NX_OK);
        poll_until(d, is_prepared);
    }
    struct nx_view view = view_of(50, 3, 0);
    assert_int_equal(nx_durable_prepare(d, &view, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "view.note has no room for view 50"));
    nx_durable_close(d);
    remove_folder(folder);
}

static void a_rotten_note_is_named(void **state)
{
    (void)state;
    char folder[PATH_BYTES], path[PATH_BYTES + 16];
    make_folder(folder);
    struct nx_durable *d = open_node(folder);
    begin(d);
    nx_durable_close(d);
    snprintf(path, sizeof path, "%s/view.note", folder);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 120, SEEK_SET);
    int c = fgetc(f);
    fseek(f, 120, SEEK_SET);
    fputc(c ^ 4, f);
    fclose(f);
    struct nx_durable_config config = {.folder = folder, .node = 1};
    struct nx_err err = {0};
    config.spec.subgroups_count = 1;
    config.spec.subgroups[0].persistent = true;
    snprintf(config.spec.subgroups[0].name, sizeof config.spec.subgroups[0].name, "TIER");
    assert_int_equal(nx_durable_open(&config, &d, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, "view.note: the note fails its checksum"));
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_handed_over_comes_back),
        cmocka_unit_test(a_view_is_noted_once_the_state_is_on_the_disk),
        cmocka_unit_test(a_joiner_is_one_in_its_first_view_alone),
        cmocka_unit_test(a_void_log_may_begin_empty),
        cmocka_unit_test(a_member_that_comes_again_begins_its_log_anew),
        cmocka_unit_test(a_prepared_view_is_offered),
        cmocka_unit_test(a_joiner_has_not_begun_the_group),
        cmocka_unit_test(a_full_note_has_room_to_begin),
        cmocka_unit_test(a_rotten_note_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
