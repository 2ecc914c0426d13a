#include "nx_test.h"

#include "categorizer/model/npz.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FILE_BYTES = 1 << 14, ENTRIES_MAX = 4, STORED = 0, DEFLATED = 8 };

static struct nx_err err;

/* A zip file as it grows: the heads of its entries are kept for the directory. */
struct zip {
    uint8_t bytes[FILE_BYTES];
    struct nx_writer w;
    struct {
        const char *name;
        uint32_t method, flags, crc, packed, len, offset;
    } entries[ENTRIES_MAX];
    uint32_t n;
};

static struct zip zip;

static void zip_begin(void)
{
    zip.n = 0;
    nx_writer_init(&zip.w, zip.bytes, sizeof zip.bytes);
}

static size_t pack(const uint8_t *bytes, size_t len, uint8_t *to, size_t cap)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t copy[FILE_BYTES];
    memcpy(copy, bytes, len);
    z.next_in = copy;
    z.avail_in = (uInt)len;
    z.next_out = to;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t packed = cap - z.avail_out;
    deflateEnd(&z);
    return packed;
}

static void zip_add(const char *name, uint32_t method, const uint8_t *bytes, size_t len)
{
    uint8_t packed[FILE_BYTES];
    size_t n = method == DEFLATED ? pack(bytes, len, packed, sizeof packed) : len;
    uint32_t at = zip.n++;
    zip.entries[at].name = name;
    zip.entries[at].method = method;
    zip.entries[at].flags = 0;
    zip.entries[at].crc = (uint32_t)crc32(0, bytes, (uInt)len);
    zip.entries[at].packed = (uint32_t)n;
    zip.entries[at].len = (uint32_t)len;
    zip.entries[at].offset = (uint32_t)nx_writer_used(&zip.w);
    nx_write_u32(&zip.w, 0x04034b50);
    for (int i = 0; i < 22; i += 2)
        nx_write_u16(&zip.w, 0); /* the directory says it all again */
    nx_write_u16(&zip.w, (uint16_t)strlen(name));
    nx_write_u16(&zip.w, 3);
    nx_write_bytes(&zip.w, name, strlen(name));
    nx_write_bytes(&zip.w, "xyz", 3); /* an extra field of its own */
    nx_write_bytes(&zip.w, method == DEFLATED ? packed : bytes, n);
}

static size_t zip_end(void)
{
    uint32_t directory = (uint32_t)nx_writer_used(&zip.w);
    for (uint32_t i = 0; i < zip.n; i++) {
        nx_write_u32(&zip.w, 0x02014b50);
        nx_write_u32(&zip.w, 0);
        nx_write_u16(&zip.w, (uint16_t)zip.entries[i].flags);
        nx_write_u16(&zip.w, (uint16_t)zip.entries[i].method);
        nx_write_u32(&zip.w, 0);
        nx_write_u32(&zip.w, zip.entries[i].crc);
        nx_write_u32(&zip.w, zip.entries[i].packed);
        nx_write_u32(&zip.w, zip.entries[i].len);
        nx_write_u16(&zip.w, (uint16_t)strlen(zip.entries[i].name));
        nx_write_u32(&zip.w, 0);
        nx_write_u64(&zip.w, 0);
        nx_write_u32(&zip.w, zip.entries[i].offset);
        nx_write_bytes(&zip.w, zip.entries[i].name, strlen(zip.entries[i].name));
    }
    nx_write_u32(&zip.w, 0x06054b50);
    nx_write_u32(&zip.w, 0);
    nx_write_u16(&zip.w, (uint16_t)zip.n);
    nx_write_u16(&zip.w, (uint16_t)zip.n);
    nx_write_u32(&zip.w, 0);
    nx_write_u32(&zip.w, directory);
    nx_write_u16(&zip.w, 0);
    assert_false(zip.w.bad);
    return nx_writer_used(&zip.w);
}

