/* Tensors of every type in and out of the protocol's two wires, and what is refused before any model is asked. */
#include "function_tier/pb/pb_v2.h"
#include "function_tier/v2_json.h"
#include "function_tier/v2_pb.h"
#include "nx_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct nx_v2_request *request;
static struct nx_infer_ask ask;
static struct nx_err err;

static int set_up(void **state)
{
    (void)state;
    request = nx_v2_new();
    memcpy(request->model, "m", 2);
    err = (struct nx_err){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nx_v2_free(request);
    return 0;
}

static void anew(void)
{
    tear_down(NULL);
    set_up(NULL);
}

static enum nx_status read_json(const char *text)
{
    size_t len = strlen(text);
    enum nx_status status = nx_v2_json_read((const uint8_t *)text, len, len, request, &err);
    return status == NX_OK ? nx_v2_to_ask(request, &ask, &err) : status;
}

static void assert_refused(const char *text, const char *word)
{
    enum nx_status status = read_json(text);
    if (status == NX_OK || !strstr(err.text, word))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, word, err.text);
    anew();
}

#define INPUT(type, shape, data) \
    "{\"name\":\"x\",\"datatype\":\"" type "\",\"shape\":" shape ",\"data\":" data "}"
#define ONE(type, shape, data) "{\"inputs\":[" INPUT(type, shape, data) "]}"

