/* Categorizers over a group made of tables: one list of ordered messages that each takes when
 * the test says so, views that the test installs, bulk messages that it aborts. What is real:
 * stores, models, files, states. */
#include "categorizer/backend.h"
#include "categorizer/categorizer_state.h"
#include "nx_calibrated.h"
#include "nx_params_file.h"
#include "nx_test.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { REPLICAS = 3, MESSAGES = 64, STREAMS = 64, BULK_MAX = 4096 };

struct nx_group { /* one member's handle */
    nx_rank rank;
    struct nx_categorizer *c;
    struct nx_view view;
    struct nx_layout layout;
    uint32_t delivered; /* messages of the list */
    uint32_t load[NX_LOAD_WORDS];
    uint32_t readies;
    bool out; /* is no member */
};

struct message {
    nx_rank sender;
    uint8_t bytes[NX_ORDERED_BYTES_MAX];
    size_t len;
    nx_stream bulk;
};

static struct {
    struct nx_group members[REPLICAS];
    struct message list[MESSAGES];
    uint32_t listed;
    bool wedged;
    nx_rankset with_state;
    struct bulk {
        nx_rank sender;
        uint8_t head[NX_ORDERED_BYTES_MAX], body[BULK_MAX];
        size_t head_len, total, got;
        bool aborted;
    } bulks[STREAMS];
    nx_stream bulks_count;
    struct {
        uint8_t bytes[NX_ANSWER_BYTES_MAX];
        size_t total, got;
    } replies[STREAMS];
    nx_stream asked;
} world;

/* --- the group ------------------------------------------------------------------------------------ */

const struct nx_view *nx_group_view(const struct nx_group *g)
{
    return &g->view;
}

const struct nx_layout *nx_group_layout(const struct nx_group *g)
{
    return &g->layout;
}

nx_rank nx_group_rank(const struct nx_group *g)
{
    return g->rank;
}

bool nx_layout_shard_of(const struct nx_layout *layout, uint32_t subgroup, nx_rank rank,
                        uint32_t *shard)
{
    (void)subgroup;
    *shard = 0;
    return layout->shards[0][0].set & NX_RANK_BIT(rank);
}

enum nx_status nx_group_shard_status(const struct nx_group *g, uint32_t subgroup, uint32_t shard)
{
    (void)g, (void)subgroup, (void)shard;
    return NX_OK;
}

static void list(nx_rank sender, const void *bytes, size_t len, nx_stream bulk)
{
    struct message *m = &world.list[world.listed++];
    assert_true(world.listed < MESSAGES && len <= sizeof m->bytes);
    *m = (struct message){.sender = sender, .len = len, .bulk = bulk};
    memcpy(m->bytes, bytes, len);
}

enum nx_status nx_group_send(struct nx_group *g, uint32_t subgroup, const void *bytes, size_t len)
{
    (void)subgroup;
    if (world.wedged)
        return NX_AGAIN;
    list(g->rank, bytes, len, 0);
    return NX_OK;
}

enum nx_status nx_bulk_open(struct nx_group *g, uint32_t subgroup, uint64_t total, const void *head,
                            size_t head_len, nx_stream *stream)
{
    (void)subgroup;
    if (world.wedged)
        return NX_AGAIN;
    assert_true(world.bulks_count < STREAMS - 1 && total <= BULK_MAX);
    struct bulk *b = &world.bulks[ *stream = ++world.bulks_count];
    *b = (struct bulk){.sender = g->rank, .head_len = head_len, .total = total};
    memcpy(b->head, head, head_len);
    return NX_OK;
}

/* All of it is at every other member before it is ordered. */
enum nx_status nx_bulk_write(struct nx_group *g, nx_stream stream, const void *bytes, size_t len,
                             size_t *taken)
{
    struct bulk *b = &world.bulks[stream];
    if (b->aborted)
        return NX_NOT_FOUND;
    memcpy(b->body + b->got, bytes, len);
    for (nx_rank r = 0; r < REPLICAS; r++) {
        struct nx_part part = {.peer = g->rank,
                               .stream = stream,
                               .total = b->total,
                               .offset = b->got,
                               .bytes = b->body + b->got,
                               .len = len};
        if (r != g->rank && !world.members[r].out)
            nx_categorizer_upcalls()->bulk_part(world.members[r].c, 0, &part, b->head, b->head_len);
    }
    b->got += len;
    *taken = len;
    if (b->got == b->total)
        list(g->rank, b->head, b->head_len, stream);
    return NX_OK;
}

