#include "common/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

uint32_t nx_descriptors_room(uint64_t limit)
{
    uint64_t kept = limit / 2 < NX_DESCRIPTORS_KEPT ? limit / 2 : NX_DESCRIPTORS_KEPT;
    uint64_t room = limit - kept;
    return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

/* The soft limit stays as it is where it cannot be raised; it is then what counts. */
static enum nx_status raise_limit(uint64_t *limit, struct nx_err *err)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return nx_err_set(err, NX_IO, "cannot read the limit of descriptors: %s", strerror(errno));
    struct rlimit raised = {files.rlim_max, files.rlim_max};
    *limit = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : files.rlim_cur;
    return NX_OK;
}

enum nx_status nx_descriptors_plan(uint32_t *connections, struct nx_err *err)
{
    uint64_t limit = 0;
    NX_TRY(raise_limit(&limit, err));
    uint32_t room = nx_descriptors_room(limit);
    if (*connections > room)
        return nx_err_set(
            err, NX_INVALID,
            "connections_max: %u connections; expected at most %u, since this process "
            "may have %llu descriptors (ulimit -Hn)",
            *connections, room, (unsigned long long)limit);
    if (*connections == 0)
        *connections = room < NX_CONNECTIONS_USUAL_MAX ? room : NX_CONNECTIONS_USUAL_MAX;
    return NX_OK;
}
