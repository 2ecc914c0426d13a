#include "function_tier/archive.h"

#include "common/arena.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

enum { ENTRY_NAME_MAX = 255, SMALL_BYTES = 1 << 20 };

/* As the engine's own bounds (model.h), so that a refusal comes before the bytes. */
static const uint64_t role_bytes_max[NX_ARCHIVE_ROLES] = {UINT64_C(16) << 20, NX_ARCHIVE_BYTES_MAX,
                                                          NX_ARCHIVE_BYTES_MAX, UINT64_C(8) << 20};
static const char *const role_names[NX_ARCHIVE_ROLES] = {"synset.txt", "*-symbol.json or *.onnx",
                                                         "*.params", "*.cal"};

struct file {
    char name[ENTRY_NAME_MAX + 1]; /* "": there is none */
    uint64_t index, bytes, got;
};

struct nx_archive {
    char url[NX_ARCHIVE_URL_BYTES_MAX];
    zip_t *zip; /* NULL: a folder */
    int folder_fd;
    bool is_onnx;
    struct file files[NX_ARCHIVE_ROLES];
    unsigned role; /* being read */
    zip_file_t *zip_file;
    int file_fd;
};

/* --- what is in it -------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

static const char *base_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static int role_of(const char *name)
{
    if (strcmp(base_of(name), "synset.txt") == 0)
        return NX_ARCHIVE_SYNSET;
    if (ends_with(name, "-symbol.json") || ends_with(name, ".onnx"))
        return NX_ARCHIVE_SYMBOL;
    if (ends_with(name, ".cal"))
        return NX_ARCHIVE_CALIBRATION;
    return ends_with(name, ".params") ? NX_ARCHIVE_PARAMS : -1;
}

static enum nx_status keep(struct nx_archive *a, const char *name, uint64_t index, uint64_t bytes,
                           struct nx_err *err)
{
    int role = role_of(name);
    if (role < 0)
        return NX_OK;
    struct file *f = &a->files[role];
    if (f->name[0])
        return nx_err_set(err, NX_INVALID, "%s holds both %s and %s, one of them was expected",
                          a->url, f->name, name);
    if (bytes > role_bytes_max[role])
        return nx_err_set(err, NX_TOO_LARGE, "%s in %s has %llu bytes, the limit is %llu", name,
                          a->url, (unsigned long long)bytes,
                          (unsigned long long)role_bytes_max[role]);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->index = index;
    f->bytes = bytes;
    return NX_OK;
}

/* Who puts a calibration there means int8: an empty one is refused, not passed over. */
static bool is_wanted(const struct nx_archive *a, unsigned role)
{
    if (role == NX_ARCHIVE_CALIBRATION)
        return a->files[role].name[0] != 0;
    return role != NX_ARCHIVE_PARAMS || !a->is_onnx;
}

static enum nx_status check_whole(struct nx_archive *a, struct nx_err *err)
{
    a->is_onnx = ends_with(a->files[NX_ARCHIVE_SYMBOL].name, ".onnx");
    for (unsigned role = 0; role < NX_ARCHIVE_ROLES; role++) {
        bool wanted = is_wanted(a, role);
        if (wanted && (!a->files[role].name[0] || a->files[role].bytes == 0))
            return nx_err_set(err, NX_INVALID, "%s has no %s%s", a->url, role_names[role],
                              a->files[role].name[0] ? " with bytes in it" : "");
        if (!wanted && a->files[role].name[0])
            return nx_err_set(err, NX_INVALID, "%s holds an ONNX file and %s", a->url,
                              a->files[role].name);
    }
    return NX_OK;
}

/* --- archives ------------------------------------------------------------------------------------- */

/* Nothing is written under these names; but an archive that has them is an attack or an accident. */
static bool leads_out(const char *name)
{
    if (name[0] == '/' || strchr(name, '\\') || strchr(name, ':'))
        return true;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == 0))
            return true;
    }
    return false;
}

static bool is_link(zip_t *zip, uint64_t index)
{
    zip_uint8_t system;
    zip_uint32_t attributes;
    return zip_file_get_external_attributes(zip, index, 0, &system, &attributes) == 0 &&
           system == ZIP_OPSYS_UNIX && S_ISLNK((mode_t)(attributes >> 16));
}

