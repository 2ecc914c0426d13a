/* Tensors by name into a model and out of it; the file is an ONNX one with inputs of three types. */
#include "nx_onnx_file.h"

#include "categorizer/model/dtype.h"
#include "categorizer/model/model.h"

#include <math.h>
#include <stdlib.h>

static struct nx_onnx_file file;
static struct nx_err err;

enum { FLOAT = 1, UINT8 = 2, INT64 = 7 };

/* y (N, 3) = a (N, 3) * scale + b (N, 1); kept = b + b; batch: that of all, or fixed. */
static void write_model(int64_t batch)
{
    size_t graph = nx_of_model(&file, 8);
    nx_of_close(&file, nx_of_node(&file, "Mul", LIST("a", "scale"), LIST("m")));
    nx_of_close(&file, nx_of_node(&file, "Add", LIST("m", "b"), LIST("y")));
    nx_of_close(&file, nx_of_node(&file, "Add", LIST("b", "b"), LIST("kept")));
    nx_of_typed_info(&file, 11, "a", UINT8, 2, DIMS(batch, 3));
    nx_of_typed_info(&file, 11, "b", INT64, 2, DIMS(batch, 1));
    nx_of_typed_info(&file, 11, "scale", FLOAT, 0, NULL);
    nx_of_typed_info(&file, 12, "y", FLOAT, 2, DIMS(batch, 3));
    nx_of_typed_info(&file, 12, "kept", INT64, 2, DIMS(batch, 1));
    nx_of_close(&file, graph);
    nx_of_opset(&file, 13);
}

static struct nx_model *open_model(const char *backend)
{
    struct nx_model *model = NULL;
    struct nx_model_files files = {.onnx = {file.bytes, nx_of_len(&file)}};
    struct nx_model_options options = {.backend = backend, .load = {.batch_max = 4, .threads = 1}};
    if (nx_model_open(&files, &options, &model, &err) != NX_OK)
        fail_msg("%s", err.text);
    return model;
}

static const uint8_t a[] = {1, 2, 3, 250, 251, 255};
static const int64_t b[] = {-7, 1 << 24};
static const float scale = 2;

struct bench {
    struct nx_tensor_in in[3];
    struct nx_tensor_out out[2];
    float y[6];
    int64_t kept[2];
};

static void lay_out(struct bench *t)
{
    *t = (struct bench){.in = {{"a", NX_U8, {2, {2, 3}}, a, sizeof a},
                               {"scale", NX_F32, {0, {0}}, &scale, sizeof scale},
                               {"b", NX_I64, {2, {2, 1}}, b, sizeof b}}};
    t->out[0] = (struct nx_tensor_out){.name = "kept", .data = t->kept, .bytes = sizeof t->kept};
    t->out[1] = (struct nx_tensor_out){.name = "y", .data = t->y, .bytes = sizeof t->y};
}

static void tensors_of_several_types_go_by_name(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu_ref", "auto"};
    for (int i = 0; i < 2; i++) {
        struct bench t;
        write_model(0);
        struct nx_model *model = open_model(backends[i]);
        const struct nx_model_facts *facts = nx_model_facts(model);
        assert_int_equal(facts->n_in, 3);
        assert_string_equal(facts->in[0].name, "a"); /* the file's order */
        assert_true(facts->in[0].batched && !facts->in[2].batched);
        assert_false(facts->takes_photos);
        assert_int_equal(nx_model_output_bytes(model, 1, 3), 24);
        lay_out(&t);
        assert_int_equal(nx_model_infer(model, t.in, 3, t.out, 2, &err), NX_OK);
        for (int k = 0; k < 6; k++)
            assert_true(t.y[k] == (float)a[k] * 2 + (float)b[k / 3]);
        assert_int_equal(t.kept[0], -14);
        assert_int_equal(t.kept[1], 1 << 25);
        assert_int_equal(t.out[0].dtype, NX_I64);
        assert_int_equal(t.out[1].shape.dims[0], 2);
        nx_model_close(model);
    }
}

static void a_batch_of_one_and_outputs_not_asked_for(void **state)
{
    (void)state;
    struct bench t;
    write_model(0);
    struct nx_model *model = open_model("auto");
    lay_out(&t);
    t.in[0].shape.dims[0] = t.in[2].shape.dims[0] = 1;
    t.in[0].bytes = 3;
    t.in[2].bytes = 8;
    assert_int_equal(nx_model_infer(model, t.in, 3, t.out + 1, 1, &err), NX_OK);
    assert_true(t.y[2] == 6 - 7);
    assert_int_equal(t.out[1].bytes, 12);
    assert_int_equal(nx_model_infer(model, t.in, 3, NULL, 0, &err), NX_OK);
    const float photo = 0;
    assert_int_equal(nx_model_run(model, 1, &photo, t.y, &err), NX_INVALID);
    nx_model_close(model);
}

