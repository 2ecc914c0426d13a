#include "categorizer/manifest.h"
#include "common/prng.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static struct nx_spool *spool;
static struct nx_store *store, *copy;
static struct nx_err err;
static bool follow[NX_STORE_MODELS], followed[NX_STORE_MODELS];

static struct nx_request_id id(uint8_t n)
{
    return (struct nx_request_id){{n, 0xee}};
}

static struct nx_request_head head_of(uint32_t tag, uint8_t request, uint64_t params)
{
    struct nx_request_head h = {.op = NX_REQUEST_INSTALL,
                                .tag = tag,
                                .request = id(request),
                                .format = NX_FORMAT_MXNET,
                                .synset_bytes = 10,
                                .symbol_bytes = 20,
                                .params_bytes = params,
                                .recipe_bytes = 5,
                                .recipe = "plain"};
    return h;
}

static struct nx_entry *install_with(nx_seq seq, uint32_t tag, uint8_t request, uint64_t params,
                                     uint32_t calibration)
{
    struct nx_entry *e;
    struct nx_outcome o;
    struct nx_request_head h = head_of(tag, request, params);
    h.calibration_bytes = calibration;
    h.precision = calibration ? NX_PRECISION_INT8 : NX_PRECISION_F32;
    assert_int_equal(nx_store_install(store, seq, tag, &h.request, 0x6, &e, &o),
                     NX_VERDICT_PENDING);
    e->kept = nx_kept_open(spool, &h, &err);
    assert_non_null(e->kept);
    return e;
}

static struct nx_entry *install(nx_seq seq, uint32_t tag, uint8_t request, uint64_t params)
{
    return install_with(seq, tag, request, params, 0);
}

static void vote(nx_seq seq, nx_rank voter, const char *failure)
{
    struct nx_entry *e;
    struct nx_outcome o;
    struct nx_digest d = {{7, 7}};
    struct nx_err why = {0};
    if (failure)
        nx_err_set(&why, NX_UNSUPPORTED, "%s", failure);
    nx_store_vote(store, seq, voter, &why, &d, &e, &o);
}

static void drop_store(struct nx_store *s)
{
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        nx_kept_drop(nx_store_at(s, i)->kept);
    nx_store_close(s);
}

/* Tag 7 is ready; tag 8 awaits a vote; tag 9, too, after one against; tag 5 was installed and removed. */
static int set_up(void **state)
{
    (void)state;
    struct nx_entry *e;
    struct nx_outcome o;
    struct nx_request_id r = id(5);
    assert_int_equal(nx_spool_open(".", 1 << 30, &spool, &err), NX_OK);
    store = nx_store_open();
    copy = nx_store_open();
    struct nx_entry *gone = install(1, 5, 1, 100);
    vote(1, 1, NULL);
    vote(1, 2, NULL);
    install(4, 7, 2, 1000);
    vote(4, 1, NULL);
    vote(4, 2, NULL);
    install(7, 8, 3, 0);
    vote(7, 2, NULL);
    nx_kept_fill(install(8, 9, 4, 50)->kept, false);
    vote(8, 1, "no such operator");
    nx_store_remove(store, 5, "", &r, &e, &o);
    assert_ptr_equal(e, gone);
    nx_kept_drop(gone->kept);
    gone->kept = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drop_store(store);
    drop_store(copy);
    assert_int_equal(nx_spool_used(spool), 0);
    nx_spool_close(spool);
    return 0;
}

static void assert_same(const struct nx_store *a, const struct nx_store *b)
{
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++) {
        const struct nx_entry *x = nx_store_peek(a, i), *y = nx_store_peek(b, i);
        assert_int_equal(x->state, y->state);
        if (x->state == NX_ENTRY_FREE)
            continue;
        assert_int_equal(x->tag, y->tag);
        assert_int_equal(x->version, y->version);
        assert_int_equal(x->waiting, y->waiting);
        assert_int_equal(x->any_vote, y->any_vote);
        assert_memory_equal(&x->request, &y->request, sizeof x->request);
        assert_memory_equal(&x->digest, &y->digest, sizeof x->digest);
        assert_int_equal(x->failure.status, y->failure.status);
        assert_string_equal(x->failure.text, y->failure.text);
        assert_memory_equal(&x->kept->head, &y->kept->head, sizeof x->kept->head);
    }
    assert_int_equal(nx_store_outcomes(a), nx_store_outcomes(b));
    for (uint32_t i = 0; i < nx_store_outcomes(a); i++) {
        const struct nx_outcome *x = nx_store_outcome(a, i), *y = nx_store_outcome(b, i);
        assert_memory_equal(&x->request, &y->request, sizeof x->request);
        assert_int_equal(x->op, y->op);
        assert_int_equal(x->tag, y->tag);
        assert_int_equal(x->err.status, y->err.status);
        assert_string_equal(x->err.text, y->err.text);
    }
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    size_t len, size;
    uint64_t files;
    uint8_t *bytes = nx_manifest_encode(store, follow, &len);
    assert_non_null(bytes);
    assert_int_equal(nx_manifest_size(bytes, &size, &err), NX_OK);
    assert_int_equal(size, len);
    if (nx_manifest_decode(bytes, len, spool, copy, followed, &files, &err) != NX_OK)
        fail_msg("%s", err.text);
    assert_same(store, copy);
    assert_int_equal(files, 1030 + 30); /* of tags 7 and 8: those of tag 9 are lost */
    assert_memory_equal(follow, followed, sizeof follow);
    assert_int_equal(nx_kept_state(nx_store_find(copy, 7)->kept), NX_KEPT_COMING);
    assert_int_equal(nx_kept_state(nx_store_find(copy, 9)->kept), NX_KEPT_LOST);
    assert_int_equal(nx_store_outcomes(copy), 3);
    struct nx_request_id removal = id(5);
    assert_true(nx_store_knows(copy, &removal));
    free(bytes);
}

