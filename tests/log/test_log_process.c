/* The log with real processes and files: killed writers, a full tmpfs, and `nexus log` over what is left.
 * argv[1] is the nexus binary. */
#include "group/log/plog.h"
#include "nx_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 12 };

static const char *nexus;
static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/nexus-log-XXXXXX");
    return !mkdtemp(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct nx_plog *open_at(const char *dir, struct nx_disk **disk)
{
    struct nx_plog_config config = {
        .owner = {.group_id = "0123456789abcde", .shard = "CATEGORIZER_TIER.0"},
        .segment_bytes = 65536,
        .buffer_bytes = 16384,
        .salt = 99};
    struct nx_plog *log = NULL;
    struct nx_err err = {0};
    if (nx_disk_file_open(dir, NX_DISK_OWN, disk, &err) != NX_OK ||
        nx_plog_open(*disk, &config, &log, NULL, &err) != NX_OK)
        fail_msg("%s", err.text);
    return log;
}

static void close_all(struct nx_plog *log, struct nx_disk *disk)
{
    nx_plog_close(log);
    nx_disk_close(disk);
}

static size_t make_record(nx_seq version, uint8_t bytes[700])
{
    size_t len = (size_t)(version * 37 % 700);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)((uint64_t)version * 131 + i);
    return len;
}

static void append_until_full(struct nx_plog *log)
{
    uint8_t bytes[700];
    for (;;) {
        nx_seq version = nx_plog_last(log) + 1;
        size_t len = make_record(version, bytes);
        if (nx_plog_append(log, version, 1, 1, bytes, len) != NX_OK)
            return;
    }
}

/* Appends for ever and tells its parent each durable frontier. */
static void write_and_tell(int pipe_fd)
{
    struct nx_disk *disk;
    struct nx_plog *log = open_at(folder, &disk);
    nx_seq told = NX_SEQ_NONE;
    for (;;) {
        append_until_full(log);
        if (!nx_plog_poll(log, nx_clock_now()))
            disk->ops->wait(disk);
        nx_seq durable = nx_plog_durable(log);
        if (durable > told && write(pipe_fd, &durable, sizeof durable) != sizeof durable)
            _exit(1);
        told = durable;
    }
}

/* Kills the writer after it has told `batches` frontiers more; returns the last one told. */
static nx_seq run_and_kill(int batches)
{
    int fds[2], status;
    nx_seq told = NX_SEQ_NONE, next;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        write_and_tell(fds[1]);
    }
    close(fds[1]);
    for (int i = 0; i < batches && read(fds[0], &next, sizeof next) == sizeof next; i++)
        told = next;
    kill(pid, SIGKILL);
    while (read(fds[0], &next, sizeof next) == sizeof next)
        told = next;
    waitpid(pid, &status, 0);
    close(fds[0]);
    return told;
}

static void check_records(struct nx_plog *log, struct nx_disk *disk)
{
    struct nx_plog_cursor *cursor;
    struct nx_record record;
    struct nx_err err = {0};
    uint8_t bytes[700];
    enum nx_status status;
    nx_seq expected = nx_plog_checkpoint_version(log) + 1;
    assert_int_equal(nx_plog_cursor_open(log, expected - 1, &cursor, &err), NX_OK);
    while ((status = nx_plog_cursor_next(cursor, &record, &err)) != NX_NOT_FOUND) {
        if (status == NX_AGAIN) {
            disk->ops->wait(disk);
            nx_disk_poll(disk);
            continue;
        }
        if (status != NX_OK)
            fail_msg("%s", err.text);
        assert_int_equal(record.version, expected++);
        assert_int_equal(record.payload_bytes, make_record(record.version, bytes));
        assert_memory_equal(record.payload, bytes, record.payload_bytes);
    }
    assert_int_equal(expected - 1, nx_plog_last(log));
    nx_plog_cursor_close(cursor);
}

static void take_checkpoint(struct nx_plog *log, struct nx_disk *disk)
{
    assert_int_equal(nx_plog_checkpoint_begin(log, nx_plog_last(log), 1, NULL), NX_OK);
    nx_plog_checkpoint_write(log, "state", 5);
    nx_plog_checkpoint_end(log);
    while (nx_plog_checkpoint_status(log, NULL) == NX_AGAIN)
        if (!nx_plog_poll(log, nx_clock_now()))
            disk->ops->wait(disk);
    assert_int_equal(nx_plog_checkpoint_status(log, NULL), NX_OK);
}

