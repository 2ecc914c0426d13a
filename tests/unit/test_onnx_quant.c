/* Quantised ONNX files that are wrong, and what picks and casts by other tensors wrongly; right
 * ones: tests/parity/test_golden_onnx.c. */
#include "categorizer/model/model.h"
#include "nx_onnx_file.h"

#include <math.h>
#include <stdio.h>

static struct nx_onnx_file file;
static struct nx_err err;

enum { F32 = 1, U8 = 2, I8 = 3, I32 = 6, I64 = 7, F16 = 10, I16 = 5 };

/* x (N, 4, 3) → QuantizeLinear → DequantizeLinear → y, of which anything may be wrong. */
struct grid {
    int n;          /* of scales; 0: one number, -1: a matrix of one, -2: none that the file says */
    float scale;    /* the last; those before it are 0.25 */
    int scale_type; /* 0: F32 */
    int zeros, zero_type; /* zero_type 0: no zero point; zeros 0: one number */
    int64_t zero;
    const char *attribute; /* of both nodes */
    int64_t value;
    int other_type; /* of the second node's zero point, if it has another */
};

/* An attribute of one integer. */
static void attribute(const char *name, int64_t value)
{
    size_t at = nx_of_open(&file, 5);
    nx_of_text(&file, 1, name);
    nx_of_int(&file, 3, value);
    nx_of_int(&file, 20, 2);
    nx_of_close(&file, at);
}

static void scales(const struct grid *g)
{
    uint32_t n = g->n > 0 ? (uint32_t)g->n : 1;
    size_t tensor = nx_of_open(&file, 5);
    nx_of_dims(&file, g->n > 0 ? 1 : g->n < 0 ? 2 : 0, DIMS(n, 1));
    nx_of_int(&file, 2, g->scale_type ? g->scale_type : F32);
    nx_of_text(&file, 8, "s");
    for (uint32_t i = 0; i < n; i++) {
        if (g->scale_type == F32 || !g->scale_type)
            nx_of_float(&file, 4, i + 1 < n ? 0.25f : g->scale);
        else
            nx_of_int(&file, 5, 0x3c00);
    }
    nx_of_close(&file, tensor);
}

static void integers(const char *name, int type, int n, int64_t value)
{
    size_t tensor = nx_of_open(&file, 5);
    nx_of_dims(&file, n > 0, DIMS(n));
    nx_of_int(&file, 2, type);
    nx_of_text(&file, 8, name);
    for (int i = 0; i < (n > 0 ? n : 1); i++)
        nx_of_int(&file, type == I64 ? 7 : 5, value);
    nx_of_close(&file, tensor);
}

static void pair_node(const char *op, const char *from, const char *to, const char *zero,
                      const struct grid *g)
{
    size_t node = nx_of_node(&file, op, LIST(from, g->n == -2 ? "x" : "s", zero), LIST(to));
    if (g->attribute)
        attribute(g->attribute, g->value);
    nx_of_close(&file, node);
}

static void write_pair(const struct grid *g)
{
    size_t graph = nx_of_model(&file, 8);
    const char *zero = g->zero_type ? "z" : NULL;
    pair_node("QuantizeLinear", "x", "q", zero, g);
    pair_node("DequantizeLinear", "q", "y", g->other_type ? "o" : zero, g);
    scales(g);
    if (g->zero_type)
        integers("z", g->zero_type, g->zeros, g->zero);
    if (g->other_type)
        integers("o", g->other_type, g->zeros, g->zero);
    nx_of_info(&file, 11, "x", 3, DIMS(0, 4, 3));
    nx_of_info(&file, 12, "y", 3, DIMS(0, 4, 3));
    nx_of_close(&file, graph);
    nx_of_opset(&file, 21);
}

static enum nx_status open_file(struct nx_model **model)
{
    static const struct nx_model_options options = {.backend = "cpu_ref",
                                                    .load = {.batch_max = 2, .threads = 1}};
    struct nx_model_files files = {.onnx = {file.bytes, nx_of_len(&file)}};
    err = (struct nx_err){0};
    return nx_model_open(&files, &options, model, &err);
}

static void assert_refused(enum nx_status wanted, const char *sentence)
{
    struct nx_model *model = NULL;
    enum nx_status status = open_file(&model);
    if (status != wanted || !strstr(err.text, sentence))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, sentence, err.text);
    assert_null(model);
}

static void a_pair_rounds(void **state)
{
    (void)state;
    const struct grid g = {.scale = 0.5f, .zero_type = U8, .zero = 2};
    struct nx_model *model = NULL;
    float in[24] = {-9, -1, 0.2f, 0.25f, 0.75f, 1.3f, 126, 126.6f, 500, NAN, INFINITY, -INFINITY};
    const float out[12] = {-1, -1, 0, 0, 1, 1.5f, 126, 126.5f, 126.5f, -1, 126.5f, -1};
    float got[24];
    write_pair(&g);
    if (open_file(&model) != NX_OK)
        fail_msg("%s", err.text);
    assert_int_equal(nx_model_run(model, 2, in, got, &err), NX_OK);
    for (int i = 0; i < 12; i++)
        assert_true(got[i] == out[i]);
    nx_model_close(model);
}

