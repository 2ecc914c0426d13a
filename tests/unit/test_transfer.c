/* The transfer over a core made of tables: streams between four members, which take as many bytes at a time as the test
 * says, and tiers whose state is an array of bytes. */
#include "common/codec.h"
#include "common/prng.h"
#include "group/transfer/transfer.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 4, STREAMS = 64, STATE_MAX = 200000 };

struct stream {
    nx_rank asker, giver;
    uint64_t query_total, query_got, query_given;
    uint8_t query[64];
    bool replying, cancelled, gone_told;
    uint64_t reply_total, reply_got, reply_given;
    uint8_t reply[STATE_MAX + 64];
};

struct member {
    nx_rank rank;
    bool dead;
    struct nx_transfer *transfer;
    uint8_t state[STATE_MAX];
    uint64_t state_bytes;
    uint8_t cut[STATE_MAX]; /* what a snapshot took */
    uint32_t snapshots, releases;
    bool cannot_cut, refuses, is_slow;
    uint64_t broken_at;
    uint8_t came[STATE_MAX];
    uint64_t came_bytes, came_total;
    bool whole, says_ready_at_once;
    uint32_t has_states, failures;
    enum nx_status why;
};

static struct member members[MEMBERS];
static struct stream streams[STREAMS];
static nx_stream streams_count;
static size_t room; /* bytes that one write takes */
static struct nx_prng prng;

/* --- the core ------------------------------------------------------------------------------------- */

static size_t taken_of(size_t len)
{
    size_t some = room ? 1 + (size_t)nx_prng_below(&prng, room) : 0;
    return len < some ? len : some;
}

static enum nx_status query_open(void *ctx, nx_rank peer, uint64_t total, nx_stream *query)
{
    struct member *m = ctx;
    if (members[peer].dead)
        return NX_PEER_DOWN;
    if (room == 0)
        return NX_AGAIN;
    assert_true(streams_count < STREAMS - 1);
    *query = ++streams_count;
    streams[*query] = (struct stream){.asker = m->rank, .giver = peer, .query_total = total};
    return NX_OK;
}

static enum nx_status query_write(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken)
{
    struct stream *s = &streams[query];
    struct member *m = ctx;
    assert_int_equal(s->asker, m->rank);
    *taken = taken_of(len);
    assert_true(s->query_got + *taken <= sizeof s->query);
    memcpy(s->query + s->query_got, bytes, *taken);
    s->query_got += *taken;
    return NX_OK;
}

static void query_cancel(void *ctx, nx_stream query)
{
    struct member *m = ctx;
    assert_int_equal(streams[query].asker, m->rank);
    streams[query].cancelled = true;
}

static enum nx_status reply_open(void *ctx, nx_stream query, uint64_t total)
{
    struct stream *s = &streams[query];
    struct member *m = ctx;
    assert_int_equal(s->giver, m->rank);
    if (s->cancelled || members[s->asker].dead)
        return NX_NOT_FOUND;
    assert_false(s->replying);
    s->replying = true;
    s->reply_total = total;
    return NX_OK;
}

static enum nx_status reply_write(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken)
{
    struct stream *s = &streams[query];
    (void)ctx;
    if (s->cancelled || members[s->asker].dead)
        return NX_NOT_FOUND;
    *taken = taken_of(len);
    assert_true(s->reply_got + *taken <= s->reply_total);
    memcpy(s->reply + s->reply_got, bytes, *taken);
    s->reply_got += *taken;
    return NX_OK;
}

static void has_state(void *ctx)
{
    ((struct member *)ctx)->has_states++;
}

static void failed(void *ctx, const struct nx_err *why)
{
    struct member *m = ctx;
    m->failures++;
    m->why = why->status;
}

/* --- the tier ------------------------------------------------------------------------------------- */

static void *snapshot(void *ctx, uint32_t subgroup, uint64_t *bytes)
{
    struct member *m = ctx;
    assert_int_equal(subgroup, 1);
    assert_int_equal(m->snapshots, m->releases);
    if (m->cannot_cut)
        return NULL;
    m->snapshots++;
    memcpy(m->cut, m->state, sizeof m->cut);
    *bytes = m->state_bytes;
    return m->cut;
}

static size_t state_read(void *ctx, void *from, uint64_t offset, void *buf, size_t cap)
{
    struct member *m = ctx;
    assert_ptr_equal(from, m->cut);
    assert_true(m->snapshots == m->releases + 1);
    if (m->broken_at && offset + cap >= m->broken_at)
        return NX_STATE_BROKEN;
    if (m->is_slow && nx_prng_below(&prng, 2))
        return 0;
    memcpy(buf, m->cut + offset, cap);
    return cap;
}

