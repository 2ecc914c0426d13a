/* durable.h — a member's disk: its shard's log, the bytes of bulk messages, and its note of views.
 *
 *   <folder>/view.note                    dur_note.h
 *   <folder>/<SUBGROUP>.<shard>/          the log (plog.h, dur_record.h); `nexus log` reads it
 *   <folder>/<SUBGROUP>.<shard>/blobs/    bodies of bulk messages that it names (blob_store.h)
 *
 * A node that is given another shard leaves the first one's as they are: it may come back to them.
 * Then another member has the state, and gives it: the old log is void, whatever became of it. The
 * folder holds at most the state twice, what came since the last checkpoint, and what comes while
 * one is written.
 *
 *   places(d) = n   =>   the first n places of our shard's order, and all bodies that they name, survive a crash
 *   note(d) = WRITTEN / CERTAIN   =>   our note on the disk holds the view / holds it as certain, and if we had our shard's
 *                                      state as it began, our log has that
 *
 * Nothing here waits for the disk but open, and the first view that brings another shard. What is handed over is copied
 * into a queue; `behind` says that it is longer than NX_DURABLE_BACKLOG_BYTES: deliveries are to pause (P6). A full disk
 * (NX_UNAVAILABLE) is a slow one: what has no room is tried again until there is some, `bulk_room`
 * refuses meanwhile. Only who is awaited, in `prepare` or with a log that is not void yet, gives up
 * after NX_DURABLE_PATIENCE_NS. A disk that fails otherwise is told by status, once, and nothing is
 * durable any more.
 *
 * Call order   open; next_replayed until NX_NOT_FOUND; prepare for each view that the bootstrap makes; view at each
 *              install; deliver, bulk_* as the core hands up; poll in each turn; close.
 * Thread  the group's. Owner  an opaque handle. */
#ifndef NX_GROUP_DURABLE_H
#define NX_GROUP_DURABLE_H

#include "common/clock.h"
#include "group/durable/dur_record.h"
#include "group/log/plog_checkpoint.h"
#include "group/view/message.h"

struct nx_durable;

/* How long others wait for who cannot note a view on its full disk: with a group's beginning, and with a joiner's state. */
#define NX_DURABLE_PATIENCE_NS (10 * NX_SEC)

enum {
    NX_DURABLE_BACKLOG_BYTES = 4 << 20,
    NX_DURABLE_COMPACT_BYTES = 64 << 20,
    NX_DURABLE_COMPACT_BODIES = 256,
};

struct nx_durable_config {
    const char *folder;
    nx_node node;
    struct nx_group_spec spec;
    uint32_t subgroup;
    /* Opens the disk of a folder; NULL: nx_disk_file_open. The simulator's disks have no descriptor. */
    enum nx_status (*open_disk)(void *ctx, const char *path, struct nx_disk **disk,
                                struct nx_err *err);
    void *disk_ctx;
    uint32_t log_mutants;    /* the simulator's and tests' alone: nx_plog_config.mutants */
    uint32_t compact_bodies; /* 0: NX_DURABLE_COMPACT_BODIES; tests have fewer */
};

/* Reads the note, recovers the log that it names, and makes ready to replay it. NX_CORRUPT,
 * NX_DENIED, NX_IO with the file and what is wrong with it. */
enum nx_status nx_durable_open(const struct nx_durable_config *config, struct nx_durable **durable,
                               struct nx_err *err);
/* Waits until what was handed over is on the disk. */
void nx_durable_close(struct nx_durable *durable);

/* What this node brings to the bootstrap, as of now; good until the next call. Prepare and view change it: whoever was ready
 * for a view says so from then on, since others may have begun in it. */
const struct nx_dur_offer *nx_durable_offer(struct nx_durable *durable);

/* --- replay: in the order of the log. ------------------------------------------------------------------------ */

struct nx_replay;
/* The checkpoint that the replay begins with, false if there is none: the bytes of its state, and the view in which that was
 * the state, which the tier sees before it; then the bytes, to `sink`, whatever they are worth if the answer is not NX_OK.
 * Blocks on the disk. */
bool nx_durable_has_checkpoint(const struct nx_durable *durable, uint64_t *bytes,
                               struct nx_replay *view);
enum nx_status nx_durable_replay_checkpoint(struct nx_durable *durable, nx_checkpoint_sink *sink,
                                            void *ctx, struct nx_err *err);

/* What comes next; bytes are valid until the next call. A BODY is a piece of the bulk message whose record follows: first
 * piece at offset 0, total says how long it is; its stream names it in the delivery that follows. */
enum nx_replayed { NX_REPLAYED_VIEW, NX_REPLAYED_BODY, NX_REPLAYED_MESSAGE };
struct nx_replay {
    enum nx_replayed what;
    nx_rank self; /* VIEW: ours in it */
    struct nx_view view;
    struct nx_delivery delivery; /* MESSAGE: also of a bulk message; BODY: its head */
    struct nx_part part;         /* BODY */
};
/* NX_AGAIN: the disk is reading; NX_NOT_FOUND: that was all. Anything else: the log cannot be replayed. */
enum nx_status nx_durable_next_replayed(struct nx_durable *durable, struct nx_replay *replay,
                                        struct nx_err *err);

