#include "common/arena.h"
#include "common/utf8.h"
#include "function_tier/pb/pb_control.h"
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_health.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static struct nx_err err;

static void text_is_utf8_without_nul(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        bool ok;
    } cases[] = {
        {"", 0, true},
        {"rose", 4, true},
        {"tulip\xc3\xa9", 7, true},
        {"\xe2\x82\xac", 3, true},
        {"\xf0\x9f\x8c\xb7", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"a\0b", 3, false},
        {"\x80", 1, false},
        {"\xc3", 1, false},
        {"\xc0\xaf", 2, false},
        {"\xe0\x80\x80", 3, false},
        {"\xed\xa0\x80", 3, false},
        {"\xf4\x90\x80\x80", 4, false},
        {"\xf5\x80\x80\x80", 4, false},
        {"\xe2\x82", 2, false},
        {"\xe2\x82x", 3, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(nx_utf8_ok(cases[i].text, cases[i].len), cases[i].ok);
}

/* Written by hand from the protocol's numbers, not by our encoder. */
static void the_wire_numbers_are_the_demos(void **state)
{
    (void)state;
    static const uint8_t unpacked[] = {0x0a, 0x06, 0x08, 0x0a, 0x10, 0x01, 0x10, 0x02};
    static const uint8_t packed[] = {0x0a, 0x06, 0x08, 0x0a, 0x12, 0x02, 0x01, 0x02};
    struct nx_pb_part part;
    struct nx_pb_photo photo;
    const uint8_t *both[] = {unpacked, packed};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nx_pb_whatsthis_decode(both[i], 8, &part, &photo, &err), NX_OK);
        assert_int_equal(photo.photo_bytes, 10);
        assert_int_equal(photo.tag_count, 2);
        assert_int_equal(photo.tags[1], 2);
    }
    static const uint8_t install[] = {0x0a, 0x08, 0x08, 0x01, 0x10, 0x02, 0x18, 0x03, 0x20, 0x04};
    struct nx_pb_model *model = calloc(1, sizeof *model);
    assert_int_equal(nx_pb_install_decode(install, sizeof install, &part, model, &err), NX_OK);
    assert_int_equal(model->tag, 1);
    assert_int_equal(model->synset_bytes, 2);
    assert_int_equal(model->symbol_bytes, 3);
    assert_int_equal(model->params_bytes, 4);
    assert_false(model->has_request_id);
    assert_string_equal(model->recipe, "");
    free(model);
    uint8_t reply[64];
    size_t len;
    assert_int_equal(nx_pb_model_reply_encode(-1, "no", reply, sizeof reply, &len), NX_OK);
    static const uint8_t expected[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0x01, 0x12, 0x02, 'n',  'o'};
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(reply, expected, len);
}

static void a_chunk_stays_where_it_is(void **state)
{
    (void)state;
    size_t bytes_max = 300000;
    uint8_t *bytes = calloc(1, bytes_max + 16);
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t prefix = nx_pb_chunk_prefix(bytes, sizes[i]);
        struct nx_pb_part part;
        struct nx_pb_photo photo;
        assert_int_equal(nx_pb_whatsthis_decode(bytes, prefix + sizes[i], &part, &photo, &err),
                         NX_OK);
        assert_false(part.metadata);
        assert_int_equal(part.chunk_bytes, sizes[i]);
        assert_ptr_equal(part.chunk, bytes + prefix);
        if (sizes[i])
            assert_int_equal(
                nx_pb_whatsthis_decode(bytes, prefix + sizes[i] - 1, &part, &photo, &err),
                NX_CORRUPT);
    }
    free(bytes);
}

static void an_install_says_all_it_has(void **state)
{
    (void)state;
    struct nx_pb_model *model = calloc(1, sizeof *model);
    static const char bytes[] = "\x0a\x2b\x08\x09\x20\xff\xff\xff\xff\x0f"
                                "\x82\x01\x10"
                                "0123456789abcdef"
                                "\x8a\x01\x05photo\x92\x01\x05mxnet";
    struct nx_pb_part part;
    assert_int_equal(
        nx_pb_install_decode((const uint8_t *)bytes, sizeof bytes - 1, &part, model, &err), NX_OK);
    assert_true(part.metadata);
    assert_int_equal(model->tag, 9);
    assert_true(model->params_bytes == UINT32_MAX);
    assert_true(model->has_request_id);
    assert_memory_equal(model->request_id, "0123456789abcdef", 16);
    assert_string_equal(model->recipe, "photo");
    assert_string_equal(model->format, "mxnet");
    free(model);
}

