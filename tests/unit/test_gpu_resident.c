/* Weights come and go by last use, never over the budget, never under a run; a fake device counts. */
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

#include "categorizer/gpu/gpu_resident.h"
#include "common/prng.h"

struct fake {
    uint64_t held, most, limit; /* bytes */
    uint32_t blocks, fail_uploads;
};

/* A block remembers its size in front. */
static enum nx_status fake_take(void *ctx, uint64_t bytes, void **at, struct nx_err *err)
{
    struct fake *fake = ctx;
    if (fake->held + bytes > fake->limit)
        return nx_err_set(err, NX_NO_MEMORY, "the fake device is full");
    uint64_t *block = malloc(sizeof bytes + bytes);
    assert_non_null(block);
    *block = bytes;
    fake->held += bytes;
    fake->most = fake->held > fake->most ? fake->held : fake->most;
    fake->blocks++;
    *at = block + 1;
    return NX_OK;
}

static void fake_give(void *ctx, void *at)
{
    struct fake *fake = ctx;
    uint64_t *block = (uint64_t *)at - 1;
    fake->held -= *block;
    fake->blocks--;
    free(block);
}

static enum nx_status fake_upload(void *ctx, void *to, const void *from, uint64_t bytes,
                                  struct nx_err *err)
{
    struct fake *fake = ctx;
    if (fake->fail_uploads && fake->fail_uploads--)
        return nx_err_set(err, NX_INTERNAL, "the fake device lost it");
    memcpy(to, from, bytes);
    return NX_OK;
}

enum { MODELS = 6, BYTES = 100 };

struct bench {
    struct fake fake;
    struct nx_gpu_residents set;
    struct nx_gpu_resident models[MODELS];
    uint8_t images[MODELS][BYTES];
};

static void open_bench(struct bench *b, uint64_t budget, uint64_t limit)
{
    *b = (struct bench){.fake.limit = limit};
    const struct nx_gpu_memory memory = {&b->fake, fake_take, fake_give, fake_upload};
    nx_gpu_residents_init(&b->set, &memory, budget);
    for (int i = 0; i < MODELS; i++) {
        memset(b->images[i], i + 1, BYTES);
        nx_gpu_resident_init(&b->models[i], b->images[i], BYTES);
    }
}

static void close_bench(struct bench *b)
{
    for (int i = 0; i < MODELS; i++)
        nx_gpu_resident_remove(&b->set, &b->models[i]);
    nx_gpu_residents_fini(&b->set);
    assert_int_equal(b->fake.blocks, 0);
    assert_int_equal(b->fake.held, 0);
    assert_true(b->fake.most <= b->set.budget_bytes);
}

static enum nx_status pin(struct bench *b, int i, struct nx_err *err)
{
    void *at;
    NX_TRY(nx_gpu_resident_pin(&b->set, &b->models[i], &at, err));
    assert_memory_equal(at, b->images[i], BYTES);
    return NX_OK;
}

static void use(struct bench *b, int i)
{
    assert_int_equal(pin(b, i, NULL), NX_OK);
    nx_gpu_resident_unpin(&b->set, &b->models[i]);
}

static bool is_there(const struct bench *b, int i)
{
    return b->models[i].at != NULL;
}

static void the_least_recently_used_goes(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 3 * BYTES, UINT64_MAX);
    use(&b, 0);
    use(&b, 1);
    use(&b, 2);
    use(&b, 0); /* 1 is the oldest now */
    assert_int_equal(b.set.uploads, 3);
    use(&b, 3);
    assert_false(is_there(&b, 1));
    assert_true(is_there(&b, 0) && is_there(&b, 2) && is_there(&b, 3));
    use(&b, 1); /* back again, from the host's image */
    assert_false(is_there(&b, 2));
    assert_int_equal(b.set.evictions, 2);
    assert_int_equal(b.set.used_bytes, 3 * BYTES);
    close_bench(&b);
}

static void what_runs_stays(void **state)
{
    (void)state;
    struct bench b;
    struct nx_err err = {0};
    open_bench(&b, 2 * BYTES, UINT64_MAX);
    assert_int_equal(pin(&b, 0, NULL), NX_OK);
    use(&b, 1);
    use(&b, 2); /* 0 is older than 1, and runs */
    assert_true(is_there(&b, 0) && is_there(&b, 2));
    assert_int_equal(pin(&b, 2, NULL), NX_OK);
    assert_int_equal(pin(&b, 2, NULL), NX_OK); /* twice: two runs */
    assert_int_equal(pin(&b, 3, &err), NX_NO_MEMORY);
    assert_string_equal(err.text, "gpu_cudnn: weights of 100 bytes do not fit, 200 of 200 bytes on "
                                  "the device are in use by running models");
    nx_gpu_resident_unpin(&b.set, &b.models[2]);
    assert_int_equal(pin(&b, 3, NULL), NX_NO_MEMORY);
    nx_gpu_resident_unpin(&b.set, &b.models[2]);
    use(&b, 3);
    assert_false(is_there(&b, 2));
    nx_gpu_resident_unpin(&b.set, &b.models[0]);
    close_bench(&b);
}

static void larger_than_the_budget_is_refused_without_eviction(void **state)
{
    (void)state;
    struct bench b;
    static const uint8_t large[3 * BYTES];
    struct nx_gpu_resident r;
    void *at;
    open_bench(&b, 2 * BYTES, UINT64_MAX);
    use(&b, 0);
    nx_gpu_resident_init(&r, large, sizeof large);
    assert_int_equal(nx_gpu_resident_pin(&b.set, &r, &at, NULL), NX_NO_MEMORY);
    assert_true(is_there(&b, 0));
    nx_gpu_resident_remove(&b.set, &r);
    close_bench(&b);
}

static void a_device_with_less_than_the_budget_evicts_too(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 5 * BYTES, 2 * BYTES);
    use(&b, 0);
    use(&b, 1);
    use(&b, 2);
    assert_false(is_there(&b, 0));
    assert_int_equal(b.set.used_bytes, 2 * BYTES);
    close_bench(&b);
}

static void a_failed_upload_leaves_nothing(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 2 * BYTES, UINT64_MAX);
    b.fake.fail_uploads = 1;
    assert_int_equal(pin(&b, 0, NULL), NX_INTERNAL);
    assert_int_equal(b.fake.held, 0);
    assert_int_equal(b.set.used_bytes, 0);
    use(&b, 0);
    close_bench(&b);
}

/* Against a model of the rule: an array of last uses. */
static void any_order_keeps_the_rule(void **state)
{
    (void)state;
    struct bench b;
    struct nx_prng prng;
    int used[MODELS] = {0};
    nx_prng_init(&prng, 7);
    open_bench(&b, 4 * BYTES, UINT64_MAX);
    for (int now = 1; now < 2000; now++) {
        int i = (int)(nx_prng_unit(&prng) * MODELS), newer = 0;
        use(&b, i);
        used[i] = now;
        for (int k = 0; k < MODELS; k++, newer = 0) {
            for (int other = 0; other < MODELS; other++)
                newer += used[other] > used[k];
            assert_int_equal(is_there(&b, k), used[k] && newer < 4);
        }
    }
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_goes),
        cmocka_unit_test(what_runs_stays),
        cmocka_unit_test(larger_than_the_budget_is_refused_without_eviction),
        cmocka_unit_test(a_device_with_less_than_the_budget_evicts_too),
        cmocka_unit_test(a_failed_upload_leaves_nothing),
        cmocka_unit_test(any_order_keeps_the_rule),
    };
    return cmocka_run_group_tests_name("gpu resident", tests, NULL, NULL);
}
