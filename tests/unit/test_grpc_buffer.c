#include "common/arena.h"
#include "common/prng.h"
#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/grpc/grpc_inflate.h"
#include "nx_test.h"

#include <string.h>
#include <zlib.h>

static struct nx_grpc_budget server, connection;
static struct nx_grpc_buffer buffer;

static int setup(void **state)
{
    (void)state;
    server = (struct nx_grpc_budget){.limit = 100000};
    connection = (struct nx_grpc_budget){.limit = 60000, .parent = &server};
    nx_grpc_buffer_init(&buffer, &connection);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nx_grpc_buffer_free(&buffer);
    if (server.used != 0 || connection.used != 0)
        return 1;
    nx_grpc_budget_fini(&server);
    return 0;
}

static void bytes_come_out_in_order(void **state)
{
    (void)state;
    struct nx_prng prng;
    nx_prng_init(&prng, 3);
    uint8_t in = 0, out = 0, piece[300];
    for (int step = 0; step < 20000; step++) {
        size_t n = nx_prng_below(&prng, sizeof piece), len = nx_grpc_buffer_len(&buffer);
        if (nx_prng_below(&prng, 2) || len == 0) {
            for (size_t i = 0; i < n; i++)
                piece[i] = in++;
            if (nx_grpc_buffer_append(&buffer, piece, n) != NX_OK)
                in -= (uint8_t)n;
            continue;
        }
        n = n % len + 1;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(nx_grpc_buffer_span(&buffer)[i], out++);
        nx_grpc_buffer_pop(&buffer, n);
        assert_true(connection.used == buffer.cap && server.used == buffer.cap);
    }
}

static void a_budget_refuses_and_nothing_changes(void **state)
{
    (void)state;
    uint8_t bytes[1000] = {0};
    enum nx_status status = NX_OK;
    while (status == NX_OK)
        status = nx_grpc_buffer_append(&buffer, bytes, sizeof bytes);
    assert_int_equal(status, NX_TOO_LARGE);
    size_t len = nx_grpc_buffer_len(&buffer);
    assert_true(len >= 20000 && connection.used <= connection.limit);
    assert_int_equal(nx_grpc_buffer_append(&buffer, bytes, sizeof bytes), NX_TOO_LARGE);
    assert_int_equal(nx_grpc_buffer_len(&buffer), len);
    server.limit = server.used;
    struct nx_grpc_buffer other;
    nx_grpc_buffer_init(&other, &server); /* at the limit */
    assert_int_equal(nx_grpc_buffer_append(&other, bytes, 1), NX_TOO_LARGE);
}

/* The next message gets the block of the last, which is counted while it is in use and only then. */
static void one_large_block_is_kept_for_the_next_message(void **state)
{
    (void)state;
    server.limit = connection.limit = 64 << 20;
    assert_int_equal(nx_grpc_buffer_reserve(&buffer, 1000000), NX_OK);
    const uint8_t *block = buffer.bytes;
    nx_grpc_buffer_free(&buffer);
    assert_true(server.used == 0 && server.spare == block && server.spare_bytes == 1000000);
    assert_int_equal(nx_grpc_buffer_reserve(&buffer, 10), NX_OK); /* too much for so little */
    assert_true(server.spare == block);
    assert_int_equal(nx_grpc_buffer_reserve(&buffer, 300000), NX_OK);
    assert_true(buffer.bytes == block && connection.used == 1000000 && server.spare == NULL);
    nx_grpc_buffer_free(&buffer);
    connection.limit = 400000; /* what the budget refuses is not lent either */
    assert_int_equal(nx_grpc_buffer_reserve(&buffer, 300000), NX_OK);
    assert_true(buffer.bytes != block && connection.used == 300000 && server.spare == block);
}

static void what_is_too_small_or_too_large_is_not_kept(void **state)
{
    (void)state;
    static const size_t sizes[] = {NX_GRPC_SPARE_BYTES_MIN - 1, NX_GRPC_SPARE_BYTES_MAX + 1};
    server.limit = connection.limit = 64 << 20;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nx_grpc_buffer_reserve(&buffer, sizes[i]), NX_OK);
        nx_grpc_buffer_free(&buffer);
        assert_null(server.spare);
    }
}

