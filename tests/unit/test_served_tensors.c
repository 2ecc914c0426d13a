/* Tensors by name through an installed model: what goes over the wire between the tiers. */
#include "nx_onnx_file.h"

#include "categorizer/served.h"

#include <stdlib.h>

enum { FLOAT = 1, UINT8 = 2, INT64 = 7, ROWS = 9, BATCH = 4 };

static const char synset_text[] = "red\ngreen\nblue\n";

static struct nx_onnx_file file;
static struct nx_err err;
static struct nx_budget budget;

/* y (N, 3) = a (N, 3) scale + b (N, 1); kept = b + b; twice = scale + scale, which has no batch */
static struct nx_served *open_served(void)
{
    static uint8_t body[sizeof synset_text + NX_ONNX_FILE_BYTES];
    struct nx_request_head head = {.op = NX_REQUEST_INSTALL,
                                   .tag = 7,
                                   .format = NX_FORMAT_ONNX,
                                   .synset_bytes = sizeof synset_text - 1};
    struct nx_served_options options = {
        .backend = "cpu_ref", .threads = 1, .batch_max = BATCH, .budget = &budget, .profiles = ""};
    struct nx_digest digest;
    struct nx_served *served;
    size_t graph = nx_of_model(&file, 8);
    nx_of_close(&file, nx_of_node(&file, "Mul", LIST("a", "scale"), LIST("m")));
    nx_of_close(&file, nx_of_node(&file, "Add", LIST("m", "b"), LIST("y")));
    nx_of_close(&file, nx_of_node(&file, "Add", LIST("b", "b"), LIST("kept")));
    nx_of_close(&file, nx_of_node(&file, "Add", LIST("scale", "scale"), LIST("twice")));
    nx_of_typed_info(&file, 11, "a", UINT8, 2, DIMS(0, 3));
    nx_of_typed_info(&file, 11, "b", INT64, 2, DIMS(0, 1));
    nx_of_typed_info(&file, 11, "scale", FLOAT, 1, DIMS(1));
    nx_of_typed_info(&file, 12, "y", FLOAT, 2, DIMS(0, 3));
    nx_of_typed_info(&file, 12, "kept", INT64, 2, DIMS(0, 1));
    nx_of_typed_info(&file, 12, "twice", FLOAT, 1, DIMS(1));
    nx_of_close(&file, graph);
    nx_of_opset(&file, 13);
    budget = (struct nx_budget){.limit_bytes = 64 << 20};
    head.symbol_bytes = nx_of_len(&file);
    memcpy(body, synset_text, head.synset_bytes);
    memcpy(body + head.synset_bytes, file.bytes, head.symbol_bytes);
    if (nx_served_open(&head, body, &options, &served, &digest, &err) != NX_OK)
        fail_msg("%s", err.text);
    return served;
}

static uint8_t a[ROWS][3];
static int64_t b[ROWS];
static const float scale = 2;
static struct nx_tensors_ask ask;
static struct nx_answer answer;
static uint8_t *payload;

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < 3; k++)
            a[i][k] = (uint8_t)(10 * i + k);
        b[i] = -100 * i;
    }
    ask = (struct nx_tensors_ask){
        .in = {.count = 3,
               .parts = {{"b", NX_TYPE_INT64, 2, {ROWS, 1}, (const uint8_t *)b, sizeof b},
                         {"a", NX_TYPE_UINT8, 2, {ROWS, 3}, (const uint8_t *)a, sizeof a},
                         {"scale", NX_TYPE_FP32, 1, {1}, (const uint8_t *)&scale, 4}}}};
    return 0;
}

static enum nx_status tell(struct nx_served *served, struct nx_tensors *out)
{
    static uint8_t body[NX_TENSORS_HEAD_BYTES_MAX + sizeof a + sizeof b + 64];
    size_t at = nx_tensors_ask_encode(&ask, body, sizeof body);
    for (uint32_t i = 0; i < ask.in.count; i++) {
        memcpy(body + at, ask.in.parts[i].data, ask.in.parts[i].bytes);
        at += ask.in.parts[i].bytes;
    }
    free(payload);
    payload = NULL;
    nx_served_tell(served, body, at, &answer, &payload);
    if (answer.err.status == NX_OK &&
        nx_tensors_decode(payload, answer.payload_bytes, out, &err) != NX_OK)
        fail_msg("%s", err.text);
    return answer.err.status;
}

