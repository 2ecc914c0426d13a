/* Files that others made: every symbol infers, and trained models give the labelled answers. */
#include "categorizer/graph/shape.h"
#include "categorizer/model/input_size.h"
#include "categorizer/model/model.h"
#include "categorizer/model/symbol.h"
#include "nx_shared.h"

#include <math.h>
#include <spng.h>
#include <string.h>

/* Parameters and multiply-adds as published: torchvision's and timm's model tables for the same
 * architectures (rounded there to 0.01, and without the running statistics), within 2 %. */
static const struct {
    const char *file;
    double params_millions, gmacs; /* 0: no published figure that fits the variant */
    uint32_t side_px, outputs;
} symbols[] = {
    {"KeyKy__mobilenet_v2-symbol.json", 3.50, 0, 224, 1000},
    {"h2oai__Inception_BN-symbol.json", 11.30, 0, 224, 1000},
    {"liangfu__imagenet1k-mnetv2-1_0-symbol.json", 3.50, 0.30, 224, 1000},
    {"miraclewkf__VGG_FC_ILSVRC_16_layers-symbol.json", 138.36, 15.47, 224, 1000},
    {"miraclewkf__resnet-18-symbol.json", 11.69, 1.82, 224, 1000},
    {"pavelgonchar__squeezenet-symbol.json", 1.25, 0, 224, 196000}, /* 1000 x 14 x 14 */
    {"soeaver__inception_v3-symbol.json", 23.83, 5.71, 299, 1000},
    {"soeaver__resnet101_v2-symbol.json", 44.55, 7.80, 224, 1000},
    {"soeaver__resnext50_32x4d-symbol.json", 25.03, 4.23, 224, 1000},
    {"soeaver__se-resnet50-symbol.json", 28.09, 3.87, 224, 1000},
};

static double count_weights(const struct nx_graph *graph)
{
    double weights = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        for (uint32_t k = 1; k < graph->nodes[i].n_inputs; k++) {
            const struct nx_tensor *t = &graph->tensors[graph->nodes[i].inputs[k]];
            bool statistic = graph->nodes[i].op == NX_OP_BATCH_NORM && k > 2;
            if (t->kind == NX_TENSOR_CONSTANT && !statistic)
                weights += (double)(nx_tensor_bytes(t) / 4);
        }
    return weights;
}

static void infer_symbol(size_t row)
{
    char below[256];
    snprintf(below, sizeof below, "symbols/%s", symbols[row].file);
    struct nx_test_file file = nx_test_read(nx_shared_folder(), below);
    struct nx_err err = {0};
    struct nx_arena arena;
    struct nx_graph graph;
    struct nx_size_hint hint = {symbols[row].side_px, symbols[row].side_px};
    bool size_is_free;
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    enum nx_status status = nx_symbol_build((const char *)file.bytes, file.len, NULL, &graph, &err);
    if (status == NX_OK)
        status = nx_input_size_choose(&graph, &hint, &size_is_free, &err);
    if (status == NX_OK)
        status = nx_shape_infer(&graph, 1, &err);
    if (status != NX_OK)
        fail_msg("%s: %s", symbols[row].file, err.text);
    assert_true(nx_graph_is_sound(&graph));
    double millions = count_weights(&graph) / 1e6, gmacs = (double)nx_graph_macs(&graph) / 1e9;
    print_message("%-50s %8.2f M %6.2f GMAC, %u nodes\n", symbols[row].file, millions, gmacs,
                  graph.n_nodes);
    assert_true(fabs(millions / symbols[row].params_millions - 1) < 0.02);
    if (symbols[row].gmacs > 0)
        assert_true(fabs(gmacs - symbols[row].gmacs) < 0.015 + 0.02 * gmacs);
    assert_int_equal(nx_tensor_bytes(&graph.tensors[graph.outputs[0]]) / 4, symbols[row].outputs);
    nx_arena_free(&arena);
    free(file.bytes);
}

static void every_real_symbol_infers_without_weights(void **state)
{
    (void)state;
    nx_shared_require("symbols");
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        infer_symbol(i);
}

struct opened {
    struct nx_test_file symbol, params, synset;
    struct nx_model *model;
    const struct nx_model_facts *facts;
};

static struct opened open_files(const char *folder, const char *symbol, const char *params)
{
    char path[256];
    struct nx_err err = {0};
    struct opened o;
    snprintf(path, sizeof path, "%s/%s", folder, symbol);
    o.symbol = nx_test_read(nx_shared_folder(), path);
    snprintf(path, sizeof path, "%s/%s", folder, params);
    o.params = nx_test_read(nx_shared_folder(), path);
    snprintf(path, sizeof path, "%s/synset.txt", folder);
    o.synset = nx_test_read(nx_shared_folder(), path);
    struct nx_model_files files = {.symbol = {o.symbol.bytes, o.symbol.len},
                                   .params = {o.params.bytes, o.params.len},
                                   .synset = {o.synset.bytes, o.synset.len}};
    struct nx_model_options options = {.backend = "auto",
                                       .load = {.batch_max = 4, .threads = 2},
                                       .hint_height_px = 224,
                                       .hint_width_px = 224};
    if (nx_model_open(&files, &options, &o.model, &err) != NX_OK)
        fail_msg("%s: %s", folder, err.text);
    free(o.symbol.bytes); /* the model keeps nothing of them */
    free(o.params.bytes);
    free(o.synset.bytes);
    o.facts = nx_model_facts(o.model);
    return o;
}

