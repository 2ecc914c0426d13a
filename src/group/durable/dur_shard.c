/* The log of our shard: records wait in a queue for the bodies that they name, then go into the log in their order. */
#include "group/durable/durable_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BLOBS_KEPT = NX_BLOBS_MAX - 64 }; /* the rest: puts that are under way */
#define PUT_BYTES       (256 * 1024)     /* buffered by a put, which has two of them */
#define ROOM_LEFT_BYTES (1 << 20)        /* for the log, whose votes and views come all the same */

/* --- open and close ----------------------------------------------------------------------------------------------- */

static void name_of(const struct nx_durable *d, char name[NX_SHARD_NAME_BYTES])
{
    snprintf(name, NX_SHARD_NAME_BYTES, "%s.%u", d->config.spec.subgroups[d->config.subgroup].name,
             d->shard);
}

/* Bodies stand under the log that names them: another shard's log, which we left and may come back to, names others. */
static enum nx_status open_disks(struct nx_durable *d, struct nx_err *err)
{
    char name[NX_SHARD_NAME_BYTES], path[NX_DUR_PATH_BYTES + NX_SHARD_NAME_BYTES + 8];
    name_of(d, name);
    snprintf(path, sizeof path, "%s/%s", d->folder, name);
    NX_TRY(nx_dur_open_disk(d, path, &d->log_disk, err));
    snprintf(path, sizeof path, "%s/%s/blobs", d->folder, name);
    return nx_dur_open_disk(d, path, &d->blob_disk, err);
}

enum nx_status nx_dur_open_log(struct nx_durable *d, struct nx_err *err)
{
    char name[NX_SHARD_NAME_BYTES];
    name_of(d, name);
    struct nx_plog_config config = {.owner = d->owner, .mutants = d->config.log_mutants};
    struct nx_plog_image *image = nx_calloc(1, sizeof *image);
    if (!image)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to recover the log %s", name);
    if (getrandom(&config.salt, sizeof config.salt, 0) != sizeof config.salt)
        config.salt = (uint64_t)nx_clock_now(); /* it only tells files apart */
    snprintf(config.owner.shard, sizeof config.owner.shard, "%s", name);
    enum nx_status status = nx_plog_open(d->log_disk, &config, &d->log, image, err);
    if (status == NX_OK) {
        d->newest = nx_plog_last(d->log);
        d->found_stamp = image->empty ? 0 : image->last_vid;
        if (image->torn_bytes)
            nx_warn("log %s: %llu bytes that were being written are cut: %s", name,
                    (unsigned long long)image->torn_bytes, image->torn_why);
    }
    free(image);
    return status;
}

static enum nx_status open_files(struct nx_durable *d, struct nx_err *err)
{
    NX_TRY(nx_dur_open_log(d, err));
    NX_TRY(nx_blob_store_open(d->blob_disk, &d->blobs, err));
    d->replayed = d->newest == NX_SEQ_NONE || d->note.void_log; /* else its tier began with that */
    NX_TRY(nx_dur_find_checkpoint(d, err));
    d->grown = d->grown_bodies = 0;
    d->compact_after = 0;
    return nx_dur_take_references(d, err);
}

enum nx_status nx_dur_open_shard(struct nx_durable *d, uint8_t shard, struct nx_err *err)
{
    nx_dur_end_replay(d);
    nx_dur_close_shard(d);
    d->shard = shard;
    NX_TRY(open_disks(d, err));
    return open_files(d, err);
}

/* After nx_dur_open_shard found a log that is of no use: an empty one in its place, and none of its bodies. */
enum nx_status nx_dur_open_anew(struct nx_durable *d, uint8_t shard, struct nx_err *err)
{
    nx_dur_close_shard(d);
    d->shard = shard;
    NX_TRY(open_disks(d, err));
    NX_TRY(nx_dur_remove_files(d, err));
    return open_files(d, err);
}

static void free_pieces(struct nx_dur_body *body)
{
    while (body->first) {
        struct nx_dur_piece *piece = body->first;
        body->first = piece->next;
        free(piece);
    }
    body->end = &body->first;
}

