#include "nx_test.h"
#include "nx_wire.h"

#include "common/prng.h"

#include <stdlib.h>
#include <string.h>

/* What every node delivered, compared message by message: sender, bytes, order. */
struct order {
    struct wire *wire;
    uint64_t count[WIRE_NODES_MAX], hash[WIRE_NODES_MAX];
    uint64_t at[WIRE_NODES_MAX][4096]; /* hash after the n-th delivery */
};

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

static bool note_delivery(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    (void)wire;
    struct order *order = ctx;
    if (up->type != NX_UP_DELIVER)
        return false;
    const struct nx_delivery *d = &up->delivery;
    uint64_t hash = mix(order->hash[node] * 31 + d->sender + 1, &d->seq, sizeof d->seq);
    order->hash[node] = mix(hash, d->bytes, d->len);
    order->at[node][order->count[node]++ % 4096] = order->hash[node];
    return true;
}

static void one_message_reaches_both(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    assert_int_equal(nx_core_settled(wire->cores[0], 0), NX_SEQ_NONE);
    assert_int_equal(wire_send(wire, 0, "hello"), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > delivered 0 from n0 'hello'\n"
                                  "[30] n0 > delivered 0 from n0 'hello'\n"));
    assert_int_equal(nx_core_settled(wire->cores[0], 0), 1); /* place 1 is n1's, and a null */
    assert_int_equal(nx_core_settled(wire->cores[1], 0), 1);
    wire_close(wire);
}

static void a_group_of_one_delivers_to_itself(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 1);
    assert_int_equal(wire_send(wire, 0, ""), NX_OK);
    assert_int_equal(wire_send(wire, 0, "b"), NX_OK);
    const struct nx_update *update = wire_ask(
        wire, 0, (struct nx_event){.type = NX_EV_BULK_OPEN, .total = 5, .bytes = "h", .len = 1});
    assert_int_equal(update->status, NX_OK);
    update = wire_ask(
        wire, 0,
        (struct nx_event){
            .type = NX_EV_BULK_WRITE, .stream = update->stream, .bytes = "12345", .len = 5});
    assert_int_equal(update->taken, 5);
    wire_run(wire);
    assert_true(wire_expect(wire, "[10] n0 > delivered 0 from n0 ''\n"
                                  "[10] n0 > delivered 1 from n0 'b'\n"
                                  "[10] n0 > delivered 2 from n0 bulk 'h'\n"));
    wire_close(wire);
}

/* Every node sends messages of random sizes as fast as its window takes them; all windows wrap many
 * times. */
static void run_senders(unsigned nodes, unsigned senders, unsigned messages, uint64_t seed)
{
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, nodes);
    struct order *order = calloc(1, sizeof *order);
    wire->hook = note_delivery;
    wire->ctx = order;
    struct nx_prng prng;
    nx_prng_init(&prng, seed);
    size_t most = nx_core_send_max(wire->cores[0]);
    uint8_t *bytes = malloc(most);
    unsigned sent[WIRE_NODES_MAX] = {0}, total = 0, refused = 0;
    for (unsigned tries = 0; total < messages * senders; tries++) {
        assert_true(tries < 1000000);
        unsigned n = (unsigned)nx_prng_below(&prng, nodes);
        if (n < senders && sent[n] < messages) {
            size_t len = nx_prng_below(&prng, nx_prng_chance(&prng, 1, 8) ? most + 1 : 100);
            for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)nx_prng_u64(&prng);
            struct nx_event event = {.type = NX_EV_SEND, .bytes = bytes, .len = len};
            enum nx_status status = wire_ask(wire, n, event)->status;
            if (status == NX_OK) {
                sent[n]++;
                total++;
            } else {
                assert_int_equal(status, NX_AGAIN);
                refused++;
            }
        }
        if (nx_prng_chance(&prng, 1, 3))
            wire_turn(wire, (unsigned)nx_prng_below(&prng, nodes));
    }
    wire_run(wire);
    assert_true(refused > 0);
    for (unsigned n = 0; n < nodes; n++) {
        assert_int_equal(order->count[n], messages * senders);
        assert_int_equal(order->hash[n], order->hash[0]);
        assert_int_equal(nx_core_settled(wire->cores[n], 0), nx_core_settled(wire->cores[0], 0));
        assert_true(nx_core_settled(wire->cores[n], 0) >= (nx_seq)(messages * senders) - 1);
    }
    free(bytes);
    free(order);
    wire_close(wire);
}

static void all_deliver_the_same_in_the_same_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run_senders(2, 2, 500, seed);
        run_senders(3, 3, 300, seed);
        run_senders(5, 5, 200, seed);
    }
}

static void an_idle_sender_delays_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_senders(2, 1, 500, seed);
        run_senders(4, 1, 500, seed);
        run_senders(4, 2, 500, seed);
    }
}

/* --- bulk --- */

enum { BULKS = 40 };

static uint8_t pattern(uint64_t stream, uint64_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13 + stream);
}