static enum nx_status check_entry(struct nx_archive *a, uint64_t index, const zip_stat_t *s,
                                  struct nx_err *err)
{
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if ((s->valid & needed) != needed)
        return nx_err_set(err, NX_CORRUPT, "entry %llu of %s has no name or size",
                          (unsigned long long)index, a->url);
    if (strlen(s->name) > ENTRY_NAME_MAX)
        return nx_err_set(err, NX_INVALID,
                          "an entry of %s has a name of %zu bytes, the limit is %d", a->url,
                          strlen(s->name), ENTRY_NAME_MAX);
    if (leads_out(s->name))
        return nx_err_set(err, NX_DENIED, "entry %s of %s leads out of the archive", s->name,
                          a->url);
    if (is_link(a->zip, index))
        return nx_err_set(err, NX_DENIED, "entry %s of %s is a symbolic link", s->name, a->url);
    if ((s->valid & ZIP_STAT_ENCRYPTION_METHOD) && s->encryption_method != ZIP_EM_NONE)
        return nx_err_set(err, NX_UNSUPPORTED, "entry %s of %s is encrypted", s->name, a->url);
    if (s->size > SMALL_BYTES && s->size / NX_ARCHIVE_RATIO_MAX > s->comp_size)
        return nx_err_set(err, NX_TOO_LARGE,
                          "entry %s of %s expands from %llu to %llu bytes, over %d times", s->name,
                          a->url, (unsigned long long)s->comp_size, (unsigned long long)s->size,
                          NX_ARCHIVE_RATIO_MAX);
    return NX_OK;
}

static enum nx_status read_directory(struct nx_archive *a, struct nx_err *err)
{
    zip_int64_t count = zip_get_num_entries(a->zip, 0);
    uint64_t total = 0;
    if (count > NX_ARCHIVE_ENTRIES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%s has %lld entries, the limit is %d", a->url,
                          (long long)count, NX_ARCHIVE_ENTRIES_MAX);
    for (zip_int64_t i = 0; i < count; i++) {
        zip_stat_t s;
        if (zip_stat_index(a->zip, (zip_uint64_t)i, 0, &s) != 0)
            return nx_err_set(err, NX_CORRUPT, "%s: %s", a->url, zip_strerror(a->zip));
        NX_TRY(check_entry(a, (uint64_t)i, &s, err));
        if (s.size > NX_ARCHIVE_BYTES_MAX || (total += s.size) > NX_ARCHIVE_BYTES_MAX)
            return nx_err_set(err, NX_TOO_LARGE, "%s holds more than %llu bytes", a->url,
                              (unsigned long long)NX_ARCHIVE_BYTES_MAX);
        if (!ends_with(s.name, "/"))
            NX_TRY(keep(a, s.name, (uint64_t)i, s.size, err));
    }
    return NX_OK;
}

static enum nx_status open_zip(struct nx_archive *a, int fd, struct nx_err *err)
{
    int code;
    a->zip = zip_fdopen(fd, ZIP_CHECKCONS, &code);
    if (!a->zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        nx_err_set(err, NX_CORRUPT, "%s is no archive: %s", a->url, zip_error_strerror(&error));
        zip_error_fini(&error);
        close(fd);
        return NX_CORRUPT;
    }
    return read_directory(a, err);
}

/* --- folders -------------------------------------------------------------------------------------- */

static enum nx_status keep_file(struct nx_archive *a, const char *name, struct nx_err *err)
{
    struct stat s;
    if (role_of(name) < 0)
        return NX_OK;
    if (fstatat(a->folder_fd, name, &s, AT_SYMLINK_NOFOLLOW) != 0)
        return nx_err_set(err, NX_IO, "%s/%s: %s", a->url, name, strerror(errno));
    if (!S_ISREG(s.st_mode))
        return nx_err_set(err, NX_DENIED, "%s/%s is no plain file", a->url, name);
    return keep(a, name, 0, (uint64_t)s.st_size, err);
}

static enum nx_status read_folder(struct nx_archive *a, struct nx_err *err)
{
    int fd = dup(a->folder_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    enum nx_status status = NX_OK;
    const struct dirent *entry;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return nx_err_set(err, NX_IO, "%s: %s", a->url, strerror(errno));
    }
    for (int n = 0; status == NX_OK && (entry = readdir(dir)); n++) {
        if (n == NX_ARCHIVE_ENTRIES_MAX)
            status = nx_err_set(err, NX_TOO_LARGE, "%s holds more than %d files", a->url,
                                NX_ARCHIVE_ENTRIES_MAX);
        else
            status = keep_file(a, entry->d_name, err);
    }
    closedir(dir);
    return status;
}

