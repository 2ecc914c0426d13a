#include "cli/client_wire.h"
#include "nx_test.h"

#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

static uint8_t buffer[NX_CLIENT_WIRE_BYTES_MAX];

/* The bytes are written out by hand here: field << 3 | wire type, then the value. */
static void requests_have_the_fixed_field_numbers(void **state)
{
    (void)state;
    static const uint8_t photo[] = {0x0a, 0x08, 0x08, 0x90, 0x4e, 0x12, 0x03, 0x01, 0xac, 0x02};
    const uint32_t tags[] = {1, 300};
    assert_int_equal(nx_client_wire_photo(10000, tags, 2, buffer), sizeof photo);
    assert_memory_equal(buffer, photo, sizeof photo);

    static const uint8_t removal[] = {0x08, 0x07, 0x82, 0x01, 0x10};
    uint8_t id[NX_CLIENT_REQUEST_ID_BYTES];
    memset(id, 0xee, sizeof id);
    assert_int_equal(nx_client_wire_remove(7, id, buffer), sizeof removal + sizeof id);
    assert_memory_equal(buffer, removal, sizeof removal);
    assert_memory_equal(buffer + sizeof removal, id, sizeof id);

    static const uint8_t chunk[] = {0x12, 0x03, 'a', 'b', 'c'};
    assert_int_equal(nx_client_wire_photo_chunk(chunk + 2, 3, buffer), sizeof chunk);
    assert_memory_equal(buffer, chunk, sizeof chunk);
    assert_int_equal(nx_client_wire_install_chunk(chunk + 2, 3, buffer), sizeof chunk);
    assert_memory_equal(buffer, chunk, sizeof chunk);
}

static void an_install_announces_sizes_id_recipe_and_format(void **state)
{
    (void)state;
    char recipe[] = "raw-255";
    struct nx_client_install install = {
        .tag = 1, .synset_bytes = 2, .model_bytes = 3, .params_bytes = 4, .recipe = recipe};
    static const uint8_t head[] = {0x0a, 0x25, 0x08, 1,    0x10, 2,   0x18,
                                   3,    0x20, 4,    0x82, 0x01, 0x10};
    static const uint8_t tail[] = {0x8a, 0x01, 7, 'r', 'a', 'w', '-', '2', '5', '5'};
    size_t len = nx_client_wire_install(&install, buffer);
    assert_int_equal(len, sizeof head + NX_CLIENT_REQUEST_ID_BYTES + sizeof tail);
    assert_memory_equal(buffer, head, sizeof head);
    assert_memory_equal(buffer + len - sizeof tail, tail, sizeof tail);

    static const uint8_t onnx[] = {0x92, 0x01, 4, 'o', 'n', 'n', 'x'};
    install.recipe = NULL;
    install.onnx = true;
    len = nx_client_wire_install(&install, buffer);
    assert_memory_equal(buffer + len - sizeof onnx, onnx, sizeof onnx);
}

static void a_whole_chunk_and_the_longest_recipe_fit(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(1, NX_CLIENT_CHUNK_BYTES);
    char *recipe = malloc(64 * 1024 + 1);
    memset(recipe, 'r', 64 * 1024);
    recipe[64 * 1024] = 0;
    struct nx_client_install install = {.recipe = recipe, .onnx = true};
    assert_true(nx_client_wire_install_chunk(bytes, NX_CLIENT_CHUNK_BYTES, buffer) <=
                sizeof buffer);
    assert_true(nx_client_wire_install(&install, buffer) > 64 * 1024);
    free(recipe);
    free(bytes);
}

static void replies_are_read(void **state)
{
    (void)state;
    static const uint8_t refusal[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0x01, 0x12, 0x02, 'n',  'o'};
    int32_t code = 0;
    char *text = NULL;
    assert_int_equal(nx_client_wire_read_answer(refusal, sizeof refusal, &code, &text, NULL),
                     NX_OK);
    assert_int_equal(code, -1);
    assert_string_equal(text, "no");
    free(text);
    static const uint8_t empty[1];
    assert_int_equal(nx_client_wire_read_answer(empty, 0, &code, &text, NULL), NX_OK);
    assert_int_equal(code, 0);
    assert_string_equal(text, "");
    free(text);
    static const uint8_t rose[] = {0x0a, 0x05, 'r', 'o', 's', 'e', '\n'};
    assert_int_equal(nx_client_wire_read_photo(rose, sizeof rose, &text, NULL), NX_OK);
    assert_string_equal(text, "rose?");
    free(text);
}

static void a_cut_reply_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    static const uint8_t rose[] = {0x0a, 0x05, 'r', 'o', 's', 'e', 's'};
    char *text = NULL;
    int32_t code = 4711;
    struct nx_err err = {0};
    for (size_t len = 1; len < sizeof rose; len++) {
        assert_int_equal(nx_client_wire_read_photo(rose, len, &text, &err), NX_CORRUPT);
        assert_int_equal(nx_client_wire_read_answer(rose, len, &code, &text, &err), NX_CORRUPT);
    }
    assert_null(text);
    assert_int_equal(code, 4711);
    nx_alloc_fail_at(1);
    assert_int_equal(nx_client_wire_read_photo(rose, sizeof rose, &text, &err), NX_NO_MEMORY);
    nx_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_have_the_fixed_field_numbers),
        cmocka_unit_test(an_install_announces_sizes_id_recipe_and_format),
        cmocka_unit_test(a_whole_chunk_and_the_longest_recipe_fit),
        cmocka_unit_test(replies_are_read),
        cmocka_unit_test(a_cut_reply_is_refused_and_nothing_is_written),
    };
    return cmocka_run_group_tests_name("client_wire", tests, NULL, NULL);
}