struct bulk_sink {
    uint64_t parts, aborted, delivered[WIRE_NODES_MAX];
    uint64_t got[WIRE_NODES_MAX][1024]; /* by total: every bulk has its own */
    uint64_t mark[WIRE_NODES_MAX][1024];
};

static bool sink_bulk(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    (void)wire;
    struct bulk_sink *sink = ctx;
    if (up->type == NX_UP_BULK_ABORTED) {
        sink->aborted++;
        return true;
    }
    if (up->type == NX_UP_DELIVER) {
        assert_true(up->delivery.bulk != 0);
        uint32_t id;
        assert_int_equal(up->delivery.len, sizeof id);
        memcpy(&id, up->delivery.bytes, sizeof id);
        assert_int_equal(sink->got[node][id], up->delivery.sender == node ? 0 : 5000 + id);
        sink->delivered[node]++;
        return true;
    }
    assert_int_equal(up->type, NX_UP_BULK_PART);
    const struct nx_part *part = &up->part;
    uint32_t id = (uint32_t)(part->total - 5000);
    assert_int_equal(part->offset, sink->got[node][id]);
    assert_int_equal(part->offset == 0, up->head != NULL);
    if (up->head) {
        assert_int_equal(up->head_len, sizeof id);
        assert_memory_equal(up->head, &id, sizeof id);
    }
    for (size_t i = 0; i < part->len; i++)
        assert_int_equal(part->bytes[i], pattern(id, part->offset + i));
    sink->got[node][id] += part->len;
    sink->parts++;
    return true;
}

struct bulk_source {
    unsigned node;
    nx_stream stream;
    uint64_t total, at;
    bool open, done;
};

static void feed_bulk(struct wire *wire, struct bulk_source *source, uint32_t id)
{
    if (!source->open) {
        source->total = 5000 + id;
        struct nx_event event = {
            .type = NX_EV_BULK_OPEN, .total = source->total, .bytes = &id, .len = sizeof id};
        const struct nx_update *update = wire_ask(wire, source->node, event);
        source->stream = update->stream;
        source->open = update->status == NX_OK;
        if (!source->open)
            assert_int_equal(update->status, NX_AGAIN);
        return;
    }
    uint8_t bytes[700];
    size_t len =
        source->total - source->at < sizeof bytes ? source->total - source->at : sizeof bytes;
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(id, source->at + i);
    struct nx_event event = {
        .type = NX_EV_BULK_WRITE, .stream = source->stream, .bytes = bytes, .len = len};
    const struct nx_update *update = wire_ask(wire, source->node, event);
    assert_int_equal(update->status, NX_OK);
    source->at += update->taken;
    source->done = source->at == source->total;
}

static void bulks_interleave_through_small_windows(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 3);
    struct bulk_sink *sink = calloc(1, sizeof *sink);
    wire->hook = sink_bulk;
    wire->ctx = sink;
    struct bulk_source sources[BULKS] = {{0}};
    unsigned done = 0;
    for (unsigned round = 0; done < BULKS; round++) {
        assert_true(round < 100000);
        done = 0;
        for (uint32_t i = 0; i < BULKS; i++) {
            sources[i].node = i % 3;
            if (!sources[i].done)
                feed_bulk(wire, &sources[i], i);
            done += sources[i].done;
        }
        wire_turn(wire, round % 3);
    }
    wire_run(wire);
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(sink->delivered[n], BULKS);
    free(sink);
    wire_close(wire);
}

static void an_aborted_bulk_ends_at_the_receivers_and_frees_its_slot(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    for (unsigned i = 0; i < 50; i++) {
        const struct nx_update *update =
            wire_ask(wire, 0, (struct nx_event){.type = NX_EV_BULK_OPEN, .total = 9});
        assert_int_equal(update->status, NX_OK);
        nx_stream stream = update->stream;
        wire_ask(wire, 0,
                 (struct nx_event){
                     .type = NX_EV_BULK_WRITE, .stream = stream, .bytes = "abc", .len = 3});
        wire_ask(wire, 0, (struct nx_event){.type = NX_EV_BULK_ABORT, .stream = stream});
        update = wire_ask(
            wire, 0,
            (struct nx_event){.type = NX_EV_BULK_WRITE, .stream = stream, .bytes = "d", .len = 1});
        assert_int_equal(update->status, NX_NOT_FOUND);
        wire_run(wire);
    }
    wire->trace_len = 0;
    assert_int_equal(wire_send(wire, 0, "x"), NX_OK);
    nx_ns now = wire->now = 100000;
    (void)now;
    wire_run(wire);
    assert_true(wire_expect(wire, "[100020] n1 > delivered 0 from n0 'x'\n"
                                  "[100030] n0 > delivered 0 from n0 'x'\n"));
    wire_close(wire);
}

/* --- queries --- */

enum { QUERIES = 600 };

struct asker {
    nx_stream stream;
    uint64_t total, sent, reply_total, got;
    bool done;
};

