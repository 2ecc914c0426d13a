/* profile_file.c — the file of a profile, found by its model's digest. */
#include "categorizer/profile.h"

#include "common/given_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIGITS = 16 };

static enum nx_status read_file(const char *path, char **text, size_t *len, struct nx_err *err)
{
    static const struct nx_given_how how = {.bytes_max = NX_PROFILE_FILE_BYTES_MAX};
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return nx_err_set(err, NX_NOT_FOUND, "%s: %s", path, strerror(ENOENT));
    return nx_given_read_whole(path, &how, text, len, NULL, err);
}

static enum nx_status check_origin(const char *path, const struct nx_profile_origin *a,
                                   const struct nx_profile_origin *b, struct nx_err *err)
{
    if (strcmp(a->model, b->model) != 0)
        return nx_err_set(err, NX_INVALID, "%s is of model %s", path, b->model);
    if (strcmp(a->backend, b->backend) != 0 || a->threads != b->threads)
        return nx_err_set(err, NX_INVALID, "%s is of %s with %u threads, here is %s with %u", path,
                          b->backend, b->threads, a->backend, a->threads);
    if (strcmp(a->machine, b->machine) != 0)
        return nx_err_set(err, NX_INVALID, "%s was measured on \"%s\", this is \"%s\"", path,
                          b->machine, a->machine);
    return NX_OK;
}

enum nx_status nx_profile_find(const char *folder, const struct nx_profile_origin *origin,
                               uint32_t batch_max, struct nx_profile *profile, struct nx_err *err)
{
    char path[PATH_MAX], *text;
    const char *digest = strchr(origin->model, ':');
    struct nx_profile read;
    struct nx_profile_origin of;
    size_t len = 0;
    snprintf(path, sizeof path, "%s/%.*s.profile", folder, DIGITS,
             digest ? digest + 1 : origin->model);
    NX_TRY(read_file(path, &text, &len, err));
    enum nx_status status = nx_profile_parse(text, len, &read, &of, err);
    free(text);
    if (status != NX_OK) {
        nx_err_prefix(err, "%s", path);
        return err->status;
    }
    NX_TRY(check_origin(path, origin, &of, err));
    while (read.rows_count > 0 && read.rows[read.rows_count - 1].batch > batch_max)
        read.rows_count--;
    if (read.rows_count == 0)
        return nx_err_set(err, NX_INVALID, "%s has no batch of %u or fewer", path, batch_max);
    *profile = read;
    return NX_OK;
}
