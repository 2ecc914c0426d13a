#include "group/log/disk_stream.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is awaited. WRITING goes on until all is written and finish was called. A sync without
 * room sends back to READING_BACK and WRITING_AGAIN, in turn for each buffer, until all is
 * written again. */
enum stage {
    CLEARING,
    WRITING,
    SYNCING,
    READING_BACK,
    WRITING_AGAIN,
    RENAMING,
    PUBLISHED,
    REMOVING,
    FAILED
};

struct nx_disk_stream {
    struct nx_disk *disk;
    enum stage stage;
    bool busy, finishing, written; /* written: the file exists */
    bool patient;                  /* a full disk is waited for */
    bool unsynced; /* a sync found no room: nothing that was written before it counts */
    nx_disk_stream_check *check;
    void *ctx;
    struct nx_err full; /* why it is; NX_OK: it is not */
    struct nx_disk_request request;
    char temporary[NX_DISK_NAME_BYTES], name[NX_DISK_NAME_BYTES];
    struct nx_err err;
    uint64_t offset; /* of the next write */
    uint64_t again;  /* bytes that are written again */
    size_t buffer_bytes, filled;
    unsigned filling; /* which half */
    uint8_t buffers[];
};

static void submit(struct nx_disk_stream *s, enum nx_disk_kind kind)
{
    nx_assert(!s->busy);
    s->request = (struct nx_disk_request){.kind = kind};
    memcpy(s->request.name, s->temporary, sizeof s->temporary);
    memcpy(s->request.to, s->name, sizeof s->name);
    s->busy = true;
    if (kind == NX_DISK_WRITE) {
        s->request.offset = s->offset;
        s->request.src = s->buffers + s->filling * s->buffer_bytes;
        s->request.len = s->filled;
        s->offset += s->filled;
        s->written = true;
        s->filling ^= 1;
        s->filled = 0;
    }
    nx_disk_submit(s->disk, &s->request);
}

enum nx_status nx_disk_stream_open(struct nx_disk *disk, const char *temporary, size_t buffer_bytes,
                                   struct nx_disk_stream **stream, struct nx_err *err)
{
    nx_assert(nx_disk_name_ok(temporary));
    struct nx_disk_stream *s = nx_calloc(1, sizeof *s + 2 * buffer_bytes);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for buffers of %zu bytes", buffer_bytes);
    s->disk = disk;
    s->buffer_bytes = buffer_bytes;
    snprintf(s->temporary, sizeof s->temporary, "%s", temporary);
    submit(s, NX_DISK_REMOVE);
    *stream = s;
    return NX_OK;
}

size_t nx_disk_stream_room(const struct nx_disk_stream *s)
{
    bool closed = s->finishing || s->stage >= PUBLISHED;
    return closed ? 0 : s->buffer_bytes - s->filled;
}

size_t nx_disk_stream_write(struct nx_disk_stream *s, const void *bytes, size_t len)
{
    size_t room = nx_disk_stream_room(s), taken = len < room ? len : room;
    if (taken > 0)
        memcpy(s->buffers + s->filling * s->buffer_bytes + s->filled, bytes, taken);
    s->filled += taken;
    return taken;
}

void nx_disk_stream_finish(struct nx_disk_stream *s, const char *name)
{
    nx_assert(!s->finishing && nx_disk_name_ok(name));
    snprintf(s->name, sizeof s->name, "%s", name);
    s->finishing = true;
}

static bool waits_for_room(struct nx_disk_stream *s)
{
    bool may = s->stage == WRITING || s->stage == WRITING_AGAIN || s->stage == RENAMING ||
               (s->stage == SYNCING && s->check);
    if (!s->patient || !may || s->request.err.status != NX_UNAVAILABLE)
        return false;
    s->full = s->request.err;
    s->unsynced |= s->stage == SYNCING;
    return true;
}

void nx_disk_stream_wait_for_room(struct nx_disk_stream *s, nx_disk_stream_check *check, void *ctx)
{
    s->patient = true;
    s->check = check;
    s->ctx = ctx;
}

bool nx_disk_stream_is_full(const struct nx_disk_stream *s, struct nx_err *err)
{
    if (s->full.status != NX_OK && err)
        *err = s->full;
    return s->full.status != NX_OK;
}

bool nx_disk_stream_is_busy(const struct nx_disk_stream *s)
{
    return s->busy;
}

/* The buffers are empty by now. */
static void read_back(struct nx_disk_stream *s)
{
    s->stage = READING_BACK;
    s->request = (struct nx_disk_request){
        .kind = NX_DISK_READ, .offset = s->again, .dst = s->buffers, .len = s->buffer_bytes};
    memcpy(s->request.name, s->temporary, sizeof s->temporary);
    s->busy = true;
    nx_disk_submit(s->disk, &s->request);
}

