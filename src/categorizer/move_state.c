/* move_state.c — the state of a shard: read out of a replica (the donor), and taken in by one that joins.
 *
 * What moves is a manifest (manifest.h) and the files of the models. The donor holds the files
 * for the snapshot, so models may be removed meanwhile. The joiner writes files to its spool as
 * they come, loads the models from there on its worker, one after the other, and has state when
 * all that the shard serves are loaded; what is still being installed is loaded after that, and
 * voted on. */
#include "categorizer/categorizer_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

/* --- the donor ------------------------------------------------------------------------------------ */

struct snapshot {
    uint8_t *manifest;
    size_t manifest_bytes;
    uint32_t files_count;
    struct nx_kept *files[NX_STORE_MODELS];
};

void *nx_state_snapshot(void *ctx, uint32_t subgroup, uint64_t *bytes)
{
    struct nx_categorizer *c = ctx;
    bool files_follow[NX_STORE_MODELS];
    struct snapshot *s = nx_calloc(1, sizeof *s);
    (void)subgroup; /* there is one tier of categorizers */
    if (!s || !(s->manifest = nx_manifest_encode(c->store, files_follow, &s->manifest_bytes))) {
        free(s);
        nx_error("no memory for a snapshot of this shard's state");
        return NULL;
    }
    *bytes = s->manifest_bytes;
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        if (files_follow[i]) {
            s->files[s->files_count] = nx_kept_hold(nx_store_at(c->store, i)->kept);
            *bytes += s->files[s->files_count++]->bytes;
        }
    nx_info("a member joins the shard: its state is %u models, %llu bytes", s->files_count,
            (unsigned long long)*bytes);
    return s;
}

void nx_state_release(void *ctx, void *snapshot)
{
    struct snapshot *s = snapshot;
    (void)ctx;
    for (uint32_t i = 0; i < s->files_count; i++)
        nx_kept_drop(s->files[i]);
    free(s->manifest);
    free(s);
}

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* Files that this replica could not keep belong to an install that it votes against: zeros do for them. */
static size_t read_files(struct nx_kept *k, uint64_t offset, void *buf, size_t cap)
{
    struct nx_err err;
    size_t len = smaller(k->bytes - offset, cap);
    switch (nx_kept_state(k)) {
    case NX_KEPT_COMING: return 0; /* the loader is writing them */
    case NX_KEPT_LOST: memset(buf, 0, len); return len;
    case NX_KEPT_WHOLE: break;
    }
    if (nx_spool_read(k->spool, k->at + offset, buf, len, &err) == NX_OK)
        return len;
    nx_error("the files of tag %u are lost: %s", k->head.tag, err.text);
    return NX_STATE_BROKEN;
}

size_t nx_state_read(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap)
{
    const struct snapshot *s = snapshot;
    (void)ctx;
    if (offset < s->manifest_bytes) {
        size_t len = smaller(s->manifest_bytes - offset, cap);
        memcpy(buf, s->manifest + offset, len);
        return len;
    }
    offset -= s->manifest_bytes;
    for (uint32_t i = 0; i < s->files_count; i++) {
        if (offset < s->files[i]->bytes)
            return read_files(s->files[i], offset, buf, cap);
        offset -= s->files[i]->bytes;
    }
    return NX_STATE_BROKEN; /* nothing is there */
}

/* --- the joiner ----------------------------------------------------------------------------------- */

static void close_store(struct nx_store *store)
{
    for (uint32_t i = 0; store && i < NX_STORE_MODELS; i++)
        nx_change_retire(nx_store_at(store, i));
    if (store)
        nx_store_close(store);
}

static void throw_away(struct nx_categorizer *c)
{
    struct nx_arrival *a = &c->arrival;
    close_store(a->store);
    free(a->manifest);
    *a = (struct nx_arrival){.lacking = a->lacking, .number = a->number};
}

/* What the loader still has of it is of no use. */
static void forget_loads(struct nx_categorizer *c)
{
    c->arrival.number++;
    atomic_store_explicit(&c->wanted_arrival, c->arrival.number, memory_order_relaxed);
}

