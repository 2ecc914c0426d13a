#include "sim_map.h"
#include "sim_trace.h"

#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static const struct sim_record full = {.at = 1234567890123,
                                       .kind = SIM_DELIVER,
                                       .node = 2,
                                       .peer = 1,
                                       .sub = 3,
                                       .shard = 1,
                                       .seq = -17,
                                       .len = 100,
                                       .hash = 0xfedcba9876543210u,
                                       .id = 0xffffffffffffffffu,
                                       .mask = 7};

static void a_record_survives_its_text(void **state)
{
    (void)state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    sim_record_print(&full, out);
    fclose(out);
    assert_string_equal(text, "[1234567890123] n2 deliver sub=3 shard=1 peer=1 seq=-17 len=100 "
                              "hash=fedcba9876543210 id=ffffffffffffffff mask=7\n");
    struct sim_record back;
    assert_true(sim_record_parse(text, &back));
    assert_memory_equal(&back, &full, sizeof full);
    free(text);
}

static void every_kind_survives_its_text(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < SIM_KIND_COUNT; kind++) {
        char *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        struct sim_record record = {.at = 5, .kind = kind, .node = 3}, back;
        sim_record_print(&record, out);
        fclose(out);
        assert_true(sim_record_parse(text, &back));
        assert_memory_equal(&back, &record, sizeof record);
        free(text);
    }
}

static void foreign_lines_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "deliver",
        "[1] n1",
        "[1] n1 dance",
        "[1] n300 kill",
        "[x] n1 kill",
        "[1] n1 send len",
        "[1] n1 send len=",
        "[1] n1 send len=5x",
        "[1] n1 send sub=256",
        "[1] n1 send width=5",
    };
    struct sim_record record = full;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_false(sim_record_parse(lines[i], &record));
    assert_memory_equal(&record, &full, sizeof full);
}

static void the_hash_is_of_order_and_of_every_field(void **state)
{
    (void)state;
    struct sim_trace a, b;
    sim_trace_init(&a);
    sim_trace_init(&b);
    struct sim_record other = full;
    other.mask++;
    sim_trace_add(&a, &full);
    sim_trace_add(&a, &other);
    sim_trace_add(&b, &other);
    sim_trace_add(&b, &full);
    assert_true(a.hash != b.hash);
    sim_trace_clear(&b);
    sim_trace_add(&b, &full);
    sim_trace_add(&b, &other);
    assert_true(a.hash == b.hash);
    sim_trace_free(&a);
    sim_trace_free(&b);
}

static void a_map_keeps_what_it_was_given(void **state)
{
    (void)state;
    struct sim_map map = {0};
    bool fresh;
    for (uint64_t i = 0; i < 1000; i++) {
        *sim_map_at(&map, i % 7, i * 16, &fresh) = i;
        assert_true(fresh);
    }
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(*sim_map_find(&map, i % 7, i * 16), i);
    assert_null(sim_map_find(&map, 8, 16));
    sim_map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_survives_its_text),
        cmocka_unit_test(every_kind_survives_its_text),
        cmocka_unit_test(foreign_lines_are_refused),
        cmocka_unit_test(the_hash_is_of_order_and_of_every_field),
        cmocka_unit_test(a_map_keeps_what_it_was_given),
    };
    return cmocka_run_group_tests_name("sim_trace", tests, NULL, NULL);
}
