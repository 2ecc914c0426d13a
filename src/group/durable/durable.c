#include "group/durable/durable_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "group/view/rankset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NOTE_NAME  "view.note"
#define NOTE_OWNER "views" /* where a log's note names its shard */

void nx_durable_fail(struct nx_durable *d, const struct nx_err *err)
{
    if (d->failed.status != NX_OK)
        return;
    d->failed = *err;
    nx_error("the disk failed, nothing is durable any more: %s", err->text);
}

/* --- the note -------------------------------------------------------------------------------------------------- */

static void make_offer(struct nx_durable *d)
{
    struct nx_dur_offer *o = &d->offer;
    *o = (struct nx_dur_offer){.node = d->config.node,
                               .subgroup = (uint8_t)d->config.subgroup,
                               .shard = d->shard,
                               .has_note = d->note.count > 0,
                               .has_log = d->log && !d->note.void_log,
                               .note = d->note};
    memcpy(o->group_id, d->owner.group_id, sizeof o->group_id);
    if (o->has_log) {
        o->log_vid = d->found_stamp;
        o->places = nx_dur_places(d->newest);
    }
}

static enum nx_status read_note(struct nx_durable *d, struct nx_err *err)
{
    size_t len = 0, bytes_len;
    const uint8_t *bytes;
    struct nx_err why = {0};
    enum nx_status status =
        nx_plog_read_file(d->root, NOTE_NAME, d->note_bytes, sizeof d->note_bytes, &len, &why);
    if (status == NX_NOT_FOUND)
        return NX_OK;
    if (status == NX_OK)
        status = nx_note_decode(d->note_bytes, len, &d->owner, &bytes, &bytes_len, &why);
    if (status == NX_OK)
        status = nx_dur_note_decode(bytes, bytes_len, &d->note, &why);
    if (status != NX_OK)
        return nx_err_set(err, status, "%s/" NOTE_NAME ": %s", d->folder, why.text);
    return NX_OK;
}

/* The shard whose log we have, as the newest view says in which we stood in one. */
static uint8_t noted_shard(const struct nx_durable *d)
{
    for (uint32_t v = d->note.count; v > 0; v--) {
        const struct nx_dur_member *m = nx_dur_find(&d->note.views[v - 1], d->config.node);
        if (m && m->subgroup == d->config.subgroup && m->shard != NX_DUR_NO_SHARD)
            return m->shard;
    }
    return NX_DUR_NO_SHARD;
}

static void write_note(struct nx_durable *d)
{
    uint8_t bytes[NX_DUR_NOTE_BYTES_MAX];
    size_t len = nx_dur_note_encode(&d->note, bytes, sizeof bytes);
    size_t all = nx_note_encode(&d->owner, bytes, len, d->note_bytes);
    d->note_request = (struct nx_disk_request){
        .kind = NX_DISK_REPLACE, .name = NOTE_NAME, .src = d->note_bytes, .len = all};
    d->note_dirty = false;
    d->note_busy = true;
    d->writing = *nx_dur_newest(&d->note);
    d->writing_certain = d->note.certain && d->note.count == 1;
    d->writing_void = d->note.void_log;
    nx_disk_submit(d->root, &d->note_request);
}

static bool note_may_be_written(const struct nx_durable *d)
{
    return d->note_dirty && !d->note_busy && d->failed.status == NX_OK &&
           nx_dur_may_try(d, NX_DUR_NOTE) &&
           (!d->log || !d->records || d->reset != NX_RESET_NONE ||
            nx_plog_durable(d->log) >= d->note_after);
}

/* "Certain when every member has it in its note": by our own knowledge or by another's. */
static bool note_may_settle(const struct nx_durable *d)
{
    bool ours = d->written.vid == d->vid && d->vid != 0 && !d->note_dirty && !d->note_busy;
    bool settled = d->note.certain && d->note.count == 1;
    return ours && !settled && d->heard_written &&
           (d->heard_certain || nx_dur_note_may_settle(&d->note));
}

/* What is on the disk is the note before, whole. */
static void note_failed(struct nx_durable *d, const struct nx_err *err)
{
    if (err->status != NX_UNAVAILABLE) {
        nx_durable_fail(d, err);
        return;
    }
    d->note_dirty = true;
    nx_dur_is_full(d, NX_DUR_NOTE, err);
}

