/* ofi_lib.h — libfabric, loaded when a node opens its fabric, not when a process starts.
 *
 * Why: libfabric brings the libraries of all its providers. The constructor of one of them
 * (libinfinipath, of psm) measures a clock for 0.2 s. Commands that only ask a node, or read files,
 * must not wait for that: `nexus --version` took 0.24 s.
 *
 * All other calls of libfabric go through the objects that these make, and need no symbol.
 * Thread  any; loaded once, never unloaded */
#ifndef NX_GROUP_FABRIC_OFI_LIB_H
#define NX_GROUP_FABRIC_OFI_LIB_H

#include "common/status.h"

#include <rdma/fabric.h>

/* As in fabric.h of libfabric; NULL until nx_ofi_lib_load has returned NX_OK. */
struct nx_ofi_lib {
    int (*getinfo)(uint32_t version, const char *node, const char *service, uint64_t flags,
                   const struct fi_info *hints, struct fi_info **info);
    struct fi_info *(*dupinfo)(const struct fi_info *info); /* of NULL: a new one, empty */
    void (*freeinfo)(struct fi_info *info);
    int (*fabric)(struct fi_fabric_attr *attr, struct fid_fabric **fabric, void *context);
    const char *(*strerror)(int errnum);
};
extern struct nx_ofi_lib nx_ofi_lib;

/* NX_FATAL with the loader's reason: libfabric.so.1 is not there, or lacks a symbol. */
enum nx_status nx_ofi_lib_load(struct nx_err *err);

#endif