/* Each takes what it can, in turn: none gets more than what is then left, nobody gets nothing. */
static void the_greedy_leave_a_share(void **state)
{
    (void)state;
    enum { GREEDY = 4 };
    struct nx_grpc_budget budgets[GREEDY + 1];
    struct nx_grpc_buffer buffers[GREEDY + 1];
    uint8_t bytes[500] = {0};
    server.limit = 1000000;
    for (int i = 0; i <= GREEDY; i++) {
        budgets[i] = (struct nx_grpc_budget){.limit = 900000, .parent = &server};
        nx_grpc_buffer_init(&buffers[i], &budgets[i]);
    }
    for (int round = 0; round < 5000; round++)
        nx_grpc_buffer_append(&buffers[round % GREEDY], bytes, sizeof bytes);
    for (int i = 0; i < GREEDY; i++)
        assert_true(nx_grpc_buffer_len(&buffers[i]) > 50000);
    assert_true(server.limit - server.used >= server.limit / (GREEDY + 1));
    for (int round = 0; round < 100; round++)
        assert_int_equal(nx_grpc_buffer_append(&buffers[GREEDY], bytes, sizeof bytes), NX_OK);
    for (int i = 0; i <= GREEDY; i++)
        nx_grpc_buffer_free(&buffers[i]);
}

/* At the end of its budget a buffer that comes in small pieces is not moved for each of them. */
static void a_full_budget_does_not_make_it_quadratic(void **state)
{
    (void)state;
    enum { PIECE = 1000 };
    static const uint8_t piece[PIECE];
    server.limit = connection.limit = 12 << 20;
    size_t cap = 0, moved = 0;
    while (nx_grpc_buffer_append(&buffer, piece, PIECE) == NX_OK)
        if (buffer.cap != cap) {
            moved += nx_grpc_buffer_len(&buffer);
            cap = buffer.cap;
        }
    assert_true(nx_grpc_buffer_len(&buffer) > 5 << 20);
    assert_true(moved < 10 * nx_grpc_buffer_len(&buffer));
}

static void a_failed_allocation_charges_nothing(void **state)
{
    (void)state;
    uint64_t used = server.used;
    nx_alloc_fail_at(1);
    enum nx_status status = nx_grpc_buffer_append(&buffer, "x", 1);
    nx_alloc_fail_at(0);
    assert_true(status == NX_NO_MEMORY || status == NX_OK); /* the smaller size is tried next */
    if (status != NX_OK)
        assert_int_equal(server.used, used);
}

static size_t gzip(const uint8_t *bytes, size_t len, uint8_t *dst, size_t cap)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = dst;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t out = z.total_out;
    deflateEnd(&z);
    return out;
}

/* Into `buffer`, which is empty if it fails. */
static enum nx_status inflate_whole(const uint8_t *bytes, size_t len, size_t bytes_max)
{
    struct nx_inflater *f = NULL;
    enum nx_status status = nx_inflater_open(NX_INFLATE_GZIP, bytes, len, bytes_max, &f);
    if (status == NX_OK)
        do
            status = nx_inflater_step(f, bytes, len, NX_INFLATE_PIECE_BYTES, &buffer);
        while (status == NX_AGAIN);
    nx_inflater_close(f);
    if (status != NX_OK)
        nx_grpc_buffer_free(&buffer);
    return status;
}

static void gzip_comes_back_under_a_cap(void **state)
{
    (void)state;
    static uint8_t plain[30000], packed[4096];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i / 100);
    size_t len = gzip(plain, sizeof plain, packed, sizeof packed);
    assert_int_equal(inflate_whole(packed, len, sizeof plain), NX_OK);
    assert_int_equal(nx_grpc_buffer_len(&buffer), sizeof plain);
    assert_memory_equal(nx_grpc_buffer_span(&buffer), plain, sizeof plain);
    nx_grpc_buffer_free(&buffer);
    assert_int_equal(inflate_whole(packed, len, sizeof plain - 1), NX_TOO_LARGE);
    for (size_t cut = 1; cut < len; cut += 7)
        assert_int_equal(inflate_whole(packed, cut, sizeof plain), NX_CORRUPT);
    assert_int_equal(inflate_whole(packed, len + 1, sizeof plain), NX_CORRUPT);
    packed[len - 6] ^= 1; /* in the checksum */
    assert_int_equal(inflate_whole(packed, len, sizeof plain), NX_CORRUPT);
    assert_int_equal(connection.used, 0);
}