/* --- opening -------------------------------------------------------------------------------------- */

enum nx_status nx_archive_check_url(const char *url, struct nx_err *err)
{
    if (url[0] == 0 || strlen(url) >= NX_ARCHIVE_URL_BYTES_MAX)
        return nx_err_set(err, NX_INVALID, "Parameter url must have 1 to %d bytes.",
                          NX_ARCHIVE_URL_BYTES_MAX - 1);
    if (strstr(url, "://"))
        return nx_err_set(
            err, NX_NOT_FOUND,
            "Invalid model url: %.100s (models are registered from the model store only)", url);
    if (strchr(url, '/') || strchr(url, '\\') || url[0] == '.')
        return nx_err_set(err, NX_NOT_FOUND, "Relative path is not allowed in url: %.100s", url);
    return NX_OK;
}

static enum nx_status open_in_store(struct nx_archive *a, const char *store, struct nx_err *err)
{
    struct stat s;
    int store_fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store_fd < 0)
        return nx_err_set(err, NX_IO, "model_store %s: %s", store, strerror(errno));
    int fd = openat(store_fd, a->url, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int cause = errno;
    close(store_fd);
    if (fd < 0 && cause == ELOOP)
        return nx_err_set(err, NX_DENIED, "%s in the model store is a symbolic link", a->url);
    if (fd < 0)
        return nx_err_set(err, NX_NOT_FOUND, "Model not found in model store: %s", a->url);
    if (fstat(fd, &s) == 0 && S_ISDIR(s.st_mode)) {
        a->folder_fd = fd;
        return read_folder(a, err);
    }
    if (!S_ISREG(s.st_mode)) {
        close(fd);
        return nx_err_set(err, NX_DENIED, "%s in the model store is no plain file", a->url);
    }
    return open_zip(a, fd, err);
}

enum nx_status nx_archive_open(const char *store, const char *url, struct nx_archive **archive,
                               struct nx_err *err)
{
    NX_TRY(nx_archive_check_url(url, err));
    struct nx_archive *a = nx_calloc(1, sizeof *a);
    if (!a)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an archive");
    a->folder_fd = a->file_fd = -1;
    snprintf(a->url, sizeof a->url, "%s", url);
    enum nx_status status = open_in_store(a, store, err);
    if (status == NX_OK)
        status = check_whole(a, err);
    if (status != NX_OK) {
        nx_archive_close(a);
        return status;
    }
    *archive = a;
    return NX_OK;
}

enum nx_status nx_archive_find(const char *store, const char *name, struct nx_archive **archive,
                               struct nx_err *err)
{
    static const char *const endings[] = {".mar", ".model", ""};
    char url[NX_ARCHIVE_URL_BYTES_MAX + 8];
    enum nx_status status = NX_NOT_FOUND;
    if (store[0] == 0)
        return nx_err_set(err, NX_INVALID,
                          "models are loaded only where the key model_store names a folder");
    for (size_t i = 0; status == NX_NOT_FOUND && i < sizeof endings / sizeof *endings; i++) {
        snprintf(url, sizeof url, "%s%s", name, endings[i]);
        status = nx_archive_open(store, url, archive, err);
    }
    if (status == NX_NOT_FOUND)
        return nx_err_set(
            err, NX_INVALID,
            "failed to load '%s': no %s.mar, %s.model or folder %s in the model store", name, name,
            name, name);
    return status;
}

