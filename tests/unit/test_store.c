#include "categorizer/store.h"
#include "nx_test.h"

#include <string.h>

static struct nx_store *store;
static struct nx_entry *entry;
static struct nx_outcome outcome;
static const struct nx_err fine = {0};

static struct nx_request_id id(uint8_t n)
{
    struct nx_request_id r = {{n, 0xff}};
    return r;
}

static enum nx_verdict install(nx_seq seq, uint32_t tag, uint8_t request)
{
    struct nx_request_id r = id(request);
    return nx_store_install(store, seq, tag, &r, 0x6 /* ranks 1 and 2 */, &entry, &outcome);
}

static enum nx_verdict vote(nx_seq version, nx_rank voter, const struct nx_err *failure,
                            uint8_t digest)
{
    struct nx_digest d = {{digest}};
    return nx_store_vote(store, version, voter, failure, &d, &entry, &outcome);
}

static void remove_tag(uint32_t tag, uint8_t request)
{
    struct nx_request_id r = id(request);
    nx_store_remove(store, tag, "", &r, &entry, &outcome);
}

static void a_model_is_ready_when_every_replica_says_so(void **state)
{
    (void)state;
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    assert_int_equal(entry->state, NX_ENTRY_LOADING);
    assert_int_equal(vote(10, 2, &fine, 5), NX_VERDICT_PENDING);
    assert_int_equal(vote(10, 2, &fine, 5), NX_VERDICT_PENDING); /* a second vote of one replica */
    assert_int_equal(nx_store_find(store, 7)->state, NX_ENTRY_LOADING);
    assert_int_equal(vote(10, 0, &fine, 5), NX_VERDICT_PENDING); /* no replica of the shard */
    assert_int_equal(vote(10, 1, &fine, 5), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_OK);
    assert_string_equal(outcome.err.text, "install model successfully.");
    assert_int_equal(nx_store_find(store, 7)->state, NX_ENTRY_READY);
}

static void a_model_answers_when_it_is_ready(void **state)
{
    (void)state;
    struct nx_err err = {0};
    assert_null(nx_store_find_ready(store, 7, "", &err));
    assert_int_equal(err.status, NX_NOT_FOUND);
    install(10, 7, 1);
    strcpy(entry->name, "rose");
    assert_null(nx_store_find_ready(store, 7, "rose", &err));
    assert_int_equal(err.status, NX_UNAVAILABLE);
    assert_string_equal(err.text, "model rose is still loading; try again");
    assert_null(nx_store_find_ready(store, 7, "", &err));
    assert_string_equal(err.text, "tag 7 is still loading; try again");
    assert_null(nx_store_find_ready(store, 7, "tulip", &err)); /* of the same tag */
    assert_int_equal(err.status, NX_NOT_FOUND);
    vote(10, 1, &fine, 5);
    vote(10, 2, &fine, 5);
    assert_ptr_equal(nx_store_find_ready(store, 7, "rose", &err), nx_store_find(store, 7));
}

static void versions_only_grow(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint8_t i = 0; i < 5; i++) {
        assert_int_equal(install(10 + i, 7, (uint8_t)(2 * i)), NX_VERDICT_PENDING);
        assert_true(entry->generation > last);
        last = entry->generation;
        vote(10 + i, 1, &fine, 5);
        assert_int_equal(vote(10 + i, 2, &fine, 5), NX_VERDICT_DONE);
        remove_tag(7, (uint8_t)(2 * i + 1));
    }
}

static enum nx_verdict replace(nx_seq seq, uint32_t tag, const char *name, uint8_t request)
{
    struct nx_request_id r = id(request);
    return nx_store_replace(store, seq, tag, name, &r, 0x6, &entry, &outcome);
}

static void a_model_is_replaced_when_the_new_one_is_ready(void **state)
{
    (void)state;
    int old, fresh;
    assert_int_equal(replace(10, 7, "", 1),
                     NX_VERDICT_PENDING); /* nothing to replace: an install */
    entry->model = &old;
    vote(10, 1, &fine, 5);
    assert_int_equal(vote(10, 2, &fine, 5), NX_VERDICT_DONE);
    assert_null(nx_store_take_replaced(store, entry));
    assert_int_equal(replace(11, 7, "", 2), NX_VERDICT_PENDING);
    entry->model = &fresh;
    assert_ptr_equal(nx_store_find(store, 7)->model, &old); /* it goes on */
    assert_int_equal(replace(12, 7, "", 3), NX_VERDICT_DONE);
    assert_string_equal(outcome.err.text, "tag 7 is being installed");
    remove_tag(7, 4);
    assert_int_equal(outcome.err.status, NX_AGAIN);
    vote(11, 1, &fine, 6);
    assert_int_equal(vote(11, 2, &fine, 6), NX_VERDICT_DONE);
    struct nx_entry *gone = nx_store_take_replaced(store, entry);
    assert_ptr_equal(gone->model, &old);
    assert_int_equal(gone->state, NX_ENTRY_FREE);
    assert_ptr_equal(nx_store_find(store, 7)->model, &fresh);
    assert_null(nx_store_take_replaced(store, entry));
}

