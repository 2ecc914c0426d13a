#include "categorizer/graph/shape.h"
#include "categorizer/model/input_size.h"
#include "categorizer/model/model.h"
#include "categorizer/model/onnx.h"
#include "nx_onnx_file.h"

#include <stdio.h>
#include <stdlib.h>

static struct nx_onnx_file file;
static struct nx_err err;

static const struct nx_model_options options = {.backend = "cpu_ref",
                                                .load = {.batch_max = 2, .threads = 1}};

/* What a case may do to the good model: a convolution, a Reshape with a typed shape, a Gemm. */
struct change {
    int64_t ir, opset;                                        /* 0: 8, 13 */
    void (*more)(struct nx_onnx_file *f);                     /* more of the graph */
    const char *head;                                         /* "y" */
    const char *op;                                           /* in place of Relu */
    void (*attributes)(struct nx_onnx_file *f);               /* of that node */
    void (*weight)(struct nx_onnx_file *f, const char *name); /* in place of the convolution's */
    int64_t batch;                                            /* 0: a name */
};

static void write_shape(struct nx_onnx_file *f)
{
    size_t tensor = nx_of_open(f, 5);
    nx_of_int(f, 1, 2);
    nx_of_int(f, 2, 7);
    nx_of_text(f, 8, "shape");
    nx_of_int(f, 7, 0);
    nx_of_int(f, 7, -1);
    nx_of_close(f, tensor);
}

static void write_model(const struct change *c)
{
    size_t graph = nx_of_model(&file, c->ir ? c->ir : 8), node;
    nx_of_close(&file, nx_of_node(&file, "Conv", LIST("x", "w", "b"), LIST("c")));
    node = nx_of_node(&file, c->op ? c->op : "Relu", LIST("c"), LIST("r"));
    if (c->attributes)
        c->attributes(&file);
    nx_of_close(&file, node);
    nx_of_close(&file, nx_of_node(&file, "Reshape", LIST("r", "shape"), LIST("flat")));
    nx_of_close(&file, nx_of_node(&file, "Gemm", LIST("flat", "fw", "fb"), LIST("y")));
    if (c->weight)
        c->weight(&file, "w");
    else
        nx_of_weight(&file, "w", 4, DIMS(3, 2, 3, 3), 54, -0.3f);
    nx_of_weight(&file, "b", 1, DIMS(3), 3, 0.5f);
    nx_of_weight(&file, "fw", 2, DIMS(12, 4), 48, -0.1f);
    nx_of_weight(&file, "fb", 1, DIMS(4), 4, 0);
    write_shape(&file);
    if (c->more)
        c->more(&file);
    nx_of_info(&file, 11, "x", 4, DIMS(c->batch, 2, 4, 4));
    nx_of_info(&file, 12, c->head ? c->head : "y", 2, DIMS(0, 4));
    nx_of_close(&file, graph);
    nx_of_opset(&file, c->opset ? c->opset : 13);
}

static enum nx_status open_bytes(const void *bytes, size_t len, struct nx_model **model)
{
    struct nx_model_files files = {.onnx = {bytes, len}};
    err = (struct nx_err){0};
    return nx_model_open(&files, &options, model, &err);
}

static struct nx_model *open_changed(const struct change *c)
{
    struct nx_model *model = NULL;
    write_model(c);
    if (open_bytes(file.bytes, nx_of_len(&file), &model) != NX_OK)
        fail_msg("%s", err.text);
    return model;
}

static void assert_file_refused(enum nx_status wanted, const char *sentence)
{
    struct nx_model *model = NULL;
    enum nx_status status = open_bytes(file.bytes, nx_of_len(&file), &model);
    if (status != wanted || !strstr(err.text, sentence))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, sentence, err.text);
    assert_null(model);
}

static void assert_refused(struct change c, enum nx_status wanted, const char *sentence)
{
    write_model(&c);
    assert_file_refused(wanted, sentence);
}