void nx_arrival_view(struct nx_categorizer *c, bool lacking)
{
    /* What came from our own log is ours, whoever else has it. */
    bool lost = c->arrival.lacking && !lacking && !nx_group_replays(c->group);
    /* A state that was taken is ours: what was being installed in it is loaded still, in whatever view. */
    if (c->arrival.store)
        forget_loads(c);
    throw_away(c);
    c->arrival.lacking = lacking;
    if (!lost)
        return;
    nx_warn("nobody has the state of this shard any more: it begins without models");
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        nx_change_retire(nx_store_at(c->store, i));
    nx_store_clear(c->store);
    c->votes_count = 0;
}

void nx_arrival_close(struct nx_categorizer *c)
{
    throw_away(c);
}

/* Bodies whose INSTALL the others delivered before the state was cut: nothing will ask for them. */
static void drop_known_bodies(struct nx_categorizer *c)
{
    struct nx_incoming *in = nx_incoming_next(&c->incomings, NULL);
    while (in) {
        struct nx_incoming *next = nx_incoming_next(&c->incomings, in);
        if (in->is_bulk && nx_store_knows(c->store, &in->head.request))
            nx_incoming_drop(&c->incomings, in);
        in = next;
    }
}

static void finish(struct nx_categorizer *c)
{
    struct nx_arrival *a = &c->arrival;
    close_store(c->store);
    c->store = a->store;
    a->store = NULL;
    a->finished = true;
    c->votes_count = 0; /* they were on another state */
    drop_known_bodies(c);
    nx_group_state_ready(c->group);
}

bool nx_arrival_poll(struct nx_categorizer *c)
{
    struct nx_arrival *a = &c->arrival;
    if (!a->finished)
        return false;
    if (!nx_group_replays(c->group) &&
        !(nx_group_with_state(c->group) & NX_RANK_BIT(nx_group_rank(c->group))))
        return false;
    a->finished = a->lacking = false;
    nx_info("this replica has its shard's state");
    return true;
}

/* False: the loader is still busy with what came before. */
static bool submit_load(struct nx_categorizer *c, const struct nx_entry *e)
{
    struct nx_job_load *j = nx_change_make_load(c, e->version, e->kept);
    j->arrival = c->arrival.number;
    j->wanted = &c->wanted_arrival;
    if (nx_kept_state(e->kept) == NX_KEPT_LOST)
        nx_err_set(&j->failure, NX_NO_MEMORY, "a replica could not take the files in");
    if (nx_worker_submit(c->loader, &j->job) == NX_OK)
        return true;
    nx_change_drop_load(c, j);
    return false;
}

static bool submit_all(struct nx_categorizer *c, enum nx_entry_state state)
{
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++) {
        const struct nx_entry *e = nx_store_peek(c->arrival.store, i);
        if (e->state != state)
            continue;
        if (!submit_load(c, e))
            return false;
        c->arrival.loading += state == NX_ENTRY_READY;
    }
    return true;
}

static enum nx_status load_all(struct nx_categorizer *c, struct nx_err *err)
{
    if (!submit_all(c, NX_ENTRY_READY) || !submit_all(c, NX_ENTRY_LOADING))
        return nx_err_set(err, NX_UNAVAILABLE, "the loader is busy with models that came before");
    if (c->arrival.loading == 0)
        finish(c);
    return NX_OK;
}

/* A model that all others run: without it this node is no replica. */
static void take_model(struct nx_categorizer *c, struct nx_entry *e, struct nx_job_load *j)
{
    if (j->failure.status == NX_OK && memcmp(&j->digest, &e->digest, sizeof j->digest) != 0)
        nx_err_set(&j->failure, NX_CORRUPT, "its files are not those of the other replicas");
    if (j->failure.status == NX_OK) {
        e->model = nx_held_make(j->served, &j->failure);
        j->served = NULL;
    }
    if (j->failure.status != NX_OK) {
        nx_err_set(&c->down, j->failure.status,
                   "tag %u, which its shard serves, is of no use here: %s", e->tag,
                   j->failure.text);
        return;
    }
    if (--c->arrival.loading == 0)
        finish(c);
}

void nx_arrival_loaded(struct nx_categorizer *c, struct nx_job_load *j)
{
    struct nx_arrival *a = &c->arrival;
    struct nx_entry *e;
    if (j->arrival != a->number || c->down.status != NX_OK) {
        nx_change_drop_load(c, j); /* a new view has made it useless; or we are */
    } else if (!a->store) {
        nx_change_loaded(c, j);
    } else {
        e = nx_store_find_version(a->store, j->version);
        nx_assert(e && e->state == NX_ENTRY_READY); /* those that are voted on are loaded last */
        take_model(c, e, j);
        nx_change_drop_load(c, j);
    }
}