static void drop_pieces(struct nx_durable *d, struct nx_dur_body *body)
{
    for (struct nx_dur_piece *piece = body->first; piece; piece = piece->next)
        d->queued_bytes -= piece->len;
    free_pieces(body);
    if (body->put)
        nx_blob_put_close(body->put);
    body->put = NULL;
}

static void drop_body(struct nx_durable *d, struct nx_dur_body *body)
{
    for (struct nx_dur_body **at = &d->bodies; *at; at = &(*at)->next)
        if (*at == body) {
            *at = body->next;
            break;
        }
    drop_pieces(d, body);
    free(body);
}

static bool append_next(struct nx_durable *d);
static bool move_bodies(struct nx_durable *d);

/* What was handed over goes to the disk, as long as that can. */
static void drain(struct nx_durable *d)
{
    while (d->first && d->reset == NX_RESET_NONE && d->failed.status == NX_OK &&
           nx_plog_status(d->log, NULL) == NX_OK) {
        bool moved = move_bodies(d);
        moved |= nx_blob_poll(d->blobs);
        moved |= append_next(d);
        moved |= nx_plog_poll(d->log, nx_clock_now());
        if (moved)
            continue;
        bool flushes = nx_plog_durable(d->log) < nx_plog_last(d->log);
        if (flushes && nx_plog_wake_at(d->log) != NX_NEVER)
            return; /* the disk is full: nothing is under way */
        const struct nx_blob_put *put = d->first->body ? d->first->body->put : NULL;
        if (!flushes && (!put || nx_blob_put_is_full(put, NULL)))
            return;
        struct nx_disk *disk = flushes ? d->log_disk : d->blob_disk;
        disk->ops->wait(disk);
    }
}

void nx_dur_close_shard(struct nx_durable *d)
{
    if (d->log && d->blobs)
        drain(d);
    while (d->first) {
        struct nx_dur_queued *q = d->first;
        d->first = q->next;
        free(q);
    }
    d->end = &d->first;
    while (d->bodies)
        drop_body(d, d->bodies);
    d->queued_bytes = 0;
    nx_dur_compact_stop(d);
    struct nx_blob_store *blobs = d->blobs;
    d->blobs = NULL; /* the log goes on naming them */
    nx_dur_drop_references(d, INT64_MAX);
    d->blobs = blobs;
    if (d->blobs)
        nx_blob_store_close(d->blobs);
    if (d->log)
        nx_plog_close(d->log);
    if (d->blob_disk)
        nx_disk_close(d->blob_disk);
    if (d->log_disk)
        nx_disk_close(d->log_disk);
    d->blobs = NULL;
    d->log = NULL;
    d->log_disk = d->blob_disk = NULL;
    d->records = d->continuous = false;
    nx_dur_stop_reset(d);
    d->full &= NX_DUR_NOTE; /* what else waited is gone */
    d->newest = NX_SEQ_NONE;
    d->shard = NX_DUR_NO_SHARD;
}

/* --- handing over -------------------------------------------------------------------------------------------------- */

static void no_memory(struct nx_durable *d)
{
    struct nx_err err = {0};
    nx_err_set(&err, NX_NO_MEMORY, "no memory for what waits for the disk");
    nx_durable_fail(d, &err);
}

static void queue(struct nx_durable *d, uint32_t kind, nx_seq version, nx_rank sender,
                  struct nx_dur_body *body, const void *bytes, size_t len)
{
    struct nx_dur_queued *q = nx_calloc(1, sizeof *q + len);
    if (!q) {
        no_memory(d);
        return;
    }
    *q = (struct nx_dur_queued){.kind = kind,
                                .version = version,
                                .stamp = d->stamp,
                                .sender = sender,
                                .body = body,
                                .len = len};
    memcpy(q->bytes, bytes, len);
    *d->end = q;
    d->end = &q->next;
    d->queued_bytes += len;
    d->newest = version;
    nx_dur_count(d, len + (body ? body->total : 0), body != NULL);
}