static void every_output_comes_of_all_rows(void **state)
{
    (void)state;
    struct nx_served *served = open_served();
    struct nx_tensors out;
    assert_int_equal(tell(served, &out), NX_OK);
    assert_int_equal(out.rows, ROWS);
    assert_int_equal(out.count, 3);
    assert_string_equal(out.parts[0].name, "y");
    assert_int_equal(out.parts[0].type, NX_TYPE_FP32);
    assert_int_equal(out.parts[0].dims[0], ROWS);
    for (int i = 0; i < 3 * ROWS; i++) {
        float y;
        memcpy(&y, out.parts[0].data + 4 * i, sizeof y);
        assert_true(y == (float)a[i / 3][i % 3] * 2 + (float)b[i / 3]);
    }
    assert_int_equal(out.parts[1].type, NX_TYPE_INT64);
    for (int i = 0; i < ROWS; i++) {
        int64_t kept;
        memcpy(&kept, out.parts[1].data + 8 * i, sizeof kept);
        assert_int_equal(kept, 2 * b[i]);
    }
    float twice;
    assert_int_equal(out.parts[2].rank, 1);
    assert_int_equal(out.parts[2].dims[0], 1);
    memcpy(&twice, out.parts[2].data, sizeof twice);
    assert_true(twice == 4);
    free(payload);
    payload = NULL;
    nx_served_close(served);
    assert_int_equal(budget.used_bytes, 0);
}

static void what_is_wanted_comes_in_its_order(void **state)
{
    (void)state;
    struct nx_served *served = open_served();
    struct nx_tensors out;
    ask.outputs_count = 2;
    ask.outputs[0] = (struct nx_output_want){"kept", 0};
    ask.outputs[1] = (struct nx_output_want){"y", 2};
    assert_int_equal(tell(served, &out), NX_OK);
    assert_int_equal(out.count, 2);
    assert_string_equal(out.parts[0].name, "kept");
    assert_int_equal(out.parts[1].type, NX_TYPE_BYTES);
    assert_int_equal(out.parts[1].dims[0], ROWS);
    assert_int_equal(out.parts[1].dims[1], 2);
    assert_memory_equal(out.parts[1].data,
                        "\x0f\0\0\0"
                        "4.000000:2:blue",
                        19);
    free(payload);
    payload = NULL;
    nx_served_close(served);
}

static void assert_refused(struct nx_served *served, const char *sentence)
{
    struct nx_tensors out;
    enum nx_status status = tell(served, &out);
    if (status == NX_OK || strcmp(answer.err.text, sentence) != 0)
        fail_msg("status %d: \"%s\", not \"%s\"", (int)status, answer.err.text, sentence);
    set_up(NULL);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    struct nx_served *served = open_served();
    struct nx_tensor_part *parts = ask.in.parts;
    memcpy(parts[0].name, "c", 2);
    assert_refused(served, "unexpected input 'c', the model has 'a', 'b', 'scale'");
    ask.in.count = 2;
    assert_refused(served, "the input 'scale' is missing");
    parts[1] = parts[0];
    assert_refused(served, "the input 'b' is there twice");
    parts[1].type = NX_TYPE_INT8;
    assert_refused(served, "the input 'a' has datatype INT8, UINT8 is expected");
    parts[1].dims[0] = 3;
    parts[1].dims[1] = ROWS;
    assert_refused(served, "the input 'a' has shape [3,9], expected [-1,3]");
    parts[1].dims[0] = ROWS - 1;
    parts[1].bytes = sizeof a - 3;
    assert_refused(served, "the input 'a' has 8 rows, another input has 9");
    parts[0].dims[0] = 0;
    parts[0].bytes = 0;
    assert_refused(served, "the input 'b' has 0 rows, 1 to 1024 are allowed");
    ask.outputs_count = 1;
    ask.outputs[0] = (struct nx_output_want){"z", 0};
    assert_refused(served, "unexpected inference output 'z', the model has 'y', 'kept', 'twice'");
    ask.outputs_count = 2;
    ask.outputs[0] = ask.outputs[1] = (struct nx_output_want){"y", 0};
    assert_refused(served, "the output 'y' is asked for twice");
    ask.outputs_count = 1;
    ask.outputs[0] = (struct nx_output_want){"kept", 3};
    assert_refused(served,
                   "output 'kept' is no batch of FP32 rows, of which categories could be told");
    nx_served_tell(served, (const uint8_t *)"x", 1, &answer, &payload);
    assert_int_equal(answer.err.status, NX_CORRUPT);
    nx_served_close(served);
}

static void clients_are_told_all_of_it(void **state)
{
    (void)state;
    struct nx_served *served = open_served();
    struct nx_model_facts_wire facts = {0};
    nx_served_describe(served, &facts);
    assert_int_equal(facts.inputs_count, 3);
    assert_int_equal(facts.outputs_count, 3);
    assert_string_equal(facts.inputs[1].name, "b");
    assert_int_equal(facts.inputs[1].type, NX_TYPE_INT64);
    assert_int_equal(facts.inputs[0].dims[0], -1);
    assert_int_equal(facts.outputs[2].dims[0], 1);
    nx_served_close(served);
}

#define each(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(every_output_comes_of_all_rows),
        each(what_is_wanted_comes_in_its_order),
        each(what_does_not_fit_is_named),
        each(clients_are_told_all_of_it),
    };
    return cmocka_run_group_tests_name("served_tensors", tests, NULL, NULL);
}
