#include "categorizer/served.h"
#include "nx_calibrated.h"
#include "nx_params_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The class is the strongest of three planes: global average, then the identity. */
static const char symbol_text[] =
    "{\"nodes\":["
    "{\"op\":\"null\",\"name\":\"data\",\"inputs\":[],\"attrs\":{\"__shape__\":\"(1, 3, 8, 8)\"}},"
    "{\"op\":\"Pooling\",\"name\":\"pool\",\"inputs\":[[0,0,0]],\"attrs\":"
    "{\"global_pool\":\"True\",\"kernel\":\"(1, 1)\",\"pool_type\":\"avg\"}},"
    "{\"op\":\"Flatten\",\"name\":\"flat\",\"inputs\":[[1,0,0]]},"
    "{\"op\":\"null\",\"name\":\"fc_weight\",\"inputs\":[]},"
    "{\"op\":\"FullyConnected\",\"name\":\"fc\",\"inputs\":[[2,0,0],[3,0,0]],"
    "\"attrs\":{\"no_bias\":\"True\",\"num_hidden\":\"3\"}}"
    "],\"heads\":[[4,0,0]]}";
static const char synset_text[] = "red\ngreen\nblue\n";

enum { PLANE = 64, IN = 3 * PLANE, BATCH = 4 };

static struct nx_params_file params;
enum { CALIBRATION_MAX = 1000 };
static uint8_t
    body[sizeof symbol_text + sizeof synset_text + NX_PARAMS_FILE_BYTES + CALIBRATION_MAX];
static struct nx_request_head head;
static struct nx_budget budget;
static struct nx_err err;
static struct nx_digest digest;
static const char *backend = "cpu_ref";

static void write_body(const float weights[9])
{
    nx_pf_begin(&params, 1);
    nx_pf_head(&params, 2, 2, (const int64_t[]){3, 3}, 0);
    nx_pf_floats(&params, weights, 9);
    nx_pf_names(&params, 1);
    nx_pf_name(&params, "arg:fc_weight");
    head = (struct nx_request_head){.op = NX_REQUEST_INSTALL,
                                    .tag = 7,
                                    .format = NX_FORMAT_MXNET,
                                    .synset_bytes = sizeof synset_text - 1,
                                    .symbol_bytes = sizeof symbol_text - 1,
                                    .params_bytes = nx_pf_len(&params)};
    uint8_t *at = body;
    memcpy(at, synset_text, head.synset_bytes);
    memcpy(at += head.synset_bytes, symbol_text, head.symbol_bytes);
    memcpy(at + head.symbol_bytes, params.bytes, head.params_bytes);
}

static const float identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

static enum nx_status open_served(struct nx_served **served)
{
    struct nx_served_options options = {
        .backend = backend, .threads = 1, .batch_max = BATCH, .budget = &budget, .profiles = ""};
    return nx_served_open(&head, body, &options, served, &digest, &err);
}

static int setup(void **state)
{
    (void)state;
    budget = (struct nx_budget){.limit_bytes = 64 << 20};
    err = (struct nx_err){0};
    backend = "cpu_ref";
    write_body(identity);
    return 0;
}

static void a_model_tells_what_it_is(void **state)
{
    (void)state;
    struct nx_served *s;
    assert_int_equal(open_served(&s), NX_OK);
    const struct nx_served_facts *f = nx_served_facts(s);
    assert_string_equal(f->recipe, "demo-2019");
    assert_string_equal(f->backend, "cpu_ref");
    assert_string_equal(f->note, "");
    assert_int_equal(f->weights_bytes, 36);
    assert_int_equal(f->tensor_bytes, IN * sizeof(float));
    assert_int_equal(f->profile.rows_count, 3); /* 1, 2, 4: it is fast */
    assert_int_equal(f->profile.rows[0].memory_bytes, f->memory_bytes);
    assert_int_equal(budget.used_bytes, f->memory_bytes);
    nx_served_close(s);
    assert_int_equal(budget.used_bytes, 0);
}

