/* disk_ops.h — what the file disk's worker does with one request: system calls, and their failures as sentences. */
#ifndef NX_GROUP_DISK_OPS_H
#define NX_GROUP_DISK_OPS_H

#include "group/log/disk.h"

enum { NX_DISK_OPEN_FILES = 4 };

/* Descriptors of the files written last stay open: a failed write-back is reported to those who had the file
 * open when it failed. */
struct nx_disk_folder {
    int fd;
    bool read_only;
    bool names_changed; /* since the folder was synced */
    const char *path;
    unsigned next_slot;
    struct {
        int fd; /* -1: free */
        char name[NX_DISK_NAME_BYTES];
    } open[NX_DISK_OPEN_FILES];
};

/* Fills the request's answer; `done` is the caller's to set. */
void nx_disk_carry_out(struct nx_disk_folder *folder, struct nx_disk_request *request);

void nx_disk_forget_all(struct nx_disk_folder *folder);

#endif