struct answer {
    nx_stream stream; /* 0: none */
    uint64_t received, total, sent;
    bool open;
};

struct p2p_world {
    struct asker askers[QUERIES];
    struct answer answers[QUERIES];
    unsigned answered, finished;
};

static uint64_t reply_size(uint64_t total)
{
    return (total * 37) % 3001;
}

static bool serve(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    (void)wire;
    struct p2p_world *world = ctx;
    const struct nx_part *part = &up->part;
    if (up->type == NX_UP_QUERY_PART) {
        assert_int_equal(node, 1);
        struct answer *answer = NULL;
        for (unsigned i = 0; i < QUERIES && !answer; i++)
            if (world->answers[i].stream == (part->offset ? part->stream : 0))
                answer = &world->answers[i];
        assert_non_null(answer);
        answer->stream = part->stream;
        assert_int_equal(answer->received, part->offset);
        for (size_t i = 0; i < part->len; i++)
            assert_int_equal(part->bytes[i], pattern(part->total, part->offset + i));
        answer->received += part->len;
        answer->total = part->total;
        return true;
    }
    assert_int_equal(up->type, NX_UP_REPLY_PART);
    struct asker *asker = up->cookie;
    assert_int_equal(asker->got, part->offset);
    assert_int_equal(part->total, reply_size(asker->total));
    for (size_t i = 0; i < part->len; i++)
        assert_int_equal(part->bytes[i], pattern(asker->total + 1, part->offset + i));
    asker->got += part->len;
    if (asker->got == part->total) {
        assert_false(asker->done);
        asker->done = true;
        world->finished++;
    }
    return true;
}

static void feed_query(struct wire *wire, struct asker *asker)
{
    if (!asker->stream) {
        struct nx_event event = {
            .type = NX_EV_QUERY_OPEN, .peer = 1, .total = asker->total, .cookie = asker};
        const struct nx_update *update = wire_ask(wire, 0, event);
        if (update->status == NX_OK)
            asker->stream = update->stream;
        else
            assert_int_equal(update->status, NX_AGAIN);
        return;
    }
    if (asker->sent == asker->total)
        return;
    static uint8_t bytes[20000];
    size_t len = asker->total - asker->sent;
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(asker->total, asker->sent + i);
    struct nx_event event = {
        .type = NX_EV_QUERY_WRITE, .stream = asker->stream, .bytes = bytes, .len = len};
    const struct nx_update *update = wire_ask(wire, 0, event);
    assert_int_equal(update->status, NX_OK);
    asker->sent += update->taken;
}

static void feed_answer(struct wire *wire, struct p2p_world *world, struct answer *answer)
{
    uint64_t total = reply_size(answer->total);
    if (!answer->stream || answer->received < answer->total ||
        (answer->open && answer->sent == total))
        return;
    if (!answer->open) {
        struct nx_event event = {
            .type = NX_EV_REPLY_OPEN, .stream = answer->stream, .total = total};
        enum nx_status status = wire_ask(wire, 1, event)->status;
        answer->open = status == NX_OK;
        world->answered += answer->open && total == 0;
        assert_true(status == NX_OK || (status == NX_AGAIN && total == 0));
        return;
    }
    uint8_t bytes[3001];
    for (size_t i = 0; i < total - answer->sent; i++)
        bytes[i] = pattern(answer->total + 1, answer->sent + i);
    struct nx_event event = {.type = NX_EV_REPLY_WRITE,
                             .stream = answer->stream,
                             .bytes = bytes,
                             .len = total - answer->sent};
    const struct nx_update *update = wire_ask(wire, 1, event);
    assert_int_equal(update->status, NX_OK);
    answer->sent += update->taken;
    world->answered += answer->sent == total;
}

static void hundreds_of_queries_of_all_sizes_are_answered(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    struct p2p_world *world = calloc(1, sizeof *world);
    wire->hook = serve;
    wire->ctx = world;
    for (unsigned i = 0; i < QUERIES; i++)
        world->askers[i].total = i % 7 == 0 ? i * 30 : i % 50;
    for (unsigned round = 0; world->finished < QUERIES; round++) {
        assert_true(round < 200000);
        for (unsigned i = 0; i < QUERIES; i++) {
            feed_query(wire, &world->askers[i]);
            feed_answer(wire, world, &world->answers[i]);
        }
        wire_turn(wire, round % 2);
    }
    assert_int_equal(world->answered, QUERIES);
    free(world);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_reaches_both),
        cmocka_unit_test(a_group_of_one_delivers_to_itself),
        cmocka_unit_test(all_deliver_the_same_in_the_same_order),
        cmocka_unit_test(an_idle_sender_delays_nobody),
        cmocka_unit_test(bulks_interleave_through_small_windows),
        cmocka_unit_test(an_aborted_bulk_ends_at_the_receivers_and_frees_its_slot),
        cmocka_unit_test(hundreds_of_queries_of_all_sizes_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
