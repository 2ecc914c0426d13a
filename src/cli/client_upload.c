#include "cli/client_upload.h"

#include "common/arena.h"
#include "function_tier/pb/pb_demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIB = 1 << 20, PROGRESS_FROM_BYTES = 8 * MIB, CHUNK_BYTES = MIB / 4, BAR_CELLS = 30 };

/* A chunk with room before it for its prefix, so that both leave as one message:
 *
 *     | unused | prefix | bytes of the file |
 *              ^ message  ^ at NX_PB_CHUNK_PREFIX_BYTES */
struct chunk {
    uint8_t space[NX_PB_CHUNK_PREFIX_BYTES + CHUNK_BYTES];
};

struct progress {
    uint64_t sent_bytes, total_bytes;
    uint64_t shown_mib; /* the last figure on the terminal */
    bool visible;
};

static void show(struct progress *progress, size_t len)
{
    progress->sent_bytes += len;
    uint64_t mib = progress->sent_bytes / MIB;
    if (!progress->visible || mib == progress->shown_mib)
        return;
    progress->shown_mib = mib;
    char bar[BAR_CELLS + 1] = {0};
    uint64_t full = progress->sent_bytes * BAR_CELLS / progress->total_bytes;
    for (uint64_t i = 0; i < BAR_CELLS; i++)
        bar[i] = i < full ? '#' : '.';
    fprintf(stderr, "\r[%s] %3llu %%  sent %llu of %llu MiB", bar,
            (unsigned long long)(progress->sent_bytes * 100 / progress->total_bytes),
            (unsigned long long)mib, (unsigned long long)(progress->total_bytes / MIB));
}

static void wipe(const struct progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
}

static bool send_chunk(struct nx_client_call *call, struct chunk *chunk, size_t len)
{
    uint8_t prefix[NX_PB_CHUNK_PREFIX_BYTES];
    size_t prefix_bytes = nx_pb_chunk_prefix(prefix, len);
    uint8_t *message = chunk->space + NX_PB_CHUNK_PREFIX_BYTES - prefix_bytes;
    memcpy(message, prefix, prefix_bytes);
    return nx_client_call_send(call, message, prefix_bytes + len);
}

/* *open turns false when the far end ended the call. */
static enum nx_status send_file(struct nx_client_call *call, struct nx_client_file *file,
                                struct chunk *chunk, struct progress *progress, bool *open,
                                struct nx_err *err)
{
    while (*open) {
        size_t len;
        NX_TRY(nx_client_file_read(file, chunk->space + NX_PB_CHUNK_PREFIX_BYTES, CHUNK_BYTES, &len,
                                   err));
        if (len == 0)
            return NX_OK;
        *open = send_chunk(call, chunk, len);
        show(progress, len);
    }
    return NX_OK;
}

enum nx_status nx_client_upload(struct nx_client_call *call, struct nx_client_file *files,
                                unsigned count, bool *complete, struct nx_err *err)
{
    struct progress progress = {0};
    for (unsigned i = 0; i < count; i++)
        progress.total_bytes += files[i].size_bytes;
    progress.visible = progress.total_bytes > PROGRESS_FROM_BYTES && isatty(STDERR_FILENO);
    struct chunk *chunk = nx_calloc(1, sizeof *chunk);
    if (!chunk)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a chunk");
    enum nx_status status = NX_OK;
    bool open = true;
    for (unsigned i = 0; i < count && status == NX_OK; i++)
        status = send_file(call, &files[i], chunk, &progress, &open, err);
    wipe(&progress);
    free(chunk);
    *complete = progress.sent_bytes == progress.total_bytes;
    return status;
}
