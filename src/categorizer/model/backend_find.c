#include <string.h>

#include "categorizer/backend.h"
#include "common/log.h"

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

enum { BACKENDS = sizeof backends / sizeof *backends };

static const struct nx_backend *first_there(size_t from)
{
    for (size_t i = from; i < BACKENDS; i++)
        if (!backends[i]->is_there || backends[i]->is_there())
            return backends[i];
    return NULL;
}

const struct nx_backend *nx_backend_find(const char *name)
{
    if (strcmp(name, "auto") == 0)
        return first_there(0);
    for (size_t i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

static const struct nx_backend *after(const struct nx_backend *backend, enum nx_precision precision)
{
    size_t i = 0;
    while (backends[i] != backend)
        i++;
    const struct nx_backend *next = first_there(i + 1);
    return precision == NX_PRECISION_INT8 && next == &nx_backend_cpu_ref ? NULL : next;
}

enum nx_status nx_backend_check(const char *name, const struct nx_load_options *options,
                                struct nx_err *err)
{
    const struct nx_backend *backend = nx_backend_find(name);
    bool may_move = strcmp(name, "auto") == 0;
    enum nx_status status = NX_UNAVAILABLE;
    if (!backend)
        return nx_err_set(err, NX_UNAVAILABLE, "there is no backend '%s' in this build", name);
    for (; backend && status != NX_OK;
         backend = may_move ? after(backend, options->precision) : NULL)
        status = backend->check(options, err);
    return status;
}

enum nx_status nx_backend_load(const char *name, const struct nx_graph *graph,
                               const struct nx_load_options *options, struct nx_program **program,
                               struct nx_err *err)
{
    bool may_move = strcmp(name, "auto") == 0;
    const struct nx_backend *backend = nx_backend_find(name);
    if (!backend)
        return nx_err_set(err, NX_UNAVAILABLE, "there is no backend '%s' in this build", name);
    for (;;) {
        struct nx_err own = {0};
        enum nx_status status = backend->load(graph, options, program, &own);
        bool cannot = status == NX_UNSUPPORTED || status == NX_UNAVAILABLE;
        const struct nx_backend *next =
            cannot && may_move ? after(backend, options->precision) : NULL;
        if (!next)
            return status == NX_OK ? status : nx_err_set(err, status, "%s", own.text);
        nx_warn("%s; the model runs on %s", own.text, next->name);
        backend = next;
    }
}