static void json_of_every_type_becomes_bytes(void **state)
{
    (void)state;
    static const int8_t bytes[] = {-128, 127};
    static const uint16_t halves[] = {0, 65535};
    static const int64_t wide[] = {-9007199254740992, 5};
    static const double doubles[] = {0.1, -2};
    static const float floats[] = {1.5f, -2};
    static const uint8_t bools[] = {1, 0, 1};
    const struct {
        const char *text;
        const void *want;
        size_t len;
    } rows[] = {
        {ONE("INT8", "[2]", "[-128,127]"), bytes, 2},
        {ONE("UINT16", "[2,1]", "[[0],[65535]]"), halves, 4},
        {ONE("INT64", "[2]", "[-9007199254740992,5]"), wide, 16},
        {ONE("FP64", "[2]", "[0.1,-2]"), doubles, 16},
        {ONE("FP32", "[1,2]", "[[1.5,-2]]"), floats, 8},
        {ONE("BOOL", "[3]", "[true,false,1]"), bools, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (read_json(rows[i].text) != NX_OK)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(ask.want.input, NX_INPUT_TENSORS);
        assert_int_equal(ask.bodies_count, 2);
        assert_int_equal(ask.bodies[1].len, rows[i].len);
        assert_memory_equal(ask.bodies[1].bytes, rows[i].want, rows[i].len);
        anew();
    }
}

static void several_inputs_and_outputs_go_together(void **state)
{
    (void)state;
    static const char text[] = "{\"inputs\":[" INPUT(
        "UINT8", "[2]", "[7,8]") ",{\"name\":\"z\",\"datatype\":\"INT32\","
                                 "\"shape\":[],\"data\":[-1]}],\"outputs\":[{\"name\":\"b\"},"
                                 "{\"name\":\"a\",\"parameters\":{\"classification\":3}}]}";
    uint8_t body[NX_TENSORS_HEAD_BYTES_MAX + 16];
    struct nx_tensors_ask back;
    size_t at = 0;
    assert_int_equal(read_json(text), NX_OK);
    for (uint32_t i = 0; i < ask.bodies_count; i++) {
        memcpy(body + at, ask.bodies[i].bytes, ask.bodies[i].len);
        at += ask.bodies[i].len;
    }
    assert_int_equal(nx_tensors_ask_decode(body, at, &back, &err), NX_OK);
    assert_int_equal(back.in.count, 2);
    assert_string_equal(back.in.parts[1].name, "z");
    assert_int_equal(back.in.parts[1].rank, 0);
    assert_int_equal(back.outputs_count, 2);
    assert_string_equal(back.outputs[0].name, "b");
    assert_int_equal(back.outputs[1].top_max, 3);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused(ONE("INT8", "[1]", "[128]"), "expected a value of INT8 in input 'x', got 128");
    assert_refused(ONE("UINT8", "[1]", "[-1]"), "in input 'x', got -1");
    assert_refused(ONE("INT32", "[1]", "[1.5]"), "in input 'x', got 1.5");
    assert_refused(ONE("INT64", "[1]", "[9223372036854775808]"), "expected a value of INT64");
    assert_refused(ONE("UINT64", "[1]", "[18446744073709551616]"), "expected a value of UINT64");
    assert_refused(ONE("BOOL", "[1]", "[2]"), "expected a value of BOOL");
    assert_refused(ONE("INT8", "[1]", "[true]"), "number");
    assert_refused(ONE("FP16", "[1]", "[1]"), "as binary data only");
    assert_refused(ONE("FP32", "[2]", "[1]"), "1 elements, the tensor's shape has 2");
    assert_refused(
        "{\"inputs\":[" INPUT("UINT8", "[1]", "[7]") "," INPUT("BYTES", "[1]", "[\"p\"]") "]}",
        "encoded photos come as the only input");
    assert_refused("{\"inputs\":[]}", "no inputs for model 'm'");
}

/* --- replies -------------------------------------------------------------------------------------- */

static const uint8_t words[] = {2, 0, 0, 0, '1', ':', 1, 0, 0, 0, '"'};
static const int16_t shorts[] = {-2, 300};
static const float floats[] = {0.5f, INFINITY};
static const uint8_t flags[] = {1, 0};
static const uint16_t halves[] = {0x3c00};
static const uint64_t wide[] = {UINT64_MAX};

static struct nx_tensors tensors_of_all(void)
{
    return (struct nx_tensors){
        .rows = 2,
        .count = 6,
        .parts = {{"w", NX_TYPE_BYTES, 1, {2}, words, sizeof words},
                  {"s", NX_TYPE_INT16, 2, {2, 1}, (const uint8_t *)shorts, sizeof shorts},
                  {"f", NX_TYPE_FP32, 1, {2}, (const uint8_t *)floats, sizeof floats},
                  {"b", NX_TYPE_BOOL, 1, {2}, flags, sizeof flags},
                  {"u", NX_TYPE_UINT64, 0, {0}, (const uint8_t *)wide, sizeof wide},
                  {"h", NX_TYPE_FP16, 1, {1}, (const uint8_t *)halves, sizeof halves}}};
}

/* Two bytes of JSON are eight as a double: what no model can be asked with is refused before it is allocated. */
static void numbers_do_not_become_more_than_is_let_in(void **state)
{
    (void)state;
    static const char tensor[] =
        "%s{\"name\":\"%d\",\"datatype\":\"FP64\",\"shape\":[%zu],\"data\":[0";
    size_t half = NX_PHOTO_BYTES_MAX / sizeof(double) / 2, room = 8 * half + 400;
    char *text = malloc(room);
    assert_non_null(text);
    for (size_t more = 0; more <= 1; more++) {
        size_t len = (size_t)snprintf(text, room, "{\"inputs\":[");
        for (int i = 0; i < 2; i++) {
            len += (size_t)snprintf(text + len, room - len, tensor, i ? "," : "", i, half + more);
            for (size_t k = 1; k < half + more; k++) {
                memcpy(text + len, ",0", 2);
                len += 2;
            }
            len += (size_t)snprintf(text + len, room - len, "]}");
        }
        len += (size_t)snprintf(text + len, room - len, "]}");
        enum nx_status status = nx_v2_json_read((const uint8_t *)text, len, len, request, &err);
        assert_int_equal(status, more ? NX_TOO_LARGE : NX_OK);
        if (more) {
            assert_string_equal(err.text, "tensors of more than 33554432 bytes");
            assert_null(request->inputs[1].owned);
        }
        anew();
    }
    free(text);
}

static void versions_are_numbers_and_the_serving_one_counts(void **state)
{
    (void)state;
    static const char *const none[] = {"0", "01", "beta", "1.0", "-1", " 1", "1234567890123456789"};
    uint64_t version = 9;
    assert_int_equal(nx_v2_read_version("m", "", &version, &err), NX_OK);
    assert_int_equal(version, 0);
    assert_int_equal(nx_v2_read_version("m", "123456789012345678", &version, &err), NX_OK);
    assert_true(version == 123456789012345678);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(nx_v2_read_version("m", none[i], &version, &err), NX_NOT_FOUND);
        assert_non_null(strstr(err.text, "Request for unknown model: 'm' version '"));
    }
    assert_int_equal(nx_v2_check_version("m", 0, 5, &err), NX_OK);
    assert_int_equal(nx_v2_check_version("m", 5, 5, &err), NX_OK);
    assert_int_equal(nx_v2_check_version("m", 4, 5, &err), NX_NOT_FOUND);
    assert_string_equal(err.text,
                        "Request for unknown model: 'm' version 4 is not found, its version is 5");
    struct nx_err told = {NX_NOT_FOUND, "version 4 is not found, its version is 5"}, said;
    nx_v2_say_unknown("m", &told, &said);
    assert_string_equal(said.text, err.text);
    nx_v2_say_unknown("m", &(struct nx_err){NX_NOT_FOUND, "model m is not installed"}, &said);
    assert_string_equal(said.text, "Request for unknown model: 'm' is not found");
}

