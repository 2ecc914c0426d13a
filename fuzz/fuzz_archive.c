/* A model archive from a stranger: it is opened, refused, or read to its end. */
#include "common/nx_assert.h"
#include "function_tier/archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char folder[64];

static void remove_folder(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/x.mar", folder);
    unlink(path);
    rmdir(folder);
}

static void make_folder(void)
{
    if (folder[0])
        return;
    snprintf(folder, sizeof folder, "%s/fuzz-archive-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    nx_assert(mkdtemp(folder));
    atexit(remove_folder);
}

static void put(const uint8_t *bytes, size_t len)
{
    char path[96];
    snprintf(path, sizeof path, "%s/x.mar", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    nx_assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

static void read_all(struct nx_archive *a)
{
    static uint8_t chunk[64 << 10];
    struct nx_err err = {0};
    uint64_t total = 0, announced = 0;
    size_t got = 1;
    for (unsigned role = 0; role < NX_ARCHIVE_ROLES; role++)
        announced += nx_archive_bytes(a, (enum nx_archive_role)role);
    enum nx_status status = NX_OK;
    while (status == NX_OK && got > 0 && total < 64 << 20) {
        status = nx_archive_read(a, chunk, sizeof chunk, &got, &err);
        total += status == NX_OK ? got : 0;
    }
    nx_assert(total <= announced);
    if (status == NX_OK && got == 0)
        nx_assert(total == announced);
    if (status != NX_OK)
        nx_assert(err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_archive *a;
    struct nx_err err = {0};
    make_folder();
    put(bytes, len);
    if (nx_archive_open(folder, "x.mar", &a, &err) != NX_OK) {
        nx_assert(err.text[0]);
        return 0;
    }
    read_all(a);
    nx_archive_close(a);
    return 0;
}
