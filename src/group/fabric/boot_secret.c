#include "group/fabric/boot_secret.h"

#include "common/given_file.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static enum nx_status check_facts(const char *path, const struct stat *s, struct nx_err *err)
{
    if (s->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO))
        return nx_err_set(err, NX_INVALID,
                          "%s is open to other users (mode %04o, expected 0600, or 0640): "
                          "chmod 600 it",
                          path, (unsigned)s->st_mode & 07777);
    return NX_OK;
}

static enum nx_status check_len(const char *path, size_t len, struct nx_err *err)
{
    if (len > NX_SECRET_BYTES_MAX)
        return nx_err_set(err, NX_INVALID, "%s holds more than %d bytes", path,
                          NX_SECRET_BYTES_MAX);
    if (len < NX_SECRET_BYTES_MIN)
        return nx_err_set(err, NX_INVALID, "%s holds %zu bytes, expected %d to %d", path, len,
                          NX_SECRET_BYTES_MIN, NX_SECRET_BYTES_MAX);
    return NX_OK;
}

/* Up to one byte more than may be is read, so that too much is seen. */
static enum nx_status derive(int fd, const char *path, struct nx_boot_secret *secret,
                             struct nx_err *err)
{
    uint8_t bytes[NX_SECRET_BYTES_MAX + 1];
    size_t len = 0;
    enum nx_status status = nx_given_read(fd, path, bytes, sizeof bytes, &len, err);
    if (status == NX_OK)
        status = check_len(path, len, err);
    if (status == NX_OK)
        status = nx_boot_auth_derive(bytes, len, secret->base, err);
    explicit_bzero(bytes, sizeof bytes);
    return status;
}

static enum nx_status load(const char *path, struct nx_boot_secret *secret, struct nx_err *err)
{
    struct stat facts;
    int fd;
    NX_TRY(nx_given_open(path, &fd, &facts, err));
    enum nx_status status = check_facts(path, &facts, err);
    if (status == NX_OK)
        status = derive(fd, path, secret, err);
    close(fd);
    return status;
}

enum nx_status nx_boot_secret_load(const char *path, struct nx_boot_secret *secret,
                                   struct nx_err *err)
{
    struct nx_err why;
    *secret = (struct nx_boot_secret){.given = path[0] != '\0'};
    if (!secret->given)
        return NX_OK;
    if (load(path, secret, &why) != NX_OK)
        return nx_err_set(err, why.status == NX_NO_MEMORY ? why.status : NX_INVALID,
                          "secret_file: %s", why.text);
    secret->held = true;
    return NX_OK;
}

void nx_boot_secret_wipe(struct nx_boot_secret *secret)
{
    secret->held = false;
    explicit_bzero(secret->base, sizeof secret->base);
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

void nx_boot_secret_warn(const struct nx_boot_secret *secret, const char *local_ip,
                         const char *leader_ip)
{
    const char *open_ip = is_loopback(local_ip) ? leader_ip : local_ip;
    if (!secret->given && !is_loopback(open_ip))
        nx_warn("bootstrap: no secret_file: whoever reaches %s may join this group", open_ip);
}

bool nx_boot_random(void *bytes, size_t len)
{
    nx_assert(len <= 256); /* so much comes whole */
    ssize_t n;
    do
        n = getrandom(bytes, len, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}
