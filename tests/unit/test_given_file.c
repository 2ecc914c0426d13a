/* Whatever lies at a given path: the caller gets bytes or a sentence, and never waits without end. */
#include "common/given_file.h"
#include "nx_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/nexus-given-XXXXXX";
static char path[64];
static struct nx_err err;

static const struct nx_given_how plain = {.bytes_max = 100000};

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/it", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void write_file(size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        fputc('a' + (int)(i % 26), f);
    assert_int_equal(fclose(f), 0);
}

static void refused(const char *at, const struct nx_given_how *how, enum nx_status status,
                    const char *words)
{
    char *bytes = NULL;
    size_t len = 7;
    memset(&err, 0, sizeof err);
    assert_int_equal(nx_given_read_whole(at, how, &bytes, &len, NULL, &err), status);
    assert_null(bytes);
    assert_int_equal(len, 7);
    if (!strstr(err.text, words) || !strstr(err.text, at))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void a_plain_file_comes_whole_with_a_nul(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 65535, 65536, 65537, 100000};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        char *bytes;
        size_t len;
        struct stat facts;
        write_file(lens[i]);
        assert_int_equal(nx_given_read_whole(path, &plain, &bytes, &len, &facts, &err), NX_OK);
        assert_int_equal(len, lens[i]);
        assert_int_equal(facts.st_size, lens[i]);
        assert_int_equal(bytes[len], 0);
        for (size_t k = 0; k < len; k++)
            assert_int_equal(bytes[k], 'a' + (int)(k % 26));
        free(bytes);
    }
    write_file(100001);
    refused(path, &plain, NX_TOO_LARGE, "more than the 100000 bytes");
    unlink(path);
    refused(path, &plain, NX_IO, "No such file or directory");
}

static void what_is_no_file_is_named(void **state)
{
    (void)state;
    static const struct nx_given_how patient = {.bytes_max = 10, .pipe_wait = NX_SEC};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    refused(folder, &plain, NX_INVALID, "is a directory, not a plain file");
    refused("/dev/zero", &plain, NX_INVALID, "is a device, not a plain file");
    refused("/dev/null", &patient, NX_INVALID, "is a device, not a plain file");
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    refused(path, &plain, NX_INVALID, "is a socket, not a plain file");
    close(fd);
    unlink(path);
}

static void a_pipe_is_refused_at_once(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, &plain, NX_INVALID, "is a pipe, not a plain file");
    assert_int_equal(nx_given_open(path, &fd, NULL, &err), NX_INVALID);
    assert_int_equal(fd, -1);
    unlink(path);
}

static void a_pipe_may_keep_nobody_for_ever(void **state)
{
    (void)state;
    static const struct nx_given_how how = {.bytes_max = 10, .pipe_wait = 20 * NX_MS};
    char at[32];
    int ends[2];
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, &how, NX_DEADLINE, "is a pipe whose end did not come in time");
    unlink(path);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    snprintf(at, sizeof at, "/proc/self/fd/%d", ends[0]);
    assert_int_equal(write(ends[1], "abc", 3), 3); /* and then nothing, not even an end */
    refused(at, &how, NX_DEADLINE, "is a pipe whose end did not come in time");
    assert_int_equal(write(ends[1], "abcdefghijk", 11), 11);
    refused(at, &how, NX_TOO_LARGE, "more than the 10 bytes");
    close(ends[0]);
    close(ends[1]);
}

struct slow {
    int fd;
};

/* Two pieces: the reader has to come back for more. */
static void *write_slowly(void *user)
{
    struct slow *s = user;
    if (write(s->fd, "abc", 3) == 3)
        usleep(1000);
    if (write(s->fd, "def", 3) != 3)
        return NULL;
    close(s->fd);
    return NULL;
}

static void a_pipe_that_ends_is_read(void **state)
{
    (void)state;
    static const struct nx_given_how how = {.bytes_max = 6, .pipe_wait = 60 * NX_SEC};
    char at[32], *bytes;
    size_t len;
    int ends[2];
    pthread_t writer;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    snprintf(at, sizeof at, "/proc/self/fd/%d", ends[0]);
    struct slow slow = {ends[1]};
    assert_int_equal(pthread_create(&writer, NULL, write_slowly, &slow), 0);
    assert_int_equal(nx_given_read_whole(at, &how, &bytes, &len, NULL, &err), NX_OK);
    pthread_join(writer, NULL);
    assert_int_equal(len, 6);
    assert_string_equal(bytes, "abcdef");
    free(bytes);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_file_comes_whole_with_a_nul),
        cmocka_unit_test(what_is_no_file_is_named),
        cmocka_unit_test(a_pipe_is_refused_at_once),
        cmocka_unit_test(a_pipe_may_keep_nobody_for_ever),
        cmocka_unit_test(a_pipe_that_ends_is_read),
    };
    return cmocka_run_group_tests_name("given file", tests, make_folder, remove_folder);
}