static enum nx_status open_arrival(struct nx_categorizer *c, uint64_t total, struct nx_err *err)
{
    struct nx_arrival *a = &c->arrival;
    uint64_t files_bytes;
    a->store = nx_store_open();
    if (!a->store)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the store");
    NX_TRY(nx_manifest_decode(a->manifest, a->manifest_bytes, c->spool, a->store, a->files_follow,
                              &files_bytes, err));
    if (files_bytes != total - a->manifest_bytes)
        return nx_err_set(err, NX_CORRUPT, "a shard's state names files of %llu bytes, %llu follow",
                          (unsigned long long)files_bytes,
                          (unsigned long long)(total - a->manifest_bytes));
    free(a->manifest);
    a->manifest = NULL;
    return NX_OK;
}

static enum nx_status size_manifest(struct nx_arrival *a, uint64_t total, struct nx_err *err)
{
    NX_TRY(nx_manifest_size(a->head, &a->manifest_bytes, err));
    if (a->manifest_bytes > total)
        return nx_err_set(err, NX_CORRUPT, "a shard's manifest claims %zu bytes of a state of %llu",
                          a->manifest_bytes, (unsigned long long)total);
    a->manifest = nx_malloc(a->manifest_bytes);
    if (!a->manifest)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a shard's manifest of %zu bytes",
                          a->manifest_bytes);
    memcpy(a->manifest, a->head, sizeof a->head);
    return NX_OK;
}

static enum nx_status take_manifest(struct nx_categorizer *c, uint64_t total, const uint8_t *bytes,
                                    size_t len, size_t *used, struct nx_err *err)
{
    struct nx_arrival *a = &c->arrival;
    bool sized = a->manifest_bytes > 0;
    *used = smaller((sized ? a->manifest_bytes : sizeof a->head) - a->manifest_got, len);
    memcpy((sized ? a->manifest : a->head) + a->manifest_got, bytes, *used);
    a->manifest_got += *used;
    if (!sized && a->manifest_got == sizeof a->head)
        return size_manifest(a, total, err);
    if (sized && a->manifest_got == a->manifest_bytes)
        return open_arrival(c, total, err);
    return NX_OK;
}

/* The next entry whose files come; NULL after the last. */
static struct nx_entry *next_files(struct nx_arrival *a)
{
    while (a->slot < NX_STORE_MODELS && !a->files_follow[a->slot])
        a->slot++;
    return a->slot < NX_STORE_MODELS ? nx_store_at(a->store, a->slot) : NULL;
}

static enum nx_status take_files(struct nx_arrival *a, const uint8_t *bytes, size_t len,
                                 size_t *used, struct nx_err *err)
{
    struct nx_entry *e = next_files(a);
    if (!e)
        return nx_err_set(err, NX_CORRUPT, "a shard's state has %zu bytes too many", len);
    *used = smaller(e->kept->bytes - a->slot_got, len);
    if (nx_kept_state(e->kept) != NX_KEPT_LOST)
        NX_TRY(nx_kept_write(e->kept, a->slot_got, bytes, *used, err));
    a->slot_got += *used;
    if (a->slot_got < e->kept->bytes)
        return NX_OK;
    if (nx_kept_state(e->kept) != NX_KEPT_LOST)
        nx_kept_fill(e->kept, true);
    a->slot++;
    a->slot_got = 0;
    return NX_OK;
}

enum nx_status nx_state_part(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                             const void *bytes, size_t len, struct nx_err *err)
{
    struct nx_categorizer *c = ctx;
    struct nx_arrival *a = &c->arrival;
    const uint8_t *at = bytes;
    (void)subgroup;
    if (offset == 0) {
        forget_loads(c);
        throw_away(c);
        a->lacking = true;
    }
    for (size_t left = len, used = 0; left; at += used, left -= used)
        NX_TRY(a->store ? take_files(a, at, left, &used, err)
                        : take_manifest(c, total, at, left, &used, err));
    if (offset + len < total)
        return NX_OK;
    if (!a->store || next_files(a))
        return nx_err_set(err, NX_CORRUPT, "a shard's state ends after %llu bytes",
                          (unsigned long long)total);
    return load_all(c, err);
}
