/* Packed messages: a piece of them in each turn, each call in its turn, and bounds on what they take. */
#include "function_tier/grpc/grpc_call.h"
#include "function_tier/grpc/grpc_inflate.h"
#include "function_tier/grpc/h2.h"
#include "h2_frames.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MIB = 1 << 20, MESSAGE_MAX = 4 * MIB };

/* --- the inflater ---------------------------------------------------------------------------------- */

static struct nx_grpc_budget budget;
static struct nx_grpc_buffer out;

static int set_up_buffer(void **state)
{
    (void)state;
    budget = (struct nx_grpc_budget){.limit = 64 * MIB};
    nx_grpc_buffer_init(&out, &budget);
    return 0;
}

static int tear_down_buffer(void **state)
{
    (void)state;
    nx_grpc_buffer_free(&out);
    assert_int_equal(budget.used, 0);
    nx_grpc_budget_fini(&budget);
    return 0;
}

struct packed {
    uint8_t bytes[65536];
    size_t len;
};

/* `len` bytes, all alike: what packs best. */
static void pack(struct packed *to, size_t len)
{
    static uint8_t same[65536];
    z_stream z = {0};
    memset(same, 'a', sizeof same);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = to->bytes;
    z.avail_out = sizeof to->bytes;
    while (len > 0) {
        size_t piece = len < sizeof same ? len : sizeof same;
        z.next_in = same;
        z.avail_in = (uInt)piece;
        assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
        assert_int_equal(z.avail_in, 0);
        len -= piece;
    }
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->len = z.total_out;
    deflateEnd(&z);
}

/* The member's last word: how long what it holds is said to be. */
static void claim(struct packed *p, uint32_t bytes)
{
    for (int i = 0; i < 4; i++)
        p->bytes[p->len - 4 + (size_t)i] = (uint8_t)(bytes >> 8 * i);
}

/* Steps to the end; none brings more than a piece, and each moves. */
static enum nx_status walk(const struct packed *p, size_t bytes_max, size_t piece, unsigned *steps)
{
    struct nx_inflater *f;
    enum nx_status status = nx_inflater_open(NX_INFLATE_GZIP, p->bytes, p->len, bytes_max, &f);
    *steps = 0;
    if (status != NX_OK)
        return status;
    do {
        size_t had = nx_grpc_buffer_len(&out);
        status = nx_inflater_step(f, p->bytes, p->len, piece, &out);
        assert_true(nx_grpc_buffer_len(&out) - had <= piece);
        ++*steps;
        assert_true(*steps <= 2 + (nx_grpc_buffer_len(&out) + p->len) / piece);
    } while (status == NX_AGAIN);
    nx_inflater_close(f);
    return status;
}

static void pieces_of_any_size_make_the_same(void **state)
{
    (void)state;
    static const size_t pieces[] = {7, 1000, 65536, MIB, MIB + 1, 4 * MIB};
    static struct packed p;
    unsigned steps;
    pack(&p, MIB);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        assert_int_equal(walk(&p, MIB, pieces[i], &steps), NX_OK);
        assert_int_equal(nx_grpc_buffer_len(&out), MIB);
        assert_true(steps >= MIB / pieces[i]);
        for (size_t k = 0; k < MIB; k += 997)
            assert_int_equal(nx_grpc_buffer_span(&out)[k], 'a');
        nx_grpc_buffer_free(&out);
    }
}

static void the_bound_is_exact(void **state)
{
    (void)state;
    static struct packed p;
    unsigned steps;
    pack(&p, MIB);
    assert_int_equal(walk(&p, MIB - 1, 65536, &steps), NX_TOO_LARGE);
    assert_int_equal(steps, 0); /* it says so itself */
    claim(&p, 5);
    assert_int_equal(walk(&p, MIB - 1, 65536, &steps), NX_TOO_LARGE);
    assert_int_equal(steps,
                     MIB / 65536); /* it lies: found out as soon as it is one byte too much */
    nx_grpc_buffer_free(&out);
    assert_int_equal(walk(&p, MIB, 65536, &steps), NX_CORRUPT); /* and a lie it is */
}