static void facts_and_answers_are_the_models_own(void **state)
{
    (void)state;
    struct nx_model *model = open_changed(&(struct change){0});
    const struct nx_model_facts *f = nx_model_facts(model);
    assert_int_equal(f->channels, 2);
    assert_int_equal(f->height_px, 4);
    assert_int_equal(f->width_px, 4);
    assert_int_equal(f->outputs, 4);
    assert_int_equal(f->params,
                     54 + 3 + 48 + 4); /* the Gemm's once, though it was put in another order */
    assert_int_equal(f->macs, 4 * 54 + 48);
    assert_false(f->size_is_free);
    float in[2 * 32], together[8], alone[4];
    for (int i = 0; i < 64; i++)
        in[i] = (float)(i * 37 % 101) / 50;
    assert_int_equal(nx_model_run(model, 2, in, together, &err), NX_OK);
    for (int n = 0; n < 2; n++) {
        assert_int_equal(nx_model_run(model, 1, in + 32 * n, alone, &err), NX_OK);
        assert_memory_equal(alone, together + 4 * n, sizeof alone);
    }
    nx_model_close(model);
}

static void a_fixed_batch_is_a_batch(void **state)
{
    (void)state;
    for (int64_t batch = -1; batch <= 3; batch++) {
        struct nx_model *model = open_changed(&(struct change){.batch = batch});
        float in[2 * 32] = {0}, out[8];
        assert_int_equal(nx_model_run(model, 2, in, out, &err), NX_OK);
        nx_model_close(model);
    }
}

static void files_do_not_mix(void **state)
{
    (void)state;
    struct nx_model *model = NULL;
    write_model(&(struct change){0});
    struct nx_model_files files = {.onnx = {file.bytes, nx_of_len(&file)}, .symbol = {"{}", 2}};
    assert_int_equal(nx_model_open(&files, &options, &model, &err), NX_INVALID);
    files = (struct nx_model_files){.onnx = {file.bytes, 0}};
    assert_int_equal(nx_model_open(&files, &options, &model, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "the ONNX file is empty"));
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    write_model(&(struct change){0});
    size_t len = nx_of_len(&file);
    for (size_t cut = 1; cut < len; cut++) {
        struct nx_model *model = NULL;
        uint8_t *exact = malloc(cut); /* so that the address sanitizer sees a read past it */
        memcpy(exact, file.bytes, cut);
        assert_int_not_equal(open_bytes(exact, cut, &model), NX_OK);
        assert_true(err.text[0]);
        assert_null(model);
        free(exact);
    }
}

static void flipped_bytes_are_answered(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x02, 0x04, 0x08, 0x40, 0x80, 0xff};
    write_model(&(struct change){0});
    size_t len = nx_of_len(&file);
    uint8_t *bytes = malloc(len);
    for (size_t at = 0; at < len; at++)
        for (size_t k = 0; k < sizeof flips; k++) {
            struct nx_model *model = NULL;
            memcpy(bytes, file.bytes, len);
            bytes[at] ^= flips[k];
            if (open_bytes(bytes, len, &model) != NX_OK)
                assert_true(err.text[0]);
            nx_model_close(model);
        }
    free(bytes);
}

static void versions_have_bounds(void **state)
{
    (void)state;
    assert_refused((struct change){.ir = 2}, NX_UNSUPPORTED, "IR version 2, 3 or later is needed");
    assert_refused((struct change){.opset = 6}, NX_UNSUPPORTED, "opset 6, 7 to 21 are supported");
    assert_refused((struct change){.opset = 22}, NX_UNSUPPORTED, "opset 22");
    nx_model_close(open_changed(&(struct change){.opset = 7}));
    nx_model_close(open_changed(&(struct change){.opset = 21, .ir = 3}));
    nx_of_begin(&file);
    nx_of_int(&file, 1, 8);
    nx_of_opset(&file, 13);
    assert_file_refused(NX_CORRUPT, "has no graph");
    nx_of_begin(&file);
    nx_write_bytes(&file.w, "this is not onnx", 16);
    assert_file_refused(NX_CORRUPT, "onnx: not a whole ONNX file");
}

static void hostile_lengths_are_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1000, UINT64_C(1) << 31, UINT64_C(1) << 32, INT64_MAX,
                                       UINT64_MAX};
    for (uint32_t number = 1; number < 16; number++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            size_t graph = nx_of_model(&file, 8);
            nx_of_key(&file, number, 2);
            nx_of_varint(&file, lengths[i]);
            nx_of_close(&file, graph);
            nx_of_opset(&file, 13);
            assert_file_refused(NX_CORRUPT, "malformed or cut off");
        }
}

