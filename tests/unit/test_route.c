/* The router against a group made of tables: three function-tier-free ranks, two shards of the categorizer tier. */
#include "function_tier/body_copy.h"
#include "function_tier/route.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

enum { TIER = 1, STREAMS = 64 };

/* --- the group, as far as the router sees it ----------------------------------------------------- */

struct nx_group {
    struct nx_view view;
    struct nx_layout layout;
    bool formed;
    nx_rankset alive;
    enum nx_status shard_status[2];
    uint32_t load[8];
    nx_rankset leaving, with_state;
    const char *waits_for;
    bool refuse_opens;
    struct {
        nx_rank peer;
        void *cookie;
        uint64_t total, got;
        uint8_t bytes[8192];
        bool cancelled;
    } streams[STREAMS];
    nx_stream streams_count;
    size_t room; /* bytes that writes may still take */
};

static struct nx_group group;

const struct nx_view *nx_group_view(const struct nx_group *g)
{
    return g->formed ? &g->view : NULL;
}

const struct nx_layout *nx_group_layout(const struct nx_group *g)
{
    return g->formed ? &g->layout : NULL;
}

nx_rankset nx_group_alive(const struct nx_group *g)
{
    return g->alive;
}

enum nx_status nx_group_shard_status(const struct nx_group *g, uint32_t subgroup, uint32_t shard)
{
    assert_int_equal(subgroup, TIER);
    return g->shard_status[shard];
}

const char *nx_group_waits_for(const struct nx_group *g)
{
    return g->waits_for ? g->waits_for : "";
}

nx_rankset nx_group_with_state(const struct nx_group *g)
{
    return g->with_state;
}

uint32_t nx_group_load(const struct nx_group *g, nx_rank rank, unsigned word)
{
    return word == NX_LOAD_LEAVING ? (g->leaving >> rank) & 1 : g->load[rank];
}

enum nx_status nx_query_open(struct nx_group *g, nx_rank peer, uint64_t total, void *cookie,
                             nx_stream *stream)
{
    if (g->refuse_opens)
        return NX_AGAIN;
    assert_true(g->streams_count < STREAMS - 1);
    *stream = ++g->streams_count;
    g->streams[*stream].peer = peer;
    g->streams[*stream].cookie = cookie;
    g->streams[*stream].total = total;
    return NX_OK;
}

enum nx_status nx_query_write(struct nx_group *g, nx_stream s, const void *bytes, size_t len,
                              size_t *taken)
{
    *taken = len < g->room ? len : g->room;
    memcpy(g->streams[s].bytes + g->streams[s].got, bytes, *taken);
    g->streams[s].got += *taken;
    g->room -= *taken;
    return *taken ? NX_OK : NX_AGAIN;
}

void nx_query_cancel(struct nx_group *g, nx_stream s)
{
    g->streams[s].cancelled = true;
}

enum nx_status nx_reply_open(struct nx_group *g, nx_stream s, uint64_t total)
{
    (void)g, (void)s, (void)total;
    return NX_OK;
}

/* --- the tests ------------------------------------------------------------------------------------ */

static struct nx_route *route;
static struct nx_err err;
static struct nx_answer answers[NX_ROUTE_TAGS_MAX];
static uint32_t answers_count, dones;

static void done(void *user, const struct nx_answer *a, uint32_t count)
{
    assert_ptr_equal(user, &dones);
    memcpy(answers, a, count * sizeof *a);
    answers_count = count;
    dones++;
}

static int set_up(void **state)
{
    (void)state;
    group = (struct nx_group){.formed = true, .alive = 0x1f, .with_state = 0x1f, .room = SIZE_MAX};
    group.layout.shards_count[TIER] = 2; /* shard 0: ranks 1, 2; shard 1: ranks 3, 4 */
    group.layout.shards[TIER][0].set = 0x06;
    group.layout.shards[TIER][1].set = 0x18;
    for (uint32_t i = 0; i < 5; i++)
        group.view.members[i].node = 100 + i;
    dones = 0;
    assert_int_equal(nx_route_open(TIER, 1, &route, &err), NX_OK);
    nx_route_attach(route, &group);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nx_route_close(route);
    return 0;
}