static void a_reply_is_json_where_json_has_a_form(void **state)
{
    (void)state;
    struct nx_tensors tensors = tensors_of_all();
    struct nx_infer_result result = {.rows = 2, .tensors = &tensors};
    struct nx_v2_reply reply;
    struct nx_text t;
    size_t json_bytes;
    bool binary;
    assert_int_equal(nx_v2_reply_make(request, &result, &reply, &err), NX_OK);
    nx_text_init(&t, 1 << 16);
    request->answered_by = 12;
    nx_v2_json_write(request, &reply, &t, &json_bytes, &binary);
    static const char want[] =
        "{\"model_name\":\"m\",\"model_version\":\"12\",\"outputs\":["
        "{\"name\":\"w\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"1:\",\"\\\"\"]},"
        "{\"name\":\"s\",\"datatype\":\"INT16\",\"shape\":[2,1],\"data\":[-2,300]},"
        "{\"name\":\"f\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[0.5,null]},"
        "{\"name\":\"b\",\"datatype\":\"BOOL\",\"shape\":[2],\"data\":[true,false]},"
        "{\"name\":\"u\",\"datatype\":\"UINT64\",\"shape\":[],\"data\":[18446744073709551615]},"
        "{\"name\":\"h\",\"datatype\":\"FP16\",\"shape\":[1],\"parameters\":{\"binary_data_size\":"
        "2}}]}";
    assert_int_equal(json_bytes, sizeof want - 1);
    assert_memory_equal(t.at, want, json_bytes);
    assert_true(binary);
    assert_int_equal(t.len, json_bytes + 2);
    assert_memory_equal(t.at + json_bytes, halves, 2);
    nx_text_free(&t);
    nx_v2_reply_free(&reply);
}

static void an_output_that_a_photo_does_not_have_is_refused(void **state)
{
    (void)state;
    struct nx_rows rows = {
        .output = "y", .rows = 1, .columns = 2, .values = (const uint8_t *)floats};
    struct nx_infer_result result = {
        .rows = 1, .parts_count = 1, .parts = &rows, .columns = 2, .output = "y"};
    struct nx_v2_reply reply;
    assert_int_equal(nx_v2_reply_make(request, &result, &reply, &err), NX_OK);
    assert_memory_equal(reply.tensors[0].data, floats, sizeof floats);
    nx_v2_reply_free(&reply);
    request->outputs_count = 1;
    memcpy(request->outputs[0].name, "nope", 5);
    assert_int_equal(nx_v2_reply_make(request, &result, &reply, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "unexpected inference output 'nope'"));
}

