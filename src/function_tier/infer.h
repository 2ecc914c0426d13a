/* infer.h — one inference request of any API: photos or tensors to the model's shard, and the answers gathered.
 *
 *   photos   each goes to a replica of its own choice, at once; rows are theirs, in order
 *   tensors  go to one replica together
 *
 * The first failure is the failure of all; the others are cancelled.
 * Owner, thread  the loop thread. `done` is called once, from nx_group_poll or nx_route_poll, unless cancelled; the
 * request is gone when it returns, unless it is kept. */
#ifndef NX_FUNCTION_TIER_INFER_H
#define NX_FUNCTION_TIER_INFER_H

#include "function_tier/route.h"

enum { NX_INFER_PHOTOS_MAX = 64 };

struct nx_infer;

struct nx_infer_span {
    const uint8_t *bytes;
    size_t len;
};

struct nx_infer_ask {
    char model[NX_MODEL_NAME_BYTES];
    const struct nx_trace_ids *trace; /* the request's span; NULL: it has none */
    uint64_t version;                 /* of the model; 0: whichever serves */
    struct nx_want want;              /* of photos: top_max or outputs is set */
    /* of tensors: the pieces as one (nx_infer_join), or NULL; nx_infer_start takes it, or frees it */
    uint8_t *whole;
    size_t whole_bytes;
    uint32_t bodies_count; /* photos; of tensors the pieces of the one body */
    struct nx_infer_span bodies[NX_INFER_PHOTOS_MAX];
};

struct nx_infer_result {
    struct nx_err err;                /* not NX_OK: the rest is empty */
    uint64_t version;                 /* of the model; the newest, if it was replaced meanwhile */
    uint32_t rows;                    /* of all parts */
    const struct nx_tensors *tensors; /* what tensors came to; NULL for photos, of which is told: */
    uint32_t parts_count;
    const struct nx_rows *parts; /* the same columns and top in each */
    uint32_t columns, top;
    const char *output;
};

typedef void nx_infer_done(void *user, const struct nx_infer_result *result);

/* Puts the pieces of tensors together, for a thread that has the time. NX_NO_MEMORY. */
enum nx_status nx_infer_join(struct nx_infer_ask *ask, struct nx_err *err);

/* The bodies are copied, but for ask->whole. NX_AGAIN: over a bound of this node; NX_UNAVAILABLE: no shard. */
enum nx_status nx_infer_start(struct nx_route *route, const struct nx_infer_ask *ask,
                              nx_ns deadline, nx_infer_done *done, void *user,
                              struct nx_infer **infer, struct nx_err *err);
void nx_infer_cancel(struct nx_infer *infer); /* `done` is not called */
/* From within `done`, which was told no failure: what the data of the result's tensors lies in
 * stays until nx_infer_cancel. */
void nx_infer_keep(struct nx_infer *infer);

#endif
