#include "group/group_disk.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

enum { REPLAYED_PER_TURN = 64, STATE_PIECE_BYTES = 64 * 1024 };

enum nx_status nx_group_disk_open(struct nx_group_disk *disk,
                                  const struct nx_durable_config *config, struct nx_err *err)
{
    if (nx_dur_persistent(&config->spec) == 0)
        return NX_OK;
    if (config->folder[0] == '\0')
        return nx_err_set(err, NX_INVALID, "a subgroup is persistent, but file_path is empty");
    NX_TRY(nx_durable_open(config, &disk->durable, err));
    disk->spec = config->spec;
    disk->subgroup = config->subgroup;
    disk->replaying = true;
    return NX_OK;
}

void nx_group_disk_close(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx)
{
    if (disk->snapshot)
        up->state_release(ctx, disk->snapshot);
    disk->snapshot = NULL;
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

struct restore {
    const struct nx_group_upcalls *up;
    void *ctx;
    uint32_t subgroup;
    uint64_t total, offset;
    struct nx_err err;
};

static enum nx_status restore_piece(void *ctx, const uint8_t *bytes, size_t len)
{
    struct restore *r = ctx;
    NX_TRY(r->up->state_part(r->ctx, r->subgroup, r->total, r->offset, bytes, len, &r->err));
    r->offset += len;
    return NX_OK;
}

static enum nx_status restore(struct nx_group_disk *disk, const struct nx_group_upcalls *up,
                              void *ctx, struct nx_err *err)
{
    struct restore r = {.up = up, .ctx = ctx, .subgroup = disk->subgroup};
    struct nx_replay view;
    disk->restored = true;
    if (!nx_durable_has_checkpoint(disk->durable, &r.total, &view))
        return NX_OK;
    replay_one(disk, up, ctx, &view);
    if (!up->state_part)
        return NX_OK;
    disk->awaits = true;
    enum nx_status status =
        r.total == 0 ? restore_piece(&r, (const uint8_t *)"", 0)
                     : nx_durable_replay_checkpoint(disk->durable, restore_piece, &r, err);
    if (r.err.status != NX_OK)
        *err = r.err;
    return status;
}

bool nx_group_disk_ready(struct nx_group_disk *disk)
{
    bool ours = disk->awaits;
    disk->awaits = false;
    return ours;
}

enum nx_status nx_group_disk_replay(struct nx_group_disk *disk, const struct nx_group_upcalls *up,
                                    void *ctx, struct nx_err *err)
{
    struct nx_replay replay;
    if (disk->replaying && !disk->restored)
        NX_TRY(restore(disk, up, ctx, err));
    if (disk->awaits)
        return NX_AGAIN;
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

static void fail(struct nx_group_disk *disk, enum nx_status status, const char *why)
{
    struct nx_err err = {0};
    nx_err_set(&err, status, "%s", why);
    nx_durable_fail(disk->durable, &err);
}

void nx_group_disk_cut(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx,
                       uint32_t subgroup, bool came)
{
    if (!disk->durable)
        return;
    if (came)
        nx_durable_has_state(disk->durable);
    if (!nx_durable_wants_checkpoint(disk->durable))
        return;
    if (disk->snapshot)
        up->state_release(ctx, disk->snapshot);
    disk->snapshot = NULL;
    disk->snapshot_bytes = disk->snapshot_at = 0;
    if (up->state_snapshot) {
        disk->snapshot = up->state_snapshot(ctx, subgroup, &disk->snapshot_bytes);
        if (!disk->snapshot) {
            fail(disk, NX_NO_MEMORY, "the tier could not give its state for the log");
            return;
        }
    }
    disk->reads = disk->cuts = true;
    nx_durable_checkpoint_begin(disk->durable);
}

/* Moves the tier's state into the log, as the disk takes it. True if some went. */
static bool read_state(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx)
{
    uint8_t piece[STATE_PIECE_BYTES];
    uint64_t before = disk->snapshot_at;
    while (disk->reads && disk->snapshot_at < disk->snapshot_bytes) {
        if (!nx_durable_checkpoint_goes_on(disk->durable))
            break;
        size_t len = up->state_read(ctx, disk->snapshot, disk->snapshot_at, piece, sizeof piece);
        if (len == NX_STATE_BROKEN)
            fail(disk, NX_IO, "the tier could not give its state for the log");
        if (len == NX_STATE_BROKEN || len == 0)
            return false;
        size_t taken = nx_durable_checkpoint_write(disk->durable, piece, len);
        disk->snapshot_at += taken;
        if (taken < len)
            return disk->snapshot_at > before;
    }
    if (!disk->reads)
        return false;
    disk->reads = false;
    nx_durable_checkpoint_end(disk->durable);
    return true;
}

/* The state is kept until it is on the disk: a full one wants it once more. */
static bool give_state(struct nx_group_disk *disk, const struct nx_group_upcalls *up, void *ctx)
{
    if (!disk->cuts)
        return false;
    if (nx_durable_checkpoint_rewound(disk->durable)) {
        disk->snapshot_at = 0;
        disk->reads = true;
    }
    bool moved = read_state(disk, up, ctx);
    if (disk->reads || nx_durable_checkpoint_goes_on(disk->durable))
        return moved;
    if (disk->snapshot)
        up->state_release(ctx, disk->snapshot);
    disk->snapshot = NULL;
    disk->cuts = false;
    return true;
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

/* "the disk of node 1 has", "the disks of nodes 1, 4 have" */
static void say_late(const struct nx_group_disk *disk, const struct nx_view *view, char *text,
                     size_t cap)
{
    nx_rankset late = disk->late & nx_view_ranks(view);
    bool one = __builtin_popcountll(late) == 1;
    const char *end = one ? " has" : " have", *before = "";
    size_t room = cap - strlen(end);
    size_t used = (size_t)snprintf(text, room, one ? "the disk of node " : "the disks of nodes ");
    for (nx_rankset left = late; left; left &= left - 1, before = ", ") {
        int n = snprintf(text + used, room - used, "%s%u", before,
                         view->members[__builtin_ctzll(left)].node);
        used += n > 0 && used + (size_t)n < room ? (size_t)n : 0;
    }
    snprintf(text + used, cap - used, "%s", end);
}

enum nx_status nx_group_disk_room(struct nx_group_disk *disk, const struct nx_core *core,
                                  nx_stream stream, struct nx_err *err)
{
    char nodes[NX_ERR_TEXT_BYTES / 2];
    if (!disk->durable)
        return NX_OK;
    NX_TRY(nx_durable_bulk_room(disk->durable, stream, err));
    if (disk->late == 0)
        return NX_OK;
    say_late(disk, nx_core_view(core), nodes, sizeof nodes);
    return nx_err_set(err, NX_UNAVAILABLE, "nothing can be kept now: %s not taken view %llu yet",
                      nodes, (unsigned long long)disk->late_vid);
}

static void look_for_late(struct nx_group_disk *disk, const struct nx_core *core, nx_ns now)
{
    const struct nx_view *view = nx_core_view(core);
    char nodes[NX_ERR_TEXT_BYTES / 2];
    nx_rankset late = nx_core_without_note(core);
    if (view->vid != disk->late_vid || late == 0) {
        disk->late_vid = view->vid;
        disk->late_since = now;
        disk->late = 0;
        return;
    }
    bool told = disk->late != 0;
    if (!told && now - disk->late_since < NX_GROUP_DISK_LATE_NS)
        return;
    disk->late = late;
    if (told)
        return;
    say_late(disk, view, nodes, sizeof nodes);
    nx_warn("%s not taken view %llu yet: no change is answered, and installs are "
            "refused, until they have",
            nodes, (unsigned long long)view->vid);
}

bool nx_group_disk_turn(struct nx_group_disk *disk, struct nx_core *core,
                        const struct nx_group_upcalls *up, void *ctx, nx_ns now,
                        struct nx_update *update, bool *busy)
{
    bool written, certain;
    if (!disk->durable)
        return false;
    bool moved = nx_durable_poll(disk->durable, now);
    moved |= give_state(disk, up, ctx);
    if (!nx_core_view(core))
        return moved;
    if (up->state_snapshot && !disk->reads)
        nx_group_disk_cut(disk, up, ctx, disk->subgroup, false);
    nx_core_notes(core, &written, &certain);
    nx_durable_hear_notes(disk->durable, written, certain);
    look_for_late(disk, core, now);
    if (nx_durable_status(disk->durable, NULL) == NX_OK)
        tell_core(disk, core, now, update, busy);
    return moved;
}
