/* group_disk.h — the wiring between a group's core and its member's disk (durable/durable.h), for group*.c and the simulator
 * alone.
 *
 *   before the first view   what the log holds is made upcalls of; the bootstrap's view is noted before we call ourselves
 *                           ready
 *   afterwards              what the core hands up goes to the disk before the tier sees it; how far the disk has come goes
 *                           to the core, which tells the others
 *
 * A group without a persistent subgroup has no disk: every call is then free of effect.
 * Thread  the group's. Owner  the group embeds it; all zero before open. */
#ifndef NX_GROUP_DISK_WIRING_H
#define NX_GROUP_DISK_WIRING_H

#include "group/core/core.h"
#include "group/durable/dur_restart.h"
#include "group/durable/durable.h"

/* A disk is slow for so long, then its member is named, and installs are refused. */
#define NX_GROUP_DISK_LATE_NS (10 * NX_SEC)

struct nx_group_disk {
    struct nx_durable *durable; /* NULL: nothing is kept */
    struct nx_group_spec spec;
    uint32_t subgroup;
    bool replaying; /* the log is not handed up yet */
    bool has_view;  /* of the replay */
    bool restored;  /* the checkpoint was handed up … */
    bool awaits;    /* … and the tier has not said that it can go on from it */
    nx_rank rank;
    struct nx_view view;
    struct nx_layout layout;
    /* our log begins anew with our tier's state */
    bool cuts;  /* a checkpoint is under way … */
    bool reads; /* … and not all of the state was given */
    void *snapshot;
    uint64_t snapshot_bytes, snapshot_at;
    /* as the core was told last */
    nx_vid told_vid;
    enum nx_note_state told_note;
    uint64_t told_places;
    /* who keeps all from having anything durable: members that have not noted the view */
    nx_vid late_vid;
    nx_ns late_since;
    nx_rankset late; /* for NX_GROUP_DISK_LATE_NS; it is told */
};

enum nx_status nx_group_disk_open(struct nx_group_disk *disk,
                                  const struct nx_durable_config *config, struct nx_err *err);
void nx_group_disk_close(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx);

/* Some upcalls from the log. NX_AGAIN: there may be more; NX_OK: that was all. */
enum nx_status nx_group_disk_replay(struct nx_group_disk *disk, const struct nx_group_upcalls *up,
                                    void *ctx, struct nx_err *err);

/* As nx_bulk_room of group.h: also where another member's disk is what has no room. */
enum nx_status nx_group_disk_room(struct nx_group_disk *disk, const struct nx_core *core,
                                  nx_stream stream, struct nx_err *err);

/* The tier's state is as of the last upcall: takes it, if our log is to begin with it. `came`: it came from another member
 * just now. */
void nx_group_disk_cut(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx,
                       uint32_t subgroup, bool came);
/* The tier can go on from the state that it was given: true if that was ours. */
bool nx_group_disk_ready(struct nx_group_disk *disk);

/* What the core hands up, before the tier sees it. */
enum nx_status nx_group_disk_upcall(struct nx_group_disk *disk, const struct nx_core *core,
                                    const struct nx_upcall *upcall, bool joined,
                                    struct nx_err *err);

/* Moves the disk, and tells the core of it; *busy if a POLL is due. True if something moved. */
bool nx_group_disk_turn(struct nx_group_disk *disk, struct nx_core *core,
                        const struct nx_group_upcalls *up, void *ctx, nx_ns now,
                        struct nx_update *update, bool *busy);

static inline bool nx_group_disk_behind(const struct nx_group_disk *disk)
{
    return disk->durable && nx_durable_behind(disk->durable);
}

#endif
