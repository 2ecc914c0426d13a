/* nx_shared.h — real models and photos that are not part of the project.
 *
 * They lie in the folder that NEXUS_SHARED_DATA names, else in ../shared/data beside the source root.
 * A test that needs them and does not find them says so on one line and is skipped. */
#ifndef NX_SHARED_H
#define NX_SHARED_H

#include "nx_files.h"

#include <sys/stat.h>

static inline const char *nx_shared_folder(void)
{
    const char *named = getenv("NEXUS_SHARED_DATA");
    return named && *named ? named : "../shared/data";
}

/* Skips the calling test if `below` is not in the shared folder. */
static inline void nx_shared_require(const char *below)
{
    struct stat found;
    char path[512];
    int len = snprintf(path, sizeof path, "%s/%s", nx_shared_folder(), below);
    if (len < 0 || (size_t)len >= sizeof path || stat(path, &found) != 0) {
        fprintf(stderr, "SKIP: %s/%s is not there (set NEXUS_SHARED_DATA)\n", nx_shared_folder(),
                below);
        skip();
    }
}

#endif