static uint8_t *photo(size_t bytes)
{
    assert_int_equal(nx_route_reserve(route, bytes, &err), NX_OK);
    uint8_t *p = malloc(bytes);
    memset(p, 'x', bytes);
    return p;
}

static struct nx_trace_ids trace_asked; /* of the requests; none */

static enum nx_status infer_with(struct nx_route *r, const uint32_t *tags, uint32_t count,
                                 uint8_t *bytes, uint64_t len, nx_ns deadline, nx_route_done *told,
                                 void *user, struct nx_route_request **request, struct nx_err *why)
{
    const struct nx_request_head head = {.op = NX_REQUEST_INFER, .trace = trace_asked};
    return nx_route_ask(r, &head, tags, count, bytes, len, deadline, told, user, request, why);
}

static struct nx_route_request *ask(const uint32_t *tags, uint32_t count)
{
    struct nx_route_request *request;
    assert_int_equal(
        infer_with(route, tags, count, photo(100), 100, NX_NEVER, done, &dones, &request, &err),
        NX_OK);
    return request;
}

static void reply(nx_stream s, const char *label)
{
    struct nx_answer a = {.label_bytes = (uint32_t)strlen(label), .value = 1};
    memcpy(a.label, label, a.label_bytes);
    uint8_t bytes[NX_ANSWER_BYTES_MAX];
    size_t len = nx_answer_encode(&a, bytes, sizeof bytes), half = len / 2;
    struct nx_part part = {.stream = s, .total = len, .bytes = bytes, .len = half};
    nx_route_upcalls()->reply_part(route, group.streams[s].cookie, &part);
    part.offset = half;
    part.bytes += half;
    part.len = len - half;
    nx_route_upcalls()->reply_part(route, group.streams[s].cookie, &part);
}

static void tags_go_to_their_shards_and_come_back_in_order(void **state)
{
    (void)state;
    ask((uint32_t[]){7, 4}, 2);
    assert_int_equal(group.streams_count, 2);
    assert_true(NX_RANK_BIT(group.streams[1].peer) & 0x18); /* 7 mod 2 = 1 */
    assert_true(NX_RANK_BIT(group.streams[2].peer) & 0x06);
    assert_int_equal(group.streams[1].got, group.streams[1].total);
    struct nx_request_head head;
    size_t used;
    assert_int_equal(
        nx_request_decode(group.streams[1].bytes, group.streams[1].got, &head, &used, &err), NX_OK);
    assert_int_equal(head.tag, 7);
    assert_int_equal(group.streams[1].total - used, 100);
    reply(2, "beagle");
    assert_int_equal(dones, 0);
    reply(1, "rose");
    assert_int_equal(dones, 1);
    assert_int_equal(answers_count, 2);
    assert_memory_equal(answers[0].label, "rose", 4);
    assert_memory_equal(answers[1].label, "beagle", 6);
}

static void names_go_to_their_shards_with_their_versions(void **state)
{
    (void)state;
    static const struct nx_route_model models[] = {{"7", 0}, {"rose", 3}};
    const struct nx_request_head head = {.op = NX_REQUEST_INFER};
    uint32_t rose = nx_tag_of_name("rose");
    struct nx_route_request *request;
    struct nx_request_head told;
    size_t used;
    assert_int_equal(nx_route_ask_models(route, &head, models, 2, photo(100), 100, NX_NEVER, done,
                                         &dones, &request, &err),
                     NX_OK);
    assert_true(NX_RANK_BIT(group.streams[1].peer) & 0x18);
    assert_true(NX_RANK_BIT(group.streams[2].peer) & (rose % 2 ? 0x18 : 0x06));
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(
            nx_request_decode(group.streams[i].bytes, group.streams[i].got, &told, &used, &err),
            NX_OK);
        assert_int_equal(told.tag, i == 1 ? 7 : rose);
        assert_string_equal(told.name,
                            i == 1 ? "" : "rose"); /* a number is a tag, whatever its name */
        assert_int_equal(told.version, i == 1 ? 0 : 3);
    }
    assert_int_equal(nx_route_pending(route, "rose"), 1);
    assert_int_equal(nx_route_pending(route, "7"), 1);
    assert_int_equal(nx_route_pending(route, "tulip"), 0);
    reply(1, "rose");
    reply(2, "rose");
    assert_int_equal(dones, 1);
}