/* Bytes in which only an entry with a calibration is of another form: older nodes read all else. */
static void a_calibration_comes_with_the_files(void **state)
{
    (void)state;
    size_t before, len;
    uint64_t files;
    free(nx_manifest_encode(store, follow, &before));
    install_with(20, 12, 6, 60, 500);
    uint8_t *bytes = nx_manifest_encode(store, follow, &len);
    if (nx_manifest_decode(bytes, len, spool, copy, followed, &files, &err) != NX_OK)
        fail_msg("%s", err.text);
    assert_same(store, copy);
    assert_int_equal(files, 1030 + 30 + 590);
    const struct nx_request_head *head = &nx_store_find(copy, 12)->kept->head;
    assert_int_equal(head->calibration_bytes, 500);
    assert_int_equal(head->precision, NX_PRECISION_INT8);
    assert_int_equal(nx_store_find(copy, 12)->kept->bytes, 590);
    free(bytes);
    nx_kept_drop(nx_store_find(store, 12)->kept);
    nx_store_find(store, 12)->kept = NULL;
    nx_store_find(store, 12)->state = NX_ENTRY_FREE;
    bytes = nx_manifest_encode(store, follow, &len);
    assert_int_equal(len, before);
    free(bytes);
}

static void an_empty_store_is_a_state_too(void **state)
{
    (void)state;
    struct nx_store *empty = nx_store_open();
    size_t len;
    uint64_t files;
    uint8_t *bytes = nx_manifest_encode(empty, follow, &len);
    assert_int_equal(len, NX_MANIFEST_HEAD_BYTES + NX_DIGEST_BYTES);
    assert_int_equal(nx_manifest_decode(bytes, len, spool, copy, followed, &files, &err), NX_OK);
    assert_int_equal(files, 0);
    free(bytes);
    drop_store(empty);
}

static void any_bit_that_differs_is_noticed(void **state)
{
    (void)state;
    size_t len;
    uint64_t files;
    uint8_t *bytes = nx_manifest_encode(store, follow, &len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x10;
        assert_int_not_equal(nx_manifest_decode(bytes, len, spool, copy, followed, &files, &err),
                             NX_OK);
        assert_true(err.text[0] != 0);
        bytes[i] ^= 0x10;
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(nx_manifest_decode(bytes, cut, spool, copy, followed, &files, &err),
                             NX_OK);
    free(bytes);
}

/* The seal is right and the content is not: a donor with a defect, or an enemy. */
static void sealed_nonsense_is_refused_or_harmless(void **state)
{
    (void)state;
    size_t len;
    uint64_t files;
    struct nx_prng prng;
    struct nx_digest seal;
    install_with(20, 12, 6, 60, 500);
    uint8_t *good = nx_manifest_encode(store, follow, &len), *bytes = malloc(len);
    nx_prng_init(&prng, 3);
    for (int round = 0; round < 3000; round++) {
        struct nx_store *into = nx_store_open();
        memcpy(bytes, good, len);
        for (int flips = 0; flips < 3; flips++)
            bytes[12 + nx_prng_below(&prng, len - NX_DIGEST_BYTES - 12)] =
                (uint8_t)nx_prng_below(&prng, 256);
        assert_int_equal(nx_digest_of(bytes, len - NX_DIGEST_BYTES, &seal, NULL), NX_OK);
        memcpy(bytes + len - NX_DIGEST_BYTES, seal.bytes, NX_DIGEST_BYTES);
        (void)nx_manifest_decode(bytes, len, spool, into, followed, &files, &err);
        drop_store(into);
    }
    free(good);
    free(bytes);
}

static void files_that_find_no_room_are_said_to(void **state)
{
    (void)state;
    struct nx_spool *small;
    size_t len;
    uint64_t files;
    uint8_t *bytes = nx_manifest_encode(store, follow, &len);
    assert_int_equal(nx_spool_open(".", 500, &small, &err), NX_OK);
    assert_int_equal(nx_manifest_decode(bytes, len, small, copy, followed, &files, &err),
                     NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "tag 7"));
    free(bytes);
    drop_store(copy);
    copy = nx_store_open();
    nx_spool_close(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_is_encoded_is_decoded),
        TEST(an_empty_store_is_a_state_too),
        TEST(a_calibration_comes_with_the_files),
        TEST(any_bit_that_differs_is_noticed),
        TEST(sealed_nonsense_is_refused_or_harmless),
        TEST(files_that_find_no_room_are_said_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