/* --- views --------------------------------------------------------------------------------------------------- */

/* The view that is about to be begun with, a new group's or a restarted one's: notes it. `prepared` says true once it is on
 * the disk; only then may the bootstrap call this node ready. A later call is for another attempt, with a later view.
 * NX_UNAVAILABLE: the note is full. */
enum nx_status nx_durable_prepare(struct nx_durable *durable, const struct nx_view *view,
                                  struct nx_err *err);
bool nx_durable_prepared(const struct nx_durable *durable);

/* A view is installed; all of the one before was handed over. `joined`: this node came to a running
 * group, and did not begin it. It counts for the first view alone: a joiner knows all later ones. */
enum nx_status nx_durable_view(struct nx_durable *durable, const struct nx_view *view, nx_rank self,
                               bool joined, struct nx_err *err);
/* What the members' words say of the view (nx_core_notes). */
void nx_durable_hear_notes(struct nx_durable *durable, bool written, bool certain);

/* Whether this node, which comes with a log of the shard, may get the state from the members and
 * begin its log anew: no, as long as theirs may be in memory alone. */
bool nx_durable_kept_without(const struct nx_durable *durable, nx_node comer, uint32_t subgroup,
                             uint32_t shard);

/* --- messages of our shard, if its subgroup is persistent; else nothing is kept ---------------------------------- */

void nx_durable_deliver(struct nx_durable *durable, const struct nx_delivery *delivery);
/* Bytes of a bulk message, ours too, in their order. The first call for a stream says how many there will be
 * (total > 0), and may bring none. */
void nx_durable_bulk(struct nx_durable *durable, nx_stream stream, uint64_t total,
                     const void *bytes, size_t len);
/* Within its delivery: NX_UNAVAILABLE, and the reason, if the disk has no room for the bytes of
 * this bulk message. Its message is then kept without them, and comes back as one whose tier had
 * refused it. Who does not ask has a disk that fails. */
enum nx_status nx_durable_bulk_room(struct nx_durable *durable, nx_stream stream,
                                    struct nx_err *err);
void nx_durable_bulk_aborted(struct nx_durable *durable, nx_stream stream);

/* --- checkpoints -------------------------------------------------------------------------------------------------
 *
 * A member that came into its shard, or comes again with a log that the others left behind, begins its log anew with a
 * checkpoint of the state that it was given; until that is durable nothing of ours is, and a restart does not count us in.
 * A log that has grown by NX_DURABLE_COMPACT_BYTES, or by its last checkpoint's bytes if those are more, or by
 * NX_DURABLE_COMPACT_BODIES, wants one over all that it holds; when that is durable, the segments and blobs under it go.
 * Meanwhile the log goes on. Who can give no state never answers wants_checkpoint, and its log grows without a bound. */

/* Our log from before, if it is not the shard's any more, counts for nothing on the disk: others may be told that we have
 * the state. */
bool nx_durable_log_is_void(const struct nx_durable *durable);
/* We have the state as of the view's start now, without having replayed it. */
void nx_durable_has_state(struct nx_durable *durable);
/* True: the state as of the last delivery handed over is to be given, at once, by begin … end. */
bool nx_durable_wants_checkpoint(const struct nx_durable *durable);
void nx_durable_checkpoint_begin(struct nx_durable *durable);
size_t nx_durable_checkpoint_write(struct nx_durable *durable, const void *bytes,
                                   size_t len); /* taken */
/* False: what was begun is of no use any more, its rest need not be given. Until then the state is kept, though all of it
 * was given: */
bool nx_durable_checkpoint_goes_on(const struct nx_durable *durable);
/* True, once: the disk was full, and the same state is to be given again from its beginning. */
bool nx_durable_checkpoint_rewound(struct nx_durable *durable);
void nx_durable_checkpoint_end(struct nx_durable *durable);

/* --- turns ----------------------------------------------------------------------------------------------------- */

bool nx_durable_poll(struct nx_durable *durable, nx_ns now); /* bounded; true if something moved */
int nx_durable_fd(const struct nx_durable *durable); /* epoll: readable when poll has work */
nx_ns nx_durable_wake_at(const struct nx_durable *durable);

bool nx_durable_behind(const struct nx_durable *durable);
uint64_t nx_durable_places(const struct nx_durable *durable);
bool nx_durable_noted(const struct nx_durable *durable, nx_vid vid, bool *certain);
/* Whoever feeds it cannot go on: nothing is durable any more. The first failure is kept, and logged. */
void nx_durable_fail(struct nx_durable *durable, const struct nx_err *err);
enum nx_status nx_durable_status(const struct nx_durable *durable, struct nx_err *err);

#endif