static void the_less_loaded_replica_is_asked(void **state)
{
    (void)state;
    group.load[1] = 50;
    for (int i = 0; i < 20; i++) {
        ask((uint32_t[]){2}, 1);
        assert_int_equal(group.streams[group.streams_count].peer, 2);
    }
    group.load[1] = 0; /* but this node has 20 under way at 2 already */
    ask((uint32_t[]){2}, 1);
    assert_int_equal(group.streams[group.streams_count].peer, 1);
}

static void a_replica_that_leaves_is_asked_last(void **state)
{
    (void)state;
    group.leaving = NX_RANK_BIT(1);
    for (int i = 0; i < 20; i++) {
        ask((uint32_t[]){2}, 1);
        assert_int_equal(group.streams[group.streams_count].peer, 2);
    }
    group.leaving |= NX_RANK_BIT(2); /* both: better one of them than nobody */
    ask((uint32_t[]){2}, 1);
}

static void more_than_the_group_has_room_for_is_refused(void **state)
{
    (void)state;
    uint32_t tags[NX_ROUTE_TAGS_MAX] = {0};
    struct nx_route_request *request;
    uint8_t *p = photo(10);
    group.room = 0;
    group.refuse_opens = true;
    for (uint32_t i = 0; i < NX_ROUTE_QUERIES_MAX / NX_ROUTE_TAGS_MAX; i++)
        ask(tags, NX_ROUTE_TAGS_MAX);
    assert_int_equal(infer_with(route, tags, 1, p, 10, NX_NEVER, done, &dones, &request, &err),
                     NX_AGAIN);
    assert_string_equal(err.text, "960 questions are under way at this node; try again");
    nx_route_unreserve(route, 10);
    free(p);
}

static void a_dead_replica_s_photo_is_sent_once_more(void **state)
{
    (void)state;
    ask((uint32_t[]){2}, 1);
    nx_rank first = group.streams[1].peer;
    group.alive &= ~NX_RANK_BIT(first);
    nx_route_upcalls()->query_failed(route, group.streams[1].cookie, NX_PEER_DOWN);
    assert_int_equal(group.streams_count, 2);
    assert_int_not_equal(group.streams[2].peer, first);
    assert_int_equal(group.streams[2].got, group.streams[2].total);
    assert_int_equal(dones, 0);
    group.alive &= ~NX_RANK_BIT(group.streams[2].peer);
    nx_route_upcalls()->query_failed(route, group.streams[2].cookie, NX_PEER_DOWN);
    assert_int_equal(dones, 1);
    assert_int_equal(answers[0].err.status, NX_UNAVAILABLE);
    assert_string_equal(answers[0].err.text, "shard 0 is unavailable: its replica is gone");
}

static struct nx_trace_ids trace_sent(nx_stream s)
{
    struct nx_request_head head;
    size_t used;
    assert_int_equal(
        nx_request_decode(group.streams[s].bytes, group.streams[s].got, &head, &used, &err), NX_OK);
    return head.trace;
}