static void deep_subgraph(struct nx_onnx_file *f)
{
    size_t opened[3000];
    size_t attribute = nx_of_open(f, 5);
    nx_of_text(f, 1, "then_branch");
    for (int i = 0; i < 3000; i++)
        opened[i] = nx_of_open(f, i % 3 == 0 ? 6 : i % 3 == 1 ? 1 : 5); /* graph, node, attribute */
    for (int i = 3000; i-- > 0;)
        nx_of_close(f, opened[i]);
    nx_of_close(f, attribute);
}

static void subgraphs_are_refused_however_deep(void **state)
{
    (void)state;
    assert_refused((struct change){.op = "If", .attributes = deep_subgraph}, NX_UNSUPPORTED,
                   "If 'r': a subgraph is not supported");
}

static void too_many_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t field, n;
        const char *sentence;
    } many[] = {{1, 20001, "more than 20000 nodes"},
                {5, 60001, "more than 60000 tensors"},
                {11, 60001, "more than 60000 tensors"}};
    for (size_t k = 0; k < sizeof many / sizeof *many; k++) {
        size_t graph = nx_of_model(&file, 8);
        for (uint32_t i = 0; i < many[k].n; i++)
            nx_of_bytes(&file, many[k].field, "", 0);
        nx_of_close(&file, graph);
        nx_of_opset(&file, 13);
        assert_file_refused(NX_TOO_LARGE, many[k].sentence);
    }
    size_t graph = nx_of_model(&file, 8), node = nx_of_open(&file, 1);
    for (int i = 0; i < 1025; i++)
        nx_of_text(&file, 1, "x");
    nx_of_close(&file, node);
    nx_of_close(&file, graph);
    nx_of_opset(&file, 13);
    assert_file_refused(NX_TOO_LARGE, "1025 inputs");
}

/* --- weights --- */

static void weight_with(struct nx_onnx_file *f, const char *name, uint32_t rank,
                        const int64_t *dims, int64_t type, size_t raw)
{
    static const uint8_t zeros[4096];
    size_t tensor = nx_of_open(f, 5);
    nx_of_dims(f, rank, dims);
    nx_of_int(f, 2, type);
    nx_of_text(f, 8, name);
    if (raw)
        nx_of_bytes(f, 9, zeros, raw);
    nx_of_close(f, tensor);
}

static void huge(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(INT64_C(1) << 31, INT64_C(1) << 31, INT64_C(1) << 31, 4), 1, 216);
}

static void negative(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(-3, 2, 3, 3), 1, 216);
}

static void seven_dimensions(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 7, DIMS(1, 1, 1, 1, 1, 1, 1), 1, 4);
}

static void too_short(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(3, 2, 3, 3), 1, 212);
}

static void no_values(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(3, 2, 3, 3), 1, 0);
}

static void texts(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(3, 2, 3, 3), 8, 216);
}

static void empty(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(3, 2, 0, 3), 1, 0);
}

static void other_shape(struct nx_onnx_file *f, const char *name)
{
    weight_with(f, name, 4, DIMS(3, 1, 3, 3), 1, 108);
}

static void elsewhere(struct nx_onnx_file *f, const char *name)
{
    size_t tensor = nx_of_open(f, 5);
    nx_of_dims(f, 4, DIMS(3, 2, 3, 3));
    nx_of_int(f, 2, 1);
    nx_of_text(f, 8, name);
    nx_of_bytes(f, 13, "", 0);
    nx_of_int(f, 14, 1);
    nx_of_close(f, tensor);
}

static void twice(struct nx_onnx_file *f, const char *name)
{
    nx_of_weight(f, name, 4, DIMS(3, 2, 3, 3), 54, 0);
    nx_of_weight(f, name, 4, DIMS(3, 2, 3, 3), 54, 0);
}