static bool note_poll(struct nx_durable *d)
{
    bool moved = nx_disk_poll(d->root);
    if (d->note_busy && d->note_request.done) {
        d->note_busy = false;
        moved = true;
        if (d->note_request.err.status != NX_OK) {
            note_failed(d, &d->note_request.err);
            return true;
        }
        nx_dur_has_room(d, NX_DUR_NOTE);
        d->written = d->writing;
        d->written_certain = d->writing_certain;
        d->written_void = d->writing_void;
    }
    if (note_may_settle(d)) {
        nx_dur_note_settle(&d->note);
        d->note_dirty = true;
    }
    if (note_may_be_written(d)) {
        write_note(d);
        moved = true;
    }
    return moved;
}

/* --- views ----------------------------------------------------------------------------------------------------- */

static struct nx_dur_view shape_of(const struct nx_view *view)
{
    struct nx_dur_view shape = {
        .vid = view->vid, .incarnation = view->incarnation, .since = view->begun};
    for (nx_rankset left = nx_view_ranks(view); left;) {
        nx_rank r = nx_rankset_take(&left);
        const struct nx_member *m = &view->members[r];
        shape.members[shape.count++] = (struct nx_dur_member){
            .node = m->node,
            .subgroup = (uint8_t)m->subgroup,
            .shard = m->shard == NX_SHARD_NONE ? NX_DUR_NO_SHARD : (uint8_t)m->shard,
            .stateless = (view->stateless & NX_RANK_BIT(r)) != 0};
    }
    for (uint32_t i = 0; i < view->keepers_count; i++)
        if (!view->keepers[i].late)
            shape.members[shape.count++] =
                (struct nx_dur_member){.node = view->keepers[i].node,
                                       .subgroup = (uint8_t)view->keepers[i].subgroup,
                                       .shard = (uint8_t)view->keepers[i].shard,
                                       .keeper = true};
    return shape;
}

static bool is_noted(const struct nx_durable *d, const struct nx_view *view)
{
    const struct nx_dur_view *newest = nx_dur_newest(&d->note);
    return newest && newest->vid == view->vid && newest->incarnation == view->incarnation;
}

static void note_view(struct nx_durable *d, const struct nx_view *view, bool joined)
{
    struct nx_dur_view shape = shape_of(view);
    if (is_noted(d, view))
        return; /* prepared */
    if (joined ? nx_dur_note_join(&d->note, &shape) : nx_dur_note_add(&d->note, &shape)) {
        d->note_dirty = true;
        return;
    }
    nx_warn("view %llu is not noted: %u views came and went before all of their members had noted "
            "them; no change is acknowledged until the members of view %llu are together again, "
            "or all nodes are stopped and started; nothing is lost",
            (unsigned long long)view->vid, d->note.count,
            (unsigned long long)nx_dur_newest(&d->note)->vid);
}

static nx_rank rank_here(const struct nx_durable *d, const struct nx_view *view)
{
    return nx_view_rank_of(view, d->config.node);
}

/* Somebody in our shard has the state, that is, we get it from there if we lack it. */
static bool has_donor(const struct nx_view *view, nx_rank self)
{
    for (nx_rankset left = nx_view_ranks(view) & ~view->stateless; left;) {
        const struct nx_member *m = &view->members[nx_rankset_take(&left)];
        if (m->subgroup == view->members[self].subgroup && m->shard == view->members[self].shard)
            return true;
    }
    return false;
}

/* Opens the log of the shard that the view puts us in. One that we left when we were given
 * another shard may have rotted since: where another member gives us the state, it is of no use
 * anyhow. The log that our note names was opened at the start. */
static enum nx_status take_shard(struct nx_durable *d, const struct nx_view *view, nx_rank self,
                                 struct nx_err *err)
{
    uint32_t shard = view->members[self].shard;
    if (!d->keeps_log || shard == NX_SHARD_NONE || (d->log && d->shard == shard))
        return NX_OK;
    bool useless = (view->stateless & NX_RANK_BIT(self)) != 0 && has_donor(view, self);
    enum nx_status status = nx_dur_open_shard(d, (uint8_t)shard, err);
    if (status != NX_CORRUPT || !useless)
        return status;
    nx_warn("%s: the log of a shard that this node had left; it begins anew with the state that "
            "the shard's other replicas have",
            err->text);
    return nx_dur_open_anew(d, (uint8_t)shard, err);
}

/* An earlier view that we prepared for stays in the note: others may have begun in it without us. */
static enum nx_status note_beginning(struct nx_durable *d, const struct nx_view *view,
                                     struct nx_err *err)
{
    struct nx_dur_view shape = shape_of(view);
    if (is_noted(d, view))
        return NX_OK;
    if (!nx_dur_note_begin(&d->note, &shape))
        return nx_err_set(err, NX_UNAVAILABLE,
                          "%s/" NOTE_NAME " has no room for view %llu: it holds %u views, up to "
                          "%llu, with which the group began or went on and of which nobody knows "
                          "that all members noted them",
                          d->folder, (unsigned long long)view->vid, d->note.count,
                          (unsigned long long)nx_dur_newest(&d->note)->vid);
    d->note_dirty = true;
    return NX_OK;
}

