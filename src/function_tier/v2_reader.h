/* v2_reader.h — large JSON bodies of the v2 protocol are read aside, so that the loop thread never waits for one.
 *
 *     on_request ── nx_v2_reader_submit ──► a worker walks the JSON ──► (the bell) nx_v2_reader_poll ──► done
 *                            └── nx_v2_reading_end at any time: done is not called any more
 *
 * Two workers: one for bodies of up to NX_V2_READER_SHORT_BYTES, so that they do not queue behind those of many
 * megabytes. A reading owns the body and the request until nx_v2_reading_end; one that is ended while its worker
 * walks it is freed by a later poll, and one that no worker has begun is passed over.
 *
 * Thread  the loop's; nx_v2_json_read alone runs on the workers'.
 * Bounds  NX_V2_READINGS_MAX for each worker, ended ones that a worker still has included; then NX_AGAIN. */
#ifndef NX_FUNCTION_TIER_V2_READER_H
#define NX_FUNCTION_TIER_V2_READER_H

#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/v2_request.h"

enum {
    /* up to here it is cheaper to read at once: about half a millisecond */
    NX_V2_READER_INLINE_BYTES = 32 << 10,
    NX_V2_READER_SHORT_BYTES = 2 << 20,
    NX_V2_READINGS_MAX = 1024,
};

struct nx_v2_reader;
struct nx_v2_reading;

/* `err` is NX_OK with nothing in it: the request of the submit is filled; or why it is refused. */
typedef void nx_v2_read_done(void *user, const struct nx_err *err);

enum nx_status nx_v2_reader_open(struct nx_v2_reader **reader, struct nx_err *err);
/* Waits for what the workers are at. No reading may be left that was not ended, but on NULL that is nothing. */
void nx_v2_reader_close(struct nx_v2_reader *reader);

int nx_v2_reader_fd(const struct nx_v2_reader *reader); /* readable when poll has something to do */
/* Calls done for what is read. True if there was something. */
bool nx_v2_reader_poll(struct nx_v2_reader *reader);
/* Ends the workers' threads, once what each is at is read, and what waits is not begun: nothing
 * moves any more until the readings are ended. */
void nx_v2_reader_stop(struct nx_v2_reader *reader);

/* Reads `body`, of which the first json_bytes are JSON, into `request` (nx_v2_json_read). Takes both over if it is NX_OK;
 * *body is empty then. NX_AGAIN, NX_NO_MEMORY: nothing has happened. */
enum nx_status nx_v2_reader_submit(struct nx_v2_reader *reader, struct nx_grpc_buffer *body,
                                   size_t json_bytes, struct nx_v2_request *request,
                                   nx_v2_read_done *done, void *user,
                                   struct nx_v2_reading **reading, struct nx_err *err);
/* Frees the reading, with its body and its request; from within done or after it, or to cancel. NULL is fine. */
void nx_v2_reading_end(struct nx_v2_reading *reading);

#endif
