#include "categorizer/categorizer_wire.h"
#include "nx_test.h"

#include <string.h>

static struct nx_request_head install_head(void)
{
    struct nx_request_head h = {.op = NX_REQUEST_INSTALL,
                                .tag = 7,
                                .request = {{1, 2, 3}},
                                .format = NX_FORMAT_MXNET,
                                .synset_bytes = 10,
                                .symbol_bytes = 20,
                                .params_bytes = 1ull << 33,
                                .recipe_bytes = 8};
    memcpy(h.recipe, "imagenet", 8);
    return h;
}

static void every_operation_comes_back(void **state)
{
    (void)state;
    struct nx_request_head heads[] = {
        {.op = NX_REQUEST_INFER, .tag = 4000000000u, .time_left_ns = NX_NEVER},
        install_head(),
        {.op = NX_REQUEST_REMOVE, .tag = 0, .request = {{9}}},
        {.op = NX_REQUEST_LIST},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
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
    } flips[] = {{0, 3}, {1, 0xff}, {4, 2}, {5, 77}, {26, 9}, {51, 0xff}, {52, 0x40}, {0, 0x3a}};
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

static void a_list_follows_its_answer(void **state)
{
    (void)state;
    struct nx_answer fine = {0}, answer;
    struct nx_models_head head = {.used_bytes = 5, .limit_bytes = 1ull << 40, .rows_count = 2}, h;
    struct nx_model_row rows[2] = {{.tag = 7,
                                    .version = 1ull << 33,
                                    .state = NX_MODEL_READY,
                                    .format = NX_FORMAT_ONNX,
                                    .recipe = "a recipe with as long a name ..",
                                    .device = "a device with as long a name ..",
                                    .weights_bytes = 1,
                                    .arena_bytes = 2,
                                    .memory_bytes = 3,
                                    .queries = 4,
                                    .batch = 5,
                                    .batch_ns = 6},
                                   {.tag = 8, .version = 9, .state = NX_MODEL_LOADING}},
                        row;
    uint8_t bytes[NX_ANSWER_BYTES_MAX + NX_MODELS_HEAD_BYTES + 2 * NX_MODEL_ROW_BYTES_MAX];
    struct nx_err err;
    size_t len = nx_answer_encode(&fine, bytes, sizeof bytes), at, used;
    len += nx_models_head_encode(&head, bytes + len, sizeof bytes - len);
    for (int i = 0; i < 2; i++)
        len += nx_model_row_encode(&rows[i], bytes + len, sizeof bytes - len);
    assert_int_equal(nx_answer_decode(bytes, len, &answer, &err),
                     NX_CORRUPT); /* it ends too late */
    assert_int_equal(nx_answer_decode_first(bytes, len, &answer, &at, &err), NX_OK);
    assert_int_equal(nx_models_head_decode(bytes + at, len - at, &h, &err), NX_OK);
    assert_memory_equal(&h, &head, sizeof h);
    at += NX_MODELS_HEAD_BYTES;
    for (int i = 0; i < 2; i++, at += used) {
        assert_int_equal(nx_model_row_decode(bytes + at, len - at, &row, &used, &err), NX_OK);
        assert_memory_equal(&row, &rows[i], sizeof row);
        assert_in_range(used, NX_MODEL_ROW_BYTES_MIN, NX_MODEL_ROW_BYTES_MAX);
        for (size_t cut = 0; cut < used; cut++)
            assert_int_equal(nx_model_row_decode(bytes + at, cut, &row, &used, &err), NX_CORRUPT);
    }
    assert_int_equal(at, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_comes_back),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(answers_come_back_and_nonsense_does_not),
        cmocka_unit_test(a_list_follows_its_answer),
    };
    return cmocka_run_group_tests_name("categorizer_wire", tests, NULL, NULL);
}