static void release(void *ctx, void *from)
{
    struct member *m = ctx;
    assert_ptr_equal(from, m->cut);
    m->releases++;
}

static enum nx_status state_part(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                                 const void *bytes, size_t len, struct nx_err *err)
{
    struct member *m = ctx;
    assert_int_equal(subgroup, 1);
    if (offset == 0)
        m->came_bytes = 0;
    assert_true(offset == m->came_bytes && offset + len <= total);
    if (m->refuses)
        return nx_err_set(err, NX_CORRUPT, "not a state of ours");
    if (len)
        memcpy(m->came + offset, bytes, len);
    m->came_bytes += len;
    m->came_total = total;
    m->whole = m->came_bytes == total;
    if (m->whole && m->says_ready_at_once)
        nx_transfer_ready(m->transfer);
    return NX_OK;
}

/* --- what moves ----------------------------------------------------------------------------------- */

static void give_part(struct nx_transfer *t, nx_rank from, nx_stream name, const uint8_t *bytes,
                      uint64_t total, uint64_t got, uint64_t *given, bool is_query)
{
    uint64_t left = got - *given, len = left ? 1 + nx_prng_below(&prng, left) : 0;
    struct nx_part part = {.peer = from,
                           .stream = name,
                           .total = total,
                           .offset = *given,
                           .bytes = bytes + *given,
                           .len = len};
    if (left == 0)
        return;
    *given += len;
    if (is_query)
        nx_transfer_query_part(t, &part);
    else
        nx_transfer_reply_part(t, &part);
}

static void carry(nx_stream name)
{
    struct stream *s = &streams[name];
    struct member *asker = &members[s->asker], *giver = &members[s->giver];
    if (s->gone_told || asker->dead)
        return;
    if (giver->dead) {
        s->gone_told = true;
        if (!s->cancelled && s->reply_given < s->reply_total + !s->replying)
            nx_transfer_query_failed(asker->transfer, name, NX_PEER_DOWN);
        return;
    }
    if (s->cancelled) {
        s->gone_told = true;
        nx_transfer_query_gone(giver->transfer, name);
        return;
    }
    give_part(giver->transfer, s->asker, name, s->query, s->query_total, s->query_got,
              &s->query_given, true);
    give_part(asker->transfer, s->giver, name, s->reply, s->reply_total, s->reply_got,
              &s->reply_given, false);
}

static void turns(uint32_t count)
{
    while (count--) {
        for (uint32_t i = 0; i < MEMBERS; i++)
            if (!members[i].dead)
                nx_transfer_poll(members[i].transfer);
        for (nx_stream s = 1; s <= streams_count; s++)
            carry(s);
    }
}

static void view_at(nx_rank rank, nx_vid vid, nx_rank donor, nx_rankset stateless)
{
    nx_transfer_view(
        members[rank].transfer,
        &(struct nx_transfer_view){
            .vid = vid, .self = rank, .donor = donor, .subgroup = 1, .stateless = stateless});
}

static void view(nx_vid vid, nx_rank donor, nx_rankset stateless)
{
    for (nx_rank r = 0; r < MEMBERS; r++)
        if (!members[r].dead)
            view_at(r, vid, donor, stateless);
}

static void fill_state(struct member *m, uint8_t salt, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        m->state[i] = (uint8_t)(i * 31 + salt);
    m->state_bytes = bytes;
}

static void assert_got(const struct member *m, const uint8_t *expected, uint64_t bytes)
{
    assert_true(m->whole);
    assert_int_equal(m->came_bytes, bytes);
    assert_memory_equal(m->came, expected, bytes);
}

static const struct nx_transfer_host host = {
    .query_open = query_open,
    .query_write = query_write,
    .query_cancel = query_cancel,
    .reply_open = reply_open,
    .reply_write = reply_write,
    .has_state = has_state,
    .failed = failed,
    .snapshot = snapshot,
    .read = state_read,
    .release = release,
    .part = state_part,
};