static void assert_refused(struct nx_model *model, struct bench *t, const char *sentence)
{
    err = (struct nx_err){0};
    enum nx_status status = nx_model_infer(model, t->in, 3, t->out, 2, &err);
    if (status != NX_INVALID || !strstr(err.text, sentence))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, sentence, err.text);
    lay_out(t);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    struct bench t;
    const int64_t large[] = {0, (1 << 24) + 1};
    write_model(0);
    struct nx_model *model = open_model("auto");
    lay_out(&t);
    t.in[0].name = "c";
    assert_refused(model, &t, "no input 'c'");
    t.in[0].name = "b";
    t.in[0].dtype = NX_I64;
    assert_refused(model, &t, "'b' is (2, 3), (2, 1) was expected");
    t.in[1] = t.in[0];
    assert_refused(model, &t, "'a' is there twice");
    t.in[0].dtype = NX_I8;
    assert_refused(model, &t, "'a' is I8, U8 was expected");
    t.in[0].dtype = (enum nx_dtype)99;
    assert_refused(model, &t, "of no type");
    t.in[0].shape.rank = 1;
    assert_refused(model, &t, "'a' is (2)");
    t.in[0].shape.dims[0] = 5;
    assert_refused(model, &t, "a batch of 5, this model takes 1 to 4");
    t.in[0].shape.dims[0] = 0;
    assert_refused(model, &t, "a batch of 0");
    t.in[2].shape.dims[0] = 1;
    assert_refused(model, &t, "another input has 2");
    t.in[0].bytes--;
    assert_refused(model, &t, "'a' has 5 bytes");
    t.in[2].data = large;
    assert_refused(model, &t, "at element 1 a number beyond 2^24");
    t.out[0] = t.out[1];
    assert_refused(model, &t, "'y' is asked for twice");
    t.out[0].name = "m";
    assert_refused(model, &t, "no output 'm'");
    t.out[1].bytes--;
    assert_refused(model, &t, "'y' has 24 bytes, there is room for 23");
    err = (struct nx_err){0};
    assert_int_equal(nx_model_infer(model, t.in, 2, t.out, 2, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "'b' is missing"));
    assert_int_equal(nx_model_infer(model, t.in, 3, t.out, 2, &err), NX_OK); /* still usable */
    nx_model_close(model);
}

/* x · z sums over what would be the batch: such a file, all of whose sizes are fixed, has none. */
static void a_file_without_a_batch_runs_as_it_says(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4}, z[] = {0, 1, 1, 0}, want[] = {2, 1, 4, 3};
    float y[4];
    size_t graph = nx_of_model(&file, 8);
    nx_of_close(&file, nx_of_node(&file, "MatMul", LIST("x", "z"), LIST("y")));
    nx_of_typed_info(&file, 11, "x", FLOAT, 2, DIMS(2, 2));
    nx_of_typed_info(&file, 11, "z", FLOAT, 2, DIMS(2, 2));
    nx_of_typed_info(&file, 12, "y", FLOAT, 2, DIMS(2, 2));
    nx_of_close(&file, graph);
    nx_of_opset(&file, 13);
    struct nx_model *model = open_model("auto");
    assert_false(nx_model_facts(model)->batched);
    struct nx_tensor_in in[] = {{"x", NX_F32, {2, {2, 2}}, x, sizeof x},
                                {"z", NX_F32, {2, {2, 2}}, z, sizeof z}};
    struct nx_tensor_out out = {.name = "y", .data = y, .bytes = sizeof y};
    assert_int_equal(nx_model_infer(model, in, 2, &out, 1, &err), NX_OK);
    assert_memory_equal(y, want, sizeof y);
    nx_model_close(model);
}

static void unaligned_tensors_are_read(void **state)
{
    (void)state;
    struct bench t;
    uint8_t room[sizeof(float) + 1];
    write_model(0);
    struct nx_model *model = open_model("auto");
    lay_out(&t);
    memcpy(room + 1, &scale, sizeof scale);
    t.in[1].data = room + 1;
    assert_int_equal(nx_model_infer(model, t.in, 3, t.out, 2, &err), NX_OK);
    assert_true(t.y[0] == 1 * 2 - 7);
    nx_model_close(model);
}

static void numbers_of_every_type_go_there_and_back(void **state)
{
    (void)state;
    static const float values[] = {0, 1, 2, 100, 0.5f, -1, -100, 127};
    for (int dtype = 0; dtype < NX_DTYPES; dtype++) {
        uint8_t bytes[sizeof values * 2];
        float back[8];
        uint64_t wrong;
        nx_dtype_from_f32((enum nx_dtype)dtype, values, 8, bytes);
        assert_true(nx_dtype_to_f32((enum nx_dtype)dtype, bytes, 8, back, &wrong));
        bool real = dtype == NX_F32 || dtype == NX_F64 || dtype == NX_F16 || dtype == NX_BF16;
        bool sign = real || dtype == NX_I8 || dtype == NX_I16 || dtype == NX_I32 || dtype == NX_I64;
        for (int i = 0; i < 8; i++) {
            float want = real ? values[i] : truncf(values[i]);
            want = dtype == NX_BOOL ? values[i] != 0 : !sign && want < 0 ? 0 : want;
            if (back[i] != want)
                fail_msg("%s: %g came back as %g", nx_dtype_name((enum nx_dtype)dtype),
                         (double)values[i], (double)back[i]);
        }
    }
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f};
    int8_t narrow[4];
    int64_t wide[4];
    nx_dtype_from_f32(NX_I8, odd, 4, narrow);
    nx_dtype_from_f32(NX_I64, odd, 4, wide);
    assert_true(narrow[0] == 0 && narrow[1] == 127 && narrow[2] == -128 && narrow[3] == 127);
    assert_true(wide[0] == 0 && wide[1] == INT64_MAX && wide[2] == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_of_several_types_go_by_name),
        cmocka_unit_test(a_batch_of_one_and_outputs_not_asked_for),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(a_file_without_a_batch_runs_as_it_says),
        cmocka_unit_test(unaligned_tensors_are_read),
        cmocka_unit_test(numbers_of_every_type_go_there_and_back),
    };
    return cmocka_run_group_tests_name("model infer", tests, NULL, NULL);
}