/* One trace; a span for each question, and another one each time it is sent. */
static void the_trace_goes_along(void **state)
{
    (void)state;
    static const uint8_t request_span[NX_SPAN_ID_BYTES] = {0xb1};
    struct nx_trace_ids spans[4];
    trace_asked = (struct nx_trace_ids){{0xa1}, {0xb1}, {0}, NX_TRACE_SAMPLED};
    ask((uint32_t[]){2, 3}, 2);
    trace_asked = (struct nx_trace_ids){0};
    group.alive &= ~NX_RANK_BIT(group.streams[1].peer);
    nx_route_upcalls()->query_failed(route, group.streams[1].cookie, NX_PEER_DOWN);
    for (nx_stream s = 1; s <= 3; s++) {
        spans[s] = trace_sent(s);
        assert_int_equal(spans[s].trace_id[0], 0xa1);
        assert_true(nx_trace_is_sampled(&spans[s]));
        assert_memory_not_equal(spans[s].span_id, request_span, sizeof request_span);
        for (nx_stream t = 1; t < s; t++)
            assert_memory_not_equal(spans[s].span_id, spans[t].span_id, NX_SPAN_ID_BYTES);
    }
}

static void lose(nx_stream s)
{
    group.alive &= ~NX_RANK_BIT(group.streams[s].peer);
    nx_route_upcalls()->query_failed(route, group.streams[s].cookie, NX_PEER_DOWN);
}

static void refuse(nx_stream s)
{
    struct nx_answer a = {0};
    uint8_t bytes[NX_ANSWER_BYTES_MAX];
    nx_err_set(&a.err, NX_UNAVAILABLE, "not by me");
    struct nx_part part = {.stream = s, .bytes = bytes};
    part.len = part.total = nx_answer_encode(&a, bytes, sizeof bytes);
    nx_route_upcalls()->reply_part(route, group.streams[s].cookie, &part);
}

static void assert_same_request(nx_stream a, nx_stream b)
{
    assert_int_not_equal(group.streams[a].peer, group.streams[b].peer);
    assert_int_equal(group.streams[a].total, group.streams[b].total);
    assert_int_equal(group.streams[a].got, group.streams[b].got);
    assert_memory_equal(group.streams[a].bytes, group.streams[b].bytes, group.streams[a].got);
}

static void a_removal_whose_replica_dies_is_sent_again_under_its_id(void **state)
{
    (void)state;
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE, .tag = 2, .request = {{1, 2, 3}}};
    struct nx_route_request *request;
    assert_int_equal(nx_route_change(route, &head, done, &dones, &request, &err), NX_OK);
    lose(1);
    assert_int_equal(group.streams_count, 2);
    assert_same_request(1, 2);
    assert_int_equal(dones, 0);
    lose(2);
    assert_int_equal(group.streams_count, 2);
    assert_int_equal(dones, 1);
    assert_int_equal(answers[0].err.status, NX_UNAVAILABLE);
}

static struct nx_request_head install_of(uint64_t params)
{
    return (struct nx_request_head){.op = NX_REQUEST_INSTALL,
                                    .tag = 2,
                                    .format = NX_FORMAT_MXNET,
                                    .synset_bytes = 3,
                                    .symbol_bytes = 4,
                                    .params_bytes = params};
}

/* In memory and in the spool; before, in and after the body. */
static void an_install_whose_replica_dies_is_sent_again_from_the_copy(void **state)
{
    (void)state;
    static uint8_t body[NX_COPY_MEMORY_BYTES + 100];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7);
    for (size_t total = 100; total <= sizeof body; total += sizeof body - 100)
        for (size_t sent = 0; sent <= 90; sent += 45) {
            struct nx_request_head head = install_of(total - 7);
            struct nx_route_request *request;
            nx_stream first = group.streams_count + 1;
            group.alive = 0x1f;
            assert_int_equal(nx_route_change(route, &head, done, &dones, &request, &err), NX_OK);
            assert_int_equal(nx_route_write(request, body, sent), sent);
            group.room = 30; /* not even the head */
            lose(first);
            assert_int_equal(nx_route_write(request, body + sent, 5), 0);
            group.room = SIZE_MAX;
            while (nx_route_poll(route))
                ;
            assert_same_request(first, first + 1);
            assert_int_equal(nx_route_write(request, body + sent, 5), 5);
            uint64_t head_bytes = group.streams[first + 1].got - sent - 5;
            assert_memory_equal(group.streams[first + 1].bytes + head_bytes, body, sent + 5);
            nx_route_cancel(request);
        }
    assert_int_equal(dones, 0);
}