static void what_cannot_be_loaded_replaces_nothing(void **state)
{
    (void)state;
    struct nx_err against = {NX_NO_MEMORY, "it does not fit"};
    int old;
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    entry->model = &old;
    vote(10, 1, &fine, 5);
    vote(10, 2, &fine, 5);
    assert_int_equal(replace(11, 7, "another-name", 2), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_EXISTS);
    assert_int_equal(replace(12, 7, "", 3), NX_VERDICT_PENDING);
    vote(12, 1, &fine, 6);
    assert_int_equal(vote(12, 2, &against, 6), NX_VERDICT_DONE);
    assert_int_equal(entry->state, NX_ENTRY_FREE);
    assert_ptr_equal(nx_store_find(store, 7)->model, &old);
    assert_int_equal(nx_store_find(store, 7)->state, NX_ENTRY_READY);
}

static void a_note_of_a_replica_reaches_the_user(void **state)
{
    (void)state;
    struct nx_err note = {NX_OK, "Note: one weight is not a number."};
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    assert_int_equal(vote(10, 1, &fine, 5), NX_VERDICT_PENDING);
    assert_int_equal(vote(10, 2, &note, 5), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_OK);
    assert_string_equal(outcome.err.text,
                        "install model successfully. Note: one weight is not a number.");
    assert_int_equal(nx_store_find(store, 7)->state, NX_ENTRY_READY);
    struct nx_err against = {NX_INVALID, "no"};
    assert_int_equal(install(11, 8, 2), NX_VERDICT_PENDING);
    assert_int_equal(vote(11, 1, &note, 5), NX_VERDICT_PENDING);
    assert_int_equal(vote(11, 2, &against, 5), NX_VERDICT_DONE);
    assert_string_equal(outcome.err.text, "no");
}

static void a_dead_replicas_vote_is_not_awaited(void **state)
{
    (void)state;
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    assert_int_equal(install(11, 8, 2), NX_VERDICT_PENDING);
    assert_int_equal(vote(10, 1, &fine, 5), NX_VERDICT_PENDING);
    assert_true(nx_store_drop_voters(store, 0x2, &entry, &outcome));
    assert_int_equal(entry->tag, 7);
    assert_int_equal(entry->state, NX_ENTRY_READY);
    assert_int_equal(outcome.err.status, NX_OK);
    assert_false(nx_store_drop_voters(store, 0x2, &entry, &outcome));
    assert_int_equal(vote(11, 1, &fine, 5), NX_VERDICT_DONE); /* the one that is left */
}

/* A shard's only member dies with an install under way and comes back with its log, at another rank. */
static void a_shard_that_is_resumed_votes_once_more(void **state)
{
    (void)state;
    struct nx_view view = {.vid = 9, .members_count = 4, .stateless = 0x1};
    for (nx_rank r = 0; r < 4; r++)
        view.members[r].since = r == 3 ? 9 : 2;
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    assert_true(nx_store_is_resumed(&view, 0x9)); /* rank 0 was there, without the state */
    nx_store_await_all(store, 0x8);
    assert_false(nx_store_drop_voters(store, 0x8, &entry, &outcome));
    assert_int_equal(vote(10, 3, &fine, 5), NX_VERDICT_DONE);
    assert_true(entry->any_vote);
    assert_false(nx_store_is_resumed(&view, 0xc)); /* rank 2 goes on, so its votes count */
    view.members[3].since = 8;
    assert_false(nx_store_is_resumed(&view, 0x8)); /* a later view of the same members */
}

static void one_replica_that_cannot_keeps_it_from_all(void **state)
{
    (void)state;
    struct nx_err no;
    nx_err_set(&no, NX_NO_MEMORY, "node 3 has no room");
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    entry->model = &no;
    assert_int_equal(vote(10, 1, &no, 0), NX_VERDICT_PENDING);
    assert_int_equal(vote(10, 2, &fine, 5), NX_VERDICT_DONE);
    assert_int_equal(entry->state, NX_ENTRY_FREE);
    assert_ptr_equal(entry->model, &no); /* for the caller to close */
    assert_int_equal(outcome.err.status, NX_NO_MEMORY);
    assert_string_equal(outcome.err.text, "node 3 has no room");
    assert_null(nx_store_find(store, 7));
    assert_int_equal(install(11, 7, 2), NX_VERDICT_PENDING); /* the tag is free again */
}

