/* durable_state.h — the state behind durable.h, for this folder's shell files alone. */
#ifndef NX_GROUP_DURABLE_STATE_H
#define NX_GROUP_DURABLE_STATE_H

#include "group/durable/durable.h"
#include "group/log/plog.h"
#include "group/log/plog_note.h"

enum { NX_DUR_PATH_BYTES = 512 };

/* A bulk message's body on its way into the blob store. */
struct nx_dur_body {
    struct nx_dur_body *next;
    nx_stream stream;
    uint64_t total, got; /* bytes that it has, that were handed over */
    struct nx_dur_piece *first, **end;
    struct nx_blob_put *put;
    bool no_room;   /* the disk was full: its bytes are dropped */
    bool told_full; /* it is, and they wait */
    bool given_up;  /* … or may be, and its message is kept without them, as its tier agreed */
    uint64_t fed;   /* to the put */
    bool finished, aborted,
        claimed; /* finished: all bytes are in the put; claimed: a record waits for it */
    char name[NX_BLOB_NAME_BYTES]; /* empty until it is durable */
};

struct nx_dur_piece {
    struct nx_dur_piece *next;
    size_t len, taken;
    uint8_t bytes[];
};

/* A record of the log that names a blob. */
struct nx_dur_reference {
    struct nx_dur_reference *next;
    nx_seq version;
    char name[NX_BLOB_NAME_BYTES];
};

/* A checkpoint begins with the view in which it was made: u32 magic, u32 bytes, the view as in a record. */
enum {
    NX_DUR_CHECKPOINT_MAGIC = 0x7663786e,
    NX_DUR_CHECKPOINT_HEAD_BYTES = 8,
    NX_DUR_CHECKPOINT_HEAD_MAX = NX_DUR_CHECKPOINT_HEAD_BYTES + NX_DUR_VIEW_BYTES_MAX,
};

/* A record on its way into the log. */
struct nx_dur_queued {
    struct nx_dur_queued *next;
    uint32_t kind;
    nx_seq version;
    uint64_t stamp;
    nx_rank sender;
    struct nx_dur_body *body; /* or NULL */
    size_t len;
    uint8_t bytes[]; /* what follows the fixed part */
};

/* What may wait for room on a full disk. */
enum nx_dur_waiter { NX_DUR_NOTE = 1, NX_DUR_LOG = 2, NX_DUR_BODY = 4, NX_DUR_STATE = 8 };

struct nx_durable {
    struct nx_durable_config config;
    char folder[NX_DUR_PATH_BYTES];
    bool keeps_log; /* our subgroup is persistent */
    struct nx_err failed;
    int epoll_fd;
    nx_ns now; /* of the last poll */

    /* dur_full.c */
    uint32_t full;          /* set of nx_dur_waiter: it found no room, and was not written since */
    struct nx_err full_why; /* of the first of them */
    nx_ns full_since, retry_at;

    /* the note */
    struct nx_disk *root;
    struct nx_plog_owner owner; /* of the note: the group */
    struct nx_dur_note note;    /* as it should be */
    bool note_dirty, note_busy; /* to be written; being written */
    struct nx_dur_view written,
        writing; /* the newest view in what is on the disk, and in what goes there */
    bool written_certain, writing_certain, written_void, writing_void;
    struct nx_disk_request note_request;
    uint8_t note_bytes[NX_NOTE_HEAD_BYTES + NX_DUR_NOTE_BYTES_MAX + 1]; /* one is one too many */
    struct nx_dur_offer offer;
    bool preparing;
    nx_vid vid;                                    /* installed */
    nx_seq note_after;                             /* the note waits for this version of the log */
    bool heard_written, heard_certain, begun_here; /* begun_here: the bootstrap made the view */

    /* the log of the shard that we are in */
    uint8_t shard; /* NX_DUR_NO_SHARD: none is open */
    struct nx_disk *log_disk, *blob_disk;
    struct nx_plog *log;
    struct nx_blob_store *blobs;
    /* our log begins anew: void in the note, wiped, a checkpoint, valid in the note again */
    enum {
        NX_RESET_NONE,
        NX_RESET_WANTED,
        NX_RESET_VOIDING,
        NX_RESET_WRITING,
        NX_RESET_CLEARING
    } reset;
    bool holds;       /* the view says that we have the shard's state */
    bool continuous;  /* our log holds all of the shard's order, as far as we delivered it */
    bool state_ended; /* all of the state was given */
    bool rewound;     /* it is to be given again from its beginning */
    nx_seq reset_to;  /* version of the checkpoint */
    uint8_t view_head[NX_DUR_CHECKPOINT_HEAD_MAX]; /* of a checkpoint made in the view */
    size_t view_head_bytes;
    uint8_t head[NX_DUR_CHECKPOINT_HEAD_MAX]; /* of the one under way */
    size_t head_bytes, head_at;
    uint64_t state_bytes; /* of the last checkpoint, or of what there is of the one under way */
    /* the checkpoint that the replay begins with */
    bool has_checkpoint;
    uint64_t checkpoint_bytes; /* without its head */
    size_t checkpoint_head;
    struct nx_dur_entry checkpoint_view;

