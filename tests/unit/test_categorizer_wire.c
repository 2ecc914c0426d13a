#include "categorizer/categorizer_wire.h"
#include "nx_test.h"

#include <string.h>

static struct nx_request_head install_head(void)
{
    struct nx_request_head h = {.op = NX_REQUEST_INSTALL,
                                .tag = 7,
                                .request = {{1, 2, 3}},
                                .format = NX_FORMAT_MXNET,
                                .replace = true,
                                .synset_bytes = 10,
                                .symbol_bytes = 20,
                                .params_bytes = 1ull << 33,
                                .recipe_bytes = 8};
    memcpy(h.recipe, "imagenet", 8);
    return h;
}

static struct nx_request_head in_bf16(void)
{
    struct nx_request_head h = install_head();
    h.precision = NX_PRECISION_BF16;
    return h;
}

static struct nx_request_head calibrated(void)
{
    struct nx_request_head h = install_head();
    h.precision = NX_PRECISION_INT8;
    h.calibration_bytes = 12345;
    return h;
}

/* What is written without one is as it was before there was a choice: logs that are older stay good. */
static void a_precision_is_written_only_if_it_is_not_f32(void **state)
{
    (void)state;
    struct nx_request_head plain = install_head(), head = in_bf16(), back;
    uint8_t bytes[NX_HEAD_BYTES_MAX], as_before[NX_HEAD_BYTES_MAX];
    size_t before = nx_request_encode(&plain, as_before, sizeof as_before), used;
    size_t len = nx_request_encode(&head, bytes, sizeof bytes);
    struct nx_err err;
    assert_int_equal(len, before + 1);
    assert_memory_equal(bytes + 4, as_before + 4, before - 4);
    static const uint8_t none[] = {0, NX_PRECISION_INT8, NX_PRECISION_COUNT, 0xff};
    for (size_t i = 0; i < sizeof none; i++) {
        bytes[len - 1] = none[i];
        assert_int_equal(nx_request_decode(bytes, len, &back, &used, &err), NX_CORRUPT);
    }
}

/* Logs hold heads: what an older nexus wrote is read, and what needs nothing new is written as it was. */
static void an_install_without_a_calibration_keeps_its_bytes(void **state)
{
    (void)state;
    uint8_t old[] = {
        100, 0, 0, 0, 4, 2, 7,  0, 0,   0,   0,   [36] = 1, 2,   3,   [52] = 1, 1,   10, 0,
        0,   0, 0, 0, 0, 0, 20, 0, 0,   0,   0,   0,        0,   0,   0,        0,   0,  0,
        2,   0, 0, 0, 8, 0, 0,  0, 'i', 'm', 'a', 'g',      'e', 'n', 'e',      't', 2 /* bf16 */};
    struct nx_request_head head = install_head(), back;
    uint8_t bytes[NX_HEAD_BYTES_MAX];
    size_t used;
    struct nx_err err;
    assert_int_equal(nx_request_encode(&head, bytes, sizeof bytes), sizeof old - 1);
    old[0] = sizeof old - 1;
    assert_memory_equal(bytes, old, sizeof old - 1);
    assert_int_equal(nx_request_decode(old, sizeof old - 1, &back, &used, &err), NX_OK);
    assert_memory_equal(&back, &head, sizeof back);
    old[0] = sizeof old;
    old[sizeof old - 1] = 1;
    head = in_bf16();
    assert_int_equal(nx_request_decode(old, sizeof old, &back, &used, &err), NX_OK);
    assert_memory_equal(&back, &head, sizeof back);
}

