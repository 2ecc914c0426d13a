#include "cli/client_file.h"

#include "cli/client_text.h"
#include "common/given_file.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum nx_status check_stat(const char *path, const struct stat *st, struct nx_err *err)
{
    if (st->st_size == 0)
        return nx_err_set(err, NX_INVALID, "%s is empty", path);
    if (st->st_size > (off_t)UINT32_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%s has %lld bytes, more than the %u that can be sent",
                          path, (long long)st->st_size, UINT32_MAX);
    return NX_OK;
}

enum nx_status nx_client_file_open(struct nx_client_file *file, const char *path,
                                   struct nx_err *err)
{
    *file = (struct nx_client_file){.fd = -1, .path = path};
    struct stat st;
    int fd;
    NX_TRY(nx_given_open(path, &fd, &st, err));
    enum nx_status status = check_stat(path, &st, err);
    if (status != NX_OK) {
        close(fd);
        return status;
    }
    file->fd = fd;
    file->size_bytes = (uint32_t)st.st_size;
    file->modified = st.st_mtim;
    return NX_OK;
}

static enum nx_status check_unchanged(const struct nx_client_file *file, struct nx_err *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return nx_err_set(err, NX_IO, "cannot read %s: %s", file->path, strerror(errno));
    if (st.st_size != (off_t)file->size_bytes)
        return nx_err_set(err, NX_CORRUPT,
                          "%s changed while it was read: it had %u bytes and now has %lld",
                          file->path, file->size_bytes, (long long)st.st_size);
    if (st.st_mtim.tv_sec != file->modified.tv_sec || st.st_mtim.tv_nsec != file->modified.tv_nsec)
        return nx_err_set(err, NX_CORRUPT, "%s was written to while it was read", file->path);
    return NX_OK;
}

enum nx_status nx_client_file_read(struct nx_client_file *file, void *bytes, size_t cap,
                                   size_t *len, struct nx_err *err)
{
    nx_assert(file->fd >= 0 && cap > 0);
    size_t left = file->size_bytes - file->read_bytes;
    size_t want = left < cap ? left : cap, got;
    NX_TRY(nx_given_read(file->fd, file->path, bytes, want, &got, err));
    if (got < want || want == left)
        NX_TRY(check_unchanged(file, err));
    if (got < want) /* the size came back after the read: changed all the same */
        return nx_err_set(err, NX_CORRUPT, "%s changed while it was read", file->path);
    file->read_bytes += (uint32_t)want;
    *len = want;
    return NX_OK;
}

void nx_client_file_close(struct nx_client_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

static enum nx_status read_recipe(struct nx_client_file *file, char *text, size_t cap,
                                  struct nx_err *err)
{
    size_t len = 0;
    if (file->size_bytes >= cap)
        return nx_err_set(err, NX_TOO_LARGE, "recipe %s has %u bytes, more than %zu", file->path,
                          file->size_bytes, cap - 1);
    NX_TRY(nx_client_file_read(file, text, file->size_bytes, &len, err));
    text[len] = 0;
    if (!nx_client_text_is_utf8(text, len))
        return nx_err_set(err, NX_INVALID, "recipe %s is not UTF-8 text", file->path);
    return NX_OK;
}

static bool is_recipe_name(const char *recipe)
{
    return *recipe && !recipe[strspn(recipe, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

enum nx_status nx_client_recipe_text(const char *recipe, char *text, size_t cap, struct nx_err *err)
{
    if (is_recipe_name(recipe) && strlen(recipe) < cap) {
        memcpy(text, recipe, strlen(recipe) + 1);
        return NX_OK;
    }
    if (!strpbrk(recipe, "/."))
        return nx_err_set(
            err, NX_INVALID,
            "recipe \"%.64s\" is neither a name (a-z, 0-9 and -) nor a path with / or .", recipe);
    struct nx_client_file file;
    NX_TRY(nx_client_file_open(&file, recipe, err));
    enum nx_status status = read_recipe(&file, text, cap, err);
    nx_client_file_close(&file);
    return status;
}
