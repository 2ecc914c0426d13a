#include "cli/client_file.h"
#include "nx_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char path[64];
    int fd;
};

static int make_file(void **state)
{
    static struct fixture f;
    strcpy(f.path, "/tmp/nexus-test-file-XXXXXX");
    f.fd = mkstemp(f.path);
    *state = &f;
    return f.fd < 0 || write(f.fd, "0123456789", 10) != 10;
}

static int remove_file(void **state)
{
    struct fixture *f = *state;
    close(f->fd);
    return unlink(f->path);
}

static void hands_out_every_byte_once(void **state)
{
    struct fixture *f = *state;
    struct nx_client_file file;
    char bytes[4];
    static const char *const pieces[] = {"0123", "4567", "89", ""};
    size_t len;
    assert_int_equal(nx_client_file_open(&file, f->path, NULL), NX_OK);
    assert_int_equal(file.size_bytes, 10);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(nx_client_file_read(&file, bytes, sizeof bytes, &len, NULL), NX_OK);
        assert_int_equal(len, strlen(pieces[i]));
        assert_memory_equal(bytes, pieces[i], len);
    }
    nx_client_file_close(&file);
    nx_client_file_close(&file);
}

static void withholds_the_last_bytes_of_a_changed_file(void **state)
{
    struct fixture *f = *state;
    static const off_t sizes[] = {9, 11};
    for (int i = 0; i < 2; i++) {
        struct nx_client_file file;
        struct nx_err err = {0};
        char bytes[6];
        size_t len = 0;
        assert_int_equal(ftruncate(f->fd, 10), 0);
        assert_int_equal(nx_client_file_open(&file, f->path, NULL), NX_OK);
        assert_int_equal(nx_client_file_read(&file, bytes, 6, &len, &err), NX_OK);
        assert_int_equal(ftruncate(f->fd, sizes[i]), 0);
        assert_int_equal(nx_client_file_read(&file, bytes, 6, &len, &err), NX_CORRUPT);
        assert_non_null(strstr(err.text, "it had 10 bytes"));
        assert_int_equal(len, 6); /* as it was: nothing was handed out */
        nx_client_file_close(&file);
    }
}

static void notices_a_write_of_the_same_size(void **state)
{
    struct fixture *f = *state;
    struct nx_client_file file;
    struct nx_err err = {0};
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char bytes[16];
    size_t len;
    assert_int_equal(nx_client_file_open(&file, f->path, NULL), NX_OK);
    assert_int_equal(futimens(f->fd, times), 0);
    assert_int_equal(nx_client_file_read(&file, bytes, sizeof bytes, &len, &err), NX_CORRUPT);
    assert_non_null(strstr(err.text, "was written to"));
    nx_client_file_close(&file);
}

static void refuses_what_cannot_be_announced(void **state)
{
    struct fixture *f = *state;
    struct nx_client_file file;
    struct nx_err err = {0};
    assert_int_equal(nx_client_file_open(&file, "/", &err), NX_INVALID);
    assert_int_equal(nx_client_file_open(&file, "/dev/null", &err), NX_INVALID);
    assert_int_equal(nx_client_file_open(&file, "/nothing/here", &err), NX_IO);
    assert_int_equal(file.fd, -1);
    assert_int_equal(ftruncate(f->fd, 0), 0);
    assert_int_equal(nx_client_file_open(&file, f->path, &err), NX_INVALID);
    assert_int_equal(ftruncate(f->fd, (off_t)1 << 32), 0);
    assert_int_equal(nx_client_file_open(&file, f->path, &err), NX_TOO_LARGE);
    assert_int_equal(ftruncate(f->fd, ((off_t)1 << 32) - 1), 0);
    assert_int_equal(nx_client_file_open(&file, f->path, &err), NX_OK);
    assert_int_equal(file.size_bytes, UINT32_MAX);
    nx_client_file_close(&file);
}

static void a_recipe_is_a_name_or_the_text_of_a_file(void **state)
{
    struct fixture *f = *state;
    char text[11];
    assert_int_equal(nx_client_recipe_text("demo-2019", text, sizeof text, NULL), NX_OK);
    assert_string_equal(text, "demo-2019");
    assert_int_equal(nx_client_recipe_text(f->path, text, sizeof text, NULL), NX_OK);
    assert_string_equal(text, "0123456789");
    assert_int_equal(nx_client_recipe_text(f->path, text, 10, NULL), NX_TOO_LARGE);
    assert_int_equal(nx_client_recipe_text("elevenbytes", text, sizeof text, NULL), NX_INVALID);
    assert_int_equal(nx_client_recipe_text("Demo", text, sizeof text, NULL), NX_INVALID);
    assert_int_equal(nx_client_recipe_text("", text, sizeof text, NULL), NX_INVALID);
    assert_int_equal(nx_client_recipe_text("./nothing", text, sizeof text, NULL), NX_IO);
    assert_int_equal(pwrite(f->fd, "\0", 1, 5), 1);
    assert_int_equal(nx_client_recipe_text(f->path, text, sizeof text, NULL), NX_INVALID);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)
    const struct CMUnitTest tests[] = {
        WITH_FILE(hands_out_every_byte_once),
        WITH_FILE(withholds_the_last_bytes_of_a_changed_file),
        WITH_FILE(notices_a_write_of_the_same_size),
        WITH_FILE(refuses_what_cannot_be_announced),
        WITH_FILE(a_recipe_is_a_name_or_the_text_of_a_file),
    };
    return cmocka_run_group_tests_name("client_file", tests, NULL, NULL);
}