enum nx_status nx_durable_prepare(struct nx_durable *d, const struct nx_view *view,
                                  struct nx_err *err)
{
    nx_rank self = rank_here(d, view);
    nx_assert(self != NX_RANK_NONE);
    memcpy(d->owner.group_id, view->group_id, sizeof d->owner.group_id);
    NX_TRY(take_shard(d, view, self, err));
    if (d->log && d->note.void_log && !(view->stateless & NX_RANK_BIT(self)))
        NX_TRY(nx_dur_begin_empty(d, err));
    d->preparing = true;
    d->note_after = NX_SEQ_NONE;
    NX_TRY(note_beginning(d, view, err));
    return d->failed.status == NX_OK ? NX_OK
                                     : nx_err_set(err, d->failed.status, "%s", d->failed.text);
}

bool nx_durable_prepared(const struct nx_durable *d)
{
    const struct nx_dur_view *newest = nx_dur_newest(&d->note);
    return d->preparing && newest && !d->note_dirty && !d->note_busy &&
           d->written.vid == newest->vid && d->written.incarnation == newest->incarnation;
}

/* Before others believe that we have the state, nobody may take the log that we have without it for the shard's. */
static void void_log(struct nx_durable *d)
{
    if (!d->log || d->note.void_log)
        return;
    d->note.void_log = d->note_dirty = true;
}

/* Whether our log goes on with this view: who lacks the shard's state, or has it from another, has no log of it. A joiner
 * that has the state came with the shard's log, or nothing was ever delivered there. */
static void take_state(struct nx_durable *d, const struct nx_view *view, nx_rank self, bool joined)
{
    bool has_state =
        d->log && view->members[self].shard == d->shard && !(view->stateless & NX_RANK_BIT(self));
    if (d->begun_here || joined)
        d->continuous = !d->note.void_log && d->base >= nx_dur_places(d->newest);
    d->holds = has_state;
    d->continuous &= has_state;
    d->records = d->continuous;
    if (has_state && !d->continuous)
        nx_dur_want_reset(d);
    else if (!has_state)
        nx_dur_stop_reset(d);
    if (d->log && !has_state && has_donor(view, self))
        void_log(d);
}

bool nx_durable_log_is_void(const struct nx_durable *d)
{
    bool ours = d->records && d->reset != NX_RESET_VOIDING;
    return !d->log || ours || d->failed.status != NX_OK || d->written_void;
}

enum nx_status nx_durable_view(struct nx_durable *d, const struct nx_view *view, nx_rank self,
                               bool joined, struct nx_err *err)
{
    if (view->vid > NX_VID_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "view %llu is beyond what a log has room for: %llu",
                          (unsigned long long)view->vid, (unsigned long long)NX_VID_MAX);
    memcpy(d->owner.group_id, view->group_id, sizeof d->owner.group_id);
    NX_TRY(take_shard(d, view, self, err));
    joined &= d->vid == 0;
    d->begun_here = d->preparing && !joined; /* what we prepared for last may not be this */
    d->preparing = false;
    d->vid = view->vid;
    d->heard_written = d->heard_certain = false;
    d->stamp = nx_dur_stamp(view->incarnation, view->vid);
    nx_dur_set_head(d, view, self);
    d->base = d->log ? view->base[d->config.subgroup][d->shard] : 0;
    take_state(d, view, self, joined);
    if (d->records)
        nx_dur_append_view(d, view, self);
    d->note_after = d->records ? d->newest : NX_SEQ_NONE;
    note_view(d, view, joined);
    if (d->begun_here && is_noted(d, view)) {
        nx_dur_note_settle(&d->note); /* installed anywhere, it was in every member's note before */
        d->note_dirty = true;
    }
    return NX_OK;
}

bool nx_durable_kept_without(const struct nx_durable *d, nx_node comer, uint32_t subgroup,
                             uint32_t shard)
{
    const struct nx_dur_view *newest = nx_dur_newest(&d->note);
    return newest && newest->vid == d->vid &&
           nx_dur_note_kept_without(&d->note, comer, (uint8_t)subgroup, (uint8_t)shard);
}

void nx_durable_hear_notes(struct nx_durable *d, bool written, bool certain)
{
    d->heard_written = written;
    d->heard_certain = certain;
}

/* Who has the state in a certain view is believed to have it on its disk: as long as ours is being written there, the view
 * before, with the logs of others, is what a restart begins with. */