static void one_bad_photo_of_a_batch_fails_alone(void **state)
{
    (void)state;
    static const char *const labels[] = {"red", "green", "blue"};
    static float inputs[BATCH][IN];
    struct nx_served_photo photos[BATCH];
    struct nx_answer answers[BATCH];
    uint8_t *payloads[BATCH] = {0};
    static const struct nx_want plain, all = {.outputs = true};
    struct nx_served *s;
    assert_int_equal(open_served(&s), NX_OK);
    for (int i = 0; i < BATCH; i++) {
        for (int k = 0; k < PLANE; k++)
            inputs[i][(i % 3) * PLANE + k] = i == 1 ? NAN : 1;
        photos[i] =
            (struct nx_served_photo){inputs[i], i == 2 ? &all : &plain, &answers[i], &payloads[i]};
    }
    for (uint32_t count = BATCH; count > 0; count--) {
        nx_served_run(s, photos, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(answers[i].err.status, i == 1 ? NX_INTERNAL : NX_OK);
            if (i == 1)
                continue;
            assert_int_equal(answers[i].index, i % 3);
            assert_memory_equal(answers[i].label, labels[i % 3], answers[i].label_bytes);
            assert_int_equal(answers[i].label_bytes, strlen(labels[i % 3]));
        }
        if (count > 2) { /* one photo of a batch may want more than the others */
            struct nx_rows rows;
            assert_int_equal(
                nx_rows_decode(answers[2].payload, answers[2].payload_bytes, &rows, &err), NX_OK);
            assert_int_equal(rows.columns, 3);
            free(payloads[2]);
        }
    }
    assert_string_equal(answers[1].err.text, "output 0 of the model is not finite for this photo");
    assert_int_equal(nx_served_prepare(s, (const uint8_t *)"no photo", 8, inputs[0], &err),
                     NX_INVALID);
    nx_served_close(s);
}

static void weights_that_are_no_numbers_load_and_it_is_said(void **state)
{
    (void)state;
    const float weights[9] = {1, 0, 0, 0, NAN, 0, 0, 0, INFINITY};
    struct nx_served *s;
    write_body(weights);
    assert_int_equal(open_served(&s), NX_OK);
    assert_string_equal(
        nx_served_facts(s)->note,
        "Note: 2 weights are infinite or not a number, the first in \"fc_weight\".");
    nx_served_close(s);
}

/* What the smallest budget that it opens in comes to. */
static uint64_t try_budgets(uint64_t step)
{
    struct nx_served *s;
    assert_int_equal(open_served(&s), NX_OK);
    uint64_t held = nx_served_facts(s)->memory_bytes, enough = 4 * held + (256 << 10), first = 0;
    nx_served_close(s);
    bool plan_refused = false, work_refused = false;
    for (uint64_t limit = 0; limit < enough; limit += step) {
        budget.limit_bytes = limit;
        err = (struct nx_err){0};
        enum nx_status status = open_served(&s);
        if (status == NX_OK) {
            first = first ? first : limit;
            assert_true(budget.used_bytes <= limit);
            nx_served_close(s);
        } else {
            char left[32];
            assert_int_equal(status, NX_NO_MEMORY);
            snprintf(left, sizeof left, "of %llu bytes", (unsigned long long)limit);
            assert_non_null(strstr(err.text, left));
            plan_refused |= strstr(err.text, "the model ") == err.text;
            work_refused |= strstr(err.text, "opening the model takes more") == err.text;
        }
        assert_int_equal(budget.used_bytes, 0);
    }
    assert_true(first && plan_refused && work_refused);
    print_message("%s: it opens in %llu bytes, and holds %llu\n", backend,
                  (unsigned long long)first, (unsigned long long)held);
    assert_true(first >= held);
    return first;
}

static void a_model_over_the_budget_is_refused_with_the_figures(void **state)
{
    (void)state;
    try_budgets(331);
}

/* What a plan adds for the unknown does not count against who has room: tables, the files' work, and no more. */
static void a_model_that_fits_is_not_refused_by_its_plan(void **state)
{
    (void)state;
    backend = "auto";
    assert_true(try_budgets(2049) < 192 << 10);
}

static enum nx_status open_within(uint64_t limit)
{
    struct nx_served *s;
    budget.limit_bytes = limit;
    err = (struct nx_err){0};
    enum nx_status status = open_served(&s);
    if (status == NX_OK) {
        assert_true(nx_served_facts(s)->memory_bytes <= budget.used_bytes);
        nx_served_close(s);
    }
    assert_int_equal(budget.used_bytes, 0);
    return status;
}

/* It opens within so many bytes and not within one less; nor does it depend on what else is left. */
static void a_model_that_just_fits_opens_to_the_byte(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu_ref", "auto"};
    for (size_t b = 0; b < 2; b++) {
        backend = backends[b];
        uint64_t refused = 0, opens = budget.limit_bytes = 64 << 20;
        while (opens - refused > 1) {
            uint64_t limit = refused + (opens - refused) / 2;
            *(open_within(limit) == NX_OK ? &opens : &refused) = limit;
        }
        for (uint64_t k = 0; k < 40; k++) {
            assert_int_equal(open_within(opens + k), NX_OK);
            assert_int_equal(open_within(opens - 1 - k), NX_NO_MEMORY);
            assert_non_null(strstr(err.text, "memory"));
        }
        print_message("%s: %llu bytes are enough\n", backend, (unsigned long long)opens);
    }
}