static void wrong_grids_are_named(void **state)
{
    (void)state;
    static const struct {
        struct grid grid;
        enum nx_status status;
        const char *sentence;
    } rows[] = {
        {{.scale = 0}, NX_INVALID, "its scale 0 is 0, a positive number was expected"},
        {{.scale = -1}, NX_INVALID, "its scale 0 is -1"},
        {{.scale = NAN}, NX_INVALID, "its scale 0 is nan"},
        {{.scale = INFINITY}, NX_INVALID, "its scale 0 is inf"},
        {{.scale = 0, .n = 4}, NX_INVALID, "its scale 3 is 0"},
        {{.scale = 1, .n = 3}, NX_INVALID, "has 3 scales, its input has 4 places along axis 1"},
        {{.scale = 1, .n = 2, .attribute = "axis", .value = 0},
         NX_UNSUPPORTED,
         "across the photos"},
        {{.scale = 1, .n = 4, .attribute = "axis", .value = 3}, NX_INVALID, "names axis 3"},
        {{.scale = 1, .n = 4, .attribute = "axis", .value = INT64_MIN},
         NX_INVALID,
         "names axis -9"},
        {{.scale = 1, .n = -1}, NX_INVALID, "neither one number nor a list"},
        {{.scale = 1, .n = -2}, NX_UNSUPPORTED, "a scale that is not known while loading"},
        {{.scale = 1, .scale_type = F16}, NX_UNSUPPORTED, "a scale that is not of type f32"},
        {{.scale = 1, .scale_type = I32}, NX_UNSUPPORTED, "a scale that is not of type f32"},
        {{.scale = 1, .attribute = "block_size", .value = 2}, NX_UNSUPPORTED, "each block"},
        {{.scale = 1, .zero_type = U8, .zeros = 4}, NX_INVALID, "has 4 zero points and 1 scales"},
        {{.scale = 1, .n = 4, .zero_type = U8}, NX_INVALID, "has 1 zero points and 4 scales"},
        {{.scale = 1, .zero_type = I64}, NX_UNSUPPORTED, "a zero point of type I64"},
        {{.scale = 1, .zero_type = 17}, NX_UNSUPPORTED, "has data type 17"},
        {{.scale = 1, .zero_type = 22}, NX_UNSUPPORTED, "has data type 22 (int4)"},
        {{.scale = 1, .zero_type = I32}, NX_UNSUPPORTED, "integers of 8 or 16 bits"},
        {{.scale = 1, .zero_type = I32, .zero = 1}, NX_INVALID, "have a zero point of 0"},
        {{.scale = 1, .zero_type = U8, .other_type = I8}, NX_INVALID, "of another type"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_pair(&rows[i].grid);
        assert_refused(rows[i].status, rows[i].sentence);
    }
}

/* x (N, 4, 3) and a weight through one node more, to y. */
static void write_node(const char *op, const char *const *inputs, int weight_type, int n,
                       int64_t value, const char *key, int64_t number)
{
    size_t graph = nx_of_model(&file, 8);
    nx_of_close(&file, nx_of_node(&file, "Relu", LIST("x"), LIST("r")));
    size_t node = nx_of_node(&file, op, inputs, LIST("d"));
    if (key)
        attribute(key, number);
    nx_of_close(&file, node);
    nx_of_close(&file, nx_of_node(&file, "Add", LIST("r", "d"), LIST("y")));
    const struct grid plain = {.scale = 0.5f};
    scales(&plain);
    integers("w", weight_type, n, value);
    nx_of_info(&file, 11, "x", 3, DIMS(0, 4, 3));
    nx_of_info(&file, 12, "y", 3, DIMS(0, 4, 3));
    nx_of_close(&file, graph);
    nx_of_opset(&file, 21);
}

static void wrong_inputs_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *op, *inputs[10];
        int type, n;
        int64_t value;
        const char *key;
        int64_t number;
        enum nx_status status;
        const char *sentence;
    } rows[] = {
        {"DequantizeLinear", {"w", "s"}, I64, 3, 1, 0, 0, NX_INVALID, "'w' is of type I64"},
        {"DequantizeLinear", {"x", "s"}, U8, 3, 1, 0, 0, NX_INVALID, "not of integers"},
        {"DequantizeLinear", {"w", "s", "w"}, U8, 3, 1, 0, 0, NX_INVALID, "has 3 zero points"},
        {"DequantizeLinear", {"w"}, U8, 3, 1, 0, 0, NX_INVALID, "1 inputs, 2 to 3 were"},
        {"DequantizeLinear", {"", "s"}, U8, 3, 1, 0, 0, NX_INVALID, "has no input 0"},
        {"QuantizeLinear", {"x", ""}, U8, 3, 1, 0, 0, NX_INVALID, "has no input 1"},
        {"QuantizeLinear", {"x", "s"}, U8, 3, 1, "output_dtype", I32, NX_UNSUPPORTED, "8 or 16"},
        {"QuantizeLinear", {"x", "s"}, U8, 3, 1, "output_dtype", -7, NX_UNSUPPORTED, "8 or 16"},
        {"GatherElements", {"x", "w"}, I64, 3, 0, 0, 0, NX_UNSUPPORTED, "across the photos"},
        {"GatherElements", {"x", "w"}, I64, 3, 0, "axis", 1, NX_UNSUPPORTED, "across the photos"},
        {"GatherElements", {"x", "w"}, I64, 3, 0, "axis", 3, NX_INVALID, "names axis 3"},
        {"GatherElements", {"x", "r"}, I64, 3, 0, "axis", 2, NX_INVALID, "are not integers"},
        {"CastLike", {"x", ""}, I64, 3, 0, 0, 0, NX_INVALID, "has no input 1"},
        {"ReverseSequence", {"x", "w"}, I64, 4, 0, "time_axis", 1, NX_INVALID, "its time_axis"},
        {"ReverseSequence", {"x", "w"}, I64, 4, 0, "time_axis", 0, NX_UNSUPPORTED, "across the"},
        {"ReverseSequence", {"x", "w"}, I64, 3, 0, "time_axis", 2, NX_INVALID, "one length for"},
        {"ReverseSequence", {"x", "s"}, I64, 3, 0, "time_axis", 2, NX_INVALID, "not a list"},
        {"EyeLike", {"x"}, I64, 3, 0, 0, 0, NX_INVALID, "a matrix is needed"},
        {"QLinearConv", {"x", "s"}, U8, 3, 1, 0, 0, NX_INVALID, "is not of integers"},
        {"QLinearConv", {"w", "s"}, U8, 3, 1, 0, 0, NX_INVALID, "has no input 3"},
        {"QLinearMatMul", {"w"}, U8, 3, 1, 0, 0, NX_INVALID, "has no input 1"},
        {"com.microsoft.QLinearConcat", {"s", "w"}, U8, 3, 1, 0, 0, NX_INVALID, "are not a scale"},
        {"com.microsoft.QLinearConcat",
         {"s", "w", "w", "s"},
         U8,
         3,
         1,
         0,
         0,
         NX_INVALID,
         "are not a scale"},
        {"com.microsoft.QLinearAveragePool",
         {"w", "s"},
         U8,
         3,
         1,
         "channels_last",
         1,
         NX_UNSUPPORTED,
         "not (N, C, H, W)"},
        {"com.microsoft.QGemm",
         {"w", "s", "", "w", "s", "", "s"},
         U8,
         3,
         1,
         0,
         0,
         NX_UNSUPPORTED,
         "a bias that is not integers"},
        {"DynamicQuantizeLinear", {"x"}, U8, 3, 1, 0, 0, NX_UNSUPPORTED, "of unknown op"},
        {"ConvInteger", {"w", "w"}, U8, 3, 1, 0, 0, NX_UNSUPPORTED, "of unknown op"},
        {"Det", {"x"}, U8, 3, 1, 0, 0, NX_UNSUPPORTED, "of unknown op 'Det'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_node(rows[i].op, rows[i].inputs, rows[i].type, rows[i].n, rows[i].value, rows[i].key,
                   rows[i].number);
        assert_refused(rows[i].status, rows[i].sentence);
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const struct grid g = {.scale = 0.5f, .n = 4, .zero_type = I16, .zeros = 4, .zero = 3};
    static const struct nx_model_options options = {.backend = "cpu_ref",
                                                    .load = {.batch_max = 1, .threads = 1}};
    write_pair(&g);
    for (size_t len = 0; len < nx_of_len(&file); len++) {
        struct nx_model *model = NULL;
        struct nx_model_files files = {.onnx = {file.bytes, len}};
        err = (struct nx_err){0};
        assert_int_not_equal(nx_model_open(&files, &options, &model, &err), NX_OK);
        assert_true(err.text[0]);
    }
}

static void every_failed_allocation_is_answered(void **state)
{
    (void)state;
    const struct grid g = {.scale = 0.5f, .zero_type = U8, .zero = 3};
    write_pair(&g);
    for (uint64_t n = 1;; n++) {
        struct nx_model *model = NULL;
        nx_alloc_fail_at(n);
        enum nx_status status = open_file(&model);
        nx_alloc_fail_at(0);
        nx_model_close(model);
        if (status == NX_OK)
            return;
        assert_int_equal(status, NX_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_rounds),
        cmocka_unit_test(wrong_grids_are_named),
        cmocka_unit_test(wrong_inputs_are_named),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_failed_allocation_is_answered),
    };
    return cmocka_run_group_tests_name("onnx_quant", tests, NULL, NULL);
}
