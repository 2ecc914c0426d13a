#include "sim_disk.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "common/prng.h"
#include "group/log/disk_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 2048, SECTOR = NX_DISK_SECTOR_BYTES };

struct content {
    uint8_t *bytes;
    size_t len, cap;
};

/* `now` is what a reader sees; `disk` is what was synced. They differ in dirty sectors only. */
struct file {
    char name[NX_DISK_NAME_BYTES];
    struct content now, disk;
    struct content dirty; /* one byte per sector */
};

struct sim_disk {
    struct nx_disk handle;
    struct nx_prng prng;
    struct sim_disk_faults faults;
    uint64_t crash_in; /* requests; 0: no crash is planned */
    bool dead;
    nx_ns full_from, full_until;
    nx_ns now, due; /* due: when the first waiting request ends */
    struct nx_disk_queue waiting, finished;
    size_t files_count;
    struct file files[FILES_MAX];
};

/* --- contents ------------------------------------------------------------------------------------------- */

static void resize(struct content *c, size_t len)
{
    if (len > c->cap) {
        size_t cap = len * 2;
        uint8_t *bytes = nx_calloc(1, cap);
        nx_assert(bytes);
        if (c->len)
            memcpy(bytes, c->bytes, c->len);
        free(c->bytes);
        c->bytes = bytes;
        c->cap = cap;
    }
    if (len > c->len)
        memset(c->bytes + c->len, 0, len - c->len);
    c->len = len;
}

static void assign(struct content *c, const void *bytes, size_t len)
{
    resize(c, len);
    if (len)
        memcpy(c->bytes, bytes, len);
}

static void free_file(struct file *f)
{
    free(f->now.bytes);
    free(f->disk.bytes);
    free(f->dirty.bytes);
}

static struct file *find(struct sim_disk *d, const char *name)
{
    for (size_t i = 0; i < d->files_count; i++)
        if (strcmp(d->files[i].name, name) == 0)
            return &d->files[i];
    return NULL;
}