static void different_bytes_are_never_ready(void **state)
{
    (void)state;
    install(10, 7, 1);
    vote(10, 1, &fine, 5);
    assert_int_equal(vote(10, 2, &fine, 6), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_CORRUPT);
    assert_null(nx_store_find(store, 7));
}

static void of_two_installs_the_first_in_the_order_wins(void **state)
{
    (void)state;
    install(10, 7, 1);
    assert_int_equal(install(11, 7, 2), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_EXISTS);
    assert_string_equal(outcome.err.text, "tag 7 is being installed");
    vote(10, 1, &fine, 5);
    vote(10, 2, &fine, 5);
    assert_int_equal(install(12, 7, 3), NX_VERDICT_DONE);
    assert_string_equal(outcome.err.text, "tag 7 is installed already; remove it first");
}

static void a_request_sent_again_takes_effect_once(void **state)
{
    (void)state;
    assert_int_equal(install(10, 7, 1), NX_VERDICT_PENDING);
    assert_int_equal(install(11, 7, 1), NX_VERDICT_DUPLICATE);
    vote(10, 1, &fine, 5);
    vote(10, 2, &fine, 5);
    assert_int_equal(install(12, 7, 1), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_OK);
    remove_tag(7, 9);
    assert_int_equal(outcome.err.status, NX_OK);
    assert_non_null(entry);
    remove_tag(7, 9);
    assert_int_equal(outcome.err.status, NX_OK);
    assert_null(entry);
    remove_tag(7, 10);
    assert_int_equal(outcome.err.status, NX_NOT_FOUND);
    assert_string_equal(outcome.err.text, "tag 7 is not installed");
}

static void a_request_id_stands_for_one_request(void **state)
{
    (void)state;
    install(10, 7, 1);
    assert_int_equal(install(11, 8, 1), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_INVALID);
    assert_string_equal(outcome.err.text, "the request id was used before, for installing tag 7");
    remove_tag(7, 1);
    assert_int_equal(outcome.err.status, NX_INVALID);
    vote(10, 1, &fine, 5);
    vote(10, 2, &fine, 5);
    remove_tag(7, 1);
    assert_int_equal(outcome.err.status, NX_INVALID);
    assert_null(entry);
    assert_int_equal(nx_store_find(store, 7)->state, NX_ENTRY_READY);
    assert_int_equal(install(12, 8, 1), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_INVALID);
    assert_int_equal(install(13, 7, 1), NX_VERDICT_DONE); /* the very same: its first outcome */
    assert_int_equal(outcome.err.status, NX_OK);
}

static void a_model_cannot_be_removed_while_it_loads(void **state)
{
    (void)state;
    install(10, 7, 1);
    remove_tag(7, 2);
    assert_int_equal(outcome.err.status, NX_AGAIN);
    assert_int_equal(nx_store_find(store, 7)->state, NX_ENTRY_LOADING);
}

static void a_full_store_says_so(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++) {
        struct nx_request_id r = {{(uint8_t)i, (uint8_t)(i >> 8), 3}};
        assert_int_equal(nx_store_install(store, i, i, &r, 2, &entry, &outcome),
                         NX_VERDICT_PENDING);
    }
    assert_int_equal(install(5000, 99999, 1), NX_VERDICT_DONE);
    assert_int_equal(outcome.err.status, NX_TOO_LARGE);
}

static int open_store(void **state)
{
    (void)state;
    store = nx_store_open();
    return store ? 0 : -1;
}

static int close_store(void **state)
{
    (void)state;
    nx_store_close(store);
    return 0;
}

#define each(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(a_model_is_ready_when_every_replica_says_so),
        each(a_model_answers_when_it_is_ready),
        each(a_dead_replicas_vote_is_not_awaited),
        each(a_shard_that_is_resumed_votes_once_more),
        each(versions_only_grow),
        each(a_model_is_replaced_when_the_new_one_is_ready),
        each(what_cannot_be_loaded_replaces_nothing),
        each(a_note_of_a_replica_reaches_the_user),
        each(one_replica_that_cannot_keeps_it_from_all),
        each(different_bytes_are_never_ready),
        each(of_two_installs_the_first_in_the_order_wins),
        each(a_request_sent_again_takes_effect_once),
        each(a_request_id_stands_for_one_request),
        each(a_model_cannot_be_removed_while_it_loads),
        each(a_full_store_says_so),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
