/* transfer_state.h — what transfer.c (views, the wire), transfer_give.c (donor) and transfer_take.c (joiner) share. */
#ifndef NX_GROUP_TRANSFER_STATE_H
#define NX_GROUP_TRANSFER_STATE_H

#include "group/transfer/transfer.h"

enum {
    NX_TRANSFER_VERSION = 1,
    NX_TRANSFER_HEAD_BYTES = 16, /* of question and answer alike */
    NX_TRANSFER_TAIL_BYTES = 1,
};

/* One member that asked us. */
struct nx_giving {
    enum nx_giving_state {
        NX_GIVE_FREE,
        NX_GIVE_ASKED,   /* its question is not whole */
        NX_GIVE_WAITING, /* for the view that it is in, or for room for the answer's opening */
        NX_GIVE_SENDING,
    } state;
    nx_stream query;
    nx_vid vid;
    uint8_t question[NX_TRANSFER_HEAD_BYTES];
    uint32_t question_got;
    bool refused;
    uint64_t total, sent; /* of the answer */
    uint32_t piece_len, piece_sent;
    uint8_t *piece; /* NX_TRANSFER_PIECE_BYTES */
};

struct nx_taking {
    enum nx_taking_state {
        NX_TAKE_NOTHING, /* we have state, or there is no view */
        NX_TAKE_IDLE,    /* nobody can give in this view: the next one will tell */
        NX_TAKE_ASKING,  /* room for the question */
        NX_TAKE_COMING,
        NX_TAKE_WHOLE, /* the tier is not ready yet */
    } state;
    nx_stream query;
    uint32_t asked, tries; /* bytes of the question; how often, in this view */
    uint8_t head[NX_TRANSFER_HEAD_BYTES];
    bool tier_ready;
};

struct nx_transfer {
    struct nx_transfer_host host;
    uint32_t members_max;
    struct nx_transfer_view view; /* vid 0: none yet */
    void *snapshot;               /* of view.vid */
    uint64_t snapshot_bytes;
    bool has_snapshot, snapshot_broken;
    struct nx_taking take;
    struct nx_giving give[NX_MEMBERS_MAX]; /* by rank */
    uint8_t pieces[];
};

void nx_transfer_head(uint8_t head[NX_TRANSFER_HEAD_BYTES], uint8_t first, uint8_t second,
                      nx_vid vid);
nx_vid nx_transfer_head_vid(const uint8_t head[NX_TRANSFER_HEAD_BYTES]);

void nx_give_view(struct nx_transfer *transfer);
bool nx_give_poll(struct nx_transfer *transfer);
void nx_give_release(struct nx_transfer *transfer);
void nx_take_view(struct nx_transfer *transfer);
bool nx_take_poll(struct nx_transfer *transfer);

#endif
