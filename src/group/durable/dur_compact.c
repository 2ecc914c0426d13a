/* A log that has grown is made short: a checkpoint over all that it holds, then what is under that goes.
 *
 *   NONE ─ begin ─▶ DRAINING ─ what the checkpoint covers is durable ─▶ WRITING ─ it is durable itself ─▶ NONE
 *
 * Nothing is removed before the checkpoint is durable, and nothing that is needed above it: a crash at any step finds the
 * log with the old checkpoint, or with the new one. Deliveries go on meanwhile. */
#include "group/durable/durable_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t GROWN_MAX =
    (uint64_t)4 << 30;                /* however large the state: a log has only so many segments */
static const nx_ns RETRY_NS = NX_SEC; /* after a checkpoint that failed, for one that may not */

/* --- what the log grows by --------------------------------------------------------------------------------------- */

void nx_dur_count(struct nx_durable *d, uint64_t bytes, bool body)
{
    d->grown += bytes;
    d->grown_bodies += body;
}

static uint64_t may_grow(const struct nx_durable *d)
{
    uint64_t bytes = d->state_bytes;
    if (bytes < NX_DURABLE_COMPACT_BYTES)
        return NX_DURABLE_COMPACT_BYTES;
    return bytes < GROWN_MAX ? bytes : GROWN_MAX;
}

bool nx_dur_compact_is_due(const struct nx_durable *d)
{
    bool grown = d->grown >= may_grow(d) || d->grown_bodies >= d->config.compact_bodies;
    return grown && d->log && d->records && d->vid != 0 && d->reset == NX_RESET_NONE &&
           d->compact == NX_COMPACT_NONE && d->compact_after == 0 && d->newest != NX_SEQ_NONE;
}

/* --- references to blobs ------------------------------------------------------------------------------------------- */

enum nx_status nx_dur_add_reference(struct nx_durable *d, nx_seq version, const char *name)
{
    struct nx_dur_reference *r = nx_calloc(1, sizeof *r);
    if (!r)
        return NX_NO_MEMORY;
    r->version = version;
    memcpy(r->name, name, sizeof r->name);
    *d->references_end = r;
    d->references_end = &r->next;
    return NX_OK;
}

void nx_dur_drop_references(struct nx_durable *d, nx_seq last)
{
    while (d->references && d->references->version <= last) {
        struct nx_dur_reference *r = d->references;
        d->references = r->next;
        if (d->blobs)
            (void)nx_blob_unref(d->blobs, r->name);
        free(r);
    }
    if (!d->references)
        d->references_end = &d->references;
}

/* --- the checkpoint ------------------------------------------------------------------------------------------------- */

void nx_dur_compact_begin(struct nx_durable *d)
{
    nx_assert(nx_dur_compact_is_due(d));
    d->compact = NX_COMPACT_DRAINING;
    d->compacts = true;
    d->compact_to = d->newest;
    d->compact_stamp = d->stamp;
    d->counted = d->grown;
    d->counted_bodies = d->grown_bodies;
}

void nx_dur_compact_stop(struct nx_durable *d)
{
    if (d->compact == NX_COMPACT_WRITING && d->log)
        nx_plog_checkpoint_abort(d->log);
    d->compact = NX_COMPACT_NONE;
}

static void failed(struct nx_durable *d, nx_ns now, const struct nx_err *why)
{
    if (!d->compact_failed)
        nx_warn("the log is not made shorter, it is tried again every second: %s", why->text);
    d->compact_failed = true;
    nx_dur_compact_stop(d);
    d->compact_after = now + RETRY_NS;
}

static void begin_writing(struct nx_durable *d, nx_ns now)
{
    struct nx_err err = {0};
    if (nx_plog_checkpoint_begin(d->log, d->compact_to, d->compact_stamp, &err) != NX_OK)
        failed(d, now, &err);
    else
        d->compact = NX_COMPACT_WRITING;
}

static bool finish_writing(struct nx_durable *d, nx_ns now)
{
    struct nx_err err = {0};
    enum nx_status status = nx_dur_checkpoint_poll(d, &err);
    if (status == NX_AGAIN)
        return false;
    if (status != NX_OK) {
        failed(d, now, &err);
        return true;
    }
    d->compact = NX_COMPACT_NONE;
    d->compact_failed = false;
    d->grown -= d->counted;
    d->grown_bodies -= d->counted_bodies;
    nx_dur_drop_references(d, d->compact_to);
    nx_info("the log begins at place %llu: what was before is in a checkpoint",
            (unsigned long long)nx_dur_places(d->compact_to));
    return true;
}

bool nx_dur_compact_poll(struct nx_durable *d, nx_ns now)
{
    if (d->compact_after != 0 && now >= d->compact_after)
        d->compact_after = 0;
    if (d->failed.status != NX_OK)
        return false;
    if (d->compact == NX_COMPACT_WRITING)
        return finish_writing(d, now);
    if (d->compact == NX_COMPACT_NONE || nx_plog_durable(d->log) < d->compact_to)
        return false;
    begin_writing(d, now);
    return true;
}