    /* dur_compact.c: a checkpoint over what the log holds */
    enum { NX_COMPACT_NONE, NX_COMPACT_DRAINING, NX_COMPACT_WRITING } compact;
    nx_seq compact_to;
    uint64_t compact_stamp;
    uint64_t grown, grown_bodies;     /* bytes and bodies since the last checkpoint */
    uint64_t counted, counted_bodies; /* of these, under the one that is being made */
    nx_ns compact_after;              /* it failed: not before; 0: now */
    bool compact_failed;              /* the last one did, and that is told */
    bool compacts;                    /* our tier can give its state */
    struct nx_dur_reference *references, **references_end; /* by version */
    bool records;         /* we have the shard's state, so what is delivered goes on with the log */
    uint64_t base;        /* places that earlier views delivered */
    uint64_t stamp;       /* of the view */
    uint64_t found_stamp; /* of the newest record when the log was opened */
    nx_seq newest;        /* version handed over last */
    size_t queued_bytes;
    struct nx_dur_queued *first, **end;
    struct nx_dur_body *bodies;

    /* replay */
    struct nx_plog_cursor *cursor;
    struct nx_blob_get *get;
    struct nx_dur_entry entry; /* whose body is being replayed */
    nx_seq entry_version;
    bool entry_pending, body_done, replayed;
    uint64_t body_offset;
    uint8_t *entry_bytes; /* a copy of its head */
};

/* durable.c: also into our epoll set, if it has a descriptor. */
enum nx_status nx_dur_open_disk(struct nx_durable *d, const char *path, struct nx_disk **disk,
                                struct nx_err *err);

/* dur_full.c: it found no room just now; it is written; it may be tried (again). */
void nx_dur_is_full(struct nx_durable *d, enum nx_dur_waiter waiter, const struct nx_err *err);
void nx_dur_has_room(struct nx_durable *d, enum nx_dur_waiter waiter);
bool nx_dur_may_try(const struct nx_durable *d, enum nx_dur_waiter waiter);
/* Ends the patience of others who cannot go on without us. */
void nx_dur_full_poll(struct nx_durable *d);

/* dur_shard.c */
enum nx_status nx_dur_open_log(struct nx_durable *d, struct nx_err *err);
enum nx_status nx_dur_open_shard(struct nx_durable *d, uint8_t shard, struct nx_err *err);
enum nx_status nx_dur_open_anew(struct nx_durable *d, uint8_t shard, struct nx_err *err);
void nx_dur_close_shard(struct nx_durable *d);
void nx_dur_append_view(struct nx_durable *d, const struct nx_view *view, nx_rank self);
bool nx_dur_shard_poll(struct nx_durable *d, nx_ns now);

/* dur_replay.c */
enum nx_status nx_dur_take_references(struct nx_durable *d, struct nx_err *err);
void nx_dur_end_replay(struct nx_durable *d);

/* dur_checkpoint.c: our log, which is void, is an empty one that counts; waits for the disk. */
enum nx_status nx_dur_begin_empty(struct nx_durable *d, struct nx_err *err);
void nx_dur_want_reset(struct nx_durable *d);
void nx_dur_stop_reset(struct nx_durable *d);
enum nx_status nx_dur_remove_files(struct nx_durable *d, struct nx_err *err);
bool nx_dur_reset_poll(struct nx_durable *d);
void nx_dur_set_head(struct nx_durable *d, const struct nx_view *view, nx_rank self);
/* What the log begins with, if that is a checkpoint. */
enum nx_status nx_dur_find_checkpoint(struct nx_durable *d, struct nx_err *err);
/* Of the one under way: once all of the state was given the head goes, even if no byte followed, then the end.
 * NX_AGAIN: it is not durable yet; NX_OK: it is; else why it failed. */
enum nx_status nx_dur_checkpoint_poll(struct nx_durable *d, struct nx_err *err);

/* dur_compact.c */
bool nx_dur_compact_is_due(const struct nx_durable *d);
void nx_dur_compact_begin(struct nx_durable *d);
void nx_dur_compact_stop(struct nx_durable *d); /* if one is under way */
bool nx_dur_compact_poll(struct nx_durable *d, nx_ns now);
void nx_dur_count(struct nx_durable *d, uint64_t bytes, bool body); /* what the log grows by */
/* The log holds a record that names the blob, which has a reference for it. */
enum nx_status nx_dur_add_reference(struct nx_durable *d, nx_seq version, const char *name);
void nx_dur_drop_references(struct nx_durable *d, nx_seq last); /* of versions <= last */

#endif
