/* sim_disk.h — the virtual disk: a folder in memory that does at a crash what disks are allowed to do.
 *
 *   power fails       each 512-byte sector written and not synced is old, new, or torn; the request under way did
 *                     a part of its work or (replace, rename, remove) all or nothing; later ones nothing
 *   the process dies  what was written stays readable, and stays unsynced
 *   latency           each request takes a drawn time; some take a long one
 *   EIO, ENOSPC       as drawn, or while a limit is set; a write that fails has written a part
 *   rot               one bit of what is on the disk flips
 *
 * Requests are carried out one after another, at the time they end; the same seed does the same.
 * Thread  one. wait() lets virtual time pass. After a crash every request is done, with NX_CANCELLED. */
#ifndef NX_SIM_DISK_H
#define NX_SIM_DISK_H

#include "common/clock.h"
#include "group/log/disk.h"

struct sim_disk;

struct sim_disk_faults {
    nx_ns latency_min_ns, latency_max_ns, tail_ns;
    uint32_t tail_permille;   /* requests that take tail_ns */
    uint32_t eio_permille;    /* writes and syncs that fail for good */
    uint32_t enospc_permille; /* writes that find no space, this time */
    uint64_t space_bytes;     /* 0: without bound */
    bool thin; /* it takes writes without room, and says so at the sync, which forgets them */
    bool ignore_syncs; /* a disk that lies: the twin of a log that does not sync */
};

struct sim_disk *sim_disk_new(uint64_t seed, const struct sim_disk_faults *faults);
void sim_disk_free(struct sim_disk *disk);

/* A process's handle; it dies with the crash or by close. One at a time. */
struct nx_disk *sim_disk_handle(struct sim_disk *disk);
void sim_disk_set_faults(struct sim_disk *disk, const struct sim_disk_faults *faults);

/* Full from `from` to `until`, by its own clock: no write finds room, and it says so. The last call counts. */
void sim_disk_fill(struct sim_disk *disk, nx_ns from, nx_ns until);

nx_ns sim_disk_now(const struct sim_disk *disk);
void sim_disk_advance(struct sim_disk *disk, nx_ns now); /* carries out what ends by then */
nx_ns sim_disk_next(const struct sim_disk *disk);        /* when the next request ends; NX_NEVER */
void sim_disk_crash(struct sim_disk *disk, bool power);

/* The same, and from then on every request is cancelled, until sim_disk_crash_in(disk, 0). */
void sim_disk_die(struct sim_disk *disk, bool power);

/* The crash comes while the n-th request from now is carried out, for those who wait for the disk; from then on every
 * request is cancelled, until 0 calls it off. */
void sim_disk_crash_in(struct sim_disk *disk, uint64_t requests);

/* Flips one bit of the named file, or of a drawn one (NULL). False: there is no byte. Names what it did. */
bool sim_disk_rot(struct sim_disk *disk, const char *name, char what[NX_DISK_NAME_BYTES],
                  uint64_t *offset);

/* The files as a reader sees them now; NULL: no such file. For tests that forge. */
uint8_t *sim_disk_bytes(struct sim_disk *disk, const char *name, size_t *len);
void sim_disk_put(struct sim_disk *disk, const char *name, const void *bytes, size_t len);
const char *sim_disk_name(const struct sim_disk *disk, size_t at); /* NULL: no more */

#endif