static void wrong_weights_are_named(void **state)
{
    (void)state;
    assert_refused((struct change){.weight = huge}, NX_TOO_LARGE, "'w' would be over");
    assert_refused((struct change){.weight = negative}, NX_CORRUPT, "'w' has a dimension");
    assert_refused((struct change){.weight = seven_dimensions}, NX_UNSUPPORTED, "6 dimensions");
    assert_refused((struct change){.weight = too_short}, NX_CORRUPT, "'w' has 212 bytes");
    assert_refused((struct change){.weight = no_values}, NX_CORRUPT, "'w' has ");
    assert_refused((struct change){.weight = texts}, NX_UNSUPPORTED, "'w' has data type 8");
    assert_refused((struct change){.weight = empty}, NX_INVALID, "'w' is empty");
    assert_refused((struct change){.weight = other_shape}, NX_INVALID,
                   "needs a weight of (3, 2, 3, 3)");
    assert_refused((struct change){.weight = elsewhere}, NX_UNSUPPORTED, "external data");
    assert_refused((struct change){.weight = twice}, NX_CORRUPT, "'w' is there twice");
}

/* --- structure --- */

static void reads_itself(struct nx_onnx_file *f)
{
    nx_of_close(f, nx_of_node(f, "Add", LIST("loop", "y"), LIST("loop")));
}

static void reads_nothing(struct nx_onnx_file *f)
{
    nx_of_close(f, nx_of_node(f, "Relu", LIST("nowhere"), LIST("z")));
}

static void foreign_domain(struct nx_onnx_file *f)
{
    size_t node = nx_of_node(f, "Relu", LIST("y"), LIST("z"));
    nx_of_text(f, 7, "com.example");
    nx_of_close(f, node);
}

static void mean_of_batch(struct nx_onnx_file *f)
{
    size_t node = nx_of_node(f, "ReduceMean", LIST("y"), LIST("m"));
    nx_of_attr_ints(f, "axes", 1, DIMS(0));
    nx_of_close(f, node);
    nx_of_close(f, nx_of_node(f, "Sub", LIST("y", "m"), LIST("z")));
}

static void writes_y_again(struct nx_onnx_file *f)
{
    nx_of_close(f, nx_of_node(f, "Relu", LIST("c"), LIST("y")));
}

static void unfolds(struct nx_onnx_file *f)
{
    size_t tensor = nx_of_open(f, 5);
    nx_of_int(f, 1, 2);
    nx_of_int(f, 2, 7);
    nx_of_text(f, 8, "large");
    nx_of_int(f, 7, 65536);
    nx_of_int(f, 7, 65536);
    nx_of_close(f, tensor);
    nx_of_close(f, nx_of_node(f, "ConstantOfShape", LIST("large"), LIST("k")));
    nx_of_close(f, nx_of_node(f, "Add", LIST("y", "k"), LIST("z")));
}

static void nothing_of_the_photo(struct nx_onnx_file *f)
{
    nx_of_close(f, nx_of_node(f, "Relu", LIST("fw"), LIST("z")));
}

static void wrong_structure_is_named(void **state)
{
    (void)state;
    assert_refused((struct change){.more = reads_itself, .head = "loop"}, NX_CORRUPT, "'loop'");
    assert_refused((struct change){.more = reads_nothing}, NX_CORRUPT, "'nowhere'");
    assert_refused((struct change){.head = "nowhere"}, NX_CORRUPT, "'nowhere'");
    assert_refused((struct change){.head = "w"}, NX_INVALID, "read no input");
    assert_refused((struct change){.more = foreign_domain, .head = "z"}, NX_UNSUPPORTED,
                   "unknown op 'com.example.Relu'");
    assert_refused((struct change){.op = "Frobnicate"}, NX_UNSUPPORTED, "unknown op 'Frobnicate'");
    assert_refused((struct change){.op = "Gemm"}, NX_INVALID, "Gemm 'r' has 1 inputs");
    assert_refused((struct change){.more = mean_of_batch, .head = "z"}, NX_UNSUPPORTED,
                   "across the photos");
    assert_refused((struct change){.more = writes_y_again}, NX_CORRUPT, "'y' is there twice");
    assert_refused((struct change){.more = unfolds, .head = "z"}, NX_TOO_LARGE, "ConstantOfShape");
    assert_refused((struct change){.more = nothing_of_the_photo, .head = "z"}, NX_INVALID,
                   "read no input");
}

/* --- integers, which are f32 inside --- */

static void to_type(struct nx_onnx_file *f, int64_t type)
{
    size_t attribute = nx_of_open(f, 5);
    nx_of_text(f, 1, "to");
    nx_of_int(f, 3, type);
    nx_of_int(f, 20, 2);
    nx_of_close(f, attribute);
}

