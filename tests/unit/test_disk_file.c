/* The file disk: the seam's sentences that a folder can show. What crashes do: test_log_process.c. */
#include "common/arena.h"
#include "group/log/plog.h"
#include "nx_test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct nx_disk *disk;

static int make_folder(void **state)
{
    (void)state;
    struct nx_err err = {0};
    strcpy(folder, "/tmp/nexus-disk-XXXXXX");
    return !mkdtemp(folder) || nx_disk_file_open(folder, NX_DISK_OWN, &disk, &err) != NX_OK;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    nx_disk_close(disk);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct nx_disk_request request(enum nx_disk_kind kind, const char *name)
{
    struct nx_disk_request r = {.kind = kind};
    snprintf(r.name, sizeof r.name, "%s", name);
    return r;
}

static enum nx_status run(struct nx_disk_request *r)
{
    return nx_disk_run(disk, r, NULL);
}

static size_t read_back(const char *name, char *bytes, size_t cap)
{
    struct nx_disk_request r = request(NX_DISK_READ, name);
    r.dst = bytes;
    r.len = cap;
    assert_int_equal(run(&r), NX_OK);
    return r.done_bytes;
}

static void requests_are_carried_out_in_order(void **state)
{
    (void)state;
    struct nx_disk_request r[5] = {request(NX_DISK_WRITE, "a.tmp"), request(NX_DISK_WRITE, "a.tmp"),
                                   request(NX_DISK_SYNC, "a.tmp"), request(NX_DISK_RENAME, "a.tmp"),
                                   request(NX_DISK_WRITE, "b")};
    char back[32] = {0};
    r[0].src = "hello world";
    r[0].len = 11;
    r[1].src = "W";
    r[1].len = 1;
    r[1].offset = 6;
    strcpy(r[3].to, "b");
    r[4].src = "xyz";
    r[4].len = 3;
    r[4].offset = 11;
    for (int i = 0; i < 5; i++)
        nx_disk_submit(disk, &r[i]);
    while (!r[4].done) {
        struct pollfd ready = {.fd = nx_disk_fd(disk), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 60000), 1);
        assert_true(nx_disk_poll(disk));
    }
    struct pollfd idle = {.fd = nx_disk_fd(disk), .events = POLLIN};
    assert_int_equal(poll(&idle, 1, 0), 0);
    for (int i = 0; i < 5; i++)
        assert_true(r[i].done && r[i].err.status == NX_OK);
    assert_int_equal(read_back("b", back, sizeof back), 14);
    assert_string_equal(back, "hello Worldxyz");
}

static void replace_and_remove(void **state)
{
    (void)state;
    char back[32] = {0};
    struct nx_disk_request r = request(NX_DISK_REPLACE, "note"),
                           gone = request(NX_DISK_REMOVE, "note");
    r.src = "one";
    r.len = 3;
    assert_int_equal(run(&r), NX_OK);
    r.src = "second";
    r.len = 6;
    assert_int_equal(run(&r), NX_OK);
    assert_int_equal(read_back("note", back, sizeof back), 6);
    assert_string_equal(back, "second");
    assert_int_equal(run(&gone), NX_OK);
    assert_int_equal(run(&gone), NX_OK); /* removed already */
    struct nx_disk_request read = request(NX_DISK_READ, "note");
    read.dst = back;
    read.len = 1;
    assert_int_equal(run(&read), NX_NOT_FOUND);
    assert_non_null(strstr(read.err.text, "cannot read /tmp/nexus-disk-"));
    assert_non_null(strstr(read.err.text, "/note: No such file or directory"));
}

