/* categorizer_state.h — what the files of a categorizer share; nobody else includes it.
 *
 *   categorizer.c       the group's upcalls, one turn, open and close
 *   categorize_photo.c  INFER: a photo through the device
 *   describe_models.c   LIST and DESCRIBE
 *   change_models.c     INSTALL and REMOVE: from the entry replica through the order to the answer
 *   move_state.c        the shard's state, to a member that joins it and from one that was there
 */
#ifndef NX_CATEGORIZER_STATE_H
#define NX_CATEGORIZER_STATE_H

#include "categorizer/categorizer.h"
#include "categorizer/device.h"
#include "categorizer/incoming.h"
#include "categorizer/kept.h"
#include "categorizer/manifest.h"
#include "categorizer/ordered.h"
#include "categorizer/served.h"
#include "categorizer/store.h"
#include "common/clock.h"
#include "common/worker.h"

enum { NX_PHOTOS_MAX = 1024, NX_VOTES_MAX = NX_STORE_MODELS };
#define NX_PHOTOS_BYTES_MAX (UINT64_C(512) << 20) /* photos and their tensors */

/* A model with the number of jobs that use it; removed from the store it lives until the last one is done. */
struct nx_held_model {
    struct nx_served *served;
    struct nx_lane photos, tensors; /* the device's, while there are uses */
    uint32_t uses;
    bool removed;
    uint64_t queries;                                      /* answered with a category */
    uint64_t execs, queue_ns, run_ns, input_ns, output_ns; /* as of struct nx_model_facts_wire */
};

struct nx_job_infer {
    struct nx_device_job job; /* first: the device knows only this */
    struct nx_incoming *in;   /* NULL once nobody waits */
    uint32_t tag;
    struct nx_trace_ids trace; /* the asker's span */
    struct nx_held_model *model;
    uint64_t version; /* of it */
    uint8_t *photo;
    uint64_t photo_bytes;
    struct nx_want want;
    float *tensor;         /* of a photo */
    uint64_t budget_bytes; /* photo and tensor */
    struct nx_answer answer;
    uint8_t *payload; /* the answer's, owned */
};

struct nx_job_load {
    struct nx_job job;
    nx_seq version;
    uint8_t *body;
    uint64_t body_bytes;
    struct nx_kept *kept; /* where the body is kept; where it comes from, if `body` is NULL */
    atomic_uint_fast64_t *wanted; /* of one that an arrival brought: which is of use now */
    uint64_t arrival; /* the one that brought it; 0: an INSTALL that was delivered here */
    struct nx_served_options options;
    struct nx_err failure; /* set beforehand: this replica has no bytes to load */
    struct nx_digest digest;
    struct nx_served *served;
};

/* Our shard's state on its way to us. */
struct nx_arrival {
    bool finished;          /* the tier is ready, and the group has not taken our word for it yet */
    bool lacking;           /* we have not got it: nothing is answered, nothing is sent */
    uint64_t number;        /* of the attempt; what older ones loaded is of no use */
    struct nx_store *store; /* being filled; NULL: the manifest is not whole */
    uint8_t *manifest;
    size_t manifest_bytes, manifest_got; /* bytes: 0 until its head is known */
    uint8_t head[NX_MANIFEST_HEAD_BYTES];
    bool files_follow[NX_STORE_MODELS];
    uint32_t slot; /* whose files come */
    uint64_t slot_got;
    uint32_t loading; /* models in use by the shard that are not loaded yet */
};

struct nx_categorizer {
    struct nx_categorizer_config config;
    struct nx_group *group;
    struct nx_store *store;
    struct nx_worker *loader;
    struct nx_device *device;
    int done_fd;
    struct nx_incomings incomings;
    struct nx_budget budget;
    struct nx_spool *spool; /* the files of models, for members that come later */
    struct nx_arrival arrival;
    atomic_uint_fast64_t wanted_arrival; /* its number, for the loader to see */
    uint32_t incarnation;                /* of the last view */
    nx_seq delivered_seq;                /* the last message, of its view */
    bool mark_wanted; /* a decision made at a view waits until all are in that view */
    struct nx_ordered_vote votes[NX_VOTES_MAX]; /* of ours, not sent yet */
    uint32_t votes_count;
    uint32_t queued; /* photos at the device: what routing looks at */
    struct nx_err down;
    nx_ns asked_at; /* when the last query began, or the drain */
};

