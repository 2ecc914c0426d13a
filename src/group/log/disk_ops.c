#include "group/log/disk_ops.h"

#include "common/nx_assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const verbs[NX_DISK_KINDS] = {
    [NX_DISK_WRITE] = "write",     [NX_DISK_SYNC] = "sync",     [NX_DISK_READ] = "read",
    [NX_DISK_REPLACE] = "replace", [NX_DISK_RENAME] = "rename", [NX_DISK_REMOVE] = "remove",
    [NX_DISK_LIST] = "list",
};

bool nx_disk_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t len = strnlen(name, NX_DISK_NAME_BYTES);
    return len > 0 && len < NX_DISK_NAME_BYTES && name[0] != '.' && strspn(name, allowed) == len;
}

static enum nx_status status_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return NX_UNAVAILABLE;
    case ENOENT: return NX_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return NX_DENIED;
    case ENOMEM: return NX_NO_MEMORY;
    default: return NX_IO;
    }
}

static bool fail(const struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    int error = errno;
    nx_err_set(&request->err, status_of(error), "cannot %s %s/%s: %s", verbs[request->kind],
               folder->path, request->kind == NX_DISK_LIST ? "" : request->name, strerror(error));
    return false;
}

static void forget(struct nx_disk_folder *folder, const char *name)
{
    for (unsigned i = 0; i < NX_DISK_OPEN_FILES; i++)
        if (folder->open[i].fd >= 0 && strcmp(folder->open[i].name, name) == 0) {
            close(folder->open[i].fd);
            folder->open[i].fd = -1;
        }
}

void nx_disk_forget_all(struct nx_disk_folder *folder)
{
    for (unsigned i = 0; i < NX_DISK_OPEN_FILES; i++)
        if (folder->open[i].fd >= 0)
            close(folder->open[i].fd);
}

/* Opens for writing, making the file if `make`. -1: errno says why. */
static int open_existing_or_make(struct nx_disk_folder *folder, const char *name, bool make)
{
    int fd = openat(folder->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd;
    fd = openat(folder->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    folder->names_changed |= fd >= 0;
    return fd;
}

static int find_open(struct nx_disk_folder *folder, const char *name, bool make)
{
    for (unsigned i = 0; i < NX_DISK_OPEN_FILES; i++)
        if (folder->open[i].fd >= 0 && strcmp(folder->open[i].name, name) == 0)
            return folder->open[i].fd;
    int fd = open_existing_or_make(folder, name, make);
    if (fd < 0)
        return -1;
    unsigned slot = folder->next_slot++ % NX_DISK_OPEN_FILES;
    if (folder->open[slot].fd >= 0)
        close(folder->open[slot].fd);
    folder->open[slot].fd = fd;
    snprintf(folder->open[slot].name, NX_DISK_NAME_BYTES, "%s", name);
    return fd;
}

static bool sync_folder(struct nx_disk_folder *folder)
{
    if (fsync(folder->fd) != 0)
        return false;
    folder->names_changed = false;
    return true;
}

/* A short write is not an error yet: the next call says what is wrong. */
static bool write_all(int fd, struct nx_disk_request *request, uint64_t offset)
{
    const uint8_t *src = request->src;
    while (request->done_bytes < request->len) {
        ssize_t n = pwrite(fd, src + request->done_bytes, request->len - request->done_bytes,
                           (off_t)(offset + request->done_bytes));
        if (n < 0 && errno != EINTR)
            return false;
        request->done_bytes += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool do_write(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    int fd = find_open(folder, request->name, true);
    return (fd >= 0 && write_all(fd, request, request->offset)) || fail(folder, request);
}

static bool do_sync(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    int fd = find_open(folder, request->name, false);
    if (fd < 0 || fdatasync(fd) != 0 || (folder->names_changed && !sync_folder(folder)))
        return fail(folder, request);
    return true;
}

static bool read_all(int fd, struct nx_disk_request *request)
{
    uint8_t *dst = request->dst;
    while (request->done_bytes < request->len) {
        ssize_t n = pread(fd, dst + request->done_bytes, request->len - request->done_bytes,
                          (off_t)(request->offset + request->done_bytes));
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return false;
        request->done_bytes += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool do_read(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    int fd = openat(folder->fd, request->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool ok = fd >= 0 && read_all(fd, request);
    if (!ok)
        fail(folder, request);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool write_and_rename(struct nx_disk_folder *folder, struct nx_disk_request *request, int fd,
                             const char *temporary)
{
    if (!write_all(fd, request, 0) || fdatasync(fd) != 0 ||
        renameat(folder->fd, temporary, folder->fd, request->name) != 0)
        return false;
    return sync_folder(folder);
}

static bool do_replace(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    char temporary[NX_DISK_NAME_BYTES + 8];
    snprintf(temporary, sizeof temporary, "%s.new", request->name);
    forget(folder, request->name);
    int fd =
        openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    bool ok = fd >= 0 && write_and_rename(folder, request, fd, temporary);
    if (!ok) {
        fail(folder, request);
        unlinkat(folder->fd, temporary, 0);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool do_rename(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    forget(folder, request->name);
    forget(folder, request->to);
    if (renameat(folder->fd, request->name, folder->fd, request->to) != 0 || !sync_folder(folder))
        return fail(folder, request);
    return true;
}

static bool do_remove(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    forget(folder, request->name);
    if (unlinkat(folder->fd, request->name, 0) != 0 && errno != ENOENT)
        return fail(folder, request);
    return sync_folder(folder) || fail(folder, request);
}

/* Regular files with names that are ours; others are nobody's business. */
static bool take_entry(const struct nx_disk_folder *folder, struct nx_disk_request *request,
                       const char *name)
{
    struct stat st;
    if (!nx_disk_name_ok(name) || fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return true;
    if (request->done_bytes == request->len) {
        nx_err_set(&request->err, NX_TOO_LARGE, "%s holds more than %zu files", folder->path,
                   request->len);
        return false;
    }
    struct nx_disk_entry *entry = (struct nx_disk_entry *)request->dst + request->done_bytes++;
    memcpy(entry->name, name, strlen(name) + 1); /* its length was checked */
    entry->bytes = (uint64_t)st.st_size;
    return true;
}

static bool do_list(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        fail(folder, request);
        if (fd >= 0)
            close(fd);
        return false;
    }
    struct dirent *entry;
    bool ok = true;
    while (ok && (entry = readdir(dir)) != NULL)
        ok = take_entry(folder, request, entry->d_name);
    closedir(dir);
    return ok;
}

static bool (*const actions[NX_DISK_KINDS])(struct nx_disk_folder *, struct nx_disk_request *) = {
    [NX_DISK_WRITE] = do_write,     [NX_DISK_SYNC] = do_sync,     [NX_DISK_READ] = do_read,
    [NX_DISK_REPLACE] = do_replace, [NX_DISK_RENAME] = do_rename, [NX_DISK_REMOVE] = do_remove,
    [NX_DISK_LIST] = do_list,
};

void nx_disk_carry_out(struct nx_disk_folder *folder, struct nx_disk_request *request)
{
    nx_assert(request->kind < NX_DISK_KINDS);
    nx_assert(request->kind == NX_DISK_LIST || nx_disk_name_ok(request->name));
    request->done_bytes = 0;
    request->err = (struct nx_err){.status = NX_OK};
    if (folder->read_only && request->kind != NX_DISK_READ && request->kind != NX_DISK_LIST) {
        errno = EROFS;
        fail(folder, request);
        return;
    }
    actions[request->kind](folder, request);
}