static void a_bomb_takes_no_more_than_the_bound_and_a_piece(void **state)
{
    (void)state;
    static struct packed p;
    unsigned steps;
    pack(&p, 48 * MIB);
    claim(&p, 5);
    assert_int_equal(walk(&p, MIB, 65536, &steps), NX_TOO_LARGE);
    assert_true(nx_grpc_buffer_len(&out) <= MIB + 65536);
    assert_true(budget.used <= 2 * MIB); /* a buffer grows by half */
    nx_grpc_buffer_free(&out);
    budget.limit = MIB / 2;
    assert_int_equal(walk(&p, 48 * MIB, 65536, &steps), NX_TOO_LARGE); /* the budget's bound */
    assert_true(budget.used <= MIB / 2);
}

/* Stored blocks of nothing: input without end that brings no output is paid for as well. */
static void blocks_of_nothing_are_read_by_pieces(void **state)
{
    (void)state;
    static const uint8_t head[10] = {0x1f, 0x8b, 8}, block[5] = {0, 0, 0, 0xff, 0xff};
    static struct packed p;
    unsigned steps;
    memcpy(p.bytes, head, sizeof head);
    for (p.len = sizeof head; p.len + sizeof block <= sizeof p.bytes; p.len += sizeof block)
        memcpy(p.bytes + p.len, block, sizeof block);
    assert_int_equal(walk(&p, MIB, 1000, &steps), NX_CORRUPT);
    assert_true(steps >= p.len / 1000);
    assert_int_equal(nx_grpc_buffer_len(&out), 0);
}

/* --- calls ----------------------------------------------------------------------------------------- */

static struct nx_grpc_core core;
static struct nx_h2 *h2;
static struct h2_out in;
/* for each message its stream's letter and length, and what else there was */
static char told[400];

static void note(const struct nx_call *call, const char *what, size_t len)
{
    size_t at = strlen(told);
    snprintf(told + at, sizeof told - at, "%s%d:%zu ", what, (int)call->stream_id, len);
}

static void start(struct nx_call *call, nx_ns now)
{
    (void)call;
    (void)now;
}

static enum nx_call_take message(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)bytes;
    (void)now;
    note(call, "message", len);
    return NX_CALL_TAKEN;
}

static void end(struct nx_call *call, nx_ns now)
{
    (void)now;
    note(call, "end", 0);
}

static void cancel(struct nx_call *call, enum nx_call_gone why)
{
    note(call, "cancel", why);
}

static const struct nx_grpc_method methods[] = {
    {"/t.T/Stream", NX_CALL_CLIENT_STREAM, NULL, start, message, end, cancel, NULL},
};

static int open_session(void **state)
{
    (void)state;
    struct nx_grpc_limits limits = nx_grpc_limits_default();
    limits.message_bytes_max = MESSAGE_MAX;
    assert_int_equal(nx_grpc_core_init(&core, &limits, methods, 1), NX_OK);
    h2 = nx_h2_open(&core, "peer", 0);
    assert_non_null(h2);
    in.len = 0;
    told[0] = 0;
    h2_greet(&in);
    return 0;
}

static int close_session(void **state)
{
    (void)state;
    nx_h2_close(h2, NX_CALL_GONE_CLOSE);
    assert_true(TAILQ_EMPTY(&core.inflating) && !core.inflate_turn);
    nx_grpc_core_fini(&core); /* asserts that no call, no byte and no timer is left */
    return 0;
}

static void pull(void)
{
    static uint8_t scratch[65536];
    nx_h2_settle(h2, 0);
    while (nx_h2_pull(h2, scratch, sizeof scratch, 0) > 0)
        continue;
}

/* A turn of the loop, as the server takes it; what is in `in` has come. */
static void turn(void)
{
    nx_grpc_core_begin_turn(&core, 0);
    if (in.len > 0)
        assert_int_equal(nx_h2_recv(h2, in.bytes, in.len, 0), NX_OK);
    in.len = 0;
    while (nx_h2_next_woken(&core))
        pull();
    pull();
}

/* Whole turns, and how many, until the service was told `what`. */
static unsigned turns_until(const char *what)
{
    unsigned turns = 0;
    for (; !strstr(told, what); turns++) {
        assert_true(turns < 1000);
        turn();
    }
    return turns;
}

static void begin(uint32_t stream, bool packs)
{
    h2_request(&in, stream, 0, "/t.T/Stream", packs ? "grpc-encoding" : NULL, "gzip");
}