/* Waits until a load is over, and takes what it came to. */
void nx_categorizer_await_load(struct nx_categorizer *c);

/* Sets the answer; it leaves as the asker's window has room. */
void nx_categorizer_answer(struct nx_categorizer *c, struct nx_incoming *in);
void nx_categorizer_refuse(struct nx_categorizer *c, struct nx_incoming *in,
                           const struct nx_err *why);

/* A whole photo is here: queues it, or refuses. finish: its job is back from the device. */
void nx_photo_start(struct nx_categorizer *c, struct nx_incoming *in);
void nx_photo_finish(struct nx_categorizer *c, struct nx_job_infer *job);

void nx_photo_drop(struct nx_categorizer *c,
                   struct nx_job_infer *job); /* the same, without an answer */
void nx_photo_cancel(struct nx_categorizer *c, struct nx_incoming *in); /* nobody waits for it */

/* Answers with what this replica knows of its models. */
void nx_describe(struct nx_categorizer *c, struct nx_incoming *in);

/* Takes the model out of a freed entry; it is closed when its last photo is done. */
void nx_held_retire(struct nx_entry *entry);

/* The head of an INSTALL is known: true if it is refused at once. */
bool nx_change_refused(struct nx_categorizer *c, struct nx_incoming *in);
/* More of an INSTALL's body is here: passes it on to the other replicas. */
void nx_change_pump(struct nx_categorizer *c, struct nx_incoming *in);
/* All of it is here: orders it as the window has room. */
void nx_change_order(struct nx_categorizer *c, struct nx_incoming *in);
/* A view with these replicas of our shard is installed, to which the newcomers came without state. */
void nx_change_view(struct nx_categorizer *c, nx_rankset replicas, nx_rankset newcomers);
/* Our own bulk message will not be delivered: it is sent again from our copy. True if it is one of ours. */
bool nx_change_aborted(struct nx_categorizer *c, nx_stream stream);
/* A replica of our shard is gone, and no view without it will come: what waits for all of them gets an honest answer. */
void nx_change_replica_down(struct nx_categorizer *c, nx_node node);

void nx_change_deliver(struct nx_categorizer *c, const struct nx_delivery *delivery);
void nx_change_loaded(struct nx_categorizer *c, struct nx_job_load *job);
bool nx_change_send_votes(struct nx_categorizer *c);
/* Loads what `kept` holds; `body`, if there is one, is written there first. */
struct nx_job_load *nx_change_make_load(struct nx_categorizer *c, nx_seq version,
                                        struct nx_kept *kept);
/* Takes `served` in either case; with NX_OK, a note for whoever installs may stand in *err. */
struct nx_held_model *nx_held_make(struct nx_served *served, struct nx_err *err);
/* Takes model and files out of a freed entry. */
void nx_change_retire(struct nx_entry *entry);
void nx_change_drop_load(struct nx_categorizer *c, struct nx_job_load *job);

/* A view says whether we lack our state; what came of an older one is thrown away. */
void nx_arrival_view(struct nx_categorizer *c, bool lacking);
/* The group may have taken our word that we are ready: then we answer. True if it just did. */
bool nx_arrival_poll(struct nx_categorizer *c);
void nx_arrival_loaded(struct nx_categorizer *c, struct nx_job_load *job);
void nx_arrival_close(struct nx_categorizer *c);

void *nx_state_snapshot(void *ctx, uint32_t subgroup, uint64_t *bytes);
size_t nx_state_read(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap);
void nx_state_release(void *ctx, void *snapshot);
enum nx_status nx_state_part(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                             const void *bytes, size_t len, struct nx_err *err);

#endif
