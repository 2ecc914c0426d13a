/* categorizer.h — a replica of a shard: takes operations from the function tier, keeps its models, answers.
 *
 *   INFER    photo → prepared beside others → a batch (batcher.h) → answer; refused at once if it would come too late
 *   INSTALL  the entry replica multicasts it while it still comes in; every replica loads it aside and votes,
 *            in order; the answer goes out when every replica has applied the last vote, so whoever asks any
 *            replica after it sees the model (linearizable)
 *   REMOVE   one ordered message; answered when every replica has applied it
 *
 * Thread  the loop thread, which owns the group; loading, preparing photos and inference run on threads of their own.
 * Idle    nothing runs; nx_categorizer_fd rings when a worker has finished. */
#ifndef NX_CATEGORIZER_H
#define NX_CATEGORIZER_H

#include "common/precision.h"
#include "group/group.h"
#include "telemetry/spans.h"

struct nx_categorizer;

struct nx_categorizer_config {
    uint32_t subgroup;   /* of the categorizer tier in the group's spec */
    const char *backend; /* auto, gpu_cudnn, cpu_dnnl, cpu_ref */
    /* F32 or BF16, of models that are installed through this replica without a calibration: they are computed so at all
     * replicas of the shard. */
    enum nx_precision precision;
    uint32_t threads;      /* of one batch; 0: one per usable processor (cpus.h) */
    uint32_t batch_max;    /* photos of one batch at most */
    const char *profiles;  /* a folder with what `nexus profile` wrote; "": none */
    uint64_t memory_bytes; /* bound on models, in use and in transit */
    /* The files of installed models are kept for members that join later, in a temporary file in this folder (or in /tmp, if
     * it takes none), up to so many bytes. */
    const char *spool_folder;
    uint64_t spool_bytes;
    struct nx_spans *spans; /* outlives the categorizer; NULL: none are exported */
};

/* NX_UNSUPPORTED, NX_UNAVAILABLE: the backend cannot compute in this precision here, or there is none of that name. */
enum nx_status nx_categorizer_open(const struct nx_categorizer_config *config,
                                   struct nx_categorizer **categorizer, struct nx_err *err);

/* To be given to nx_group_open with the categorizer as ctx; then attach what it opened, before the first poll. */
const struct nx_group_upcalls *nx_categorizer_upcalls(void);
void nx_categorizer_attach(struct nx_categorizer *categorizer, struct nx_group *group);

int nx_categorizer_fd(const struct nx_categorizer *categorizer); /* readable: poll */
/* To be called after every nx_group_poll, which may have made room in the windows. True if something was done. */
bool nx_categorizer_poll(struct nx_categorizer *categorizer);

/* Tells the function tier to ask others, and goes on answering. Drained: nothing is under way, and nothing has come for
 * NX_QUIET_NS, in which every function-tier node has heard of it. */
#define NX_QUIET_NS (50 * NX_MS)
void nx_categorizer_drain(struct nx_categorizer *categorizer, nx_ns now);
bool nx_categorizer_drained(const struct nx_categorizer *categorizer, nx_ns now);

/* Why this node cannot go on in its group; status NX_OK: it can. */
const struct nx_err *nx_categorizer_down(const struct nx_categorizer *categorizer);

void nx_categorizer_close(struct nx_categorizer *categorizer); /* after the group */

#endif
