#include "group/group_disk.h"

#include "common/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

enum { REPLAYED_PER_TURN = 64 };

static bool is_persistent(const struct nx_group_spec *spec)
{
    for (uint32_t g = 0; g < spec->subgroups_count; g++)
        if (spec->subgroups[g].persistent)
            return true;
    return false;
}

enum nx_status nx_group_disk_open(struct nx_group_disk *disk, const struct nx_group_config *config,
                                  int epoll_fd, struct nx_err *err)
{
    struct epoll_event want = {.events = EPOLLIN};
    struct nx_durable_config durable = {.folder = config->file_path,
                                        .node = config->local_id,
                                        .spec = config->spec,
                                        .subgroup = config->subgroup};
    if (!is_persistent(&config->spec))
        return NX_OK;
    if (config->file_path[0] == '\0')
        return nx_err_set(err, NX_INVALID, "a subgroup is persistent, but file_path is empty");
    NX_TRY(nx_durable_open(&durable, &disk->durable, err));
    disk->spec = config->spec;
    disk->replaying = true;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, nx_durable_fd(disk->durable), &want) != 0)
        return nx_err_set(err, NX_FATAL, "cannot watch the disk: %s", strerror(errno));
    return NX_OK;
}

void nx_group_disk_close(struct nx_group_disk *disk)
{
    if (disk->durable)
        nx_durable_close(disk->durable);
    disk->durable = NULL;
}

/* --- replay ----------------------------------------------------------------------------------- */

static void replay_one(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx,
                       const struct nx_replay *replay)
{
    switch (replay->what) {
    case NX_REPLAYED_VIEW:
        disk->view = replay->view;
        disk->rank = replay->self;
        disk->has_view = true;
        nx_layout_compute(&disk->view, &disk->spec, &disk->layout);
        if (up->view)
            up->view(ctx, &disk->view, &disk->layout);
        return;
    case NX_REPLAYED_BODY:
        if (up->bulk_part)
            up->bulk_part(ctx, replay->delivery.subgroup, &replay->part,
                          replay->part.offset == 0 ? replay->delivery.bytes : NULL,
                          replay->part.offset == 0 ? replay->delivery.len : 0);
        return;
    case NX_REPLAYED_MESSAGE:
        if (up->deliver)
            up->deliver(ctx, &replay->delivery);
        return;
    }
}

enum nx_status nx_group_disk_replay(struct nx_group_disk *disk, const struct nx_group_upcalls *up,
                                    void *ctx, struct nx_err *err)
{
    struct nx_replay replay;
    for (int i = 0; disk->replaying && i < REPLAYED_PER_TURN; i++) {
        enum nx_status status = nx_durable_next_replayed(disk->durable, &replay, err);
        if (status == NX_NOT_FOUND)
            disk->replaying = disk->has_view = false;
        else if (status != NX_OK)
            return status;
        else
            replay_one(disk, up, ctx, &replay);
    }
    return disk->replaying ? NX_AGAIN : NX_OK;
}

/* --- the live group --------------------------------------------------------------------------- */

enum nx_status nx_group_disk_upcall(struct nx_group_disk *disk, const struct nx_core *core,
                                    const struct nx_upcall *u, bool joined, struct nx_err *err)
{
    if (!disk->durable)
        return NX_OK;
    if (u->type == NX_UP_VIEW)
        return nx_durable_view(disk->durable, nx_core_view(core), nx_core_rank(core), joined, err);
    if (u->type == NX_UP_DELIVER)
        nx_durable_deliver(disk->durable, &u->delivery);
    else if (u->type == NX_UP_BULK_PART)
        nx_durable_bulk(disk->durable, u->part.stream, u->part.total, u->part.bytes, u->part.len);
    else if (u->type == NX_UP_BULK_ABORTED)
        nx_durable_bulk_aborted(disk->durable, u->part.stream);
    return NX_OK;
}

/* What is new of our disk, for the others. */
static void tell_core(struct nx_group_disk *disk, struct nx_core *core, nx_ns now,
                      struct nx_update *update, bool *busy)
{
    nx_vid vid = nx_core_view(core)->vid;
    bool certain;
    if (!nx_durable_noted(disk->durable, vid, &certain))
        return;
    struct nx_event event = {.type = NX_EV_DURABLE,
                             .vid = vid,
                             .note = certain ? NX_NOTE_CERTAIN : NX_NOTE_WRITTEN,
                             .places = nx_durable_places(disk->durable)};
    if (vid == disk->told_vid && event.note == disk->told_note && event.places == disk->told_places)
        return;
    nx_core_step(core, now, &event, update);
    *busy |= update->busy;
    disk->told_vid = vid;
    disk->told_note = event.note;
    disk->told_places = event.places;
}

bool nx_group_disk_turn(struct nx_group_disk *disk, struct nx_core *core, nx_ns now,
                        struct nx_update *update, bool *busy)
{
    bool written, certain;
    if (!disk->durable)
        return false;
    bool moved = nx_durable_poll(disk->durable, now);
    if (!nx_core_view(core))
        return moved;
    nx_core_notes(core, &written, &certain);
    nx_durable_hear_notes(disk->durable, written, certain);
    if (nx_durable_status(disk->durable, NULL) == NX_OK)
        tell_core(disk, core, now, update, busy);
    return moved;
}
