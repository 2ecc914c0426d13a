#include "categorizer/profile.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct nx_profile measured = {
    .rows_count = 3,
    .rows = {{1, 5000, 100, 1000, 9}, {2, 6000, 200, 1000, 9}, {4, 11000, 0, 1000, 5}}};
static const struct nx_profile_origin origin = {
    .model = "sha256:00ff", .backend = "cpu_ref", .threads = 2, .machine = "A machine (R) 1.0"};
static struct nx_err err;

static void latency_is_mean_plus_std_linear_between_and_beyond(void **state)
{
    (void)state;
    assert_int_equal(nx_profile_latency(&measured, 1), 5100 * NX_US);
    assert_int_equal(nx_profile_latency(&measured, 2), 6200 * NX_US);
    assert_int_equal(nx_profile_latency(&measured, 3), 8600 * NX_US);
    assert_int_equal(nx_profile_latency(&measured, 4), 11000 * NX_US);
    assert_int_equal(nx_profile_latency(&measured, 8), 20600 * NX_US);
    struct nx_profile one = {.rows_count = 1, .rows = {{1, 10, 0, 0, 1}}};
    assert_int_equal(nx_profile_latency(&one, 7), 70 * NX_US);
}

static void latency_never_falls(void **state)
{
    (void)state;
    struct nx_profile noisy = {.rows_count = 2, .rows = {{1, 900, 300, 0, 1}, {2, 1000, 0, 0, 9}}};
    struct nx_profile dips = {
        .rows_count = 4,
        .rows = {{1, 900, 0, 0, 1}, {2, 500, 0, 0, 9}, {4, 2000, 0, 0, 9}, {8, 100, 0, 0, 9}}};
    for (uint32_t b = 1; b < 20; b++)
        assert_true(nx_profile_latency(&dips, b + 1) >= nx_profile_latency(&dips, b));
    assert_int_equal(nx_profile_latency(&dips, 9), 2000 * NX_US);
    for (uint32_t b = 1; b < 20; b++)
        assert_true(nx_profile_latency(&noisy, b + 1) >= nx_profile_latency(&noisy, b));
}

static void best_is_the_smallest_that_is_nearly_the_fastest(void **state)
{
    (void)state;
    struct nx_profile p = measured;
    assert_int_equal(nx_profile_best(&p), 4); /* 200, 333, 364 photos per second */
    p.rows[2].mean_us = 11900;                /* 336: 1 % more than 333 is not worth it */
    assert_int_equal(nx_profile_best(&p), 2);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    char text[NX_PROFILE_FILE_BYTES_MAX];
    struct nx_profile p;
    struct nx_profile_origin o;
    size_t len = nx_profile_write(&measured, &origin, text, sizeof text);
    assert_string_equal(text,
                        "nexus profile 1\nmodel sha256:00ff\nbackend cpu_ref\nthreads 2\n"
                        "machine A machine (R) 1.0\n"
                        "batch,mean(us),std(us),memory(B),repeats\n"
                        "1,5000.0,100.0,1000,9\n2,6000.0,200.0,1000,9\n4,11000.0,0.0,1000,5\n");
    assert_int_equal(nx_profile_parse(text, len, &p, &o, &err), NX_OK);
    assert_int_equal(p.rows_count, 3);
    assert_memory_equal(p.rows, measured.rows, 3 * sizeof p.rows[0]);
    assert_string_equal(o.machine, origin.machine);
    assert_string_equal(o.model, origin.model);
    assert_string_equal(o.backend, origin.backend);
    assert_int_equal(o.threads, 2);
    for (size_t cap = 0; cap <= len; cap++)
        assert_int_equal(nx_profile_write(&measured, &origin, text, cap), 0);
}

static void refuse(const char *text, const char *sentence)
{
    struct nx_profile p;
    struct nx_profile_origin o;
    assert_int_equal(nx_profile_parse(text, strlen(text), &p, &o, &err), NX_CORRUPT);
    assert_string_equal(err.text, sentence);
}

#define HEAD                                                      \
    "nexus profile 1\nmodel m\nbackend b\nthreads 2\nmachine c\n" \
    "batch,mean(us),std(us),memory(B),repeats\n"

