/* cmd_passive.c — threads of oneDNN that sleep at their barriers. */
#include "cli/cmd.h"
#include "common/arena.h"
#include "common/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void nx_cmd_wait_passively(int argc, char **argv)
{
    char **again = nx_calloc((size_t)argc + 2, sizeof *again);
    if (getenv("OMP_WAIT_POLICY") || !again) {
        free(again);
        return;
    }
    again[0] = program_invocation_name;
    memcpy(again + 1, argv, (size_t)argc * sizeof *again);
    /* By its own path, since the process is named after it: ps and pkill know it as before. */
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len < 0 ? 0 : len] = 0;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv(self, again);
    nx_warn("cannot start again with OMP_WAIT_POLICY=passive: %s", strerror(errno));
    free(again);
}
