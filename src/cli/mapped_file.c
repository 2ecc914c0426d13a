#include "cli/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum nx_status map(int fd, const char *path, struct nx_mapped_file *file, struct nx_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return nx_err_set(err, NX_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return nx_err_set(err, NX_INVALID, "%s is not a regular file", path);
    if (st.st_size == 0)
        return nx_err_set(err, NX_INVALID, "%s is empty", path);
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return nx_err_set(err, NX_IO, "%s: %s", path, strerror(errno));
    *file = (struct nx_mapped_file){at, (size_t)st.st_size};
    return NX_OK;
}

enum nx_status nx_mapped_file_open(const char *path, struct nx_mapped_file *file,
                                   struct nx_err *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO does not hang */
    if (fd < 0)
        return nx_err_set(err, NX_IO, "%s: %s", path, strerror(errno));
    enum nx_status status = map(fd, path, file, err);
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
