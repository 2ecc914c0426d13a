#include "categorizer/model/params.h"
#include "nx_params_file.h"

#include <math.h>
#include <stdlib.h>

static struct nx_params_file file;
static struct nx_arena arena;
static struct nx_params params;
static struct nx_err err;

/* From an exact copy, so that the address sanitizer sees a read past the end. */
static enum nx_status parse(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    nx_arena_free(&arena);
    nx_arena_init(&arena, 16 << 20);
    err = (struct nx_err){0};
    enum nx_status status = nx_params_parse(copy, len, &arena, &params, &err);
    free(copy);
    assert_true(status == NX_OK || err.text[0]);
    return status;
}

static void assert_refused(enum nx_status wanted, const char *sentence)
{
    assert_int_equal(parse(file.bytes, nx_pf_len(&file)), wanted);
    if (!strstr(err.text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, err.text);
}

static void every_version_is_read(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3};
    const float values[] = {1, 2, 3, 4, 5, -6.5f};
    for (int version = 0; version <= 3; version++) {
        nx_pf_begin(&file, 1);
        nx_pf_head(&file, version, 2, dims, 0);
        nx_pf_floats(&file, values, 6);
        nx_pf_names(&file, 1);
        nx_pf_name(&file, "arg:w");
        const float *got;
        nx_arena_init(&arena, 1 << 20);
        assert_int_equal(nx_params_parse(file.bytes, nx_pf_len(&file), &arena, &params, &err),
                         NX_OK);
        const struct nx_array *w = nx_params_find(&params, "w");
        assert_non_null(w);
        assert_int_equal(w->shape.rank, 2);
        assert_int_equal(w->shape.dims[1], 3);
        assert_int_equal(nx_array_to_f32(w, &arena, &got, &err), NX_OK);
        assert_memory_equal(got, values, sizeof values);
        assert_null(nx_params_find(&params, "arg:w"));
        nx_arena_free(&arena);
    }
}

static void scalars_and_empty_arrays(void **state)
{
    (void)state;
    nx_pf_begin(&file, 3);
    nx_pf_head(&file, 3, 0, NULL, 0); /* np semantics: one element */
    nx_pf_floats(&file, (const float[]){7}, 1);
    nx_write_u32(&file.w, 0xF993FAC9u); /* V2 without dimensions: nothing follows */
    nx_write_u32(&file.w, 0);
    nx_write_u32(&file.w, 0);
    nx_write_u32(&file.w, 0xF993FACAu); /* V3 "none" */
    nx_write_u32(&file.w, 0);
    nx_write_u32(&file.w, UINT32_MAX);
    nx_pf_names(&file, 3);
    nx_pf_name(&file, "scalar");
    nx_pf_name(&file, "aux:empty");
    nx_pf_name(&file, "arg:none");
    assert_int_equal(parse(file.bytes, nx_pf_len(&file)), NX_OK);
    assert_int_equal(nx_params_find(&params, "scalar")->elements, 1);
    assert_int_equal(nx_params_find(&params, "empty")->elements, 0);
    assert_int_equal(nx_params_find(&params, "none")->elements, 0);
}

static void check_dtype(uint32_t dtype, const void *bytes, size_t len, float want)
{
    const int64_t one[] = {1};
    const float *got;
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 1, one, dtype);
    nx_write_bytes(&file.w, bytes, len);
    nx_pf_names(&file, 1);
    nx_pf_name(&file, "x");
    nx_arena_init(&arena, 1 << 20);
    assert_int_equal(nx_params_parse(file.bytes, nx_pf_len(&file), &arena, &params, &err), NX_OK);
    assert_int_equal(nx_array_to_f32(&params.arrays[0], &arena, &got, &err), NX_OK);
    if (got[0] != want)
        fail_msg("dtype %u: %g, not %g", dtype, (double)got[0], (double)want);
    nx_arena_free(&arena);
}

static void every_dtype_becomes_f32(void **state)
{
    (void)state;
    const double d = -0.5;
    check_dtype(1, &d, 8, -0.5f);
    check_dtype(2, "\x00\x3c", 2, 1);                  /* half: 1 */
    check_dtype(2, "\xff\x7b", 2, 65504);              /* the largest */
    check_dtype(2, "\x01\x80", 2, -5.9604644775e-08f); /* the smallest, negative */
    check_dtype(2, "\x00\x7c", 2, INFINITY);
    check_dtype(3, "\xff", 1, 255);
    check_dtype(4, "\xfe\xff\xff\xff", 4, -2);
    check_dtype(5, "\x80", 1, -128);
    check_dtype(6, "\xfd\xff\xff\xff\xff\xff\xff\xff", 8, -3);
    check_dtype(7, "\x01", 1, 1);
    check_dtype(8, "\xff\xff", 2, -1);
    check_dtype(9, "\xff\xff", 2, 65535);
    check_dtype(10, "\xff\xff\xff\xff", 4, 4294967296.0f);
    check_dtype(11, "\x00\x00\x00\x00\x01\x00\x00\x00", 8, 4294967296.0f);
    check_dtype(12, "\x80\xbf", 2, -1); /* bfloat16 */
}

