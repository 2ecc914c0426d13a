#include "cli/client_identity.h"

#include "cli/client_file.h"
#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_FILE_BYTES_MAX = 1 << 20 };

bool nx_client_identity_option(int letter, const char *value, struct nx_client_paths *paths)
{
    switch (letter) {
    case 'a': paths->ca = value; return true;
    case 'c': paths->cert = value; return true;
    case 'k': paths->key = value; return true;
    case 'o': paths->token = value; return true;
    default: return false;
    }
}

enum nx_status nx_client_identity_check(const struct nx_client_paths *paths, struct nx_err *err)
{
    if (!paths->cert != !paths->key)
        return nx_err_set(err, NX_INVALID, "--cert and --key belong together");
    if (paths->cert && !paths->ca)
        return nx_err_set(err, NX_INVALID, "--cert and --key need --ca: whom shall they be shown?");
    return NX_OK;
}

/* The whole file, a NUL behind it. */
static enum nx_status read_text(const char *path, const char **text, struct nx_err *err)
{
    struct nx_client_file file;
    char *bytes = NULL;
    if (!path)
        return NX_OK;
    NX_TRY(nx_client_file_open(&file, path, err));
    size_t len = 0;
    enum nx_status status = NX_OK;
    if (file.size_bytes > TEXT_FILE_BYTES_MAX)
        status = nx_err_set(err, NX_TOO_LARGE, "%s is over %d bytes: neither PEM nor a token", path,
                            TEXT_FILE_BYTES_MAX);
    else if (!(bytes = nx_calloc(file.size_bytes + 1, 1)))
        status = nx_err_set(err, NX_NO_MEMORY, "no memory for %s", path);
    else
        status = nx_client_file_read(&file, bytes, file.size_bytes, &len, err);
    nx_client_file_close(&file);
    *text = bytes;
    return status;
}

/* Cuts the end of the line; what is left must be able to stand in a header. */
static enum nx_status check_token(const char *path, char *token, struct nx_err *err)
{
    token[strcspn(token, "\r\n")] = 0;
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return nx_err_set(err, NX_INVALID, "%s holds no token: byte %zu is not printable", path,
                              i);
    if (len == 0 || len > NX_CLIENT_TOKEN_BYTES_MAX)
        return nx_err_set(err, NX_INVALID,
                          "%s holds no token: its first line has %zu bytes, not 1 to %d", path, len,
                          NX_CLIENT_TOKEN_BYTES_MAX);
    return NX_OK;
}

static enum nx_status read_texts(const struct nx_client_paths *paths,
                                 struct nx_client_identity *texts, struct nx_err *err)
{
    NX_TRY(read_text(paths->ca, &texts->ca, err));
    NX_TRY(read_text(paths->cert, &texts->cert, err));
    NX_TRY(read_text(paths->key, &texts->key, err));
    NX_TRY(read_text(paths->token, &texts->token, err));
    return texts->token ? check_token(paths->token, (char *)(uintptr_t)texts->token, err) : NX_OK;
}

enum nx_status nx_client_identity_open(const struct nx_client_paths *paths,
                                       struct nx_client_identity *identity, struct nx_err *err)
{
    struct nx_client_identity texts = {0};
    enum nx_status status = read_texts(paths, &texts, err);
    if (status == NX_OK)
        *identity = texts;
    else
        nx_client_identity_close(&texts);
    return status;
}

void nx_client_identity_close(struct nx_client_identity *identity)
{
    free((char *)(uintptr_t)identity->ca);
    free((char *)(uintptr_t)identity->cert);
    free((char *)(uintptr_t)identity->key);
    free((char *)(uintptr_t)identity->token);
}