enum nx_status nx_bulk_room(struct nx_group *g, nx_stream stream, struct nx_err *err)
{
    (void)g, (void)stream, (void)err;
    return NX_OK;
}

void nx_bulk_abort(struct nx_group *g, nx_stream stream)
{
    (void)g;
    world.bulks[stream].aborted = true;
}

nx_seq nx_group_settled(const struct nx_group *g, uint32_t subgroup)
{
    uint32_t least = world.listed;
    (void)g, (void)subgroup;
    for (nx_rank r = 0; r < REPLICAS; r++)
        if (!world.members[r].out && world.members[r].delivered < least)
            least = world.members[r].delivered;
    return (nx_seq)least - 1;
}

nx_seq nx_group_durable(const struct nx_group *g, uint32_t subgroup)
{
    return nx_group_settled(g, subgroup);
}

bool nx_group_replays(const struct nx_group *g)
{
    (void)g;
    return false;
}

enum nx_status nx_reply_open(struct nx_group *g, nx_stream query, uint64_t total)
{
    (void)g;
    world.replies[query].total = total;
    return NX_OK;
}

enum nx_status nx_reply_write(struct nx_group *g, nx_stream query, const void *bytes, size_t len,
                              size_t *taken)
{
    (void)g;
    memcpy(world.replies[query].bytes + world.replies[query].got, bytes, len);
    world.replies[query].got += len;
    *taken = len;
    return NX_OK;
}

void nx_group_set_load(struct nx_group *g, unsigned word, uint32_t value)
{
    g->load[word] = value;
}

void nx_group_state_ready(struct nx_group *g)
{
    g->readies++;
    world.with_state |= NX_RANK_BIT(g->rank);
}

nx_rankset nx_group_with_state(const struct nx_group *g)
{
    (void)g;
    return world.with_state;
}

/* --- what the tests do ---------------------------------------------------------------------------- */

static void open_with(nx_rank r, uint64_t spool_bytes, const char *backend,
                      enum nx_precision precision)
{
    struct nx_categorizer_config config = {.backend = backend,
                                           .precision = precision,
                                           .threads = 1,
                                           .batch_max = 2,
                                           .profiles = "",
                                           .memory_bytes = 64 << 20,
                                           .spool_folder = ".",
                                           .spool_bytes = spool_bytes};
    struct nx_group *g = &world.members[r];
    struct nx_err err = {0};
    *g = (struct nx_group){.rank = r, .out = true};
    if (nx_categorizer_open(&config, &g->c, &err) != NX_OK)
        fail_msg("%s", err.text);
    nx_categorizer_attach(g->c, g);
}

static void open_member(nx_rank r, uint64_t spool_bytes)
{
    open_with(r, spool_bytes, "cpu_ref", NX_PRECISION_F32);
}

static void view(nx_vid vid, nx_rankset set, nx_rankset stateless)
{
    world.with_state = set & ~stateless;
    for (nx_rank r = 0; r < REPLICAS; r++) {
        struct nx_group *g = &world.members[r];
        g->out = !(set & NX_RANK_BIT(r));
        if (g->out)
            continue;
        if (stateless & NX_RANK_BIT(r))
            g->delivered = world.listed;
        g->view.vid = vid;
        g->view.members_count = REPLICAS;
        g->view.vacant = ~set & 7;
        g->layout.shards_count[0] = 1;
        g->layout.shards[0][0] = (struct nx_shard){.set = set, .stateless = stateless};
        nx_categorizer_upcalls()->view(g->c, &g->view, &g->layout);
    }
}

static void deliver_one(struct nx_group *g)
{
    const struct message *m = &world.list[g->delivered];
    struct nx_delivery d = {.sender = m->sender,
                            .seq = g->delivered,
                            .bytes = m->bytes,
                            .len = m->len,
                            .bulk = m->bulk};
    g->delivered++;
    if (!m->bulk || !world.bulks[m->bulk].aborted)
        nx_categorizer_upcalls()->deliver(g->c, &d);
}