static void an_unavailable_replica_is_not_the_last_word(void **state)
{
    (void)state;
    uint32_t tag = 2;
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE, .tag = 2};
    struct nx_route_request *request;
    ask(&tag, 1);
    refuse(1);
    assert_same_request(1, 2);
    reply(2, "daisy");
    assert_int_equal(answers[0].err.status, NX_OK);
    ask(&tag, 1);
    refuse(3);
    refuse(4);
    assert_string_equal(answers[0].err.text, "not by me");
    assert_int_equal(dones, 2);
    assert_int_equal(nx_route_change(route, &head, done, &dones, &request, &err), NX_OK);
    for (nx_stream s = 5; s <= 8; s++)
        refuse(s);
    assert_int_equal(dones, 3);
    assert_int_equal(group.streams_count, 8);
}

static void who_lacks_the_state_is_asked_when_it_has_it(void **state)
{
    (void)state;
    uint32_t tag = 2;
    group.with_state &= ~NX_RANK_BIT(2);
    for (int i = 0; i < 10; i++)
        ask(&tag, 1);
    for (nx_stream s = 1; s <= group.streams_count; s++)
        assert_int_equal(group.streams[s].peer, 1);
    group.with_state |= NX_RANK_BIT(2);
    group.load[1] = 100;
    ask(&tag, 1);
    assert_int_equal(group.streams[group.streams_count].peer, 2);
}

static void an_unavailable_shard_is_named(void **state)
{
    (void)state;
    struct nx_route_request *request;
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE, .tag = 3};
    uint32_t tags[] = {2, 3};
    uint8_t *p = photo(10);
    group.shard_status[1] = NX_WEDGED;
    assert_int_equal(nx_route_change(route, &head, done, &dones, &request, &err), NX_UNAVAILABLE);
    assert_string_equal(err.text,
                        "shard 1 is unavailable for changes: the group has lost its majority");
    group.shard_status[1] = NX_UNAVAILABLE;
    assert_int_equal(infer_with(route, tags, 2, p, 10, NX_NEVER, done, &dones, &request, &err),
                     NX_UNAVAILABLE);
    assert_string_equal(err.text, "shard 1 is unavailable: too few of its replicas are alive");
    group.formed = false;
    assert_int_equal(infer_with(route, tags, 2, p, 10, NX_NEVER, done, &dones, &request, &err),
                     NX_UNAVAILABLE);
    assert_string_equal(err.text, "the group is still forming");
    group.waits_for = "waiting for node 4 of view 1";
    assert_int_equal(infer_with(route, tags, 2, p, 10, NX_NEVER, done, &dones, &request, &err),
                     NX_UNAVAILABLE);
    assert_string_equal(err.text, "the group is still forming: waiting for node 4 of view 1");
    assert_int_equal(group.streams_count, 0);
    nx_route_unreserve(route, 10); /* still ours */
    free(p);
}

static void a_full_window_only_delays(void **state)
{
    (void)state;
    group.room = 3;
    ask((uint32_t[]){2}, 1);
    assert_false(nx_route_poll(route));
    while (group.streams[1].got < group.streams[1].total) {
        group.room = 10;
        assert_true(nx_route_poll(route));
    }
    assert_false(nx_route_poll(route));
    reply(1, "rose");
    assert_int_equal(dones, 1);
}

