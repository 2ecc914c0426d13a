#include "common/nx_assert.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nx_assert_failed(const char *file, int line, const char *what)
{
    const char *base = strrchr(file, '/');
    base = base ? base + 1 : file;
    if (nx_log_is_json()) {
        nx_log_write(NX_LOG_ERROR, "%s:%d: invariant broken: %s", base, line, what);
    } else {
        fprintf(stderr, "%s:%d: invariant broken: %s\n", base, line, what);
        fflush(stderr);
    }
    abort();
}