void nx_dur_append_view(struct nx_durable *d, const struct nx_view *view, nx_rank self)
{
    uint8_t bytes[NX_DUR_VIEW_BYTES_MAX];
    uint64_t base = view->base[d->config.subgroup][d->shard];
    uint32_t n = 0;
    if (d->newest >= nx_dur_version_of_view(base, 0))
        n = (uint32_t)(d->newest - nx_dur_version_of_view(base, 0)) + 1;
    if (n >= 0xffff) {
        struct nx_err err = {0};
        nx_err_set(&err, NX_CORRUPT, "the log holds place %llu, the view begins at %llu",
                   (unsigned long long)nx_dur_places(d->newest), (unsigned long long)base);
        nx_durable_fail(d, &err);
        return;
    }
    size_t len = nx_dur_encode_view(view, self, bytes);
    queue(d, NX_DUR_VIEW, nx_dur_version_of_view(base, n), 0, NULL, bytes, len);
}

static struct nx_dur_body *find_body(struct nx_durable *d, nx_stream stream)
{
    for (struct nx_dur_body *body = d->bodies; body; body = body->next)
        if (body->stream == stream && !body->claimed && !body->aborted)
            return body;
    return NULL;
}

/* From here on a full disk is waited for: nobody else has these bytes for us any more. */
static void claim(struct nx_dur_body *body)
{
    body->claimed = true;
    if (body->put)
        nx_blob_put_wait_for_room(body->put);
}

void nx_durable_deliver(struct nx_durable *d, const struct nx_delivery *delivery)
{
    if (!d->records || delivery->subgroup != d->config.subgroup || d->failed.status != NX_OK)
        return;
    nx_seq version = nx_dur_version_of_message(delivery->seq);
    nx_assert(version > d->newest);
    struct nx_dur_body *body = delivery->bulk ? find_body(d, delivery->bulk) : NULL;
    if (delivery->bulk && (!body || body->got != body->total)) {
        struct nx_err err = {0};
        nx_err_set(&err, NX_INTERNAL, "a bulk message was delivered without its bytes");
        nx_durable_fail(d, &err);
        return;
    }
    if (body)
        claim(body);
    queue(d, body ? NX_DUR_BULK : NX_DUR_MESSAGE, version, delivery->sender, body, delivery->bytes,
          delivery->len);
}

static struct nx_dur_body *new_body(struct nx_durable *d, nx_stream stream, uint64_t total)
{
    struct nx_dur_body *body = nx_calloc(1, sizeof *body);
    if (!body)
        return NULL;
    body->stream = stream;
    body->total = total;
    body->end = &body->first;
    body->next = d->bodies;
    d->bodies = body;
    return body;
}

/* Bodies come before the state does, records after it. */
void nx_durable_bulk(struct nx_durable *d, nx_stream stream, uint64_t total, const void *bytes,
                     size_t len)
{
    if (!d->log || d->failed.status != NX_OK)
        return;
    struct nx_dur_body *body = find_body(d, stream);
    if (!body && total == 0)
        return; /* it began before our view */
    if (!body)
        body = new_body(d, stream, total);
    if (body && (body->no_room || len == 0)) {
        body->got += len;
        return;
    }
    struct nx_dur_piece *piece = body ? nx_calloc(1, sizeof *piece + len) : NULL;
    if (!piece) {
        no_memory(d);
        return;
    }
    piece->len = len;
    memcpy(piece->bytes, bytes, len);
    *body->end = piece;
    body->end = &piece->next;
    body->got += len;
    d->queued_bytes += len;
}

/* Bytes that are to be written yet. */
static uint64_t bytes_to_come(const struct nx_durable *d)
{
    uint64_t sum = 0;
    for (const struct nx_dur_body *body = d->bodies; body; body = body->next)
        if (body->name[0] == '\0' && !body->no_room && !body->aborted)
            sum += body->total - body->fed + 2 * PUT_BYTES;
    return sum;
}

