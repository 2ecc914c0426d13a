#include "group/log/plog_checkpoint.h"

#include "common/arena.h"
#include "common/codec.h"
#include "common/nx_assert.h"
#include "group/log/disk_stream.h"
#include "group/log/plog_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BLOCK_HEAD_BYTES = 8, BUFFER_BYTES = 4 * NX_CHECKPOINT_BLOCK_BYTES };

static const char checkpoint_magic[8] = {'n', 'e', 'x', 'u', 's', 'c', 'k', 'p'};
static const char segment_magic[8] = {'n', 'e', 'x', 'u', 's', 'l', 'o', 'g'};
static const uint32_t end_mark = UINT32_MAX;

struct nx_checkpoint_writer {
    struct nx_disk_stream *stream;
    struct nx_checkpoint checkpoint;
    uint32_t crc;
    bool finishing, ended;
};

/* --- writing -------------------------------------------------------------------------------------------- */

static void put(struct nx_checkpoint_writer *w, const void *bytes, size_t len)
{
    size_t taken = nx_disk_stream_write(w->stream, bytes, len);
    nx_assert(taken == len);
}

/* The head is a segment's but for its first word: one layout to know. */
static void put_head(struct nx_checkpoint_writer *w)
{
    uint8_t bytes[NX_SEGMENT_HEAD_BYTES];
    struct nx_segment_head head = {
        .owner = w->checkpoint.owner, .index = w->checkpoint.vid, .base = w->checkpoint.version};
    nx_segment_encode_head(&head, bytes);
    memcpy(bytes, checkpoint_magic, sizeof checkpoint_magic);
    w->crc = (uint32_t)crc32_z(0, bytes, sizeof bytes);
    put(w, bytes, sizeof bytes);
}

enum nx_status nx_checkpoint_open(struct nx_disk *disk, const struct nx_checkpoint *checkpoint,
                                  struct nx_checkpoint_writer **writer, struct nx_err *err)
{
    struct nx_checkpoint_writer *w = nx_calloc(1, sizeof *w);
    if (!w)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a checkpoint");
    w->checkpoint = *checkpoint;
    w->checkpoint.bytes = 0;
    enum nx_status status =
        nx_disk_stream_open(disk, NX_CHECKPOINT_TEMPORARY, BUFFER_BYTES, &w->stream, err);
    if (status != NX_OK) {
        free(w);
        return status;
    }
    put_head(w);
    *writer = w;
    return NX_OK;
}

static void put_words(struct nx_checkpoint_writer *w, uint32_t first, uint32_t second)
{
    uint8_t head[BLOCK_HEAD_BYTES];
    struct nx_writer words;
    nx_writer_init(&words, head, sizeof head);
    nx_write_u32(&words, first);
    nx_write_u32(&words, second);
    put(w, head, sizeof head);
}

static size_t write_block(struct nx_checkpoint_writer *w, const uint8_t *bytes, size_t len)
{
    size_t room = nx_disk_stream_room(w->stream);
    if (room <= BLOCK_HEAD_BYTES || len == 0)
        return 0;
    size_t block = len < room - BLOCK_HEAD_BYTES ? len : room - BLOCK_HEAD_BYTES;
    if (block > NX_CHECKPOINT_BLOCK_BYTES)
        block = NX_CHECKPOINT_BLOCK_BYTES;
    w->crc = (uint32_t)crc32_z(w->crc, bytes, block);
    put_words(w, (uint32_t)block, w->crc);
    put(w, bytes, block);
    w->checkpoint.bytes += block;
    return block;
}

size_t nx_checkpoint_write(struct nx_checkpoint_writer *w, const void *bytes, size_t len)
{
    size_t taken = 0, block = 1;
    nx_assert(!w->finishing);
    while (taken < len && block > 0) {
        block = write_block(w, (const uint8_t *)bytes + taken, len - taken);
        taken += block;
    }
    return taken;
}

void nx_checkpoint_finish(struct nx_checkpoint_writer *w)
{
    nx_assert(!w->finishing);
    w->finishing = true;
    nx_checkpoint_poll(w);
}

static void end(struct nx_checkpoint_writer *w)
{
    char name[NX_DISK_NAME_BYTES];
    if (nx_disk_stream_room(w->stream) < NX_CHECKPOINT_END_BYTES)
        return;
    put_words(w, end_mark, w->crc);
    put_words(w, (uint32_t)w->checkpoint.bytes, (uint32_t)(w->checkpoint.bytes >> 32));
    nx_checkpoint_name(w->checkpoint.version, name);
    nx_disk_stream_finish(w->stream, name);
    w->ended = true;
}

bool nx_checkpoint_poll(struct nx_checkpoint_writer *w)
{
    if (w->finishing && !w->ended)
        end(w);
    return nx_disk_stream_poll(w->stream);
}

enum nx_status nx_checkpoint_status(const struct nx_checkpoint_writer *w, struct nx_err *err)
{
    return nx_disk_stream_status(w->stream, err);
}

void nx_checkpoint_close(struct nx_checkpoint_writer *w)
{
    nx_disk_stream_close(w->stream);
    free(w);
}