static bool may_be_model(int store_fd, const char *name)
{
    struct stat s;
    if (name[0] == '.' || fstatat(store_fd, name, &s, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return S_ISDIR(s.st_mode) ||
           (S_ISREG(s.st_mode) && (ends_with(name, ".mar") || ends_with(name, ".model")));
}

static int by_url(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum nx_status nx_archive_list(const char *store, struct nx_archive_list *list, struct nx_err *err)
{
    DIR *dir = opendir(store);
    const struct dirent *entry;
    enum nx_status status = NX_OK;
    list->count = 0;
    if (!dir)
        return nx_err_set(err, NX_IO, "model_store %s: %s", store, strerror(errno));
    while (status == NX_OK && (entry = readdir(dir))) {
        if (!may_be_model(dirfd(dir), entry->d_name))
            continue;
        if (strlen(entry->d_name) >= NX_ARCHIVE_URL_BYTES_MAX) {
            nx_warn(
                "model_store: %.60s… is left out: its name has %zu bytes, at most %d are allowed",
                entry->d_name, strlen(entry->d_name), NX_ARCHIVE_URL_BYTES_MAX - 1);
            continue;
        }
        if (list->count == NX_ARCHIVE_LIST_MAX)
            status = nx_err_set(err, NX_TOO_LARGE, "model_store %s holds more than %d models",
                                store, NX_ARCHIVE_LIST_MAX);
        else
            memcpy(list->urls[list->count++], entry->d_name,
                   strlen(entry->d_name) + 1); /* it fits */
    }
    closedir(dir);
    qsort(list->urls, list->count, sizeof list->urls[0], by_url);
    return status;
}

void nx_archive_name(const char *url, char *name, size_t cap)
{
    size_t len = strnlen(url, cap - 1); /* an url that is longer than a name is refused as such */
    memcpy(name, url, len);
    name[len] = 0;
    char *dot = strrchr(name, '.');
    if (dot && dot > name &&
        (strcmp(dot, ".model") == 0 || strcmp(dot, ".mar") == 0 || strcmp(dot, ".zip") == 0))
        *dot = 0;
}

static void close_file(struct nx_archive *a)
{
    if (a->zip_file)
        zip_fclose(a->zip_file);
    if (a->file_fd >= 0)
        close(a->file_fd);
    a->zip_file = NULL;
    a->file_fd = -1;
}

void nx_archive_close(struct nx_archive *a)
{
    close_file(a);
    if (a->zip)
        zip_discard(a->zip);
    if (a->folder_fd >= 0)
        close(a->folder_fd);
    free(a);
}

bool nx_archive_is_onnx(const struct nx_archive *a)
{
    return a->is_onnx;
}

uint64_t nx_archive_bytes(const struct nx_archive *a, enum nx_archive_role role)
{
    return a->files[role].bytes;
}

/* --- reading -------------------------------------------------------------------------------------- */

static enum nx_status open_file(struct nx_archive *a, const struct file *f, struct nx_err *err)
{
    if (a->zip)
        a->zip_file = zip_fopen_index(a->zip, f->index, 0);
    else
        a->file_fd = openat(a->folder_fd, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (a->zip_file || a->file_fd >= 0)
        return NX_OK;
    return nx_err_set(err, NX_CORRUPT, "%s in %s cannot be read: %s", f->name, a->url,
                      a->zip ? zip_strerror(a->zip) : strerror(errno));
}

static int64_t read_some(struct nx_archive *a, void *dst, size_t cap)
{
    return a->zip ? zip_fread(a->zip_file, dst, cap) : read(a->file_fd, dst, cap);
}

/* There is no byte more; libzip has checked its CRC once this is known, which is before the last bytes are handed on. */
static bool is_at_end(struct nx_archive *a)
{
    uint8_t beyond;
    return read_some(a, &beyond, 1) == 0;
}

enum nx_status nx_archive_read(struct nx_archive *a, void *dst, size_t cap, size_t *len,
                               struct nx_err *err)
{
    *len = 0;
    while (a->role < NX_ARCHIVE_ROLES) {
        struct file *f = &a->files[a->role];
        if (f->bytes == 0) {
            a->role++;
            continue;
        }
        if (!a->zip_file && a->file_fd < 0)
            NX_TRY(open_file(a, f, err));
        uint64_t left = f->bytes - f->got;
        int64_t n = read_some(a, dst, left < cap ? (size_t)left : cap);
        if (n > 0)
            f->got += (uint64_t)n;
        if (n <= 0 || (f->got == f->bytes && !is_at_end(a)))
            return nx_err_set(err, NX_CORRUPT, "%s in %s is not the %llu bytes that it claims",
                              f->name, a->url, (unsigned long long)f->bytes);
        if (f->got == f->bytes) {
            close_file(a);
            a->role++;
        }
        *len = (size_t)n;
        return NX_OK;
    }
    return NX_OK;
}
