#include "cli/client_upload.h"

#include "cli/client_wire.h"
#include "common/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MIB = 1 << 20, PROGRESS_FROM_BYTES = 8 * MIB };

struct buffers {
    uint8_t file[NX_CLIENT_CHUNK_BYTES];
    uint8_t message[NX_CLIENT_WIRE_BYTES_MAX];
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
    fprintf(stderr, "\rsent %llu of %llu MiB", (unsigned long long)mib,
            (unsigned long long)(progress->total_bytes / MIB));
}

static void wipe(const struct progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
}

/* *open turns false when the far end ended the call. */
static enum nx_status send_file(struct nx_client_call *call, struct nx_client_file *file,
                                nx_client_pack_chunk *pack, struct buffers *buffers,
                                struct progress *progress, bool *open, struct nx_err *err)
{
    while (*open) {
        size_t len;
        NX_TRY(nx_client_file_read(file, buffers->file, sizeof buffers->file, &len, err));
        if (len == 0)
            return NX_OK;
        size_t packed = pack(buffers->file, len, buffers->message);
        *open = nx_client_call_send(call, buffers->message, packed);
        show(progress, len);
    }
    return NX_OK;
}

enum nx_status nx_client_upload(struct nx_client_call *call, struct nx_client_file *files,
                                unsigned count, nx_client_pack_chunk *pack, bool *complete,
                                struct nx_err *err)
{
    struct progress progress = {0};
    for (unsigned i = 0; i < count; i++)
        progress.total_bytes += files[i].size_bytes;
    progress.visible = progress.total_bytes > PROGRESS_FROM_BYTES && isatty(STDERR_FILENO);
    struct buffers *buffers = nx_calloc(1, sizeof *buffers);
    if (!buffers)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a chunk");
    enum nx_status status = NX_OK;
    bool open = true;
    for (unsigned i = 0; i < count && status == NX_OK; i++)
        status = send_file(call, &files[i], pack, buffers, &progress, &open, err);
    wipe(&progress);
    free(buffers);
    *complete = progress.sent_bytes == progress.total_bytes;
    return status;
}