static void put_varint(uint8_t **at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *(*at)++ = (uint8_t)(v | 0x80);
    *(*at)++ = (uint8_t)v;
}

static void put_bytes(uint8_t **at, uint32_t field, const void *bytes, size_t len)
{
    put_varint(at, field << 3 | 2);
    put_varint(at, len);
    memcpy(*at, bytes, len);
    *at += len;
}

/* A ModelInferRequest whose only input, of shape [2], has these packed contents in that field. */
static enum nx_status read_contents(const char *datatype, uint32_t field, const void *packed,
                                    size_t len)
{
    uint8_t contents[64], input[128], message[256], *c = contents, *i = input, *m = message;
    struct nx_pb_v2_infer infer;
    put_bytes(&c, field, packed, len);
    put_bytes(&i, 1, "x", 1);
    put_bytes(&i, 2, datatype, strlen(datatype));
    put_bytes(&i, 3, "\x02", 1);
    put_bytes(&i, 5, contents, (size_t)(c - contents));
    put_bytes(&m, 1, "m", 1);
    put_bytes(&m, 5, input, (size_t)(i - input));
    anew();
    NX_TRY(nx_pb_v2_infer_decode(message, (size_t)(m - message), &infer, &err));
    enum nx_status status = nx_v2_pb_read(&infer, request, &err);
    if (status == NX_OK)
        status = nx_v2_to_ask(request, &ask, &err);
    if (status == NX_OK) /* before the message goes */
        memcpy(request->head, ask.bodies[1].bytes, ask.bodies[1].len);
    nx_pb_v2_infer_free(&infer);
    return status;
}

/* The same of `n` numbers 1, a byte each, with `unknown` fields that nobody knows behind them. */
static enum nx_status decode_ones(const char *datatype, uint32_t field, size_t n, size_t unknown,
                                  size_t *data_bytes)
{
    size_t room = n + 2 * unknown + 256;
    uint8_t *ones = malloc(room), *contents = malloc(room), *input = malloc(room);
    uint8_t *message = malloc(room), *c = contents, *i = input, *m = message;
    struct nx_pb_v2_infer infer;
    memset(ones, 1, n);
    put_bytes(&c, field, ones, n);
    put_bytes(&i, 1, "x", 1);
    put_bytes(&i, 2, datatype, strlen(datatype));
    put_bytes(&i, 5, contents, (size_t)(c - contents));
    put_bytes(&m, 1, "m", 1);
    put_bytes(&m, 5, input, (size_t)(i - input));
    for (; unknown > 0; unknown--, m += 2)
        memcpy(m, "\x78\x01", 2);
    enum nx_status status = nx_pb_v2_infer_decode(message, (size_t)(m - message), &infer, &err);
    if (status == NX_OK) {
        *data_bytes = infer.inputs[0].data.len;
        nx_pb_v2_infer_free(&infer);
    }
    free(message);
    free(input);
    free(contents);
    free(ones);
    return status;
}

/* Pixels and tokens as small numbers are several times as long in memory as they came. */
static void many_small_numbers_have_room(void **state)
{
    (void)state;
    enum { LARGEST = 32 << 20, TOKENS = LARGEST / 8 };
    size_t bytes = 0;
    assert_int_equal(decode_ones("UINT8", 4, 4 << 20, 0, &bytes), NX_OK);
    assert_int_equal(bytes, 4 << 20);
    assert_int_equal(decode_ones("UINT8", 4, LARGEST, 0, &bytes), NX_OK);
    assert_int_equal(bytes, LARGEST);
    assert_int_equal(decode_ones("INT64", 3, TOKENS, 0, &bytes), NX_OK);
    assert_int_equal(bytes, LARGEST);
    assert_int_equal(decode_ones("INT64", 3, LARGEST, 0, &bytes), NX_TOO_LARGE);
    assert_non_null(strstr(err.text, "of memory"));
    assert_int_equal(decode_ones("UINT8", 4, 2, 1 << 20, &bytes), NX_TOO_LARGE);
    assert_non_null(strstr(err.text, "of memory"));
}