static void put_packed(uint32_t stream, uint8_t flags, const struct packed *p)
{
    static uint8_t frame[16384];
    uint8_t *prefix = frame;
    assert_true(p->len + 5 <= sizeof frame);
    *prefix++ = 1;
    for (int i = 3; i >= 0; i--)
        *prefix++ = (uint8_t)(p->len >> 8 * i);
    memcpy(prefix, p->bytes, p->len);
    h2_frame(&in, H2_DATA, flags, stream, frame, p->len + 5);
}

static void a_large_message_takes_a_turn_for_each_piece(void **state)
{
    (void)state;
    static struct packed p;
    pack(&p, MESSAGE_MAX);
    begin(1, true);
    put_packed(1, H2_END_STREAM, &p);
    begin(3, false);
    h2_message(&in, 3, 0, "plain", 5);
    turn();
    assert_string_equal(told, "message3:5 "); /* nobody else waits for it */
    assert_true(core.memory.used < 3 * NX_INFLATE_PIECE_BYTES);
    assert_true(turns_until("message1:4194304 end1:0 ") >=
                MESSAGE_MAX / NX_INFLATE_PIECE_BYTES - 1);
}

/* Whoever packs little is not behind the one who came first and packs much. */
static void each_has_its_turn(void **state)
{
    (void)state;
    static struct packed large, small;
    pack(&large, MESSAGE_MAX);
    pack(&small, 1000);
    for (uint32_t stream = 1; stream <= 9; stream += 2) {
        begin(stream, true);
        put_packed(stream, H2_END_STREAM, stream == 9 ? &small : &large);
    }
    turn();
    assert_true(turns_until("message9:1000 end9:0 ") <= 5);
    assert_null(strstr(told, "message1"));
    turns_until("message1:4194304 ");
    turns_until("message7:4194304 end7:0 ");
    turn();
    assert_true(TAILQ_EMPTY(&core.inflating));
}

static void one_byte_over_the_limit_is_refused(void **state)
{
    (void)state;
    static struct packed p;
    pack(&p, MESSAGE_MAX + 1);
    claim(&p, 5);
    begin(1, true);
    put_packed(1, 0, &p);
    turns_until("cancel1:");
    assert_null(strstr(told, "message"));
    turn();
    assert_true(core.memory.used < 4096);
}

static void a_reset_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    static struct packed large, small;
    static const uint8_t code[4] = {0, 0, 0, 8};
    pack(&large, MESSAGE_MAX);
    pack(&small, 1000);
    for (uint32_t stream = 1; stream <= 5; stream += 2) {
        begin(stream, true);
        put_packed(stream, 0, &large);
    }
    for (int i = 0; i < 4; i++)
        turn();
    assert_string_equal(told, "");
    h2_frame(&in, H2_RST, 0, 1, code,
             sizeof code); /* one whose turn it is, or was, and two in line */
    h2_frame(&in, H2_RST, 0, 3, code, sizeof code);
    turn();
    assert_non_null(strstr(told, "cancel1:0 "));
    assert_non_null(strstr(told, "cancel3:0 "));
    begin(7, true);
    put_packed(7, 0, &small);
    assert_true(turns_until("message7:1000 ") <= 3);
    h2_frame(&in, H2_RST, 0, 5, code, sizeof code);
    turn();
    turn();
    assert_true(TAILQ_EMPTY(&core.inflating) && !core.inflate_turn);
    assert_true(core.memory.used < 4096);
}

/* The teardown looks: no call, no byte and no timer is left of three that were under way. */
static void a_connection_that_ends_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    static struct packed p;
    pack(&p, MESSAGE_MAX);
    for (uint32_t stream = 1; stream <= 5; stream += 2) {
        begin(stream, true);
        put_packed(stream, 0, &p);
    }
    turn();
    turn();
    assert_false(TAILQ_EMPTY(&core.inflating));
}

int main(void)
{
#define inflating(test) cmocka_unit_test_setup_teardown(test, set_up_buffer, tear_down_buffer)
#define calling(test)   cmocka_unit_test_setup_teardown(test, open_session, close_session)
    const struct CMUnitTest tests[] = {
        inflating(pieces_of_any_size_make_the_same),
        inflating(the_bound_is_exact),
        inflating(a_bomb_takes_no_more_than_the_bound_and_a_piece),
        inflating(blocks_of_nothing_are_read_by_pieces),
        calling(a_large_message_takes_a_turn_for_each_piece),
        calling(each_has_its_turn),
        calling(one_byte_over_the_limit_is_refused),
        calling(a_reset_in_the_middle_leaves_nothing),
        calling(a_connection_that_ends_in_the_middle_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