static void an_install_streams_behind_its_head(void **state)
{
    (void)state;
    struct nx_request_head head = {.op = NX_REQUEST_INSTALL,
                                   .tag = 2,
                                   .format = NX_FORMAT_MXNET,
                                   .synset_bytes = 3,
                                   .symbol_bytes = 4,
                                   .params_bytes = 5};
    struct nx_route_request *request;
    group.room = 10;
    assert_int_equal(nx_route_change(route, &head, done, &dones, &request, &err), NX_OK);
    assert_int_equal(nx_route_write(request, (const uint8_t *)"abcdefghijkl", 12), 0);
    group.room = SIZE_MAX;
    assert_int_equal(nx_route_write(request, (const uint8_t *)"abcdefghijkl", 12), 12);
    assert_int_equal(group.streams[1].got, group.streams[1].total);
    assert_memory_equal(group.streams[1].bytes + group.streams[1].got - 12, "abcdefghijkl", 12);
    reply(1, "");
    assert_int_equal(dones, 1);
}

static void a_cancelled_request_is_silent(void **state)
{
    (void)state;
    struct nx_route_request *request = ask((uint32_t[]){2, 3}, 2);
    reply(1, "rose");
    nx_route_cancel(request);
    assert_false(group.streams[1].cancelled);
    assert_true(group.streams[2].cancelled);
    assert_int_equal(dones, 0);
    group.load[1] = group.load[2] = 0;
    struct nx_err e;
    assert_int_equal(nx_route_reserve(route, NX_ROUTE_BYTES_MAX, &e), NX_OK); /* all came back */
    assert_int_equal(nx_route_reserve(route, 1, &e), NX_AGAIN);
}

/* The group is closed and another is attached: nobody waits for ever, and nothing is asked of the one that is gone. */
static void a_detached_route_answers_unavailable(void **state)
{
    (void)state;
    struct nx_err why = {NX_UNAVAILABLE, "this node is joining its group again"};
    struct nx_route_request *request;
    ask((uint32_t[]){2, 3, 4}, 3);
    ask((uint32_t[]){3}, 1);
    reply(2, "rose"); /* of tag 3, the second of the first */
    nx_route_detach(route, &why);
    assert_int_equal(dones, 2);
    assert_int_equal(answers_count, 3); /* the older request ends last */
    assert_int_equal(answers[0].err.status, NX_UNAVAILABLE);
    assert_string_equal(answers[2].err.text, why.text);
    assert_int_equal(answers[1].err.status, NX_OK);
    assert_false(nx_route_ready(route));
    assert_false(nx_route_poll(route));
    uint8_t *bytes = photo(100);
    assert_int_equal(
        infer_with(route, (uint32_t[]){2}, 1, bytes, 100, NX_NEVER, done, &dones, &request, &err),
        NX_UNAVAILABLE);
    assert_string_equal(err.text, "the group is still forming");
    nx_route_unreserve(route, 100);
    free(bytes);
    nx_route_attach(route, &group);
    ask((uint32_t[]){2}, 1);
    reply(group.streams_count, "beagle");
    assert_int_equal(dones, 3);
    assert_int_equal(nx_route_reserve(route, NX_ROUTE_BYTES_MAX, &err), NX_OK); /* all came back */
}

static void nonsense_from_a_replica_is_an_answer_too(void **state)
{
    (void)state;
    ask((uint32_t[]){2}, 1);
    struct nx_part part = {.stream = 1, .total = 5, .bytes = (const uint8_t *)"hello", .len = 5};
    nx_route_upcalls()->reply_part(route, group.streams[1].cookie, &part);
    assert_int_equal(answers[0].err.status, NX_CORRUPT);
    ask((uint32_t[]){2}, 1);
    part = (struct nx_part){
        .stream = 2, .total = 1u << 30, .bytes = (const uint8_t *)"hello", .len = 5};
    nx_route_upcalls()->reply_part(route, group.streams[2].cookie, &part);
    assert_int_equal(dones, 1);
    part.offset = part.total - 5;
    nx_route_upcalls()->reply_part(route, group.streams[2].cookie, &part);
    assert_int_equal(dones, 2);
    assert_int_equal(answers[0].err.status, NX_CORRUPT);
}

static struct nx_route_request *listing;

