#include "common/nx_assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nx_assert_failed(const char *file, int line, const char *what)
{
    const char *base = strrchr(file, '/');
    fprintf(stderr, "%s:%d: invariant broken: %s\n", base ? base + 1 : file, line, what);
    fflush(stderr);
    abort();
}