/* --- reading -------------------------------------------------------------------------------------------- */

struct reader {
    struct nx_disk *disk;
    const char *name;
    uint64_t offset;
    uint32_t crc;
    uint8_t buffer[NX_CHECKPOINT_BLOCK_BYTES];
    struct nx_err *err;
};

static enum nx_status rotten(struct reader *r, const char *what)
{
    return nx_err_set(r->err, NX_CORRUPT, "%s/%s:%llu: %s", r->disk->ops->place(r->disk), r->name,
                      (unsigned long long)r->offset, what);
}

static enum nx_status take(struct reader *r, size_t len)
{
    struct nx_disk_request read = {
        .kind = NX_DISK_READ, .offset = r->offset, .dst = r->buffer, .len = len};
    snprintf(read.name, sizeof read.name, "%s", r->name);
    NX_TRY(nx_disk_run(r->disk, &read, r->err));
    if (read.done_bytes != len)
        return rotten(r, "the checkpoint ends too early");
    r->offset += len;
    return NX_OK;
}

static enum nx_status read_head(struct reader *r, struct nx_checkpoint *checkpoint)
{
    struct nx_segment_head head;
    struct nx_err why = {0};
    NX_TRY(take(r, NX_SEGMENT_HEAD_BYTES));
    r->offset = 0;
    if (memcmp(r->buffer, checkpoint_magic, sizeof checkpoint_magic) != 0)
        return rotten(r, "not a checkpoint: it does not begin with \"nexusckp\"");
    r->crc = (uint32_t)crc32_z(0, r->buffer, NX_SEGMENT_HEAD_BYTES);
    memcpy(r->buffer, segment_magic, sizeof segment_magic);
    if (nx_segment_decode_head(r->buffer, NX_SEGMENT_HEAD_BYTES, &head, &why) != NX_OK)
        return rotten(r, why.text);
    r->offset = NX_SEGMENT_HEAD_BYTES;
    *checkpoint =
        (struct nx_checkpoint){.owner = head.owner, .version = head.base, .vid = head.index};
    return NX_OK;
}

static void read_words(const struct reader *r, uint32_t *first, uint32_t *second)
{
    struct nx_reader words;
    nx_reader_init(&words, r->buffer, BLOCK_HEAD_BYTES);
    *first = nx_read_u32(&words);
    *second = nx_read_u32(&words);
}

/* A checkpoint is written whole and never appended to. */
static enum nx_status expect_nothing(struct reader *r)
{
    struct nx_disk_request read = {
        .kind = NX_DISK_READ, .offset = r->offset, .dst = r->buffer, .len = 1};
    snprintf(read.name, sizeof read.name, "%s", r->name);
    NX_TRY(nx_disk_run(r->disk, &read, r->err));
    return read.done_bytes == 0 ? NX_OK : rotten(r, "bytes follow the end of the checkpoint");
}

static enum nx_status read_end(struct reader *r, uint32_t crc, uint64_t total)
{
    uint32_t low, high;
    NX_TRY(take(r, BLOCK_HEAD_BYTES));
    read_words(r, &low, &high);
    if (crc != r->crc || ((uint64_t)high << 32 | low) != total)
        return rotten(r, "the checkpoint's end does not fit what it holds");
    return expect_nothing(r);
}

static enum nx_status read_block(struct reader *r, uint32_t bytes, uint32_t crc,
                                 nx_checkpoint_sink *sink, void *ctx)
{
    if (bytes == 0 || bytes > NX_CHECKPOINT_BLOCK_BYTES)
        return rotten(r, "a block of an impossible size");
    NX_TRY(take(r, bytes));
    r->crc = (uint32_t)crc32_z(r->crc, r->buffer, bytes);
    if (r->crc != crc) {
        r->offset -= bytes;
        return rotten(r, "a block of the checkpoint fails its checksum");
    }
    return sink ? sink(ctx, r->buffer, bytes) : NX_OK;
}

static enum nx_status read_blocks(struct reader *r, nx_checkpoint_sink *sink, void *ctx,
                                  struct nx_checkpoint *checkpoint)
{
    uint64_t total = 0;
    for (;;) {
        uint32_t bytes, crc;
        NX_TRY(take(r, BLOCK_HEAD_BYTES));
        read_words(r, &bytes, &crc);
        if (bytes == end_mark)
            return checkpoint->bytes = total, read_end(r, crc, total);
        NX_TRY(read_block(r, bytes, crc, sink, ctx));
        total += bytes;
    }
}

enum nx_status nx_checkpoint_read(struct nx_disk *disk, const char *name, nx_checkpoint_sink *sink,
                                  void *ctx, struct nx_checkpoint *checkpoint, struct nx_err *err)
{
    struct reader *r = nx_calloc(1, sizeof *r);
    if (!r)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to read a checkpoint");
    r->disk = disk;
    r->name = name;
    r->err = err;
    enum nx_status status = read_head(r, checkpoint);
    if (status == NX_OK)
        status = read_blocks(r, sink, ctx, checkpoint);
    free(r);
    return status;
}
