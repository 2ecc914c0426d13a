/* The requests that the load generator sends, read back by the decoders of the servers they are for. */
#include "bench/load/load_api.h"
#include "function_tier/grpc/grpc_frame.h"
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_v2.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PHOTO_BYTES = 150000 };

static uint8_t photo[PHOTO_BYTES];
static struct load_request request;
static struct nx_err err;

static int make_photo(void **state)
{
    (void)state;
    for (int i = 0; i < PHOTO_BYTES; i++)
        photo[i] = (uint8_t)(i * 7);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    load_api_free(&request);
    return 0;
}

static enum nx_status make(const char *api, const char *model, const char *header)
{
    struct load_ask ask = {.api = api,
                           .model = model,
                           .input = "data",
                           .photo = photo,
                           .photo_bytes = PHOTO_BYTES,
                           .host = "node:1",
                           .headers = {header}};
    return load_api_make(&ask, &request, &err);
}

/* The message at *at of the call; *at moves behind it. */
static struct nx_grpc_frame next_message(size_t *at)
{
    struct nx_grpc_frame frame;
    assert_int_equal(
        nx_grpc_frame_parse(request.bytes + *at, request.len - *at, UINT32_MAX, &frame), NX_OK);
    *at += frame.total_bytes;
    return frame;
}

static void the_demo_gets_metadata_then_the_photo(void **state)
{
    (void)state;
    struct nx_pb_part part;
    struct nx_pb_photo meta;
    size_t at = 0, got = 0;
    assert_int_equal(make("demo", "42", NULL), NX_OK);
    struct nx_grpc_frame frame = next_message(&at);
    assert_int_equal(nx_pb_whatsthis_decode(frame.message, frame.message_bytes, &part, &meta, &err),
                     NX_OK);
    assert_true(part.metadata);
    assert_int_equal(meta.photo_bytes, PHOTO_BYTES);
    assert_int_equal(meta.tag_count, 1);
    assert_int_equal(meta.tags[0], 42);
    while (at < request.len) {
        frame = next_message(&at);
        assert_int_equal(
            nx_pb_whatsthis_decode(frame.message, frame.message_bytes, &part, &meta, &err), NX_OK);
        assert_false(part.metadata);
        assert_memory_equal(part.chunk, photo + got, part.chunk_bytes);
        got += part.chunk_bytes;
    }
    assert_int_equal(got, PHOTO_BYTES);
}

static void v2_gets_one_tensor_of_one_photo(void **state)
{
    (void)state;
    struct nx_pb_v2_infer infer;
    size_t at = 0;
    assert_int_equal(make("v2-grpc", "flowers", "Authorization: Bearer x y"), NX_OK);
    struct nx_grpc_frame frame = next_message(&at);
    assert_int_equal(at, request.len);
    assert_int_equal(nx_pb_v2_infer_decode(frame.message, frame.message_bytes, &infer, &err),
                     NX_OK);
    assert_string_equal(infer.model, "flowers");
    assert_int_equal(infer.inputs_count, 1);
    assert_string_equal(infer.inputs[0].name, "data");
    assert_string_equal(infer.inputs[0].datatype, "BYTES");
    assert_int_equal(infer.inputs[0].rank, 1);
    assert_int_equal(infer.inputs[0].dims[0], 1);
    assert_int_equal(infer.inputs[0].data.len, 4 + PHOTO_BYTES);
    assert_memory_equal(infer.inputs[0].data.at + 4, photo, PHOTO_BYTES);
    nx_pb_v2_infer_free(&infer);
    assert_int_equal(request.headers_count, 1);
    assert_string_equal(request.headers[0].name, "authorization");
    assert_string_equal(request.headers[0].value, "Bearer x y");
}

