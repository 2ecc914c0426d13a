/* Lossless WebPs made bit by bit: each block of 4 x 4 pixels has a group of codes of its own. */
#include "categorizer/image/decode.h"
#include "categorizer/image/webp_tables.h"
#include "image_pictures.h"

#include <string.h>

enum { SIDE = 128, GROUPS = SIDE / 4 * SIDE / 4, GROUP_BYTES = 4 * 2957 + 600, RIFF_BYTES = 25 };

struct webp {
    uint8_t bytes[RIFF_BYTES + 8192];
    size_t bits; /* behind the header */
};

static void put(struct webp *w, uint32_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++, w->bits++)
        w->bytes[RIFF_BYTES + w->bits / 8] |= (uint8_t)((value >> i & 1) << w->bits % 8);
}

/* A code in which all of 256 symbols take 8 bits, highest first, and `zeros` more do not occur. */
static void put_flat_code(struct webp *w, uint32_t zeros)
{
    static const uint8_t order[] = {17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8};
    put(w, 0, 1);
    put(w, sizeof order - 4, 4);
    for (size_t i = 0; i < sizeof order; i++)
        put(w, order[i] == 18 || order[i] == 8, 3);
    put(w, 0, 1);
    for (int i = 0; i < 256; i++)
        put(w, 0, 1);
    if (zeros) {
        put(w, 1, 1);
        put(w, zeros - 11, 7);
    }
}

static void put_highest_first(struct webp *w, uint32_t byte)
{
    for (int b = 7; b >= 0; b--)
        put(w, byte >> b & 1, 1);
}

/* A code of the symbol 0 alone. */
static void put_single_codes(struct webp *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        put(w, 1, 4);
}

static void put_header(struct webp *w)
{
    static const uint8_t head[] = "RIFF____WEBPVP8L____\x2f";
    uint32_t body = (uint32_t)sizeof w->bytes - 20, riff = body + 12;
    uint32_t sides = (SIDE - 1) | (uint32_t)(SIDE - 1) << 14;
    memcpy(w->bytes, head, sizeof head - 1);
    for (int i = 0; i < 4; i++) {
        w->bytes[4 + i] = (uint8_t)(riff >> 8 * i);
        w->bytes[16 + i] = (uint8_t)(body >> 8 * i);
        w->bytes[21 + i] = (uint8_t)(sides >> 8 * i);
    }
}

/* Black, by `groups` groups of codes that are in turn those of the blocks. */
static struct webp many_groups(uint32_t groups)
{
    struct webp w = {.bits = 0};
    put_header(&w);
    put(&w, 0, 1); /* no transform */
    put(&w, 0, 1); /* no cache of colours */
    put(&w, 1, 1); /* groups, for blocks of 4 x 4 */
    put(&w, 0, 3);
    put(&w, 0, 1);
    put_flat_code(&w, 24);
    put_flat_code(&w, 0);
    put_single_codes(&w, 3);
    for (uint32_t i = 0; i < GROUPS; i++) {
        put_highest_first(&w, i % groups & 255);
        put_highest_first(&w, i % groups >> 8);
    }
    put_single_codes(&w, 5 * groups);
    return w;
}

static uint64_t bytes_of(const struct webp *w, size_t len)
{
    return nx_webp_tables_bytes(w->bytes + RIFF_BYTES, len, SIDE, SIDE);
}

static void groups_are_counted(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 999, 1000, 1001, GROUPS};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct webp w = many_groups(counts[i]);
        assert_int_equal(bytes_of(&w, sizeof w.bytes - RIFF_BYTES),
                         4 * GROUPS + (uint64_t)counts[i] * GROUP_BYTES);
    }
}

static void what_is_cut_counts_as_the_most(void **state)
{
    (void)state;
    struct webp w = many_groups(GROUPS);
    uint64_t most = nx_webp_tables_most(SIDE, SIDE);
    assert_true(most > (uint64_t)GROUPS * GROUP_BYTES);
    for (size_t len = 0; len < 2000; len += 7) {
        uint8_t *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, w.bytes + RIFF_BYTES, len);
        assert_int_equal(nx_webp_tables_bytes(exact, len, SIDE, SIDE), most);
        free(exact);
    }
    memset(w.bytes + RIFF_BYTES, 0xff, 500);
    assert_int_equal(bytes_of(&w, 500), most);
    assert_true(nx_webp_tables_most(16383, 16383) < UINT64_C(3) << 30);
}

/* One byte less than the tables need, and the photo is refused before they are made. */
static void they_are_taken_from_the_budget(void **state)
{
    (void)state;
    struct webp w = many_groups(GROUPS);
    uint64_t pixels = SIDE * SIDE, held = 4 * pixels + 4 * GROUPS + GROUPS * (uint64_t)GROUP_BYTES;
    struct nx_budget budget = {.limit_bytes = held + 3 * pixels};
    struct nx_photo_limits limits = {.pixels_max = pixels, .budget = &budget};
    struct nx_pixels p = {0};
    struct nx_err err = {0};
    assert_int_equal(nx_photo_decode(w.bytes, sizeof w.bytes, 0, &limits, &p, &err), NX_OK);
    assert_int_equal(budget.used_bytes, 3 * pixels);
    nx_pixels_free(&p);
    budget.limit_bytes = held - 1;
    assert_int_equal(nx_photo_decode(w.bytes, sizeof w.bytes, 0, &limits, &p, &err), NX_NO_MEMORY);
    assert_non_null(strstr(err.text, "a photo's decoder of "));
    assert_int_equal(budget.used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_counted),
        cmocka_unit_test(what_is_cut_counts_as_the_most),
        cmocka_unit_test(they_are_taken_from_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
