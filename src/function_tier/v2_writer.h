/* v2_writer.h — large JSON replies of the v2 protocol are written aside, so that the loop thread never waits for one.
 *
 *     inferred ── nx_v2_writer_submit ──► a worker writes the JSON ──► (the bell) nx_v2_writer_poll ──► done
 *                          └── nx_v2_writing_end at any time: done is not called any more
 *
 * A float that has no short decimal costs a microsecond, and a reply may hold millions: the loop
 * that wrote them would be taken for dead by its group. Two workers: one for replies of up to
 * NX_V2_WRITER_SHORT_BYTES, so that they do not queue behind the others. A writing owns the reply,
 * and the answer that its data lies in, until nx_v2_writing_end; one that is ended while its worker
 * has it is freed by a later poll.
 *
 * Thread  the loop's; nx_v2_json_write alone runs on the workers'.
 * Bounds  NX_V2_WRITINGS_MAX for each worker and NX_V2_WRITER_BYTES of data in all, ended ones that a worker still has
 *         included; then NX_AGAIN. A single one is never too large. */
#ifndef NX_FUNCTION_TIER_V2_WRITER_H
#define NX_FUNCTION_TIER_V2_WRITER_H

#include "common/text.h"
#include "function_tier/v2_reply.h"

enum {
    NX_V2_WRITER_INLINE_BYTES = 16 << 10, /* of data; up to here it is written at once */
    NX_V2_WRITER_SHORT_BYTES = 1 << 20,
    NX_V2_WRITER_BYTES = 256 << 20,
    NX_V2_WRITINGS_MAX = 1024,
    NX_V2_WRITER_TEXT_MAX = 64 << 20,
};

struct nx_v2_writer;
struct nx_v2_writing;

/* `text` is bad if there was no memory, or no room in NX_V2_WRITER_TEXT_MAX; it is freed with the writing. */
typedef void nx_v2_write_done(void *user, const struct nx_text *text, size_t json_bytes,
                              bool binary);

/* `bell` is rung when poll has something to do, and others may be, too. */
enum nx_status nx_v2_writer_open(int bell, struct nx_v2_writer **writer, struct nx_err *err);
/* Ends the workers' threads once what they are at is written; nothing moves any more until the writings are ended. */
void nx_v2_writer_stop(struct nx_v2_writer *writer);
void nx_v2_writer_close(struct nx_v2_writer *writer);

/* Calls done for what is written. True if there was something. */
bool nx_v2_writer_poll(struct nx_v2_writer *writer);

/* Whether so much of the reply becomes text that it is to be written aside. */
bool nx_v2_writer_wants(const struct nx_v2_reply *reply);
/* Takes `reply` over if it is NX_OK, with what its data lies in: release(answer) is called when
 * nothing of it is needed any more, unless release is NULL. Of the request it needs nothing
 * afterwards. NX_AGAIN, NX_NO_MEMORY: nothing has happened. */
enum nx_status nx_v2_writer_submit(struct nx_v2_writer *writer, const struct nx_v2_request *request,
                                   const struct nx_v2_reply *reply, void (*release)(void *answer),
                                   void *answer, nx_v2_write_done *done, void *user,
                                   struct nx_v2_writing **writing, struct nx_err *err);
/* From within done or after it, or to cancel. NULL is fine. */
void nx_v2_writing_end(struct nx_v2_writing *writing);

#endif