/* Members deliver what is listed, and poll, until nothing moves any more and nobody's loader is at work. */
static void run(nx_rankset who)
{
    for (bool busy = true; busy;) {
        bool moved = false, loads = false;
        for (nx_rank r = 0; r < REPLICAS; r++) {
            struct nx_group *g = &world.members[r];
            if (g->out || !(who & NX_RANK_BIT(r)))
                continue;
            while (g->delivered < world.listed && !g->c->arrival.lacking) {
                deliver_one(g);
                moved = true;
            }
            moved |= nx_categorizer_poll(g->c);
            loads |= nx_worker_underway(g->c->loader) > 0;
        }
        if (!moved && loads)
            poll(NULL, 0, 2);
        busy = moved || loads;
    }
}

static const char symbol_text[] =
    "{\"nodes\":["
    "{\"op\":\"null\",\"name\":\"data\",\"inputs\":[]},"
    "{\"op\":\"Pooling\",\"name\":\"pool\",\"inputs\":[[0,0,0]],"
    "\"attrs\":{\"global_pool\":\"True\",\"kernel\":\"(1, 1)\",\"pool_type\":\"avg\"}},"
    "{\"op\":\"Flatten\",\"name\":\"flat\",\"inputs\":[[1,0,0]]},"
    "{\"op\":\"null\",\"name\":\"fc_weight\",\"inputs\":[]},"
    "{\"op\":\"FullyConnected\",\"name\":\"fc\",\"inputs\":[[2,0,0],[3,0,0]],"
    "\"attrs\":{\"no_bias\":\"True\",\"num_hidden\":\"3\"}}"
    "],\"heads\":[[4,0,0]]}";
static const char synset_text[] = "red\ngreen\nblue\n";

static struct nx_request_head install_head(uint32_t tag, uint8_t id)
{
    struct nx_request_head h = {.op = NX_REQUEST_INSTALL,
                                .tag = tag,
                                .request = {{id}},
                                .format = NX_FORMAT_MXNET,
                                .synset_bytes = sizeof synset_text - 1,
                                .symbol_bytes = sizeof symbol_text - 1};
    return h;
}

static nx_stream ask(nx_rank at, const struct nx_request_head *head, const void *body, size_t len)
{
    uint8_t bytes[8192];
    size_t used = nx_request_encode(head, bytes, sizeof bytes);
    assert_true(used > 0 && used + len <= sizeof bytes);
    if (len)
        memcpy(bytes + used, body, len);
    struct nx_part part = {
        .stream = ++world.asked, .total = used + len, .bytes = bytes, .len = used + len};
    world.replies[world.asked].total = 0;
    nx_categorizer_upcalls()->query_part(world.members[at].c, &part);
    return world.asked;
}

static struct nx_params_file params;

static void write_params(uint32_t tag)
{
    nx_pf_begin(&params, 1);
    nx_pf_array(&params, 2, (const int64_t[]){3, 3}, (float)tag);
    nx_pf_names(&params, 1);
    nx_pf_name(&params, "arg:fc_weight");
}

static nx_stream install_with(nx_rank at, uint32_t tag, uint8_t id, const char *calibration)
{
    uint8_t body[BULK_MAX];
    uint64_t bytes;
    struct nx_request_head head = install_head(tag, id);
    write_params(tag);
    head.params_bytes = nx_pf_len(&params);
    head.calibration_bytes = (uint32_t)strlen(calibration);
    head.precision = calibration[0] ? NX_PRECISION_INT8 : NX_PRECISION_F32;
    assert_true(nx_install_body_bytes(&head, &bytes) && bytes <= sizeof body);
    uint8_t *at_params = body + head.synset_bytes + head.symbol_bytes;
    memcpy(body, synset_text, head.synset_bytes);
    memcpy(body + head.synset_bytes, symbol_text, head.symbol_bytes);
    memcpy(at_params, params.bytes, head.params_bytes);
    memcpy(at_params + head.params_bytes, calibration, head.calibration_bytes);
    return ask(at, &head, body, bytes);
}

