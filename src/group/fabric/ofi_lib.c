#include "group/fabric/ofi_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libfabric.so.1"

struct nx_ofi_lib nx_ofi_lib;

static struct nx_err why; /* NX_OK: it is loaded */

static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    if (symbol)
        memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from one to the other */
    else if (why.status == NX_OK)
        nx_err_set(&why, NX_FATAL, LIBRARY " has no %s", name);
}

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        nx_err_set(&why, NX_FATAL, "cannot load libfabric: %s", dlerror());
        return;
    }
    find(library, "fi_getinfo", &nx_ofi_lib.getinfo);
    find(library, "fi_dupinfo", &nx_ofi_lib.dupinfo);
    find(library, "fi_freeinfo", &nx_ofi_lib.freeinfo);
    find(library, "fi_fabric", &nx_ofi_lib.fabric);
    find(library, "fi_strerror", &nx_ofi_lib.strerror);
}

enum nx_status nx_ofi_lib_load(struct nx_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (why.status == NX_OK)
        return NX_OK;
    return nx_err_set(err, why.status, "%s", why.text);
}