static struct file *find_or_make(struct sim_disk *d, const char *name)
{
    struct file *f = find(d, name);
    if (f)
        return f;
    nx_assert(d->files_count < FILES_MAX);
    f = &d->files[d->files_count++];
    memset(f, 0, sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", name);
    return f;
}

static void drop(struct sim_disk *d, const char *name)
{
    struct file *f = find(d, name);
    if (!f)
        return;
    free_file(f);
    *f = d->files[--d->files_count];
}

static void clean(struct file *f)
{
    assign(&f->disk, f->now.bytes, f->now.len);
    resize(&f->dirty, 0);
}

/* Only what is dirty reaches the disk: what an earlier sync failed to write is not tried again. */
static void sync_dirty(struct file *f)
{
    resize(&f->disk, f->now.len);
    for (size_t s = 0; s < f->dirty.len; s++) {
        size_t at = s * SECTOR, end = at + SECTOR < f->now.len ? at + SECTOR : f->now.len;
        if (f->dirty.bytes[s] && at < end)
            memcpy(f->disk.bytes + at, f->now.bytes + at, end - at);
    }
    resize(&f->dirty, 0);
}

static void put_bytes(struct file *f, uint64_t offset, const void *src, size_t len)
{
    if (len == 0)
        return;
    if (offset + len > f->now.len)
        resize(&f->now, offset + len);
    memcpy(f->now.bytes + offset, src, len);
    size_t last = (offset + len - 1) / SECTOR;
    if (last >= f->dirty.len)
        resize(&f->dirty, last + 1);
    memset(f->dirty.bytes + offset / SECTOR, 1, last - offset / SECTOR + 1);
}

/* One dirty sector after the power came back: old, new, or new up to a byte. */
static void settle_sector(struct sim_disk *d, struct file *f, size_t sector)
{
    size_t at = sector * SECTOR, end = at + SECTOR < f->now.len ? at + SECTOR : f->now.len;
    uint64_t fate = nx_prng_below(&d->prng, 4);
    if (at >= end || fate == 0)
        return;
    if (fate == 1)
        end = at + nx_prng_below(&d->prng, end - at + 1);
    if (end > f->disk.len)
        resize(&f->disk, end);
    if (end > at) /* an empty file has no bytes to point at */
        memcpy(f->disk.bytes + at, f->now.bytes + at, end - at);
}

/* A crash writes a drawn part of what is dirty; the length may have come without the bytes. */
static void settle(struct sim_disk *d, struct file *f)
{
    bool any = f->dirty.len > 0;
    bool all = nx_prng_chance(&d->prng, 1, 8), none = nx_prng_chance(&d->prng, 1, 8);
    for (size_t s = 0; s < f->dirty.len; s++)
        if (f->dirty.bytes[s] && !none)
            settle_sector(d, f, s);
    if (any && all)
        assign(&f->disk, f->now.bytes, f->now.len);
    else if (any && f->now.len > f->disk.len && nx_prng_chance(&d->prng, 1, 3))
        resize(&f->disk, f->now.len);
    assign(&f->now, f->disk.bytes, f->disk.len);
    resize(&f->dirty, 0);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static uint64_t used_bytes(const struct sim_disk *d)
{
    uint64_t used = 0;
    for (size_t i = 0; i < d->files_count; i++)
        used += d->files[i].now.len;
    return used;
}

static void answer(struct nx_disk_request *r, enum nx_status status, const char *why)
{
    r->err.status = status;
    snprintf(r->err.text, sizeof r->err.text, "disk:/%.95s: %s", r->name, why);
}

static bool is_filled(const struct sim_disk *d, nx_ns at)
{
    return at >= d->full_from && at < d->full_until;
}

static bool fails(struct sim_disk *d, struct nx_disk_request *r)
{
    bool writes = r->kind == NX_DISK_WRITE || r->kind == NX_DISK_REPLACE;
    bool finds = r->kind == (d->faults.thin ? NX_DISK_SYNC : NX_DISK_WRITE);
    bool full = is_filled(d, d->due) ||
                (d->faults.space_bytes && used_bytes(d) + r->len > d->faults.space_bytes);
    if ((finds || r->kind == NX_DISK_REPLACE) &&
        (full || nx_prng_chance(&d->prng, d->faults.enospc_permille, 1000)))
        return answer(r, NX_UNAVAILABLE, "No space left on device"), true;
    if ((writes || r->kind == NX_DISK_SYNC) &&
        nx_prng_chance(&d->prng, d->faults.eio_permille, 1000))
        return answer(r, NX_IO, "Input/output error"), true;
    return false;
}

/* What a failed request, or one that a crash cut short, has done nevertheless. */
static void do_part(struct sim_disk *d, struct nx_disk_request *r)
{
    if (r->kind == NX_DISK_WRITE && r->len > 0)
        put_bytes(find_or_make(d, r->name), r->offset, r->src, nx_prng_below(&d->prng, r->len + 1));
    struct file *f = r->kind == NX_DISK_SYNC ? find(d, r->name) : NULL;
    for (size_t s = 0; f && s < f->dirty.len; s++)
        if (f->dirty.bytes[s]) {
            settle_sector(d, f, s);
            f->dirty.bytes[s] = 0; /* the kernel forgets what it could not write */
        }
}

static void list(struct sim_disk *d, struct nx_disk_request *r)
{
    struct nx_disk_entry *entries = r->dst;
    if (d->files_count > r->len) {
        answer(r, NX_TOO_LARGE, "too many files");
        return;
    }
    for (size_t i = 0; i < d->files_count; i++) {
        memcpy(entries[i].name, d->files[i].name, NX_DISK_NAME_BYTES);
        entries[i].bytes = d->files[i].now.len;
    }
    r->done_bytes = d->files_count;
}

static void read_file(const struct file *f, struct nx_disk_request *r)
{
    if (r->offset >= f->now.len)
        return;
    size_t left = f->now.len - r->offset;
    r->done_bytes = r->len < left ? r->len : left;
    memcpy(r->dst, f->now.bytes + r->offset, r->done_bytes);
}

static void rename_file(struct sim_disk *d, const char *name, const char *to)
{
    drop(d, to);
    memcpy(find(d, name)->name, to, strlen(to) + 1);
}

static void carry_out(struct sim_disk *d, struct nx_disk_request *r)
{
    struct file *f = r->kind == NX_DISK_LIST ? NULL : find(d, r->name);
    bool needs_file =
        r->kind == NX_DISK_SYNC || r->kind == NX_DISK_READ || r->kind == NX_DISK_RENAME;
    if (needs_file && !f) {
        answer(r, NX_NOT_FOUND, "No such file or directory");
        return;
    }
    switch (r->kind) {
    case NX_DISK_WRITE:
        put_bytes(find_or_make(d, r->name), r->offset, r->src, r->len);
        r->done_bytes = r->len;
        break;
    case NX_DISK_SYNC:
        if (!d->faults.ignore_syncs)
            sync_dirty(f);
        break;
    case NX_DISK_READ: read_file(f, r); break;
    case NX_DISK_REPLACE:
        f = find_or_make(d, r->name);
        assign(&f->now, r->src, r->len);
        clean(f);
        break;
    case NX_DISK_RENAME: rename_file(d, r->name, r->to); break;
    case NX_DISK_REMOVE: drop(d, r->name); break;
    case NX_DISK_LIST: list(d, r); break;
    case NX_DISK_KINDS: nx_assert(false);
    }
}

static nx_ns draw_latency(struct sim_disk *d)
{
    if (nx_prng_chance(&d->prng, d->faults.tail_permille, 1000))
        return d->faults.tail_ns;
    return nx_prng_between(&d->prng, d->faults.latency_min_ns, d->faults.latency_max_ns);
}

static void finish_first(struct sim_disk *d)
{
    if (d->crash_in && --d->crash_in == 0) {
        d->dead = true;
        sim_disk_crash(d, nx_prng_chance(&d->prng, 3, 4));
        return;
    }
    struct nx_disk_request *r = nx_disk_queue_pop(&d->waiting);
    r->done_bytes = 0;
    r->err = (struct nx_err){.status = NX_OK};
    if (fails(d, r))
        do_part(d, r);
    else
        carry_out(d, r);
    nx_disk_queue_push(&d->finished, r);
    if (d->waiting.first)
        d->due += draw_latency(d);
}

/* --- the seam ------------------------------------------------------------------------------------------- */

static void submit(struct nx_disk *disk, struct nx_disk_request *request)
{
    struct sim_disk *d = (struct sim_disk *)disk;
    nx_assert(request->kind == NX_DISK_LIST || nx_disk_name_ok(request->name));
    if (d->dead) {
        answer(request, NX_CANCELLED, "the crash");
        nx_disk_queue_push(&d->finished, request);
        return;
    }
    if (!d->waiting.first)
        d->due = d->now + draw_latency(d);
    nx_disk_queue_push(&d->waiting, request);
}

static bool poll_finished(struct nx_disk *disk)
{
    struct sim_disk *d = (struct sim_disk *)disk;
    bool any = false;
    for (struct nx_disk_request *r; (r = nx_disk_queue_pop(&d->finished)) != NULL; any = true)
        r->done = true;
    return any;
}

static void wait_finished(struct nx_disk *disk)
{
    struct sim_disk *d = (struct sim_disk *)disk;
    if (d->finished.first)
        return;
    nx_assert(d->waiting.first);
    sim_disk_advance(d, d->due > d->now ? d->due : d->now);
}

static int no_fd(const struct nx_disk *disk)
{
    (void)disk;
    return -1;
}

static const char *place(const struct nx_disk *disk)
{
    (void)disk;
    return "disk:";
}

static uint64_t room(const struct nx_disk *disk)
{
    const struct sim_disk *d = (const struct sim_disk *)disk;
    return is_filled(d, d->now) ? 0 : UINT64_MAX; /* else writes fail by chance, not by count */
}

static void close_handle(struct nx_disk *disk)
{
    nx_assert(!((struct sim_disk *)disk)->waiting.first);
}

static const struct nx_disk_ops sim_ops = {
    .submit = submit,
    .poll = poll_finished,
    .wait = wait_finished,
    .fd = no_fd,
    .place = place,
    .room = room,
    .close = close_handle,
};

/* --- the disk's owner ----------------------------------------------------------------------------------- */

struct sim_disk *sim_disk_new(uint64_t seed, const struct sim_disk_faults *faults)
{
    struct sim_disk *d = nx_calloc(1, sizeof *d);
    nx_assert(d);
    d->handle.ops = &sim_ops;
    nx_prng_init(&d->prng, seed);
    sim_disk_set_faults(d, faults);
    nx_disk_queue_init(&d->waiting);
    nx_disk_queue_init(&d->finished);
    return d;
}

void sim_disk_free(struct sim_disk *d)
{
    for (size_t i = 0; i < d->files_count; i++)
        free_file(&d->files[i]);
    free(d);
}

struct nx_disk *sim_disk_handle(struct sim_disk *d)
{
    return &d->handle;
}

void sim_disk_set_faults(struct sim_disk *d, const struct sim_disk_faults *faults)
{
    d->faults = *faults;
}

void sim_disk_fill(struct sim_disk *d, nx_ns from, nx_ns until)
{
    d->full_from = from;
    d->full_until = until;
}

nx_ns sim_disk_now(const struct sim_disk *d)
{
    return d->now;
}

nx_ns sim_disk_next(const struct sim_disk *d)
{
    return d->waiting.first ? d->due : NX_NEVER;
}

void sim_disk_advance(struct sim_disk *d, nx_ns now)
{
    nx_assert(now >= d->now);
    while (d->waiting.first && d->due <= now)
        finish_first(d);
    d->now = now;
}

/* The first request may have begun; of a name's change either side is possible. */
static void cut_short(struct sim_disk *d, struct nx_disk_request *r)
{
    bool atomic =
        r->kind == NX_DISK_REPLACE || r->kind == NX_DISK_RENAME || r->kind == NX_DISK_REMOVE;
    if (!atomic)
        do_part(d, r);
    else if (nx_prng_chance(&d->prng, 1, 2))
        carry_out(d, r);
}

void sim_disk_crash(struct sim_disk *d, bool power)
{
    struct nx_disk_request *r;
    if (d->waiting.first)
        cut_short(d, d->waiting.first);
    while ((r = nx_disk_queue_pop(&d->waiting)) != NULL) {
        answer(r, NX_CANCELLED, "the crash");
        nx_disk_queue_push(&d->finished, r);
    }
    for (size_t i = 0; power && i < d->files_count; i++)
        settle(d, &d->files[i]);
}

void sim_disk_die(struct sim_disk *d, bool power)
{
    d->dead = true;
    sim_disk_crash(d, power);
}

void sim_disk_crash_in(struct sim_disk *d, uint64_t requests)
{
    d->crash_in = requests;
    d->dead = false;
}

static struct file *draw_file(struct sim_disk *d)
{
    if (d->files_count == 0)
        return NULL;
    return &d->files[nx_prng_below(&d->prng, d->files_count)];
}

bool sim_disk_rot(struct sim_disk *d, const char *name, char what[NX_DISK_NAME_BYTES],
                  uint64_t *offset)
{
    struct file *f = name ? find(d, name) : draw_file(d);
    if (!f || f->disk.len == 0 || f->now.len < f->disk.len)
        return false;
    *offset = nx_prng_below(&d->prng, f->disk.len);
    uint8_t bit = (uint8_t)(1u << nx_prng_below(&d->prng, 8));
    f->disk.bytes[*offset] ^= bit;
    f->now.bytes[*offset] ^= bit;
    memcpy(what, f->name, NX_DISK_NAME_BYTES);
    return true;
}

uint8_t *sim_disk_bytes(struct sim_disk *d, const char *name, size_t *len)
{
    struct file *f = find(d, name);
    if (!f)
        return NULL;
    *len = f->now.len;
    return f->now.bytes;
}

void sim_disk_put(struct sim_disk *d, const char *name, const void *bytes, size_t len)
{
    struct file *f = find_or_make(d, name);
    assign(&f->now, bytes, len);
    clean(f);
}

const char *sim_disk_name(const struct sim_disk *d, size_t at)
{
    return at < d->files_count ? d->files[at].name : NULL;
}