/* An 8-bit grey PNG as value / 255. */
static void read_grey(const char *file, float *pixels, size_t n)
{
    char path[256];
    uint8_t bytes[4096];
    snprintf(path, sizeof path, "lenet-mxnet/photos/%s", file);
    struct nx_test_file png = nx_test_read(nx_shared_folder(), path);
    spng_ctx *ctx = spng_ctx_new(0);
    assert_non_null(ctx);
    assert_int_equal(spng_set_png_buffer(ctx, png.bytes, png.len), 0);
    assert_true(n <= sizeof bytes);
    assert_int_equal(spng_decode_image(ctx, bytes, n, SPNG_FMT_G8, 0), 0);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (float)bytes[i] / 255;
    spng_ctx_free(ctx);
    free(png.bytes);
}

/* The model itself is wrong about two of the 40 digits: MXNet 1.9.1 answers these on the same pixels. */
static int answer_of_mxnet(const char *file, int label)
{
    if (strcmp(file, "3_1062.png") == 0)
        return 7;
    return strcmp(file, "6_1014.png") == 0 ? 5 : label;
}

static void lenet_answers_as_mxnet_does(void **state)
{
    (void)state;
    nx_shared_require("lenet-mxnet");
    struct opened o = open_files("lenet-mxnet", "LeNet-symbol.json", "LeNet-0010.params");
    assert_int_equal(o.facts->channels, 1);
    assert_int_equal(o.facts->height_px, 28);
    assert_int_equal(o.facts->width_px, 28);
    assert_int_equal(o.facts->outputs, 10);
    assert_false(o.facts->size_is_free);
    struct nx_test_file labels = nx_test_read(nx_shared_folder(), "lenet-mxnet/labels.tsv");
    int photos = 0, right = 0;
    char name[64];
    for (const char *at = (char *)labels.bytes, *end = at + labels.len; at < end; photos++) {
        float pixels[28 * 28], out[10];
        int label, used;
        struct nx_top top;
        assert_int_equal(sscanf(at, "%63s %d%n", name, &label, &used), 2);
        at += used;
        while (at < end && *at != '\n')
            at++;
        at++;
        read_grey(name, pixels, 28 * 28);
        assert_int_equal(nx_model_run(o.model, 1, pixels, out, NULL), NX_OK);
        assert_int_equal(nx_topk(out, 10, 1, &top), 1);
        const char *answer = nx_model_class(o.model, top.index);
        assert_int_equal(atoi(answer), answer_of_mxnet(name, label));
        right += atoi(answer) == label;
    }
    print_message("lenet on %s: %d of %d digits\n", o.facts->backend, right, photos);
    assert_int_equal(photos, 40);
    assert_int_equal(right, 38);
    free(labels.bytes);
    nx_model_close(o.model);
}

static void squeezenet_loads_and_gives_probabilities(void **state)
{
    (void)state;
    nx_shared_require("squeezenet1.1-mxnet");
    struct opened o = open_files("squeezenet1.1-mxnet", "squeezenet_v1.1-symbol.json",
                                 "squeezenet_v1.1-0000.params");
    assert_int_equal(o.facts->channels, 3);
    assert_int_equal(o.facts->height_px, 224);
    assert_int_equal(o.facts->outputs, 1000);
    assert_true(o.facts->size_is_free);
    assert_true(o.facts->memory_bytes > 4 * o.facts->params);
    assert_true(o.facts->memory_bytes <= o.facts->planned_bytes);
    assert_true(o.facts->planned_bytes < o.facts->memory_bytes / 4 * 5);
    assert_string_equal(nx_model_class(o.model, 0), "tench, Tinca tinca");
    size_t n = 3 * 224 * 224;
    float *pixels = calloc(n, sizeof *pixels), out[1000], sum = 0;
    for (size_t i = 0; i < n; i++)
        pixels[i] = (float)(i % 251) - 125;
    assert_int_equal(nx_model_run(o.model, 1, pixels, out, NULL), NX_OK);
    for (int i = 0; i < 1000; i++) {
        assert_true(out[i] >= 0 && out[i] <= 1);
        sum += out[i];
    }
    assert_true(fabsf(sum - 1) < 1e-4f);
    free(pixels);
    nx_model_close(o.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_real_symbol_infers_without_weights),
        cmocka_unit_test(lenet_answers_as_mxnet_does),
        cmocka_unit_test(squeezenet_loads_and_gives_probabilities),
    };
    return cmocka_run_group_tests_name("real models", tests, NULL, NULL);
}