/* A piece is read: to be written where it lay. Or the end is: then all of it has to be the file. */
static void write_again(struct nx_disk_stream *s)
{
    size_t len = s->request.done_bytes;
    bool right = s->again + len <= s->offset && (len > 0 || s->again == s->offset) &&
                 s->check(s->ctx, s->again, s->buffers, len);
    if (!right) {
        nx_err_set(&s->request.err, NX_CORRUPT,
                   "%s/%s: the disk was full at a sync, and has lost what was written before: %llu "
                   "of %llu bytes are as they were",
                   s->disk->ops->place(s->disk), s->temporary, (unsigned long long)s->again,
                   (unsigned long long)s->offset);
        return;
    }
    s->stage = len > 0 ? WRITING_AGAIN : SYNCING;
    s->request = (struct nx_disk_request){.kind = len > 0 ? NX_DISK_WRITE : NX_DISK_SYNC,
                                          .offset = s->again,
                                          .src = s->buffers,
                                          .len = len};
    memcpy(s->request.name, s->temporary, sizeof s->temporary);
    s->again += len;
    s->busy = true;
    nx_disk_submit(s->disk, &s->request);
}

void nx_disk_stream_retry(struct nx_disk_stream *s)
{
    nx_assert(s->full.status != NX_OK && !s->busy);
    if (s->unsynced) {
        s->unsynced = false;
        s->again = 0;
        read_back(s);
        return;
    }
    s->busy = true;
    nx_disk_submit(s->disk, &s->request); /* what it writes lies where it lay */
}

static bool is_again(const struct nx_disk_stream *s)
{
    return s->stage == READING_BACK || s->stage == WRITING_AGAIN;
}

static void go_on(struct nx_disk_stream *s)
{
    static const enum stage after[] = {[CLEARING] = WRITING,
                                       [WRITING] = WRITING,
                                       [SYNCING] = RENAMING,
                                       [RENAMING] = PUBLISHED,
                                       [REMOVING] = FAILED};
    s->busy = false;
    if (waits_for_room(s))
        return;
    if (s->request.err.status == NX_OK && is_again(s)) {
        if (s->stage == WRITING_AGAIN)
            read_back(s);
        else
            write_again(s);
        if (s->busy)
            return; /* full, until it is synced */
    }
    s->full.status = NX_OK;
    if (s->stage != REMOVING && s->request.err.status != NX_OK) {
        s->err = s->request.err;
        s->stage = REMOVING; /* a full disk needs the room back */
        submit(s, NX_DISK_REMOVE);
        return;
    }
    s->stage = after[s->stage];
    if (s->stage == RENAMING)
        submit(s, NX_DISK_RENAME);
}

/* A buffer less than half full waits for more, unless no more comes; an empty file is written too. */
static bool start_write(struct nx_disk_stream *s)
{
    bool full = s->filled * 2 >= s->buffer_bytes;
    bool rest = s->finishing && (s->filled > 0 || !s->written);
    if (full || rest) {
        submit(s, NX_DISK_WRITE);
        return true;
    }
    if (!s->finishing)
        return false;
    s->stage = SYNCING;
    submit(s, NX_DISK_SYNC);
    return true;
}

bool nx_disk_stream_poll(struct nx_disk_stream *s)
{
    bool moved = false;
    if (s->busy && !s->request.done)
        return false;
    if (s->busy) {
        go_on(s);
        moved = true;
    }
    if (s->stage == WRITING && !s->busy && s->full.status == NX_OK)
        moved |= start_write(s);
    return moved;
}

enum nx_status nx_disk_stream_status(const struct nx_disk_stream *s, struct nx_err *err)
{
    if (s->stage == FAILED && err)
        *err = s->err;
    if (s->stage == FAILED)
        return s->err.status;
    return s->stage == PUBLISHED ? NX_OK : NX_AGAIN;
}

void nx_disk_stream_close(struct nx_disk_stream *s)
{
    while (s->busy && !s->request.done) {
        s->disk->ops->wait(s->disk);
        nx_disk_poll(s->disk);
    }
    if (s->busy && !is_again(s))
        go_on(s);
    else
        s->busy = false;
    bool left = s->stage < PUBLISHED && s->request.err.status != NX_CANCELLED;
    while (s->busy && !s->request.done) {
        s->disk->ops->wait(s->disk);
        nx_disk_poll(s->disk);
    }
    if (left && !s->busy) {
        struct nx_disk_request remove = {.kind = NX_DISK_REMOVE};
        memcpy(remove.name, s->temporary, sizeof s->temporary);
        nx_disk_run(s->disk, &remove, NULL);
    }
    free(s);
}