static void integer_weight(struct nx_onnx_file *f, const char *name, int64_t value)
{
    size_t tensor = nx_of_open(f, 5);
    nx_of_int(f, 1, 1);
    nx_of_int(f, 2, 7);
    nx_of_text(f, 8, name);
    nx_of_int(f, 7, value);
    nx_of_close(f, tensor);
}

static void integers(struct nx_onnx_file *f)
{
    size_t cast = nx_of_node(f, "Cast", LIST("x"), LIST("i"));
    to_type(f, 7);
    nx_of_close(f, cast);
    integer_weight(f, "divisor", 49);
}

/* i / 49 * 49 over the whole of x */
static void write_integer_division(struct nx_onnx_file *f)
{
    size_t graph = nx_of_model(f, 8);
    integers(f);
    nx_of_close(f, nx_of_node(f, "Identity", LIST("i"), LIST("j")));
    nx_of_close(f, nx_of_node(f, "Div", LIST("j", "divisor"), LIST("q")));
    nx_of_close(f, nx_of_node(f, "Mul", LIST("q", "divisor"), LIST("p")));
    size_t cast = nx_of_node(f, "Cast", LIST("p"), LIST("z"));
    to_type(f, 1);
    nx_of_close(f, cast);
    nx_of_info(f, 11, "x", 4, DIMS(0, 2, 4, 4));
    nx_of_info(f, 12, "z", 4, DIMS(0, 2, 4, 4));
    nx_of_close(f, graph);
    nx_of_opset(f, 13);
}

static void integers_divide_to_integers(void **state)
{
    (void)state;
    const char *const backends[] = {"cpu_ref", "auto"};
    for (int b = 0; b < 2; b++) {
        struct nx_model_options own = options;
        struct nx_model *model;
        float in[32], out[32];
        own.backend = backends[b];
        write_integer_division(&file);
        struct nx_model_files files = {.onnx = {file.bytes, nx_of_len(&file)}};
        if (nx_model_open(&files, &own, &model, &err) != NX_OK)
            fail_msg("%s", err.text);
        for (int i = 0; i < 32; i++)
            in[i] = (float)(i * 49 - 490 + (i % 3 - 1));
        assert_int_equal(nx_model_run(model, 1, in, out, &err), NX_OK);
        for (int i = 0; i < 32; i++)
            assert_int_equal((int)out[i], (int)in[i] / 49 * 49);
        nx_model_close(model);
    }
}

static void integer_mean(struct nx_onnx_file *f)
{
    integers(f);
    size_t node = nx_of_node(f, "ReduceMean", LIST("i"), LIST("z"));
    nx_of_attr_ints(f, "axes", 1, DIMS(1));
    nx_of_close(f, node);
}

static void integer_root(struct nx_onnx_file *f)
{
    integers(f);
    nx_of_weight(f, "half", 1, DIMS(1), 1, 0.5f);
    nx_of_close(f, nx_of_node(f, "Pow", LIST("i", "half"), LIST("z")));
}

static void integer_pool(struct nx_onnx_file *f)
{
    integers(f);
    nx_of_close(f, nx_of_node(f, "GlobalAveragePool", LIST("i"), LIST("z")));
}

static void integer_resize(struct nx_onnx_file *f)
{
    integers(f);
    size_t node = nx_of_node(f, "Upsample", LIST("i"), LIST("z"));
    size_t attribute = nx_of_open(f, 5);
    nx_of_text(f, 1, "mode");
    nx_of_text(f, 4, "linear");
    nx_of_int(f, 20, 3);
    nx_of_close(f, attribute);
    nx_of_close(f, node);
}

static void index_too_large(struct nx_onnx_file *f)
{
    integer_weight(f, "seven", 7);
    nx_of_close(f, nx_of_node(f, "Flatten", LIST("y"), LIST("rows")));
    size_t node = nx_of_node(f, "Gather", LIST("rows", "seven"), LIST("z"));
    size_t attribute = nx_of_open(f, 5);
    nx_of_text(f, 1, "axis");
    nx_of_int(f, 3, 1);
    nx_of_int(f, 20, 2);
    nx_of_close(f, attribute);
    nx_of_close(f, node);
}

