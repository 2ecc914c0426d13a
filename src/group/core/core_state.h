/* core_state.h — the state behind core.h, for the files of this folder alone. */
#ifndef NX_GROUP_CORE_STATE_H
#define NX_GROUP_CORE_STATE_H

#include "group/core/core.h"
#include "group/core/mutants.h"
#include "group/membership/mb_change.h"
#include "group/membership/mb_heart.h"
#include "group/membership/mb_suspect.h"
#include "group/multicast/mc_bulk.h"
#include "group/multicast/mc_shard.h"
#include "group/rpc/rpc_p2p.h"
#include "group/sst/sst_table.h"

/* How long a receipt may wait for something to ride along with. */
#define NX_RECEIPT_NS (200 * NX_US)

struct nx_core {
    struct nx_core_config config;
    struct nx_region_shape shape;
    uint8_t *region;
    size_t send_max;
    bool has_view;
    enum nx_status down; /* not NX_OK: why this node is out of the group */
    const char *down_why;
    bool down_told;
    nx_rank self;
    struct nx_view view;
    struct nx_layout layout;

    struct nx_table table;
    struct nx_suspect suspect;
    struct nx_heart heart;
    struct nx_change change;
    bool announced; /* our leave is in our row */
    struct nx_mc mc;
    struct nx_bulk bulk;
    struct nx_p2p p2p;
    uint8_t *heads;         /* NX_BULKS_MAX × send_max */
    struct nx_asked *asked; /* members_max × NX_QUERIES_MAX */

    /* Per rank, ours included: what each member says, checked. */
    uint64_t received[NX_MEMBERS_MAX], delivered[NX_MEMBERS_MAX], consumed[NX_MEMBERS_MAX];
    nx_rankset orphaning;  /* lost members whose streams are not all closed yet */
    nx_rankset vacated;    /* of these, the ones that are out of the view */
    nx_seq settled_before; /* what was settled when the view was installed */
    uint8_t *saved;   /* a multicast ring: our undelivered messages, while a view is installed */
    uint64_t durable_words[NX_MEMBERS_MAX]; /* per rank, ours included: core_durable.c */
    nx_seq durable;                         /* only grows */
    bool held; /* the shell's disk is behind */
    nx_rankset owing; /* peers to tell what we consumed of their point-to-point bytes */
    uint64_t delivered_at;      /* bytes of all rings behind our deliveries, … */
    uint64_t delivered_told_at; /* … and when we last told of them */
    nx_ns receipts_at; /* when what we owe is told at the latest; NX_NEVER: we owe nothing */

    /* Per peer: how far each window has been posted. */
    uint64_t mc_posted[NX_MEMBERS_MAX], bulk_posted[NX_MEMBERS_MAX], p2p_posted[NX_MEMBERS_MAX];
    uint64_t sleep_epoch; /* odd: we said that we sleep */
    nx_rankset unrung;    /* peers that may sleep through a write of ours */
    nx_rankset ring;      /* peers that fell asleep before they saw our last write */
    uint32_t beats_posted; /* writes of this turn that carry a beat and nothing else */

    uint32_t load[NX_LOAD_WORDS];
    struct nx_group_stats stats;
};

static inline bool nx_core_mutant(const struct nx_core *core, enum nx_mutant mutant)
{
    return (core->config.mutants & mutant) != 0;
}

/* The other members that can be written to and listened to. */
static inline nx_rankset nx_core_others(const struct nx_core *core)
{
    return core->suspect.reachable & ~NX_RANK_BIT(core->self);
}

/* core_request.c: what a tier asks. Fills the update's status, stream and taken. */
void nx_core_request(struct nx_core *core, nx_ns now, const struct nx_event *event,
                     struct nx_update *update);

/* core_turn.c: one turn: takes what is new in the region, hands up what is due, and pushes. */
void nx_core_turn(struct nx_core *core, nx_ns now, const struct nx_event *event,
                  struct nx_update *update);

/* core_listen.c: takes what is new in the others' rows. True if something moved. */
bool nx_core_listen(struct nx_core *core, nx_ns now);
/* The peer's connection has ended: whether the last that it said was that we are out. */
void nx_core_last_look(struct nx_core *core, nx_rank peer);

/* core_heart.c: what a row says of its writer's heart; any change in it is a sign of life. */
void nx_core_hear_heart(struct nx_core *core, nx_rank peer, uint32_t changed, nx_ns now);
/* Suspects who was silent for too long. True if something moved. */
bool nx_core_judge(struct nx_core *core, nx_ns now);
void nx_core_tell_heart(struct nx_core *core, nx_ns now, bool busy);

/* core_change.c: what a row says of the membership. */
void nx_core_hear_change(struct nx_core *core, nx_rank peer, uint32_t changed);
/* Moves the view change; wedges our shard while one is under way. True if it moved. */
bool nx_core_change(struct nx_core *core);
/* Installs the next view, if it is decided and the old one is delivered up to the trim. True if so. */
bool nx_core_install(struct nx_core *core, nx_ns now, struct nx_update *update);
/* Our words of the change, for the rows. */
void nx_core_tell_change(struct nx_core *core, nx_ns now);
/* How far the old view is delivered; only while its end is decided. */
uint64_t nx_core_trim(const struct nx_core *core);

/* core_durable.c: what is on disks. */
void nx_core_begin_durable(struct nx_core *core);
void nx_core_durable_here(struct nx_core *core, const struct nx_event *event,
                          struct nx_update *update);
const char *nx_core_hear_durable(struct nx_core *core, nx_rank peer);

/* core.c: our shard's part of a view. */
void nx_core_begin_shard(struct nx_core *core);
void nx_core_begin_change(struct nx_core *core);

/* core_up.c: reports the members that are gone and closes their streams; then hands up what is due,
 * true if something is left for the next turn. */
void nx_core_lose(struct nx_core *core, struct nx_update *update);
bool nx_core_hand_up(struct nx_core *core, struct nx_update *update);

/* A fresh upcall; only what its type uses is filled in by the caller. There is room. */
struct nx_upcall *nx_core_add_upcall(struct nx_update *update, enum nx_upcall_type type);

/* This node cannot go on, for the reason. */
void nx_core_fail_self(struct nx_core *core, const char *why);

/* When a turn is due though nothing happens; NX_NEVER mostly. */
nx_ns nx_core_next_turn(const struct nx_core *core, nx_ns now);

/* core_push.c: posts what the writable peers have not seen. */
void nx_core_tell_receipts(struct nx_core *core,
                           nx_rank peer); /* our newest, into the peer's row */
void nx_core_push(struct nx_core *core, nx_rankset writable, struct nx_update *update);
void nx_core_sleep(struct nx_core *core, nx_ns now, nx_rankset writable, struct nx_update *update);

/* There is work: we do not sleep any more, and say so when next we write. */
void nx_core_wake(struct nx_core *core);

#endif
