#include "cli/client_identity.h"

#include "common/arena.h"
#include "common/given_file.h"

#include <stdlib.h>
#include <string.h>

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

/* The whole file, a NUL behind it; as <(pass show nexus), too, where somebody may be asked for a passphrase first. */
static enum nx_status read_text(const char *path, const char **text, struct nx_err *err)
{
    static const struct nx_given_how how = {.bytes_max = 1 << 20, .pipe_wait = 60 * NX_SEC};
    char *bytes;
    size_t len;
    if (!path)
        return NX_OK;
    NX_TRY(nx_given_read_whole(path, &how, &bytes, &len, NULL, err));
    *text = bytes;
    return len > 0 ? NX_OK : nx_err_set(err, NX_INVALID, "%s is empty", path);
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