/* The refusal's figure is the plan's, which is not under what it takes. */
static void a_budget_of_what_a_refusal_asks_for_is_enough(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu_ref", "auto"};
    for (size_t b = 0; b < 2; b++) {
        unsigned long long needed = 0;
        backend = backends[b];
        for (uint64_t limit = 0; needed == 0 && limit < 64 << 20; limit += 64) {
            assert_int_equal(open_within(limit), NX_NO_MEMORY);
            if (sscanf(err.text, "the model needs %llu bytes", &needed) != 1)
                needed = 0;
        }
        assert_int_equal(open_within(needed), NX_OK);
    }
}

static uint64_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Twice as long as the first half may not cost more than a hundredth of what a leak of one model each would. */
static void a_thousand_times_ends_where_it_began(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu_ref", "auto"};
    for (size_t b = 0; b < 2; b++) {
        struct nx_served *s;
        uint64_t base = 0, each = 0;
        backend = backends[b];
        for (int i = 0; i < 1000; i++) {
            if (i == 200)
                base = resident_bytes();
            assert_int_equal(open_served(&s), NX_OK);
            each = nx_served_facts(s)->memory_bytes;
            nx_served_close(s);
            assert_int_equal(budget.used_bytes, 0);
        }
        uint64_t end = resident_bytes(), grown = end > base ? end - base : 0;
        print_message(
            "%s: %llu bytes resident after 200, %llu more after 1000; one model holds %llu\n",
            backend, (unsigned long long)base, (unsigned long long)grown, (unsigned long long)each);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(grown < 8 * each + (1 << 20));
#endif
    }
}

/* Appends the model's own, or that of the same net with other weights. */
static void calibrate(const float weights[9])
{
    static float input[IN];
    for (int i = 0; i < IN; i++)
        input[i] = (float)(i % 7) - 2;
    write_body(weights);
    struct nx_model_files files = {.symbol = {symbol_text, sizeof symbol_text - 1},
                                   .params = {params.bytes, nx_pf_len(&params)}};
    char *text = nx_calibrated(&files, input);
    write_body(identity);
    head.calibration_bytes = (uint32_t)strlen(text);
    head.precision = NX_PRECISION_INT8;
    assert_true(head.calibration_bytes <= CALIBRATION_MAX);
    memcpy(body + head.synset_bytes + head.symbol_bytes + head.params_bytes, text,
           head.calibration_bytes);
    free(text);
}

static void a_calibrated_model_is_served_in_int8(void **state)
{
    (void)state;
    static float input[IN];
    struct nx_served *s;
    struct nx_digest plain;
    struct nx_profile_origin origin;
    struct nx_answer answer;
    static const struct nx_want want;
    assert_int_equal(open_served(&s), NX_OK);
    plain = digest;
    nx_served_close(s);
    calibrate(identity);
    if (open_served(&s) != NX_OK)
        fail_msg("%s", err.text);
    assert_int_equal(nx_served_facts(s)->precision, NX_PRECISION_INT8);
    assert_memory_not_equal(&digest, &plain, sizeof digest); /* another model than without it */
    nx_served_origin(s, &digest, &origin);
    assert_string_equal(origin.backend, "cpu_ref int8");
    for (int k = 0; k < PLANE; k++)
        input[2 * PLANE + k] = 1;
    struct nx_served_photo photo = {input, &want, &answer, NULL};
    nx_served_run(s, &photo, 1);
    assert_int_equal(answer.err.status, NX_OK);
    assert_int_equal(answer.index, 2);
    nx_served_close(s);
    assert_int_equal(budget.used_bytes, 0);
}

static void assert_refused(enum nx_status status, const char *words)
{
    struct nx_served *s;
    err = (struct nx_err){0};
    if (open_served(&s) != status || !strstr(err.text, words))
        fail_msg("status %d, \"%s\"; expected %d, \"%s\"", err.status, err.text, status, words);
    assert_int_equal(budget.used_bytes, 0);
}

static void a_calibration_that_is_not_the_models_is_refused(void **state)
{
    (void)state;
    const float other[9] = {0, 1, 0, 1, 0, 0, 0, 0, 1};
    calibrate(other);
    assert_refused(NX_INVALID, "it was made for another one");
    calibrate(identity);
    while (--head.calibration_bytes) /* it has one range: wherever it is cut, there is not enough */
        assert_refused(NX_CORRUPT, "calibration line ");
}

#define each(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(a_model_tells_what_it_is),
        each(one_bad_photo_of_a_batch_fails_alone),
        each(weights_that_are_no_numbers_load_and_it_is_said),
        each(a_model_over_the_budget_is_refused_with_the_figures),
        each(a_model_that_fits_is_not_refused_by_its_plan),
        each(a_model_that_just_fits_opens_to_the_byte),
        each(a_budget_of_what_a_refusal_asks_for_is_enough),
        each(a_calibrated_model_is_served_in_int8),
        each(a_calibration_that_is_not_the_models_is_refused),
        each(a_thousand_times_ends_where_it_began),
    };
    return cmocka_run_group_tests_name("served", tests, NULL, NULL);
}