static void a_calibration_stands_in_a_head_of_its_own_version(void **state)
{
    (void)state;
    struct nx_request_head head = calibrated(), plain = install_head(), back;
    struct nx_request_head removal = {.op = NX_REQUEST_REMOVE, .tag = 7};
    uint8_t bytes[NX_HEAD_BYTES_MAX], as_before[NX_HEAD_BYTES_MAX];
    size_t before = nx_request_encode(&plain, as_before, sizeof as_before), used;
    size_t len = nx_request_encode(&head, bytes, sizeof bytes);
    uint64_t body;
    struct nx_err err;
    assert_int_equal(len, before + 4);
    assert_int_equal(bytes[4], NX_WIRE_VERSION_CALIBRATED);
    assert_memory_equal(bytes + 5, as_before + 5, before - 5);
    assert_true(nx_install_body_bytes(&head, &body));
    assert_true(body == 10 + 20 + (1ull << 33) + 12345);
    bytes[4] = NX_WIRE_VERSION;
    assert_int_equal(nx_request_decode(bytes, len, &back, &used, &err), NX_CORRUPT);
    as_before[4] = NX_WIRE_VERSION_CALIBRATED; /* and then there is none */
    assert_int_equal(nx_request_decode(as_before, before, &back, &used, &err), NX_CORRUPT);
    bytes[4] = NX_WIRE_VERSION_CALIBRATED;
    memset(bytes + len - 4, 0, 4);
    assert_int_equal(nx_request_decode(bytes, len, &back, &used, &err), NX_CORRUPT);
    len = nx_request_encode(&removal, bytes, sizeof bytes);
    bytes[4] = NX_WIRE_VERSION_CALIBRATED;
    assert_int_equal(nx_request_decode(bytes, len, &back, &used, &err), NX_CORRUPT);
    bytes[4] = NX_WIRE_VERSION_CALIBRATED + 1;
    assert_int_equal(nx_request_decode(bytes, len, &back, &used, &err), NX_UNSUPPORTED);
    assert_string_equal(err.text, "an operation has wire version 6, this node speaks 4 and 5");
    head.params_bytes = UINT64_MAX - 1000; /* the sum overflows by the calibration */
    assert_false(nx_install_body_bytes(&head, &body));
}

static void every_operation_comes_back(void **state)
{
    (void)state;
    struct nx_request_head heads[] = {
        {.op = NX_REQUEST_INFER,
         .tag = 4000000000u,
         .trace = {.trace_id = {1, [15] = 2}, .span_id = {3, [7] = 4}, .flags = NX_TRACE_SAMPLED},
         .time_left_ns = NX_NEVER},
        install_head(),
        in_bf16(),
        calibrated(),
        {.op = NX_REQUEST_REMOVE, .tag = 0, .name = "flowers", .request = {{9}}},
        {.op = NX_REQUEST_LIST},
        {.op = NX_REQUEST_DESCRIBE, .tag = 5, .name = "x"},
        {.op = NX_REQUEST_INFER,
         .time_left_ns = 1,
         .want = {.input = NX_INPUT_PHOTO,
                  .tensor = "data",
                  .top_max = 5,
                  .outputs = true,
                  .priority = 9}},
        {.op = NX_REQUEST_INFER, .time_left_ns = 2, .want = {.input = NX_INPUT_TENSORS}},
        {.op = NX_REQUEST_INFER, .time_left_ns = 3, .version = 1ull << 40},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        uint8_t bytes[NX_HEAD_BYTES_MAX + 3];
        size_t len = nx_request_encode(&heads[i], bytes, sizeof bytes), used;
        struct nx_request_head back;
        struct nx_err err;
        assert_true(len > 0);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(nx_request_decode(bytes, cut, &back, &used, &err), NX_AGAIN);
        assert_int_equal(nx_request_decode(bytes, len + 3, &back, &used, &err), NX_OK);
        assert_int_equal(used, len);
        assert_memory_equal(&back, &heads[i], sizeof back);
    }
}

