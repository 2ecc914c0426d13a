#include "group/fabric/boot_secret.h"

#include "common/log.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static enum nx_status check_file(int fd, const char *path, struct nx_err *err)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return nx_err_set(err, NX_IO, "secret_file %s: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode))
        return nx_err_set(err, NX_INVALID, "secret_file %s is not a plain file", path);
    if (s.st_mode & (S_IRWXG | S_IRWXO))
        return nx_err_set(err, NX_INVALID,
                          "secret_file %s is open to other users (mode %04o, expected 0600): "
                          "chmod 600 it",
                          path, (unsigned)s.st_mode & 07777);
    return NX_OK;
}

/* Up to one byte more than may be, so that too much is seen. */
static enum nx_status read_file(int fd, const char *path, uint8_t bytes[NX_SECRET_BYTES_MAX + 1],
                                size_t *len, struct nx_err *err)
{
    *len = 0;
    while (*len <= NX_SECRET_BYTES_MAX) {
        ssize_t n = read(fd, bytes + *len, NX_SECRET_BYTES_MAX + 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nx_err_set(err, NX_IO, "secret_file %s: %s", path, strerror(errno));
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    if (*len > NX_SECRET_BYTES_MAX)
        return nx_err_set(err, NX_INVALID, "secret_file %s holds more than %d bytes", path,
                          NX_SECRET_BYTES_MAX);
    if (*len < NX_SECRET_BYTES_MIN)
        return nx_err_set(err, NX_INVALID, "secret_file %s holds %zu bytes, expected %d to %d",
                          path, *len, NX_SECRET_BYTES_MIN, NX_SECRET_BYTES_MAX);
    return NX_OK;
}

static enum nx_status derive(int fd, const char *path, struct nx_boot_secret *secret,
                             struct nx_err *err)
{
    uint8_t bytes[NX_SECRET_BYTES_MAX + 1];
    size_t len = 0;
    NX_TRY(check_file(fd, path, err));
    enum nx_status status = read_file(fd, path, bytes, &len, err);
    if (status == NX_OK)
        status = nx_boot_auth_derive(bytes, len, secret->base, err);
    explicit_bzero(bytes, sizeof bytes);
    return status;
}

enum nx_status nx_boot_secret_load(const char *path, struct nx_boot_secret *secret,
                                   struct nx_err *err)
{
    *secret = (struct nx_boot_secret){.given = path[0] != '\0'};
    if (!secret->given)
        return NX_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe must not hang us */
    if (fd < 0)
        return nx_err_set(err, NX_IO, "cannot read secret_file %s: %s", path, strerror(errno));
    enum nx_status status = derive(fd, path, secret, err);
    close(fd);
    secret->held = status == NX_OK;
    return status;
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