static void what_is_packed_comes_back(void **state)
{
    (void)state;
    static uint8_t plain[30000];
    struct nx_grpc_budget own = {.limit = 60000};
    struct nx_grpc_buffer packed;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i / 100);
    nx_grpc_buffer_init(&packed, &own);
    assert_int_equal(nx_grpc_deflate(plain, sizeof plain, &packed), NX_OK);
    assert_true(nx_grpc_buffer_len(&packed) < sizeof plain / 4);
    assert_int_equal(
        inflate_whole(nx_grpc_buffer_span(&packed), nx_grpc_buffer_len(&packed), sizeof plain),
        NX_OK);
    assert_int_equal(nx_grpc_buffer_len(&buffer), sizeof plain);
    assert_memory_equal(nx_grpc_buffer_span(&buffer), plain, sizeof plain);
    nx_grpc_buffer_free(&buffer);
    nx_grpc_buffer_free(&packed);
    static uint8_t large[8 << 20]; /* its bound is over the budget */
    assert_int_equal(nx_grpc_deflate(large, sizeof large, &packed), NX_TOO_LARGE);
    assert_int_equal(own.used, 0);
}

static void a_bomb_stops_at_the_budget(void **state)
{
    (void)state;
    static uint8_t zeros[10 << 20], packed[20000];
    size_t len = gzip(zeros, sizeof zeros, packed, sizeof packed);
    assert_int_equal(inflate_whole(packed, len, sizeof zeros), NX_TOO_LARGE);
    assert_int_equal(server.used, 0);
}

/* What is inflated by pieces costs a piece at a time, both in what comes out and in what is read. */
static void a_bomb_goes_off_piece_by_piece(void **state)
{
    (void)state;
    enum { BYTES = 1 << 20, PIECE = 10000 };
    static uint8_t zeros[BYTES], packed[BYTES / 100];
    struct nx_inflater *f = NULL;
    server.limit = connection.limit = 8 << 20;
    size_t len = gzip(zeros, BYTES, packed, sizeof packed), steps = 0, had = 0;
    assert_int_equal(nx_inflater_open(NX_INFLATE_GZIP, packed, len, BYTES, &f), NX_OK);
    enum nx_status status;
    while ((status = nx_inflater_step(f, packed, len, PIECE, &buffer)) == NX_AGAIN) {
        assert_true(nx_grpc_buffer_len(&buffer) - had <= PIECE);
        had = nx_grpc_buffer_len(&buffer);
        steps++;
    }
    assert_int_equal(status, NX_OK);
    assert_true(steps >= BYTES / PIECE && nx_grpc_buffer_len(&buffer) == BYTES);
    nx_inflater_close(f);
}

/* Empty blocks are five bytes that stand for none. */
static void much_that_stands_for_nothing_is_read_in_pieces_too(void **state)
{
    (void)state;
    enum { BLOCKS = 10000, PIECE = 1000 };
    static uint8_t packed[10 + 5 * BLOCKS] = {0x1f, 0x8b, 8};
    for (int i = 0; i < BLOCKS; i++)
        packed[10 + 5 * i + 3] = packed[10 + 5 * i + 4] = 0xff;
    struct nx_inflater *f = NULL;
    int steps = 0;
    assert_int_equal(nx_inflater_open(NX_INFLATE_GZIP, packed, sizeof packed, 100, &f), NX_OK);
    while (nx_inflater_step(f, packed, sizeof packed, PIECE, &buffer) == NX_AGAIN)
        steps++;
    assert_true(steps >= 5 * BLOCKS / PIECE - 1);
    nx_inflater_close(f);
}

static void a_bomb_that_says_so_is_refused_before_it_costs_anything(void **state)
{
    (void)state;
    static uint8_t zeros[90000], packed[4096];
    struct nx_inflater *f = NULL;
    size_t len = gzip(zeros, sizeof zeros, packed, sizeof packed);
    assert_int_equal(nx_inflater_open(NX_INFLATE_GZIP, packed, len, sizeof zeros - 1, &f),
                     NX_TOO_LARGE);
    assert_null(f);
    memset(packed + len - 4, 0xff, 4); /* nothing so short holds so much: no claim, but a lie */
    assert_int_equal(nx_inflater_open(NX_INFLATE_GZIP, packed, len, sizeof zeros, &f), NX_OK);
    nx_inflater_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_come_out_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_budget_refuses_and_nothing_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(one_large_block_is_kept_for_the_next_message, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_too_small_or_too_large_is_not_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_greedy_leave_a_share, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_charges_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(gzip_comes_back_under_a_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_budget_does_not_make_it_quadratic, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bomb_goes_off_piece_by_piece, setup, teardown),
        cmocka_unit_test_setup_teardown(much_that_stands_for_nothing_is_read_in_pieces_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_bomb_that_says_so_is_refused_before_it_costs_anything,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_packed_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bomb_stops_at_the_budget, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