static void a_removal_has_a_tag_and_perhaps_an_id(void **state)
{
    (void)state;
    struct nx_pb_removal removal;
    static const uint8_t plain[] = {0x08, 0x03};
    assert_int_equal(nx_pb_removal_decode(plain, sizeof plain, &removal, &err), NX_OK);
    assert_int_equal(removal.tag, 3);
    assert_false(removal.has_request_id);
    static const uint8_t short_id[] = {0x08, 0x03, 0x82, 0x01, 0x02, 'a', 'b'};
    assert_int_equal(nx_pb_removal_decode(short_id, sizeof short_id, &removal, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, "2 bytes, 16 were expected"));
}

static void what_is_not_the_message_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x0a\x05\x08", 3},                                  /* longer than what follows */
        {"\x0a\x02\x08\x01\x12\x01x", 7},                     /* metadata and a chunk */
        {"\x12\x01x\x12\x01y", 6},                            /* two chunks */
        {"\x0b\x0c", 2},                                      /* a group */
        {"\x00\x00", 2},                                      /* field 0 */
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* a length of 2^64 - 1 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11}, /* an endless varint */
        {"\x0a\x02\x08\xff", 4},                              /* cut inside the metadata */
        {"\x0a\x05\x8a\x01\x02\xc3\x28", 7}, /* field 17 of an install: not UTF-8 */
    };
    struct nx_pb_part part = {.chunk_bytes = 77};
    struct nx_pb_model *model = calloc(1, sizeof *model);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        err.text[0] = '\0';
        assert_int_equal(nx_pb_install_decode(bytes, cases[i].len, &part, model, &err), NX_CORRUPT);
        assert_true(err.text[0] != '\0');
        assert_int_equal(part.chunk_bytes, 77);
    }
    free(model);
}

static void what_is_over_a_bound_is_refused(void **state)
{
    (void)state;
    struct nx_pb_part part;
    struct nx_pb_photo photo;
    uint8_t tags[2 + 2 * (NX_PB_TAGS_MAX + 1)] = {0x0a, 2 * NX_PB_TAGS_MAX};
    for (int i = 0; i <= NX_PB_TAGS_MAX; i++)
        memcpy(tags + 2 + 2 * i, "\x10\x05", 2);
    assert_true(2 * NX_PB_TAGS_MAX == 0x80);
    uint8_t bytes[3 + sizeof tags];
    memcpy(bytes, "\x0a\x80\x01", 3);
    memcpy(bytes + 3, tags + 2, 128);
    assert_int_equal(nx_pb_whatsthis_decode(bytes, 131, &part, &photo, &err), NX_OK);
    assert_int_equal(photo.tag_count, NX_PB_TAGS_MAX);
    bytes[1] = 0x82;
    memcpy(bytes + 131, "\x10\x05", 2);
    assert_int_equal(nx_pb_whatsthis_decode(bytes, 133, &part, &photo, &err), NX_TOO_LARGE);
    assert_non_null(strstr(err.text, "65 tags"));
}

/* 4 KiB of unknown fields are 12 times as much once unpacked; the allowance says no. */
static void memory_is_capped(void **state)
{
    (void)state;
    enum { FIELDS = 15000 };
    uint8_t *bytes = malloc(2 * FIELDS + 4);
    struct nx_pb_part part;
    struct nx_pb_photo photo;
    memcpy(bytes, "\x0a\xb0\xea\x01", 4); /* 30000 bytes */
    for (int i = 0; i < FIELDS; i++)
        memcpy(bytes + 4 + 2 * i, "\x78\x01", 2);
    assert_int_equal(nx_pb_whatsthis_decode(bytes, 30004, &part, &photo, &err), NX_TOO_LARGE);
    assert_non_null(strstr(err.text, "of memory"));
    free(bytes);
}

static void a_failed_allocation_is_a_status(void **state)
{
    (void)state;
    struct nx_pb_model *model = calloc(1, sizeof *model);
    struct nx_pb_part part;
    static const uint8_t bytes[] = "\x0a\x08\x8a\x01\x05photo";
    size_t len = sizeof bytes - 1;
    enum nx_status status = NX_INTERNAL;
    int failures = 0;
    for (int n = 1; status != NX_OK && n < 20; n++) {
        nx_alloc_fail_at((uint64_t)n);
        status = nx_pb_install_decode(bytes, len, &part, model, &err);
        failures += status != NX_OK;
    }
    nx_alloc_fail_at(0);
    assert_int_equal(status, NX_OK);
    assert_true(failures >= 2);
    free(model);
}