/* An .npy of the header's text and `n` floats 0, 1, 2, … */
static size_t npy(const char *header, uint32_t n, uint8_t *bytes)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, 1 << 10);
    nx_write_bytes(&w, "\x93NUMPY\1\0", 8);
    nx_write_u16(&w, (uint16_t)strlen(header));
    nx_write_bytes(&w, header, strlen(header));
    for (uint32_t i = 0; i < n; i++) {
        float v = (float)i;
        nx_write_bytes(&w, &v, sizeof v);
    }
    return nx_writer_used(&w);
}

#define HEADER(descr, order, shape) \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

static void add_array(const char *name, uint32_t method, const char *header, uint32_t n)
{
    uint8_t bytes[1 << 10];
    size_t len = npy(header, n, bytes);
    zip_add(name, method, bytes, len);
}

/* A copy of its own, so that the address sanitizer sees a read past it. */
static enum nx_status parse(size_t len, struct nx_arena *arena, struct nx_params *params)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, zip.bytes, len);
    err = (struct nx_err){0};
    enum nx_status status = nx_params_parse(copy, len, arena, params, &err);
    if (status == NX_OK)
        for (uint32_t i = 0; i < params->n; i++) {
            const float *values; /* read while the copy is there */
            assert_int_equal(nx_array_to_f32(&params->arrays[i], arena, &values, &err), NX_OK);
        }
    free(copy);
    return status;
}

static size_t two_arrays(void)
{
    zip_begin();
    add_array("arg:weight.npy", STORED, HEADER("<f4", "False", "(2, 3)"), 6);
    add_array("aux:mean.npy", DEFLATED, HEADER("<f4", "False", "(40,)"), 40);
    return zip_end();
}

static void stored_and_deflated_arrays_are_read(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_params params;
    const float *values;
    size_t len = two_arrays();
    nx_arena_init(&arena, 1 << 20);
    assert_int_equal(nx_params_parse(zip.bytes, len, &arena, &params, &err), NX_OK);
    assert_int_equal(params.n, 2);
    const struct nx_array *weight = nx_params_find(&params, "weight");
    const struct nx_array *mean = nx_params_find(&params, "mean");
    assert_non_null(weight);
    assert_non_null(mean);
    assert_int_equal(weight->shape.rank, 2);
    assert_int_equal(weight->shape.dims[1], 3);
    assert_int_equal(nx_array_to_f32(weight, &arena, &values, &err), NX_OK);
    assert_true(values[5] == 5);
    assert_int_equal(nx_array_to_f32(mean, &arena, &values, &err), NX_OK);
    assert_true(values[39] == 39);
    nx_arena_free(&arena);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    size_t len = two_arrays();
    for (size_t cut = 0; cut < len; cut++) {
        struct nx_arena arena;
        struct nx_params params;
        nx_arena_init(&arena, 1 << 20);
        assert_int_equal(parse(cut, &arena, &params), NX_CORRUPT);
        nx_arena_free(&arena);
    }
}

static void any_flipped_byte_is_read_or_refused(void **state)
{
    (void)state;
    size_t len = two_arrays();
    uint32_t refused = 0;
    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct nx_arena arena;
            struct nx_params params;
            nx_arena_init(&arena, 1 << 20);
            zip.bytes[at] ^= (uint8_t)(1 << bit);
            enum nx_status status = parse(len, &arena, &params);
            zip.bytes[at] ^= (uint8_t)(1 << bit);
            assert_true(status == NX_OK || err.text[0]);
            refused += status != NX_OK;
            nx_arena_free(&arena);
        }
    assert_in_range(refused, len * 4, len * 8); /* most of it is data under a checksum */
}

static void assert_refused(enum nx_status wanted, const char *sentence)
{
    struct nx_arena arena;
    struct nx_params params;
    nx_arena_init(&arena, 1 << 20);
    enum nx_status status = parse(zip_end(), &arena, &params);
    if (status != wanted || !strstr(err.text, sentence))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, sentence, err.text);
    nx_arena_free(&arena);
}

