/* plog_state.h — the log's own state, for plog*.c alone. */
#ifndef NX_GROUP_PLOG_STATE_H
#define NX_GROUP_PLOG_STATE_H

#include "group/log/plog.h"
#include "group/log/plog_note.h"

/* What is awaited. */
enum nx_plog_lane {
    NX_LANE_IDLE,
    NX_LANE_FLUSHING,
    NX_LANE_ROLLING,
    NX_LANE_MARKING,
    NX_LANE_CLEANING
};

struct nx_plog {
    struct nx_disk *disk;
    struct nx_plog_config config;
    uint64_t salt;
    size_t record_bytes_max; /* largest that a cursor may meet */

    nx_seq appended, durable, mark;
    nx_ns durable_since;        /* when poll saw durable move; for the mark */
    nx_ns retry_at;             /* 0: now */
    struct nx_err failed, full; /* full: why the batch under way waits for room */

    uint8_t *buffers[2]; /* buffer_bytes each */
    unsigned filling;
    size_t filled, flight_bytes;
    nx_seq flight_last;

    enum nx_plog_lane lane;
    bool cleaned; /* the lane's last work was a removal */
    struct nx_disk_request request, sync;
    uint8_t small[NX_NOTE_HEAD_BYTES + 64]; /* a segment's head or a mark under way */

    bool roll;                        /* the next batch begins a segment */
    uint32_t segments_count, covered; /* covered: of the first segments, to be removed */
    struct nx_plog_segment segments[NX_PLOG_SEGMENTS_MAX];

    nx_seq checkpoint, old_checkpoint; /* old: to be removed; NX_SEQ_NONE */
    struct nx_checkpoint_writer *writer;
    nx_seq writer_version;
    bool writer_ended;
    struct nx_err checkpoint_err;

    struct nx_plog_stats stats;
};

static inline struct nx_plog_segment *nx_plog_newest(struct nx_plog *log)
{
    return &log->segments[log->segments_count - 1];
}

/* plog_files.c: requests of one kind on one file of the log. */
void nx_plog_request_segment(struct nx_disk_request *request, enum nx_disk_kind kind,
                             uint64_t index);
size_t nx_plog_encode_head(const struct nx_plog *log, const struct nx_plog_segment *segment,
                           uint8_t *dst);
size_t nx_plog_encode_mark(const struct nx_plog *log, uint8_t *dst);
struct nx_plog_segment nx_plog_next_segment(const struct nx_plog *log);
enum nx_status nx_plog_prepare(struct nx_plog *log, const struct nx_plog_image *image,
                               struct nx_err *err);

/* plog_compact.c */
bool nx_plog_checkpoint_poll(struct nx_plog *log);
bool nx_plog_clean(struct nx_plog *log);   /* starts removing one file; false: nothing to remove */
void nx_plog_cleaned(struct nx_plog *log); /* that file is removed */

#endif
