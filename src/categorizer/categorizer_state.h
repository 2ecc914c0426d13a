/* categorizer_state.h — what the files of a categorizer share; nobody else includes it.
 *
 *   categorizer.c       the group's upcalls, one turn, open and close
 *   categorize_photo.c  INFER: a photo through the device
 *   describe_models.c   LIST and DESCRIBE
 *   change_models.c     INSTALL and REMOVE: from the entry replica through the order to the answer
 */
#ifndef NX_CATEGORIZER_STATE_H
#define NX_CATEGORIZER_STATE_H

#include "categorizer/categorizer.h"
#include "categorizer/device.h"
#include "categorizer/incoming.h"
#include "categorizer/ordered.h"
#include "categorizer/served.h"
#include "categorizer/store.h"
#include "categorizer/worker.h"
#include "common/clock.h"

enum { NX_PHOTOS_MAX = 1024, NX_VOTES_MAX = NX_STORE_MODELS };
#define NX_PHOTOS_BYTES_MAX (UINT64_C(512) << 20) /* photos and their tensors */

/* A model with the number of jobs that use it; removed from the store it lives until the last one is done. */
struct nx_held_model {
    struct nx_served *served;
    struct nx_lane photos, tensors; /* the device's, while there are uses */
    uint32_t uses;
    bool removed;
    uint64_t queries; /* answered with a category */
};

struct nx_job_infer {
    struct nx_device_job job; /* first: the device knows only this */
    struct nx_incoming *in;   /* NULL once nobody waits */
    uint32_t tag;
    struct nx_held_model *model;
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
    struct nx_request_head head;
    uint8_t *body;
    uint64_t body_bytes;
    struct nx_served_options options;
    struct nx_err failure; /* set beforehand: this replica has no bytes to load */
    struct nx_digest digest;
    struct nx_served *served;
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
    struct nx_ordered_vote votes[NX_VOTES_MAX]; /* of ours, not sent yet */
    uint32_t votes_count;
    uint32_t queued; /* photos at the device: what routing looks at */
    struct nx_err down;
    nx_ns asked_at; /* when the last query began, or the drain */
};

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

void nx_held_release(struct nx_held_model *model);
/* Takes the model out of a freed entry; it is closed when its last photo is done. */
void nx_held_retire(struct nx_entry *entry);

/* The head of an INSTALL is known: true if it is refused at once. */
bool nx_change_refused(struct nx_categorizer *c, struct nx_incoming *in);
/* More of an INSTALL's body is here: passes it on to the other replicas. */
void nx_change_pump(struct nx_categorizer *c, struct nx_incoming *in);
/* All of it is here: orders it as the window has room. */
void nx_change_order(struct nx_categorizer *c, struct nx_incoming *in);
/* A view with these replicas of our shard is installed. */
void nx_change_view(struct nx_categorizer *c, nx_rankset replicas);
/* A replica of our shard is gone, and no view without it will come: what waits for all of them gets an honest answer. */
void nx_change_replica_down(struct nx_categorizer *c, nx_node node);

void nx_change_deliver(struct nx_categorizer *c, const struct nx_delivery *delivery);
void nx_change_loaded(struct nx_categorizer *c, struct nx_job_load *job);
bool nx_change_send_votes(struct nx_categorizer *c);

#endif
