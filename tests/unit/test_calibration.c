/* A calibration as a file: read, written, and refused; and what makes it a model's. */
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/calibration.h"
#include "nx_test.h"

#define HEAD "nexus calibration 1\nmodel 00c0ffee00c0ffee\nrule minmax, 3 photos\ntensors 20\n"

static enum nx_status parse(const char *text, size_t len, struct nx_arena *arena,
                            struct nx_calibration *c, struct nx_err *err)
{
    nx_arena_init(arena, SIZE_MAX);
    return nx_calibration_parse(text, len, arena, c, err);
}

static void lines_become_ranges(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_calibration c;
    struct nx_err err = {0};
    static const char text[] = HEAD "0 -2.5 1e3 data\n7 0 0 with blanks  in it\n19 -1 -0.5\nend\n";
    assert_int_equal(parse(text, strlen(text), &arena, &c, &err), NX_OK);
    assert_true(c.mark == UINT64_C(0x00c0ffee00c0ffee));
    assert_string_equal(c.rule, "minmax, 3 photos");
    assert_int_equal(c.n_tensors, 20);
    assert_true(c.ranges[0].known && c.ranges[0].low == -2.5f && c.ranges[0].high == 1000);
    assert_true(c.ranges[7].known && c.ranges[7].low == 0 && c.ranges[7].high == 0);
    assert_true(c.ranges[19].known && c.ranges[19].high == -0.5f);
    assert_false(c.ranges[1].known || c.ranges[18].known);
    nx_arena_free(&arena);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_quant_range ranges[3] = {
        {true, -1.1754944e-38f, 3.4e17f}, {false, 0, 0}, {true, 0.1f, 0.3f}};
    struct nx_calibration c = {.mark = UINT64_MAX,
                               .rule = "a rule",
                               .n_tensors = 3,
                               .ranges = ranges},
                          again;
    char name[600], *text;
    size_t len;
    struct nx_err err = {0};
    memset(name, 'n', sizeof name);
    name[599] = 0;
    name[3] = '\n'; /* of any bytes and any length: it may not begin a line of its own */
    const char *names[] = {name, NULL, ""};
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(nx_calibration_write(out, &c, names, &err), NX_OK);
    fclose(out);
    assert_int_equal(parse(text, len, &arena, &again, &err), NX_OK);
    assert_true(again.mark == c.mark && again.n_tensors == 3);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(&again.ranges[i].low, &ranges[i].low, 2 * sizeof(float));
    nx_arena_free(&arena);
    free(text);
}

static void what_is_none_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "line 1: expected \"nexus calibration 1\""},
        {"nexus calibration 2\n", "line 1: expected \"nexus calibration 1\""},
        {"nexus calibration 1\nmodel 12\n", "line 2: expected \"model\" and 16"},
        {"nexus calibration 1\nmodel 00C0ffee00c0ffee\n", "line 2: "},
        {"nexus calibration 1\nmodel 00c0ffee00c0ffee0\n", "line 2: "},
        {"nexus calibration 1\nmodel 00c0ffee00c0ffee\nrule \x1b[2J\n", "line 3: "},
        {"nexus calibration 1\nmodel 00c0ffee00c0ffee\nrule x\ntensors 0\n", "line 4: "},
        {"nexus calibration 1\nmodel 00c0ffee00c0ffee\nrule x\ntensors 60001\n", "line 4: "},
        {"nexus calibration 1\nmodel 00c0ffee00c0ffee\nrule x\ntensors 99999999999\n", "line 4: "},
        {"nexus calibration 1\nmodel 00c0ffee00c0ffee\nrule x\ntensors -1\n", "line 4: "},
        {HEAD, "line 4: expected at least one tensor's range"},
        {HEAD "20 0 1 x\n", "line 5: expected the index of a tensor that the model has"},
        {HEAD "4294967297 0 1 x\n", "line 5: "},
        {HEAD "-1 0 1 x\n", "line 5: "},
        {HEAD "3 0 1 x\n3 0 1 x\n", "line 6: expected an index above that of the line before"},
        {HEAD "3 0 1 x\n2 0 1 x\n", "line 6: "},
        {HEAD "3 nan 1 x\n", "line 5: expected two numbers within 1e18 of 0, low <= high"},
        {HEAD "3 0 inf x\n", "line 5: "},
        {HEAD "3 0 0x10 x\n", "line 5: "},
        {HEAD "3 1 0 x\n", "line 5: "},
        {HEAD "3 0 1e19 x\n", "line 5: "},
        {HEAD "3 0 1e999 x\n", "line 5: "},
        {HEAD "3 0\n", "line 5: "},
        {HEAD "3 0 \n", "line 5: "},
        {HEAD "3  0 1 x\n", "line 5: "},
        {HEAD "3 0 1,5 x\n", "line 5: "},
        {HEAD "3 . 1 x\n", "line 5: "},
        {HEAD "\n3 0 1 x\n", "line 5: "},
        {HEAD "3 0 1 x\n4 0 1", "line 7: expected \"end\": the file is cut"},
        {HEAD "3 0 1 x\n", "line 6: expected \"end\": the file is cut"},
        {HEAD "3 0 1 x\nend", "line 6: expected the index of a tensor, its range and its name"},
        {HEAD "3 0 1 x\nend\n\n", "line 6: "},
        {HEAD "3 0 1 x\nend\n4 0 1 x\nend\n", "line 6: "},
        {HEAD "end\n", "line 4: expected at least one tensor's range"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nx_arena arena;
        struct nx_calibration c = {.n_tensors = 77};
        struct nx_err err = {0};
        assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &arena, &c, &err), NX_CORRUPT);
        if (!strstr(err.text, rows[i].why))
            fail_msg("row %zu says: %s", i, err.text);
        assert_int_equal(c.n_tensors, 77);
        nx_arena_free(&arena);
    }
}

