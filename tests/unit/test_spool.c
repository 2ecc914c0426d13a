#include "common/spool.h"
#include "nx_test.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct nx_spool *open_in(const char *folder, uint64_t limit)
{
    struct nx_spool *spool;
    struct nx_err err;
    assert_int_equal(nx_spool_open(folder, limit, &spool, &err), NX_OK);
    return spool;
}

static uint64_t take(struct nx_spool *spool, uint64_t bytes)
{
    uint64_t at;
    struct nx_err err = {0};
    if (nx_spool_take(spool, bytes, &at, &err) != NX_OK)
        fail_msg("%s", err.text);
    return at;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct nx_spool *spool = open_in(".", 1 << 20);
    struct nx_err err;
    char buf[16];
    uint64_t a = take(spool, 10), b = take(spool, 70000);
    assert_true(a != b);
    assert_int_equal(nx_spool_write(spool, a, "0123456789", 10, &err), NX_OK);
    assert_int_equal(nx_spool_write(spool, b + 69990, "abcdefghij", 10, &err), NX_OK);
    assert_int_equal(nx_spool_read(spool, a + 3, buf, 4, &err), NX_OK);
    assert_memory_equal(buf, "3456", 4);
    const char *mapped = nx_spool_map(spool, b, 70000);
    assert_non_null(mapped);
    assert_memory_equal(mapped + 69990, "abcdefghij", 10);
    nx_spool_unmap(mapped, 70000);
    nx_spool_give(spool, a, 10);
    assert_int_equal(nx_spool_read(spool, b + 69990, buf, 10, &err), NX_OK);
    assert_memory_equal(buf, "abcdefghij", 10);
    assert_int_equal(nx_spool_used(spool), 70000);
    nx_spool_give(spool, b, 70000);
    assert_int_equal(take(spool, 1), 0); /* the file is empty again */
    nx_spool_close(spool);
}

static void over_the_limit_is_refused(void **state)
{
    (void)state;
    struct nx_spool *spool = open_in(".", 100);
    struct nx_err err;
    uint64_t at;
    take(spool, 60);
    assert_int_equal(nx_spool_take(spool, 41, &at, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.text, "40 of 100 bytes"));
    assert_int_equal(nx_spool_take(spool, UINT64_MAX, &at, &err), NX_UNAVAILABLE);
    take(spool, 40);
    nx_spool_close(spool);
}

static void what_was_never_written_is_not_read(void **state)
{
    (void)state;
    struct nx_spool *spool = open_in(".", 100);
    struct nx_err err;
    char buf[4];
    uint64_t at = take(spool, 4);
    assert_int_equal(nx_spool_read(spool, at, buf, 4, &err), NX_IO);
    assert_non_null(strstr(err.text, "it ends before"));
    nx_spool_close(spool);
}

static void it_leaves_no_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/test-spool-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct nx_spool *spool = open_in(folder, 100);
    take(spool, 4);
    assert_int_equal(rmdir(folder), 0); /* nothing with a name is in it */
    nx_spool_close(spool);
}

static void a_folder_that_takes_no_files_is_no_hindrance(void **state)
{
    (void)state;
    struct nx_spool *spool = open_in("/nowhere", 100);
    struct nx_err err;
    uint64_t at = take(spool, 4);
    assert_int_equal(nx_spool_write(spool, at, "abcd", 4, &err), NX_OK);
    nx_spool_close(spool);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(over_the_limit_is_refused),
        cmocka_unit_test(what_was_never_written_is_not_read),
        cmocka_unit_test(it_leaves_no_file),
        cmocka_unit_test(a_folder_that_takes_no_files_is_no_hindrance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
