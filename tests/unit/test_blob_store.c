#include "group/log/blob_store.h"
#include "nx_test.h"
#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_disk_faults calm = {.latency_min_ns = 100 * NX_US,
                                            .latency_max_ns = 100 * NX_US};
static struct sim_disk *disk;
static struct nx_blob_store *store;

/* FIPS 180-2's example */
static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void open_store(void)
{
    struct nx_err err = {0};
    assert_int_equal(nx_blob_store_open(sim_disk_handle(disk), &store, &err), NX_OK);
}

static int set_up(void **state)
{
    (void)state;
    disk = sim_disk_new(1, &calm);
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nx_blob_store_close(store);
    sim_disk_free(disk);
    return 0;
}

static void pass_time(struct nx_blob_put *put)
{
    nx_blob_poll(store);
    if (put)
        nx_blob_put_poll(put);
    sim_disk_advance(disk, sim_disk_now(disk) + 100 * NX_US);
}

static void put_all(const void *bytes, size_t len, char name[NX_BLOB_NAME_BYTES])
{
    struct nx_blob_put *put;
    struct nx_err err = {0};
    assert_int_equal(nx_blob_put_open(store, &put, &err), NX_OK);
    for (size_t at = 0; at < len; pass_time(put))
        at += nx_blob_put_write(put, (const uint8_t *)bytes + at, len - at);
    nx_blob_put_finish(put);
    while (nx_blob_put_status(put, name, &err) == NX_AGAIN)
        pass_time(put);
    assert_int_equal(nx_blob_put_status(put, name, &err), NX_OK);
    nx_blob_put_close(put);
}

static enum nx_status get_all(const char *name, uint8_t *bytes, size_t *len, struct nx_err *err)
{
    struct nx_blob_get *get;
    const uint8_t *piece;
    size_t piece_len;
    enum nx_status status;
    *len = 0;
    status = nx_blob_get_open(store, name, &get, err);
    if (status != NX_OK)
        return status;
    while ((status = nx_blob_get_next(get, &piece, &piece_len, err)) == NX_AGAIN ||
           (status == NX_OK && piece_len > 0)) {
        if (status == NX_OK)
            memcpy(bytes + *len, piece, piece_len);
        *len += piece_len;
        pass_time(NULL);
    }
    nx_blob_get_close(get);
    return status;
}

static bool there(const char *name)
{
    char file[NX_DISK_NAME_BYTES];
    size_t len;
    snprintf(file, sizeof file, "%s.blob", name);
    return sim_disk_bytes(disk, file, &len) != NULL;
}