static void typed_contents_are_as_raw_ones(void **state)
{
    (void)state;
    static const uint8_t minus_two_and_3[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xff, 0xff, 0xff, 0x01, 3};
    assert_int_equal(read_contents("INT8", 2, minus_two_and_3, 11), NX_OK);
    assert_memory_equal(request->head, "\xfe\x03", 2);
    assert_int_equal(read_contents("INT32", 2, minus_two_and_3, 11), NX_OK);
    assert_memory_equal(request->head, "\xfe\xff\xff\xff\x03\0\0\0", 8);
    assert_int_equal(read_contents("BOOL", 1, "\x01\x00", 2), NX_OK);
    assert_memory_equal(request->head, "\x01\x00", 2);
    assert_int_equal(read_contents("UINT8", 4, "\x01\xff\x01", 3), NX_OK);
    assert_memory_equal(request->head, "\x01\xff", 2);
    assert_int_equal(read_contents("UINT8", 4, "\x01\x80\x02", 3), NX_INVALID);
    assert_string_equal(err.text, "input 'x' has a number that is no UINT8");
    assert_int_equal(read_contents("INT64", 2, minus_two_and_3, 11), NX_INVALID);
    assert_string_equal(err.text, "input 'x' of datatype INT64 has contents of another");
    assert_int_equal(read_contents("FP16", 2, minus_two_and_3, 11), NX_INVALID);
    assert_int_equal(read_contents("INT8", 2, "\x01", 1), NX_INVALID);
    assert_string_equal(err.text, "input 'x' has 1 bytes, its shape needs 2");
}

static bool contains(const uint8_t *bytes, size_t len, const void *part, size_t part_len)
{
    for (size_t at = 0; at + part_len <= len; at++)
        if (memcmp(bytes + at, part, part_len) == 0)
            return true;
    return false;
}

static void a_reply_by_grpc_is_typed_unless_raw(void **state)
{
    (void)state;
    /* INT16 as int_contents, packed: -2, 300; and raw FP16 */
    static const uint8_t typed[] = {0x12, 12,   0xfe, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0x01, 0xac, 0x02};
    static const uint8_t raw[] = {0x32, 2, 0x00, 0x3c};
    struct nx_tensors tensors = tensors_of_all();
    struct nx_infer_result result = {.rows = 2, .tensors = &tensors};
    for (uint32_t count = 5; count <= 6;
         count++) { /* FP16, the sixth, has no contents: all goes raw */
        struct nx_v2_reply reply;
        uint8_t *bytes;
        size_t len;
        tensors.count = count;
        assert_int_equal(nx_v2_reply_make(request, &result, &reply, &err), NX_OK);
        assert_int_equal(nx_v2_pb_write(request, false, false, &reply, &bytes, &len, &err), NX_OK);
        assert_int_equal(contains(bytes, len, typed, sizeof typed), count == 5);
        assert_int_equal(contains(bytes, len, raw, sizeof raw), count == 6);
        free(bytes);
        nx_v2_reply_free(&reply);
    }
}

#define each(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(json_of_every_type_becomes_bytes),
        each(several_inputs_and_outputs_go_together),
        each(what_is_wrong_is_named),
        each(numbers_do_not_become_more_than_is_let_in),
        each(versions_are_numbers_and_the_serving_one_counts),
        each(a_reply_is_json_where_json_has_a_form),
        each(an_output_that_a_photo_does_not_have_is_refused),
        each(typed_contents_are_as_raw_ones),
        each(many_small_numbers_have_room),
        each(a_reply_by_grpc_is_typed_unless_raw),
    };
    return cmocka_run_group_tests_name("v2_request", tests, NULL, NULL);
}