enum nx_status nx_durable_bulk_room(struct nx_durable *d, nx_stream stream, struct nx_err *err)
{
    struct nx_dur_body *body = d->bodies;
    while (body && (body->stream != stream || !body->claimed || body->given_up))
        body = body->next;
    if (!body || body->name[0] != '\0' || d->failed.status != NX_OK)
        return NX_OK;
    uint64_t needs = bytes_to_come(d) + ROOM_LEFT_BYTES;
    uint64_t has = d->blob_disk->ops->room(d->blob_disk);
    if (!body->no_room && has >= needs && d->full == 0)
        return NX_OK;
    body->given_up = body->no_room = true;
    drop_pieces(d, body);
    if (d->full != 0)
        return nx_err_set(err, NX_UNAVAILABLE, "the disk of node %u (%s) has no room: %s",
                          d->config.node, d->folder, d->full_why.text);
    return nx_err_set(
        err, NX_UNAVAILABLE, "the disk of node %u (%s) has no room: %llu bytes came, %llu are free",
        d->config.node, d->folder, (unsigned long long)body->total, (unsigned long long)has);
}

void nx_durable_bulk_aborted(struct nx_durable *d, nx_stream stream)
{
    struct nx_dur_body *body = find_body(d, stream);
    if (body)
        body->aborted = true;
}

/* --- moving on ------------------------------------------------------------------------------------------------------ */

static bool feed_put(struct nx_durable *d, struct nx_dur_body *body)
{
    bool moved = false;
    while (body->first) {
        struct nx_dur_piece *piece = body->first;
        size_t taken =
            nx_blob_put_write(body->put, piece->bytes + piece->taken, piece->len - piece->taken);
        piece->taken += taken;
        body->fed += taken;
        moved |= taken > 0;
        if (piece->taken < piece->len)
            return moved;
        d->queued_bytes -= piece->len;
        body->first = piece->next;
        if (!body->first)
            body->end = &body->first;
        free(piece);
    }
    if (body->got == body->total && !body->finished) {
        nx_blob_put_finish(body->put);
        body->finished = moved = true;
    }
    return moved;
}

/* Bodies wait for the checkpoint that frees others. If none is to come, the store says how many it takes. */
static bool has_no_room(const struct nx_durable *d)
{
    uint32_t puts = 0;
    for (const struct nx_dur_body *body = d->bodies; body; body = body->next)
        puts += body->put && body->name[0] == '\0';
    return d->compacts && nx_blob_count(d->blobs) + puts >= BLOBS_KEPT;
}

/* Of a body whose message is delivered, and whose tier agreed to keep it: its bytes must come. */
static bool try_again(struct nx_durable *d, struct nx_dur_body *body)
{
    struct nx_err err = {0};
    if (!nx_blob_put_is_full(body->put, &err) || nx_blob_put_is_busy(body->put))
        return false;
    if (!body->told_full || !nx_dur_may_try(d, NX_DUR_BODY)) {
        if (!body->told_full)
            nx_dur_is_full(d, NX_DUR_BODY, &err);
        body->told_full = true;
        return false;
    }
    body->told_full = false;
    nx_blob_put_retry(body->put);
    return true;
}

static bool move_body(struct nx_durable *d, struct nx_dur_body *body)
{
    struct nx_err err = {0};
    if (body->name[0] != '\0' || body->no_room)
        return false;
    if (!body->put && has_no_room(d))
        return false;
    if (!body->put && nx_blob_put_open(d->blobs, &body->put, &err) != NX_OK) {
        nx_durable_fail(d, &err);
        return false;
    }
    if (body->claimed)
        nx_blob_put_wait_for_room(body->put);
    bool moved = feed_put(d, body);
    moved |= nx_blob_put_poll(body->put);
    moved |= try_again(d, body);
    enum nx_status status = nx_blob_put_status(body->put, body->name, &err);
    if (status == NX_OK)
        return true;
    body->name[0] = '\0';
    if (status == NX_UNAVAILABLE && !body->claimed) {
        body->no_room = true; /* its tier will ask */
        drop_pieces(d, body);
    } else if (status != NX_AGAIN) {
        nx_durable_fail(d, &err);
    }
    return moved;
}