static void a_blob_is_named_by_its_bytes(void **state)
{
    (void)state;
    char name[NX_BLOB_NAME_BYTES];
    uint8_t back[8];
    size_t len;
    struct nx_err err = {0};
    put_all("abc", 3, name);
    assert_string_equal(name, abc);
    assert_true(there(abc));
    assert_int_equal(get_all(abc, back, &len, &err), NX_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(back, "abc", 3);
    put_all("", 0, name);
    assert_string_equal(name, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(get_all(name, back, &len, &err), NX_OK);
    assert_int_equal(len, 0);
    assert_int_equal(get_all("abc", back, &len, &err), NX_INVALID);
    name[0] ^= 1;
    assert_int_equal(get_all(name, back, &len, &err), NX_NOT_FOUND);
}

static void large_blobs_survive_power_loss_and_rot_is_seen(void **state)
{
    (void)state;
    enum { BYTES = 3000000 };
    uint8_t *bytes = malloc(BYTES), *back = malloc(BYTES);
    char name[NX_BLOB_NAME_BYTES], file[NX_DISK_NAME_BYTES];
    size_t len;
    struct nx_err err = {0};
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    put_all(bytes, BYTES, name);
    nx_blob_store_close(store);
    sim_disk_crash(disk, true);
    open_store();
    assert_int_equal(get_all(name, back, &len, &err), NX_OK);
    assert_int_equal(len, BYTES);
    assert_memory_equal(back, bytes, BYTES);
    snprintf(file, sizeof file, "%s.blob", name);
    sim_disk_bytes(disk, file, &len)[2000000] ^= 4;
    assert_int_equal(get_all(name, back, &len, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, "3000000 bytes that do not have this SHA-256"));
    free(bytes);
    free(back);
}

static void the_last_reference_removes(void **state)
{
    (void)state;
    char name[NX_BLOB_NAME_BYTES];
    put_all("abc", 3, name);
    put_all("abc", 3, name); /* one file, two references */
    assert_int_equal(nx_blob_unref(store, abc), NX_OK);
    pass_time(NULL), pass_time(NULL);
    assert_true(there(abc));
    assert_int_equal(nx_blob_ref(store, abc), NX_OK);
    nx_blob_unref(store, abc);
    assert_int_equal(nx_blob_unref(store, abc), NX_OK);
    pass_time(NULL), pass_time(NULL), pass_time(NULL);
    assert_false(there(abc));
    assert_int_equal(nx_blob_ref(store, abc), NX_NOT_FOUND);
    assert_int_equal(nx_blob_unref(store, abc), NX_NOT_FOUND);
}

/* Whoever drops the last reference while somebody puts the same bytes again must not remove the new file. */
static void a_removal_does_not_hit_a_put(void **state)
{
    (void)state;
    char name[NX_BLOB_NAME_BYTES];
    struct nx_blob_put *put;
    struct nx_err err = {0};
    put_all("abc", 3, name);
    assert_int_equal(nx_blob_put_open(store, &put, &err), NX_OK);
    nx_blob_put_write(put, "abc", 3);
    nx_blob_put_finish(put);
    nx_blob_unref(store, abc);
    while (nx_blob_put_status(put, name, &err) == NX_AGAIN)
        pass_time(put);
    nx_blob_put_close(put);
    for (int i = 0; i < 10; i++)
        pass_time(NULL);
    assert_true(there(abc));
}

static void a_restart_keeps_what_is_claimed(void **state)
{
    (void)state;
    char first[NX_BLOB_NAME_BYTES], second[NX_BLOB_NAME_BYTES];
    size_t len;
    put_all("one", 3, first);
    put_all("two", 3, second);
    nx_blob_store_close(store);
    sim_disk_put(disk, "put-7.tmp", "half", 4);
    sim_disk_put(disk, "readme", "of somebody", 11);
    open_store();
    assert_null(sim_disk_bytes(disk, "put-7.tmp", &len));
    assert_int_equal(nx_blob_ref(store, second), NX_OK);
    nx_blob_collect(store);
    for (int i = 0; i < 5; i++)
        pass_time(NULL);
    assert_false(there(first));
    assert_true(there(second));
    assert_non_null(sim_disk_bytes(disk, "readme", &len));
}

static void a_put_given_up_leaves_nothing(void **state)
{
    (void)state;
    struct nx_blob_put *put;
    struct nx_err err = {0};
    char name[NX_BLOB_NAME_BYTES];
    static uint8_t bytes[200000];
    assert_int_equal(nx_blob_put_open(store, &put, &err), NX_OK);
    nx_blob_put_write(put, bytes, sizeof bytes);
    for (int i = 0; i < 5; i++)
        pass_time(put);
    assert_non_null(sim_disk_name(disk, 0));
    nx_blob_put_close(put);
    assert_null(sim_disk_name(disk, 0));

    struct sim_disk_faults full = calm;
    full.space_bytes = 1000;
    sim_disk_set_faults(disk, &full);
    assert_int_equal(nx_blob_put_open(store, &put, &err), NX_OK);
    nx_blob_put_write(put, bytes, sizeof bytes);
    nx_blob_put_finish(put);
    while (nx_blob_put_status(put, name, &err) == NX_AGAIN)
        pass_time(put);
    assert_int_equal(nx_blob_put_status(put, name, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "No space left on device"));
    assert_null(sim_disk_name(disk, 0)); /* the room is given back at once */
    nx_blob_put_close(put);
}

enum { LARGE = 1500000 };

/* A put of `bytes` on a thin disk without room, up to the sync that fails; then there is room again. */
static struct nx_blob_put *put_until_full(const uint8_t *bytes)
{
    struct sim_disk_faults thin = calm;
    struct nx_blob_put *put;
    struct nx_err err = {0};
    char name[NX_BLOB_NAME_BYTES];
    thin.thin = true;
    sim_disk_set_faults(disk, &thin);
    sim_disk_fill(disk, 0, NX_NEVER);
    assert_int_equal(nx_blob_put_open(store, &put, &err), NX_OK);
    nx_blob_put_wait_for_room(put);
    for (size_t at = 0; at < LARGE; pass_time(put))
        at += nx_blob_put_write(put, bytes + at, LARGE - at);
    nx_blob_put_finish(put);
    while (!nx_blob_put_is_full(put, &err)) {
        assert_int_equal(nx_blob_put_status(put, name, &err), NX_AGAIN);
        pass_time(put);
    }
    assert_non_null(strstr(err.text, "No space left on device"));
    return put;
}

static enum nx_status end_put(struct nx_blob_put *put, char name[NX_BLOB_NAME_BYTES],
                              struct nx_err *err)
{
    enum nx_status status;
    while ((status = nx_blob_put_status(put, name, err)) == NX_AGAIN) {
        if (nx_blob_put_is_full(put, NULL) && !nx_blob_put_is_busy(put))
            nx_blob_put_retry(put);
        pass_time(put);
    }
    nx_blob_put_close(put);
    return status;
}

/* What the kernel dropped when a sync found no room is written again, all of it: the next sync
 * alone would find nothing to do. */
static void a_sync_without_room_writes_all_again(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(LARGE), *back = malloc(LARGE);
    char name[NX_BLOB_NAME_BYTES];
    size_t len;
    struct nx_err err = {0};
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    for (int rounds = 1; rounds <= 3; rounds++) {
        bytes[0]++;
        struct nx_blob_put *put = put_until_full(bytes);
        for (int i = 1; i < rounds; i++) { /* in vain */
            nx_blob_put_retry(put);
            do {
                assert_true(nx_blob_put_is_full(put, NULL)); /* until it is synced */
                pass_time(put);
            } while (nx_blob_put_is_busy(put));
        }
        sim_disk_fill(disk, 0, 0);
        assert_int_equal(end_put(put, name, &err), NX_OK);
        nx_blob_store_close(store);
        sim_disk_crash(disk, true);
        open_store();
        assert_int_equal(get_all(name, back, &len, &err), NX_OK);
        assert_int_equal(len, LARGE);
        assert_memory_equal(back, bytes, LARGE);
    }
    free(bytes);
    free(back);
}

/* Where the bytes cannot be read back either, it is no blob; nothing of it stays. */
static void what_a_sync_without_room_lost_is_missed(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(LARGE, 1);
    char name[NX_BLOB_NAME_BYTES];
    size_t len;
    struct nx_err err = {0};
    struct nx_blob_put *put = put_until_full(bytes);
    sim_disk_bytes(disk, sim_disk_name(disk, 0), &len)[LARGE / 2] ^= 1;
    sim_disk_fill(disk, 0, 0);
    assert_int_equal(end_put(put, name, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, "the disk was full at a sync, and has lost what was written"));
    assert_null(sim_disk_name(disk, 0));
    put = put_until_full(bytes);
    sim_disk_put(disk, sim_disk_name(disk, 0), bytes, LARGE - 1);
    sim_disk_fill(disk, 0, 0);
    assert_int_equal(end_put(put, name, &err), NX_CORRUPT);
    put = put_until_full(bytes); /* given up while it is written again */
    nx_blob_put_retry(put);
    nx_blob_put_close(put);
    sim_disk_fill(disk, 0, 0);
    assert_null(sim_disk_name(disk, 0));
    free(bytes);
}

/* Where a put waits for room, what nobody needs any more goes and makes some; a blob of its own name stays. */
static void a_put_that_waits_keeps_no_other_blob(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(LARGE, 1);
    char name[NX_BLOB_NAME_BYTES], same[NX_BLOB_NAME_BYTES];
    struct nx_err err = {0};
    put_all("abc", 3, name);
    put_all(bytes, LARGE, same);
    struct nx_blob_put *put = put_until_full(bytes);
    assert_int_equal(nx_blob_unref(store, abc), NX_OK);
    assert_int_equal(nx_blob_unref(store, same), NX_OK);
    for (int i = 0; i < 10; i++)
        pass_time(put);
    assert_true(nx_blob_put_is_full(put, NULL));
    assert_false(there(abc));
    assert_true(there(same));
    sim_disk_fill(disk, 0, 0);
    assert_int_equal(end_put(put, name, &err), NX_OK);
    assert_string_equal(name, same);
    for (int i = 0; i < 10; i++)
        pass_time(NULL);
    assert_true(there(same));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_blob_is_named_by_its_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_blobs_survive_power_loss_and_rot_is_seen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_last_reference_removes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_removal_does_not_hit_a_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restart_keeps_what_is_claimed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_put_given_up_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sync_without_room_writes_all_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_sync_without_room_lost_is_missed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_put_that_waits_keeps_no_other_blob, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("blob_store", tests, NULL, NULL);
}