static void malformed_heads_are_refused(void **state)
{
    (void)state;
    struct nx_request_head head = install_head(), back;
    uint8_t bytes[NX_HEAD_BYTES_MAX];
    size_t len = nx_request_encode(&head, bytes, sizeof bytes), used;
    struct nx_err err;
    struct {
        size_t at;
        uint8_t value;
    } flips[] = {{0, 3},  {1, 0xff}, {4, 1},     {5, 77},    {10, 3},
                 {52, 9}, {53, 2},   {78, 0xff}, {79, 0x40}, {0, 0x3a}};
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        uint8_t kept = bytes[flips[i].at];
        bytes[flips[i].at] = flips[i].value;
        enum nx_status s = nx_request_decode(bytes, len, &back, &used, &err);
        assert_true(s == NX_CORRUPT || s == NX_UNSUPPORTED);
        bytes[flips[i].at] = kept;
    }
    assert_int_equal(nx_request_decode(bytes, len, &back, &used, &err), NX_OK);
    assert_int_equal(nx_request_encode(&head, bytes, len - 1), 0);
}

static void answers_come_back_and_nonsense_does_not(void **state)
{
    (void)state;
    struct nx_answer a = {.index = 3, .value = 0.25f, .label_bytes = 4}, back;
    struct nx_err err;
    memcpy(a.label, "rose", 4);
    nx_err_set(&a.err, NX_NOT_FOUND, "tag 9 is not installed");
    uint8_t bytes[NX_ANSWER_BYTES_MAX];
    size_t len = nx_answer_encode(&a, bytes, sizeof bytes);
    assert_int_equal(nx_answer_decode(bytes, len, &back, &err), NX_OK);
    assert_int_equal(back.err.status, NX_NOT_FOUND);
    assert_string_equal(back.err.text, "tag 9 is not installed");
    assert_memory_equal(back.label, "rose", 4);
    assert_true(back.value == 0.25f && back.index == 3 && back.label_bytes == 4);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(nx_answer_decode(bytes, cut, &back, &err), NX_CORRUPT);
    bytes[1] = 200; /* no such status */
    assert_int_equal(nx_answer_decode(bytes, len, &back, &err), NX_CORRUPT);
}

static void names_have_tags(void **state)
{
    (void)state;
    struct nx_request_head head = {0};
    assert_int_equal(nx_tag_of_name("0"), 0);
    assert_int_equal(nx_tag_of_name("4294967295"), UINT32_MAX);
    assert_true(nx_name_is_number("7"));
    /* a name: another way to write 7 would be a second one */
    assert_false(nx_name_is_number("07"));
    assert_false(nx_name_is_number("4294967296"));
    assert_false(nx_name_is_number("7x"));
    assert_int_equal(nx_tag_of_name("squeezenet"), nx_tag_of_name("squeezenet"));
    nx_head_set_name(&head, "7");
    assert_int_equal(head.tag, 7);
    assert_string_equal(head.name, "");
    nx_head_set_name(&head, "rose");
    assert_int_equal(head.tag, nx_tag_of_name("rose"));
    assert_string_equal(head.name, "rose");
    assert_true(nx_model_name_ok("resnet-50_v1.5"));
    const char *bad[] = {"",    "v2",       "models",  "..",    "a/b",
                         "a b", "\xc3\xa4", "metrics", "nexus", "stats"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(nx_model_name_ok(bad[i]));
}

static void lists_of_models_come_back(void **state)
{
    (void)state;
    struct nx_model_facts_wire models[2] = {{.tag = 1,
                                             .ready = true,
                                             .format = NX_FORMAT_MXNET,
                                             .version = 9,
                                             .backend = "cpu_ref",
                                             .inputs_count = 1,
                                             .inputs = {{"data", NX_TYPE_UINT8, 4, {-1, 3, 8, 8}}},
                                             .outputs_count = 1,
                                             .outputs = {{"output", NX_TYPE_FP32, 2, {-1, 10}}}},
                                            {.tag = 2, .name = "rose", .format = NX_FORMAT_ONNX}};
    struct nx_model_facts_wire back;
    struct nx_err err;
    uint8_t bytes[2 * NX_MODEL_FACTS_BYTES_MAX];
    size_t len = nx_models_encode(models, 2, bytes, sizeof bytes), at = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nx_models_next(bytes, len, &at, &back, &err), NX_OK);
        assert_memory_equal(&back, &models[i], sizeof back);
    }
    assert_int_equal(nx_models_next(bytes, len, &at, &back, &err), NX_NOT_FOUND);
    at = 0;
    assert_int_equal(nx_models_next(bytes, len - 1, &at, &back, &err), NX_OK);
    assert_int_equal(nx_models_next(bytes, len - 1, &at, &back, &err), NX_CORRUPT);
    assert_int_equal(nx_models_encode(models, 2, bytes, len - 1), 0);
}

