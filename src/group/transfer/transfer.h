/* transfer.h — how a member that came without its shard's state gets it, while the shard serves.
 *
 *   donor    the shard's lowest member with state. At the cut that a view is, it takes a snapshot,
 *            keeps it while a member of that view lacks state, and reads it out to whoever asks
 *   joiner   asks the donor of its view; hands the pieces up as they come; when all came and its tier said that it is ready,
 *            it has state, and its deliveries of that view begin: state + messages of the view = what the donor holds
 *
 *   the joiner's state is the donor's at the start of the view in which it begins to deliver                     (T1)
 *
 * A view before that: from the start, from that view's donor, since a snapshot of an older view lacks messages that only
 * that view delivered. A donor that dies is replaced so; a joiner that dies frees its place here with its query.
 *
 *   question   u8 kind NX_SYSTEM_STATE | u8 version | u16 0 | u32 0 | u64 vid
 *   answer     u8 version | u8 status | u16 0 | u32 0 | u64 vid | state … | u8 status
 *              (refused: without state and last status)
 *
 * The last status is there because a state is announced before it is read: one that could not be read to its end is filled
 * with zeros, marked so, and asked for again.
 *
 * Pure, like the core: no clock, no system call, nothing allocated after open. What it needs of the core and of the tier it
 * asks through nx_transfer_host; group.c is one, the simulator another, the tests a third.
 * Bounds  one question per member, NX_TRANSFER_PIECE_BYTES each; the core's windows hold the rest
 * Thread  the group's. Everything that a peer wrote is checked. */
#ifndef NX_GROUP_TRANSFER_H
#define NX_GROUP_TRANSFER_H

#include "group/view/message.h"
#include "group/view/view.h"

enum {
    NX_SYSTEM_STATE = 'S', /* first byte of the system queries that are ours */
    NX_TRANSFER_PIECE_BYTES = 32 * 1024,
    NX_TRANSFER_TRIES = 3, /* within one view, of a state that came broken */
};

struct nx_transfer_host {
    void *ctx;
    /* The core's. Queries are system queries; NX_AGAIN: later. */
    enum nx_status (*query_open)(void *ctx, nx_rank peer, uint64_t total, nx_stream *query);
    enum nx_status (*query_write)(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken);
    void (*query_cancel)(void *ctx, nx_stream query);
    enum nx_status (*reply_open)(void *ctx, nx_stream query, uint64_t total);
    enum nx_status (*reply_write)(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken);
    void (*has_state)(void *ctx); /* NX_EV_STATE */
    /* This member cannot have its state: it cannot go on. */
    void (*failed)(void *ctx, const struct nx_err *why);
    /* The tier's, as in group.h. `part` NULL: it has none to move, and is ready at once. */
    void *(*snapshot)(void *ctx, uint32_t subgroup, uint64_t *bytes);
    size_t (*read)(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap);
    void (*release)(void *ctx, void *snapshot);
    enum nx_status (*part)(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                           const void *bytes, size_t len, struct nx_err *err);
};

/* What a view says about our own shard. */
struct nx_transfer_view {
    nx_vid vid;
    nx_rank self, donor; /* NX_RANK_NONE: nobody has state */
    uint32_t subgroup;
    nx_rankset stateless; /* of its members */
};

struct nx_transfer;

struct nx_transfer *nx_transfer_open(const struct nx_transfer_host *host,
                                     uint32_t members_max); /* NULL: no memory */
void nx_transfer_close(struct nx_transfer *transfer);

/* A view is installed and its tier has been told: the cut. A spare has no shard: do not call. */
void nx_transfer_view(struct nx_transfer *transfer, const struct nx_transfer_view *view);
/* The members of the view that lack state now; it shrinks. */
void nx_transfer_lacking(struct nx_transfer *transfer, nx_rankset stateless);

/* Upcalls of system queries, of their answers and ends. query_part: true if this one is of ours. */
bool nx_transfer_query_part(struct nx_transfer *transfer, const struct nx_part *part);
void nx_transfer_query_gone(struct nx_transfer *transfer, nx_stream query);
void nx_transfer_reply_part(struct nx_transfer *transfer, const struct nx_part *part);
void nx_transfer_query_failed(struct nx_transfer *transfer, nx_stream query, enum nx_status why);

/* The tier can serve from what came. Before all of it has come, it is remembered. */
void nx_transfer_ready(struct nx_transfer *transfer);

/* Sends on what waits for room or for the snapshot. True if something moved. */
bool nx_transfer_poll(struct nx_transfer *transfer);

#endif