static nx_stream install(nx_rank at, uint32_t tag, uint8_t id)
{
    return install_with(at, tag, id, "");
}

static nx_stream photo(nx_rank at, uint32_t tag)
{
    struct nx_request_head head = {.op = NX_REQUEST_INFER, .tag = tag, .time_left_ns = NX_NEVER};
    return ask(at, &head, "no photo", 8);
}

static bool is_answered(nx_stream s)
{
    return world.replies[s].total && world.replies[s].got == world.replies[s].total;
}

static struct nx_err answer(nx_stream s)
{
    struct nx_answer a;
    struct nx_err err;
    assert_true(is_answered(s));
    assert_int_equal(nx_answer_decode(world.replies[s].bytes, world.replies[s].total, &a, &err),
                     NX_OK);
    return a.err;
}

static void assert_answer(nx_stream s, enum nx_status status, const char *words)
{
    struct nx_err err = answer(s);
    if (err.status != status || !strstr(err.text, words))
        fail_msg("status %d, \"%s\"; expected %d, \"%s\"", err.status, err.text, status, words);
}

static void assert_serves(nx_rank r, uint32_t tag)
{
    const struct nx_entry *e = nx_store_find(world.members[r].c->store, tag);
    assert_non_null(e);
    assert_int_equal(e->state, NX_ENTRY_READY);
    assert_non_null(e->model);
}

