#include <string.h>

#include "categorizer/backend.h"

/* Fastest first. NX_HAVE_* come from the targets that hold the backends. */
static const struct nx_backend *const backends[] = {
#ifdef NX_HAVE_CUDNN
    &nx_backend_gpu_cudnn,
#endif
#ifdef NX_HAVE_DNNL
    &nx_backend_cpu_dnnl,
#endif
    &nx_backend_cpu_ref,
};

const struct nx_backend *nx_backend_find(const char *name)
{
    if (strcmp(name, "auto") == 0)
        return backends[0];
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}