/* Of the replica on rank r: a payload of r bytes. */
static void reply_with_list(nx_stream s)
{
    uint8_t bytes[NX_ANSWER_BYTES_MAX + 8], payload[8];
    struct nx_answer a = {.payload = payload, .payload_bytes = group.streams[s].peer};
    memset(payload, (int)group.streams[s].peer, sizeof payload);
    size_t len = nx_answer_encode(&a, bytes, sizeof bytes);
    struct nx_part part = {.stream = s, .total = len, .bytes = bytes, .len = len};
    nx_route_upcalls()->reply_part(route, group.streams[s].cookie, &part);
}

static void listed(void *user, const struct nx_answer *a, uint32_t count)
{
    done(user, a, count);
    for (uint32_t i = 0; i < count; i++) {
        struct nx_route_asked asked = nx_route_asked(listing, i);
        uint32_t rank = asked.node - 100;
        assert_int_equal(asked.shard, rank <= 2 ? 0 : 1);
        assert_int_equal(a[i].payload_bytes, a[i].err.status == NX_OK ? rank : 0);
        for (size_t k = 0; k < a[i].payload_bytes; k++)
            assert_int_equal(a[i].payload[k], rank);
    }
}

static void every_live_replica_is_asked_for_its_list(void **state)
{
    (void)state;
    group.alive &= ~NX_RANK_BIT(1);
    assert_int_equal(nx_route_list(route, NX_NEVER, listed, &dones, &listing, &err), NX_OK);
    assert_int_equal(group.streams_count, 3);
    reply_with_list(2);
    nx_route_upcalls()->query_failed(route, group.streams[1].cookie, NX_PEER_DOWN);
    assert_int_equal(group.streams_count, 3); /* a dead one's list is nobody else's */
    assert_int_equal(dones, 0);
    reply_with_list(3);
    assert_int_equal(dones, 1);
    assert_int_equal(answers_count, 3);
    assert_int_equal(answers[0].err.status, NX_UNAVAILABLE);
    assert_string_equal(answers[0].err.text, "shard 0 is unavailable: its replica is gone");
    group.alive = 1;
    assert_int_equal(nx_route_list(route, NX_NEVER, listed, &dones, &listing, &err),
                     NX_UNAVAILABLE);
}

static void who_waits_no_longer_is_told_what_came(void **state)
{
    (void)state;
    assert_int_equal(nx_route_list(route, NX_NEVER, listed, &dones, &listing, &err), NX_OK);
    nx_stream asked = group.streams_count;
    reply_with_list(2);
    nx_route_expire(listing);
    assert_int_equal(dones, 1);
    for (nx_stream s = 1; s <= asked; s++) {
        bool answered = s == 2;
        assert_int_equal(answers[s - 1].err.status, answered ? NX_OK : NX_DEADLINE);
        assert_int_equal(group.streams[s].cancelled, !answered);
    }
    uint32_t queries;
    uint64_t bytes;
    nx_route_underway(route, &queries, &bytes);
    assert_int_equal(queries, 0);
}

#define each(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(tags_go_to_their_shards_and_come_back_in_order),
        each(names_go_to_their_shards_with_their_versions),
        each(the_less_loaded_replica_is_asked),
        each(a_replica_that_leaves_is_asked_last),
        each(more_than_the_group_has_room_for_is_refused),
        each(a_dead_replica_s_photo_is_sent_once_more),
        each(the_trace_goes_along),
        each(a_removal_whose_replica_dies_is_sent_again_under_its_id),
        each(an_install_whose_replica_dies_is_sent_again_from_the_copy),
        each(an_unavailable_replica_is_not_the_last_word),
        each(who_lacks_the_state_is_asked_when_it_has_it),
        each(an_unavailable_shard_is_named),
        each(a_full_window_only_delays),
        each(an_install_streams_behind_its_head),
        each(a_cancelled_request_is_silent),
        each(a_detached_route_answers_unavailable),
        each(nonsense_from_a_replica_is_an_answer_too),
        each(every_live_replica_is_asked_for_its_list),
        each(who_waits_no_longer_is_told_what_came),
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
