#include "categorizer/model/model.h"
#include "common/arena.h"
#include "nx_params_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A net of two inputs planes, one 2 x 2 convolution to 3 planes, and an FC to 4 classes over 3 x 5 x 5. */
static const char symbol_text[] =
    "{\"nodes\":["
    "{\"op\":\"null\",\"name\":\"data\",\"inputs\":[]},"
    "{\"op\":\"null\",\"name\":\"cw\",\"inputs\":[]},"
    "{\"op\":\"null\",\"name\":\"cb\",\"inputs\":[]},"
    "{\"op\":\"Convolution\",\"name\":\"conv\",\"inputs\":[[0,0,0],[1,0,0],[2,0,0]],"
    "\"attrs\":{\"kernel\":\"(2, 2)\",\"num_filter\":\"3\"}},"
    "{\"op\":\"Activation\",\"name\":\"relu\",\"inputs\":[[3,0,0]],"
    "\"attrs\":{\"act_type\":\"relu\"}},"
    "{\"op\":\"null\",\"name\":\"fw\",\"inputs\":[]},"
    "{\"op\":\"null\",\"name\":\"fb\",\"inputs\":[]},"
    "{\"op\":\"FullyConnected\",\"name\":\"fc\",\"inputs\":[[4,0,0],[5,0,0],[6,0,0]],"
    "\"attrs\":{\"num_hidden\":\"4\"}},"
    "{\"op\":\"null\",\"name\":\"softmax_label\",\"inputs\":[]},"
    "{\"op\":\"SoftmaxOutput\",\"name\":\"softmax\",\"inputs\":[[7,0,0],[8,0,0]]}"
    "],\"heads\":[[9,0,0]]}";
static const char synset_text[] = "rose\ntulip\ndaisy\ntench, Tinca tinca\n";

static struct nx_params_file params;
static struct nx_err err;

enum { C = 2, SIDE = 6, IN = C * SIDE * SIDE, OUT = 4 };

/* `filters` other than 3 make the file another model's. */
static void write_params(int64_t filters)
{
    nx_pf_begin(&params, 4);
    nx_pf_array(&params, 4, (const int64_t[]){filters, C, 2, 2}, -3);
    nx_pf_array(&params, 1, &filters, 0.5f);
    nx_pf_array(&params, 2, (const int64_t[]){OUT, 75}, -150);
    nx_pf_array(&params, 1, (const int64_t[]){OUT}, 0);
    nx_pf_names(&params, 4);
    nx_pf_name(&params, "arg:cw");
    nx_pf_name(&params, "arg:cb");
    nx_pf_name(&params, "arg:fw");
    nx_pf_name(&params, "arg:fb");
}

static const struct nx_model_options options = {.backend = "cpu_ref",
                                                .load = {.batch_max = 3, .threads = 1}};

static struct nx_model_files good_files(void)
{
    write_params(3);
    return (struct nx_model_files){.synset = {synset_text, sizeof synset_text - 1},
                                   .symbol = {symbol_text, sizeof symbol_text - 1},
                                   .params = {params.bytes, nx_pf_len(&params)}};
}

static struct nx_model *open_good(void)
{
    struct nx_model_files files = good_files();
    struct nx_model *model = NULL;
    if (nx_model_open(&files, &options, &model, &err) != NX_OK)
        fail_msg("%s", err.text);
    return model;
}

static void assert_refused(const struct nx_model_files *files, const struct nx_model_options *how,
                           enum nx_status wanted, const char *sentence)
{
    struct nx_model *model = NULL;
    err = (struct nx_err){0};
    enum nx_status status = nx_model_open(files, how, &model, &err);
    if (status != wanted || !strstr(err.text, sentence))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, sentence, err.text);
    assert_null(model);
}

static void facts_are_the_models_own(void **state)
{
    (void)state;
    struct nx_model *model = open_good();
    const struct nx_model_facts *f = nx_model_facts(model);
    assert_int_equal(f->channels, C);
    assert_int_equal(f->height_px, SIDE); /* found from the FC's 75 inputs */
    assert_int_equal(f->width_px, SIDE);
    assert_false(f->size_is_free);
    assert_int_equal(f->outputs, OUT);
    assert_int_equal(f->params, 3 * C * 4 + 3 + OUT * 75 + OUT);
    assert_int_equal(f->macs, 25 * 3 * C * 4 + OUT * 75);
    assert_true(f->memory_bytes > 4 * f->params);
    assert_string_equal(f->backend, "cpu_ref");
    assert_string_equal(nx_model_class(model, 3), "tench, Tinca tinca");
    assert_string_equal(nx_model_class(model, 4), "");
    nx_model_close(model);
    nx_model_close(NULL);
}