static int run_nexus_log(const char *options, char *out, size_t cap)
{
    char command[4096];
    snprintf(command, sizeof command, "%s log %s %s 2>&1", nexus, folder, options);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t len = fread(out, 1, cap - 1, f);
    out[len] = 0;
    while (fread(command, 1, sizeof command, f) > 0)
        ;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void killed_writers_lose_nothing_that_was_durable(void **state)
{
    (void)state;
    char out[4096];
    for (int i = 0; i < KILLS; i++) {
        struct nx_disk *disk;
        nx_seq told = run_and_kill(1 + i * 3);
        int code = run_nexus_log("--verify", out, sizeof out);
        assert_true(code == 0 || code == 3);
        struct nx_plog *log = open_at(folder, &disk);
        if (nx_plog_last(log) < told)
            fail_msg("%lld was durable, the log ends with %lld", (long long)told,
                     (long long)nx_plog_last(log));
        check_records(log, disk);
        if (i % 4 == 3)
            take_checkpoint(log, disk);
        close_all(log, disk);
    }
    assert_int_equal(run_nexus_log("--verify", out, sizeof out), 0);
}

static void nexus_log_shows_and_checks(void **state)
{
    (void)state;
    char out[8192], path[256];
    struct nx_disk *disk;
    struct nx_plog *log = open_at(folder, &disk);
    nx_plog_append(log, 0, 1, 7, "hello", 5);
    nx_plog_append(log, 1, 2, 8, "you", 3);
    close_all(log, disk);
    assert_int_equal(run_nexus_log("", out, sizeof out), 0);
    assert_string_equal(out, "shard CATEGORIZER_TIER.0, group 30313233343536373839616263646500\n"
                             "segment-0000000001.log: from place 0\n"
                             "  at 128        1.0 view         kind 7           5 bytes  crc ok\n"
                             "  at 192        2.0 view         kind 8           3 bytes  crc ok\n"
                             "2 records of 8 bytes; ends with 2.0 view\n");
    assert_int_equal(run_nexus_log("--json", out, sizeof out), 0);
    assert_string_equal(
        out,
        "{\"shard\": \"CATEGORIZER_TIER.0\", \"group\": \"30313233343536373839616263646500\", "
        "\"segments\": [{\"file\": \"segment-0000000001.log\", \"after\": -1, \"records\": ["
        "{\"offset\": 128, \"version\": 0, \"vid\": 1, \"kind\": 7, \"bytes\": 5, \"crc\": "
        "\"ok\"}, "
        "{\"offset\": 192, \"version\": 1, \"vid\": 2, \"kind\": 8, \"bytes\": 3, \"crc\": \"ok\"}"
        "]}], \"records\": 2, \"bytes\": 8, \"last\": 1, \"vid\": 2}\n");

    snprintf(path, sizeof path, "%s/segment-0000000001.log", folder);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "Y", 1, 192 + 56), 1);
    close(fd);
    assert_int_equal(run_nexus_log("--verify", out, sizeof out), 1);
    snprintf(path, sizeof path,
             "nexus log: %s/segment-0000000001.log:192: version 1 fails its checksum;", folder);
    if (!strstr(out, path))
        fail_msg("\"%s\" is not in \"%s\"", path, out);
    snprintf(path, sizeof path, "%s/mark.note", folder);
    assert_int_equal(unlink(path), 0); /* nothing says any more that it was on disk */
    assert_int_equal(run_nexus_log("--verify", out, sizeof out), 3);
    assert_non_null(strstr(out, "segment-0000000001.log:192: torn tail of 64 bytes"));
    assert_int_equal(run_nexus_log("--json --verify", out, sizeof out), 3);
    assert_non_null(strstr(out, "\"torn\": {\"file\": \"segment-0000000001.log\", \"offset\": 192, "
                                "\"bytes\": 64}}"));
    assert_int_equal(run_nexus_log("--jsn", out, sizeof out), 2);
}

static void what_is_no_log_is_refused(void **state)
{
    (void)state;
    char out[1024];
    assert_int_equal(run_nexus_log("", out, sizeof out), 1);
    assert_non_null(strstr(out, "holds no log"));
    strcat(folder, "x");
    assert_int_equal(run_nexus_log("--json", out, sizeof out), 1);
    folder[strlen(folder) - 1] = 0;
    assert_non_null(strstr(out, "x: No such file or directory"));
}

/* In a mount namespace of our own; for a user who is not root, in a user namespace as well. */
static bool mount_small_tmpfs(void)
{
    char map[64];
    uid_t uid = geteuid();
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    int fd = uid == 0 ? -1 : open("/proc/self/uid_map", O_WRONLY);
    int len = snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
    bool mapped = uid == 0 || write(fd, map, (size_t)len) == len;
    if (fd >= 0)
        close(fd);
    return mapped && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, "size=256k") == 0;
}

/* A real ENOSPC, on a tmpfs of 256 KiB. */
static void a_full_filesystem_is_survived(void **state)
{
    (void)state;
    struct nx_disk *disk;
    if (!mount_small_tmpfs()) {
        print_message("SKIP a full filesystem: no tmpfs can be mounted: %s\n", strerror(errno));
        skip();
    }
    struct nx_plog *log = open_at(folder, &disk);
    nx_ns now = NX_SEC;
    while (nx_plog_wake_at(log) == NX_NEVER || nx_plog_wake_at(log) < now) {
        append_until_full(log);
        if (!nx_plog_poll(log, now) && nx_plog_wake_at(log) == NX_NEVER)
            disk->ops->wait(disk);
        if (nx_plog_durable(log) > 1000000)
            break;
    }
    nx_seq durable = nx_plog_durable(log);
    enum nx_status status = nx_plog_status(log, NULL);
    close_all(log, disk);
    char out[1024];
    int code = run_nexus_log("--verify", out, sizeof out);
    log = NULL;
    umount2(folder, MNT_DETACH);
    assert_int_equal(status, NX_OK); /* asked again, not given up */
    assert_true(durable > 100 && durable < 1000000);
    assert_true(code == 0 || code == 3);
    print_message("full after version %lld\n", (long long)durable);
}

int main(int argc, char **argv)
{
    nexus = argc > 1 ? argv[1] : "build/bin/nexus";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_writers_lose_nothing_that_was_durable, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(nexus_log_shows_and_checks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_no_log_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_full_filesystem_is_survived, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("log_process", tests, NULL, NULL);
}