static void refused_with(const char *name, uint32_t method, const char *header, uint32_t n,
                         enum nx_status wanted, const char *sentence)
{
    zip_begin();
    add_array(name, method, header, n);
    assert_refused(wanted, sentence);
}

static void what_is_not_taken_is_named(void **state)
{
    (void)state;
    const char *good = HEADER("<f4", "False", "(2,)");
    refused_with("w.npy", STORED, HEADER("<f4", "True", "(2,)"), 2, NX_UNSUPPORTED, "Fortran");
    refused_with("w.npy", STORED, HEADER(">f4", "False", "(2,)"), 2, NX_UNSUPPORTED, "'>f4'");
    refused_with("w.npy", STORED, HEADER("<c8", "False", "(2,)"), 2, NX_UNSUPPORTED, "'<c8'");
    refused_with("w.npy", STORED, HEADER("<f4", "False", "(2, x)"), 2, NX_CORRUPT, "no number");
    refused_with("w.npy", STORED, HEADER("<f4", "False", "(3,)"), 2, NX_CORRUPT, "12 bytes");
    refused_with("w.npy", STORED, HEADER("<f4", "False", "(65536, 65536)"), 2, NX_TOO_LARGE, "w");
    refused_with("w.npy", STORED, HEADER("<f4", "False", "(1,1,1,1,1,1,2)"), 2, NX_UNSUPPORTED,
                 "dimensions");
    refused_with("w/data.npy", STORED, good, 2, NX_UNSUPPORTED, "sparse");
    refused_with("w.txt", STORED, good, 2, NX_UNSUPPORTED, "not an array");
    refused_with("w.npy", 12, good, 2, NX_UNSUPPORTED, "compressed");
}

static void wrong_entries_are_named(void **state)
{
    (void)state;
    const char *good = HEADER("<f4", "False", "(2,)");
    zip_begin();
    add_array("w.npy", STORED, good, 2);
    zip.entries[0].crc ^= 1;
    assert_refused(NX_CORRUPT, "checksum");
    zip_begin();
    add_array("w.npy", STORED, good, 2);
    zip.entries[0].flags = 1;
    assert_refused(NX_UNSUPPORTED, "encrypted");
    zip_begin();
    add_array("w.npy", DEFLATED, good, 2);
    zip.entries[0].len += 1;
    assert_refused(NX_CORRUPT, "not well packed");
    zip_begin();
    add_array("w.npy", STORED, good, 2);
    zip.entries[0].offset = 1 << 30;
    assert_refused(NX_CORRUPT, "beyond its end");
    zip_begin();
    add_array("w.npy", DEFLATED, good, 2);
    zip.entries[0].len = UINT32_MAX - 1;
    assert_refused(NX_NO_MEMORY, "memory");
    zip_begin();
    add_array("arg:w.npy", STORED, good, 2);
    add_array("aux:w.npy", STORED, good, 2);
    assert_refused(NX_CORRUPT, "two arrays are named 'w'");
}

static void every_failed_allocation_is_answered(void **state)
{
    (void)state;
    size_t len = two_arrays();
    for (uint64_t at = 1;; at++) {
        struct nx_arena arena;
        struct nx_params params;
        nx_arena_init(&arena, 1 << 20);
        nx_alloc_fail_at(at);
        enum nx_status status = nx_params_parse(zip.bytes, len, &arena, &params, &err);
        nx_alloc_fail_at(0);
        nx_arena_free(&arena);
        if (status == NX_OK)
            break;
        assert_int_equal(status, NX_NO_MEMORY);
        assert_in_range(at, 1, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_and_deflated_arrays_are_read),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(any_flipped_byte_is_read_or_refused),
        cmocka_unit_test(what_is_not_taken_is_named),
        cmocka_unit_test(wrong_entries_are_named),
        cmocka_unit_test(every_failed_allocation_is_answered),
    };
    return cmocka_run_group_tests_name("npz", tests, NULL, NULL);
}