static void a_row_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    struct nx_model *model = open_good();
    float in[3 * IN], together[3 * OUT], alone[OUT];
    for (int i = 0; i < 3 * IN; i++)
        in[i] = (float)(i * 37 % 101) / 5000;
    assert_int_equal(nx_model_run(model, 3, in, together, &err), NX_OK);
    for (int n = 0; n < 3; n++) {
        float sum = 0;
        assert_int_equal(nx_model_run(model, 1, in + n * IN, alone, &err), NX_OK);
        assert_memory_equal(alone, together + n * OUT, sizeof alone);
        for (int i = 0; i < OUT; i++)
            sum += alone[i];
        assert_true(fabsf(sum - 1) < 1e-5f);
    }
    assert_int_equal(nx_model_run(model, 4, in, together, &err), NX_INVALID);
    assert_int_equal(nx_model_run(model, 0, in, together, &err), NX_INVALID);
    assert_int_equal(nx_model_run(model, 2, in, together, &err), NX_OK);
    nx_model_close(model);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    struct nx_model_files files = good_files();
    files.synset = (struct nx_file){"rose\n", 5};
    assert_refused(&files, &options, NX_INVALID, "synset has 1 lines, the model has 4 outputs");
    files.synset = (struct nx_file){"", 0};
    assert_refused(&files, &options, NX_INVALID, "the synset file is empty");
    files = good_files();
    files.symbol = (struct nx_file){"", 0};
    assert_refused(&files, &options, NX_INVALID, "the symbol file is empty");
    files = good_files();
    files.params = files.symbol;
    assert_refused(&files, &options, NX_CORRUPT, "not an MXNet parameter file");
    files = good_files();
    files.symbol = files.params;
    assert_refused(&files, &options, NX_CORRUPT, "not JSON");
    files = good_files();
    files.symbol.len = (size_t)NX_SYMBOL_BYTES_MAX + 1;
    assert_refused(&files, &options, NX_TOO_LARGE, "the symbol file");
}

static void params_of_another_model_are_named(void **state)
{
    (void)state;
    struct nx_model_files files = good_files();
    write_params(5);
    files.params.len = nx_pf_len(&params);
    assert_refused(&files, &options, NX_INVALID,
                   "convolution 'conv' needs a weight of (3, 2, 2, 2), 'cw' is (5, 2, 2, 2)");
    nx_pf_begin(&params, 1);
    nx_pf_array(&params, 1, (const int64_t[]){1}, 0);
    nx_pf_names(&params, 1);
    nx_pf_name(&params, "arg:resnet_weight");
    files.params.len = nx_pf_len(&params);
    assert_refused(&files, &options, NX_INVALID, "no array 'cw', which Convolution 'conv' needs");
}

static void bad_options_are_named(void **state)
{
    (void)state;
    struct nx_model_files files = good_files();
    struct nx_model_options how = options;
    how.backend = "abacus";
    assert_refused(&files, &how, NX_UNAVAILABLE, "'abacus'");
    how = options;
    how.load.batch_max = 0;
    assert_refused(&files, &how, NX_INVALID, "batch of 0");
    how.load.batch_max = NX_BATCH_MAX + 1;
    assert_refused(&files, &how, NX_INVALID, "batch of 4097");
    how = options;
    how.load.precision = NX_PRECISION_BF16;
    assert_refused(&files, &how, NX_UNSUPPORTED, "not in bf16");
}

static void files_cut_anywhere_are_refused(void **state)
{
    (void)state;
    struct nx_model_files whole = good_files(), files = whole;
    struct nx_model *model = NULL;
    for (size_t cut = 0; cut < whole.params.len; cut += cut < 200 ? 1 : 7) {
        files.params.len = cut;
        assert_int_not_equal(nx_model_open(&files, &options, &model, &err), NX_OK);
    }
    files = whole;
    for (size_t cut = 0; cut < whole.symbol.len; cut += 3) {
        files.symbol.len = cut;
        assert_int_not_equal(nx_model_open(&files, &options, &model, &err), NX_OK);
    }
    assert_null(model);
}