static void a_line_has_an_end_and_a_file_too(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_calibration c;
    struct nx_err err = {0};
    size_t len = NX_CALIBRATION_BYTES_MAX + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, HEAD "3 0 1 ", strlen(HEAD "3 0 1 "));
    assert_int_equal(parse(text, len, &arena, &c, &err), NX_TOO_LARGE);
    nx_arena_free(&arena);
    assert_int_equal(parse(text, len - 1, &arena, &c, &err), NX_CORRUPT);
    nx_arena_free(&arena);
    assert_int_equal(parse(HEAD "3 0 1 a\0b\n", sizeof HEAD - 1 + 10, &arena, &c, &err),
                     NX_CORRUPT);
    nx_arena_free(&arena);
    free(text);
}

static struct nx_graph graph_of(struct nx_arena *arena, const char *name, enum nx_unary fn)
{
    struct nx_graph g;
    uint32_t x, at;
    nx_graph_init(&g, arena);
    assert_int_equal(nx_graph_add_tensor(&g, NX_TENSOR_INPUT, "data", &x, NULL), NX_OK);
    struct nx_node node = {.op = NX_OP_BINARY,
                           .name = name,
                           .n_inputs = 2,
                           .n_outputs = 1,
                           .inputs = (uint32_t[]){x, x},
                           .post.act.fn = fn};
    assert_int_equal(nx_graph_add_node(&g, &node, &at, NULL), NX_OK);
    return g;
}

/* Any byte of the files, their order, a name, and what a pass has made of it. */
static void a_mark_is_a_models(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, SIZE_MAX);
    struct nx_graph g = graph_of(&arena, "a", NX_UNARY_NONE);
    struct nx_graph named = graph_of(&arena, "b", NX_UNARY_NONE);
    struct nx_graph fused = graph_of(&arena, "a", NX_UNARY_RELU);
    char bytes[41] = "0123456789012345678901234567890123456789";
    struct nx_model_files files = {.symbol = {bytes, 20}, .params = {bytes + 20, 20}};
    uint64_t mark = nx_calibration_mark(&files, &g);
    assert_true(mark == nx_calibration_mark(&files, &g));
    assert_true(mark != nx_calibration_mark(&files, &named));
    assert_true(mark != nx_calibration_mark(&files, &fused));
    for (int i = 0; i < 40; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            assert_true(mark != nx_calibration_mark(&files, &g));
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    struct nx_model_files moved = {.symbol = {bytes, 21}, .params = {bytes + 21, 19}};
    struct nx_model_files onnx = {.onnx = {bytes, 40}};
    assert_true(mark != nx_calibration_mark(&moved, &g));
    assert_true(mark != nx_calibration_mark(&onnx, &g));
    nx_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_ranges),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_none_is_refused_with_its_line),
        cmocka_unit_test(a_line_has_an_end_and_a_file_too),
        cmocka_unit_test(a_mark_is_a_models),
    };
    return cmocka_run_group_tests_name("calibration", tests, NULL, NULL);
}