static void memory_and_work_stand_before_the_models(void **state)
{
    (void)state;
    const struct nx_models_memory memory = {1, UINT64_MAX};
    struct nx_model_facts_wire model = {.tag = 7, .format = NX_FORMAT_ONNX, .run_ns = 5}, back;
    struct nx_models_memory memory_back;
    struct nx_work work, work_back;
    struct nx_err err;
    uint8_t bytes[2 * NX_MODEL_FACTS_BYTES_MAX];
    size_t len = nx_models_encode(&model, 1, bytes, sizeof bytes), at = 0;
    for (size_t i = 0; i < sizeof work; i++)
        ((uint8_t *)&work)[i] = (uint8_t)(i + 1);
    nx_models_set_work(bytes, &work);
    nx_models_set_memory(bytes, &memory);
    assert_int_equal(nx_models_get_memory(bytes, len, &memory_back, &err), NX_OK);
    assert_int_equal(nx_models_get_work(bytes, len, &work_back, &err), NX_OK);
    assert_memory_equal(&memory_back, &memory, sizeof memory);
    assert_memory_equal(&work_back, &work, sizeof work);
    assert_int_equal(nx_models_next(bytes, len, &at, &back, &err), NX_OK);
    assert_memory_equal(&back, &model, sizeof back);
    for (size_t cut = 0; cut < NX_MODELS_HEAD_BYTES; cut++)
        assert_int_equal(nx_models_get_work(bytes, cut, &work_back, &err), NX_CORRUPT);
}

static void rows_are_what_they_say(void **state)
{
    (void)state;
    uint8_t bytes[] = {1, 'o', 1, 0,  0, 0, 2, 0, 0, 0, 1, 0,  0, 0, 0,   0,   128, 63,
                       0, 0,   0, 64, 1, 0, 0, 0, 0, 0, 0, 64, 4, 0, 'r', 'o', 's', 'e'};
    struct nx_rows rows;
    struct nx_top_entry entry;
    struct nx_err err;
    size_t at = 0;
    assert_int_equal(nx_rows_decode(bytes, sizeof bytes, &rows, &err), NX_OK);
    assert_int_equal(rows.columns, 2);
    assert_true(nx_rows_next_top(&rows, &at, &entry));
    assert_memory_equal(entry.label, "rose", 4);
    assert_true(entry.value == 2.0f && entry.index == 1);
    assert_false(nx_rows_next_top(&rows, &at, &entry));
    for (size_t cut = 0; cut < sizeof bytes; cut++)
        assert_int_equal(nx_rows_decode(bytes, cut, &rows, &err), NX_CORRUPT);
    bytes[2] = 2; /* rows */
    assert_int_equal(nx_rows_decode(bytes, sizeof bytes, &rows, &err), NX_CORRUPT);
}

static const uint8_t pixels[6] = {1, 2, 3, 4, 5, 6};
static const uint8_t words[] = {1, 0, 0, 0, 'a', 2, 0, 0, 0, 'b', 'c'};

static size_t ask_bytes(struct nx_tensors_ask *ask, uint8_t *bytes, size_t cap)
{
    *ask = (struct nx_tensors_ask){
        .outputs_count = 2,
        .outputs = {{"scores", 5}, {"boxes", 0}},
        .in = {.count = 2,
               .parts = {{"image", NX_TYPE_UINT8, 3, {1, 2, 3}, pixels, sizeof pixels},
                         {"text", NX_TYPE_BYTES, 1, {2}, words, sizeof words}}}};
    size_t len = nx_tensors_ask_encode(ask, bytes, cap);
    assert_true(len > 0);
    assert_int_equal(nx_tensors_ask_encode(ask, bytes, len - 1), 0);
    nx_tensors_ask_encode(ask, bytes, cap);
    memcpy(bytes + len, pixels, sizeof pixels);
    memcpy(bytes + len + sizeof pixels, words, sizeof words);
    return len + sizeof pixels + sizeof words;
}