static void a_model_may_have_no_synset_and_take_rows(void **state)
{
    (void)state;
    static const char text[] =
        "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\",\"inputs\":[]},"
        "{\"op\":\"null\",\"name\":\"w\",\"inputs\":[]},"
        "{\"op\":\"FullyConnected\",\"name\":\"fc\",\"inputs\":[[0,0,0],[1,0,0]],"
        "\"attrs\":{\"num_hidden\":\"2\",\"no_bias\":\"True\"}}],\"heads\":[[2,0,0]]}";
    const float in[7] = {0, 0, 1};
    float out[2];
    struct nx_model *model = NULL;
    nx_pf_begin(&params, 1);
    nx_pf_array(&params, 2, (const int64_t[]){2, 7}, 0);
    nx_pf_names(&params, 1);
    nx_pf_name(&params, "w");
    struct nx_model_files files = {.symbol = {text, sizeof text - 1},
                                   .params = {params.bytes, nx_pf_len(&params)}};
    assert_int_equal(nx_model_open(&files, &options, &model, &err), NX_OK);
    assert_int_equal(nx_model_facts(model)->channels, 7);
    assert_int_equal(nx_model_facts(model)->height_px, 1);
    assert_string_equal(nx_model_class(model, 0), "");
    assert_int_equal(nx_model_run(model, 1, in, out, &err), NX_OK);
    assert_true(out[0] == 2 && out[1] == 9);
    nx_model_close(model);
}

/* Reshape to a fixed batch, and a sum over the batch: neither gives a row for each photo. */
static void outputs_that_mix_the_batch_are_refused(void **state)
{
    (void)state;
    static const char *const nodes[] = {
        "{\"op\":\"Reshape\",\"name\":\"r\",\"inputs\":[[0,0]],\"attrs\":{\"shape\":\"(1, -1)\"}}",
        "{\"op\":\"sum\",\"name\":\"r\",\"inputs\":[[0,0]],\"attrs\":{\"axis\":\"0\"}}",
        "{\"op\":\"mean\",\"name\":\"r\",\"inputs\":[[0,0]],\"attrs\":{}}"};
    char text[512];
    nx_pf_begin(&params, 0);
    nx_pf_names(&params, 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(
            text, sizeof text,
            "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\",\"inputs\":[]},%s],\"heads\":[[1,0]]}",
            nodes[i]);
        struct nx_model_files files = {.symbol = {text, strlen(text)},
                                       .params = {params.bytes, nx_pf_len(&params)}};
        assert_refused(&files, &options, NX_INVALID, "one row for each");
    }
}

static void an_unfolding_net_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\",\"inputs\":[]},"
        "{\"op\":\"Pad\",\"name\":\"p\",\"inputs\":[[0,0]],\"attrs\":{\"mode\":\"constant\","
        "\"pad_width\":\"(0,0,0,0,9000,9000,9000,9000)\"}},"
        "{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[[1,0]]}],\"heads\":[[2,0]]}";
    nx_pf_begin(&params, 0);
    nx_pf_names(&params, 0);
    struct nx_model_files files = {.symbol = {text, sizeof text - 1},
                                   .params = {params.bytes, nx_pf_len(&params)}};
    assert_refused(&files, &options, NX_TOO_LARGE, "");
}

/* 512 x 512 windows at every one of 10 million positions. */
static void a_net_that_never_ends_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"nodes\":[{\"op\":\"null\",\"name\":\"x\",\"attrs\":{\"__shape__\":"
        "\"(1, 40, 512, 512)\"},\"inputs\":[]},"
        "{\"op\":\"Pooling\",\"name\":\"p\",\"inputs\":[[0,0]],\"attrs\":{\"kernel\":\"(512, "
        "512)\","
        "\"pad\":\"(256, 256)\"}}],\"heads\":[[1,0]]}";
    nx_pf_begin(&params, 0);
    nx_pf_names(&params, 0);
    struct nx_model_files files = {.symbol = {text, sizeof text - 1},
                                   .params = {params.bytes, nx_pf_len(&params)}};
    assert_refused(&files, &options, NX_TOO_LARGE, "operations for a photo");
}

static void every_failed_allocation_is_answered(void **state)
{
    (void)state;
    enum nx_status status = NX_NO_MEMORY;
    struct nx_model_files files = good_files();
    for (uint64_t n = 1; status == NX_NO_MEMORY; n++) {
        struct nx_model *model = NULL;
        nx_alloc_fail_at(n);
        status = nx_model_open(&files, &options, &model, &err);
        nx_alloc_fail_at(0);
        assert_true(status == NX_OK || status == NX_NO_MEMORY);
        nx_model_close(model);
    }
    assert_int_equal(status, NX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_the_models_own),
        cmocka_unit_test(a_row_does_not_depend_on_its_batch),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(params_of_another_model_are_named),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(files_cut_anywhere_are_refused),
        cmocka_unit_test(a_model_may_have_no_synset_and_take_rows),
        cmocka_unit_test(outputs_that_mix_the_batch_are_refused),
        cmocka_unit_test(an_unfolding_net_is_refused),
        cmocka_unit_test(a_net_that_never_ends_is_refused),
        cmocka_unit_test(every_failed_allocation_is_answered),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