static void look_for_full_bodies(struct nx_durable *d)
{
    for (const struct nx_dur_body *body = d->bodies; body; body = body->next)
        if (body->put && nx_blob_put_is_full(body->put, NULL))
            return;
    nx_dur_has_room(d, NX_DUR_BODY);
}

static bool move_bodies(struct nx_durable *d)
{
    bool moved = false;
    for (struct nx_dur_body *body = d->bodies, *next; body; body = next) {
        next = body->next;
        if (body->aborted && !body->claimed) {
            if (body->name[0] != '\0')
                (void)nx_blob_unref(d->blobs, body->name);
            drop_body(d, body);
            moved = true;
        } else if (d->failed.status == NX_OK) {
            moved |= move_body(d, body);
        }
    }
    look_for_full_bodies(d);
    return moved;
}

static size_t encode(const struct nx_dur_queued *q, uint8_t *dst)
{
    size_t head = 0;
    if (q->kind == NX_DUR_MESSAGE)
        head = nx_dur_encode_message(q->sender, dst);
    else if (q->kind == NX_DUR_BULK)
        head = nx_dur_encode_bulk(q->sender, q->body->total, q->body->name, dst);
    memcpy(dst + head, q->bytes, q->len);
    return head + q->len;
}

/* Its tier refused the message for that. */
static void forget_body(struct nx_durable *d, struct nx_dur_queued *q)
{
    drop_body(d, q->body);
    q->body = NULL;
    q->kind = NX_DUR_MESSAGE;
}

/* Nobody agreed to keep the message without its bytes. */
static bool no_room_for(struct nx_durable *d, const struct nx_dur_queued *q)
{
    struct nx_err err = {0};
    if (!q || !q->body || !q->body->no_room)
        return false;
    nx_err_set(&err, NX_UNAVAILABLE, "%s has no room for a message of %llu bytes", d->folder,
               (unsigned long long)q->body->total);
    nx_durable_fail(d, &err);
    return false;
}

static bool append_next(struct nx_durable *d)
{
    struct nx_dur_queued *q = d->first;
    bool waits = d->reset == NX_RESET_VOIDING || d->reset == NX_RESET_WRITING;
    if (q && q->body && q->body->given_up)
        forget_body(d, q);
    if (!q || waits || (q->body && q->body->name[0] == '\0'))
        return no_room_for(d, q);
    uint8_t *record = nx_calloc(1, NX_DUR_BULK_HEAD_BYTES + q->len);
    if (!record)
        return false; /* tried again */
    size_t len = encode(q, record);
    enum nx_status status = nx_plog_append(d->log, q->version, q->stamp, q->kind, record, len);
    free(record);
    if (status == NX_AGAIN)
        return false;
    if (status != NX_OK) {
        struct nx_err err = {0};
        if (nx_plog_status(d->log, &err) == NX_OK)
            nx_err_set(&err, status, "a record of %zu bytes does not fit the log", len);
        nx_durable_fail(d, &err);
        return false;
    }
    if (q->body && nx_dur_add_reference(d, q->version, q->body->name) != NX_OK) {
        no_memory(d);
        return false;
    }
    d->first = q->next;
    if (!d->first)
        d->end = &d->first;
    d->queued_bytes -= q->len;
    if (q->body)
        drop_body(d, q->body);
    free(q);
    return true;
}

bool nx_dur_shard_poll(struct nx_durable *d, nx_ns now)
{
    struct nx_err err = {0};
    bool moved = nx_dur_reset_poll(d);
    if (d->failed.status != NX_OK || !d->log)
        return moved;
    moved |= nx_blob_poll(d->blobs);
    moved |= move_bodies(d);
    while (d->failed.status == NX_OK && append_next(d))
        moved = true;
    moved |= nx_plog_poll(d->log, now);
    if (nx_plog_is_full(d->log, &err))
        nx_dur_is_full(d, NX_DUR_LOG, &err);
    else
        nx_dur_has_room(d, NX_DUR_LOG);
    moved |= nx_dur_compact_poll(d, now);
    if (nx_plog_status(d->log, &err) != NX_OK)
        nx_durable_fail(d, &err);
    return moved;
}