static void write_good(void)
{
    const int64_t dims[] = {2, 2};
    nx_pf_begin(&file, 2);
    nx_pf_array(&file, 2, dims, 1);
    nx_pf_array(&file, 1, dims, 5);
    nx_pf_names(&file, 2);
    nx_pf_name(&file, "arg:weight");
    nx_pf_name(&file, "aux:mean");
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    write_good();
    size_t len = nx_pf_len(&file);
    assert_int_equal(parse(file.bytes, len), NX_OK);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(parse(file.bytes, cut), NX_CORRUPT);
    file.bytes[len] = 0;
    assert_int_equal(parse(file.bytes, len + 1), NX_CORRUPT);
    assert_non_null(strstr(err.text, "1 bytes follow"));
}

static void any_flipped_byte_is_read_or_refused(void **state)
{
    (void)state;
    write_good();
    size_t len = nx_pf_len(&file);
    for (size_t at = 0; at < len; at++)
        for (int value = 0; value < 256; value += 17) {
            uint8_t was = file.bytes[at];
            file.bytes[at] = (uint8_t)value;
            parse(file.bytes, len);
            file.bytes[at] = was;
        }
}

static void counts_beyond_the_file_are_refused(void **state)
{
    (void)state;
    const int64_t huge[] = {1 << 30, 1 << 30, 4}, negative[] = {-1}, wide[] = {INT64_MAX};
    nx_pf_begin(&file, UINT64_MAX);
    assert_refused(NX_CORRUPT, "arrays in 24 bytes");
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 3, huge, 0);
    assert_refused(NX_TOO_LARGE, "array 0 would be over");
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 1, negative, 0);
    assert_refused(NX_CORRUPT, "negative");
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 1, wide, 0);
    assert_refused(NX_CORRUPT, "over 2^31");
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 1, (const int64_t[]){1000}, 0);
    assert_refused(NX_CORRUPT, "array 0 is cut off");
}

static void foreign_and_unsupported_files_are_named(void **state)
{
    (void)state;
    const int64_t one[] = {1}, seven[] = {1, 1, 1, 1, 1, 1, 1};
    assert_int_equal(parse("PK\3\4 and more of a zip file", 26), NX_CORRUPT);
    assert_non_null(strstr(err.text, "zip"));
    assert_int_equal(parse("\x93NUMPY\x01\x00", 8), NX_UNSUPPORTED);
    assert_int_equal(parse("not a parameter file at all", 27), NX_CORRUPT);
    assert_non_null(strstr(err.text, "0x112"));
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 1, one, 13);
    assert_refused(NX_CORRUPT, "array 0 has dtype 13");
    nx_pf_begin(&file, 1);
    nx_write_u32(&file.w, 0xF993FAC9u);
    nx_write_u32(&file.w, 1);
    nx_write_u32(&file.w, 1);
    assert_refused(NX_UNSUPPORTED, "storage type 1");
    nx_pf_begin(&file, 1);
    nx_write_u32(&file.w, 0xDEADBEEF);
    assert_refused(NX_CORRUPT, "unknown version");
    nx_pf_begin(&file, 1);
    nx_pf_head(&file, 2, 7, seven, 0);
    assert_refused(NX_UNSUPPORTED, "7 dimensions");
}

static void names_must_be_there_and_differ(void **state)
{
    (void)state;
    const int64_t one[] = {1};
    for (int wrong = 0; wrong < 4; wrong++) {
        nx_pf_begin(&file, 2);
        nx_pf_array(&file, 1, one, 1);
        nx_pf_array(&file, 1, one, 2);
        nx_pf_names(&file, wrong == 0 ? 0 : wrong == 1 ? 3 : 2);
        nx_pf_name(&file, "arg:a");
        nx_pf_name(&file, wrong == 2 ? "aux:a" : "b");
        if (wrong == 3)
            memcpy(file.w.at - 1, "\0", 1);
        assert_int_equal(parse(file.bytes, nx_pf_len(&file)), NX_CORRUPT);
    }
}

static void every_failed_allocation_is_answered(void **state)
{
    (void)state;
    enum nx_status status = NX_NO_MEMORY;
    write_good();
    for (uint64_t n = 1; status == NX_NO_MEMORY; n++) {
        nx_arena_init(&arena, 1 << 20);
        nx_alloc_fail_at(n);
        status = nx_params_parse(file.bytes, nx_pf_len(&file), &arena, &params, &err);
        nx_alloc_fail_at(0);
        nx_arena_free(&arena);
    }
    assert_int_equal(status, NX_OK);
}

static int forget(void **state)
{
    (void)state;
    nx_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_version_is_read, forget),
        cmocka_unit_test_teardown(scalars_and_empty_arrays, forget),
        cmocka_unit_test_teardown(every_dtype_becomes_f32, forget),
        cmocka_unit_test_teardown(a_file_cut_anywhere_is_refused, forget),
        cmocka_unit_test_teardown(any_flipped_byte_is_read_or_refused, forget),
        cmocka_unit_test_teardown(counts_beyond_the_file_are_refused, forget),
        cmocka_unit_test_teardown(foreign_and_unsupported_files_are_named, forget),
        cmocka_unit_test_teardown(names_must_be_there_and_differ, forget),
        cmocka_unit_test_teardown(every_failed_allocation_is_answered, forget),
    };
    return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
