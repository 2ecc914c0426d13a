#include "cli/mapped_file.h"

#include "common/given_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum nx_status map(int fd, const char *path, size_t bytes, struct nx_mapped_file *file,
                          struct nx_err *err)
{
    if (bytes == 0)
        return nx_err_set(err, NX_INVALID, "%s is empty", path);
    void *at = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return nx_err_set(err, NX_IO, "%s: %s", path, strerror(errno));
    *file = (struct nx_mapped_file){at, bytes};
    return NX_OK;
}

enum nx_status nx_mapped_file_open(const char *path, struct nx_mapped_file *file,
                                   struct nx_err *err)
{
    struct stat facts;
    int fd;
    NX_TRY(nx_given_open(path, &fd, &facts, err));
    enum nx_status status = map(fd, path, (size_t)facts.st_size, file, err);
    close(fd);
    return status;
}

void nx_mapped_file_close(struct nx_mapped_file *file)
{
    union {
        const void *read;
        void *give;
    } u = {.read = file->bytes};
    if (file->bytes)
        munmap(u.give, file->len);
    *file = (struct nx_mapped_file){NULL, 0};
}