static void what_is_no_profile_is_refused_by_its_line(void **state)
{
    (void)state;
    static const char row[] = "five numbers: batch, mean > 0, std, memory, repeats";
    char sentence[160], text[4096];
    refuse("", "profile line 0: expected \"nexus profile 1\"");
    refuse("nexus profile 2\n", "profile line 1: expected \"nexus profile 1\"");
    refuse("nexus profile 1\nmodel m\nbackend b\nthreads 0\n",
           "profile line 4: expected \"threads\" and how many");
    refuse(HEAD, "profile line 6: expected at least one row");
    static const char *const rows[] = {"1,0,0,0,1",   "1,-5,0,0,1",  "0,5,0,0,1",
                                       "1,5,0,0",     "1,5,0,0,1,2", "x",
                                       "1,nan,0,0,1", "1,inf,0,0,1", "1,2e9,0,0,1"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, HEAD "%s\n", rows[i]);
        snprintf(sentence, sizeof sentence, "profile line 7: expected %s", row);
        refuse(text, sentence);
    }
    refuse(HEAD "2,5,0,0,1\n2,6,0,0,1\n",
           "profile line 8: expected a larger batch than the line before");
}

static void write_profile(const char *path, const struct nx_profile_origin *of)
{
    char text[NX_PROFILE_FILE_BYTES_MAX];
    size_t len = nx_profile_write(&measured, of, text, sizeof text);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

static void a_file_counts_only_for_what_it_was_measured_of(void **state)
{
    (void)state;
    struct nx_profile_origin ours = {.model = "sha256:0123456789abcdef0123",
                                     .backend = "cpu_ref",
                                     .threads = 2,
                                     .machine = "this one"};
    struct nx_profile p;
    char folder[] = "/tmp/nx-profile-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/0123456789abcdef.profile", folder);
    assert_int_equal(nx_profile_find(folder, &ours, 8, &p, &err), NX_NOT_FOUND);
    write_profile(path, &ours);
    assert_int_equal(nx_profile_find(folder, &ours, 8, &p, &err), NX_OK);
    assert_int_equal(p.rows_count, 3);
    assert_int_equal(nx_profile_find(folder, &ours, 3, &p, &err), NX_OK);
    assert_int_equal(p.rows_count, 2); /* a node whose batches end at 3 */
    struct nx_profile_origin others[4] = {ours, ours, ours, ours};
    others[0].threads = 3;
    snprintf(others[1].machine, sizeof others[1].machine, "another");
    snprintf(others[2].backend, sizeof others[2].backend, "cpu_dnnl");
    snprintf(others[3].model, sizeof others[3].model, "sha256:0123456789abcdef9999");
    for (int i = 0; i < 4; i++)
        assert_int_equal(nx_profile_find(folder, &others[i], 8, &p, &err), NX_INVALID);
    FILE *f = fopen(path, "wb");
    fputs("nonsense", f);
    fclose(f);
    assert_int_equal(nx_profile_find(folder, &ours, 8, &p, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, "profile line 1"));
    unlink(path);
    rmdir(folder);
}

struct fake {
    nx_ns per_photo;
    uint32_t runs, largest;
};

static enum nx_status fake_run(void *ctx, uint32_t batch, struct nx_err *e)
{
    struct fake *f = ctx;
    f->runs++;
    f->largest = batch > f->largest ? batch : f->largest;
    if (f->per_photo < 0)
        return nx_err_set(e, NX_INTERNAL, "it does not run");
    nx_ns until = nx_clock_now() + f->per_photo * batch;
    while (nx_clock_now() < until)
        ;
    return NX_OK;
}

static void all_sizes_are_measured_or_as_many_as_there_is_time_for(void **state)
{
    (void)state;
    struct nx_profile p;
    struct fake fast = {.per_photo = 1000}, slow = {.per_photo = 5 * NX_MS}, broken = {-1, 0, 0};
    struct nx_profile_plan plan = {
        .batch_max = 6, .repeats = 3, .time_max_ns = 20 * NX_SEC, .memory_bytes = 77};
    assert_int_equal(nx_profile_measure(&plan, fake_run, &fast, &p, &err), NX_OK);
    assert_int_equal(p.rows_count, 4);
    assert_int_equal(p.rows[3].batch, 6);
    assert_int_equal(p.rows[2].repeats, 3);
    assert_int_equal(p.rows[2].memory_bytes, 77);
    assert_int_equal(fast.runs, 16);
    plan.time_max_ns = NX_MS;
    assert_int_equal(nx_profile_measure(&plan, fake_run, &slow, &p, &err), NX_OK);
    assert_int_equal(p.rows_count, 1);
    assert_int_equal(p.rows[0].repeats, 1);
    assert_true(p.rows[0].mean_us >= 5000);
    assert_int_equal(nx_profile_measure(&plan, fake_run, &broken, &p, &err), NX_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latency_is_mean_plus_std_linear_between_and_beyond),
        cmocka_unit_test(latency_never_falls),
        cmocka_unit_test(best_is_the_smallest_that_is_nearly_the_fastest),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_profile_is_refused_by_its_line),
        cmocka_unit_test(a_file_counts_only_for_what_it_was_measured_of),
        cmocka_unit_test(all_sizes_are_measured_or_as_many_as_there_is_time_for),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