static void replies_bear_the_demos_numbers(void **state)
{
    (void)state;
    const char *labels[] = {"rose", "lily"};
    const float probabilities[] = {0.75f, 0.5f};
    struct nx_pb_photo_reply reply = {"rose or lily", labels, probabilities, 2};
    uint8_t bytes[256];
    size_t len;
    static const char expected[] = "\x0a\x0crose or lily"
                                   "\x82\x01\x08\0\0\x40\x3f\0\0\0\x3f"
                                   "\x8a\x01\x04rose\x8a\x01\x04lily";
    assert_int_equal(nx_pb_photo_reply_encode(&reply, bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(len, sizeof expected - 1);
    assert_memory_equal(bytes, expected, len);
    assert_int_equal(nx_pb_photo_reply_encode(&reply, bytes, len - 1, &len), NX_TOO_LARGE);
    labels[1] = "\xff";
    assert_int_equal(nx_pb_photo_reply_encode(&reply, bytes, sizeof bytes, &len), NX_INVALID);
    assert_int_equal(nx_pb_model_reply_encode(1, "\xff", bytes, sizeof bytes, &len), NX_INVALID);
}

/* What the client writes is what the function tier reads, and the other way round. */
static void both_sides_agree_on_requests(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t len;
    struct nx_pb_part part;
    const struct nx_pb_photo photo = {
        .photo_bytes = 20000, .tags = {7, 1, 4000000000u}, .tag_count = 3};
    struct nx_pb_photo photo_back;
    assert_int_equal(nx_pb_photo_encode(&photo, bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(nx_pb_whatsthis_decode(bytes, len, &part, &photo_back, &err), NX_OK);
    assert_int_equal(photo_back.tag_count, 3);
    assert_memory_equal(photo_back.tags, photo.tags, 3 * sizeof photo.tags[0]);
    assert_int_equal(photo_back.model_count, 0);
    const struct nx_pb_photo named = {.models = {{"rose", 3}, {"7", 0}}, .model_count = 2};
    assert_int_equal(nx_pb_photo_encode(&named, bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(nx_pb_whatsthis_decode(bytes, len, &part, &photo_back, &err), NX_OK);
    assert_int_equal(photo_back.tag_count, 0);
    assert_int_equal(photo_back.model_count, 2);
    assert_string_equal(photo_back.models[0].name, "rose");
    assert_int_equal(photo_back.models[0].version, 3);
    assert_string_equal(photo_back.models[1].name, "7");
    struct nx_pb_model *model = calloc(2, sizeof *model), *back = model + 1;
    *model = (struct nx_pb_model){.tag = 9,
                                  .synset_bytes = 1,
                                  .symbol_bytes = 2,
                                  .params_bytes = 4294967295u,
                                  .calibration_bytes = 77,
                                  .has_request_id = true,
                                  .request_id = "0123456789abcde",
                                  .recipe = "size = 224\n",
                                  .format = "mxnet"};
    assert_int_equal(nx_pb_model_encode(model, bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(nx_pb_install_decode(bytes, len, &part, back, &err), NX_OK);
    assert_int_equal(back->tag, 9);
    assert_true(back->params_bytes == UINT32_MAX && back->has_request_id);
    assert_int_equal(back->calibration_bytes, 77);
    assert_memory_equal(back->request_id, model->request_id, NX_PB_REQUEST_ID_BYTES);
    assert_string_equal(back->recipe, model->recipe);
    assert_string_equal(back->format, model->format);
    assert_int_equal(nx_pb_model_encode(model, bytes, len - 1, &len), NX_TOO_LARGE);
    free(model);
    const struct nx_pb_removal removal = {.tag = 3, .has_request_id = true, .request_id = "x"};
    struct nx_pb_removal removal_back;
    assert_int_equal(nx_pb_removal_encode(&removal, bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(nx_pb_removal_decode(bytes, len, &removal_back, &err), NX_OK);
    assert_int_equal(removal_back.tag, 3);
    assert_true(removal_back.has_request_id);
    assert_memory_equal(removal_back.request_id, removal.request_id, NX_PB_REQUEST_ID_BYTES);
}

static void both_sides_agree_on_replies(void **state)
{
    (void)state;
    struct nx_pb_photo_reply reply = {.desc = "rose or beagle"};
    uint8_t bytes[256];
    size_t len;
    char text[64];
    int32_t code = 0;
    assert_int_equal(nx_pb_photo_reply_encode(&reply, bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(nx_pb_photo_reply_decode(bytes, len, text, sizeof text, &err), NX_OK);
    assert_string_equal(text, "rose or beagle");
    assert_int_equal(nx_pb_photo_reply_decode(bytes, len, text, 5, &err), NX_OK);
    assert_string_equal(text, "rose");
    assert_int_equal(nx_pb_model_reply_encode(-7, "no", bytes, sizeof bytes, &len), NX_OK);
    assert_int_equal(nx_pb_model_reply_decode(bytes, len, &code, text, sizeof text, &err), NX_OK);
    assert_int_equal(code, -7);
    assert_string_equal(text, "no");
    assert_int_equal(nx_pb_model_reply_decode(bytes, len - 1, &code, text, sizeof text, &err),
                     NX_CORRUPT);
}

static void health_messages(void **state)
{
    (void)state;
    char service[NX_PB_SERVICE_NAME_BYTES];
    assert_int_equal(nx_pb_health_decode((const uint8_t *)"\x0a\x03one", 5, service, &err), NX_OK);
    assert_string_equal(service, "one");
    assert_int_equal(nx_pb_health_decode(NULL, 0, service, &err), NX_OK);
    assert_string_equal(service, "");
    uint8_t reply[NX_PB_HEALTH_REPLY_BYTES];
    assert_int_equal(nx_pb_health_encode(NX_PB_NOT_SERVING, reply), 2);
    assert_memory_equal(reply, "\x08\x02", 2);
}

static unsigned replicas_seen, models_seen;

static void check_listed(void *ctx, const struct nx_pb_replica *r, const struct nx_pb_model_row *m)
{
    const struct nx_pb_replica *sent = (const struct nx_pb_replica *)ctx + r->node;
    assert_string_equal(r->error, sent->error);
    assert_int_equal(r->shard, sent->shard);
    assert_int_equal(r->models_count, sent->models_count);
    assert_int_equal(r->memory_limit_bytes, sent->memory_limit_bytes);
    if (!m) {
        replicas_seen++;
        return;
    }
    models_seen++;
    const struct nx_pb_model_row *row = &sent->models[m->tag];
    assert_string_equal(m->name, row->name);
    assert_string_equal(m->recipe, row->recipe);
    assert_string_equal(m->device, row->device);
    assert_string_equal(m->precision, row->precision);
    assert_string_equal(m->state, row->state);
    assert_int_equal(m->version, row->version);
    assert_int_equal(m->batch_us, row->batch_us);
    assert_int_equal(m->memory_bytes, row->memory_bytes);
}

static void both_sides_agree_on_lists(void **state)
{
    (void)state;
    static const struct nx_pb_model_row models[2] = {
        {0, 1ull << 40, "a-name", "ready", "mxnet", "imagenet", "cpu_dnnl", "bf16", 1, 2, 3, 4, 5,
         6, 0, 0, 0, 0, 0},
        {1, 7, "", "loading", "", "", "", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
    struct nx_pb_replica replicas[2] = {{0, 3, "", 10, 20, models, 2, NULL},
                                        {1, 4, "gone", 0, 0, NULL, 0, NULL}};
    uint8_t *bytes;
    size_t len;
    assert_int_equal(nx_pb_list_encode(replicas, 2, &bytes, &len, &err), NX_OK);
    assert_int_equal(nx_pb_list_decode(bytes, len, check_listed, replicas, &err), NX_OK);
    assert_int_equal(replicas_seen, 2);
    assert_int_equal(models_seen, 2);
    assert_int_equal(nx_pb_list_decode(bytes, len - 1, check_listed, replicas, &err), NX_CORRUPT);
    free(bytes);
    assert_int_equal(nx_pb_list_request_decode((const uint8_t *)"", 0, &err), NX_OK);
    assert_int_equal(nx_pb_list_request_decode((const uint8_t *)"\xff", 1, &err), NX_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_utf8_without_nul),
        cmocka_unit_test(the_wire_numbers_are_the_demos),
        cmocka_unit_test(a_chunk_stays_where_it_is),
        cmocka_unit_test(an_install_says_all_it_has),
        cmocka_unit_test(a_removal_has_a_tag_and_perhaps_an_id),
        cmocka_unit_test(what_is_not_the_message_is_refused),
        cmocka_unit_test(what_is_over_a_bound_is_refused),
        cmocka_unit_test(memory_is_capped),
        cmocka_unit_test(a_failed_allocation_is_a_status),
        cmocka_unit_test(replies_bear_the_demos_numbers),
        cmocka_unit_test(both_sides_agree_on_requests),
        cmocka_unit_test(both_sides_agree_on_replies),
        cmocka_unit_test(health_messages),
        cmocka_unit_test(both_sides_agree_on_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