static void tensors_come_back_and_nonsense_does_not(void **state)
{
    (void)state;
    uint8_t bytes[NX_TENSORS_HEAD_BYTES_MAX + 64];
    struct nx_tensors_ask ask, back;
    struct nx_tensors tensors;
    struct nx_err err;
    size_t len = ask_bytes(&ask, bytes, sizeof bytes);
    assert_int_equal(nx_tensors_ask_decode(bytes, len, &back, &err), NX_OK);
    assert_string_equal(back.outputs[0].name, "scores");
    assert_int_equal(back.outputs[0].top_max, 5);
    assert_string_equal(back.in.parts[1].name, "text");
    assert_memory_equal(back.in.parts[1].data, words, sizeof words);
    assert_int_equal(back.in.parts[0].dims[2], 3);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(nx_tensors_ask_decode(bytes, cut, &back, &err), NX_CORRUPT);
    assert_int_equal(nx_tensors_ask_decode(bytes, len + 1, &back, &err), NX_CORRUPT);
    bytes[len - 6] = 3; /* the second word's length */
    assert_int_equal(nx_tensors_ask_decode(bytes, len, &back, &err), NX_CORRUPT);
    ask.in.rows = 7;
    size_t head = nx_tensors_encode(&ask.in, bytes, sizeof bytes);
    memcpy(bytes + head, pixels, sizeof pixels);
    memcpy(bytes + head + sizeof pixels, words, sizeof words);
    len = head + sizeof pixels + sizeof words;
    assert_int_equal(nx_tensors_decode(bytes, len, &tensors, &err), NX_OK);
    assert_int_equal(tensors.rows, 7);
    assert_memory_equal(tensors.parts[0].data, pixels, sizeof pixels);
    ask.in.parts[0].dims[0] = 2; /* 12 bytes are not 6 */
    nx_tensors_encode(&ask.in, bytes, sizeof bytes);
    assert_int_equal(nx_tensors_decode(bytes, len, &tensors, &err), NX_CORRUPT);
}

static void the_longest_names_have_room(void **state)
{
    (void)state;
    static struct nx_tensors_ask ask;
    uint8_t bytes[NX_TENSORS_HEAD_BYTES_MAX];
    ask = (struct nx_tensors_ask){.outputs_count = NX_MODEL_TENSORS_MAX};
    ask.in.count = NX_MODEL_TENSORS_MAX;
    for (int i = 0; i < NX_MODEL_TENSORS_MAX; i++) {
        memset(ask.outputs[i].name, 'o', NX_TENSOR_NAME_BYTES - 1);
        memset(ask.in.parts[i].name, 'i', NX_TENSOR_NAME_BYTES - 1);
        ask.in.parts[i].rank = NX_TENSOR_RANK_MAX;
    }
    assert_true(nx_tensors_ask_encode(&ask, bytes, sizeof bytes) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_comes_back),
        cmocka_unit_test(a_precision_is_written_only_if_it_is_not_f32),
        cmocka_unit_test(an_install_without_a_calibration_keeps_its_bytes),
        cmocka_unit_test(a_calibration_stands_in_a_head_of_its_own_version),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(answers_come_back_and_nonsense_does_not),
        cmocka_unit_test(names_have_tags),
        cmocka_unit_test(lists_of_models_come_back),
        cmocka_unit_test(memory_and_work_stand_before_the_models),
        cmocka_unit_test(rows_are_what_they_say),
        cmocka_unit_test(tensors_come_back_and_nonsense_does_not),
        cmocka_unit_test(the_longest_names_have_room),
    };
    return cmocka_run_group_tests_name("categorizer_wire", tests, NULL, NULL);
}
