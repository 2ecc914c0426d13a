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

    /* Before that (core_leave.c). */
    bool wants_out, leave_asked; /* we want to leave; and are to, as soon as nobody is waited for */
    bool undecided;              /* the view changes: it is not known who will need us */
    nx_ns held_until;            /* the latest that anybody is waited for */
    nx_ns leave_from;            /* when that was last so */
    nx_rankset awaited;          /* for whom our leave is held back */
    nx_rankset parting, aware;   /* who wants to leave, we too; who knows that we do */

    /* Who may come, by seat. */
    struct nx_member cards[NX_MEMBERS_MAX];
    nx_rankset admitted;                 /* seats in `cards` */
    nx_vid admitted_in[NX_MEMBERS_MAX];  /* the view in which it was, … */
    nx_rank admitted_by[NX_MEMBERS_MAX]; /* … and who led then */
    nx_rankset joins;                    /* we lead: seats to propose */
    nx_rankset stillborn;                /* seats whose owner's connection ended before its view */
    /* members that are known to be dead, since their nodes ask to join; perhaps not suspected yet */
    nx_rankset reborn;

    bool began_among_others; /* we joined a group that was there */
    /* of our shard; else nothing is delivered, and the end of a view skips what it delivers */
    bool has_state;
    bool starved; /* our shard has too few members with state: it is wedged */
    nx_rankset with_state, lost_state;

    struct nx_mc mc;
    struct nx_bulk bulk;
    struct nx_p2p p2p;
    uint8_t *heads;         /* NX_BULKS_MAX × send_max */
    struct nx_asked *asked; /* members_max × NX_QUERIES_MAX */

    /* Per rank, ours included: what each member says, checked. */
    uint64_t received[NX_MEMBERS_MAX], delivered[NX_MEMBERS_MAX], consumed[NX_MEMBERS_MAX];
    nx_rankset orphaning; /* lost members whose streams are not all closed yet */
    /* members, us too, whose bulk streams a cut ended, and that are not all closed yet */
    nx_rankset ending;
    nx_rankset vacated;    /* of these, the ones that are out of the view */
    nx_seq settled_before; /* what was settled when the view was installed */
    uint8_t *saved; /* a multicast ring: our undelivered messages, while a view is installed */
    uint64_t durable_words[NX_MEMBERS_MAX]; /* per rank, ours included: core_durable.c */
    nx_seq durable;                         /* only grows */
    bool held;                              /* the shell's disk is behind */
    nx_rankset owing;           /* peers to tell what we consumed of their point-to-point bytes */
    uint64_t delivered_at;      /* bytes of all rings behind our deliveries, … */
    uint64_t delivered_told_at; /* … and when we last told of them */
    nx_ns receipts_at; /* when what we owe is told at the latest; NX_NEVER: we owe nothing */

    /* Per peer: how far each window has been posted. */
    uint64_t mc_posted[NX_MEMBERS_MAX], bulk_posted[NX_MEMBERS_MAX], p2p_posted[NX_MEMBERS_MAX];
    /* Bulk bytes of others that we pass on, or get passed on (core_relay.c). */
    uint64_t relayed[NX_MEMBERS_MAX][NX_MEMBERS_MAX]; /* per sender and peer: how far */
    nx_rankset relays_for, relayed_by_others;         /* senders */
    nx_rankset turned;                    /* senders whose way to us is another than a turn ago */
    nx_rank pass_on_from[NX_MEMBERS_MAX]; /* per peer: the sender whose turn it is */
    uint64_t sleep_epoch;                 /* odd: we said that we sleep, … */
    nx_rankset untold_night;              /* … but not to these yet, which take no writes */
    nx_rankset unrung;                    /* peers that may sleep through a write of ours */
    nx_rankset ring;       /* peers that fell asleep before they saw our last write */
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
void nx_core_tell_heart(struct nx_core *core, nx_ns now);

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

/* core_leave.c: a leave before it is announced. hold: decides whether it is held back; after all
 * that a turn may have changed. */
void nx_core_want_out(struct nx_core *core, nx_ns now, const struct nx_event *event);
void nx_core_hold_leave(struct nx_core *core, nx_ns now);
nx_ns nx_core_leave_due(const struct nx_core *core); /* when that may change by itself */
void nx_core_hear_parting(struct nx_core *core, nx_rank peer);
void nx_core_tell_parting(struct nx_core *core);
void nx_core_begin_parting(struct nx_core *core, nx_rankset stayed); /* a view begins */

/* core_join.c: members that come, and the state of our shard. */
enum nx_status nx_core_admit(struct nx_core *core, const struct nx_event *event);
enum nx_status nx_core_join(struct nx_core *core, const struct nx_event *event);
enum nx_status nx_core_take_state(struct nx_core *core);
/* Somebody is in the view that we accepted, who comes in it: it is decided, though all may be dead who decided it. */
bool nx_core_is_proven(const struct nx_core *core);
nx_rankset nx_core_cards(const struct nx_core *core); /* seats admitted in this view */
/* The view that is decided, but for its bases and shards. */
void nx_core_next_view(const struct nx_core *core, struct nx_view *next);
/* Of the view that is installed: everything between us and who came begins. */
void nx_core_take_seats(struct nx_core *core, nx_rankset joined);
void nx_core_begin_state(struct nx_core *core);
/* Somebody, `fresh` or we, came to our shard: bulk streams end, rings begin where we say. */
void nx_core_cut_bulk(struct nx_core *core, nx_rankset fresh);
void nx_core_take_bases(struct nx_core *core);
/* Members of `among` with state suffice for the shard. */
bool nx_core_is_adequate(const struct nx_core *core, uint32_t subgroup, uint32_t shard,
                         nx_rankset among);
/* Unwedges a starved shard that is adequate now; true if so. */
bool nx_core_feed_shard(struct nx_core *core);

/* core_request.c: our load words, for who has just come. */
void nx_core_tell_loads(struct nx_core *core, nx_rankset peers);
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

/* core_relay.c. Passes on to the peer what one sender's plan gives it through us. */
void nx_core_pass_on(struct nx_core *core, struct nx_update *update, nx_rank peer);
/* After pushing: plans whose record is with everybody whom the old plan made us pass it on to. True if one has turned. */
bool nx_core_turn_plans(struct nx_core *core);
/* Plans have changed: for whom we relay, and who is relayed to us. */
void nx_core_settle_relays(struct nx_core *core);
/* Takes what relays have passed on to us. */
bool nx_core_hear_relays(struct nx_core *core);
bool nx_core_relays_have_news(const struct nx_core *core);

/* core_push.c: posts what the writable peers have not seen. */
struct nx_span {
    uint64_t from, to, ring_bytes; /* positions */
};
void nx_core_add_write(struct nx_core *core, struct nx_update *update, struct nx_write write);
/* Posts the bytes of a ring: one write, or two at its end. */
void nx_core_push_span(struct nx_core *core, struct nx_update *update, nx_rank peer,
                       struct nx_span span, uint64_t local, uint64_t remote);
void nx_core_tell_receipts(struct nx_core *core,
                           nx_rank peer); /* our newest, into the peer's row */
void nx_core_push(struct nx_core *core, nx_rankset writable, struct nx_update *update);
void nx_core_sleep(struct nx_core *core, nx_ns now, nx_rankset writable, struct nx_update *update);

/* There is work: we do not sleep any more, and say so when next we write. */
void nx_core_wake(struct nx_core *core);

#endif