static void v2_gets_a_tensor_of_a_shape(void **state)
{
    (void)state;
    struct nx_pb_v2_infer infer;
    size_t at = 0;
    struct load_ask ask = {
        .api = "v2-grpc", .model = "1", .input = "x", .host = "h", .dims = {1, 300}, .rank = 2};
    assert_int_equal(load_api_make(&ask, &request, &err), NX_OK);
    struct nx_grpc_frame frame = next_message(&at);
    assert_int_equal(nx_pb_v2_infer_decode(frame.message, frame.message_bytes, &infer, &err),
                     NX_OK);
    assert_string_equal(infer.inputs[0].datatype, "FP32");
    assert_int_equal(infer.inputs[0].rank, 2);
    assert_int_equal(infer.inputs[0].dims[1], 300);
    assert_int_equal(infer.inputs[0].data.len, 1200);
    nx_pb_v2_infer_free(&infer);
    load_api_free(&request);
    ask.api = "v2-rest";
    assert_int_equal(load_api_make(&ask, &request, &err), NX_OK);
    ask.api = "mms";
    load_api_free(&request);
    assert_int_equal(load_api_make(&ask, &request, &err), NX_INVALID);
}

static void http_lengths_are_those_of_the_bodies(void **state)
{
    (void)state;
    static const char *const apis[] = {"v2-rest", "mms", "mms-form"};
    for (size_t i = 0; i < sizeof apis / sizeof *apis; i++) {
        assert_int_equal(make(apis[i], "7", "X-Y: z"), NX_OK);
        const char *head = (const char *)request.bytes, *end = strstr(head, "\r\n\r\n"),
                   *len = strstr(head, "\r\nContent-Length: ");
        assert_non_null(end);
        assert_true(len && len < end);
        assert_int_equal((const char *)request.bytes + request.len - (end + 4),
                         strtoul(len + 18, NULL, 10));
        assert_non_null(strstr(head, "\r\nX-Y: z\r\n"));
        assert_non_null(strstr(head, "\r\nHost: node:1\r\n"));
        load_api_free(&request);
    }
}

static void a_call_without_fields_is_one_empty_message(void **state)
{
    (void)state;
    assert_int_equal(make("health-grpc", NULL, NULL), NX_OK);
    assert_int_equal(request.len, NX_GRPC_PREFIX_BYTES);
    assert_string_equal(request.path, "/grpc.health.v1.Health/Check");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    assert_int_equal(make("soap", "1", NULL), NX_INVALID);
    assert_non_null(strstr(err.text, "soap"));
    assert_int_equal(make("mms", NULL, NULL), NX_INVALID);
    assert_non_null(strstr(err.text, "--model"));
    assert_int_equal(make("demo", "flowers", NULL), NX_INVALID);
    assert_non_null(strstr(err.text, "flowers"));
    assert_int_equal(make("ping", NULL, "no colon"), NX_INVALID);
    assert_int_equal(make("ping", NULL, "a: b\r\nc: d"), NX_INVALID);
}

static void every_name_is_an_api(void **state)
{
    (void)state;
    char names[256], *save = NULL;
    snprintf(names, sizeof names, "%s", load_api_names());
    for (char *n = strtok_r(names, ", ", &save); n; n = strtok_r(NULL, ", ", &save)) {
        assert_int_equal(make(n, "1", NULL), NX_OK);
        load_api_free(&request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_demo_gets_metadata_then_the_photo, tear_down),
        cmocka_unit_test_teardown(v2_gets_one_tensor_of_one_photo, tear_down),
        cmocka_unit_test_teardown(v2_gets_a_tensor_of_a_shape, tear_down),
        cmocka_unit_test_teardown(http_lengths_are_those_of_the_bodies, tear_down),
        cmocka_unit_test_teardown(a_call_without_fields_is_one_empty_message, tear_down),
        cmocka_unit_test_teardown(what_is_missing_is_named, tear_down),
        cmocka_unit_test_teardown(every_name_is_an_api, tear_down),
    };
    return cmocka_run_group_tests(tests, make_photo, NULL);
}