static int set_up(void **state)
{
    (void)state;
    memset(members, 0, sizeof members);
    streams_count = 0;
    room = SIZE_MAX;
    nx_prng_init(&prng, 7);
    for (nx_rank r = 0; r < MEMBERS; r++) {
        struct nx_transfer_host own = host;
        own.ctx = &members[r];
        members[r].rank = r;
        members[r].transfer = nx_transfer_open(&own, MEMBERS);
        assert_non_null(members[r].transfer);
        fill_state(&members[r], 1, 100000);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (nx_rank r = 0; r < MEMBERS; r++) {
        nx_transfer_close(members[r].transfer);
        assert_int_equal(members[r].snapshots, members[r].releases);
    }
    return 0;
}

/* --- the tests ------------------------------------------------------------------------------------ */

static void a_joiner_gets_the_state_of_the_cut(void **state)
{
    (void)state;
    uint8_t expected[1000];
    view(5, 0, NX_RANK_BIT(2));
    memcpy(expected, members[0].cut, sizeof expected);
    members[0].state[0] ^= 1; /* the shard goes on */
    turns(50);
    assert_got(&members[2], members[0].cut, 100000);
    assert_memory_equal(members[2].came, expected, sizeof expected);
    assert_int_equal(members[2].has_states, 0);
    nx_transfer_ready(members[2].transfer);
    assert_int_equal(members[2].has_states, 1);
    assert_int_equal(members[0].releases, 0);
    nx_transfer_lacking(members[0].transfer, 0);
    assert_int_equal(members[0].releases, 1);
    assert_int_equal(members[1].snapshots + members[2].snapshots, 0);
}

static void it_comes_byte_by_byte_too_and_from_a_slow_disk(void **state)
{
    (void)state;
    room = 3;
    fill_state(&members[0], 9, 4000);
    members[0].is_slow = true;
    view(1, 0, NX_RANK_BIT(1) | NX_RANK_BIT(3));
    turns(20000);
    assert_got(&members[1], members[0].state, 4000);
    assert_got(&members[3], members[0].state, 4000);
}

static void a_state_of_no_bytes_comes(void **state)
{
    (void)state;
    fill_state(&members[0], 0, 0);
    members[1].says_ready_at_once = true;
    view(1, 0, NX_RANK_BIT(1));
    turns(50);
    assert_got(&members[1], NULL, 0);
    assert_int_equal(members[1].has_states, 1);
}

static void ready_before_the_last_byte_is_remembered(void **state)
{
    (void)state;
    members[1].says_ready_at_once = true;
    room = 1000;
    view(1, 0, NX_RANK_BIT(1));
    turns(2000);
    assert_int_equal(members[1].has_states, 1);
}

static void a_tier_without_state_is_ready_at_once(void **state)
{
    (void)state;
    struct nx_transfer_host own = host;
    nx_transfer_close(members[3].transfer);
    own.ctx = &members[3];
    own.part = NULL;
    members[3].transfer = nx_transfer_open(&own, MEMBERS);
    view(1, 0, NX_RANK_BIT(3));
    assert_int_equal(members[3].has_states, 1);
    turns(5);
    assert_int_equal(streams_count, 0);
}

static void a_joiner_that_is_a_view_ahead_waits_for_its_donor(void **state)
{
    (void)state;
    view_at(1, 6, 0, NX_RANK_BIT(1));
    turns(20);
    assert_int_equal(members[1].came_bytes, 0);
    fill_state(&members[0], 77, 5000);
    view_at(0, 6, 0, NX_RANK_BIT(1));
    turns(50);
    assert_got(&members[1], members[0].state, 5000);
}

static void a_new_view_starts_it_over_with_that_cut(void **state)
{
    (void)state;
    room = 100;
    view(1, 0, NX_RANK_BIT(1));
    turns(100);
    assert_true(members[1].came_bytes > 0 && !members[1].whole);
    fill_state(&members[0], 50, 3000);
    view(2, 0, NX_RANK_BIT(1));
    assert_int_equal(members[0].releases, 1);
    turns(1000);
    assert_got(&members[1], members[0].state, 3000);
    assert_true(streams[1].cancelled);
}

static void what_came_whole_is_of_no_use_in_the_next_view(void **state)
{
    (void)state;
    view(1, 0, NX_RANK_BIT(1));
    turns(50);
    assert_true(members[1].whole);
    fill_state(&members[0], 51, 3000);
    view(2, 0, NX_RANK_BIT(1));
    nx_transfer_ready(members[1].transfer); /* of the first: too late */
    assert_int_equal(members[1].has_states, 0);
    turns(50);
    assert_got(&members[1], members[0].state, 3000);
    nx_transfer_ready(members[1].transfer);
    assert_int_equal(members[1].has_states, 1);
}

static void a_donor_that_dies_is_replaced_by_the_next_one(void **state)
{
    (void)state;
    room = 100;
    fill_state(&members[1], 60, 2000);
    view(1, 0, NX_RANK_BIT(3));
    turns(100);
    members[0].dead = true;
    turns(100);
    assert_false(members[3].whole);
    assert_int_equal(members[3].failures, 0);
    view(2, 1, NX_RANK_BIT(3));
    turns(1000);
    assert_got(&members[3], members[1].state, 2000);
    members[0].dead = false;
}

static void a_joiner_that_dies_leaves_nothing_behind(void **state)
{
    (void)state;
    room = 100;
    view(1, 0, NX_RANK_BIT(3) | NX_RANK_BIT(2));
    turns(100);
    members[3].dead = true;
    for (nx_stream s = 1; s <= streams_count; s++)
        if (streams[s].asker == 3)
            nx_transfer_query_gone(members[0].transfer, s);
    view(2, 0, NX_RANK_BIT(2));
    turns(3000);
    assert_got(&members[2], members[0].cut, 100000);
    members[3].dead = false;
}

static void a_question_of_a_view_that_is_over_is_told_so(void **state)
{
    (void)state;
    view_at(0, 9, 0, NX_RANK_BIT(1));
    view_at(1, 8, 0, NX_RANK_BIT(1));
    turns(20);
    assert_int_equal(members[1].came_bytes, 0);
    assert_int_equal(members[1].failures, 0);
    view_at(1, 9, 0, NX_RANK_BIT(1));
    turns(20);
    assert_true(members[1].whole);
}

static void a_snapshot_that_breaks_is_asked_for_again_and_then_refused(void **state)
{
    (void)state;
    members[0].broken_at = 90000;
    members[1].says_ready_at_once = true;
    view(1, 0, NX_RANK_BIT(1));
    turns(200);
    assert_int_equal(members[1].has_states, 0);
    assert_int_equal(members[1].failures, 1);
    assert_int_equal(members[1].why, NX_UNAVAILABLE);
}

static void a_donor_without_memory_refuses(void **state)
{
    (void)state;
    members[0].cannot_cut = true;
    view(1, 0, NX_RANK_BIT(1));
    turns(50);
    assert_int_equal(members[1].failures, 1);
}

static void a_state_that_the_tier_refuses_is_tried_thrice(void **state)
{
    (void)state;
    members[1].refuses = true;
    view(1, 0, NX_RANK_BIT(1));
    turns(200);
    assert_int_equal(members[1].failures, 1);
    assert_int_equal(members[1].why, NX_CORRUPT);
    assert_int_equal(streams_count, NX_TRANSFER_TRIES);
}

static void nobody_with_state_means_waiting(void **state)
{
    (void)state;
    view(1, NX_RANK_NONE, 0xf);
    turns(20);
    assert_int_equal(streams_count, 0);
    assert_int_equal(members[1].failures, 0);
}

/* Whatever a member that is not ours writes: an answer or a refusal, never more. */
static void hostile_questions_and_answers(void **state)
{
    (void)state;
    uint8_t bytes[64];
    view(3, 0, NX_RANK_BIT(1));
    for (int round = 0; round < 2000; round++) {
        uint64_t total = nx_prng_below(&prng, sizeof bytes) + 1;
        for (uint64_t i = 0; i < total; i++)
            bytes[i] = (uint8_t)nx_prng_below(&prng, 256);
        streams[10] = (struct stream){.asker = 2, .giver = 0};
        struct nx_part part = {
            .peer = 2, .stream = 10, .total = total, .bytes = bytes, .len = (size_t)total};
        nx_transfer_query_part(members[0].transfer, &part);
        nx_transfer_poll(members[0].transfer);
        assert_true(!streams[10].replying || streams[10].reply_total == 16 ||
                    (total == 16 && bytes[0] == NX_SYSTEM_STATE));
    }
    for (int round = 0; round < 2000; round++) {
        view_at(1, 3, 0, NX_RANK_BIT(1));
        streams_count = 0;
        turns(1);
        uint64_t total = nx_prng_below(&prng, sizeof bytes) + 1;
        for (uint64_t i = 0; i < total; i++)
            bytes[i] = (uint8_t)nx_prng_below(&prng, i < 4 ? 3 : 256);
        members[1].whole = false;
        struct nx_part part = {
            .peer = 0, .stream = 1, .total = total, .bytes = bytes, .len = (size_t)total};
        nx_transfer_reply_part(members[1].transfer, &part);
    }
    assert_int_equal(members[1].has_states, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_joiner_gets_the_state_of_the_cut),
        TEST(it_comes_byte_by_byte_too_and_from_a_slow_disk),
        TEST(a_state_of_no_bytes_comes),
        TEST(ready_before_the_last_byte_is_remembered),
        TEST(a_tier_without_state_is_ready_at_once),
        TEST(a_joiner_that_is_a_view_ahead_waits_for_its_donor),
        TEST(a_new_view_starts_it_over_with_that_cut),
        TEST(what_came_whole_is_of_no_use_in_the_next_view),
        TEST(a_donor_that_dies_is_replaced_by_the_next_one),
        TEST(a_joiner_that_dies_leaves_nothing_behind),
        TEST(a_question_of_a_view_that_is_over_is_told_so),
        TEST(a_snapshot_that_breaks_is_asked_for_again_and_then_refused),
        TEST(a_donor_without_memory_refuses),
        TEST(a_state_that_the_tier_refuses_is_tried_thrice),
        TEST(nobody_with_state_means_waiting),
        TEST(hostile_questions_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