static void a_dimension_that_is_not_said_is_named(void **state)
{
    (void)state;
    size_t graph = nx_of_model(&file, 8);
    nx_of_close(&file, nx_of_node(&file, "Relu", LIST("x"), LIST("y")));
    nx_of_info(&file, 11, "x", 3, DIMS(0, -3, 4));
    nx_of_info(&file, 12, "y", 3, DIMS(0, 0, 4));
    nx_of_close(&file, graph);
    nx_of_opset(&file, 13);
    assert_file_refused(NX_UNSUPPORTED, "'x' has a dimension that is open, 0 or negative");
}

static void what_integers_cannot_be_is_named(void **state)
{
    (void)state;
    assert_refused((struct change){.more = integer_mean, .head = "z"}, NX_UNSUPPORTED,
                   "an input of integers");
    assert_refused((struct change){.more = integer_pool, .head = "z"}, NX_UNSUPPORTED,
                   "an input of integers");
    assert_refused((struct change){.more = integer_resize, .head = "z"}, NX_UNSUPPORTED,
                   "an input of integers, which runtimes cut");
    assert_refused((struct change){.more = integer_root, .head = "z"}, NX_UNSUPPORTED,
                   "an integer to a power");
    assert_refused((struct change){.more = index_too_large, .head = "z"}, NX_INVALID,
                   "takes index 7 of 4");
}

static void wide_window(struct nx_onnx_file *f)
{
    nx_of_attr_ints(f, "kernel_shape", 2, DIMS(INT64_C(1) << 40, 3));
}

static void long_window(struct nx_onnx_file *f)
{
    nx_of_attr_ints(f, "kernel_shape", 3, DIMS(3, 3, 3));
}

static void dilated_window(struct nx_onnx_file *f)
{
    nx_of_attr_ints(f, "kernel_shape", 2, DIMS(1, 1));
    nx_of_attr_ints(f, "dilations", 2, DIMS(2, 2));
}

static void no_window(struct nx_onnx_file *f)
{
    nx_of_attr_ints(f, "strides", 2, DIMS(1, 1));
}

static void float_window(struct nx_onnx_file *f)
{
    size_t attribute = nx_of_open(f, 5);
    nx_of_text(f, 1, "kernel_shape");
    nx_of_float(f, 8, 3);
    nx_of_close(f, attribute);
}

static void wrong_attributes_are_named(void **state)
{
    (void)state;
    const char *op = "MaxPool";
    assert_refused((struct change){.op = op, .attributes = wide_window}, NX_INVALID,
                   "kernel_shape");
    assert_refused((struct change){.op = op, .attributes = long_window}, NX_INVALID,
                   "kernel_shape");
    assert_refused((struct change){.op = op, .attributes = float_window}, NX_INVALID,
                   "kernel_shape");
    assert_refused((struct change){.op = op, .attributes = no_window}, NX_INVALID,
                   "no kernel_shape");
    assert_refused((struct change){.op = op, .attributes = dilated_window}, NX_UNSUPPORTED,
                   "dilation");
}

static void every_failed_allocation_is_answered(void **state)
{
    (void)state;
    write_model(&(struct change){0});
    for (uint64_t n = 1;; n++) {
        struct nx_model *model = NULL;
        nx_alloc_fail_at(n);
        enum nx_status status = open_bytes(file.bytes, nx_of_len(&file), &model);
        nx_alloc_fail_at(0);
        nx_model_close(model);
        if (status == NX_OK) {
            assert_true(n > 3);
            return;
        }
        assert_int_equal(status, NX_NO_MEMORY);
        assert_true(err.text[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_and_answers_are_the_models_own),
        cmocka_unit_test(a_fixed_batch_is_a_batch),
        cmocka_unit_test(files_do_not_mix),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(flipped_bytes_are_answered),
        cmocka_unit_test(versions_have_bounds),
        cmocka_unit_test(hostile_lengths_are_refused),
        cmocka_unit_test(subgraphs_are_refused_however_deep),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(wrong_weights_are_named),
        cmocka_unit_test(wrong_structure_is_named),
        cmocka_unit_test(wrong_attributes_are_named),
        cmocka_unit_test(a_dimension_that_is_not_said_is_named),
        cmocka_unit_test(integers_divide_to_integers),
        cmocka_unit_test(what_integers_cannot_be_is_named),
        cmocka_unit_test(every_failed_allocation_is_answered),
    };
    return cmocka_run_group_tests_name("onnx", tests, NULL, NULL);
}