bool nx_durable_noted(const struct nx_durable *d, nx_vid vid, bool *certain)
{
    bool kept = d->records && d->reset == NX_RESET_NONE;
    bool here = d->vid == vid && d->written.vid == vid &&
                (kept ? nx_plog_durable(d->log) >= d->note_after : !d->holds);
    *certain = here && d->written_certain;
    return here;
}

/* --- open and close --------------------------------------------------------------------------------------------- */

enum nx_status nx_dur_open_disk(struct nx_durable *d, const char *path, struct nx_disk **disk,
                                struct nx_err *err)
{
    struct epoll_event want = {.events = EPOLLIN};
    if (d->config.open_disk)
        return d->config.open_disk(d->config.disk_ctx, path, disk, err);
    NX_TRY(nx_disk_file_open(path, NX_DISK_OWN, disk, err));
    if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, nx_disk_fd(*disk), &want) != 0)
        return nx_err_set(err, NX_FATAL, "cannot watch the disk: %s", strerror(errno));
    return NX_OK;
}

static enum nx_status open_root(struct nx_durable *d, struct nx_err *err)
{
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll_fd < 0)
        return nx_err_set(err, NX_FATAL, "epoll_create1: %s", strerror(errno));
    NX_TRY(nx_dur_open_disk(d, d->folder, &d->root, err));
    return read_note(d, err);
}

static enum nx_status open_all(struct nx_durable *d, struct nx_err *err)
{
    NX_TRY(open_root(d, err));
    uint8_t shard = noted_shard(d);
    if (d->keeps_log && shard != NX_DUR_NO_SHARD)
        NX_TRY(nx_dur_open_shard(d, shard, err));
    return NX_OK;
}

enum nx_status nx_durable_open(const struct nx_durable_config *config, struct nx_durable **durable,
                               struct nx_err *err)
{
    struct nx_durable *d = nx_calloc(1, sizeof *d);
    if (!d)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the log");
    d->config = *config;
    if (d->config.compact_bodies == 0)
        d->config.compact_bodies = NX_DURABLE_COMPACT_BODIES;
    d->epoll_fd = -1;
    d->shard = NX_DUR_NO_SHARD;
    d->newest = NX_SEQ_NONE;
    d->end = &d->first;
    d->references_end = &d->references;
    d->keeps_log = config->spec.subgroups[config->subgroup].persistent;
    snprintf(d->owner.shard, sizeof d->owner.shard, NOTE_OWNER);
    snprintf(d->folder, sizeof d->folder, "%s", config->folder);
    enum nx_status status = open_all(d, err);
    if (status != NX_OK) {
        nx_durable_close(d);
        return status;
    }
    *durable = d;
    return NX_OK;
}

void nx_durable_close(struct nx_durable *d)
{
    nx_dur_end_replay(d);
    nx_dur_close_shard(d);
    while (d->root && d->note_busy) {
        d->root->ops->wait(d->root);
        (void)note_poll(d);
    }
    if (d->root)
        nx_disk_close(d->root);
    if (d->epoll_fd >= 0)
        close(d->epoll_fd);
    free(d);
}

/* --- turns and facts ---------------------------------------------------------------------------------------------- */

bool nx_durable_poll(struct nx_durable *d, nx_ns now)
{
    d->now = now;
    bool moved = note_poll(d);
    if (d->log)
        moved |= nx_dur_shard_poll(d, now);
    nx_dur_full_poll(d);
    return moved;
}

const struct nx_dur_offer *nx_durable_offer(struct nx_durable *d)
{
    make_offer(d);
    return &d->offer;
}

int nx_durable_fd(const struct nx_durable *d)
{
    return d->epoll_fd;
}

nx_ns nx_durable_wake_at(const struct nx_durable *d)
{
    nx_ns at = d->log ? nx_plog_wake_at(d->log) : NX_NEVER;
    if (d->full != 0 && d->retry_at > d->now && d->retry_at < at)
        at = d->retry_at;
    return d->compact_after != 0 && d->compact_after < at ? d->compact_after : at;
}

bool nx_durable_behind(const struct nx_durable *d)
{
    return d->queued_bytes > NX_DURABLE_BACKLOG_BYTES;
}

uint64_t nx_durable_places(const struct nx_durable *d)
{
    return d->log && d->records && d->reset == NX_RESET_NONE
               ? nx_dur_places(nx_plog_durable(d->log))
               : 0;
}

enum nx_status nx_durable_status(const struct nx_durable *d, struct nx_err *err)
{
    if (d->failed.status != NX_OK && err)
        *err = d->failed;
    return d->failed.status;
}