/* The state from `from` to `to`, in pieces of `piece` bytes; up to `stop` of them. */
static enum nx_status move_state(nx_rank from, nx_rank to, size_t piece, uint32_t stop)
{
    const struct nx_group_upcalls *up = nx_categorizer_upcalls();
    struct nx_categorizer *giver = world.members[from].c, *taker = world.members[to].c;
    struct nx_err err = {0};
    uint64_t total, at = 0;
    uint8_t buf[4096];
    enum nx_status status = NX_OK;
    void *snapshot = up->state_snapshot(giver, 0, &total);
    assert_non_null(snapshot);
    while (at < total && status == NX_OK && stop--) {
        size_t len = up->state_read(giver, snapshot, at, buf, piece);
        if (len == 0) {
            poll(NULL, 0, 1); /* the loader is writing it */
            continue;
        }
        assert_true(len <= piece);
        status = up->state_part(taker, 0, total, at, buf, len, &err);
        at += len;
    }
    up->state_release(giver, snapshot);
    return status;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    for (nx_rank r = 0; r < REPLICAS; r++)
        open_member(r, 64 << 20);
    view(1, 3, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (nx_rank r = 0; r < REPLICAS; r++)
        nx_categorizer_close(world.members[r].c);
    return 0;
}

static void install_two(void)
{
    nx_stream a = install(0, 7, 1), b = install(1, 8, 2);
    run(3);
    assert_answer(a, NX_OK, "install model successfully.");
    assert_answer(b, NX_OK, "install model successfully.");
}

/* --- the tests ------------------------------------------------------------------------------------ */

static void who_joins_serves_what_the_others_serve(void **state)
{
    (void)state;
    install_two();
    view(2, 7, 4);
    nx_stream early = photo(2, 7), early_install = install(2, 9, 3);
    run(7);
    assert_answer(early, NX_UNAVAILABLE, "still receiving its state");
    assert_answer(early_install, NX_UNAVAILABLE, "still receiving its state");
    assert_int_equal(move_state(0, 2, 7, UINT32_MAX), NX_OK);
    assert_int_equal(world.members[2].readies, 0); /* nothing is loaded yet */
    run(7);
    assert_int_equal(world.members[2].readies, 1);
    assert_serves(2, 7);
    assert_serves(2, 8);
    nx_stream late = photo(2, 7), next = install(2, 9, 3);
    run(7);
    assert_int_not_equal(answer(late).status, NX_UNAVAILABLE); /* it is no photo */
    assert_int_not_equal(answer(late).status, NX_NOT_FOUND);
    assert_answer(next, NX_OK, "install model successfully.");
    for (nx_rank r = 0; r < REPLICAS; r++)
        assert_serves(r, 9);
}

static void request_ids_come_with_the_state(void **state)
{
    (void)state;
    install_two();
    view(2, 7, 4);
    assert_int_equal(move_state(1, 2, 1000, UINT32_MAX), NX_OK);
    run(7);
    uint32_t before = world.listed;
    nx_stream again = install(2, 7, 1), other = install(2, 7, 9);
    run(7);
    assert_answer(again, NX_OK, "install model successfully.");
    assert_answer(other, NX_EXISTS, "tag 7");
    assert_int_equal(world.listed, before + 1); /* the head alone */
    assert_int_equal(world.list[before].bulk, 0);
}

static void an_install_under_way_waits_for_who_joins(void **state)
{
    (void)state;
    nx_stream a = install(0, 7, 1);
    deliver_one(&world.members[0]);
    deliver_one(&world.members[1]);
    view(2, 7, 4);
    assert_int_equal(nx_store_find(world.members[0].c->store, 7)->waiting, 7);
    assert_int_equal(move_state(0, 2, 100, UINT32_MAX), NX_OK);
    assert_false(is_answered(a));
    run(7);
    assert_answer(a, NX_OK, "install model successfully.");
    assert_int_equal(world.listed, 4); /* three votes */
    for (nx_rank r = 0; r < REPLICAS; r++)
        assert_serves(r, 7);
}

/* It is loaded last, when the replica has its state already: a view that comes meanwhile does not undo that. */
static void an_install_in_a_state_outlives_the_view(void **state)
{
    (void)state;
    nx_stream a = install(0, 7, 1);
    deliver_one(&world.members[0]);
    deliver_one(&world.members[1]);
    view(2, 7, 4);
    assert_int_equal(move_state(0, 2, 100, UINT32_MAX), NX_OK);
    assert_true(nx_arrival_poll(world.members[2].c));
    view(3, 7, 0);
    run(7);
    assert_answer(a, NX_OK, "install model successfully.");
    for (nx_rank r = 0; r < REPLICAS; r++)
        assert_serves(r, 7);
}

static void a_state_that_ends_early_is_followed_by_another(void **state)
{
    (void)state;
    install_two();
    view(2, 7, 4);
    assert_int_equal(move_state(0, 2, 100, 12), NX_OK);
    view(3, 7, 4);
    assert_int_equal(move_state(1, 2, 4096, UINT32_MAX), NX_OK);
    view(4, 7, 4); /* it is here, and not loaded: too late as well */
    run(7);
    assert_int_equal(world.members[2].readies, 0);
    assert_int_equal(move_state(1, 2, 333, UINT32_MAX), NX_OK);
    run(7);
    assert_int_equal(world.members[2].readies, 1);
    assert_serves(2, 8);
}

static void a_shard_that_nobody_knows_any_more_is_empty(void **state)
{
    (void)state;
    install_two();
    view(2, 7, 4);
    assert_int_equal(move_state(0, 2, 100, UINT32_MAX), NX_OK);
    view(3, 4, 0); /* the others are gone */
    run(7);
    assert_null(nx_store_find(world.members[2].c->store, 7));
    nx_stream a = install(2, 7, 1);
    run(7);
    assert_answer(a, NX_OK, "install model successfully.");
    assert_serves(2, 7);
}

static void a_joiner_without_room_says_so(void **state)
{
    (void)state;
    install_two();
    nx_categorizer_close(world.members[2].c);
    open_member(2, 100);
    view(2, 7, 4);
    assert_int_equal(move_state(0, 2, 100, UINT32_MAX), NX_UNAVAILABLE);
    assert_int_equal(world.members[2].readies, 0);
}

/* The function-tier node that passed it on dies when all is sent: the others have it, so the
 * entry replica must not vote that it has no files. */
static void an_install_whose_asker_goes_is_done(void **state)
{
    (void)state;
    nx_stream a = install(0, 7, 1);
    assert_int_equal(world.listed, 1);
    nx_categorizer_upcalls()->query_gone(world.members[0].c, a);
    run(3);
    assert_serves(0, 7);
    assert_serves(1, 7);
}

/* A request that is repeated is a head without files; the files that others are sending are not its own. */
static void a_repeated_request_takes_nobody_elses_files(void **state)
{
    (void)state;
    install(0, 7, 1);
    run(3);
    uint32_t first = world.listed;
    nx_stream b = install(0, 8, 2); /* its files are here */
    nx_stream again = install(1, 7, 1);
    (void)nx_categorizer_poll(world.members[1].c);
    assert_int_equal(world.listed, first + 2);
    struct message other = world.list[first];
    world.list[first] = world.list[first + 1];
    world.list[first + 1] = other;
    run(3);
    assert_answer(again, NX_OK, "install model successfully.");
    assert_answer(b, NX_OK, "install model successfully.");
    assert_serves(0, 8);
    assert_serves(1, 8);
}

static void a_bulk_that_a_join_aborts_is_sent_again_once(void **state)
{
    (void)state;
    nx_stream a = install(0, 7, 1);
    world.bulks[1].aborted = true; /* ordered, and not delivered */
    world.listed = 0;
    for (nx_rank r = 0; r < 2; r++)
        nx_categorizer_upcalls()->bulk_aborted(world.members[r].c, 1);
    run(3);
    assert_answer(a, NX_OK, "install model successfully.");
    assert_int_equal(world.bulks_count, 2);
    assert_serves(0, 7);
    assert_serves(1, 7);
}

/* One replica dies before its vote: the other decides at the view, and tells when everybody is in that view. */
static void a_decision_of_a_view_waits_for_all(void **state)
{
    (void)state;
    nx_rankset all = 7;
    view(2, 7, 4);
    assert_int_equal(move_state(0, 2, 100, UINT32_MAX), NX_OK);
    run(all);
    nx_stream a = install(0, 7, 1);
    run(3); /* rank 2 is slow: it delivers nothing, and dies */
    assert_false(is_answered(a));
    world.members[2].out = true;
    world.wedged = true;
    view(3, 3, 0);
    run(1);
    assert_serves(0, 7);
    assert_false(is_answered(a)); /* decided here; nobody has sent anything in the new view */
    world.wedged = false;
    run(1);
    assert_false(is_answered(a)); /* rank 1 may not be in it */
    run(3);
    assert_answer(a, NX_OK, "install model successfully.");
}

static void reopen(nx_rank r, const char *backend, enum nx_precision precision)
{
    nx_categorizer_close(world.members[r].c);
    open_with(r, 64 << 20, backend, precision);
}

static enum nx_precision computed_in(nx_rank r, uint32_t tag)
{
    assert_serves(r, tag);
    const struct nx_entry *e = nx_store_find(world.members[r].c->store, tag);
    const struct nx_held_model *held = e->model;
    return nx_served_facts(held->served)->precision;
}

/* Of the model with that tag's weights. */
static char *calibration_of(uint32_t tag)
{
    static float input[3 * 224 * 224];
    for (size_t i = 0; i < sizeof input / sizeof *input; i++)
        input[i] = (float)(i % 5);
    write_params(tag);
    struct nx_model_files files = {.symbol = {symbol_text, sizeof symbol_text - 1},
                                   .params = {params.bytes, nx_pf_len(&params)}};
    return nx_calibrated(&files, input);
}

/* A precision of the model, not of the node it came through: all have it, who joins too, and
 * nobody's configuration matters. */
static void a_calibrated_model_is_in_int8_at_all_replicas(void **state)
{
    (void)state;
    char *calibration = calibration_of(7);
    nx_stream a = install_with(0, 7, 1, calibration), b = install(1, 8, 2);
    run(3);
    assert_answer(a, NX_OK, "install model successfully.");
    assert_answer(b, NX_OK, "install model successfully.");
    view(2, 7, 4);
    assert_int_equal(move_state(1, 2, 100, UINT32_MAX), NX_OK);
    run(7);
    for (nx_rank r = 0; r < REPLICAS; r++) {
        assert_int_equal(computed_in(r, 7), NX_PRECISION_INT8);
        assert_int_equal(computed_in(r, 8), NX_PRECISION_F32);
    }
    assert_memory_equal(&nx_store_find(world.members[0].c->store, 7)->digest,
                        &nx_store_find(world.members[2].c->store, 7)->digest, NX_DIGEST_BYTES);
    free(calibration);
}

static void a_calibration_of_another_model_changes_no_replica(void **state)
{
    (void)state;
    char *calibration = calibration_of(9);
    nx_stream a = install_with(0, 7, 1, calibration);
    run(3);
    assert_answer(a, NX_INVALID, "it was made for another one");
    calibration[strlen(calibration) / 2] = 0;
    a = install_with(1, 9, 2, calibration); /* cut */
    run(3);
    assert_answer(a, NX_CORRUPT, "calibration line");
    a = install_with(1, 9, 3, "int8, please");
    run(3);
    assert_answer(a, NX_CORRUPT, "calibration line 1: expected \"nexus calibration 1\"");
    for (nx_rank r = 0; r < 2; r++) {
        assert_null(nx_store_find(world.members[r].c->store, 7));
        assert_null(nx_store_find(world.members[r].c->store, 9));
    }
    free(calibration);
}

static bool has_bf16(void)
{
    struct nx_load_options load = {.batch_max = 1, .threads = 1, .precision = NX_PRECISION_BF16};
    struct nx_err err = {0};
    if (nx_backend_check("cpu_dnnl", &load, &err) == NX_OK)
        return true;
    print_message("SKIP: %s\n", err.text);
    return false;
}

static void all_replicas_compute_as_the_one_that_took_the_model_in(void **state)
{
    (void)state;
    if (!has_bf16())
        skip();
    for (nx_rank r = 0; r < REPLICAS; r++)
        reopen(r, "cpu_dnnl", r == 0 ? NX_PRECISION_BF16 : NX_PRECISION_F32);
    view(1, 3, 0);
    install_two(); /* 7 comes through 0, 8 through 1 */
    view(2, 7, 4);
    run(7);
    assert_int_equal(move_state(1, 2, 4096, UINT32_MAX), NX_OK);
    run(7);
    for (nx_rank r = 0; r < REPLICAS; r++) {
        assert_int_equal(computed_in(r, 7), NX_PRECISION_BF16);
        assert_int_equal(computed_in(r, 8), NX_PRECISION_F32);
    }
}

static void what_one_replica_cannot_compute_in_none_does(void **state)
{
    (void)state;
    if (!has_bf16())
        skip();
    reopen(0, "cpu_dnnl", NX_PRECISION_BF16);
    view(1, 3, 0); /* 1 is a cpu_ref */
    nx_stream s = install(0, 7, 1);
    run(3);
    assert_answer(s, NX_UNSUPPORTED, "cpu_ref computes in f32 and int8, not in bf16");
    for (nx_rank r = 0; r < 2; r++)
        assert_null(nx_store_find(world.members[r].c->store, 7));
}

static void a_precision_that_a_backend_lacks_is_refused_at_the_start(void **state)
{
    (void)state;
    struct nx_categorizer_config config = {
        .backend = "cpu_ref", .precision = NX_PRECISION_BF16, .threads = 1, .batch_max = 2};
    struct nx_categorizer *c = NULL;
    struct nx_err err = {0};
    assert_int_equal(nx_categorizer_open(&config, &c, &err), NX_UNSUPPORTED);
    assert_string_equal(err.text,
                        "precision = bf16: cpu_ref computes in f32 and int8, not in bf16");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(who_joins_serves_what_the_others_serve),
        TEST(request_ids_come_with_the_state),
        TEST(an_install_under_way_waits_for_who_joins),
        TEST(an_install_in_a_state_outlives_the_view),
        TEST(a_state_that_ends_early_is_followed_by_another),
        TEST(a_shard_that_nobody_knows_any_more_is_empty),
        TEST(a_joiner_without_room_says_so),
        TEST(an_install_whose_asker_goes_is_done),
        TEST(a_repeated_request_takes_nobody_elses_files),
        TEST(a_bulk_that_a_join_aborts_is_sent_again_once),
        TEST(all_replicas_compute_as_the_one_that_took_the_model_in),
        TEST(a_calibrated_model_is_in_int8_at_all_replicas),
        TEST(a_calibration_of_another_model_changes_no_replica),
        TEST(what_one_replica_cannot_compute_in_none_does),
        TEST(a_precision_that_a_backend_lacks_is_refused_at_the_start),
        TEST(a_decision_of_a_view_waits_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