static void a_list_names_regular_files_that_could_be_ours(void **state)
{
    (void)state;
    char path[128];
    struct nx_disk_entry entries[4];
    struct nx_disk_request r = request(NX_DISK_WRITE, "five"), list = {.kind = NX_DISK_LIST};
    r.src = "12345";
    r.len = 5;
    assert_int_equal(run(&r), NX_OK);
    snprintf(path, sizeof path, "%s/folder", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/a link", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    list.dst = entries;
    list.len = 4;
    assert_int_equal(run(&list), NX_OK);
    assert_int_equal(list.done_bytes, 1);
    assert_string_equal(entries[0].name, "five");
    assert_int_equal(entries[0].bytes, 5);
    list.len = 0;
    assert_int_equal(run(&list), NX_TOO_LARGE);
    struct nx_disk_request follow = request(NX_DISK_READ, "link");
    follow.dst = entries;
    follow.len = 1;
    assert_int_equal(run(&follow), NX_IO); /* no link is followed */
}

static void a_folder_has_one_owner(void **state)
{
    (void)state;
    struct nx_disk *other;
    struct nx_err err = {0};
    assert_int_equal(nx_disk_file_open(folder, NX_DISK_OWN, &other, &err), NX_EXISTS);
    assert_non_null(strstr(err.text, "is in use by another process"));
    assert_int_equal(nx_disk_file_open(folder, NX_DISK_READ_ONLY, &other, &err), NX_OK);
    struct nx_disk_request r = request(NX_DISK_WRITE, "a");
    r.src = "a";
    r.len = 1;
    assert_int_equal(nx_disk_run(other, &r, &err), NX_DENIED);
    assert_non_null(strstr(err.text, "/a: Read-only file system"));
    nx_disk_close(other);
    assert_int_equal(nx_disk_file_open("/nowhere/at/all", NX_DISK_READ_ONLY, &other, &err),
                     NX_NOT_FOUND);
    assert_int_equal(nx_disk_file_open("/dev/null", NX_DISK_READ_ONLY, &other, &err), NX_IO);
}

static void names_cannot_leave_the_folder(void **state)
{
    (void)state;
    const char *bad[] = {"", ".", "..", ".hidden", "a/b", "a b", "\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(nx_disk_name_ok(bad[i]));
    assert_true(nx_disk_name_ok("segment-0000000001.log"));
}

static enum nx_status use_log(struct nx_err *err)
{
    struct nx_plog_config config = {
        .owner = {.shard = "TIER.0"}, .buffer_bytes = 4096, .segment_bytes = 8192};
    struct nx_plog *log;
    struct nx_plog_cursor *cursor = NULL;
    enum nx_status status = nx_plog_open(disk, &config, &log, NULL, err);
    if (status != NX_OK)
        return status;
    nx_seq last = nx_plog_last(log);
    assert_int_equal(nx_plog_append(log, last + 2, 1, 1, "x", 1), NX_OK);
    while (nx_plog_durable(log) < last + 2)
        if (!nx_plog_poll(log, 0))
            disk->ops->wait(disk);
    status = nx_plog_cursor_open(log, last, &cursor, err);
    if (status == NX_OK)
        status = nx_plog_checkpoint_begin(log, last + 1, 1, err);
    if (cursor)
        nx_plog_cursor_close(cursor);
    nx_plog_close(log);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct nx_disk *other;
    struct nx_err err = {0};
    enum nx_status status;
    uint64_t n = 0;
    nx_alloc_fail_at(1);
    assert_int_equal(nx_disk_file_open(folder, NX_DISK_READ_ONLY, &other, &err), NX_NO_MEMORY);
    do {
        nx_alloc_fail_at(++n);
        status = use_log(&err);
        assert_true(status == NX_OK || (status == NX_NO_MEMORY && err.text[0]));
    } while (status != NX_OK);
    nx_alloc_fail_at(0);
    assert_true(n > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_carried_out_in_order, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(replace_and_remove, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_list_names_regular_files_that_could_be_ours, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_has_one_owner, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, make_folder, remove_folder),
        cmocka_unit_test(names_cannot_leave_the_folder),
    };
    return cmocka_run_group_tests_name("disk_file", tests, NULL, NULL);
}
